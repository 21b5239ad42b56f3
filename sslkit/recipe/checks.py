"""What one generation's parts must be to one another: views, slots, label timings, losses, passes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from .. import registry
from .draft import STREAMS, Draft, Plugin
from .message import Problems, did_you_mean, listed, sentence, shown
from .mixing import check_memories, check_mixing
from .model import CLEAN, PassTable, Settings
from .places import Place
from .schedules import check_schedules
from .traits import check_traits

SLOTS = ("open_data", "build_model", "average", "make_teacher", "label", "decide", "trainables", "train_step")
"Hooks of which one answer is used."
TIMED = ("make_teacher", "label")
"Slots that a recipe may fill once for each label timing."
SEEING = frozenset({"image_transforms", "perturb_batch", "mix", "label", "refine", "loss"})
"Hooks for which `on` means something."


def check(draft: Draft, problems: Problems) -> None:
    """Note what does not fit; fill in every plugin's `on`."""
    for plugin in draft.enabled:
        if plugin.section != "schedule":
            plugin.on = _views(plugin, draft, problems)
    check_schedules(draft, problems)
    for hook in SLOTS:
        _slot(hook, draft, problems)
    _passes(draft, problems)
    _losses(draft, problems)
    _select(draft)
    if draft.settings is not None:
        _labeling(draft, problems)
        _streams(draft, problems)
        check_traits(draft, problems)
        check_mixing(draft, problems)
        check_memories(draft, problems)


# Views ----------------------------------------------------------------------------------------------------------------


def _views(plugin: Plugin, draft: Draft, problems: Problems) -> list[str]:
    """The view names behind a plugin's `on`."""
    names, place = plugin.said_on, plugin.table.where("on")
    if names is None:
        return _default_views(plugin, draft, problems)
    if plugin.section not in ("labeler", "loss") and not SEEING & set(plugin.hooks):
        why = (
            "it changes the model, which sees all views alike; a [[pass]] with `noise = false` exempts some"
            if "model_kwargs" in plugin.hooks
            else "it looks at no view"
        )
        problems.add(place, f"{plugin.label}: `on = {shown(plugin.reserved.on)}`, but it takes no views", why)
        return []
    if not names:
        problems.add(place, f"{plugin.label}: `on` is empty", _known_views(draft))
    clean = plugin.section == "labeler"
    return expanded(names, clean, draft, place, f"{plugin.label}: `on = {{}}`", problems)


def _default_views(plugin: Plugin, draft: Draft, problems: Problems) -> list[str]:
    if "loss" in plugin.hooks and "on" not in plugin.table:
        problems.add(
            plugin.table.place, f"{plugin.label}: `on` is missing", f"a loss says its views; {_known_views(draft)}"
        )
    everywhere = plugin.section in ("noise", "step") and SEEING & set(plugin.hooks)
    return list(draft.views) if everywhere else []


def expanded(
    names: Iterable[str], clean: bool, draft: Draft, place: Place, label: str, problems: Problems
) -> list[str]:
    """View names, a stream's name replaced by its views. `label` is a template for the name at fault."""
    found: list[str] = []
    declared = set(draft.view_names)
    for name in names:
        at = label.replace("{}", shown(name))
        if name in declared or (name == CLEAN and clean):
            found.append(name)
        elif views := _of_stream(name, draft):
            found.extend(views)
        elif name == CLEAN:
            problems.add(place, f"{at}: the view `clean` serves labeling and evaluation only",
                         "declare a view of your own and put no noise on it")  # fmt: skip
        else:
            what = f"names a stream that no view shows ([views.NAME], stream = {shown(name)})"
            problems.add(place, f"{at} {what if name in STREAMS else 'names no view'}",
                         partial(_meant, name, draft))  # fmt: skip
    return list(dict.fromkeys(found))


def _of_stream(name: str, draft: Draft) -> list[str]:
    """The views of a stream, if the name is one's."""
    return [view for view in draft.views if draft.stream_of(view) == name] if name in STREAMS else []


def _meant(name: str, draft: Draft) -> str:
    """What a name that is no view's may have meant."""
    streams = {table.stream for table in draft.views.values()}
    return sentence(f"{_known_views(draft)}.", did_you_mean(name, [*draft.view_names, *streams]))


def _known_views(draft: Draft) -> str:
    return f"views of this recipe: {listed(draft.view_names)}"


# Slots and label timings ----------------------------------------------------------------------------------------------


def _slot(hook: str, draft: Draft, problems: Problems) -> None:
    """One answer is used, so there is one implementer."""
    both = len(draft.timings) > 1 and hook in TIMED
    for timing in draft.timings if hook in TIMED else (None,):
        found = draft.implementing(hook, timing)
        for first, other in zip(found[:1] * len(found), found[1:], strict=False):
            where = first.label + first.table.place.seen_from(other.table.place)
            way = 'give one `when = "pool"`, the other `when = "step"`' if both else ""
            problems.add(other.table.place, f"{other.label}: implements `{hook}`, as {where} does; one of them can",
                         way or "leave one of them out, or set its `enabled = false`")  # fmt: skip


