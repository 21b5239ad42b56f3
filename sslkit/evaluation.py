"""What is measured of a model in training, and what its summary says of a finished generation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from .classifier import NetworkClassifier
from .errors import RunError
from .journal import Journal
from .keeping.pauses import Stopwatch
from .recipe.message import did_you_mean, listed, sentence, shown
from .recipe.model import CLEAN, Settings
from .session import Session
from .state import State
from .streams import make_view
from .types import Classifier, Targets


def make_classifier(state: State, session: Session) -> NetworkClassifier:
    """The generation's model as metrics see it."""
    view = make_view(state, state.view_spec(CLEAN, "evaluation", state.evaluated))
    rows = session.recipe.settings.label_batch
    return NetworkClassifier(state.evaluated, state.decide("evaluation"), view, state.device, rows)


def evaluate(state: State, session: Session, saved: bool = False) -> dict[str, Any]:
    """Measure the model, remember it if it is the best on validation images.

    `saved`: nothing would be lost by stopping here, so that measuring, which can take long, heeds who asks to stop.
    """
    model = make_classifier(state, session)
    if saved:
        model.ask = partial(heed, session)
    watch = Stopwatch()
    metrics = state.hooks.measure(model, session.data, state.stored, session.baseline, state.progress)
    state.evaluating += watch.passed("metrics")  # none, where it was stopped meanwhile
    if state.selected is None and not state.select_checked:
        check_select(state, session, model, metrics)
        state.select_checked = True
    score = metrics.get(state.cfg.settings.select)
    if score is not None and (state.selected is None or score > state.selected["score"]):
        weights = {name: tensor.clone() for name, tensor in state.evaluated.state_dict().items()}
        state.selected = {"score": score, "step": state.step, "metrics": metrics, "weights": weights}
    state.hooks.report("evaluation", state.progress, metrics=metrics)
    return metrics


def heed(session: Session) -> None:
    """Raise `Interrupted` where the run is asked to stop."""
    if stop := session.stop():
        raise session.run.interrupted(stop)


def check_select(state: State, session: Session, model: Classifier, metrics: dict[str, Any]) -> None:
    """Refuse a `select` that no metric ever answers: nothing would be selected. The default needs validation images."""
    select = state.cfg.settings.select
    if not metrics or select in (Settings.select, *metrics):
        return
    known = {**metrics, **measured_with_all(state, session, model)}
    if select not in known:
        hint = sentence(f"they answer: {listed(known)}.", did_you_mean(select, known))
        raise RunError(f"`select = {shown(select)}`: no metric of the recipe answers that\n    {hint}")


def measured_with_all(state: State, session: Session, model: Classifier) -> dict[str, Any]:
    """What metrics answer where everything is there: some wait for pseudo-labels, a baseline, or a generation's end."""
    data, progress = session.data, replace(state.progress, step=state.cfg.settings.steps)
    stored = state.stored
    if stored is None and data.unlabeled is not None:
        rows = min(len(data.unlabeled), session.recipe.settings.label_batch)
        stored = Targets.of(torch.arange(rows), torch.full((rows, len(data.classes)), 1 / len(data.classes)))
    return state.hooks.measure(model, data, stored, session.baseline or model, progress)


def generation_entry(state: State, session: Session, journal: Journal) -> dict[str, Any]:
    """A finished generation's entry in the summary."""
    metrics = evaluate(state, session, saved=True)
    named = ("test_accuracy", "validation_accuracy", "pseudo_label_accuracy", "kept_share")
    selected = state.selected
    table = state.cfg.model
    return {
        "index": state.cfg.index,
        "model": table.name if table else type(state.student.model).__name__,
        "steps": state.cfg.settings.steps,
        **{name: metrics.get(name) for name in named},
        "selected": selected and {"step": selected["step"], **{n: selected["metrics"].get(n) for n in named[1::-1]}},
        "metrics": metrics,
        "timing": journal.totals(),
    }
