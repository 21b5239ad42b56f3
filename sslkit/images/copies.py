"""Images that are the same, pixel by pixel, however they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..dataset import Data, Look, Rows

MEASURING = ("validation", "test")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Images of one split that are in another one, which measures, as well."""

    split: str
    other: str
    ids: tuple[str, ...]
    "Of `split`."


def shared(data: Data, looks: Mapping[str, Sequence[Look]]) -> list[Shared]:
    """What training and validation have in common with what measures, by the looks at every split's images."""
    found = []
    for other in [name for name in MEASURING if name in looks]:
        there = {look.digest for look in looks[other] if not look.problem}
        for split, own in looks.items():
            if split in (other, "test") or (split == "validation" and same(data)):
                continue
            ids = [sample for sample, look in zip(data.splits[split].ids, own, strict=True) if look.digest in there]
            found += [Shared(split=split, other=other, ids=tuple(ids))] if ids else []
    return found


def same(data: Data) -> bool:
    """Whether validation and test are meant to be the same images, which is said elsewhere."""
    return data.validation is not None and data.test is not None and list(data.validation.ids) == list(data.test.ids)


def repeated(looks: Sequence[Look]) -> int:
    """How many images are the same as one before them."""
    digests = [look.digest for look in looks if not look.problem]
    return len(digests) - len(set(digests))


def contradictory(looks: Sequence[Look], truth: Rows) -> list[int]:
    """Positions of images that are of another class than a copy of theirs."""
    classes: dict[bytes, set[int]] = {}
    for look, label in zip(looks, truth.tolist(), strict=True):
        if not look.problem and label >= 0:
            classes.setdefault(look.digest, set()).add(label)
    split = {digest for digest, labels in classes.items() if len(labels) > 1}
    return [row for row, look in enumerate(looks) if look.digest in split and truth[row] >= 0]
