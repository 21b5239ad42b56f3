"""What generations must be to one another, and what looks unintended in all of them."""

from __future__ import annotations

import itertools

from ..hookspecs import SECTIONS
from . import fields
from .draft import Draft
from .merge import LISTS
from .message import Problems, did_you_mean, listed, sentence
from .model import GENERATION_KEYS, Settings
from .places import Table
from .resolve import OWN

OVERRIDABLE = (
    *GENERATION_KEYS, "model", "optimizer", "views", "pass",
    *(section for section in LISTS if section != "tracker"), "step",
)  # fmt: skip
"What a generation may override; data, seed and trackers belong to the run."


def check_generation(number: int, over: Table, problems: Problems) -> None:
    """A generation overrides what generations may."""
    known = {*fields.hints(Settings), *SECTIONS, *OWN}
    for key in over:
        if key not in OVERRIDABLE:
            what = "which belongs to the whole run" if key in known else "which is no key or section"
            problems.add(over.where(key), f"[[generation]] {number}: overrides `{key}`, {what}",
                         sentence(f"a generation may override: {listed(OVERRIDABLE)}.", did_you_mean(key, OVERRIDABLE)))  # fmt: skip


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
