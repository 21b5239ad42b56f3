"""What training says of itself: averaged losses, speed, how long the model waited for data. It never waits for a GPU
but when a line is due.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import RunError
from .keeping.pauses import Stopwatch
from .keeping.room import seconds_lost
from .state import State
from .types import LossTerm, Step


class Journal:
    """The log of one generation's steps."""

    def __init__(
        self, state: State, last_checkpoint: Callable[[], Path | None], saved: dict[str, Any] | None = None
    ) -> None:
        self.state, self.last_checkpoint = state, last_checkpoint
        self.terms: list[tuple[int, list[LossTerm]]] = []
        self.kept: list[Tensor] = []
        # What a checkpoint found between two lines: the next line is about these steps too.
        self.values: list[tuple[int, str, float]] = [tuple(row) for row in saved["values"]] if saved else []
        self.shares: list[float] = saved["shares"] if saved else []
        self.images = 0
        self.watch, self.lost_before = Stopwatch(), seconds_lost()
        self.first = state.step
        self.waited = self.worked = 0.0
        self.total_images = 0
        stored = None if state.label_timing else state.stored
        # Of a filtered pool only rows in use are drawn: the share is the pool's.
        self.pool_share = None if stored is None else stored.kept.double().mean().item()

    def ready(self) -> None:
        """The model wants its next step: what passes until `loaded` is waiting."""
        self.watch.passed("between")

    def loaded(self) -> None:
        """The next step is here."""
        self.waited += self.watch.passed("waiting")

    def stepped(self, step: Step, terms: list[LossTerm]) -> None:
        """A step is done; its losses stay on the device until a line is due."""
        self.terms.append((self.state.step, [LossTerm(t.value.detach(), t.weight, t.name) for t in terms]))
        if step.unlabeled is not None and step.unlabeled.targets is not None and self.state.label_timing:
            self.kept.append(step.unlabeled.targets.weight)
        self.images += sum(len(batch.index) for batch in step.batches)
        self.worked += self.watch.passed("working")

    def _seconds(self) -> float:
        """Seconds of this generation's steps, but for pauses and for waiting for room on the disk."""
        return self.watch.seconds() - (seconds_lost() - self.lost_before)

    def check(self) -> None:
        """Stop at the first loss that is no number, before anything is saved."""
        self._fetch()
        for number, name, value in self.values:
            if not math.isfinite(value):
                raise RunError(self._broken(f"step {number}: loss `{name}` became {value}"))

    def check_weights(self) -> None:
        """Before saving: the losses, and the weights that the last step left. A checkpoint of NaN helps nobody."""
        self.check()
        for name, parameter in self.state.student.named_parameters():
            if not parameter.isfinite().all():
                what = f"step {self.state.step - 1}: the losses were finite, but `{name}` no longer is after it"
                raise RunError(self._broken(what))

    def _fetch(self) -> None:
        """Losses and shares since the last time, fetched from the device at once: (step, loss, value)."""
        rows = [(number, term) for number, terms in self.terms for term in terms]
        values = torch.stack([term.value.float() for _, term in rows]).tolist() if rows else []
        self.values += [(number, term.name, value) for (number, term), value in zip(rows, values, strict=True)]
        self.shares += [(weight > 0).double().mean().item() for weight in self.kept]
        self.terms, self.kept = [], []

    def pending(self) -> dict[str, Any]:
        """What the next line will be about so far, for a checkpoint."""
        self._fetch()
        return {"values": self.values, "shares": self.shares}

    def _broken(self, what: str) -> str:
        last = self.last_checkpoint()
        where = f"the last good checkpoint is {last}" if last else "no checkpoint was saved before it"
        return (
            f"generation {self.state.cfg.index}, {what}; {where}.\n"
            "A smaller [optimizer] rate, or `clip` there, often mends it"
        )

    def log(self) -> None:
        """Report the losses since the last line, averaged."""
        self.check()
        sums: dict[str, list[float]] = {}
        for _, name, value in self.values:
            sums.setdefault(name, []).append(value)
        self.total_images += self.images
        state = self.state
        state.hooks.report(
            "step",
            state.progress,
            losses={name: sum(values) / len(values) for name, values in sums.items()},
            lr=state.cfg.optimizer.rate * state.rate,
            kept_share=sum(self.shares) / len(self.shares) if self.shares else self.pool_share,
            timing=self._timing(),
        )
        self.values, self.shares, self.images = [], [], 0

    def _timing(self) -> dict[str, Any]:
        seconds = self._seconds()
        done = max(1, self.state.step - self.first)
        return {
            "images_per_second": self.total_images / max(seconds, 1e-9),
            "waited_share": self.waited / max(self.waited + self.worked, 1e-9),
            "seconds_left": (self.state.cfg.settings.steps - self.state.step) * seconds / done,
        }

    def totals(self) -> dict[str, Any]:
        """Time-like figures of the whole generation; of one that was resumed, since then.

        `seconds`, of which so many `waited` for data, `worked` on steps and, with its end's included, `evaluated`.
        """
        parts = {"waited": self.waited, "worked": self.worked, "evaluated": self.state.evaluating}
        return {"seconds": self._seconds(), **parts, **self._timing()}
