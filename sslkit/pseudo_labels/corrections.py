"""A person's corrections of pseudo-labels, held against the run whose labels they correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..corrections import read_corrections
from ..errors import DataError, SslkitError
from ..images.words import listed, near, printable, shown
from ..recipe.message import counted
from .cells import unguarded
from .stored import Stored, chunks_of, shown_run

MOST = 20_000
"Ids among which one that was meant is looked for; of more, those whose file has the same name."


@dataclass(frozen=True)
class Correction:
    """What a person says of an image, and what was said of it before."""

    id: str
    label: str
    "A class; empty: it is of none."
    was: str
    "The pseudo-label, or the class that a labeled image had."
    confidence: float | None
    "The teacher's, of a pseudo-label; None: it is a labeled image."

    @property
    def confirms(self) -> bool:
        """Whether nothing else is said than before."""
        return self.label == self.was


def judged(path: Path, stored: Stored, done: Callable[[int], None] = lambda number: None) -> list[Correction]:
    """What a file says of the images of a run, in its order.

    Raises `DataError` for a file that is no CSV of ids and labels, or that contradicts itself, and for images and classes
    that the run does not have. `done` is told of images that were looked through.
    """
    said = read_corrections(path)
    where, classes = shown(str(path)), set(stored.classes)
    labels = {text: text if text in classes else unguarded(text) for text in set(said.values())}
    if strange := [text for text, label in labels.items() if label and label not in classes]:
        raise DataError(
            f"{where}: {listed(sorted(strange))} is no class of {shown_run(stored.run)} (an empty label says that an image "
            f"is of none); its classes are {listed(stored.classes)}{near(min(strange), stored.classes)}"
        )
    known = _known(set(said), stored, done)
    if unknown := [text for text in said if text not in known]:
        known |= (labeled := _labeled(unknown, stored, where))
        if missing := [text for text in unknown if text not in labeled]:
            raise DataError(_unknown(missing, stored, where))
    made = [_correction(known[text], labels[label]) for text, label in said.items()]
    _agree(made, where)
    return made


Known = dict[str, tuple[str, str, float | None]]
"As a file writes an id: the id, what was said of the image, and how confidently."


def _known(wanted: set[str], stored: Stored, done: Callable[[int], None]) -> Known:
    """Those of the pool. A text that is an id is that one; else it may be one that was guarded."""
    spelled = {unguarded(text) for text in wanted} | wanted
    rows: dict[str, int] = {}
    for part in chunks_of(len(stored)):
        for row, sample in enumerate(stored.samples.ids(part), part.start):
            if sample in spelled:
                rows[sample] = row
        done(part.stop - part.start)
    found: Known = {}
    for text in wanted:
        sample = text if text in rows else unguarded(text)
        if sample in rows:
            row = rows[sample]
            found[text] = (sample, stored.classes[stored.label[row]], float(stored.confidence[row]))
    return found


def _labeled(texts: list[str], stored: Stored, where: str) -> Known:
    """Those of the labeled images, which a run keeps no list of: its data must be there."""
    from ..measuring.remnant import recipe_of
    from ..opening import open_data

    try:
        data = open_data(recipe_of(stored.run)[0])
    except SslkitError as error:
        raise DataError(
            f"{_unknown(texts, stored, where)}\n    (Whether they are labeled images cannot be seen: {error})"
        ) from error
    classes = dict(zip(data.labeled.ids, data.labeled.truth.tolist(), strict=True))
    spelled = {text: text if text in classes else unguarded(text) for text in texts}
    return {text: (one, data.classes[classes[one]], None) for text, one in spelled.items() if one in classes}


def _unknown(texts: list[str], stored: Stored, where: str) -> str:
    ids = list(_resembling(texts[0], stored))
    example = f". Ids look like {shown(stored.samples.ids([0])[0])}" if len(stored) else ""
    return (
        f"{where} names {counted(len(texts), 'image')} that {shown_run(stored.run)} does not have: {listed(texts)}"
        f"{near(texts[0], ids) or example}"
    )


def _resembling(text: str, stored: Stored) -> Iterator[str]:
    """Ids that may have been meant."""
    name = PurePosixPath(text).name
    for part in chunks_of(len(stored)):
        for sample in stored.samples.ids(part):
            if len(stored) <= MOST or PurePosixPath(sample).name == name:
                yield sample


def _correction(known: tuple[str, str, float | None], label: str) -> Correction:
    sample, was, confidence = known
    return Correction(sample, label, was, confidence)


def _agree(made: list[Correction], where: str) -> None:
    """Raise `DataError` where an image that is written in two ways is of two classes."""
    labels: dict[str, str] = {}
    for one in made:
        if labels.setdefault(one.id, one.label) != one.label:
            raise DataError(
                f"{where}: {shown(one.id)} is {shown(one.label)} in one line and {shown(labels[one.id])} in another: keep one"
            )


def ways(made: list[Correction]) -> list[tuple[str, str, int]]:
    """From a class to another: how many, the most first. An empty name: none of the classes."""
    counts = Counter((one.was, one.label) for one in made if not one.confirms)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], printable(item[0][0]), printable(item[0][1])))
    return [(was, label, number) for (was, label), number in ordered]
