"""What a step of a recipe costs, in rows: how many images go through each model, and how many of them back again.

Rows are counted by hooks on every network while a few steps are taken, so nobody has to believe a table. Batches of L
labeled and U unlabeled images, two numbers that are told apart in any sum, make a formula of a count: 29 rows are L + 2 U.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sslkit.ahead import load_steps
from sslkit.check.probe import begun, opened, short_session
from sslkit.dataset import Labeled
from sslkit.engine import train_step
from sslkit.labels import label_pool
from sslkit.network import Network
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.recipe.model import Generation, Recipe
from sslkit.session import Session
from sslkit.state import State
from sslkit.streams import assemble, make_streams
from sslkit.types import Outputs

L, U = 7, 11
"Images of a small step: a formula is L * a + U * b with a < 11."
STEPS = 2
"Steps that are counted; a step's rows do not depend on which it is."
SIZE = 16
"Pixels on a side: rows do not depend on it."


@dataclass
class Rows:
    """Rows of one step: model -> rows that go through it, and those of them that a gradient comes back through."""

    forward: Counter[str] = field(default_factory=Counter)
    backward: Counter[str] = field(default_factory=Counter)

    @property
    def cost(self) -> int:
        """Rows, a way back counted as two ways through (as is usual: it computes two products where one was)."""
        return self.forward.total() + 2 * self.backward.total()


def shrunk(name: str) -> Recipe:
    """A shipped recipe with steps of L and U small images, in each generation that has both."""
    recipe = load(name)
    small: dict[str, Any] = {"batch.labeled": L, "model.size": SIZE, "workers": 0, "tracker": [], "metric": []}
    for index, cfg in enumerate(recipe.generations):
        prefix = f"generation.{index}." if len(recipe.generations) > 1 else ""
        small[f"{prefix}batch.unlabeled"] = U if cfg.settings.batch.unlabeled else 0
    return load(name, small)


def counted(recipe: Recipe) -> list[Rows]:
    """The rows of a step of each generation."""
    session = short_session(recipe, open_data(recipe), torch.device("cpu"))
    return [generation_rows(cfg, session) for cfg in recipe.generations]


def generation_rows(cfg: Generation, session: Session) -> Rows:
    """The rows of a generation's second step. Raises `AssertionError` where the first had others."""
    state = ready(cfg, session)
    found: list[Rows] = []
    hooks = [watch(network, name, found) for name, network in networks(state).items()]
    for arrays in load_steps(make_streams(state, session.data), 0, min(STEPS, cfg.settings.steps), 0):
        found.append(Rows())
        state.set_rate()
        train_step(state, assemble(state, arrays))
        state.step += 1
    for hook in hooks:
        hook.remove()
    assert all(one == found[0] for one in found), f"steps differ: {found}"
    return found[-1]


def ready(cfg: Generation, session: Session) -> State:
    """A generation before its first step, taught by an untrained model of the one before."""
    state = begun(cfg, session)
    if state.teachers.get("pool") is not None and session.data.unlabeled is not None:
        state.stored = label_pool(state, session)
    state.labeled = state.hooks.revise_labeled(Labeled.of(session.data.labeled), state.stored, state.progress)
    if state.stored is not None:
        state.stored = opened(state.stored)  # an untrained teacher is sure of nothing, and nothing would be drawn
    return state


def networks(state: State) -> dict[str, nn.Module]:
    """Every model that a step may ask, by the name of what it is first of all."""
    named: dict[str, nn.Module | None] = {
        "student": state.student, "average": state.average, **state.trainables, "previous": state.previous,
        **{f"{timing}'s teacher": one for timing, one in state.teachers.items()},
    }  # fmt: skip
    found: dict[str, nn.Module] = {}
    for name, one in named.items():
        if isinstance(one, Network) and all(one is not other for other in found.values()):
            found["teacher" if name.endswith("teacher") else name] = one
    return found


def watch(network: nn.Module, name: str, found: list[Rows]) -> Any:
    """Count what goes through a network, and what comes back, in the last of `found`."""

    def through(_: nn.Module, arguments: tuple[Tensor, ...], answer: Outputs) -> None:
        if not found:
            return
        here, rows, back = found[-1], len(arguments[0]), []
        here.forward[name] += rows

        def returned(gradient: Tensor) -> None:
            if not back:  # a pass comes back once, by however many of its answers
                back.append(rows)
                here.backward[name] += rows

        for tensor in (answer.logits, answer.features, *answer.heads.values()):
            if tensor is not None and tensor.requires_grad:
                tensor.register_hook(returned)

    return network.register_forward_hook(through)


def formula(rows: int) -> str:
    """Rows of a small step as `l + 2u`."""
    labeled = next(a for a in range(U) if (rows - L * a) % U == 0 and rows >= L * a)
    parts = [(labeled, "l"), ((rows - L * labeled) // U, "u")]
    return " + ".join(f"{'' if many == 1 else many}{letter}" for many, letter in parts if many) or "0"


def value(text: str, labeled: int, unlabeled: int) -> int:
    """What a formula amounts to."""
    found = 0
    for part in text.split(" + "):
        letter = {"l": labeled, "u": unlabeled}.get(part[-1], 0)
        found += letter * int(part[:-1] or 1) if letter else 0
    return found
