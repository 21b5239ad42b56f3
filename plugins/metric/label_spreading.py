"""Label spreading on raw pixels: the classical semi-supervised method, as a bar to clear."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval, Unit
from numpy.typing import NDArray

from sslkit import Data, Images, Progress, hookimpl
from sslkit.errors import DataError


def pixels(images: Images, positions: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Images as rows of numbers from 0 to 1: (N, H * W * C). Raises `DataError` where sizes differ."""
    read = images.read(np.arange(len(images)) if positions is None else positions)
    shapes = sorted({image.shape for image in read})
    if len(shapes) > 1:
        raise DataError(
            f"[[metric]] label_spreading: compares images pixel by pixel, but their sizes differ, e.g. {shapes[0]} and "
            f"{shapes[-1]} (height, width, channels). Leave the metric out, or use images of one size"
        )
    return np.stack(read).reshape(len(read), -1) / 255.0


def training_set(data: Data) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Pixels and classes of the labeled and unlabeled images, -1 for unlabeled; an image in both counts once."""
    x, y = pixels(data.labeled), data.labeled.truth
    if data.unlabeled is None:
        return x, y
    labeled = set(data.labeled.ids)
    rest = np.array([i for i, name in enumerate(data.unlabeled.ids) if name not in labeled], dtype=np.int64)
    if not len(rest):
        return x, y
    return one_size(x, pixels(data.unlabeled, rest)), np.concatenate([y, np.full(len(rest), -1)])


def one_size(*splits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Splits (N, D) as one. Raises `DataError` where D differs between them."""
    widths = [split.shape[1] for split in splits]
    if len(set(widths)) > 1:
        raise DataError(
            "[[metric]] label_spreading: compares images pixel by pixel, but the splits' images differ in size "
            f"({' and '.join(map(str, widths))} numbers). Leave the metric out, or use images of one size"
        )
    return np.concatenate(splits)


@dataclass(eq=False, kw_only=True)
class LabelSpreading:
    """Test accuracy of scikit-learn's `LabelSpreading(kernel="knn")`, given the very same labeled and unlabeled images.

    Zhou et al. 2004, on raw pixels. It does not depend on the trained model, and is computed at a generation's end
    only. Raises `DataError` for images of differing sizes.
    """

    neighbors: Annotated[int, Ge(1), Unit("images")] = 7
    "Nearest neighbours that an image is connected with."
    alpha: Annotated[float, Interval(gt=0, lt=1)] = 0.2
    "Share of an image's label that comes from its neighbours rather than from itself."

    @hookimpl
    def measure(self, data: Data, progress: Progress) -> dict[str, float]:
        """`label_spreading` at a generation's end, where the test images' classes are known."""
        if progress.step < progress.steps or data.test is None or not data.test.known:
            return {}
        known = np.flatnonzero(data.test.truth >= 0)
        x, y = training_set(data)
        test = one_size(x, pixels(data.test, known))[len(x) :]
        return {"label_spreading": float((self._predict(x, y, test) == data.test.truth[known]).mean())}

    def _predict(self, x: NDArray[np.float64], y: NDArray[np.int64], test: NDArray[np.float64]) -> NDArray[np.int64]:
        # Imported late: naming the metric in a recipe must not wait for scikit-learn.
        from sklearn.semi_supervised import LabelSpreading as Spreading

        # The default of 30 iterations may stop short, with a warning; with alpha < 1 it converges well within these.
        spreading = Spreading(kernel="knn", n_neighbors=min(self.neighbors, len(x)), alpha=self.alpha, max_iter=1000)
        # An image that no label reaches has weights 0 / 0: scikit-learn warns and takes the first class, so do we.
        with np.errstate(divide="ignore", invalid="ignore"):
            predicted: NDArray[np.int64] = spreading.fit(x, y).predict(test)
        return predicted
