"""What schedules may drive: the learning rate, or a number that a plugin reads anew at each step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from . import fields
from .draft import Draft, Plugin
from .message import Problems, did_you_mean, listed, sentence, shown

EACH_STEP = frozenset(
    {"perturb_batch", "mix", "label", "refine", "loss", "after_step", "decide", "train_step", "scheduled"}
)
"Hooks that read a plugin's fields while training goes on."


def check_schedules(draft: Draft, problems: Problems) -> None:
    """Fill in what each schedule drives; note what cannot be driven, or is driven twice."""
    driven: dict[str, Plugin] = {}
    names = {plugin.name: plugin for plugin in draft.plugins}
    for plugin in draft.enabled:
        if "scheduled" in plugin.hooks and plugin.section != "schedule":
            problems.add(
                plugin.table.where("use"), f"{plugin.label}: implements `scheduled`", "put it under [[schedule]]"
            )
    for plugin in [plugin for plugin in draft.enabled if plugin.section == "schedule"]:
        place, targets = plugin.table.where("on"), plugin.said_on or []
        plugin.on = [target for target in dict.fromkeys(targets) if _drives(plugin, target, names, draft, problems)]
        for target in plugin.on:
            other = driven.setdefault(target, plugin)
            if other is not plugin:
                problems.add(place, f"{plugin.label}: drives `{target}`, as {other.label} does",
                             "a number follows one schedule; leave one of them out")  # fmt: skip
        if not targets:
            problems.add(place, f"{plugin.label}: `on` is empty", 'it takes "lr" or "<plugin>.<field>"')
        plugin.idle = not plugin.on


def _drives(plugin: Plugin, target: str, names: dict[str, Plugin], draft: Draft, problems: Problems) -> bool:
    """Whether a target can be driven; noted if not."""
    if target == "lr":
        return True
    place = plugin.table.where("on")
    owner, dot, field = target.partition(".")
    label = f"{plugin.label}: `on = {shown(target)}`"
    if owner not in names or not dot:
        if owner not in draft.broken:
            problems.add(place, f"{label} names no plugin's field", partial(_targets, target, names))
        return False
    other = names[owner]
    if not other.reserved.enabled:
        draft.warn(f"{plugin.label} drives nothing at `{target}`: {other.label} is not enabled")
        return False
    if reason := _fixed(other, field):
        problems.add(place, f"{label}: {reason[0]}", reason[1])
    return not reason


def _targets(target: str, names: Iterable[str]) -> str:
    """What a schedule may drive, and what was meant."""
    field = target.partition(".")[2] or "weight"
    guess = did_you_mean(target, ["lr", *(f"{name}.{field}" for name in names)])
    return sentence('it takes "lr" or "<plugin>.<field>".', guess, f"Plugins: {listed(names)}.")


def _fixed(owner: Plugin, field: str) -> tuple[str, str] | None:
    """Why a field cannot be driven, and what could be."""
    hints = fields.hints(owner.cls)
    numbers = [name for name in hints if _is_number(owner, name)]
    there = f"fields of {owner.label} that can be driven: {listed(numbers)}"
    if field not in hints:
        return f"{owner.label} has no field `{field}`", sentence(f"{there}.", did_you_mean(field, numbers))
    if "image_transforms" in owner.hooks:
        return "its fields are used in data workers, which a schedule does not reach", "drive another plugin's field"
    if not EACH_STEP & set(owner.hooks):
        return "its fields are read once, before training begins", "drive a field of a plugin that acts at each step"
    if field not in numbers:
        return f"`{field}` takes {fields.words(hints[field])}; a schedule drives numbers with a fraction", there
    return None


def _is_number(owner: Plugin, field: str) -> bool:
    hint = fields.bare(fields.hints(owner.cls)[field])
    return hint is float and (field in owner.settings or not owner.settings)
