"""Recipes and studies that come with sslkit: what each is, and which of them use a plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hookspecs import SINGLE
from ..recipe.compose import composed
from ..recipe.merge import merge
from ..recipe.message import Problems
from ..recipe.places import Table, plain
from ..recipe.read import read, shipped
from ..recipe.resolve import defaults
from .shipped import METRICS, STUDY, of_kind

SENTENCE = re.compile(r"(?<=[a-z0-9)]\.)\s+(?=[A-Z])")
PAPER = re.compile(r"\s*\(([^()]*\barXiv\b[^()]*)\)")


@dataclass(frozen=True)
class RecipeLine:
    """A recipe of a list."""

    name: str
    about: str
    "Its first comment, without the paper."
    paper: str
    data: str
    generations: int
    extends: str


@dataclass(frozen=True)
class StudyLine:
    """A study of a list."""

    name: str
    about: str
    paper: str
    base: str
    variants: int
    seeds: str


@dataclass(frozen=True)
class MetricsLine:
    """A set of metrics of a list."""

    name: str
    about: str
    metrics: list[str]


def recipe_lines() -> list[RecipeLine]:
    """Every shipped recipe."""
    return [_recipe_line(name, path) for name, path in shipped().items()]


def _recipe_line(name: str, path: Path) -> RecipeLine:
    about, paper = described(path.read_text("utf-8"))
    table = _composed(name, path)
    generations = len(table.get("generation", [])) or 1
    base = _bases(read(name, path).get("extends", []))
    return RecipeLine(name, about, paper, str(table["data"].get("use", "")), generations, base)


def _bases(extends: str | list[str]) -> str:
    """What a recipe extends, as a list shows it: without folders that lead up, and without `.toml`."""
    said = [extends] if isinstance(extends, str) else extends
    return ", ".join(name.removeprefix("../").removesuffix(".toml") for name in said)


def study_lines() -> list[StudyLine]:
    """Every shipped study."""
    return [_study_line(name, path) for name, path in of_kind(STUDY).items()]


def _study_line(name: str, path: Path) -> StudyLine:
    about, paper = described(path.read_text("utf-8"))
    table = read(name, path)
    variants = len(table.get("variant", []))
    return StudyLine(name, about, paper, Path(str(table["base"])).stem, variants, str(table.get("seeds", "0-9")))


def metrics_lines() -> list[MetricsLine]:
    """Every shipped set of metrics."""
    return [_metrics_line(name, path) for name, path in of_kind(METRICS).items()]


def _metrics_line(name: str, path: Path) -> MetricsLine:
    about, _ = described(path.read_text("utf-8"))
    return MetricsLine(name, about, [str(table.get("use", "")) for table in read(name, path).get("metric", [])])


def described(text: str) -> tuple[str, str]:
    """The first sentence of a file's first comment, and the paper that it names in brackets."""
    said = []
    for line in text.splitlines():
        if line.startswith("#:"):  # for editors
            continue
        if not line.startswith("#") or not line.strip("# "):
            break
        said.append(line.lstrip("# ").rstrip())
    whole = " ".join(said)
    paper = PAPER.search(whole)
    about = SENTENCE.split(PAPER.sub("", whole, count=1))[0]
    return about, paper[1] if paper else ""


def _composed(name: str, path: Path) -> Table:
    """A recipe with what it extends and leaves out, not yet laid on its plugins' classes: nothing is imported."""
    return defaults(composed(name, path, Problems()))


# Who uses a plugin ------------------------------------------------------------------------------------------------


def users(section: str, use: str) -> dict[str, Table]:
    """The shipped recipes that use a plugin in some generation, each with its first table of it."""
    found = {name: next(_tables(_composed(name, path), section, use), None) for name, path in shipped().items()}
    return {name: table for name, table in found.items() if table is not None}


def _tables(recipe: Table, section: str, use: str) -> Iterator[Table]:
    """A plugin's enabled tables, as the recipe says them and as its generations do."""
    for over in [None, *recipe.get("generation", [])]:
        whole = recipe.without("generation")
        value = (merge(whole, over, Problems()) if over else whole).get(section, [])
        for table in [value] if section in SINGLE else value:
            if isinstance(table, Table) and table.get("use") == use and table.get("enabled", True):
                yield table


def study_users(section: str, use: str) -> list[str]:
    """The shipped studies that use a plugin which their base does not: by some variant's overrides, or by all."""
    return [name for name, path in of_kind(STUDY).items() if _says(plain(read(name, path)), section, use)]


def _says(table: dict[str, Any], section: str, use: str) -> bool:
    """Whether overrides say `section.NAME.use = use`, for any generation."""
    said = [table.get("set", {}), *(variant.get("set", {}) for variant in table.get("variant", []))]
    return any(value == use and path[-1] == "use" and section in path for one in said for path, value in _leaves(one))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of overrides with its dotted path taken apart."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, *key.split(".")))
    else:
        yield path, value
