"""`evaluate`: a run's finished models measured again, by any metrics, on any data, beside any baseline."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..artifacts import damage
from ..classifier import NetworkClassifier
from ..environment import choose_device, determinism, fingerprint
from ..errors import RunError, SslkitError
from ..folder import ENVIRONMENT, Run, facts_from
from ..hooks import Hooks
from ..loader import ViewMaker
from ..network import require_timm
from ..opening import by_hand
from ..recipe.message import counted, listed
from ..recipe.metrics import STANDARD, parts_of
from ..recipe.model import CLEAN, Generation, Recipe, hash_of
from ..state import plugins_of
from ..types import Classifier, Progress, Targets
from .fitting import check_fit, check_measurable, seen_in_training
from .remnant import recipe_of
from .weights import kept

BASELINE = "baseline"
"The folder of a run's own supervised baseline: a run inside its run."
EDITED = "plugin files or weights that the recipe names have been edited since the run"


@dataclass(frozen=True)
class Evaluation:
    """What was measured of one model."""

    generation: int
    weights: str
    "`average`, `student` (its own) or `selected` (of the step that validation images chose)."
    model: str
    "The network's name."
    step: int
    "The training step of the weights."
    metrics: dict[str, Any]
    "By name, as `summary.json` has them: what is no finite number is None."
    warnings: tuple[str, ...] = ()
    "What a reader of the numbers must know."
    own: bool = True
    "Whether it is of the run's own data, by the weights that its summary is of."


def evaluate(
    run: str | Path | Run,
    generation: int = -1,
    *,
    weights: str | None = None,
    data: str | None = None,
    metrics: str | Path | Sequence[str] = STANDARD,
    overrides: Mapping[str, Any] | None = None,
    baseline: str | Path | Run | None = None,
    device: str | None = None,
) -> Evaluation:
    """Measure a finished generation of a run: `sslkit.evaluate("runs/mine").metrics["test_accuracy"]`.

    `generation`: negative numbers count from the last finished one. `weights`: "average", "student" or "selected"; by
    default the average where one was kept, as in the summary. `data`: another data plugin than the run's own.
    `metrics`: a TOML file of `[[metric]]` tables (or the name of a shipped one), or names of metric plugins.
    `overrides`: by dotted path, of `data` and `metric`. `baseline`: the run whose last model metrics compare with, by
    default the run's own supervised baseline. Raises `SslkitError` for everything a user can mend.
    """
    names, sets = ((), (metrics,)) if isinstance(metrics, (str, Path)) else (tuple(metrics), ())
    bench = Bench(run, names=names, sets=sets, data=data, overrides=overrides, baseline=baseline, device=device)
    return bench.measure(bench.number(generation), weights)


class Bench:
    """A run, data and metrics, opened once: measures as many of the run's models as are asked for."""

    def __init__(
        self, run: str | Path | Run, *, names: Sequence[str] = (), sets: Sequence[str | Path] = (),
        data: str | None = None, overrides: Mapping[str, Any] | None = None, baseline: str | Path | Run | None = None,
        device: str | None = None,
    ) -> None:  # fmt: skip
        require_timm()
        self.run = run if isinstance(run, Run) else Run(run)
        self.rival = rival_of(self.run, baseline)
        self.device = choose_device(device)
        self.recipe, gone = recipe_of(self.run)
        self.finished = finished_generations(self.run)
        self.damaged = damaged_summary(self.run)
        self.warnings: list[str] = [*([self.damaged] if self.damaged else []), *gone]
        parts = parts_of(self.recipe, names, sets, data, overrides)
        self.hooks = Hooks([parts.data, *parts.metrics])
        self.use, self.table, self.digest = parts.data.use, parts.data_table, parts.digest
        self.own = parts.data_table == self.recipe.table["data"]
        opened = self.hooks.open_data(Progress(self.recipe.settings.seed))
        self.data = by_hand(opened, self.recipe) if self.own else opened
        check_measurable(self.data, self._what())
        self._check_sameness()
        self._baseline: list[Classifier | None] = []
        if baseline is not None:
            self._supervised()  # one that was asked for is missed now, not after minutes

    def _what(self) -> str:
        """How messages name the data."""
        return f"[data] {self.use}" + (" (the run's own)" if self.own else "")

    def _check_sameness(self) -> None:
        """Say what is not as it was in training, and what was seen there already."""
        if hash_of(self.run.table()) != self.recipe.hash:
            self.warnings.append(EDITED)
        self.unchanged = self.own and fingerprint(self.data) == _written(self.run).get("data", fingerprint(self.data))
        if self.own and not self.unchanged:
            self.warnings.append(f"the images of {self._what()} are not those that the run was made with")
        if not self.own:
            self.warnings += seen_in_training(self.data, self.recipe)

    def number(self, generation: int) -> int:
        """The finished generation that is meant; negative numbers count from the last."""
        return number_of(self.run, self.recipe, generation)

    def measure(self, generation: int, weights: str | None = None) -> Evaluation:
        """One model's metrics. Raises `RunError` where its artifact is damaged or does not keep these weights."""
        cfg, settings = self.recipe.generations[generation], self.recipe.settings
        folder = self.run.folder / "models" / f"generation-{generation}"
        card = read_card(folder)
        check_fit(self.data, facts_from(card["facts"], self.device), self._what())
        usual = kept(folder)[0]
        weights = weights or usual
        progress = Progress(settings.seed, generation, cfg.settings.steps, cfg.settings.steps)
        with determinism(settings.deterministic):
            model = trained(self.run, self.recipe, cfg, self.device, self.data.channels, weights)
            metrics = self.hooks.measure(model, self.data, self._stored(generation), self._supervised(), progress)
        step = step_of(card, weights)
        own = self.own and weights == usual
        return Evaluation(generation, weights, card["model"], step, metrics, tuple(self.warnings), own)

    def _stored(self, generation: int) -> Targets | None:
        """The pseudo-labels that taught a generation, where they are of the very images that were opened."""
        there = (self.run.folder / "labels" / f"generation-{generation}").is_dir()
        return self.run.labels(generation) if there and self.unchanged else None

    @property
    def reference(self) -> str:
        """The recipe hash of the baseline that metrics compare with; empty: there is none."""
        return reference_of(self.rival) if self._supervised() else ""

    def _supervised(self) -> Classifier | None:
        """The supervised baseline, if it is finished; read once."""
        if not self._baseline:
            self._baseline.append(self._open_baseline())
        return self._baseline[0]

    def _open_baseline(self) -> Classifier | None:
        asked = self.rival.folder != self.run.folder / BASELINE
        if not asked and not self.rival.finished:
            return None
        try:
            if not self.rival.finished:
                self.rival.table()  # that it is a run
                raise RunError(f"{self.rival.folder} is not finished")
            recipe, _ = recipe_of(self.rival)
            index = number_of(self.rival, recipe, -1)
            card = read_card(self.rival.folder / "models" / f"generation-{index}")
            check_fit(self.data, facts_from(card["facts"], self.device), self._what())
            return trained(self.rival, recipe, recipe.generations[index], self.device, self.data.channels)
        except SslkitError as error:
            if asked:
                raise RunError(f"the baseline cannot be compared with: {error}") from error
            self.warnings.append(f"metrics have no supervised baseline to compare with: {error}")
            return None


