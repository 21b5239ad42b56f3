"""What plugins answer, checked against what their hooks promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .errors import PluginError
from .recipe.model import Entry
from .types import Targets


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
        return answer
    kinds = expected if isinstance(expected, tuple) else (expected,)
    names = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    raise call.fail(hook, f"answered {type(answer).__name__}; {names} was expected")


def check_targets(call: Call, hook: str, targets: Targets, rows: int) -> None:
    """Targets have one row per image, and no gradient flows through them."""
    for name in Targets.columns:
        column = getattr(targets, name)
        if len(column) != rows or column.ndim != (2 if name in ("raw", "probs") else 1):
            shape = f"({rows}, classes)" if name in ("raw", "probs") else f"({rows},)"
            raise call.fail(hook, f"answered `{name}` of shape {tuple(column.shape)}; {shape} was expected")
        if column.requires_grad:
            raise call.fail(hook, f"answered `{name}` with a gradient; targets are constants: detach it")
