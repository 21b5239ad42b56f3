"""Which images may become what, before it is drawn which of them do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .library import NONE, Rows


@dataclass(frozen=True, eq=False)
class Sources:
    """Which images of a library may become what, before labels are hidden and images are set aside."""

    train: Rows  # their classes are known
    extra: Rows = field(default_factory=NONE.copy)  # unlabeled in any case
    validation: Rows | None = None  # None: set aside from `train`, where the recipe asks for it
    test: Rows | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    "How messages call where the rows of `labeled`, `unlabeled`, `validation` and `test` are from; as in `train`."
    pools: bool = False
    "Whether there are to be unlabeled images though neither `extra` has any nor a label is hidden."
    lack: str = ""
    "Why there is nothing to label, where `train` is empty."
    remarks: tuple[str, ...] = ()
    "What else is to be said of them."
    gone: Rows = field(default_factory=NONE.copy)
    "What was in `train`, and is left out."

    def name(self, key: str) -> str:
        """How messages call a source."""
        return self.names.get(key, "the data")
