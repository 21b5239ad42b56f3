"""Staged and imbalanced methods: what each adds to its base, and nothing else."""

from dataclasses import dataclass

import pytest
import torch
from driving import Bench, LossSpy, added, entry
from rows import shrunk
from torch.nn.functional import kl_div, log_softmax, softmax

import sslkit
from sslkit import hookimpl
from sslkit.engine import train_step
from sslkit.recipe import load
from sslkit.state import fresh_state

TINY = {"steps": 4, "batch": {"labeled": 8, "unlabeled": 12}, "data.test": 100, "data.validation": 40, "workers": 0,
        "model.size": 8, "tracker": [], "baseline": False, "save_every": 0, "evaluate_every": 0,
        "metric": [{"use": "accuracy"}]}  # fmt: skip


@pytest.mark.parametrize("name", ["abc", "darp", "crest", "crest_plus", "distribution_alignment"])
def test_imbalanced_recipes_share_their_data_and_length(name):
    recipe = load(name)
    assert recipe.table["data"]["gamma_l"] == recipe.table["data"]["gamma_u"] == 10
    assert sum(cfg.settings.steps for cfg in recipe.generations) == 600


# ABC ------------------------------------------------------------------------------------------------------------------


def test_abcs_base_method_is_untouched_and_its_head_is_evaluated():
    """With and without the head, the labels of a step and the base's losses are the same numbers; the head answers at last."""
    overrides = {**TINY, "labeler.confidence.threshold": 0.1, "noise.randaugment.translate_max": 3}
    base = Bench(load("abc", {**overrides, "loss.balanced_head.enabled": False}))
    more = Bench(load("abc", {**overrides, "loss.balanced_head.threshold": 0.0}))
    with torch.no_grad():
        for name, parameter in base.state.student.named_parameters():
            dict(more.state.student.named_parameters())[name].copy_(parameter)
    first, second = next(iter(base.steps(1))), next(iter(more.steps(1)))
    one, two = train_step(base.state, first), train_step(more.state, second)
    assert [t.name for t in two] == [*(t.name for t in one), "balanced_head"] and two[-1].value > 0
    assert all(torch.equal(a.value, b.value) for a, b in zip(one, two, strict=False))
    assert torch.equal(first.unlabeled.targets.probs, second.unlabeled.targets.probs)
    outputs = more.state.student(second.labeled.views["labeled"].images)
    assert more.state.decide("evaluation")(outputs) is outputs.heads["balanced"]
    assert more.state.decide("step")(outputs) is outputs.logits


# CReST ----------------------------------------------------------------------------------------------------------------


def test_crest_promotes_from_the_original_labels_in_each_generation(tmp_path):
    sizes = []

    @dataclass(eq=False)
    class Look:
        @hookimpl
        def revise_labeled(self, labeled, stored, progress):
            sizes.append((progress.generation, len(labeled.index), labeled.origin.tolist(), stored))
            return labeled

    overrides = {**TINY, "generation.0.steps": 3, "generation.1.steps": 3, "generation.2.steps": 3}
    recipe = added(load("crest", {**overrides, "noise.randaugment.translate_max": 3}), entry("labeler", Look()))
    sslkit.run(recipe, out=tmp_path / "run", device="cpu")
    seen = {generation: rest for generation, *rest in sizes}
    count, origin, stored = seen[0]
    assert (count, set(origin), stored) == (36, {0}, None)
    for generation in (1, 2):
        count, origin, stored = seen[generation]
        # The labels once, then rows of the pool: nothing of an earlier generation's promotions is left.
        assert origin == [0] * 36 + [1] * (count - 36) and 36 < count <= 36 + len(stored.index)


def test_crest_trains_on_what_it_promoted():
    """A promoted row shows the pool's image and the pseudo-label."""
    bench = Bench(load("crest", {**TINY, "noise.shift.enabled": False, "noise.randaugment.translate_max": 3}), 1)
    revised, stored = bench.state.labeled, bench.state.stored
    (step,) = bench.steps(1)
    assert torch.equal(step.labeled.truth, revised.truth[step.labeled.index])
    rows = (revised.origin == 1).nonzero().squeeze(1)
    assert len(rows) and torch.equal(stored.label[revised.index[rows]], revised.truth[rows])


