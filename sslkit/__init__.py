"""sslkit: semi-supervised image classification by self-training, made of plugins."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .hookspecs import hookimpl

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .dataset import OUTSIDE, UNKNOWN, Data, Image, Images, Labeled, LeftOut, Look
    from .distributed import global_mean
    from .errors import MissingData, SslkitError
    from .folder import Run
    from .measuring.evaluate import Evaluation, evaluate
    from .predicting.predict import Prediction, predict
    from .reporting.making import report
    from .runs import run
    from .starting.recognized import Recognized
    from .types import (
        Batch,
        Classifier,
        Event,
        Facts,
        Forward,
        Keys,
        LossTerm,
        Outputs,
        Progress,
        Step,
        Targets,
        Transform,
        View,
        ViewSpec,
    )

_HOMES = {
    "distributed": ["global_mean"],
    "errors": ["MissingData", "SslkitError"],
    "folder": ["Run"],
    "measuring.evaluate": ["Evaluation", "evaluate"],
    "predicting.predict": ["Prediction", "predict"],
    "reporting.making": ["report"],
    "runs": ["run"],
    "starting.recognized": ["Recognized"],
    "dataset": ["Data", "Image", "Images", "Labeled", "LeftOut", "Look", "OUTSIDE", "UNKNOWN"],
    "types": [
        "Batch", "Classifier", "Event", "Facts", "Forward", "Keys", "LossTerm", "Outputs", "Progress", "Step", "Targets",
        "Transform", "View", "ViewSpec",
    ],
}  # fmt: skip

__all__ = [
    "OUTSIDE",
    "UNKNOWN",
    "Batch",
    "Classifier",
    "Data",
    "Evaluation",
    "Event",
    "Facts",
    "Forward",
    "Image",
    "Images",
    "Keys",
    "Labeled",
    "LeftOut",
    "Look",
    "LossTerm",
    "MissingData",
    "Outputs",
    "Prediction",
    "Progress",
    "Recognized",
    "Run",
    "SslkitError",
    "Step",
    "Targets",
    "Transform",
    "View",
    "ViewSpec",
    "evaluate",
    "global_mean",
    "hookimpl",
    "predict",
    "report",
    "run",
]


def __dir__() -> list[str]:
    """What completion offers."""
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    """Names are loaded when first used: `sslkit --help` must not wait for torch."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"sslkit.{module}"), name)
    raise AttributeError(f"module 'sslkit' has no attribute {name!r}")
