"""Everything a generation needs to go on in the same bits, and finding it again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .artifacts import committed, damage, load_tree, save_tree

KEPT = 2


class Checkpoints:
    """`checkpoints/`: the newest two are kept, so that a damaged one has a predecessor."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder, self.warn = folder, warn

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("generation-*-step-*"), key=lambda path: _place(path.name))

    def save(self, generation: int, step: int, tree: dict[str, Any]) -> Path:
        """Write a checkpoint, then drop the ones that are too old."""
        target = self.folder / f"generation-{generation}-step-{step}"
        with committed(target) as folder:
            save_tree(folder, "state", tree)
        # Too old, or half-written by a process that was killed.
        for old in [*self._all()[:-KEPT], *self.folder.glob(".*.writing")]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def newest(self) -> dict[str, Any] | None:
        """The newest whole checkpoint; damaged ones are said and set aside."""
        paths = self._all()
        for number, path in reversed(list(enumerate(paths))):
            problem = damage(path)
            if problem is None:
                return load_tree(path, "state")
            then = "going on from the one before it" if number else "no other is left: starting over"
            self.warn(f"checkpoint {path.name} is damaged ({problem}); {then}")
            # Out of the way, or the next save would count it among the two that are kept.
            shutil.rmtree(path, ignore_errors=True)
        return None

    def last(self) -> Path | None:
        """Where the newest checkpoint lies."""
        return next(reversed(self._all()), None)


def _place(name: str) -> tuple[int, int]:
    _, generation, _, step = name.split("-")
    return int(generation), int(step)


def optimizer_state(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Any]:
    """State by parameter name (an optimizer numbers them), and each group's numbers (some count steps there)."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    state = {names[id(parameter)]: dict(values) for parameter, values in optimizer.state.items()}
    groups = [{**group, "params": [names[id(p)] for p in group["params"]]} for group in optimizer.param_groups]
    return {"state": state, "groups": groups}


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, network: nn.Module, saved: dict[str, Any], made: list[dict[str, Any]]
) -> None:
    """Lay saved state over a fresh optimizer of the same network.

    `made`: the groups of the saved one when it was fresh. A number in which this one differs from it stays.
    """
    parameters, names = dict(network.named_parameters()), {id(p): name for name, p in network.named_parameters()}
    for name, values in saved["state"].items():
        parameter = parameters[name]
        optimizer.state[parameter] = {key: _like(value, parameter) for key, value in values.items()}
    owners = {name: pair for pair in zip(saved["groups"], made, strict=True) for name in pair[0]["params"]}
    for group in optimizer.param_groups:
        values, was = owners.get(names[id(group["params"][0])], ({}, {}))
        for key in values.keys() - {"params"}:
            if group.get(key) == was.get(key):
                group[key] = tuple(values[key]) if isinstance(group.get(key), tuple) else values[key]


def _like(value: Any, parameter: Tensor) -> Any:
    """A saved value where and how the optimizer keeps it: beside its parameter, in its memory format."""
    if not isinstance(value, Tensor):
        return value
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    # Step counters stay on the CPU, as torch keeps them.
    return value if value.ndim == 0 else value.to(parameter.device)
