"""Whether data can measure a trained model: what is there, what the model knows, what it has seen already."""

from __future__ import annotations

from collections.abc import Sequence

from ..dataset import Data
from ..errors import DataError, SslkitError
from ..opening import open_data
from ..recipe.message import counted, shown
from ..recipe.model import Recipe
from ..types import Facts


def check_measurable(data: Data, what: str) -> None:
    """Refuse data without test images whose class is known."""
    if data.test is None or not len(data.test):
        raise DataError(f"{what}: there are no test images, and so nothing to measure on")
    if not data.test.known:
        raise DataError(f"{what}: the class of none of its {len(data.test):,} test images is known")


def check_fit(data: Data, facts: Facts, what: str) -> None:
    """Refuse data whose classes or channels are not the model's. Raises `DataError` that says what differs."""
    if data.channels != facts.channels:
        raise DataError(
            f"{what}: its images have {counted(data.channels, 'channel')}, and the model takes {facts.channels}"
        )
    ours, theirs = facts.classes, tuple(data.classes)
    if ours == theirs:
        return
    missing, extra = _without(ours, theirs), _without(theirs, ours)
    if missing or extra:
        parts = [f"the model knows {_some(missing)}, the data does not"] if missing else []
        parts += [f"the data has {_some(extra)}, the model does not"] if extra else []
    else:
        i = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
        parts = [f"in another order: class {i} is {shown(theirs[i])} in the data and {shown(ours[i])} in the model"]
    raise DataError(
        f"{what}: its classes ({len(theirs)}) are not those that the model was trained for ({len(ours)})\n    "
        + "\n    ".join(parts)
    )


def _without(classes: Sequence[str], others: Sequence[str]) -> list[str]:
    return [name for name in classes if name not in set(others)]


def _some(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(shown(name) for name in classes[:5]) + more


MEASURED = ("test", "validation")
"Splits that metrics look at."


def seen_in_training(data: Data, recipe: Recipe) -> list[str]:
    """Say how many images of each measured split the run was trained on, as far as ids tell: they flatter the model."""
    try:
        own = open_data(recipe)
    except SslkitError:
        return ["the run's own data cannot be opened, so it is not known whether it was trained on these images"]
    known = {sample for images in (own.labeled, own.unlabeled) if images is not None for sample in images.ids}
    found = []
    for split in (split for split in MEASURED if split in data.splits):
        ids = data.splits[split].ids
        if both := sum(sample in known for sample in ids):
            found.append(
                f"{both:,} of the {len(ids):,} {split} images have the ids of images that the run was trained on: these "
                "numbers flatter the model"
            )
    return found
