"""What every method keeps: its losses are alive, it runs to a finite end, resumes to the same bits, and does no pass too many.

A recipe is tested here as soon as its file is there. `PASSES` is the one thing to say about it: the rows that go through
each model in a step of l labeled and u unlabeled images.
"""

import math

import harness
import pytest
import rows
import torch
from driving import CPU, Bench, Ears, LossSpy, added, entry, equal_states

import sslkit
from sslkit.check.examine import examine
from sslkit.check.probe import probe
from sslkit.hookspecs import hooks_of
from sslkit.opening import open_data
from sslkit.recipe import load

METHODS = harness.SHIPPED
"`tests/recipe/test_scaled_down.py` and `test_paper_recipes.py` have Noisy Student at other sizes."
FIXMATCH = {"student": "l + 2u"}
PASSES = {
    "supervised": {"student": "l"},
    # Consistency
    "pi_model": {"student": "l + 2u"},
    "temporal_ensembling": {"student": "l + u"},
    "mean_teacher": {"student": "l + u", "average": "u"},
    "vat": {"student": "l + 3u"},  # clean, along a random direction, along the adversarial one
    "ict": {"student": "l + u", "average": "u"},
    "uda": FIXMATCH,
    # Pseudo-labels
    "pseudo_label": {"student": "l + u"},
    "fixmatch": FIXMATCH,
    "flexmatch": FIXMATCH,
    "dash": [{"student": "l"}, FIXMATCH],
    "freematch": FIXMATCH,
    "softmatch": FIXMATCH,
    "adamatch": {"student": "2l + 2u"},  # labeled images strong, too
    "refixmatch": FIXMATCH,
    "sequencematch": {"student": "l + 3u"},  # a medium view too
    "defixmatch": {"student": "2l + 2u"},  # labeled images as unlabeled ones
    # Mixing
    "mixmatch": {"student": "l + 4u"},  # two views for the guess, then all mixed
    "remixmatch": {"student": "l + 6u", "average": "l"},  # guess, three mixed, unmixed, rotated; CTAugment's probe
    # Features and banks
    "comatch": {"student": "l + 3u"},
    "simmatch": FIXMATCH,
    "crmatch": {"student": "l + 3u"},
    # Staged
    "noisy_student": [{"student": "l"}, {"student": "l + u"}, {"student": "l + u"}, {"student": "l + u"}],
    "self_training": [{"student": "l"}, {"student": "l + u"}, {"student": "l + u"}, {"student": "l + u"}],
    "simclrv2_distillation": [{"student": "l"}, {"student": "u", "previous": "u"}],
    "crest": FIXMATCH,
    "crest_plus": FIXMATCH,
    # Another step
    # The student before and after its step on labeled images; then it is finetuned.
    "meta_pseudo_labels": [{"student": "2l + u", "teacher": "l + 2u"}, {"student": "l"}],
    # Imbalance
    "abc": FIXMATCH,
    "darp": FIXMATCH,
    "distribution_alignment": FIXMATCH,
}
"Model -> rows of a step that go through it, in every generation; a list: generation by generation."


@pytest.fixture
def trial(references, tmp_path):
    """A method's run, to be killed and compared with one that never was."""

    def make(name):
        return harness.Trial(harness.Job.of(name), references / name, tmp_path / "run")

    return make


@pytest.mark.parametrize("name", METHODS)
def test_a_step_does_no_pass_too_many(name):
    counts = [{role: rows.formula(n) for role, n in one.forward.items()} for one in rows.counted(rows.shrunk(name))]
    expected = PASSES[name]
    assert counts == (expected if isinstance(expected, list) else [expected] * len(counts))


@pytest.mark.parametrize("name", METHODS)
def test_check_finds_every_loss_alive(name):
    """Each term of each generation: not zero, with a gradient, moving weights; averages and steps of another shape too."""
    recipe = rows.shrunk(name)
    found = probe(recipe, open_data(recipe), CPU)
    for cfg, one in zip(recipe.generations, found, strict=True):
        assert one.tried and one.alive, one.troubles
        assert all(math.isfinite(term.value) and term.value != 0 for term in one.terms.values())
        judged = [term for term in one.terms.values() if not term.unjudged]
        assert all(term.gradient is None or 0 < term.gradient < math.inf for term in judged)
        assert all(one.moved.values()) if one.moved else all(term.moved for term in judged)
        on = {e.name for e in cfg.entries() if "loss" in hooks_of(e.plugin)} - set(one.waiting)
        owners = {term.owner for term in one.terms.values()}
        assert one.moved or on <= owners, "a loss that is on says nothing"
        assert not one.filling
    if one.index:
        assert not one.waiting, "the last generation has every loss"


@pytest.mark.torture
@pytest.mark.parametrize("name", METHODS)
def test_check_has_no_objection_to_the_recipe_as_it_is(name):
    found = examine(load(name), CPU)
    assert found["problems"] == [] and found["sound"]


@pytest.mark.parametrize("name", METHODS)
def test_averages_move_and_targets_teach_without_a_gradient(name):
    """The last generation's first steps: who averages has moved away from the student; nothing flows into targets."""
    seen = []
    recipe = added(rows.shrunk(name), entry("loss", LossSpy(lambda step, forward: seen.append(step))))
    bench = Bench(recipe, len(recipe.generations) - 1)
    bench.train(3)
    for step in seen:
        for batch in step.batches:
            for targets in (batch.targets, *(view.targets for view in batch.views.values())):
                if targets is not None:
                    assert not any(getattr(targets, column).requires_grad for column in ("raw", "probs", "weight"))
                    assert (targets.probs >= 0).all() and torch.isfinite(targets.weight).all()
    average = bench.state.average
    assert average is None or not equal_states(bench.state.student, average)
    assert seen or bench.state.hooks.implements("train_step")


@pytest.mark.parametrize("name", METHODS)
def test_a_short_run_tells_of_the_last_model_and_of_the_one_that_validation_images_select(name, tmp_path):
    """Its metrics are finite, and nothing is selected by test images."""
    ears = Ears([])
    recipe = load(name, {**harness.small(name), "metric": [{"use": "accuracy"}]})
    summary = sslkit.run(added(recipe, entry("tracker", ears)), out=tmp_path / "run", device="cpu").summary
    assert summary["status"] == "finished" and len(summary["generations"]) == len(recipe.generations)
    for one, cfg in zip(summary["generations"], recipe.generations, strict=True):
        measured = {
            event.progress.step: event.values["metrics"]
            for event in ears.events
            if event.kind == "evaluation" and event.progress.generation == cfg.index
        }
        values = [value for found in measured.values() for value in found.values()]  # tables at the end, of some
        assert all(isinstance(value, dict) or math.isfinite(value) for value in values)
        last, selected = measured[cfg.settings.steps], measured[one["selected"]["step"]]
        assert max(measured) == one["steps"] == cfg.settings.steps
        names = ("test_accuracy", "validation_accuracy")
        assert all(one[key] == last[key] and one["selected"][key] == selected[key] for key in names)
        assert selected["validation_accuracy"] == max(found["validation_accuracy"] for found in measured.values())


@pytest.mark.parametrize("name", METHODS)
def test_killed_once(trial, name):
    """In the last generation, after its first checkpoint: what the method has learned by then must be in it."""
    run = trial(name)
    assert run.kill_at("step", run.points["step"] - 2, "after") == "killed"
    run.finish()


def test_every_method_is_here():
    assert set(METHODS) == set(PASSES)
