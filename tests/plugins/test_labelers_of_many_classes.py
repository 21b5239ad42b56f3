"""Labelers of a pool that keeps the most probable classes: what they make of all its probabilities, compressed again."""

from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

import pytest
import torch
from given import facts, random_probs

from sslkit import Progress, Targets
from sslkit.errors import RecipeError
from sslkit.hooks import Hooks
from sslkit.pool import TopK
from sslkit.recipe.model import Entry

ROWS, CLASSES, KEPT = 20, 8, 3
SETTINGS: dict[str, dict[str, Any]] = {
    "confidence": {"threshold": 0.4},
    "class_balance": {"threshold": 0.3},
    "curriculum_threshold": {"threshold": 0.5, "warmup": False},
}
"So that some rows are kept, and some not."
BY_STEP = {"relative_confidence", "memory_smoothing", "instance_similarity"}
"Those that refuse every pool."
REFINING = {
    point.name: point.load() for point in entry_points(group="sslkit.labeler") if hasattr(point.load(), "refine")
}


def pools() -> tuple[Targets, Targets]:
    """The same labels twice: the most probable ones, and all that these stand for."""
    raw = TopK.of(random_probs(ROWS, CLASSES), KEPT)
    full = Targets.of(torch.arange(ROWS), raw.dense())
    return replace(full, raw=raw, probs=raw), full


def refined(name: str, pool: Targets, **settings: Any) -> Targets:
    plugin = REFINING[name](**SETTINGS.get(name, {}), **settings)
    hooks = Hooks([Entry("labeler", name, name, plugin)])
    hooks.begin(facts(CLASSES, tuple(range(1, CLASSES + 1))), Progress(0))
    return hooks.refine("pool", pool, None, None, Progress(0))


def test_all_of_them_are_here() -> None:
    assert len(REFINING) >= 13 and {"sharpen", "hard_labels", "darp", *BY_STEP} <= REFINING.keys()


@pytest.mark.parametrize("name", sorted(REFINING.keys() - BY_STEP))
def test_refined_as_all_probabilities_are(name: str) -> None:
    few, full = pools()
    made, expected = refined(name, few), refined(name, full)
    assert isinstance(made.probs, TopK)
    torch.testing.assert_close(made.probs.dense(), TopK.of(expected.probs, KEPT).dense(), atol=1e-6, rtol=1e-4)
    for column in ("weight", "copies", "label", "confidence"):
        torch.testing.assert_close(getattr(made, column), getattr(expected, column), atol=1e-6, rtol=1e-4)
    changed = not torch.equal(expected.probs, full.probs) or not torch.equal(expected.weight, full.weight)
    assert changed or name == "fixed_selection", f"{name} changes nothing here: this shows nothing"


@pytest.mark.parametrize(("name", "settings"), [("hard_labels", {"source": "raw"}), ("loss_threshold", {"floor": 9.0})])
def test_hard_ones(name: str, settings: dict[str, Any]) -> None:
    few, _ = pools()
    made = refined(name, few, **settings)
    assert torch.equal(made.probs.dense(), torch.eye(CLASSES)[few.label])  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(BY_STEP))
def test_those_of_steps_say_so(name: str) -> None:
    with pytest.raises(RecipeError, match="step"):
        refined(name, pools()[0])
