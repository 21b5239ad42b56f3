"""What `sslkit check` prints: a recipe's composition as a tree, and what was seen of its losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from itertools import groupby
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from rich.tree import Tree

from ..hookspecs import hooks_of
from ..tables import Flow, count

COLUMN = 10
"Cells of a row's label."
NARROWEST = 12
"Cells that a row's text takes, however narrow the terminal."
INIT = {"scratch": "from scratch", "previous": "from the previous weights", "continue": "going on"}
WHEN = {"pool": "before training, for the whole pool", "step": "at each step"}
MARKS = {"✓": "green", "✗": "bold red", "?": "yellow"}


class Row:
    """A label and pieces of text: on as few lines as their width allows, each line beside the label's column."""

    def __init__(self, label: str, *pieces: str, style: str = "dim", column: int = COLUMN) -> None:
        self.label, self.pieces, self.style, self.column = label, pieces, style, column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(NARROWEST, options.max_width - self.column)
        lines = [part for line in Flow(self.pieces).lines(width) for part in Text(line).wrap(console, width)]
        for number, line in enumerate(lines):
            line.rstrip()
            for mark, style in MARKS.items():
                line.highlight_words([f"{mark} "], style)
            label = "" if number else self.label
            yield Text.assemble((f"{label:<{self.column}}", self.style), line)


def remark(label: str, text: str, style: str) -> Row:
    """A line outside the tree."""
    return Row(f"{label}:", text, style=style, column=len(label) + 2)


def describe(recipe: Any, found: list[Any], data: Any) -> Tree:
    """The composition as a tree: generations, their streams, views, passes, losses."""
    sizes = [f"{count(len(images))} {name}" for name, images in data.splits.items()] if data else ["data not opened"]
    tree = Tree(Row(recipe.name, ", ".join(sizes), style="bold", column=len(recipe.name) + 3))
    pairs = list(zip(recipe.generations, found, strict=True))
    for _, group in groupby(pairs, lambda pair: composition(*pair)):
        alike = list(group)
        add_generation(tree, alike[0][0], [seen for _, seen in alike], data)
    return tree


def composition(cfg: Any, seen: Any) -> str:
    """What tells one generation from the next; those that differ in nothing are shown as one."""
    plugins = [(e.section, e.name, e.use, e.on, e.when, said(e.plugin)) for e in plugins_of(cfg)]
    judged = [(term.name, term.trouble, term.unjudged) for term in seen.terms.values()]
    seen = (seen.teachers, seen.moved, seen.waiting, seen.silent, sorted(seen.shares), judged)
    return repr((start_of(cfg), cfg.settings, cfg.model, cfg.optimizer, cfg.views, cfg.passes, plugins, seen))


def plugins_of(cfg: Any) -> list[Any]:
    """A generation's plugins but for trackers, which see all generations."""
    return [entry for entry in cfg.entries() if entry.section != "tracker"]


def said(plugin: Any) -> dict[str, Any]:
    """What a recipe says of a plugin."""
    names = [field.name for field in fields(plugin)] if is_dataclass(plugin) else list(vars(plugin))
    return {name: getattr(plugin, name, None) for name in names}


def add_generation(tree: Tree, cfg: Any, alike: list[Any], data: Any) -> None:
    """One branch: a generation, or several that are alike."""
    entries, settings, seen = plugins_of(cfg), cfg.settings, alike[0]
    title = f"generation {cfg.index}" if len(alike) == 1 else f"generations {cfg.index}-{alike[-1].index}"
    steps = f"{count(settings.steps)} steps{' each' if len(alike) > 1 else ''}"
    branch = tree.add(Row(title, steps, start_of(cfg), style="bold cyan", column=len(title) + 3))
    branch.add(Row("model", seen.model, f"{seen.image_size} px", f"{count(seen.parameters)} parameters"))
    branch.add(Row("optimizer", *optimizer_pieces(cfg.optimizer)))
    for pieces in labels_rows(entries, settings, alike):
        branch.add(Row("labels", *pieces))
    for name, view in cfg.views.items():
        branch.add(Row("view", *view_pieces(name, view, entries, settings, seen)))
    model_noise = [e.name for e in entries if e.section == "noise" and on_model(e)]
    branch.add(Row("student", " + ".join(model_noise) or "no noise in the model"))
    for table in cfg.passes:
        branch.add(Row("pass", *pass_pieces(table)))
    for entry in (e for e in entries if e.section == "schedule"):
        branch.add(Row("schedule", f"{entry.name} drives {', '.join(entry.on)}"))
    if metrics := [e.name for e in entries if e.section == "metric"]:
        branch.add(Row("metric", ", ".join(metrics)))
    add_losses(branch, cfg, entries, alike, data)


