"""What the consistency methods' recipes promise beyond what every recipe does."""

from copy import deepcopy

import pytest
import torch
from driving import Bench, LossSpy, added, entry, equal_states
from torch.nn.functional import softmax

from sslkit.engine import train_step
from sslkit.errors import RecipeError
from sslkit.recipe import load
from sslkit_plugins.loss.virtual_adversarial import adversarial_direction

LABELED_STATISTICS = ["pi_model", "pseudo_label", "temporal_ensembling", "vat", "ict"]


def spied(recipe):
    """A bench, and what losses saw of each step."""
    seen = []
    return Bench(added(recipe, entry("loss", LossSpy(lambda *both: seen.append(both))))), seen


def consistency(terms):
    return next(term for term in terms if term.name == "consistency")


@pytest.mark.parametrize("name", LABELED_STATISTICS)
def test_running_statistics_come_from_labeled_images_alone(shipped, name):
    """A step with all of its passes writes what the labeled images' pass alone writes."""
    written = []
    for whole in (True, False):
        bench = Bench(shipped(name, {"batch.unlabeled": 8}))
        for step in bench.steps(1):
            train_step(bench.state, step) if whole else bench.state.forward(step)("labeled")
        written.append({n: b for n, b in bench.state.student.named_buffers() if "running" in n or "tracked" in n})
    assert written[0] and all(torch.equal(written[0][name], written[1][name]) for name in written[0])


@pytest.mark.parametrize("name, weight", [("pi_model", 10), ("temporal_ensembling", 30), ("ict", 50), ("vat", 0.3), ("pseudo_label", 1)])  # fmt: skip
def test_its_weight_is_ramped_up_over_four_tenths(shipped, name, weight):
    bench = Bench(shipped(name, {"batch.unlabeled": 8, "steps": 10}))
    weights = [consistency(terms).weight for terms in bench.train(6)]
    assert weights == pytest.approx([weight * min(1, n / 4) for n in range(6)])


def test_the_pi_models_two_answers_are_the_students_and_one_has_no_gradient(shipped):
    """Laine & Aila 2017, Algorithm 1: two views, two answers; a loss of the one answer with itself would be zero."""
    bench, seen = spied(shipped("pi_model", {"batch.unlabeled": 12, "steps": 3}))
    for terms, (step, forward) in zip(bench.train(), seen, strict=True):
        learned = forward("learned").logits
        expected = (softmax(learned, 1) - step.unlabeled.targets.probs).square().mean()
        assert torch.allclose(consistency(terms).value, expected, atol=1e-8) and expected > 0
        taught, student = forward(step.unlabeled.views["taught"], "teacher").logits, bench.state.student
        assert not taught.requires_grad and bench.state.teachers["step"] is student
        assert torch.allclose(softmax(taught, 1), step.unlabeled.targets.probs)
        assert not torch.equal(step.unlabeled.views["taught"].images, step.unlabeled.views["learned"].images)


def test_temporal_ensembling_teaches_what_was_said_before(shipped):
    """By a dictionary of each image's answers; Laine & Aila 2017, Algorithm 2."""
    bench, seen = spied(shipped("temporal_ensembling", {"batch.unlabeled": 60, "steps": 8}))
    said: dict[int, list[torch.Tensor]] = {}
    known = 0
    for terms, (step, forward) in zip(bench.train(), seen, strict=True):
        batch, answers = step.unlabeled, softmax(forward("weak").logits.detach(), 1)
        expected = torch.zeros(())
        for row, index in enumerate(batch.index.tolist()):
            earlier = said.get(index, [])
            assert batch.targets.weight[row] == bool(earlier)
            if earlier:
                known += 1
                memory = sum(0.4 * 0.6 ** (len(earlier) - 1 - i) * p for i, p in enumerate(earlier))
                target = memory / (1 - 0.6 ** len(earlier))
                assert torch.allclose(batch.targets.probs[row], target, atol=1e-6)
                expected = expected + (answers[row] - target).square().mean()
        assert torch.allclose(consistency(terms).value, expected / 60, atol=1e-7)
        for index, answer in dict(zip(batch.index.tolist(), answers, strict=True)).items():
            said.setdefault(index, []).append(answer)
    assert known > 100 and max(map(len, said.values())) > 2  # or nothing was tested


def test_temporal_ensembling_is_refused_with_images_that_are_mixed(shipped):
    mixup = {"name": "mixup", "use": "mixup", "on": "weak"}
    with pytest.raises(RecipeError, match=r"mixes `weak`, to whose images .* temporal_ensemble remembers"):
        shipped("temporal_ensembling", {"batch.unlabeled": 8, "noise": [mixup]})


