"""Names of files and classes in messages."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 8
"Names listed in a message."


def printable(name: str) -> str:
    """A file's name as it can be shown and compared: one way to write accents, escapes for what is no text."""
    text = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(name: str) -> str:
    """A name as messages have it."""
    return f"`{printable(name)}`"


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = [f"and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
    return ", ".join([*map(shown, names[:SHOWN]), *more])


def near(name: str, choices: Iterable[str]) -> str:
    """`. Did you mean ...?`, if a choice resembles the name."""
    lower = {printable(choice).lower(): choice for choice in choices}
    close = get_close_matches(printable(name).lower(), lower, n=1)
    return f". Did you mean {shown(lower[close[0]])}?" if close else ""


def tally(counts: Counter[str]) -> str:
    """`.txt (12), hidden (3)`: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{what} ({count:,})" for what, count in ordered)


def counted(number: int, word: str) -> str:
    """`1 image`, `1,200 images`."""
    return f"{number:,} {word}" + "s" * (number != 1)
