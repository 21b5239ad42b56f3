"""What plugins answer, checked against what their hooks promise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from .dataset import Data
from .errors import DataError, PluginError, SslkitError
from .recipe.message import counted
from .recipe.model import Entry
from .types import LossTerm, Targets


class Call(NamedTuple):
    """One plugin's implementation of one hook."""

    entry: Entry
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def fail(self, hook: str, problem: str) -> PluginError:
        """The error to raise: plugin, hook, what was expected."""
        return PluginError(f"[{self.entry.section}] {self.entry.name}: hook `{hook}` {problem}")


def checked(call: Call, hook: str, answer: Any, expected: type | tuple[type, ...]) -> Any:
    """The answer, if it is of the type that the hook promises."""
    if isinstance(answer, expected):
        if hook in PARTS:
            PARTS[hook](call, hook, answer)
        return answer
    kinds = expected if isinstance(expected, tuple) else (expected,)
    names = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    raise call.fail(hook, f"answered {type(answer).__name__}; {names} was expected")


def check_targets(call: Call, hook: str, targets: Targets, rows: int, classes: int) -> None:
    """Targets have one row per image, a column per class, and no gradient flows through them."""
    for name in Targets.columns:
        column = getattr(targets, name)
        shape = (rows, classes) if name in ("raw", "probs") else (rows,)
        if column.shape != shape:
            raise call.fail(hook, f"answered `{name}` of shape {tuple(column.shape)}; {shape} was expected")
        if column.requires_grad:
            raise call.fail(hook, f"answered `{name}` with a gradient; targets are constants: detach it")


def check_alike(call: Call, hook: str, answer: Any, value: Any) -> None:
    """A fold answers as many rows and columns as it got."""
    if isinstance(value, Targets):
        check_targets(call, hook, answer, *value.probs.shape)
    if isinstance(value, Tensor) and answer.shape != value.shape:
        raise call.fail(hook, f"answered shape {tuple(answer.shape)}; {tuple(value.shape)} was expected")


def check_terms(call: Call, hook: str, answer: Any) -> None:
    """A loss is a number that a gradient can flow from."""
    for term in answer if isinstance(answer, list) else [answer]:
        if not isinstance(term, LossTerm):
            raise call.fail(hook, f"answered a list with {type(term).__name__}; LossTerm was expected")
        if not isinstance(term.value, Tensor):
            raise call.fail(hook, f"answers a value that is {type(term.value).__name__}; a scalar Tensor was expected")
        if term.value.ndim:
            raise call.fail(hook, f"answers a value of shape {tuple(term.value.shape)}; a scalar was expected")


def check_modules(call: Call, hook: str, answer: dict[str, Any]) -> None:
    """Heads and further models are modules."""
    for name, module in answer.items():
        if not isinstance(module, nn.Module):
            raise call.fail(hook, f"answers `{name}`, which is {type(module).__name__}; Module was expected")


def complete_data(call: Call, hook: str, data: Data) -> None:
    """An image that cannot be read, whenever that shows, is the user's to mend, and said with its split."""
    for split, images in data.splits.items():
        images.read = readable(call, split, images.read)
    data.notes = (*data.notes, *overlap(data))


def overlap(data: Data) -> list[str]:
    """Whether the labeled images are among the unlabeled ones, by their ids: asked of every toolkit again and again."""
    if data.unlabeled is None:
        return []
    labeled = set(data.labeled.ids)
    shared, total = len({name for name in data.unlabeled.ids if name in labeled}), len(data.labeled)
    if not shared:
        return ["none of the labeled images is among the unlabeled ones"]
    which = f"the {counted(total, 'labeled image')}" if shared == total else f"{shared:,} of {total:,} labeled ones"
    return [f"the unlabeled images include {which}, without their labels"]


def readable(call: Call, split: str, read: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """`read`, its errors as `DataError`."""

    def images(position: Any) -> list[Any]:
        try:
            return read(position)
        except SslkitError:
            raise
        except Exception as error:
            where = f"[{call.entry.section}] {call.entry.name}: images of the {split} split"
            raise DataError(f"{where} could not be read: {type(error).__name__}: {error}") from error

    return images


def check_metrics(call: Call, hook: str, answer: dict[str, Any]) -> None:
    """Metrics are written into JSON."""
    for name, value in answer.items():
        try:
            json.dumps(measured(value))
        except TypeError as error:
            what = f"answers `{name}`, which is no number, text, or list or table of them ({error})"
            raise call.fail(hook, what) from error


def measured(value: Any) -> Any:
    """A metric's value as JSON has it: tensors and arrays are numbers or lists of them, and what is no number is null."""
    if isinstance(value, dict):
        return {key: measured(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [measured(item) for item in value]
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return measured(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


PARTS: dict[str, Callable[[Call, str, Any], None]] = {
    "open_data": complete_data,
    "loss": check_terms,
    "train_step": check_terms,
    "extend_model": check_modules,
    "trainables": check_modules,
    "measure": check_metrics,
}
"What an answer of the right type must hold."
