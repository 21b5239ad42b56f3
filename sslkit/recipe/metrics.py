"""What a trained model is measured by: sets of `[[metric]]` tables, and other data than the recipe's.

Both are read as recipes are: strict, every problem told with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from ..hookspecs import SECTIONS
from ..registry import names
from .compose import reopened
from .draft import Draft
from .merge import anchor, merge
from .message import Problems, did_you_mean, listed, sentence
from .model import Entry, Recipe, hash_of
from .overrides import apply
from .places import Place, Source, Table
from .read import PACKAGE, check_values, find_file, read
from .resolve import resolve
from .tables import digests

STANDARD = "standard"
"The set that is used where none is named."
FOLDER = "metrics"
"Where sets lie among the shipped files; their names may begin with it."
OPEN = ("data", "metric")
"Sections that may be changed of a model that is trained: they decide what is measured."
NEEDED = ("data", "model", "optimizer")
"Sections of the recipe that are looked at: a gone plugin of another one is no obstacle."


@dataclass(frozen=True, eq=False)
class Parts:
    """What to measure with."""

    metrics: list[Entry]
    data: Entry
    data_table: dict[str, Any]
    "`[data]`, resolved."
    digest: str
    "Of both, resolved; plugins and data in files count by their content."


def metric_sets() -> dict[str, Path]:
    """Sets of metrics that are installed with sslkit, by name."""
    try:
        folder = Path(str(resources.files(PACKAGE))) / FOLDER
    except ModuleNotFoundError:
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def parts_of(
    recipe: Recipe, names: Sequence[str] = (), sets: Sequence[str | Path] = (), data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Parts:  # fmt: skip
    """Metrics by `names` of plugins and from `sets` (files, or shipped ones), on a recipe's data or other `data`.

    `overrides` by dotted path: of `data` and `metric`. Raises `RecipeError` that lists everything that is wrong.
    """
    problems = Problems()
    whole = reopened(recipe)
    table = Table(whole.only(*NEEDED, "steps"), whole.place, whole.places)
    for name in sets:
        table = merge(table, metric_set(name, problems), problems)
    said = {"metric": [{"use": name} for name in dict.fromkeys(names)], **({"data": {"use": data}} if data else {})}
    for key, value in said.items():
        if value and _are_there(key, value, problems):
            table = merge(table, _said(key, value), problems)
    own = {path: value for path, value in (overrides or {}).items() if _is_open(path, problems)}
    if own:
        table = apply(table, own, problems)
    draft = resolve(table, problems)
    problems.raise_any()
    return _parts(draft)


def _said(section: str, value: Any) -> Table:
    """What the command line says of a section."""
    source = Source(f"--{section}", Path.cwd())
    place = Place(source)
    tables = [Table(item, place) for item in value] if isinstance(value, list) else Table(value, place)
    return anchor(Table({section: tables}, place), source)


def _are_there(section: str, value: Any, problems: Problems) -> bool:
    """Whether no plugin is one of another section; there is no table on a command line to be moved."""
    uses, known = [one["use"] for one in (value if isinstance(value, list) else [value])], names(section)
    strange = {use: [o for o in SECTIONS if use in names(o)] for use in uses if use not in known}
    strange = {use: others for use, others in strange.items() if others}
    for use, others in strange.items():
        what = f"`{use}` is {'an' if others[0][0] in 'aeiou' else 'a'} {others[0]} plugin, and no {section} plugin is called so"
        problems.add(Place(Source(f"--{section}", Path.cwd())), what,
                     sentence(f"installed: {listed(known)}.", did_you_mean(use, known)))  # fmt: skip
    return not strange


def _is_open(path: str, problems: Problems) -> bool:
    """Whether a key may be set: the model stays as it was trained."""
    section = path.split(".")[0]
    if section not in OPEN:
        problems.add(Place(Source("--set", Path.cwd())), f"`{path}` cannot be changed: the model is trained already",
                     sentence("it takes data.KEY and metric.NAME.KEY.", did_you_mean(section, OPEN)))  # fmt: skip
    return section in OPEN


def _parts(draft: Draft) -> Parts:
    plugins = draft.enabled
    (data,) = (plugin for plugin in plugins if plugin.section == "data")
    metrics = [plugin.fresh() for plugin in plugins if plugin.section == "metric"]
    if not metrics:
        raise RecipeError("nothing to measure: every metric is left out (enabled = false)")
    table = {key: draft.resolved[key] for key in OPEN}
    return Parts(metrics, data.fresh(), table["data"], hash_of({**table, "files": digests(draft.files)}))


def metric_set(name: str | Path, problems: Problems) -> Table:
    """A file's `[[metric]]` tables, or those of the shipped set of that name."""
    known = metric_sets()
    listed_as = {f"{FOLDER}/{short}": short for short in known}  # as `sslkit recipes list` has it
    plain = (
        name if not isinstance(name, str) or Path(name).is_file() else listed_as.get(name.removesuffix(".toml"), name)
    )
    label, path = find_file(plain, "set of metrics", lambda: known)
    table = read(label, path)
    check_values(table, table.place, problems, table)
    if others := [key for key in table if key != "metric"]:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        named = listed(f"`{key}`" for key in others[:3])
        problems.add(table.where(others[0]), f"{named}{more}: not of a set of metrics",
                     "it holds `[[metric]]` tables, and nothing else")  # fmt: skip
    elif not table.get("metric"):
        problems.add(table.place, "there is no `[[metric]]` table")
    return anchor(table.only("metric"), table.place.source)
