"""What is measured of a model in training, and what its summary says of a finished generation."""

from __future__ import annotations

from typing import Any

from .classifier import NetworkClassifier
from .journal import Journal
from .recipe.model import CLEAN
from .session import Session
from .state import State
from .streams import make_view


def make_classifier(state: State, session: Session) -> NetworkClassifier:
    """The generation's model as metrics see it."""
    view = make_view(state, state.view_spec(CLEAN, "evaluation", state.evaluated))
    rows = session.recipe.settings.label_batch
    return NetworkClassifier(state.evaluated, state.hooks.decide, view, state.device, rows)


def evaluate(state: State, session: Session) -> dict[str, Any]:
    """Measure the model, remember it if it is the best on validation images."""
    model = make_classifier(state, session)
    metrics = state.hooks.measure(model, session.data, state.stored, session.baseline, state.progress)
    score = metrics.get(state.cfg.settings.select)
    if score is not None and (state.selected is None or score > state.selected["score"]):
        weights = {name: tensor.clone() for name, tensor in state.evaluated.state_dict().items()}
        state.selected = {"score": score, "step": state.step, "metrics": metrics, "weights": weights}
    state.hooks.report("evaluation", state.progress, metrics=metrics)
    return metrics


def generation_entry(state: State, session: Session, journal: Journal) -> dict[str, Any]:
    """A finished generation's entry in the summary."""
    metrics = evaluate(state, session)
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
