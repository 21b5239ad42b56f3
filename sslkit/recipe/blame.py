"""Which line of a recipe an error is about that a plugin raised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DataError
from .message import words_of
from .places import Place, Table


@contextmanager
def blamed(section: str, recipe: Table) -> Iterator[None]:
    """Note on a `DataError` where the recipe says what it complains of: its own keys that the message names."""
    try:
        yield
    except DataError as error:
        table = recipe.get(section)
        if isinstance(table, Table):
            said = words_of(error)
            keys = [key for key in table if re.search(rf"`{re.escape(key)}\b|\b{re.escape(key)} = ", said)]
            for line in [_line(f"`{key}`", table.where(key)) for key in keys] or [_line(f"[{section}]", table.place)]:
                error.add_note(line)
        raise


def _line(what: str, place: Place) -> str:
    """`  labels_per_class: mine.toml, line 3`."""
    line = f", line {place.line}" if place.line else ""
    return f"  {what} is said in {place.source.label}{line}"
