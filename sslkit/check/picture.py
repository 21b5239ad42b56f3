"""A recipe's composition as plain data: what `sslkit check --json` prints, and what its tree is drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..dataset import Data
from ..hooks import Hooks
from ..recipe.draft import RESERVED, STREAMS
from ..recipe.merge import name_of
from ..recipe.model import CLEAN, Entry, Generation, OptimizerTable, PassTable, Recipe
from ..recipe.places import Table, plain
from ..types import Facts, Progress
from .clock import generation_seconds
from .composition import Composition
from .needs import disk, per_image
from .seen import GenerationProbe, Seconds
from .trial import TermProbe

MEMORY = ("weights", "gradients", "optimizer", "others", "activations", "images", "ahead", "labeling")
"What takes memory, by its name in `Needs`."
POINTS, FINE, CLOSE = 24, 40, 1000
"Steps at which a schedule is shown, and how many times as many its extremes are looked for at, then more closely there."


def picture(
    recipe: Recipe,
    found: Sequence[GenerationProbe],
    facts: Facts,
    data: Data | None,
    baseline: Seconds | None = None,
    images: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that a recipe composes, generation by generation. `baseline`: what its steps take, where it has one;
    `images`: what is known of the splits' images.

    Numbers are bytes and seconds; None stands for what is not known.
    """
    each = [Composition(cfg, seen) for cfg, seen in zip(recipe.generations, found, strict=True)]
    lengths = generation_seconds(recipe, found, data) if data is not None and all(s.seconds for s in found) else None
    steps = sum(cfg.settings.steps for cfg in recipe.generations)
    generations = [of_generation(one, facts, data) for one in each]
    for part, seconds in zip(generations, lengths or [], strict=False):
        part["seconds"] = seconds
    memory = [part["memory"]["total"] for part in generations if part["memory"]]
    return {
        "recipe": recipe.name,
        "data": {**of_data(recipe, each[0], facts, data), **(images or {})},
        "steps": steps,
        "baseline_steps": steps if recipe.settings.baseline else 0,
        "seconds": sum(lengths) + (steps * baseline.step if baseline else 0) if lengths else None,
        "memory": max(memory) if len(memory) == len(generations) else None,
        "disk": disk(found, recipe.settings.baseline),
        "disk_per_unlabeled_image": per_image(found, len(facts.classes), recipe.settings.label_top)
        if data is None
        else 0,
        "precision": recipe.settings.precision,
        "generations": generations,
    }


def of_data(recipe: Recipe, first: Composition, facts: Facts, data: Data | None) -> dict[str, Any]:
    """Where images come from, and how many there are."""
    (entry,) = first.of("data")
    sizes = None if data is None else {name: len(images) for name, images in data.splits.items()}
    return {**of_plugin(entry, first.cfg), "classes": len(facts.classes), "images": sizes}


def of_generation(one: Composition, facts: Facts, data: Data | None) -> dict[str, Any]:
    """One generation, in the order in which it is shown."""
    cfg, seen = one.cfg, one.seen
    needs = seen.needs
    memory = None if needs is None else {
        "total": needs.memory,
        **{name: getattr(needs, name) for name in MEMORY},
    }  # fmt: skip
    return {
        "generation": cfg.index,
        "init": cfg.settings.init if cfg.index else "scratch",
        "steps": cfg.settings.steps,
        "seconds": None,
        "model": of_model(one),
        "optimizer": of_optimizer(cfg),
        "schedules": curves(one, facts),
        "streams": [of_stream(one, name, data) for name in STREAMS if getattr(cfg.settings.batch, name)],
        "labels": [of_labels(one, timing) for timing in one.asked_timings],
        "averages": [of_plugin(entry, cfg) for entry in one.averages],
        "passes": [{**dataclasses.asdict(table), "views": on} for table in one.plan if (on := views_on(one, table))],
        "losses": of_losses(one, data),
        "step": [{**of_plugin(entry, cfg), "moved": seen.moved} for entry in one.of("step")],
        "metrics": [of_plugin(entry, cfg) for entry in one.of("metric")],
        "evaluate_every": cfg.settings.evaluate_every,
        "memory": memory,
        "tried": seen.tried,
    }


