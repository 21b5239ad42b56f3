"""What generations must be to one another, and what looks unintended in all of them."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from ..hookspecs import SECTIONS
from . import fields
from .draft import Draft
from .merge import LISTS
from .message import Problems, did_you_mean, listed, sentence, shortened
from .model import GENERATION_KEYS, Settings
from .places import Table
from .resolve import OWN

OVERRIDABLE = (
    *GENERATION_KEYS, "model", "optimizer", "views", "pass",
    *(section for section in LISTS if section != "tracker"), "step",
)  # fmt: skip
"What a generation may override; data, seed and trackers belong to the run."


MOST_KEYS = 500_000  # values of a recipe, counted once for each generation; far beyond any use


def check_size(table: Table, generations: int, problems: Problems) -> None:
    """Every generation is laid on its classes anew: many of a long recipe take too long. Raises `RecipeError`."""
    keys = _size(table.without("generation"))
    if generations * keys > MOST_KEYS:
        problems.add(table.where("generation"), f"[[generation]]: {generations:,} generations of a recipe of {keys:,} values",
                     f"all generations together have at most {MOST_KEYS:,}")  # fmt: skip
        problems.raise_any(generations)


def _size(value: Any) -> int:
    """Values in a table or list, and in those within it."""
    if not isinstance(value, (dict, list)):
        return 1
    return 1 + sum(map(_size, value.values() if isinstance(value, dict) else value))


def check_generation(number: int, over: Table, problems: Problems) -> None:
    """A generation overrides what generations may."""
    known = {*fields.hints(Settings), *SECTIONS, *OWN}
    for key in over:
        if key not in OVERRIDABLE:
            what = "which belongs to the whole run" if key in known else "which is no key or section"
            problems.add(over.where(key), f"[[generation]] {number}: overrides `{shortened(key)}`, {what}",
                         partial(_overridable, key))  # fmt: skip


def _overridable(key: str) -> str:
    """What a generation may override, and what was meant."""
    return sentence(f"a generation may override: {listed(OVERRIDABLE)}.", did_you_mean(key, OVERRIDABLE))


def check_all(drafts: list[Draft], problems: Problems) -> list[str]:
    """Across generations; answers the warnings of all."""
    _unused_stream(drafts, problems)
    _continued(drafts, problems)
    warnings = list(dict.fromkeys(warning for draft in drafts for warning in draft.warnings))
    return [*warnings, *_unasked(drafts)]


def _unused_stream(drafts: list[Draft], problems: Problems) -> None:
    """A view of the unlabeled stream needs unlabeled images in some generation's steps."""
    if any(draft.settings is None or draft.settings.batch.unlabeled for draft in drafts):
        return
    for draft in drafts:
        for view in draft.views:
            if draft.stream_of(view) == "unlabeled":
                place = draft.table["views"].where(view)
                problems.add(place, f"[views.{view}]: shows the unlabeled stream, but `batch.unlabeled = 0`",
                             "`batch.unlabeled` takes a whole number of at least 1 here")  # fmt: skip


def _continued(drafts: list[Draft], problems: Problems) -> None:
    """A generation that starts from the previous model has the same one, and the same optimizer if it goes on with it."""
    for number, (before, draft) in enumerate(itertools.pairwise(drafts), 1):
        settings, old, new = draft.settings, before.model, draft.model
        was, now = before.optimizer, draft.optimizer
        if settings is not None and settings.init == "continue" and was and now and was.name != now.name:
            problems.add(draft.table.where("init"), f'generation {number}: `init = "continue"`, but its optimizer '
                         f"`{now.name}` is not the previous one, `{was.name}`",
                         'another optimizer takes `init = "previous"`, which starts from the weights alone')  # fmt: skip
        if settings is None or settings.init == "scratch" or old is None or new is None:
            continue
        if (old.name, old.options) != (new.name, new.options):
            problems.add(draft.table.where("init"), f'generation {number}: `init = "{settings.init}"`, but its model '
                         f"`{new.name}` is not the previous one, `{old.name}`", 'another model takes `init = "scratch"`')  # fmt: skip


def _unasked(drafts: list[Draft]) -> list[str]:
    """Views that nobody looks at in any generation. What a step of another shape asks for is not known."""
    if any(draft.implementing("train_step") for draft in drafts):
        return []
    asked = {view for draft in drafts for view in draft.asked}
    views = dict.fromkeys(view for draft in drafts for view in draft.views)
    return [f"nobody asks for the view `{view}`, so it is not made" for view in views if view not in asked]
