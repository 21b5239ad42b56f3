"""One generation as its plugins compose it: which noise is on which view, who teaches, which passes run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..hooks import Hooks
from ..hookspecs import hooks_of
from ..passes import plan_passes
from ..recipe.baseline import TEACHING
from ..recipe.draft import TIMINGS
from ..recipe.model import CLEAN, Entry, Generation, PassTable
from ..types import ViewSpec
from .seen import GenerationProbe

TRIED, SIDE = 16, 64
"Images, and pixels on a side, on which it is tried whether noise does anything."
IMAGE_HOOKS = ("image_transforms", "perturb_batch")


@dataclass(eq=False)
class Composition:
    """A generation beside what was seen of it. Trackers take no part."""

    cfg: Generation
    seen: GenerationProbe

    @cached_property
    def entries(self) -> list[Entry]:
        """Fresh plugins, trackers left out: they see all generations."""
        return [entry for entry in self.cfg.entries() if entry.section != "tracker"]

    def of(self, section: str) -> list[Entry]:
        """A section's plugins."""
        return [entry for entry in self.entries if entry.section == section]

    def implementing(self, hook: str) -> list[Entry]:
        """Plugins with a hook, of whichever section."""
        return [entry for entry in self.entries if hook in hooks_of(entry.plugin)]

    # Noise --------------------------------------------------------------------------------------------------------

    def on_view(self, view: str) -> list[Entry]:
        """What perturbs a view's images; `clean` has nothing on it."""
        found = [e for e in self.entries if view in e.on and set(IMAGE_HOOKS) & set(hooks_of(e.plugin))]
        return [] if view == CLEAN else found

    def mixing(self, view: str) -> list[Entry]:
        """What mixes a view's rows with others."""
        return [entry for entry in self.implementing("mix") if view in entry.on]

    @property
    def in_model(self) -> list[Entry]:
        """Noise in the student itself."""
        return [entry for entry in self.implementing("model_kwargs") if entry.section == "noise"]

    @cached_property
    def acting_in_model(self) -> list[Entry]:
        """Noise in the student that does anything: a rate of 0 drops nothing."""
        return [entry for entry in self.in_model if any(Hooks([entry]).model_kwargs(self.cfg.index).values())]

    def acting_on(self, view: str) -> list[Entry]:
        """What perturbs a view's images, and changes any."""
        return [entry for entry in self.on_view(view) if self._acts(entry, view)]

    def _acts(self, entry: Entry, view: str) -> bool:
        """Whether image transforms change noise; what acts on the device, or resizes, is taken at its word."""
        if "perturb_batch" in hooks_of(entry.plugin):
            return True
        spec = ViewSpec(view, self.cfg.views[view].stream, min(self.seen.image_size, SIDE), 3)
        made: Any = np.random.default_rng(0).integers(0, 256, (TRIED, spec.size, spec.size, 3), dtype=np.uint8)
        keys = np.arange(TRIED, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        try:
            transforms = [transform for _, transform in Hooks([entry]).image_transforms(spec)]
            plain = not any(getattr(transform, "resizes", False) for transform in transforms)
            return not plain or any(not np.array_equal(made, transform(made.copy(), keys)) for transform in transforms)
        except Exception:  # what it raises is told where views are made
            return True

    def resizing(self, view: str) -> Entry | None:
        """The noise that makes a view's images of whole ones, in place of the view's own way."""
        spec = ViewSpec(view, self.cfg.views[view].stream, self.seen.image_size, 3)
        for entry in self.on_view(view):
            with suppress(Exception):  # what it raises is told where views are made
                if any(getattr(one, "resizes", False) for _, one in Hooks([entry]).image_transforms(spec)):
                    return entry
        return None

    def milder(self, view: str) -> str | None:
        """A view of the same stream with some of a view's noise, and no other."""
        noise = {entry.name for entry in self.acting_on(view)} if view != CLEAN else set()
        for other in self.cfg.views:
            if self.stream_of(other) == self.stream_of(view) and {e.name for e in self.acting_on(other)} < noise:
                return other
        return None

    # Passes -------------------------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> list[PassTable]:
        """The passes that training runs: the recipe's, and one for the student's views that no pass names."""
        return plan_passes(self.cfg.passes, list(dict.fromkeys(view for e in self.of("loss") for view in e.on)))

    def student_pass(self, view: str) -> PassTable | None:
        """The pass in which the student sees a view."""
        return next((one for one in self.plan if one.model == "student" and view in one.views), None)

    def stream_of(self, view: str) -> str | None:
        """The stream that a view shows; None: any (`clean`)."""
        return self.cfg.views[view].stream if view in self.cfg.views else None

    @property
    def streams(self) -> dict[str, int]:
        """Rows in a step of the streams that are on: the unlabeled one needs targets, or a recipe that asks for none."""
        batch = self.cfg.settings.batch
        taught = self.cfg.settings.labels == "none" or self.seen.teachers
        return {"labeled": batch.labeled, **({"unlabeled": batch.unlabeled} if batch.unlabeled and taught else {})}

    @property
    def rows(self) -> dict[str, int]:
        """Rows in a step of each view that somebody asks for."""
        asked = [view for table in self.plan for view in table.views]
        if "step" in self.timings:
            asked += self.label_views("step")
        shown = [(view, self.stream_of(view)) for view in dict.fromkeys(asked)]
        labeled = self.cfg.settings.label_streams
        return {
            view: self.streams.get(stream, 0) if stream else sum(self.streams.get(s, 0) for s in labeled)
            for view, stream in shown
        }

    # Labels -------------------------------------------------------------------------------------------------------

    @property
    def asked_timings(self) -> tuple[str, ...]:
        """The label timings that the recipe asks for, taught or not."""
        return TIMINGS[self.cfg.settings.labels]

    @property
    def timings(self) -> list[str]:
        """The label timings at which somebody teaches."""
        return [timing for timing in self.asked_timings if timing in self.seen.teachers]

    def chain(self, timing: str) -> list[Entry]:
        """The labelers of a timing, in order; who keeps an average does that whatever the timing."""
        return [entry for entry in self.of("labeler") if entry.when in (None, timing) and not keeps_average(entry)]

    @property
    def averages(self) -> list[Entry]:
        """Who keeps the student's moving average."""
        return [entry for entry in self.of("labeler") if keeps_average(entry)]

    def label_views(self, timing: str) -> list[str]:
        """The views that labels are made from."""
        found = [e for e in self.chain(timing) if "label" in hooks_of(e.plugin)]
        return list(dict.fromkeys(view for entry in found for view in entry.on))

    @property
    def learned(self) -> list[str]:
        """Views of the unlabeled stream that losses look at."""
        views = [view for entry in self.of("loss") for view in entry.on]
        return [view for view in dict.fromkeys(views) if self.stream_of(view) == "unlabeled"]

    @property
    def soft(self) -> bool:
        """Whether targets still tell how sure their teacher is, after all labelers."""
        return not any("confidence" in getattr(type(entry.plugin), "loses", ()) for entry in self.of("labeler"))


def keeps_average(entry: Entry) -> bool:
    """Whether a labeler keeps an average and makes no labels."""
    hooks = set(hooks_of(entry.plugin))
    return "average" in hooks and not hooks & TEACHING