def rival_of(run: Run, baseline: str | Path | Run | None = None) -> Run:
    """The run whose last model metrics compare with: the one that is named, else the run's own supervised baseline."""
    if baseline is None:
        return Run(run.folder / BASELINE)
    return baseline if isinstance(baseline, Run) else Run(baseline)


def reference_of(rival: Run) -> str:
    """The recipe hash of a baseline; empty where it is not finished."""
    return hash_of(rival.table()) if rival.finished else ""


def trained(
    run: Run, recipe: Recipe, cfg: Generation, device: torch.device, channels: int, weights: str | None = None
) -> NetworkClassifier:
    """A finished generation's model as metrics see it."""
    network = run.network(cfg.index, recipe, device, weights)
    view = ViewMaker(network.view_spec(CLEAN, "evaluation", channels), recipe.settings.seed, cfg.index)
    return NetworkClassifier(
        network, partial(plugins_of(cfg).decide, purpose="evaluation"), view, device, recipe.settings.label_batch
    )


def damaged_summary(run: Run) -> str:
    """What is wrong with a run's summary, by which alone it is known whether all is done; empty: nothing."""
    try:
        run.summary  # noqa: B018 - reading it is the question
    except RunError as error:
        return f"the summary is damaged: {error}"
    return ""


def finished_generations(run: Run) -> list[int]:
    """Numbers of the generations whose models are kept. Raises `RunError` where there are none."""
    names = (path.name for path in (run.folder / "models").glob("generation-*"))
    found = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"generation-(\d+)", name)))
    if not found:
        raise RunError(
            f"{run.folder} has no finished generation yet, and so no model to measure. Go on with:\n"
            f"    sslkit run --resume {run.folder}"
        )
    return found


def number_of(run: Run, recipe: Recipe, generation: int) -> int:
    """The finished generation that is meant; negative numbers count from the last. Raises `RunError` for no such one."""
    there = finished_generations(run)
    index = there[generation] if -len(there) <= generation < 0 else generation
    if index not in there:
        more = "; it is not finished yet" if 0 <= index < len(recipe.generations) else ""
        raise RunError(
            f"{run.folder} has {counted(len(there), 'finished generation')} ({listed(map(str, there))}): there is no "
            f"generation {generation}{more}"
        )
    return index


def step_of(card: Mapping[str, Any], weights: str) -> int:
    """The training step of a generation's weights, by its card."""
    step: int = card["selected"]["step"] if weights == "selected" else card["steps"]
    return step


def read_card(folder: Path) -> dict[str, Any]:
    """What a finished generation says of itself. Raises `RunError` where its artifact is damaged."""
    if problem := damage(folder):
        raise RunError(
            f"the model in {folder} is damaged ({problem}). Restore that folder from a copy, or measure another generation"
        )
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return card


def _written(run: Run) -> dict[str, Any]:
    """`environment.json`, or nothing where it is lost."""
    with suppress(OSError, ValueError):
        found = json.loads((run.folder / ENVIRONMENT).read_text())
        return found if isinstance(found, dict) else {}
    return {}