@pytest.mark.parametrize("name", ["crest", "crest_plus"])
def test_crest_promotes_no_image_that_is_labeled_already(name):
    bench = Bench(load(name, {**TINY, "labeler.promote.power": 0, "noise.randaugment.translate_max": 3}), 1)
    revised, labeled, pool = bench.state.labeled, bench.data.labeled.ids, bench.data.unlabeled.ids
    ids = [
        (pool if origin else labeled)[i]
        for origin, i in zip(revised.origin.tolist(), revised.index.tolist(), strict=True)
    ]
    assert len(ids) == len(labeled) + len(pool)  # with power 0 the whole pool is promoted
    assert ids[: len(labeled)] == list(labeled) and len(set(ids)) == len(ids)


def test_crest_pluss_alignment_relaxes_with_the_generations():
    powers = [
        next(e.plugin.power for e in cfg.entries() if e.name == "distribution_alignment")
        for cfg in load("crest_plus").generations
    ]
    assert powers == [1.0, 0.75, 0.5]
    chain = [e.name for e in load("crest_plus").generations[1].entries() if e.section == "labeler" and e.when == "step"]
    assert chain == ["current_student", "soft_labels", "distribution_alignment", "confidence", "hard_labels"]


def begun_after(recipe, generation=1):
    """The generation before, two steps of it, and one that takes over from it."""
    last = Bench(recipe, generation - 1)
    last.train(2)
    cfg, state = recipe.generations[generation], last.state
    return last, fresh_state(cfg, cfg.entries(), state.facts, 0, state.evaluated, state).hooks


def test_crest_pluss_next_student_is_aligned_by_its_own_predictions():
    last, hooks = begun_after(load("crest_plus", {**TINY, "noise.randaugment.translate_max": 3}))
    assert last.plugin("distribution_alignment").state_dict()["filled"] == 2
    assert hooks.state()["distribution_alignment"]["filled"] == 0


def test_dashs_student_goes_on_from_the_loss_that_it_warmed_up_to():
    overrides = {name: value for name, value in TINY.items() if name not in ("steps", "batch")}
    last, hooks = begun_after(load("dash", {**overrides, "noise.randaugment.translate_max": 3}))
    before, after = (one.state()["loss_threshold"]["loss"] for one in (last.state.hooks, hooks))
    assert (before >= 0).any() and torch.equal(before, after)


# Self-training, distillation ------------------------------------------------------------------------------------------


def test_self_training_is_hard_sure_and_without_noise():
    recipe = load("self_training", TINY)
    assert not [e for cfg in recipe.generations for e in cfg.entries() if e.section == "noise"]
    stored = Bench(recipe, 1).state.stored
    sure = stored.raw.amax(1) >= 0.75
    assert torch.equal(stored.weight > 0, sure)
    assert torch.equal(stored.probs.sum(1), torch.ones(len(sure))) and bool(
        ((stored.probs == 0) | (stored.probs == 1)).all()
    )


def test_distillation_is_softened_on_both_sides_and_sees_one_crop():
    """T^2 (KL(softmax(f_T / T) || softmax(f_S / T)) + the target's entropy), by an independent formula."""
    seen = []
    recipe = added(shrunk("simclrv2_distillation"), entry("loss", LossSpy(lambda *both: seen.append(both))))
    bench = Bench(recipe, 1)
    for terms, (step, forward) in zip(bench.train(2), seen, strict=True):
        assert [term.name for term in terms] == ["distillation"]
        target = softmax(forward("crop", "teacher").logits.detach() / 2, 1)
        torch.testing.assert_close(step.unlabeled.targets.probs, target, rtol=1e-4, atol=1e-6)
        student = log_softmax(forward("crop").logits.detach() / 2, 1)
        entropy = -(target * target.log()).sum(1)
        expected = 4 * (kl_div(student, target, reduction="none").sum(1) + entropy).mean()
        torch.testing.assert_close(terms[0].value.detach(), expected, rtol=1e-4, atol=1e-6)
        assert bool((step.unlabeled.targets.weight == 1).all())
    temperatures = {e.name: e.plugin.temperature for e in load("simclrv2_distillation").generations[1].entries()
                    if e.name in ("sharpen", "distillation")}  # fmt: skip
    assert len(set(temperatures.values())) == 1 and len(temperatures) == 2