def on_model(entry: Any) -> bool:
    """Whether a noise plugin acts in the model, whatever the view."""
    return "model_kwargs" in hooks_of(entry.plugin)


def optimizer_pieces(table: Any) -> list[str]:
    """The optimizer and its numbers."""
    numbers = {"rate": table.rate, "weight decay": table.weight_decay, "clip": table.clip}
    return [table.name, *(f"{name} {number:g}" for name, number in numbers.items() if number)]


def start_of(cfg: Any) -> str:
    """What a generation starts from; before the first there is nothing."""
    return INIT[cfg.settings.init if cfg.index else "scratch"]


def labels_rows(entries: list[Any], settings: Any, alike: list[Any]) -> list[list[str]]:
    """Who makes pseudo-labels at each timing, and what becomes of them."""
    if settings.labels == "none":
        return [["none are made"]]
    rows, seen = [], alike[0]
    for timing in ("pool", "step") if settings.labels == "both" else (settings.labels,):
        chain = " > ".join(e.name for e in entries if e.section == "labeler" and e.when in (None, timing))
        nobody = ["no teacher yet"] if seen.teachers is not None and timing not in seen.teachers else []
        # Where no loss sees a pool's labels, their share stands by no loss.
        unseen = timing == "pool" and (settings.labels == "both" or not settings.batch.unlabeled)
        rows.append([WHEN[timing], chain, *nobody, *(shares_pieces(alike, timing, "unlabeled") if unseen else [])])
    return rows


def view_pieces(name: str, view: Any, entries: list[Any], settings: Any, seen: Any) -> list[str]:
    """A view: its images, what perturbs them, whether it is made at all."""
    noise = [e.name for e in entries if e.section == "noise" and name in e.on and not on_model(e)]
    rows = count(getattr(settings.batch, view.stream))
    off = ["off"] if seen.teachers is not None and name not in seen.views else []
    return [f"{name}: {rows} {view.stream} images", " + ".join(noise) or "no noise", *off]


def pass_pieces(table: Any) -> list[str]:
    """A pass and how it runs."""
    words = [f"{table.model}: {' + '.join(table.views)}{' together' if len(table.views) > 1 else ''}"]
    words += [f"{table.batch_norm} statistics"] if table.batch_norm else []
    words += [] if table.write_stats is None else ["writes them" if table.write_stats else "writes none"]
    return words + ([] if table.noise is None else ["noised" if table.noise else "un-noised"])


# Losses ---------------------------------------------------------------------------------------------------------------


def add_losses(branch: Tree, cfg: Any, entries: list[Any], alike: list[Any], data: Any) -> None:
    """Every loss with what was seen of it; then terms that answer to no loss's name."""
    seen = alike[0]
    losses = [e for e in entries if e.section == "loss"]
    for entry in losses:
        what = named(entry) + (f" on {', '.join(entry.on)}" if entry.on else "")
        names = [name for name, term in seen.terms.items() if term.owner == entry.name]
        if entry.name in seen.waiting:
            branch.add(Row("loss", what, f"off: {why_off(cfg, seen, data)}"))
        elif not names:
            branch.add(Row("loss", *silent_pieces(what, entry, seen)))
        for name in names:
            extra = what if name == entry.name else f"{what}, term {name}"
            branch.add(Row("loss", *term_pieces(extra, name, alike), *kept_pieces(cfg, entry, alike)))
    known = {entry.name for entry in losses}
    for name in (name for name, term in seen.terms.items() if term.owner not in known):
        branch.add(Row("loss", *term_pieces(name or "(no name)", name, alike)))
    for entry in (e for e in entries if e.section == "step"):
        branch.add(Row("step", *step_pieces(entry, seen)))


