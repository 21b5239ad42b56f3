"""Robustness to common corruptions: noise, blur, weather and digital ones, as of ImageNet-C and CIFAR-10-C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from annotated_types import Ge, Interval, MinLen, Unit
from numpy.typing import NDArray
from torch import Tensor

from sslkit import Classifier, Data, Facts, Images, Progress, hookimpl
from sslkit.errors import DataError
from sslkit.waiting import waiting

from .corrupting.constants import ALEXNET, SEVERITIES
from .corrupting.corrupt import OPERATIONS, Bytes, check_channels, check_side, corrupted
from .corrupting.drawing import image_keys
from .corrupting.published import published
from .corrupting.scores import check_reference, mean_of, relative, why_absent
from .corrupting.watching import answers, fixed
from .robustness import BesideBaseline, Rows, chosen, of_known_class, own_name

Corruption = Literal[
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
]  # fmt: skip
Severity = Annotated[int, Interval(ge=1, le=5)]
Errors = dict[str, dict[int, float]]
"Corruption -> severity -> share of the images that are named wrongly."
FROST, DRAWN = "frost", "frost (drawn)"
IMAGENET = 1000
"Classes that AlexNet's errors are of."


@dataclass(eq=False, kw_only=True)
class Corruptions:
    """Errors on corrupted test images: the 15 common corruptions of ImageNet-C and CIFAR-10-C at 5 severities.

    Hendrycks & Dietterich 2019 (arXiv 1903.12261). `test_corruption_error` is the mean error over what is measured
    (but drawn frost), and `test_corruptions` the table: by corruption and severity, their mean, and `ce`, the sum of the
    errors over that of a reference model. mCE, the mean of `ce`, is a share: papers write 0.283 as 28.3. Measured at a
    generation's end.

    With `folder` the images are the published ones, and the mean over all 15 at all severities is `test_mce`. Otherwise
    the test images are corrupted as the model sees them, by operations of our own with the published constants: up to
    84 pixels those of CIFAR-10-C (32 pixels), above those of ImageNet-C (224 pixels), lengths scaled to the size; gray
    images and colours, 8 pixels and more. Frost, of which the published images have photographs, is drawn: it is called
    `frost (drawn)`, stands in the table alone, and the mean over the other 14 is `test_mce_without_frost`. Every
    generation is shown the same images, and the severities of an image share their draws.

    A plugin of another `name` answers by that, so that drawn and published images stand side by side: with
    name = "published" `test_published_error`, `test_published_mce` and the table `test_published`.
    Raises `DataError` for images of other channels, and for files or classes that are not as published.
    """

    corruptions: Annotated[list[Corruption], MinLen(1)] = field(default_factory=lambda: list(get_args(Corruption)))
    "Which ones; mCE is the mean over all, and is left out where some are."
    severities: Annotated[list[Severity], MinLen(1)] = field(default_factory=lambda: list(SEVERITIES))
    "From 1, the mildest, to 5; mCE sums over all."
    images: Annotated[int, Ge(0), Unit("images")] = 0
    "How many test images of known class, at equal distances through the split, the same ones always; 0: all."
    folder: Path | None = None
    """Folder of CIFAR-10-C (`gaussian_noise.npy` ..., `labels.npy`) or ImageNet-C (`gaussian_noise/1/n01440764/` ..., also
    below `noise/`, `blur/`, `weather/`, `digital/`), for models of these classes. Left out: the run's test images."""
    reference: Literal["baseline", "alexnet"] | dict[str, float] = "baseline"
    """Whose errors mCE is relative to: the run's supervised baseline; AlexNet's as published, for models of ImageNet's
    1,000 classes; or a table, a mean error over the five severities for each corruption: `{ fog = 0.82, ... }`."""

    def __post_init__(self) -> None:
        """Refuse settings that say a thing twice, or that do not go together. Raises `ValueError`."""
        for name, given in (("corruptions", self.corruptions), ("severities", self.severities)):
            if len(set(given)) < len(given):
                raise ValueError(f"`{name}` says one twice")
        if self.reference != "baseline" and set(self.severities) != set(SEVERITIES):
            raise ValueError("`reference` has mean errors over all five severities: leave `severities` out")
        if isinstance(self.reference, dict):
            check_reference(self.reference, OPERATIONS, "corruptions")
        self._beside = BesideBaseline[Errors]()

    @hookimpl
    def begin(self, facts: Facts, progress: Progress) -> None:
        """Look at the folder, and at what the images are, where that is known."""
        if facts.sizes:
            self._check(facts, f"[[metric]] {progress.plugin}")

    @hookimpl
    def measure(self, model: Classifier, data: Data, baseline: Classifier | None, progress: Progress) -> dict[str, Any]:
        """The errors at a generation's end, where the images' classes are known."""
        where = f"[[metric]] {progress.plugin}"
        self._check(data, where)
        if progress.step < progress.steps or (self.folder is None and not (data.test and data.test.known)):
            return {}
        asked = baseline if self.reference == "baseline" else None
        errors, known = self._beside.measured(
            model, asked, data, lambda models: self._errors(models, data, progress, where)
        )
        return self._told(errors, self._reference(known), own_name(progress, "corruptions"))

    def _check(self, data: Data | Facts, where: str) -> None:
        """Refuse what cannot be measured: before anything is trained, not when hours of training lie before it."""
        check_channels(data.channels, where)
        if self.folder is not None:
            published(where, self.folder, data, self.corruptions)
        if self.reference == "alexnet" and len(data.classes) != IMAGENET:
            raise DataError(
                f'{where}: reference = "alexnet" has errors on the 1,000 classes of ImageNet, the model has '
                f'{len(data.classes)}. Take reference = "baseline", or a table of a model of these classes'
            )

    def _errors(self, models: list[Classifier], data: Data, progress: Progress, where: str) -> list[Errors]:
        """Of each model, by corruption and severity."""
        cells = [(name, severity) for name in self.corruptions for severity in sorted(self.severities)]
        count = self._on_files if self.folder is not None else self._on_test
        found: list[Errors] = []
        for errors in count(models, data, progress, where, cells):
            table: Errors = {name: {} for name in self.corruptions}
            for (name, severity), error in zip(cells, errors.tolist(), strict=True):
                table[name][severity] = error
            found.append(table)
        return found

    def _on_test(
        self, models: list[Classifier], data: Data, progress: Progress, where: str, cells: list[tuple[Corruption, int]]
    ) -> NDArray[np.float64]:
        """Errors on the run's test images (models, cells), which are read once for all corruptions."""
        assert data.test is not None
        rows = chosen(of_known_class(data.test), self.images)

        def changed(position: Rows, images: Bytes) -> Iterator[Bytes]:
            check_side(images.shape[1], where)
            keys = {name: image_keys(fixed(progress, name), position) for name in self.corruptions}
            for name, severity in cells:
                yield corrupted(name, severity, images, keys[name])

        wrong = np.zeros((len(models), len(cells)))
        with waiting("corrupting test images", len(rows)) as done:
            for number, position, named in answers(models, data.test, rows, changed):
                wrong[number] += mistakes(data.test, position, named)
                done(len(position) if number == 0 else 0)
        return wrong / len(rows)

    def _on_files(
        self, models: list[Classifier], data: Data, progress: Progress, where: str, cells: list[tuple[Corruption, int]]
    ) -> NDArray[np.float64]:
        """Errors on published images (models, cells)."""
        assert self.folder is not None
        source = published(where, self.folder, data, self.corruptions)
        wrong, shown = np.zeros((len(models), len(cells))), np.zeros(len(cells))
        with waiting("reading corrupted images", len(cells)) as done:
            for column, (name, severity) in enumerate(cells):
                images = source.images(name, severity)
                rows = chosen(of_known_class(images), self.images)
                for number, position, named in answers(models, images, rows, lambda _, made: [made]):
                    wrong[number, column] += mistakes(images, position, named)[0]
                shown[column] = len(rows)
                done(1)
        return wrong / shown

    def _reference(self, baseline: Errors | None) -> Mapping[str, list[float]]:
        """The reference's errors by corruption; where only their mean is known, as often as there are severities."""
        if baseline is not None:
            return {name: list(errors.values()) for name, errors in baseline.items()}
        given = ALEXNET if self.reference == "alexnet" else self.reference
        means = given if isinstance(given, dict) else {}
        # Photographs of frost are another corruption than drawn ice.
        comparable = {name: mean for name, mean in means.items() if self.folder is not None or name != FROST}
        return {name: [mean] * len(SEVERITIES) for name, mean in comparable.items()}

    def _told(self, errors: Errors, reference: Mapping[str, list[float]], name: str) -> dict[str, Any]:
        """The numbers, the table, and what a reader must know beside them; `name`: the metric's own, if it has one."""
        drawn, table = self.folder is None, {}
        ratios = {each: relative(own.values(), reference.get(each, [])) for each, own in errors.items()}
        for corruption, own in errors.items():
            table[DRAWN if drawn and corruption == FROST else corruption] = {
                **{str(severity): error for severity, error in own.items()},
                "mean": float(np.mean(list(own.values()))),
                "ce": ratios[corruption],
            }
        # Drawn ice is no stand-in for photographs of frost in a mean that papers have.
        counted = [list(own.values()) for corruption, own in errors.items() if not (drawn and corruption == FROST)]
        error, title = f"test_{name}_error" if name else "test_corruption_error", f"test_{name or 'corruptions'}"
        mean = {error: float(np.mean(counted))} if counted else {f"{title}_note": f"{DRAWN} is of no mean"}
        return {**mean, **self._mean(ratios, bool(reference), name), title: table}

    def _mean(self, ratios: Mapping[str, float | None], measured: bool, name: str) -> dict[str, Any]:
        """mCE, where all that it is the mean of was asked for; without a reference, a sentence that says why not."""
        drawn = self.folder is None
        names = [each for each in OPERATIONS if not (drawn and each == FROST)]
        if not set(names) <= set(ratios) or set(self.severities) != set(SEVERITIES):
            return {}
        mean = mean_of([ratios[each] for each in names])
        if mean is not None:
            said = "mce_without_frost" if drawn else "mce"
            return {f"test_{name}_{said}" if name else f"test_{said}": mean}
        without = [each for each in names if ratios[each] is None]
        why = why_absent("mean corruption error (mCE)", measured, without, isinstance(self.reference, dict))
        return {f"test_{name or 'corruptions'}_note": why}


def mistakes(images: Images, position: Tensor, named: list[Tensor]) -> NDArray[np.int64]:
    """How many of the images at `position` (M,) are named wrongly, for each list of named classes (M,)."""
    truth = torch.as_tensor(images.truth)[position]
    return np.array([int((classes != truth).sum()) for classes in named])
