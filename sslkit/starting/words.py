"""What `sslkit init` says: the table of what was found, what is odd about it, what is proposed."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from rich.table import Table

from ..images.words import counted, listed, printable
from ..recipe.message import visible
from ..tables import RULED, count
from .facts import FEW, SKEWED, Facts, Split
from .machine import Machine
from .rules import Proposal

CLASSES = 12
"Classes that are named in a recipe's comment."


SAID = ("size", "batch", "steps", "threshold", "balance")
"Proposals that are printed; those of a template's details stand in the recipe."


def found_lines(facts: Facts, machine: Machine) -> list[str]:
    """What was found, as a recipe's comment."""
    names = ", ".join(map(printable, facts.classes[:CLASSES]))
    more = f" and {len(facts.classes) - CLASSES:,} more" if len(facts.classes) > CLASSES else ""
    rows = [f"{split.name}: {', '.join(filter(None, cells(facts, split)))}" for split in facts.splits]
    return [
        visible(line) for line in ["Found:", f"{len(facts.classes):,} classes: {names}{more}", *rows, machine.words]
    ]


def cells(facts: Facts, split: Split) -> tuple[str, str, str]:
    """Images, images of a class, pixels."""
    return counted(split.images, "image"), per_class(facts, split), pixels(split)


def per_class(facts: Facts, split: Split) -> str:
    """`25 of each class`, `12 (cat) to 80 (dog) of a class`; nothing where the classes are not known."""
    if not split.counts:
        return ""
    low, high = min(split.counts), max(split.counts)
    if low == high:
        return f"{low:,} of each class"
    ends = [f"{number:,} ({printable(facts.classes[split.counts.index(number)])})" for number in (low, high)]
    return f"{ends[0]} to {ends[1]} of a class"


def pixels(split: Split) -> str:
    """`32 x 32 px`, `12-40 x 10-64 px (median 24 x 30)`: width x height."""
    if not split.widths:
        return ""
    ranges = [f"{min(s):,}" if min(s) == max(s) else f"{min(s):,}-{max(s):,}" for s in (split.widths, split.heights)]
    middle = [f"{median(s):,.0f}" for s in (split.widths, split.heights)]
    said = f"{' x '.join(ranges)} px"
    return said if ranges == middle else f"{said} (median {' x '.join(middle)})"


def table_of(facts: Facts) -> Table:
    """The splits."""
    table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (("", "left"), ("images", "right"), ("of a class", "left"), ("width x height", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for split in facts.splits:
        each = per_class(facts, split).removesuffix(" of a class").removesuffix(" of each class")
        table.add_row(split.name, count(split.images), each or "not known", pixels(split))
    return table


def oddities(facts: Facts) -> Iterator[str]:
    """What may be a mistake, or will make it hard to learn."""
    labeled = facts.split("labeled")
    scarce = [facts.classes[k] for k, number in enumerate(labeled.counts) if number < FEW]
    if scarce:
        yield f"fewer than {FEW} labeled images: {listed(scarce)}"
    if facts.skew >= SKEWED:
        yield f"the classes are out of balance: {per_class(facts, labeled)}"
    if not facts.split("test").images and not facts.split("validation").images:
        yield "nothing measures the student: a folder `test/CLASS` of labeled images would say what was gained"
    if facts.split("unlabeled").images <= labeled.images:
        yield "there are no more unlabeled images than labeled ones: self-training lives on many"
    for one, other, number in facts.copies:
        yield (
            f"{other}: {counted(number, 'image')} of those that were opened, or more, are in {one} too: what is "
            "measured on them says nothing"
        )
    for split in facts.splits:
        if split.unreadable:
            opened = len(split.unreadable) + len(split.widths)
            few = f"{len(split.unreadable):,} of {counted(opened, 'image')} that were opened"
            yield f"{split.name}: {few} cannot be read, e.g. {split.unreadable[0]}"


def proposed(proposal: Proposal) -> Table:
    """What is proposed, and why."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in ({"style": "cyan"}, {"justify": "right"}, {"style": "dim", "overflow": "fold"}):
        table.add_column(**column)  # type: ignore[arg-type]
    for name in SAID:
        table.add_row(name, plainly(proposal[name].value), proposal[name].why)
    return table


def plainly(value: object) -> str:
    """`32 + 96`, `yes`, `0.3`."""
    if isinstance(value, dict):
        return " + ".join(f"{rows:,}" for rows in value.values())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