def named(entry: Any) -> str:
    """`name: plugin`; of a plugin in a file, the file's name."""
    return f"{entry.name}: {entry.use.rpartition('/')[2]}"


def why_off(cfg: Any, seen: Any, data: Any) -> str:
    """Why a loss's stream is off."""
    if data.unlabeled is None:
        return "the data has no unlabeled images"
    if not cfg.settings.batch.unlabeled:
        return "batch.unlabeled = 0"
    return "its views are not made" if seen.teachers or cfg.settings.labels == "none" else "no teacher yet"


def silent_pieces(what: str, entry: Any, seen: Any) -> list[str]:
    """A loss without a term: nothing was tried, or it answered none, or nobody asked it."""
    if entry.name not in seen.silent:
        return [what]
    return [f"? {what}", "not asked for by the step"] if seen.moved else [f"✗ {what}", "answers no term"]


def term_pieces(what: str, name: str, alike: list[Any]) -> list[str]:
    """What was seen of one term, in all generations that are alike."""
    terms = [seen.terms[name] for seen in alike]
    one = terms[0]
    mark = "✗" if one.trouble else "?" if one.unjudged else "✓"
    weight = [] if one.weight in (None, 1) else [f"weight {one.weight:g}"]
    gradient = [] if one.gradient is None else [f"gradient {span(term.gradient for term in terms)}"]
    verdict = str(one.trouble or ("not judged" if one.unjudged else "moves the student" if one.moved else ""))
    return [f"{mark} {what}", f"value {span(term.value for term in terms)}", *weight, *gradient, verdict]


def span(numbers: Iterable[float], scale: int = 1) -> str:
    """`0.5`, or `0.5 to 0.7` where they differ."""
    known = sorted(numbers)
    low, high = f"{scale * known[0]:.3g}", f"{scale * known[-1]:.3g}"
    return low if low == high else f"{low} to {high}"


def kept_pieces(cfg: Any, entry: Any, alike: list[Any]) -> list[str]:
    """The share of a loss's rows that the real filters keep."""
    streams = dict.fromkeys(cfg.views[view].stream for view in entry.on if view in cfg.views)
    timing = "pool" if cfg.settings.labels == "pool" else "step"
    return [piece for stream in streams for piece in shares_pieces(alike, timing, stream)]


def shares_pieces(alike: list[Any], timing: str, stream: str) -> list[str]:
    """The share kept at a timing, where labels were made."""
    shares = [seen.shares[timing, stream] for seen in alike if (timing, stream) in seen.shares]
    return [f"filters keep {span(shares, 100)}% of an untrained teacher's labels"] if shares else []


def step_pieces(entry: Any, seen: Any) -> list[str]:
    """A step of another shape: what it moves."""
    what = named(entry)
    if not seen.moved:
        return [what]
    moving = [name for name, moved in seen.moved.items() if moved]
    return [f"{'✓' if moving else '✗'} {what}", f"moves {' + '.join(moving) or 'no weight'}"]


def unjudged(recipe: Any, found: list[Any]) -> list[str]:
    """What could not be judged, and why."""
    lines = []
    for cfg, seen in zip(recipe.generations, found, strict=True):
        if not seen.moved:
            continue
        still = [name for name, moved in seen.moved.items() if not moved]
        step = next((e.name for e in plugins_of(cfg) if "train_step" in hooks_of(e.plugin)), "")
        lines.append(f"which losses move what: `{step}` trains in a step of its own, and moves all at once")
        lines += [f"whether `{step}` trains {' and '.join(still)}, which did not move"] if still else []
        lines += [f"loss `{name}`: `{step}` does not ask for it" for name in seen.silent]
        lines += [f"loss `{t.name}`: {t.unjudged}" for t in seen.terms.values() if t.unjudged and not t.trouble]
    return list(dict.fromkeys(lines))
