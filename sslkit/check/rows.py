"""The rows of a method's tree: each part of its picture in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..recipe.message import listed, shown
from ..tables import count, duration, size

INIT = {"scratch": "from scratch", "previous": "from the previous weights", "continue": "going on"}
WHEN = {"pool": "before training, for the whole pool", "step": "at each step"}
TEACHER = {
    "previous": "by the generation before", "student": "by the student itself", "average": "by the student's average",
    "other": "by a teacher of their own", None: "no teacher yet",
}  # fmt: skip
LEAST = 0.005
"Share of all memory from which on a part of it is said."
BARS = "▁▂▃▄▅▆▇█"


class Line(NamedTuple):
    """A row of the tree: a label, its pieces, the rows below it."""

    label: str
    pieces: tuple[str, ...]
    below: tuple[Line, ...] = ()


# The recipe and its generations ---------------------------------------------------------------------------------------


def head_pieces(picture: dict[str, Any]) -> list[str]:
    """Data, and what the whole run takes."""
    data = picture["data"]
    sizes = (
        "not opened" if data["images"] is None else listed(f"{count(n)} {name}" for name, n in data["images"].items())
    )
    generations, seconds = len(picture["generations"]), picture["seconds"]
    return [
        f"{plugin(data)}: {sizes}",
        f"{data['classes']:,} classes",
        f"{count(picture['steps'])} steps" + (f" in {generations} generations" if generations > 1 else ""),
        f"and {count(picture['baseline_steps'])} of a supervised baseline" if picture["baseline_steps"] else "",
        lasting(seconds) if seconds is not None else "",
        f"{size(picture['memory'])} of memory beside Python's own" if picture["memory"] is not None else "",
        disk_words(picture["disk"], picture["disk_per_unlabeled_image"]),
        picture["precision"] if picture["precision"] != "float32" else "",
    ]


def title_of(same: Sequence[dict[str, Any]]) -> str:
    """`generation 0`, `generations 1-3`."""
    first, last = same[0]["generation"], same[-1]["generation"]
    return f"generation {first}" if first == last else f"generations {first}-{last}"


def disk_words(number: int | None, each: int) -> str:
    """The room that a run takes; of a pool that is not there, what each image of it takes."""
    return (
        ""
        if number is None
        else f"{size(number)} of disk" + (f" and {size(each)} for each unlabeled image" if each else "")
    )


def generation_pieces(same: Sequence[dict[str, Any]]) -> list[str]:
    """What a generation starts from, and how long it takes."""
    part, each = same[0], " each" if len(same) > 1 else ""
    seconds = [one["seconds"] for one in same if one["seconds"] is not None]
    return [
        f"{count(part['steps'])} steps{each}",
        INIT[part["init"]],
        lasting(sum(seconds) / len(seconds)) + each if seconds else "",
    ]


def lasting(seconds: float) -> str:
    """An estimated time."""
    return f"about {duration(seconds)}" if seconds >= 1 else "under 1 s"


def lines_of(same: Sequence[dict[str, Any]]) -> list[Line]:
    """The rows of a generation, or of several that are alike."""
    part = same[0]
    return [
        Line("model", model_pieces(part["model"])),
        Line("optimizer", (part["optimizer"]["name"], *settings(part["optimizer"]["settings"]))),
        *(Line("schedule", schedule_pieces(one)) for one in part["schedules"]),
        *stream_lines(part["streams"]),
        *labels_lines(same),
        *(Line("average", (plugin(one),)) for one in part["averages"]),
        *(Line("pass", pass_pieces(one)) for one in part["passes"]),
        *(
            line
            for number in range(len(part["losses"]))
            for line in loss_lines([one["losses"][number] for one in same])
        ),
        *(Line("step", step_pieces(one)) for one in part["step"]),
        *([Line("metric", metric_pieces(part))] if part["metrics"] else []),
        *([memory_line(same)] if part["memory"] else []),
    ]


def plugin(table: dict[str, Any]) -> str:
    """`confidence (threshold 0.3)`; the plugin behind another name is said too."""
    use = table["use"].rpartition("/")[2]
    name = table["name"] if use in ("", table["name"]) else f"{table['name']}: {use}"
    said = settings(table["settings"])
    return f"{name} ({', '.join(said)})" if said else name


def chain(tables: Sequence[dict[str, Any]]) -> str:
    """Plugins in the order in which they act."""
    return " > ".join(map(plugin, tables))


def settings(table: dict[str, Any]) -> list[str]:
    """`rate 0.1`, one text for each setting."""
    return [f"{key} {plainly(value)}" for key, value in table.items()]


def plainly(value: Any) -> str:
    """A value as people write it: text without quotes, thousands apart."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return shown(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def model_pieces(model: dict[str, Any]) -> tuple[str, ...]:
    """The student."""
    frozen = model["frozen"]
    return (
        model["name"],
        f"{model['image_size']} px",
        *(f"{key} {each_channel(model[key])}" for key in ("mean", "std") if model[key]),
        f"{model['parameters']:,} parameters",
        f"{frozen:,} of them frozen" if frozen else "",
        *settings(model["settings"]),
        *map(plugin, model["noise"]),
    )


