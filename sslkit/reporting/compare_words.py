"""How measures are called in figures and tables, and how finely their axes are written."""

from __future__ import annotations

import re
from collections.abc import Iterable

WRITTEN = {"ece": "ECE", "nll": "NLL", "mce": "mCE", "mfr": "mFR", "fgsm": "FGSM", "pgd": "PGD", "l2": "L2",
           "brier": "Brier score", "pseudo label": "pseudo-label", "top5": "top-5"}  # fmt: skip
"How words of metrics' names are written."
ATTACKED = re.compile(r"(?P<split>[a-z]+)_(?P<attack>fgsm|pgd|pgd_l2)_(?P<epsilon>\d+)")


def readable(measure: str) -> str:
    """A metric's name as words: `validation_ece` is the validation ECE."""
    if found := ATTACKED.fullmatch(measure):
        attack = readable(found["attack"])
        return f"{found['split']} accuracy under {attack}, epsilon {found['epsilon']}/255"
    words = measure.replace("_", " ")
    for word, written in WRITTEN.items():
        words = re.sub(rf"\b{word}\b", written, words)
    return words


def titled(words: str) -> str:
    """Words as a title begins: what is written small on purpose (mCE) stays so."""
    return words[:1].upper() + words[1:] if words[:2].islower() else words


def share_ticks(values: Iterable[float | None]) -> str:
    """How ticks of an axis of shares are written, so that neighbours differ."""
    there = [value for value in values if value is not None]  # a gap in a line is none
    span = max(there) - min(there) if there else 1.0
    return ".0%" if span >= 0.06 or not span else ".1%" if span >= 0.006 else ".2%"
