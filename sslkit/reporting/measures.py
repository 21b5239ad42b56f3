"""What was measured, whoever's plugin measured it: tables are known by their shapes, and every name can be read.

`MetricHooks.measure` says which shapes reports draw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..tables import is_number

WRITTEN = {"ece": "ECE", "nll": "NLL", "mce": "mCE", "mfr": "mFR", "fgsm": "FGSM", "pgd": "PGD", "l2": "L2",
           "brier": "Brier score", "pseudo label": "pseudo-label", "top5": "top-5",
           "corruption error": "error on corrupted images",
           "natural adversarial accuracy": "accuracy on natural adversarial images"}  # fmt: skip
"How words of metrics' names are written."
ATTACKED = re.compile(r"(?P<split>[a-z]+)_(?P<attack>fgsm|pgd|pgd_l2)_(?P<epsilon>\d+(?:\.\d+)?)")
SEVERITIES = ("1", "2", "3", "4", "5")
DRAWN = "(drawn)"
"What the name of a corruption ends with that has no photographs behind it: it counts for no published figure."


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
    """How ticks of an axis of shares are written, so that neighbours differ: no more digits than they need."""
    there = [value for value in values if value is not None]  # a gap in a line is none
    span = max(there) - min(there) if there else 1.0
    return ".0%" if span >= 0.2 or not span else ".1~%" if span >= 0.02 else ".2~%" if span >= 0.002 else ".3~%"


# Shapes -------------------------------------------------------------------------------------------------------------


def rows_of(measured: Any) -> dict[str, dict[str, Any]]:
    """A table's rows; none where a value is no table."""
    there = isinstance(measured, dict) and measured and all(isinstance(row, dict) for row in measured.values())
    return measured if there else {}


def is_curve(measured: Any) -> bool:
    """Whether a table is accuracy over an attack's strength: rows are epsilons."""
    return all(set(row) == {"accuracy"} for row in rows_of(measured).values()) and bool(curve(measured, "accuracy"))


def is_corruption(measured: Any) -> bool:
    """Whether a table is of errors by corruption, a column for each severity."""
    rows = rows_of(measured)
    return bool(rows) and all("mean" in row and set(SEVERITIES) & set(row) for row in rows.values())


def is_flips(measured: Any) -> bool:
    """Whether a table is of flips by perturbation."""
    rows = rows_of(measured)
    return bool(rows) and all("flips" in row for row in rows.values())


def curve(table: Any, column: str) -> dict[float, float]:
    """A table as a line: its rows are numbers (epsilons, upper edges of bins), `column` the heights."""
    found: dict[float, float] = {}
    for key, row in rows_of(table).items():
        try:
            x = float(key)
        except (TypeError, ValueError):
            continue
        if is_number(x) and is_number(value := row.get(column)):
            found[x] = value
    return dict(sorted(found.items()))


def by_severity(table: Any) -> dict[float, float]:
    """Severity -> mean error of a table's corruptions, without those that are drawn and not published."""
    rows = [row for name, row in rows_of(table).items() if not name.endswith(DRAWN)]
    columns = {level: [row[level] for row in rows if is_number(row.get(level))] for level in SEVERITIES}
    return {float(level): sum(errors) / len(errors) for level, errors in columns.items() if errors}


def severity_words(tables: Iterable[Any]) -> str:
    """`five severities`, or which of them were measured."""
    rows = [row for table in tables for row in rows_of(table).values()]
    there = [level for level in SEVERITIES if any(is_number(row.get(level)) for row in rows)]
    if len(there) == len(SEVERITIES):
        return "five severities"
    return f"{len(there)} severities ({', '.join(there)})" if len(there) > 1 else f"severity {''.join(there)} alone"


# Names --------------------------------------------------------------------------------------------------------------


def parted(name: str) -> tuple[str, str]:
    """The split that a metric's name says, if any, and the rest."""
    split, _, rest = name.partition("_")
    return (split, rest) if split in ("test", "validation") else ("", name)


def attack_words(name: str) -> str:
    """`test_pgd_l2` -> `PGD within an L2 ball`."""
    rest = parted(name)[1]
    return f"{readable(rest.removesuffix('_l2'))} within an L2 ball" if rest.endswith("_l2") else readable(rest)


def own_words(name: str, usual: str) -> str:
    """What a table is called that is not called as usual: `, published`."""
    rest = parted(name)[1]
    return "" if rest == usual else f", {readable(rest)}"
