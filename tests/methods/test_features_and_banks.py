"""CoMatch, SimMatch and CRMatch as shipped: their terms are the papers' formulas on the student's own answers."""

import pytest
import torch
from driving import Bench, LossSpy, added, entry
from torch.nn.functional import cross_entropy, normalize, one_hot, softmax

from sslkit.errors import RecipeError, SslkitError
from sslkit.recipe import load

SMALL = {"data.labels_per_class": 1, "data.validation": 0, "data.test": 1600, "baseline": False, "steps": 12}


def driven(name, count, **overrides):
    """Terms, step and forward of some steps, and the bench."""
    seen = []
    batch = {"batch.labeled": 6, "batch.unlabeled": 8}
    recipe = load(name, {**SMALL, **batch, "labeler.confidence.threshold": 0.3, **overrides})
    bench = Bench(added(recipe, entry("loss", LossSpy(lambda step, forward: seen.append((step, forward))))))
    return bench, [({t.name: t for t in terms}, *both) for terms, both in zip(bench.train(count), seen, strict=True)]


def aligned(history, probs):
    """Divided by the mean of the last batches' means."""
    history.append(probs.mean(0))
    ratio = probs / torch.stack(history).mean(0)
    return ratio / ratio.sum(1, keepdim=True)


def check_soft_cross_entropy(terms, forward, probs, threshold=0.3):
    """Soft labels, masked by their confidence, over all rows."""
    rows = cross_entropy(forward("strong").logits, probs, reduction="none") * (probs.amax(1) >= threshold)
    torch.testing.assert_close(terms["consistency"].value, rows.mean())


def test_comatch_is_the_papers_formulas():
    """Li et al. 2021 and its official code: align, smooth by the last five steps once these are full, contrast."""
    bench, done = driven("comatch", 9)
    history, memory = [], []
    for number, (terms, step, forward) in enumerate(done):
        weak, truth = forward("weak"), one_hot(step.labeled.truth, 10).float()
        own = weak.heads["projection"].detach()
        probs = plain = aligned(history, softmax(weak.logits.detach(), 1))
        if number >= 5:
            queue = torch.cat([rows for rows, _ in memory[-5:]])
            near = softmax(own @ queue.T / 0.2, 1) @ torch.cat([theirs for _, theirs in memory[-5:]])
            probs = 0.9 * plain + 0.1 * near
            assert not torch.allclose(probs, plain)
        torch.testing.assert_close(step.unlabeled.targets.probs, probs)
        check_soft_cross_entropy(terms, forward, probs)
        graph = probs @ probs.T
        graph.fill_diagonal_(1)
        graph[graph < 0.8] = 0
        one, other = (forward(view).heads["projection"] for view in ("strong", "contrast"))
        assert torch.allclose(one.norm(dim=1), torch.ones(8)) and one.shape == (8, 64)
        expected = -(graph / graph.sum(1, keepdim=True) * softmax(one @ other.T / 0.2, 1).log()).sum(1).mean()
        torch.testing.assert_close(terms["graph_contrast"].value, expected)
        memory.append((torch.cat([own, forward("labeled").heads["projection"].detach()]), torch.cat([plain, truth])))
    assert bench.plugin("memory_smoothing").queue_.rows == 5 * (6 + 8)


def test_comatchs_memory_is_of_the_student_before_it_moved():
    bench, done = driven("comatch", 1)
    (_, step, forward) = done[0]
    queue = bench.plugin("memory_smoothing").queue_
    assert torch.equal(queue["embeddings"][:8], forward("weak").heads["projection"])
    assert torch.equal(queue["probs"][8:].argmax(1), step.labeled.truth)


