"""What the engine costs: its step beside a hand-written one of the same passes, in the same run.

    python bench/engine.py

Views are made ahead in both, so this is the loop alone. Rounds alternate and the median of each is taken, since machines
are shared. The null model answers with its one parameter: what is left is the engine.
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

from sslkit.engine import Session, assemble, make_streams, train_step
from sslkit.journal import Journal
from sslkit.loader import Steps
from sslkit.probe import open_data, throwaway
from sslkit.recipe import load
from sslkit.runs import Run, determinism
from sslkit.state import State, facts_of, fresh_state
from sslkit.types import Labeled, Targets

NULL = '''
import torch
from dataclasses import dataclass
from sslkit import hookimpl

class Null(torch.nn.Module):
    """Answers with its one parameter."""
    def __init__(self, classes):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(classes))
    def forward(self, images):
        return self.logits.expand(len(images), -1)

@dataclass(eq=False, kw_only=True)
class Model:
    """The least a model can be."""
    @hookimpl
    def build_model(self, kwargs):
        return Null(kwargs["num_classes"])
'''
ROUNDS, PREPARED = 15, 16


def prepare(recipe_path: str | Path, overrides: dict[str, object]) -> tuple[State, list[dict[str, object]]]:
    """The last generation of a recipe at its first step, with steps made ahead."""
    recipe = load(recipe_path, overrides)
    cfg = recipe.generations[-1]
    session = Session(recipe, open_data(recipe), Run(tempfile.mkdtemp()), torch.device("cpu"))
    entries = [entry for entry in cfg.entries() if entry.section != "tracker"]
    facts = facts_of(cfg, session.data, session.device)
    state = fresh_state(cfg, entries, facts, 0, throwaway(cfg, session), None)
    state.labeled = Labeled.of(session.data.labeled)
    unlabeled = session.data.unlabeled
    assert unlabeled is not None
    state.stored = Targets.of(torch.arange(len(unlabeled)), torch.rand(len(unlabeled), 10).softmax(1))
    steps = Steps(make_streams(state, session))
    return state, [steps[i] for i in range(PREPARED)]


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


def by_hand(state: State, arrays: list[dict[str, object]]) -> Callable[[int], None]:
    """What one would write for this recipe alone: one pass, two cross-entropies."""
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
            loss = functional.cross_entropy(logits[:rows], truth[labeled["index"]])  # type: ignore[index]
            ratio = (len(batch) - rows) / rows
            loss = loss + ratio * functional.cross_entropy(logits[rows:], probs[unlabeled["index"]])  # type: ignore[index]
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return loop


def compare(title: str, state: State, arrays: list[dict[str, object]], count: int) -> None:
    """Medians over alternating rounds."""
    loops = {"engine": engine(state, arrays), "by hand": by_hand(state, arrays)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(ROUNDS + 1):
        for name, loop in loops.items():
            began = time.perf_counter()
            loop(count)
            if turn:  # the first round warms up
                times[name].append((time.perf_counter() - began) / count * 1e6)
    ours, hand = (statistics.median(times[name]) for name in ("engine", "by hand"))
    own = statistics.median(a - b for a, b in zip(times["engine"], times["by hand"], strict=True))
    print(
        f"{title}: engine {ours:,.0f} us a step, by hand {hand:,.0f} us; ratio {ours / hand:.3f}, engine's own {own:,.0f} us"
    )


def main() -> None:
    torch.set_num_threads(1)
    with determinism(True), tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "null.py").write_text(NULL)
        null = Path(folder) / "null.toml"
        base = "noisy_student.toml"
        null.write_text(f'extends = "{base}"\nbatch = {{ labeled = 1, unlabeled = 1 }}\n')
        text = load(base)
        names = {name: False for name in ("dropout", "stochastic_depth") if name in str(text.table)}
        overrides = {f"noise.{name}.enabled": value for name, value in names.items()}
        recipe = null_recipe(Path(folder), overrides)
        compare("null model", *prepare(recipe, overrides), count=200)
        compare("default recipe", *prepare(base, {}), count=8)


def null_recipe(folder: Path, _: dict[str, bool]) -> Path:
    """The default recipe around a model that computes nothing."""
    path = folder / "null.toml"
    path.write_text(
        'extends = "noisy_student.toml"\nbatch = { labeled = 1, unlabeled = 1 }\n'
        '[model]\nuse = "./null.py:Model"\nsize = 8\n'
    )
    return path


if __name__ == "__main__":
    main()
