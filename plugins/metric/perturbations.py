"""Stability under small perturbations: how often a prediction flips from frame to frame, as of ImageNet-P."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from annotated_types import Ge, MinLen, Unit

from sslkit import Classifier, Data, Images, Progress, hookimpl
from sslkit.waiting import waiting

from .corrupting.corrupt import Bytes, check_channels, check_side
from .corrupting.drawing import image_keys
from .corrupting.scores import check_reference, flips, mean_of, relative, why_absent
from .corrupting.sequences import SEQUENCES, frames_of, sequence
from .corrupting.watching import answers, fixed
from .robustness import BesideBaseline, Rows, chosen, own_name

Perturbation = Literal[
    "gaussian_noise", "shot_noise", "motion_blur", "zoom_blur", "snow", "brightness", "translate", "rotate", "tilt", "scale",
]  # fmt: skip
Flips = dict[str, float]
"Perturbation -> probability of a flip."


@dataclass(eq=False, kw_only=True)
class Perturbations:
    """How often predictions flip in sequences of slightly different frames: the ten perturbations of ImageNet-P.

    Hendrycks & Dietterich 2019 (arXiv 1903.12261), sec. 3.3. `test_flip_probability` is the share of frames whose
    predicted class differs from that of the frame before (of noise, whose frames have no order, from the first one), the
    mean over perturbations; `test_perturbations` has it for each as `flips`, and as `rate` relative to a reference
    model's. The mean rate over all ten is mFR, `test_mfr`, a share: papers write 0.122 as 12.2. Right or wrong does not
    matter, and a model that always says the same never flips: read it beside the accuracy. Measured at a generation's
    end, on test images as the model sees them, by operations of our own with the published constants: up to 84 pixels
    those of CIFAR-10-P (32 pixels), above those of ImageNet-P (224 pixels), lengths of blur and snow scaled to the size.
    Directions are the published ones; noise and flakes are drawn, the same in every generation. Where an image is moved,
    what comes in is black, as in CIFAR-10-P. A plugin of another `name` answers by that, so that several stand side by
    side: with name = "short" `test_short_flip_probability`, `test_short_mfr` and the table `test_short`.
    Raises `DataError` for images of other channels than 1 or 3.
    """

    perturbations: Annotated[list[Perturbation], MinLen(1)] = field(
        default_factory=lambda: list(get_args(Perturbation))
    )
    "Which ones; mFR is the mean over all, and is left out where some are."
    frames: Annotated[int, Ge(0), Unit("frames")] = 0
    """Of a sequence at most, from 2: its middle ones, where it leads from one extreme to the other, or else its first
    ones. 0: as published, 31 (motion blur 21 and translation 16 at 32 pixels, translation 41 at 224)."""
    images: Annotated[int, Ge(0), Unit("images")] = 0
    "How many test images, at equal distances through the split, the same ones always; 0: all."
    reference: Literal["baseline"] | dict[str, float] = "baseline"
    """Whose flips mFR is relative to: the run's supervised baseline, or a table, a probability for each perturbation:
    `{ snow = 0.12, ... }`, in whole sequences: `frames` is left out then."""

    def __post_init__(self) -> None:
        """Refuse settings that nothing would come of. Raises `ValueError`."""
        if self.frames == 1:
            raise ValueError("`frames = 1`: nothing flips within one frame; 0 is as many as published, others from 2")
        if len(set(self.perturbations)) < len(self.perturbations):
            raise ValueError("`perturbations` says one twice")
        if isinstance(self.reference, dict):
            check_reference(self.reference, SEQUENCES, "perturbations")
            if self.frames:
                raise ValueError(
                    "`frames`: a table as `reference` has flips in sequences as long as published, and a rate relative to it "
                    'is of such ones. Leave `frames` out, or set reference = "baseline"'
                )
        self._beside = BesideBaseline[Flips]()

    @hookimpl
    def measure(self, model: Classifier, data: Data, baseline: Classifier | None, progress: Progress) -> dict[str, Any]:
        """The flips at a generation's end, where there are test images."""
        check_channels(data.channels, f"[[metric]] {progress.plugin}")
        if progress.step < progress.steps or not data.test:
            return {}
        asked = baseline if self.reference == "baseline" else None
        images = data.test
        found, known = self._beside.measured(model, asked, data, lambda models: self._flips(models, images, progress))
        reference = self.reference if isinstance(self.reference, dict) else known or {}
        return self._told(found, reference, own_name(progress, "perturbations"))

    def _flips(self, models: list[Classifier], images: Images, progress: Progress) -> list[Flips]:
        """The probabilities of each model, on sequences of images that are read once."""
        counts = [dict.fromkeys(map(str, self.perturbations), 0) for _ in models]
        steps = [dict.fromkeys(map(str, self.perturbations), 0) for _ in models]
        rows, where = chosen(np.arange(len(images)), self.images), f"[[metric]] {progress.plugin}"
        shown: dict[str, int] = {}  # frames of each sequence

        def changed(position: Rows, seen: Bytes) -> Iterator[Bytes]:
            check_side(seen.shape[1], where)
            for name in self.perturbations:
                shown[name] = frames_of(name, seen.shape[1], self.frames)
                yield from sequence(name, seen, image_keys(fixed(progress, name), position), self.frames)

        with waiting("perturbing test images", len(rows)) as done:
            for number, position, named in answers(models, images, rows, changed):
                for name, part in zip(shown, torch.split(torch.stack(named, 1), list(shown.values()), 1), strict=True):
                    counts[number][name] += flips(part, SEQUENCES[name].from_first)
                    steps[number][name] += len(position) * (shown[name] - 1)
                done(len(position) if number == 0 else 0)
        return [
            {name: count / whole[name] for name, count in own.items()} for own, whole in zip(counts, steps, strict=True)
        ]

    def _told(self, found: Flips, reference: Mapping[str, float], given: str) -> dict[str, Any]:
        """The numbers, the table, and a sentence where there is no mean rate."""
        title, start = given or "perturbations", f"test_{given}_" if given else "test_"
        rates = {name: relative([own], [reference.get(name, 0)]) for name, own in found.items()}
        told: dict[str, Any] = {
            f"{start}flip_probability": float(np.mean(list(found.values()))),
            f"test_{title}": {name: {"flips": own, "rate": rates[name]} for name, own in found.items()},
        }
        if set(found) == set(SEQUENCES):
            mean = mean_of(list(rates.values()))
            if mean is None:
                without = [name for name, rate in rates.items() if rate is None]
                why = why_absent("mean flip rate (mFR)", bool(reference), without, isinstance(self.reference, dict))
                return {**told, f"test_{title}_note": why}
            told[f"{start}mfr"] = mean
        return told