def _labeling(draft: Draft, problems: Problems) -> None:
    """Labels that are asked for can be made."""
    assert draft.settings is not None
    labels, place = draft.settings.labels, draft.table.where("labels")
    for timing in draft.timings:
        for hook in TIMED:
            if not draft.implementing(hook, timing) and not draft.broken:
                role = "teaches (hook `make_teacher`)" if hook == "make_teacher" else "makes labels (hook `label`)"
                problems.add(place, f'`labels = "{labels}"`: no plugin {role} for the timing `{timing}`',
                             f"add a [[labeler]] that does; installed: {listed(registry.names('labeler'))}")  # fmt: skip
        streams = draft.settings.label_streams if timing == "step" else ["unlabeled"]
        for plugin in draft.implementing("label", timing):
            _sees(plugin, list(streams), timing, draft, problems)
    for plugin in draft.enabled:
        if plugin.reserved.when and plugin.reserved.when not in draft.timings:
            draft.warn(f'{plugin.label} is idle: its `when = "{plugin.reserved.when}"`, but `labels = "{labels}"`')


def _sees(plugin: Plugin, streams: list[str], timing: str, draft: Draft, problems: Problems) -> None:
    """A labeler sees a view of every stream that it labels."""
    for stream in streams:
        seen = [view for view in plugin.on if view == CLEAN or draft.stream_of(view) == stream]
        if not seen and plugin.on:
            problems.add(plugin.table.where("on"), f"{plugin.label}: `on = {shown(plugin.reserved.on)}` has no view of "
                         f"the {stream} stream, which it labels (timing `{timing}`)", _known_views(draft))  # fmt: skip


def _streams(draft: Draft, problems: Problems) -> None:
    """Labels are made for images that are trained on."""
    assert draft.settings is not None
    labels, streams, place = draft.settings.labels, draft.settings.label_streams, draft.table.where("batch")
    if labels in ("step", "both") and not streams:
        problems.add(draft.table.where("label_streams"), "`label_streams` is empty, so nothing is labeled at each step",
                     '`label_streams = ["unlabeled"]` is the default')  # fmt: skip
    if labels not in ("step", "both") and streams != Settings(steps=1).label_streams:
        draft.warn(f"`label_streams = {shown(streams)}` has no effect: labels made for the pool are the unlabeled images'; "
                   'streams are labeled at each step with `labels = "step"` or `"both"`')  # fmt: skip
    if draft.settings.batch.unlabeled:
        if "unlabeled" not in {draft.stream_of(view) for view in draft.view_names}:
            draft.warn(f"batch.unlabeled = {draft.settings.batch.unlabeled}, but no view shows the unlabeled stream")
    elif (labels == "step" and "unlabeled" in streams) or (
        labels in ("pool", "both") and not draft.implementing("revise_labeled") and not draft.broken
    ):
        problems.add(place, f'`labels = "{labels}"`, but no step has unlabeled images: `batch.unlabeled = 0`',
                     "`batch.unlabeled` takes a whole number of at least 1 here")  # fmt: skip


# Losses and passes ----------------------------------------------------------------------------------------------------


def _losses(draft: Draft, problems: Problems) -> None:
    """There is something to learn."""
    if not draft.broken and not draft.implementing("loss") and not draft.implementing("train_step"):
        problems.add(draft.table.place, "no plugin implements `loss`: there is nothing to learn",
                     f"add a [[loss]]; installed: {listed(registry.names('loss'))}")  # fmt: skip


def _select(draft: Draft) -> None:
    """Somebody measures what selects the best step. What metrics answer is seen at the first evaluation."""
    select = draft.settings.select if draft.settings else Settings.select
    if select != Settings.select and not draft.broken and not draft.implementing("measure"):
        draft.warn(f"`select = {shown(select)}` selects nothing: no plugin implements `measure`")


def _passes(draft: Draft, problems: Problems) -> None:
    """Every pass runs views that are there, each view goes through a model once."""
    seen: dict[tuple[str, str], int] = {}
    for i, (number, one) in enumerate(draft.numbered_passes):
        label, table = f"[[pass]] {number}", draft.table["pass"][number]
        place = table.where("views")
        views = expanded(one.views, True, draft, place, f"{label}: `views`: {{}}", problems)
        if not one.views:
            problems.add(place, f"{label}: `views` is empty", _known_views(draft))
        for view in views:
            other = seen.setdefault((one.model, view), number)
            if other != number:
                problems.add(place, f"{label}: the view `{view}` goes through the {one.model} in [[pass]] {other} already",
                             "a view goes through a model once; leave it out of one of them")  # fmt: skip
        _statistics(label, one, table.where("write_stats"), problems)
        if one.model == "average" and not draft.implementing("average") and not draft.broken:
            problems.add(table.where("model"), f'{label}: `model = "average"`, but no plugin keeps one',
                         "add a [[labeler]] that implements `average`")  # fmt: skip
        one.views = views
        draft.numbered_passes[i] = (number, one)


def _statistics(label: str, one: PassTable, place: Place, problems: Problems) -> None:
    """Only a batch's own statistics can be written."""
    batch_norm = one.batch_norm or ("batch" if one.model == "student" else "running")
    if one.write_stats and batch_norm != "batch":
        problems.add(place, f"{label}: `write_stats = true` with the running statistics",
                     'only `batch_norm = "batch"` has new ones to write')  # fmt: skip
