"""What was seen of one generation before it ran."""

from __future__ import annotations

from dataclasses import dataclass, field

from .needs import Needs
from .trial import TermProbe, Trouble

LOOK = "look at its plugin"
ADVICE = {
    Trouble.WEIGHTLESS: "a schedule multiplies it, and it stays 0; give it a weight, or leave it out (enabled = false)",
    Trouble.ZERO: "it was in every tried step; a loss that compares a thing with itself is",
    Trouble.INFINITE: "look for a logarithm of 0 or a division by 0",
    Trouble.CONSTANT: "it is a constant, detached, or reaches frozen weights only",
    Trouble.STEEP: "look for a square root at 0 or a division by 0",
    Trouble.STILL: "its gradient is too small to change a number; look at its weight and the learning rate",
}
"What may mend a loss that teaches nothing."


@dataclass
class Seconds:
    """How long things take on this device, measured on a few rows."""

    step: float
    "A training step, data included."
    image: float
    "Evaluating an image, or labeling it as a teacher."


@dataclass
class GenerationProbe:
    """What was seen of one generation."""

    index: int
    model: str
    parameters: int
    image_size: int
    frozen: int = 0
    "Parameters that do not learn."
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    "What images are normalised by, for each channel."
    teachers: dict[str, str] = field(default_factory=dict)
    "Who teaches, by label timing: `previous`, `student`, `average`, or `other`. Without a teacher there is no entry."
    needs: Needs | None = None
    "Memory and disk; None: not known, as the model cannot be tried without computing."
    seconds: Seconds | None = None
    "How long things take; None: nothing was timed."
    tried: bool = False
    "Whether steps were tried: what follows is known."
    terms: dict[str, TermProbe] = field(default_factory=dict)
    moved: dict[str, bool] = field(default_factory=dict)
    "Of a step of another shape: which models it moved."
    shares: dict[tuple[str, str], float] = field(default_factory=dict)
    "Rows that the real filters keep of an untrained teacher's labels, by label timing and stream."
    views: set[str] = field(default_factory=set)
    "Those that were there."
    waiting: list[str] = field(default_factory=list)
    "Losses that are off, as their stream is."
    silent: list[str] = field(default_factory=list)
    "Losses that were on and answered no term."
    filling: list[str] = field(default_factory=list)
    "Losses with state that answered no term: a memory may take more steps to fill than were tried."

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps it from learning, and what may mend it."""
        found = {f"loss `{t.name}` {t.trouble}": ADVICE[t.trouble] for t in self.terms.values() if t.trouble}
        if self.moved:
            return found if any(self.moved.values()) else {**found, "the step moves no weight": LOOK}
        if not self.terms and not self.silent:
            found["no loss is on: each waits for a stream that is off"] = "add a loss on the labeled stream"
        return {**found, **{f"loss `{name}` answers no term": LOOK for name in self.silent}}

    @property
    def alive(self) -> bool:
        """Whether every loss that is on teaches something."""
        return not self.troubles