def test_icts_student_answers_between_what_its_average_answers(shipped):
    """Verma et al. 2019: the teacher sees images unmixed; targets are mixed as the images are."""
    bench, seen = spied(shipped("ict", {"batch.unlabeled": 12, "steps": 3}))
    for step in bench.steps(3):
        images = step.unlabeled.views["weak"].images
        teacher = deepcopy(bench.state.average)
        terms = train_step(bench.state, step)
        mixed, forward = seen[-1]
        view, raw = mixed.unlabeled.views["weak"], step.unlabeled.targets.raw
        assert torch.allclose(raw, softmax(in_batch_mode(teacher)(images).logits, 1), atol=1e-6)
        assert bench.state.teachers["step"] is bench.state.average
        shares = solved(images, view.images)
        assert torch.allclose(view.targets.probs, shares @ raw, atol=1e-3)
        assert ((shares > 1e-3).sum(1) <= 2).all() and (shares.diagonal() >= 0.5 - 1e-3).all()
        expected = (softmax(forward("weak").logits, 1) - view.targets.probs).square().mean()
        assert torch.allclose(consistency(terms).value, expected, atol=1e-8) and expected > 0
    assert not equal_states(bench.state.student, bench.state.average)


def in_batch_mode(network):
    """A network that normalises by its batch; there is no dropout in it."""
    return network.train().requires_grad_(False)


def solved(images, mixed):
    """(N, N) shares of each image in each mixed one, by least squares."""
    a, b = images.flatten(1).double(), mixed.flatten(1).double()
    return torch.linalg.lstsq(a.T, b.T, driver="gelsd").solution.T.float()


def test_vats_direction_is_found_and_learned_in_the_views_own_pass(shipped):
    """Three passes of the unlabeled images, none of which writes statistics; r has the length that the recipe says."""
    bench, fed = Bench(shipped("vat", {"batch.unlabeled": 8, "steps": 3})), []
    bench.state.student.register_forward_pre_hook(lambda _, arguments: fed.append(arguments[0].detach().clone()))
    for step in bench.steps(3):
        fed.clear()
        terms = train_step(bench.state, step)
        clean = step.unlabeled.views["weak"].images
        _, first, felt, worst = fed
        lengths = [(one - clean).flatten(1).norm(dim=1) for one in (first, felt, worst)]
        assert lengths[0].max() == 0
        assert torch.allclose(lengths[1], torch.full((8,), 0.1), rtol=1e-3)
        assert torch.allclose(lengths[2], torch.full((8,), 2.25), rtol=1e-3)
        assert [term.name for term in terms] == ["supervised", "consistency", "entropy"]
        assert all(term.value > 0 for term in terms) and step.unlabeled.targets is None


def test_vats_direction_in_float32_is_that_in_float64(shipped):
    """As the shipped recipe feels for it, on a student that has learned for 100 of its 600 steps."""
    bench = Bench(load("vat", {"workers": 0, "tracker": [], "baseline": False}))
    bench.train(100)
    (step,) = bench.steps(1)
    images, xi = step.views["weak"].images, bench.plugin("consistency").xi
    start = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))

    def direction(dtype, xi):
        model, given = deepcopy(bench.state.student).train().to(dtype), images.to(dtype)
        clean = model(given).logits
        found = adversarial_direction(lambda x: model(x).logits, given, clean, start.to(dtype), xi)
        return found.double().flatten(1)

    found = direction(torch.float32, xi)
    assert bool(((found * direction(torch.float64, xi)).sum(1) > 0.999).all())
    assert (found * direction(torch.float64, 1e-5)).sum(1).mean() > 0.99  # the limit of short steps
    assert (found * direction(torch.float32, 1e-6)).sum(1).mean() < 0.5  # the papers' length finds something else


def test_vat_is_refused_in_bfloat16(shipped):
    recipe = shipped("vat", {"batch.unlabeled": 8, "precision": "bfloat16"})
    with pytest.raises(RecipeError, match=r'virtual_adversarial: .* Set precision = "float32"'):
        Bench(recipe).train(1)


def test_pseudo_labels_come_from_the_very_answer_that_learns(shipped):
    bench, seen = spied(
        shipped("pseudo_label", {"batch.unlabeled": 8, "steps": 2, "labeler.confidence.threshold": 0.0})
    )
    bench.train()
    for step, forward in seen:
        answer = softmax(forward("weak").logits, 1)
        assert torch.equal(step.unlabeled.targets.raw, answer)
        assert torch.equal(step.unlabeled.targets.probs.argmax(1), answer.argmax(1))
