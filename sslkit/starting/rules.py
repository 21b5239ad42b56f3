"""The rules by which `sslkit init` proposes a recipe. What they go by is measured: the same facts, the same proposal.

- *Size*: images are shown at the median of their shorter sides, in multiples of 8 pixels. Up to 48 pixels they are
  enlarged by half, as networks made for photos halve them at once. The most is 64 pixels on a CPU (but for small
  images), 224 on a GPU.
- *Template*: network, noise and optimizer are those of the template for images of that size; what it says of GPUs
  holds where there is one.
- *Batch*: an eighth of the labels, a power of two from 8 to 64, and 3 unlabeled images for each (7 on a GPU). It is
  halved while training would take more than half of the memory.
- *Steps*: as many as take `--minutes` with the speed of this machine, which is measured; from 20 to 20,000.
- *Threshold*: pseudo-labels are kept from a confidence of 0.2 above chance, and of 0.3 at least.
- *Balance*: classes teach equally often where one has 3 times the labels of another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..tables import duration, size
from .facts import SKEWED, Facts
from .machine import Machine

GRAIN, SMALLEST = 8, 16
SMALL, ENLARGED = 48, 1.5
LARGEST = {"cpu": 64, "gpu": 224}
RATIO = {"cpu": 3, "gpu": 7}
ABOVE, LEAST = 0.2, 0.3
FEWEST, FEW, MOST = 20, 200, 20_000
"Steps of a generation; with less than a few hundred, students may end below their teacher, or labels alone."
TRIED = 100
"Steps of the recipe whose speed is measured."


@dataclass(frozen=True)
class Proposed:
    """A value and why."""

    value: Any
    why: str


Proposal = dict[str, Proposed]
"Proposed values by the names that templates give them."


def image_size(facts: Facts, machine: Machine) -> Proposed:
    """Pixels on a side that the network sees."""
    side, small = facts.side, facts.side <= SMALL
    most = LARGEST["gpu" if machine.gpu else "cpu"]
    pixels = max(SMALLEST, GRAIN * round(side * (ENLARGED if small else 1) / GRAIN))
    found = f"the median of the images' shorter sides is {side:,} px"
    if pixels > most and not small:
        return Proposed(most, f"{found}; more than {most} take long on a {'GPU' if machine.gpu else 'CPU'}")
    return Proposed(pixels, f"{found}{', enlarged by half' if small else ''}")


def batch(facts: Facts, machine: Machine) -> Proposed:
    """Images of each stream in a step."""
    labels, pool = facts.split("labeled").images, facts.split("unlabeled").images
    labeled = 2 ** min(6, max(3, round(math.log2(max(1, labels / 8)))))
    ratio = RATIO["gpu" if machine.gpu else "cpu"]
    return Proposed(
        {"labeled": labeled, "unlabeled": min(ratio * labeled, max(1, pool))},
        f"an eighth of the {labels:,} labels, a power of two; {ratio} unlabeled images for each",
    )


def halved(proposed: Proposed, machine: Machine) -> Proposed:
    """A batch of half the images, as training took more memory than it may."""
    value = {stream: max(1, rows // 2) for stream, rows in proposed.value.items()}
    return Proposed(value, f"as many as half of {size(2 * machine.room)} of memory holds")


def threshold(facts: Facts) -> Proposed:
    """The confidence from which on pseudo-labels are kept."""
    chance = 1 / len(facts.classes)
    value = round(max(LEAST, chance + ABOVE), 2)
    why = f"{ABOVE:g} above chance, which is {chance:.2g} with {len(facts.classes)} classes"
    return Proposed(
        value, why if value > LEAST or math.isclose(value, chance + ABOVE) else "as published, for many classes"
    )


def balance(facts: Facts) -> Proposed:
    """Whether each class is to teach equally often."""
    skewed, even = facts.skew >= SKEWED, facts.skew == 1
    times = (
        "as many labels of each class"
        if even
        else f"the largest class has {facts.skew:.1f} times the smallest's labels"
    )
    return Proposed(skewed, times if skewed else f"{times}; true where the unlabeled images are out of balance")


def propose(facts: Facts, machine: Machine) -> Proposal:
    """Everything but the steps, which depend on how fast this is."""
    pixels = image_size(facts, machine)
    eighth = max(1, pixels.value // 8)
    return {
        "size": pixels,
        "batch": batch(facts, machine),
        "pad": Proposed(eighth, f"an eighth of {pixels.value} px"),
        "cutout": Proposed(2 * eighth, "half a side of the square that is cut out, at most: a quarter of the image's"),
        "threshold": threshold(facts),
        "balance": balance(facts),
        **spread(TRIED, "", bool(facts.split("validation").images)),
    }


def spread(steps: int, why: str, validates: bool) -> Proposal:
    """Steps of a generation, how often it is saved and measured. `validates`: there are images to choose a step by."""
    quarter = max(1, steps // 4)
    chosen = "the step that is best on validation images is kept" if validates else "0: at each generation's end alone"
    return {
        "steps": Proposed(steps, why),
        "save_every": Proposed(quarter, "a stopped run goes on from there"),
        "evaluate_every": Proposed(quarter if validates else 0, chosen),
    }


def steps_for(minutes: float, each: float, fixed: float, validates: bool) -> Proposal:
    """Steps that fill the minutes. `each`: seconds of a step of all generations; `fixed`: of labels and measuring."""
    wanted = (60 * minutes - fixed) / each
    number = min(MOST, max(FEWEST, wanted))
    grain = 10 ** max(0, math.floor(math.log10(number)) - 1)
    steps = int(number // grain) * grain  # two digits: the speed is not known better
    lasting = f"all generations take about {duration(fixed + steps * each)} here"
    if steps < FEW:
        enough = math.ceil((fixed + FEW * each) / 60)
        lasting += f"; with so few, students may end below their teacher: --minutes {enough} makes {FEW}"
    return spread(steps, lasting if wanted >= FEWEST else f"the fewest that teach anything; {lasting}", validates)
