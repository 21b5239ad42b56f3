"""What a data plugin says of a folder that it can read: `sslkit init` asks each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recognized:
    """A folder that a data plugin can open, and how.

    A class of `sslkit.data` may have a static method `recognize(folder: Path) -> Recognized | None`. It looks at names
    (and at most at a few files' first bytes), opens no image, and answers in a second or so; None: the folder is not of
    its kind. It raises `DataError` where the folder is of its kind, and cannot be used as it is: what is wrong, and what
    is expected. `sslkit init` takes the surest answer, opens the data by these settings, and counts and measures what
    `open_data` answers: neither counts nor sizes need to be said here. A class with a field `leave_out`
    gets `["unreadable", "duplicates"]` there, where looking at every image takes no more than minutes.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of `[data]` beside `use`: numbers, texts, lists, and `Path`s, which are written as paths from the recipe's
    folder."""
    certainty: float
    """How sure it is, from 0 to 1. About 0.9: files that only this format has (`data_batch_1.bin`); 0.7: files or folders
    with names that the format prescribes; 0.5: folders that can be read so, such as folders of classes; 0.2: a guess."""
    found: tuple[str, ...] = ()
    """What it saw, a line each, for a person to read: ``labeled images in `labeled`, a folder for each class``."""

    pool: str = ""
    "What to do where it has no images without labels: ``files into a folder `unlabeled` ``."

    def __post_init__(self) -> None:
        if not 0 <= self.certainty <= 1:
            raise ValueError(f"certainty = {self.certainty}, but it is a share from 0 to 1")
