"""What the engine costs: its step beside a hand-written one of the same passes, in the same run.

    python bench/engine.py

Views are made ahead in both, so this is the loop alone. Rounds alternate and the median of each is taken, since machines
are shared. The null model answers with its one parameter and the null losses are means: what is left is the engine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslkit.ahead import make
from sslkit.check.probe import throwaway
from sslkit.dataset import Labeled
from sslkit.engine import train_step
from sslkit.environment import determinism
from sslkit.folder import Run
from sslkit.journal import Journal
from sslkit.opening import open_data
from sslkit.recipe import load
from sslkit.session import Session
from sslkit.state import State, facts_of, fresh_state
from sslkit.streams import assemble, make_streams
from sslkit.types import Targets

NULL = '''
import torch
from dataclasses import dataclass
from sslkit import LossTerm, hookimpl

class Null(torch.nn.Module):
    """Answers with its one parameter."""
    def __init__(self, classes):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(classes))
    def forward(self, images):
        return self.logits.expand(len(images), -1)

@dataclass(eq=False, kw_only=True)
class Loss:
    """The least a loss can be."""
    @hookimpl
    def loss(self, forward, on):
        return LossTerm(forward(on[0]).logits.mean())

@dataclass(eq=False, kw_only=True)
class Model:
    """The least a model can be."""
    @hookimpl
    def build_model(self, kwargs):
        return Null(kwargs["num_classes"])
'''
NULL_RECIPE = """
extends = "noisy_student"
batch = { labeled = 1, unlabeled = 1 }
[model]
use = "./null.py:Model"
size = 8
[[noise]]
use = "randaugment"
enabled = false
[[loss]]
name = "supervised"
use = "./null.py:Loss"
on = "labeled"
[[loss]]
name = "distillation"
use = "./null.py:Loss"
on = "unlabeled"
[[generation]]
[[generation]]
"""
ROUNDS, PREPARED = 15, 16


def prepare(source: str | Path, generation: int = -1) -> tuple[State, list[dict[str, object]]]:
    """A generation of a recipe (the last) at its first step, with steps made ahead."""
    recipe = load(source)
    cfg = recipe.generations[generation]
    session = Session(recipe, open_data(recipe), Run(tempfile.mkdtemp()), torch.device("cpu"))
    entries = [entry for entry in cfg.entries() if entry.section != "tracker"]
    facts = facts_of(cfg, session.data, session.device)
    state = fresh_state(cfg, entries, facts, 0, throwaway(cfg, session), None)
    state.labeled = Labeled.of(session.data.labeled)
    unlabeled = session.data.unlabeled
    assert unlabeled is not None
    if cfg.settings.labels == "pool":
        state.stored = Targets.of(torch.arange(len(unlabeled)), torch.rand(len(unlabeled), 10).softmax(1))
    streams = make_streams(state, session.data)
    return state, [make(streams, i) for i in range(PREPARED)]


def engine(state: State, arrays: list[dict[str, object]]) -> Callable[[int], None]:
    """The engine's loop over prepared steps, its journal included."""
    journal = Journal(state, lambda: None)

    def loop(count: int) -> None:
        state.step = 0
        for number in range(count):
            journal.loaded()
            state.set_rate()
            step = assemble(state, arrays[number % PREPARED])
            journal.stepped(step, train_step(state, step))
            state.step += 1
            if state.step % state.cfg.settings.log_every == 0:
                journal.log()
            journal.ready()

    return loop


def cross_entropies(logits: Tensor, rows: int, truth: Tensor, probs: Tensor) -> Tensor:
    """CE_L + mu * CE_U."""
    ratio = (len(logits) - rows) / rows
    return functional.cross_entropy(logits[:rows], truth) + ratio * functional.cross_entropy(logits[rows:], probs)


def means(logits: Tensor, rows: int, truth: Tensor, probs: Tensor) -> Tensor:
    """What the null losses are."""
    return logits[:rows].mean() + logits[rows:].mean()


def by_hand(state: State, arrays: list[dict[str, object]], losses: Callable[..., Tensor]) -> Callable[[int], None]:
    """What one would write for this recipe alone: one pass, two losses."""
    student, optimizer = state.student, state.optimizer
    model: Callable[[Tensor], Tensor] = student.model
    assert state.stored is not None and state.labeled is not None
    probs, truth = state.stored.probs, nn.functional.one_hot(state.labeled.truth, 10).float()

    def images(part: dict[str, object]) -> Tensor:
        (view,) = part["views"].values()  # type: ignore[attr-defined]
        floats: Tensor = view.permute(0, 3, 1, 2).float().div_(255)
        return floats

    def loop(count: int) -> None:
        student.train()
        for number in range(count):
            labeled, unlabeled = arrays[number % PREPARED]["labeled"], arrays[number % PREPARED]["unlabeled"]
            batch = torch.cat([images(labeled), images(unlabeled)])  # type: ignore[arg-type]
            logits = model((batch - student.mean) / student.std)
            rows = len(labeled["index"])  # type: ignore[index]
            loss = losses(logits, rows, truth[labeled["index"]], probs[unlabeled["index"]])  # type: ignore[index]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return loop


def compare(title: str, ours: Callable[[int], None], hand: Callable[[int], None], count: int) -> float:
    """Medians over alternating rounds, printed; their ratio."""
    loops = {"engine": ours, "by hand": hand}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name in list(loops)[:: 1 if turn % 2 else -1]:
            began = time.perf_counter()
            loops[name](count)
            if turn:  # the first round warms up
                times[name].append((time.perf_counter() - began) / count * 1e6)
    mine, other = (statistics.median(times[name]) for name in ("engine", "by hand"))
    own = statistics.median(a - b for a, b in zip(times["engine"], times["by hand"], strict=True))
    ratio = statistics.median(a / b for a, b in zip(times["engine"], times["by hand"], strict=True))
    print(
        f"{title}: engine {mine:,.0f} us a step, by hand {other:,.0f} us; ratio {ratio:.3f}, engine's own {own:,.0f} us",
        flush=True,
    )
    return ratio


def main() -> None:
    """Both comparisons."""
    torch.set_num_threads(1)
    with determinism(True), tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "null.py").write_text(NULL)
        recipe = Path(folder) / "null.toml"
        recipe.write_text(NULL_RECIPE)
        for title, source, losses, count in (
            ("null model", recipe, means, 200), ("default recipe", "noisy_student", cross_entropies, 6)
        ):  # fmt: skip
            prepared = prepare(source)
            compare(title, engine(*prepared), by_hand(*prepared, losses), count)


if __name__ == "__main__":
    main()