def each_channel(values: Sequence[float]) -> str:
    """Numbers of the channels; one where all are alike."""
    return " ".join(f"{value:.3g}" for value in (values if len(set(values)) > 1 else values[:1]))


def schedule_pieces(one: dict[str, Any]) -> tuple[str, ...]:
    """A schedule as a small curve, over progress."""
    values = one["values"]
    low, high = one["lowest"], one["highest"]
    return (
        f"{one['target']} {bars(values)}",
        f"{values[0]:.3g} to {values[-1]:.3g}" + (f", at most {high:.3g}" if high > max(values[0], values[-1]) else "")
        + (f", at least {low:.3g}" if low < min(values[0], values[-1]) else ""),
        plugin(one["by"]),
    )  # fmt: skip


def bars(values: Sequence[float]) -> str:
    """Numbers as bars, the largest full; what is 0 lies on the ground."""
    top = max(map(abs, values)) or 1.0
    return "".join(BARS[min(7, max(0, math.ceil(abs(value) / top * 8) - 1))] for value in values)


def stream_lines(streams: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """Streams with their views; noise that another view has too is said there."""
    known: dict[str, str] = {}
    for one in streams:
        drawn = f"{count(one['drawn'])} in all" + (f", each {times(one['times'])}" if one["times"] else "")
        mu = f" (mu {one['mu']:g})" if one["mu"] else ""
        pieces = (
            f"{one['name']}: {count(one['rows'])} images a step{mu}",
            f"off: {one['off']}" if one["off"] else drawn,
        )
        yield Line("stream", pieces, tuple(view_line(view, known) for view in one["views"]))


def view_line(view: dict[str, Any], known: dict[str, str]) -> Line:
    """A view and what perturbs its images. `known`: noise that was said, and of which view."""
    noise = chain([*view["noise"], *view["mixed"]])
    other = known.setdefault(noise, view["name"])
    said = noise if other == view["name"] else f"the noise of {other}"
    return Line("view", (view["name"], said if noise else "no noise on its images"))


def times(number: float) -> str:
    """How often an image is seen."""
    return f"{number:,.0f} times" if number >= 10 else f"{number:.2g} times"


# Labels, passes, losses -----------------------------------------------------------------------------------------------


def labels_lines(same: Sequence[dict[str, Any]]) -> list[Line]:
    """Who makes pseudo-labels at each timing, and what becomes of them."""
    if not same[0]["labels"]:
        return [Line("labels", ("none are made",))]
    return [labels_line([one["labels"][number] for one in same]) for number in range(len(same[0]["labels"]))]


def labels_line(same: Sequence[dict[str, Any]]) -> Line:
    """The labels of one timing."""
    one = same[0]
    if one["teacher"] is None:
        return Line("labels", (WHEN[one["timing"]], TEACHER[None]))
    seen = f", from the view{'s' * (len(one['views']) > 1)} {listed(one['views'])}" if one["views"] else ""
    kept = [share for labels in same for share in labels["kept"].values()]
    return Line("labels", (
        WHEN[one["timing"]],
        TEACHER[one["teacher"]] + seen,
        chain(one["plugins"]),
        kept_words(kept) if kept else "",
    ))  # fmt: skip


def kept_words(shares: Sequence[float]) -> str:
    """What filters keep of a teacher that has learned nothing: it is sure of nothing, too."""
    return f"of an untrained teacher's labels filters keep {span(shares, 100)}%"


def pass_pieces(table: dict[str, Any]) -> tuple[str, ...]:
    """A pass and how it runs."""
    views = " + ".join(table["views"]) + (" together" if len(table["views"]) > 1 else "")
    statistics = "the batch's statistics" if table["batch_norm"] == "batch" else "running statistics"
    return (
        f"{table['model']}: {views}",
        statistics + (", written" if table["write_stats"] else ""),
        "with noise" if table["noise"] else "without noise",
    )


def loss_lines(same: Sequence[dict[str, Any]]) -> list[Line]:
    """A loss with what was seen of each of its terms."""
    one = same[0]
    what = plugin(one) + (f" on {listed(one['on'])}" if one["on"] else "")
    if one["off"]:
        return [Line("loss", (what, f"off: {one['off']}"))]
    if not one["terms"]:
        mark, why = ("✗ ", "answers no term") if one["silent"] else ("? " if one["unjudged"] else "", one["unjudged"])
        return [Line("loss", (f"{mark}{what}", why))]
    return [term_line(what, one, [loss["terms"][i] for loss in same]) for i in range(len(one["terms"]))]


def term_line(what: str, loss: dict[str, Any], terms: Sequence[dict[str, Any]]) -> Line:
    """What was seen of one term, in all generations that are alike."""
    one = terms[0]
    mark = "✗" if one["trouble"] else "?" if one["unjudged"] else "✓"
    verdict = one["trouble"] or ("not judged" if one["unjudged"] else "moves the student" if one["moved"] else "")
    return Line("loss", (
        f"{mark} {what}" + ("" if one["name"] in (loss["name"], "") else f", term {one['name']}"),
        f"value {span(term['value'] for term in terms)}",
        "" if one["weight"] in (None, 1) or "weight" in loss["settings"] else f"weight {one['weight']:g}",
        "" if one["gradient"] is None else f"gradient {span(term['gradient'] for term in terms)}",
        verdict,
    ))  # fmt: skip


def span(numbers: Iterable[float], scale: int = 1) -> str:
    """`0.5`, or `0.5 to 0.7` where they differ."""
    known = sorted(numbers)
    low, high = f"{scale * known[0]:.3g}", f"{scale * known[-1]:.3g}"
    return low if low == high else f"{low} to {high}"


def step_pieces(one: dict[str, Any]) -> tuple[str, ...]:
    """A step of another shape: what it moves."""
    if not one["moved"]:
        return (plugin(one),)
    moving = [name for name, moved in one["moved"].items() if moved]
    return (f"{'✓' if moving else '✗'} {plugin(one)}", f"moves {' + '.join(moving) or 'no weight'}")


def metric_pieces(part: dict[str, Any]) -> tuple[str, ...]:
    """What is measured, and how often."""
    every = part["evaluate_every"]
    return (*map(plugin, part["metrics"]), f"every {count(every)} steps" if every else "at the end")


def memory_line(same: Sequence[dict[str, Any]]) -> Line:
    """What training or labeling takes, apart by what takes it; of several generations, the most."""
    known = [one["memory"] for one in same]
    most = max(known, key=lambda memory: int(memory["total"]))
    names = {
        "others": "average + teacher",
        "activations": "activations",
        "images": "images",
        "ahead": "views made ahead",
    }
    said = {name: number for name, number in most.items() if name != "total" and number >= LEAST * most["total"]}
    parts = [f"{names.get(name, name)} {size(number)}" for name, number in said.items()]
    upmost = "at most " if len({memory["total"] for memory in known}) > 1 else ""
    return Line("memory", (f"{upmost}{size(most['total'])}: {', '.join(parts[:3])}", ", ".join(parts[3:])))
