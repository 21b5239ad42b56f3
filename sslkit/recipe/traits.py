"""Traits: what a plugin's class says of itself beside its hooks, so that a recipe's checks know it without running it.

    needs: ClassVar = ("average",)        # a hook that some plugin of the recipe implements, or else it is refused
    needs: ClassVar = ("confidence",)     # what the targets it is given still tell, or else `check` warns ...
    loses: ClassVar = ("confidence",)     # ... where a labeler before it says that its own no longer tell this
    teaches: ClassVar = "student"         # the teacher that it makes is the student itself, as it stands at each step
    remembers: ClassVar = ("answers",)    # the student's answers to its views, each of one image: these may not be mixed
    timing: ClassVar = "pool"             # the one label timing it works at, or else it is refused
    about: ClassVar = ("student",)        # its state is about the student, and goes on only where the student does
    acts_on_hard: ClassVar = ("smooth",)  # fields that do something to one-hot targets only: `check` warns of soft ones

All are optional. They are class attributes, never fields, so that no recipe can set them.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from typing import Any

from ..hookspecs import SECTIONS
from ..registry import heading, names
from . import fields
from .draft import Draft, Plugin
from .implementations import HOOKS, specified
from .message import Problems, did_you_mean, listed, sentence, shown

TARGETS = ("raw", "probs", "label", "confidence", "weight", "copies")
"What targets tell."
TRAITS: dict[str, tuple[str, ...] | None] = {
    "needs": (*HOOKS, *TARGETS), "loses": TARGETS, "teaches": ("student",), "remembers": ("answers",),
    "timing": ("pool", "step"), "about": ("student",), "acts_on_hard": None,
}  # fmt: skip
"Every trait with the words that it takes; None: the class's own fields."
LABELING = frozenset({"make_teacher", "label", "refine"})
"Hooks that are called at the label timings."


@cache
def trait(cls: type, name: str) -> tuple[str, ...]:
    """The words that a class says."""
    said = _said(cls, name)
    return (said,) if isinstance(said, str) else tuple(said)


def _said(cls: type, name: str) -> Any:
    """What a class has under a trait's name; a setting of that name is no trait."""
    return () if is_dataclass(cls) and name in fields.hints(cls) else getattr(cls, name, ())


@cache
def trait_faults(cls: type) -> list[str]:
    """What is wrong with a class's traits: what, then what would be right. Nothing: empty."""
    for name, known in TRAITS.items():
        words = tuple(fields.hints(cls)) if known is None else known
        said = _said(cls, name)
        if not isinstance(said, (str, tuple, list)):
            return [f"`{cls.__name__}.{name}` is of type {type(said).__name__}, but the name is a trait's",
                    f"as a trait it takes a tuple of {listed(words)}; call anything else by another name"]  # fmt: skip
        for word in trait(cls, name):
            if word not in words:
                return [f"`{cls.__name__}` says `{name} = {shown(word)}`",
                        sentence(f"it takes {listed(words)}.", did_you_mean(word, words))]  # fmt: skip
    return []


def check_traits(draft: Draft, problems: Problems) -> None:
    """What plugins say that they need is there."""
    for plugin in draft.enabled:
        called = _called(plugin, draft)
        _timing(plugin, called, draft, problems)
        if called or not set(plugin.hooks) <= LABELING:
            _hooks(plugin, draft, problems)
    for timing in draft.timings:
        _order(timing, draft)


def _called(plugin: Plugin, draft: Draft) -> list[str]:
    """The label timings at which a plugin is called."""
    at = [timing for timing in draft.timings if plugin.reserved.when in (None, timing)]
    return at if LABELING & set(plugin.hooks) else []


def _timing(plugin: Plugin, called: list[str], draft: Draft, problems: Problems) -> None:
    """Whoever works at one timing is called at no other."""
    only = trait(plugin.cls, "timing")
    if not only or set(called) <= set(only) or draft.settings is None:
        return
    labels, when = draft.settings.labels, plugin.reserved.when
    way = f'say `when = "{only[0]}"`' if labels == "both" else f'set `labels = "{only[0]}"`, or leave it out'
    received = f'`labels = "{labels}"`' + (f' and `when = "{when}"`' if when else "")
    problems.add(plugin.table.where("when"),
                 f"{plugin.label}: works at the label timing `{only[0]}` alone, but {received}", way)  # fmt: skip


def _hooks(plugin: Plugin, draft: Draft, problems: Problems) -> None:
    """Hooks that a plugin relies on are implemented."""
    for hook in trait(plugin.cls, "needs"):
        if hook not in HOOKS or draft.implementing(hook) or draft.broken:
            continue
        section = next((section for section, group in SECTIONS.items() if hook in specified(group)), "labeler")
        off = next((f"{other.label} does, but is not enabled" for other in draft.plugins if hook in other.hooks), "")
        problems.add(plugin.table.place, f"{plugin.label}: needs `{hook}`, but no plugin implements it",
                     off or f"add a {heading(section)} that does; installed: {listed(names(section))}")  # fmt: skip


def _order(timing: str, draft: Draft) -> None:
    """No labeler relies on what one before it lost."""
    lost: dict[str, Plugin] = {}
    for plugin in draft.implementing("label", timing)[:1] + draft.implementing("refine", timing):
        for word in trait(plugin.cls, "needs"):
            before = lost.get(word, plugin)
            if before is not plugin:
                draft.warn(f"{plugin.label} goes by the targets' {word}, of which {before.label} before it leaves nothing: "
                           f"put `{plugin.name}` before `{before.name}`")  # fmt: skip
        lost |= dict.fromkeys(trait(plugin.cls, "loses"), plugin)
