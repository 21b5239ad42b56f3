"""Pictures that a run kept: what the student saw, and images whose labels changed, are wrong, or are unsure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images.words import printable
from ..tables import percent
from .folder import RunFolder
from .parts import Choice, Part, Picture, Pictures, Prose, Section

if TYPE_CHECKING:
    from ..pictures import GenerationPictures, LabeledPicture, Row, StreamPictures, ViewPictures

LISTS = {
    "changed": "Labels that changed since the generation before",
    "wrong": "Wrong labels that taught, the surest first",
    "unsure": "Labels that taught, the least sure first",
}


def pictures(run: RunFolder) -> Section:
    """Streams with their views, noise by noise; then examples of pseudo-labels."""
    if not (run.path / "pictures").is_dir():
        why = (
            "its recipe says pictures = 0"
            if run.table.get("pictures") == 0
            else "it was made before runs kept some, or has not trained yet"
        )
        return Section("pictures", "What the student saw", [Prose(f"The run keeps no pictures: {why}.", "note")])
    from ..pictures import load_pictures

    found = load_pictures(run.path)
    parts: list[Part] = [Prose(f"{one.problem}.", "warning") for one in found if one.problem]
    there = [one for one in found if one.problem is None and (one.streams or any(getattr(one, kind) for kind in LISTS))]
    if there:
        options: list[tuple[str, list[Part]]] = []
        for one in there:
            try:
                options.append((run.title(one.generation), _told(run, one)))
            except (TypeError, ValueError, LookupError, AttributeError):  # what no run writes
                text = f"The pictures of generation {one.generation} are damaged: something else stands in their place."
                parts.append(Prose(text, "warning"))
        if options:
            parts.append(Choice("Pictures of", options, len(options) - 1))
    return Section("pictures", "What the student saw", parts or [Prose("No pictures were kept.", "note")])


def _told(run: RunFolder, one: GenerationPictures) -> list[Part]:
    numbers = {name: number for number, name in enumerate(run.classes)}
    parts: list[Part] = []
    for stream in one.streams.values():
        parts += [_view(stream, view, numbers) for view in stream.views]
    for kind, title in LISTS.items():
        if images := getattr(one, kind):
            parts.append(_examples(title, images, numbers))
    return parts


def _view(stream: StreamPictures, view: ViewPictures, numbers: dict[str, int]) -> Pictures:
    """Images of a view: the original, each noise by itself, all of it, and after mixing."""
    noises = [noise for noise in view.noises if noise in view.alone] if len(view.noises) > 1 else []
    together = "all noise" if noises else view.noises[0] if view.noises else "as shown"
    columns = {**{noise: view.alone[noise] for noise in noises}, together: view.images}
    if view.mixed:
        columns["mixed"] = view.mixed
    rows = []
    for place, row in enumerate(stream.rows[: len(view.images)]):
        own = [Picture(row.original.uri, _named(row), _said(row))]
        seen = [(printable(name), images[place]) for name, images in columns.items() if place < len(images)]
        rows.append([*own, *(Picture(one.uri, f"{_named(row)}: {name}", name) for name, one in seen)])
    who = f" for the {' and the '.join(view.models)}" if view.models else ""
    caption = (
        f"View {printable(view.name)}{who}: the first {stream.name} images of the first step beside what "
        "noise made of them."
    )
    return Pictures(rows, caption, _keys([row.label for row in stream.rows], numbers))


def _named(row: Row) -> str:
    return f"{printable(row.id)}, {printable(row.label)}" if row.label is not None else printable(row.id)


def _said(row: Row) -> str:
    label = printable(row.label) if row.label is not None else "no label"
    sure = f" {percent(row.confidence, 0)}" if row.confidence is not None else ""
    wrong = (
        f", is {printable(row.truth)}"
        if row.truth is not None and row.label is not None and row.truth != row.label
        else ""
    )
    return f"{label}{sure}{wrong}" + ("" if row.kept else " · not kept") + (" · of no class" if row.outside else "")


def _examples(title: str, images: Sequence[LabeledPicture], numbers: dict[str, int]) -> Pictures:
    """Examples of pseudo-labels."""
    rows = [[Picture(one.image.uri, f"{printable(one.id)}, {printable(one.label)}", _words(one))] for one in images]
    return Pictures(rows, f"{title}.", _keys([one.label for one in images], numbers))


def _words(one: LabeledPicture) -> str:
    was = f"{printable(one.before)} → " if one.before is not None else ""
    right = "" if one.truth is None else " · right" if one.truth == one.label else f" · is {printable(one.truth)}"
    return (
        f"{was}{printable(one.label)} · {percent(one.confidence, 0)}{right}"
        + (" · of no class" if one.outside else "")
        + ("" if one.kept else " · not kept")
    )


def _keys(labels: Sequence[str | None], numbers: dict[str, int]) -> list[dict[str, str]]:
    known = [printable(label) if label is not None else "" for label in labels]
    return [{"class": str(numbers[label])} if label in numbers else {} for label in known]
