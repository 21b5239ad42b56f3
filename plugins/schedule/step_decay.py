"""Staircase decay with a linear warm-up: EfficientNet's and Noisy Student's learning rate."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval, Unit

from sslkit import Progress, hookimpl


def step_decay(step: int, rate: float, every: float, warmup_steps: int) -> float:
    """1/W, 2/W, ..., 1 during warm-up, then `rate` to the power of how often `every` steps have passed since step 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps  # from 1/W, not 0: a first step at rate 0 would be wasted
    return float(rate ** (step // every))


@dataclass(eq=False, kw_only=True)
class StepDecay:
    """Multiply by `rate` every so many steps; stairs are counted from step 0, the warm-up included.

    Xie et al. 2020, sec. 3.1: 0.97 every 2.4 epochs after a warm-up of 5 (4.8 epochs for the longer training). An epoch
    is one pass over the *labeled* images: epochs to steps is epochs * labeled images / `batch.labeled`, and need not
    be whole. ImageNet's 1,281,167 images in batches of 2,048 give 2.4 * 1,281,167 / 2,048 = 1,501.4 steps.
    """

    rate: Annotated[float, Interval(gt=0, le=1)] = 0.97
    "Factor of one stair."
    every: Annotated[float, Gt(0), Unit("steps")]
    "Steps between stairs; a fraction is allowed."
    warmup_steps: Annotated[int, Ge(0), Unit("steps")] = 0
    "Steps of a linear warm-up to the full value."
    start: Annotated[int, Ge(0), Unit("steps")] = 0
    "Steps that count as done already: a fine-tuning that takes the last 10 of 1,000 steps starts at 990."

    @hookimpl
    def scheduled(self, progress: Progress) -> float:
        """The stair of this step."""
        return step_decay(self.start + progress.step, self.rate, self.every, self.warmup_steps)
