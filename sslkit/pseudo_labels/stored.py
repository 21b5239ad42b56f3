"""A generation's pseudo-labels as they lie in a run's folder, opened to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..dataset import OUTSIDE, Data, Images, Rows
from ..errors import RunError, SslkitError
from ..folder import Run
from ..images.words import listed, printable
from ..pool import probability_of
from ..recipe.model import Recipe
from ..store import Samples
from ..types import Targets

CHUNK = 1 << 18
"Rows that are looked at together."


@dataclass(eq=False)
class Stored:
    """The pseudo-labels that taught one generation of a run: N rows, an image of the unlabeled split each; K classes.

    All of it is mapped into memory, and read as it is asked for.
    """

    run: Run
    generation: int
    there: tuple[int, ...]
    "The generations that have pseudo-labels."
    targets: Targets
    manifest: dict[str, Any]
    recipe: Recipe | None = None
    "To open its data by, where that lies elsewhere now."

    def __len__(self) -> int:
        return len(self.targets.index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.manifest["classes"])

    @property
    def path(self) -> Path:
        """Their folder."""
        return labels_folder(self.run) / f"generation-{self.generation}"

    @cached_property
    def label(self) -> Rows:
        """(N,) the classes that the student is asked to predict."""
        return self.targets.label.numpy()

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        """(N,) the teacher's own probability of that class, whatever was made of it since (hard labels are all sure)."""
        label, raw = torch.from_numpy(self.label), self.targets.raw
        parts = [probability_of(raw, label, slice(at, at + CHUNK)) for at in range(0, len(self), CHUNK)]
        return torch.cat(parts).float().numpy() if parts else np.zeros(0, np.float32)

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """(N,) whether a row teaches anything."""
        return self.targets.kept.numpy()

    @cached_property
    def data(self) -> Data:
        """The run's data, opened. Raises `SslkitError` where it is gone, or has no unlabeled images any more."""
        from ..measuring.remnant import recipe_of
        from ..opening import open_data

        data = open_data(self.recipe or recipe_of(self.run)[0])
        if data.unlabeled is None:
            raise RunError(f"the data of {shown_run(self.run)} has no unlabeled images any more")
        return data

    @property
    def pool(self) -> Images:
        """The unlabeled images of the data, with their classes as far as they are known. Raises as `data` does."""
        assert self.data.unlabeled is not None
        return replace(self.data.unlabeled, truth=self.data.hidden_truth)

    @cached_property
    def samples(self) -> Samples:
        """What the images are. Runs that were made before this was kept have it from their data, which must be there."""
        kept = (self.run.folder / "samples").is_dir()
        samples = self.run.samples() if kept else _of_data(self)
        if len(samples) != len(self):
            raise RunError(
                f"{shown_run(self.run)} has pseudo-labels of {len(self):,} images, and names for {len(samples):,}: "
                "they are not of the same data"
            )
        return samples

    @cached_property
    def truth(self) -> Rows:
        """(N,) the classes as far as they are known: see `sslkit.dataset`."""
        return self.samples.truth.numpy()

    @cached_property
    def any_outside(self) -> bool:
        """Whether images are known to be of none of the classes."""
        return bool((self.truth == OUTSIDE).any())

    @property
    def teacher(self) -> str:
        """The first digits of the SHA-256 of the teacher's weights."""
        return str((self.manifest.get("teacher") or {}).get("sha256") or "")[:12]

    def at(self, generation: int) -> Stored:
        """The labels of another generation of the same run."""
        return stored(self.run, generation, self.recipe)

    def before(self) -> Stored | None:
        """The labels of the generation before this one that has some."""
        earlier = [number for number in self.there if number < self.generation]
        return self.at(earlier[-1]) if earlier else None


def stored(run: Run, generation: int = -1, recipe: Recipe | None = None) -> Stored:
    """The labels of a generation; negative numbers count from the last that has some. Raises `RunError` without."""
    there = generations_of(run)
    if not there:
        raise RunError(f"{shown_run(run)} keeps no pseudo-labels: {_why_none(run)}")
    if generation < 0 and -generation <= len(there):
        generation = there[generation]
    if generation not in there:
        have = ", ".join(map(str, there))
        raise RunError(f"{shown_run(run)} keeps no pseudo-labels for generation {generation}; it has some for {have}")
    return Stored(run, generation, there, run.labels(generation), run.manifest(generation), recipe)


def generations_of(run: Run) -> tuple[int, ...]:
    """The generations that have pseudo-labels of the pool."""
    names = [re.fullmatch(r"generation-(\d+)", path.name) for path in labels_folder(run).glob("generation-*")]
    return tuple(sorted(int(name[1]) for name in names if name))


def labels_folder(run: Run) -> Path:
    """Where they lie."""
    return run.folder / "labels"


def shown_run(run: Run) -> str:
    """A run's folder in messages."""
    return printable(str(run.folder))


def _why_none(run: Run) -> str:
    """Why a run has none, and what to do instead."""
    table, name = run.table(), shown_run(run)
    ways = {str(one["labels"]) for one in (table, *table.get("generation", [])) if "labels" in one}
    if ways & {"pool", "both"}:
        return (
            "none were made yet. They are made before the first generation that has a teacher begins; how far the run is: "
            f"sslkit status {name}"
        )
    if "step" in ways:
        return (
            'its recipe labels images anew at each step (`labels = "step"`), and such labels are not kept. What its '
            f"finished model makes of images: sslkit predict {name} FOLDER"
        )
    return (
        'its recipe makes none (`labels` is not set, or "none"). What its finished model makes of images: '
        f"sslkit predict {name} FOLDER"
    )


def recipe_elsewhere(run: Run, overrides: dict[str, Any]) -> Recipe:
    """A run's recipe with other paths of its data. Raises `RunError` for other keys, `RecipeError` for what none takes."""
    from ..measuring.remnant import recipe_of
    from ..recipe import with_overrides
    from ..recipe.moved import moved

    own = recipe_of(run)[0]
    given = with_overrides(own, overrides)
    if not moved(own, given):
        raise RunError(
            f"labels look at the run as it was: --set can only say where the data of {shown_run(run)} lies now, by keys of "
            f"[data] that are paths, such as data.root; it has {listed(overrides)}"
        )
    return given


def _of_data(one: Stored) -> Samples:
    try:
        images = one.pool
    except SslkitError as error:
        raise RunError(
            f"{shown_run(one.run)} was made before runs kept a list of their images, and its data cannot be opened to see "
            f"what they are: {error}"
        ) from error
    return Samples.of(images)


def chunks_of(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Rows in parts."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