def test_simmatch_is_the_papers_formulas():
    """Zheng et al. 2022: ten labeled images are in the bank after two steps of six."""
    bench, done = driven("simmatch", 6)
    history, bank, label = [], torch.zeros(10, 128), torch.zeros(10, dtype=torch.long)
    known = torch.zeros(10, dtype=torch.bool)
    for number, (terms, step, forward) in enumerate(done):
        weak, strong, labeled = (forward(view).heads["instance"] for view in ("weak", "strong", "labeled"))
        probs = plain = aligned(history, softmax(forward("weak").logits.detach(), 1))
        if number >= 2:
            assert known.all()
            likeness = softmax(weak.detach() @ bank.T / 0.1, 1)
            probs = 0.9 * plain + 0.1 * likeness @ one_hot(label, 10).float()
            goal = likeness * plain[:, label]
            goal = goal / goal.sum(1, keepdim=True)
            expected = -(goal * softmax(strong @ bank.T / 0.1, 1).log()).sum(1).mean()
            torch.testing.assert_close(terms["instance_similarity"].value, expected)
        assert ("instance_similarity" in terms) == (number >= 2)
        torch.testing.assert_close(step.unlabeled.targets.probs, probs)
        check_soft_cross_entropy(terms, forward, probs)
        before, was = bank.clone(), known.clone()
        for row, image in enumerate(step.labeled.index.tolist()):
            new = labeled[row].detach()
            bank[image] = normalize(0.7 * before[image] + 0.3 * new, dim=0) if was[image] else new
            known[image], label[image] = True, step.labeled.truth[row]
    plugin = bench.plugin("instance_similarity")
    torch.testing.assert_close(plugin.bank_.values, bank)
    torch.testing.assert_close(plugin.bank_.values.norm(dim=1), torch.ones(10))  # over features, not over images
    assert torch.equal(plugin.label_.values, label)


def test_crmatch_is_the_papers_formulas():
    """Fan et al. 2021: hard labels where sure, features apart where sure, and turns told of every row."""
    _, done = driven("crmatch", 4, **{"labeler.confidence.threshold": 0.16})
    shares = set()
    for terms, step, forward in done:
        weak, strong = forward("weak"), forward("strong")
        q = softmax(weak.logits.detach(), 1)
        sure = (q.amax(1) >= 0.16).float()
        rows = cross_entropy(strong.logits, q.argmax(1), reduction="none") * sure
        torch.testing.assert_close(terms["consistency"].value, rows.mean())
        one, other = (normalize(view.heads["distance"], dim=1) for view in (strong, weak))
        torch.testing.assert_close(terms["feature_distance"].value, ((one * other).sum(1).clamp(min=0) * sure).mean())
        assert terms["rotation"].value > 0 and forward("rotated").heads["rotation"].shape == (8, 4)
        assert torch.equal(step.unlabeled.targets.weight, sure)
        shares.add(sure.mean().item())
    assert any(0 < share < 1 for share in shares)  # or the mask was not tested


@pytest.mark.parametrize(("name", "term", "view", "moves"), [
    ("comatch", "graph_contrast", "strong", True), ("comatch", "graph_contrast", "contrast", True),
    ("comatch", "graph_contrast", "weak", False), ("simmatch", "instance_similarity", "strong", True),
    ("simmatch", "instance_similarity", "weak", False), ("simmatch", "instance_similarity", "labeled", False),
    ("crmatch", "feature_distance", "strong", True), ("crmatch", "feature_distance", "weak", True),
])  # fmt: skip
def test_where_gradients_flow(name, term, view, moves):
    """Targets, graphs, memories and banks carry none; both of CRMatch's views learn, as in its code."""
    head = {"comatch": "projection", "simmatch": "instance", "crmatch": "distance"}[name]
    found = {}

    def look(step, forward):
        found["answers"] = forward(view).heads[head]

    recipe = load(name, {**SMALL, "batch.labeled": 10, "batch.unlabeled": 8, "labeler.confidence.threshold": 0.0})
    bench = Bench(added(recipe, entry("loss", LossSpy(look))))
    bench.train(2)
    ((step, forward),) = bench.labeled_steps(1)
    step = forward.step = bench.state.hooks.mix(step)
    (value,) = [t.value for t in bench.state.losses(step, forward) if t.name == term]
    (gradient,) = torch.autograd.grad(value, found["answers"], allow_unused=True)
    assert (gradient is not None and bool(gradient.any())) == moves


def test_a_second_head_of_one_name_is_refused():
    recipe = load("comatch", {**SMALL, "loss.feature_distance.use": "feature_distance",
                              "loss.feature_distance.on": ["strong", "weak"],
                              "loss.feature_distance.head": "projection"})  # fmt: skip
    with pytest.raises(SslkitError, match="answers `projection`, which `graph_contrast` answers already"):
        Bench(recipe)


@pytest.mark.parametrize(("name", "plugin"), [("comatch", "memory_smoothing"), ("simmatch", "instance_similarity")])
def test_memories_of_steps_are_refused_where_the_pool_is_labeled(name, plugin):
    with pytest.raises(RecipeError, match=rf"{plugin}: works at the label timing `step` alone"):
        load(name, {"labels": "pool"})


def test_a_memory_of_a_head_that_nobody_makes_is_refused():
    with pytest.raises(RecipeError, match=r'memory_smoothing: `head = "projection"`, but the model has no such head'):
        driven("comatch", 1, **{"loss.graph_contrast.enabled": False})
