"""From a folder to a recipe that fits it: look, propose, time, write."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..catalog.copying import SCHEMA, written
from ..check.clock import generation_seconds
from ..check.probe import baseline_seconds, compose, probe
from ..dataset import Data
from ..environment import choose_device, determinism
from ..errors import DataError, SslkitError
from ..images.words import printable, shown
from ..recipe import load
from ..recipe.model import Recipe
from ..registry import find
from ..state import plugins_of
from ..types import Progress
from .asking import recognized
from .facts import Facts, facts_of
from .machine import Machine, this_machine
from .recognized import Recognized
from .rules import TRIED, Proposal, halved, propose, steps_for
from .template import filled, template_for, templates
from .words import found_lines

SMALLEST_BATCH = 8
LEFT_OUT = ["unreadable", "duplicates"]
PATIENCE = 120.0
"Seconds that looking at every image may take, for what is not to be trained on to be left out."


@dataclass(frozen=True, kw_only=True)
class Started:
    """What was found and written."""

    data: Mapping[str, Any]
    "The `[data]` table."
    recognized: Recognized
    facts: Facts
    machine: Machine
    proposal: Proposal
    template: str
    seconds: float
    "How long a run is expected to take."
    path: Path
    "The recipe."


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A recipe that is being proposed, whose text does not lie anywhere yet."""

    template: Path
    data: Mapping[str, Any]
    "The `[data]` table; paths are `Path`s."
    proposal: Proposal
    lines: Sequence[str] = ()
    "What was found, for its first comment."
    gpu: bool = False

    def text(self, folder: Path) -> str:
        """The recipe as it is written into a folder: paths start from there, as far as they lie below it."""
        table = {
            key: path_from(folder, value) if isinstance(value, Path) else value for key, value in self.data.items()
        }
        text = filled(self.template.read_text("utf-8"), self.proposal, table, self.lines, self.gpu)
        schema = SCHEMA.search(text)
        if schema is None or not (folder / Path(schema["path"]).name).is_file():
            return SCHEMA.sub("", text, count=1).removeprefix("\n")
        return SCHEMA.sub(f"#:schema ./{Path(schema['path']).name}", text, count=1)

    def recipe(self) -> Recipe:
        """What it composes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recipe.toml")
            path.write_text(self.text(path.parent), "utf-8")
            return load(path)


def start(
    folder: Path, out: Path | None, minutes: float, settings: Mapping[str, Any], say: Callable[[str], Any] = str
) -> Started:
    """Look at a folder, write a recipe for it, and answer what was found and proposed. Raises `SslkitError`.

    `settings`: keys of `[data]` that replace what the plugin proposes. `say` is told what is done; an empty text says
    that what follows shows its own progress.
    """
    path = destination(folder, out)
    say("looking at the folders")
    use, answer = recognized(folder)
    table: dict[str, Any] = {"use": use, **answer.settings, **settings}
    data = opened(table, answer.pool)
    say("")
    facts, machine = facts_of(data), this_machine()
    if cleans(use, table) and facts.each * facts.images <= PATIENCE:
        table["leave_out"] = LEFT_OUT
        data = opened(table, answer.pool)
    say("timing a few steps")
    proposal = propose(facts, machine)
    draft = Draft(
        template=template_for(facts.side), data=table, proposal=proposal, gpu=bool(machine.gpu),
        lines=found_lines(facts, machine),
    )  # fmt: skip
    draft = fitting(draft, data, machine)
    steps, seconds = timed(draft, data, minutes)
    draft = replace(draft, proposal={**draft.proposal, **steps})
    written(path, draft.text(path.absolute().parent).encode())
    return Started(
        data=table, recognized=answer, facts=facts, machine=machine, proposal=draft.proposal, template=draft.template.stem,
        seconds=seconds, path=path,
    )  # fmt: skip


def destination(folder: Path, out: Path | None) -> Path:
    """Where the recipe goes: by default NAME.toml here. Raises `SslkitError` where it cannot be."""
    name = re.sub(r"[^\w.-]+", "_", printable(Path(os.path.normpath(folder.absolute())).name)).lstrip(".") or "images"
    path = Path(f"{name}.toml") if out is None else out / f"{name}.toml" if out.is_dir() else out
    if path.suffix != ".toml":
        raise SslkitError(f"--out {path}: a recipe is a `.toml` file. Did you mean `{path}.toml`?")
    if path.exists() or path.is_symlink():
        free = next(free for n in count(2) if not (free := path.with_name(f"{path.stem}-{n}.toml")).exists())
        raise SslkitError(f"{path} is there already, and stays as it is\n  write another: --out {free}")
    return path


def opened(table: Mapping[str, Any], pool: str = "") -> Data:
    """The data of a `[data]` table; `pool`: how images without labels are added. Raises `DataError` where a student cannot be trained on it."""
    recipe = Draft(template=templates()[0], data=table, proposal={}).recipe()
    data = plugins_of(recipe.generations[0]).open_data(Progress(recipe.settings.seed))
    if data.unlabeled is None or not len(data.unlabeled):
        fewest = int(np.bincount(data.labeled.truth, minlength=len(data.classes)).min())
        use = table["use"]
        raise DataError(
            f"nothing is unlabeled: {use} finds {len(data.labeled):,} labeled images and no others, so a student would learn "
            "nothing that its teacher does not know\n  put images without labels beside them, "
            f"{pool or f'as `sslkit plugins show {use}` says'}; or, to see what self-training makes of fewer labels, hide the others: --set labels_per_class={max(1, fewest // 5)}"
        )
    return data


def cleans(use: str, table: Mapping[str, Any]) -> bool:
    """Whether a data plugin can leave out images that nothing is to be trained on, and nobody has said which."""
    cls = find("data", use, Path())
    return is_dataclass(cls) and "leave_out" in {field.name for field in fields(cls)} - set(table)


def path_from(folder: Path, path: Path) -> str:
    """A path as a recipe in a folder says it. Raises `DataError` for a name that TOML cannot say."""
    whole, below = (Path(os.path.normpath(one.absolute())) for one in (path, folder))
    said = str(whole.relative_to(below) if whole.is_relative_to(below) else whole)
    try:
        said.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of {shown(said)} holds bytes that are not UTF-8, which a recipe cannot say: rename the folder, or "
            "make a link to it with another name"
        ) from error
    return said


def fitting(draft: Draft, data: Data, machine: Machine) -> Draft:
    """The draft with a batch that the memory holds."""
    while machine.room:
        needs = [seen.needs.memory for seen in compose(draft.recipe(), data) if seen.needs is not None]
        batch = draft.proposal["batch"]
        if not needs or max(needs) <= machine.room or batch.value["labeled"] <= SMALLEST_BATCH:
            break
        draft = replace(draft, proposal={**draft.proposal, "batch": halved(batch, machine)})
    return draft


def timed(draft: Draft, data: Data, minutes: float) -> tuple[Proposal, float]:
    """Steps that take the minutes on this machine, and the seconds that they are expected to take."""
    recipe, device = draft.recipe(), choose_device(None)
    with determinism(recipe.settings.deterministic):
        found = probe(recipe, data, device, timing=True)
        alone = baseline_seconds(recipe, data, device).step if recipe.settings.baseline else 0.0
    if troubles := [trouble for seen in found for trouble in seen.troubles]:
        raise SslkitError(f"the template `{draft.template.stem}` does not fit this data: {troubles[0]}")
    each = sum(seen.seconds.step + alone for seen in found if seen.seconds is not None)
    whole = sum(generation_seconds(recipe, found, data))
    fixed = whole - TRIED * (each - alone * len(found))
    steps = steps_for(minutes, each, fixed, data.validation is not None)
    return steps, fixed + steps["steps"].value * each