def views_on(one: Composition, table: PassTable) -> list[str]:
    """The views of a pass whose streams are on."""
    return [view for view in table.views if view == CLEAN or one.rows.get(view)]


def of_plugin(entry: Entry, cfg: Generation) -> dict[str, Any]:
    """A plugin and what the recipe says of it; what it leaves to defaults is not repeated."""
    return {"name": entry.name, "use": entry.use, "on": list(entry.on), "settings": said_of(entry, cfg)}


def said_of(entry: Entry, cfg: Generation) -> dict[str, Any]:
    """The settings that a recipe says of a plugin, as they stand."""
    section = cfg.table.get(entry.section)
    tables = section if isinstance(section, list) else [section]
    own = next((t for t in tables if isinstance(t, Table) and name_of(t) == entry.name), None)
    if own is None:  # put in by a caller, not by a recipe
        return {}
    return {key: shortened(value) for key, value in plain(own).items() if key not in (*RESERVED, "after")}


def shortened(value: Any) -> Any:
    """Paths below the current folder as they are typed there."""
    if isinstance(value, str) and value.startswith("/") and Path(value).is_relative_to(Path.cwd()):
        return str(Path(value).relative_to(Path.cwd()))
    return value


def of_model(one: Composition) -> dict[str, Any]:
    """The student: its size, what else the recipe says of it, the noise in it."""
    table = one.cfg.table.get("model")
    said = plain(table) if isinstance(table, Table) else {}
    settings = {k: shortened(v) for k, v in said.items() if k not in ("name", "size", "mean", "std", "options", "use")}
    seen = one.seen
    return {
        "name": seen.model,
        "use": said.get("use"),
        "image_size": seen.image_size,
        "mean": list(seen.mean),
        "std": list(seen.std),
        "parameters": seen.parameters,
        "frozen": seen.frozen,
        "settings": {**settings, **said.get("options", {})},
        "noise": [of_plugin(entry, one.cfg) for entry in one.in_model],
    }


def of_optimizer(cfg: Generation) -> dict[str, Any]:
    """The optimizer's name and what the recipe says of it."""
    table = cfg.table.get("optimizer")
    said = plain(table) if isinstance(table, Table) else {}
    settings = {key: value for key, value in said.items() if key not in ("name", "options")}
    return {"name": said.get("name", OptimizerTable.name), "settings": {**settings, **said.get("options", {})}}


def curves(one: Composition, facts: Facts) -> list[dict[str, Any]]:
    """What each schedule drives, and the value at points from the first step to the last: computed as training does."""
    cfg, steps = one.cfg, one.cfg.settings.steps
    schedules = one.of("schedule")
    hooks = Hooks(cfg.entries())
    plugins = {entry.name: entry.plugin for entry in hooks.entries}
    hooks.begin(facts, Progress(0, cfg.index, 0, steps))
    names = {target: target.partition(".")[::2] for entry in schedules for target in entry.on}

    def value(target: str, step: int) -> float:
        rate = hooks.schedule(Progress(0, cfg.index, step, steps))
        name, field = names[target]
        return cfg.optimizer.rate * rate if target == "lr" else float(getattr(plugins[name], field))

    return [
        {"target": target, "by": of_plugin(entry, cfg), **of_curve(partial(value, target), steps)}
        for entry in schedules
        for target in entry.on
    ]


def of_curve(value: Callable[[int], float], steps: int) -> dict[str, Any]:
    """A schedule's values at `POINTS` steps from the first to the last, and its extremes."""
    last = FINE * (POINTS - 1)
    grid = [round(point * (steps - 1) / last) for point in range(last + 1)]
    values = [value(step) for step in grid]
    low, high = values.index(min(values)), values.index(max(values))
    near = {step for at in (low, high) for step in between(grid[max(at - 1, 0)], grid[min(at + 1, last)])}
    all_values = [*values, *map(value, sorted(near))]
    return {"values": values[::FINE], "lowest": min(all_values), "highest": max(all_values)}


