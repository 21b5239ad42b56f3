"""Calls one hook of a plugin and watches what it must not touch."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..dataset import Images, Labeled
from ..errors import PluginError, SslkitError
from ..types import Batch, Step, Targets

INITIALISING = ("build_model", "extend_model", "trainables")
"Hooks that draw initial weights from torch's default generator, which the engine seeds for them."


class PluginFault(PluginError, AssertionError):
    """A plugin that breaks a promise; the message names plugin, hook and promise."""


class Refusal(PluginFault):
    """A plugin that raised an `SslkitError`: its user's fault, where it happens in real life."""


def bits(value: Any) -> Any:
    """What a value holds, in plain comparable form: equal exactly where the values are equal bit for bit."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        return str(value.dtype), tuple(value.shape), flat.view(torch.uint8).numpy().tobytes()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, nn.Module):
        return bits(dict(value.named_parameters()) | dict(value.named_buffers()))
    if isinstance(value, Images):
        return list(value.ids), bits(value.truth), bits(value.read(np.arange(min(5, len(value)))))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, [(f.name, bits(getattr(value, f.name))) for f in fields(value)]
    if isinstance(value, Mapping):
        return [(name, bits(item)) for name, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return repr(value) if value is None or isinstance(value, (str, int, float)) else type(value).__qualname__


def generators() -> dict[str, Any]:
    """The states of the generators that everyone shares."""
    return {
        "Python's random": random.getstate(),
        "numpy.random": bits(np.random.get_state(legacy=False)),
        "torch's default generator": bits(torch.default_generator.get_state()),
    }


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Shared generators seeded in one particular way, and put back afterwards."""
    before = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.default_generator.set_state(before[2])


class Call:
    """One hook of one plugin: hands over what it asks for, and watches what it must not touch."""

    def __init__(self, plugin: object, hook: str, on: tuple[str, ...] | None = None) -> None:
        self.plugin, self.hook, self.on = plugin, hook, on

    def fault(self, problem: str) -> PluginFault:
        """The error to raise."""
        return PluginFault(f"{type(self.plugin).__name__}: hook `{self.hook}` {problem}")

    def expect(self, condition: bool, problem: str) -> None:
        """Raise unless the condition holds."""
        if not condition:
            raise self.fault(problem)

    def expect_type(self, answer: Any, *kinds: type | None) -> None:
        """Raise unless the answer is of one of these types (None: nothing)."""
        if not any(answer is None if kind is None else isinstance(answer, kind) for kind in kinds):
            names = " or ".join("nothing" if kind is None else kind.__name__ for kind in kinds)
            raise self.fault(f"answered {type(answer).__name__}; {names} was expected")

    def __call__(self, **arguments: Any) -> Any:
        """The answer; inputs and shared generators must be as they were."""
        function = getattr(self.plugin, self.hook)
        given = {name: arguments[name] for name in inspect.signature(function).parameters}
        inputs = {n: v for n, v in given.items() if isinstance(v, (Targets, Batch, Step, Labeled))}
        before = bits(inputs)
        answer = self.guarded(function, **given)
        self.expect(bits(inputs) == before, f"changed {' or '.join(inputs)} in place; answer a new one")
        return answer

    def guarded(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something of the plugin; shared generators must be as they were."""
        if self.hook in INITIALISING:
            torch.default_generator.manual_seed(0)  # as the engine does before it builds
        before, modules = generators(), len(sys.modules)
        try:
            answer = function(*args, **kwargs)
        except SslkitError as error:
            raise Refusal(f"{type(self.plugin).__name__}: hook `{self.hook}` refuses: {error}") from error
        except Exception as error:
            raise self.fault(f"raised {type(error).__name__}: {error}") from error
        after = generators()
        moved = [name for name in before if before[name] != after[name]]
        allowed = ["torch's default generator"] if self.hook in INITIALISING else []
        drawn = " and ".join(moved)
        # Importing a library may draw (names of temporary files); the next call finds it imported.
        innocent = moved in ([], allowed) or len(sys.modules) > modules
        self.expect(innocent, f"draws from or seeds {drawn}; draw from `progress` or row keys")
        return answer

    def attempts(self, cases: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
        """Answers to several cases. A plugin may refuse some by an `SslkitError` (only pools, say), but not all."""
        refusal, answered = None, 0
        for case in cases:
            try:
                answer = self(**case)
            except Refusal as error:
                refusal = error
                continue
            answered += 1
            yield case, answer
        if not answered and refusal is not None:
            raise refusal
