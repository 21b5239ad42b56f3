"""The images of each split: how many, of which classes and sizes, how they are stored, copies, and what cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..dataset import OUTSIDE, UNKNOWN, Data, Images, Look
from ..images.copies import contradictory, repeated, shared
from ..images.words import counted, listed, printable
from ..tables import count

Looks = Mapping[str, Sequence[Look]]

NAMED = 8
"Images that are named, where there are more."
LONGEST = 20
"Characters of a class's name in a row."


def of_images(data: Data, looks: Looks | None) -> dict[str, Any]:
    """Everything that is said of a data's images; `looks` at those of each split, None: they were not looked at."""
    return {
        "looked_at": looks is not None,
        "splits": {name: of_split(data, images, (looks or {}).get(name)) for name, images in data.splits.items()},
        "shared": [
            {"split": one.split, "other": one.other, "images": len(one.ids), "named": named(one.ids)}
            for one in (shared(data, looks) if looks else [])
        ],
    }


def of_split(data: Data, images: Images, looks: Sequence[Look] | None) -> dict[str, Any]:
    """One split; None stands for what is not known."""
    counts = np.bincount(images.truth[images.truth >= 0], minlength=len(data.classes))
    known = bool(counts.sum())
    return {
        "images": len(images),
        "classes": int((counts > 0).sum()),
        "smallest_class": of_class(data, counts, int(counts.argmin())) if known else None,
        "largest_class": of_class(data, counts, int(counts.argmax())) if known else None,
        "of_other_classes": int((images.truth == OUTSIDE).sum()),
        "of_unknown_class": int((images.truth == UNKNOWN).sum()),
        **(of_looks(images, looks) if looks is not None else dict.fromkeys(FOUND)),
    }


def of_class(data: Data, counts: Sequence[int] | np.ndarray[Any, Any], number: int) -> dict[str, Any]:
    """A class and its images."""
    return {"name": data.classes[number], "images": int(counts[number])}


FOUND = ("sizes", "formats", "duplicates", "contradictory", "unreadable", "unreadable_named", "problem")
"What only those know who looked at the images."


def of_looks(images: Images, looks: Sequence[Look]) -> dict[str, Any]:
    """What was found. Sizes are (width, height): those of the smallest and the largest image, and both sides' medians."""
    sound = [look for look in looks if not look.problem]
    broken = [row for row, look in enumerate(looks) if look.problem]
    odd = contradictory(looks, images.truth)
    return {
        "sizes": sizes([(look.width, look.height) for look in sound]) if sound else None,
        "formats": dict(Counter(look.kind for look in sound).most_common()),
        "duplicates": repeated(looks),
        "contradictory": named([images.ids[row] for row in odd]),
        "unreadable": len(broken),
        "unreadable_named": named([images.ids[row] for row in broken]),
        "problem": looks[broken[0]].problem if broken else "",
    }


def sizes(pairs: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    """The smallest and the largest (width, height) by area, and the median of each."""
    area = np.array([width * height for width, height in pairs])
    middle = np.median(np.array(pairs), axis=0).round().astype(int)
    return {
        "smallest": list(pairs[int(area.argmin())]), "median": middle.tolist(), "largest": list(pairs[int(area.argmax())]),
    }  # fmt: skip


def named(ids: Sequence[str]) -> list[str]:
    """The first few, as they can be printed."""
    return [printable(sample) for sample in ids[:NAMED]]


# In words ---------------------------------------------------------------------------------------------------------------


def title_pieces(found: dict[str, Any]) -> list[str]:
    """What is to be said of all splits."""
    if not found["looked_at"]:
        return ["images were not looked at"]
    broken = sum(one["unreadable"] for one in found["splits"].values())
    measures = [name for name in ("validation", "test") if name in found["splits"]]
    copies = [
        f"{counted(one['images'], 'image')} of {one['split']} in {one['other']} as well" for one in found["shared"]
    ]
    return [
        f"{counted(broken, 'image')} cannot be read" if broken else "every image can be read",
        *(copies or ([f"no copy of {' or '.join(measures)} images in other splits"] if measures else [])),
    ]


def split_rows(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Each split's name and its pieces; counts end in one column."""
    width = max(len(count(one["images"])) for one in found["splits"].values())
    return [
        (name, [f"{count(one['images']):>{width}} image{'s' * (one['images'] != 1)}", *classes_pieces(one), *look_pieces(one)])
        for name, one in found["splits"].items()
    ]  # fmt: skip


def classes_pieces(one: dict[str, Any]) -> list[str]:
    """`10 classes, 4 each`; `3 classes, smallest owl (8), largest cat (120)`; what is of none of them."""
    least, most = one["smallest_class"], one["largest_class"]
    known = ""
    if least is not None:
        low, high = (f"{short(k['name'])} ({count(k['images'])})" for k in (least, most))
        low = f"smallest {low}" if least["images"] else f"none of {short(least['name'])}"
        alike = least["images"] == most["images"]
        each = f"{count(most['images'])} each" if alike else f"{low}, largest {high}"
        known = f"{one['classes']:,} class{'es' * (one['classes'] != 1)}, {each}"
    others = f"{count(one['of_other_classes'])} of other classes" if one["of_other_classes"] else ""
    rest = one["of_unknown_class"]
    return [
        known,
        others,
        "" if not rest else "classes not known" if least is None else f"{count(rest)} of unknown class",
    ]


def short(name: str) -> str:
    """A class's name in a row."""
    name = printable(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def look_pieces(one: dict[str, Any]) -> list[str]:
    """Sizes, formats, copies, and what cannot be read."""
    formats = [f"{printable(kind)} {count(n)}" for kind, n in (one["formats"] or {}).items()]
    alone = "".join(map(printable, one["formats"] or {})).replace("array", "")
    return [
        size_words(one["sizes"]) if one["sizes"] else "",
        ", ".join(formats) if len(formats) > 1 else alone,
        f"{count(one['duplicates'])} the same as another" if one["duplicates"] else "",
        f"✗ {count(one['unreadable'])} cannot be read" if one["unreadable"] else "",
    ]


def size_words(found: dict[str, list[int]]) -> str:
    """`8 x 8 px`, or from the smallest to the largest."""
    least, middle, most = (f"{width:,} x {height:,}" for width, height in found.values())
    return f"{least} px" if least == most else f"{least} to {most} px, median {middle}"


def warnings_of(found: dict[str, Any]) -> list[str]:
    """Copies that spoil what is learned or measured."""
    said = [
        f"{counted(one['images'], 'image')} of {one['split']} in {one['other']} as well ({names(one['named'], one['images'])}): "
        'what is measured there looks better than it is. `leave_out = ["duplicates"]` in [data] leaves them out, where its '
        "plugin has that setting"
        for one in found["shared"]
    ]  # fmt: skip
    odd = found["splits"]["labeled"]["contradictory"]
    return [*said, *([f"the same image has labels that differ: {listed(odd)}"] if odd else [])]


def problems_of(found: dict[str, Any]) -> list[dict[str, str]]:
    """Images that a run would stop at."""
    return [
        {
            "problem": f"{counted(one['unreadable'], 'image')} of {name} cannot be read: "
            f"{names(one['unreadable_named'], one['unreadable'])}. The first: {one['problem']}",
            "advice": 'put readable ones in their place; `leave_out = ["unreadable"]` in [data] does without them, where '
            "its plugin has that setting",
        }
        for name, one in found["splits"].items()
        if one["unreadable"]
    ]


def names(first: Sequence[str], total: int) -> str:
    """The first names, and how many more there are."""
    return listed(first) + (f", and {total - len(first):,} more" if total > len(first) else "")