def between(first: int, last: int) -> range:
    """Steps from one to another, or as many of them as can be looked at."""
    return range(first, last + 1, max(1, (last - first) // CLOSE))


def of_stream(one: Composition, stream: str, data: Data | None) -> dict[str, Any]:
    """A stream: its rows in a step, how much of the data that draws, its views and the noise on each."""
    rows, steps, images = one.streams.get(stream), one.cfg.settings.steps, data.splits.get(stream) if data else None
    drawn = (rows or 0) * steps
    views = [name for name, view in one.cfg.views.items() if view.stream == stream]
    return {
        "name": stream,
        "rows": getattr(one.cfg.settings.batch, stream),
        "mu": one.cfg.settings.batch.unlabeled / one.cfg.settings.batch.labeled if stream == "unlabeled" else None,
        "off": None if rows and (data is None or images is not None) else why_off(one, stream, data),
        "drawn": drawn,
        "times": drawn / len(images) if images is not None and len(images) else None,
        "views": [of_view(one, name) for name in views],
    }


def why_off(one: Composition, stream: str, data: Data | None) -> str:
    """Why a stream is not there."""
    if data is not None and stream not in data.splits:
        return f"the data has no {stream} images"
    return "no teacher yet"


def of_view(one: Composition, name: str) -> dict[str, Any]:
    """A view and what perturbs it, in order; mixing comes last."""
    return {
        "name": name,
        "noise": [of_plugin(entry, one.cfg) for entry in one.on_view(name)],
        "mixed": [of_plugin(entry, one.cfg) for entry in one.mixing(name)],
        "made": not one.seen.tried or name in one.seen.views,
    }


def of_labels(one: Composition, timing: str) -> dict[str, Any]:
    """Who labels at a timing, from which views, and what becomes of the labels."""
    return {
        "timing": timing,
        "teacher": one.seen.teachers.get(timing),
        "views": one.label_views(timing),
        "plugins": [of_plugin(entry, one.cfg) for entry in one.chain(timing)],
        "kept": {stream: share for (when, stream), share in one.seen.shares.items() if when == timing},
    }


def of_losses(one: Composition, data: Data | None) -> list[dict[str, Any]]:
    """Every loss with its terms, then terms that answer to no loss's name."""
    seen, entries = one.seen, one.of("loss")
    found = []
    for entry in entries:
        off = entry.name in seen.waiting or (not seen.tried and not loss_is_on(one, entry))
        terms = [of_term(term) for term in seen.terms.values() if term.owner == entry.name]
        found.append({
            **of_plugin(entry, one.cfg),
            "off": why_loss_off(one, data) if off else None,
            "silent": entry.name in seen.silent and not seen.moved,
            "unjudged": why_unjudged(one, entry),
            "terms": terms,
        })  # fmt: skip
    known = {entry.name for entry in entries}
    others = [term for term in seen.terms.values() if term.owner not in known]
    nobodys: dict[str, Any] = {"use": "", "on": [], "settings": {}, "off": None, "silent": False, "unjudged": ""}
    return [*found, *({"name": t.name or "(no name)", **nobodys, "terms": [of_term(t)]} for t in others)]


def why_unjudged(one: Composition, entry: Entry) -> str:
    """Why a loss that is on answered no term, where that is no fault of its own."""
    if entry.name in one.seen.filling:
        return "not judged: its memory still fills"
    step = next((e.name for e in one.of("step")), "")
    return f"not judged: `{step}` does not ask for it" if one.seen.moved and entry.name in one.seen.silent else ""


def of_term(term: TermProbe) -> dict[str, Any]:
    """What was seen of one term."""
    return {**dataclasses.asdict(term), "trouble": term.trouble and str(term.trouble)}


def loss_is_on(one: Composition, entry: Entry) -> bool:
    """Whether the streams of a loss are on."""
    return all(one.stream_of(view) in one.streams for view in entry.on)


def why_loss_off(one: Composition, data: Data | None) -> str:
    """Why a loss's stream is off."""
    if data is not None and data.unlabeled is None:
        return "the data has no unlabeled images"
    if not one.cfg.settings.batch.unlabeled:
        return "batch.unlabeled = 0"
    off = one.cfg.settings.labels != "none" and not one.seen.teachers
    return "no teacher yet" if off else "its views are not made"
