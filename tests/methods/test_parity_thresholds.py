"""FixMatch, FreeMatch, SoftMatch and AdaMatch, as their recipes have them, on logits that are given.

The labelers and losses are the shipped recipes' own; what they answer is compared with the papers' formulas, written
out again in plain Python and float64. Each runs for many steps, so that what is remembered is compared too.
"""

import math

import pytest
import torch
from test_parity_curriculum import CLASSES, LABELED, ROWS, World, nll, probs, top

from sslkit.recipe import load

TOLERANCE = 1e-6
LEANING = torch.tensor([1.5, 0.5, 0.0, -1.0]).double()
"Some classes are predicted more than others, or alignment and class-wise thresholds would have nothing to do."


def leaning_step(world, number, sure=2.0):
    """A step whose logits lean to some classes."""
    step, logits = world.step(number, sure=sure)
    return step, {name: answer + LEANING for name, answer in logits.items()}


def consistency(logits, labels, weights):
    """1 / (mu B) sum of weight * H(label, p(strong)): over all rows, never over those that were kept."""
    return sum(w * nll(logits["strong"], i, k) for i, (k, w) in enumerate(zip(labels, weights, strict=True))) / ROWS


def column_means(rows):
    return [sum(row[k] for row in rows) / len(rows) for k in range(CLASSES)]


def normalised(values):
    return [value / sum(values) for value in values]


def ema(old, new, decay=0.99):
    return [decay * a + (1 - decay) * b for a, b in zip(old, new, strict=True)]


def unsure_of_its_threshold(distances):
    """Whether a row lies so near to its threshold that rounding decides."""
    return any(abs(distance) < 1e-6 for distance in distances)


# FixMatch -------------------------------------------------------------------------------------------------------------


def test_fixmatch():
    """Sohn et al. 2020, eq. 4."""
    world, shares = World("fixmatch"), set()
    for number in range(12):
        step, logits = leaning_step(world, number, sure=4.0)
        terms = world.terms(step, logits)
        weak = probs(logits["weak"])
        mask = [float(max(row) >= 0.95) for row in weak]
        expected = consistency(logits, [top(row) for row in weak], mask)
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=TOLERANCE)
        labels = sum(nll(logits["labeled"], i, y) for i, y in enumerate(step.labeled.truth.tolist())) / LABELED
        assert terms["supervised"].value.item() == pytest.approx(labels, abs=TOLERANCE)
        shares.add(sum(mask) / ROWS)
    assert any(0 < share < 1 for share in shares)


# FreeMatch ------------------------------------------------------------------------------------------------------------


class FreeMatch:
    """Wang et al. 2023, eq. 5-11, in the order of Algorithm 1."""

    def __init__(self):
        self.tau = 1 / CLASSES
        self.marginal = [1 / CLASSES] * CLASSES
        self.histogram = [1 / CLASSES] * CLASSES

    def see(self, weak):
        self.tau = 0.99 * self.tau + 0.01 * sum(max(row) for row in weak) / ROWS
        self.marginal = ema(self.marginal, column_means(weak))
        self.histogram = ema(self.histogram, [sum(top(row) == k for row in weak) / ROWS for k in range(CLASSES)])

    def bars(self):
        return [self.tau * share / max(self.marginal) for share in self.marginal]

    def fairness(self, mask, strong):
        """Sum of SumNorm(p~ / h~) log SumNorm(p- / h-), over the classes that kept rows are predicted to be."""
        kept = [row for m, row in zip(mask, strong, strict=True) if m]
        counts = [sum(top(row) == k for row in kept) for k in range(CLASSES)]
        sums = [sum(row[k] for row in kept) for k in range(CLASSES)]
        b = normalised([p / h if h else 0.0 for p, h in zip(sums, counts, strict=True)])
        a = normalised([p / h for p, h in zip(self.marginal, self.histogram, strict=True)])
        return sum(x * math.log(y) for x, y in zip(a, b, strict=True) if y)


@pytest.mark.parametrize("name", ["freematch", "cifar10/freematch"])
def test_freematchs_two_averages_of_predictions_are_one(name):
    """The paper has one p~, for thresholds and fairness; here each plugin keeps its own, alike where decays are."""
    for cfg in load(name).generations:
        plugins = {entry.name: entry.plugin for entry in cfg.entries()}
        assert plugins["adaptive_threshold"].decay == plugins["fairness"].decay


def test_freematch():
    """Thresholds, mask, both terms and their weights over 40 steps."""
    world, paper, shares = World("freematch"), FreeMatch(), []
    for number in range(40):
        step, logits = leaning_step(world, number)
        terms = world.terms(step, logits)
        again = world.hooks.loss(step, lambda view, logits=logits: type("Answer", (), {"logits": logits[view]}))
        weak = probs(logits["weak"])
        paper.see(weak)
        bars = paper.bars()
        assert not unsure_of_its_threshold(max(row) - bars[top(row)] for row in weak)
        mask = [float(max(row) >= bars[top(row)]) for row in weak]
        assert step.unlabeled.targets.weight.tolist() == mask
        expected = consistency(logits, [top(row) for row in weak], mask)
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=TOLERANCE)
        fairness = paper.fairness(mask, probs(logits["strong"]))
        assert terms["fairness"].value.item() == pytest.approx(fairness, abs=TOLERANCE)
        assert (terms["consistency"].weight, terms["fairness"].weight) == (1, 0.01)
        # Asked twice in a step, the losses answer the same and remember nothing twice.
        assert [term.value.item() for term in again] == [term.value.item() for term in terms.values()]
        world.plugin("fairness").after_step(step)
        shares.append(sum(mask) / ROWS)
    plugin = world.plugin("adaptive_threshold")
    assert plugin.level_.item() == pytest.approx(paper.tau, abs=TOLERANCE)
    assert plugin.marginal_.tolist() == pytest.approx(paper.marginal, abs=TOLERANCE)
    assert world.plugin("fairness").histogram_.tolist() == pytest.approx(paper.histogram, abs=TOLERANCE)
    assert max(paper.bars()) - min(paper.bars()) > 0.05 and any(0 < share < 1 for share in shares)


# SoftMatch ------------------------------------------------------------------------------------------------------------


def test_softmatch():
    """Chen et al. 2023: weights of the aligned probabilities, labels of the raw ones, over 150 steps."""
    world, moved_labels, least = World("softmatch"), 0, 1.0
    model, mean, variance = [1 / CLASSES] * CLASSES, 1 / CLASSES, 1.0
    for number in range(150):
        step, logits = leaning_step(world, number)
        terms = world.terms(step, logits)
        weak = probs(logits["weak"])
        model = ema(model, column_means(weak))
        aligned = [normalised([p / CLASSES / m for p, m in zip(row, model, strict=True)]) for row in weak]
        sure = [max(row) for row in aligned]
        batch_mean = sum(sure) / ROWS
        mean = 0.99 * mean + 0.01 * batch_mean
        variance = 0.99 * variance + 0.01 * sum((s - batch_mean) ** 2 for s in sure) / (ROWS - 1)  # unbiased
        weights = [1.0 if s >= mean else math.exp(-((s - mean) ** 2) / (2 * variance / 4)) for s in sure]
        assert step.unlabeled.targets.weight.tolist() == pytest.approx(weights, abs=TOLERANCE)
        labels = [top(row) for row in weak]
        assert step.unlabeled.targets.label.tolist() == labels
        expected = consistency(logits, labels, weights)
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=TOLERANCE)
        assert terms["consistency"].weight == 1
        moved_labels += sum(top(row) != label for row, label in zip(aligned, labels, strict=True))
        least = min(least, *weights)
    assert least < 0.7
    assert moved_labels > 20  # rows whose aligned label is another: they must be taught the raw one


# AdaMatch -------------------------------------------------------------------------------------------------------------


def test_adamatch():
    """Berthelot et al. 2022: p E[p_l] / E[p_u], kept above 0.9 times the labeled images' mean confidence."""
    world, shares, means = World("adamatch"), [], {"labeled": [], "weak": []}
    for number in range(20):
        step, logits = leaning_step(world, number)
        logits["labeled"] = logits["labeled"] - 2 * LEANING
        terms = world.terms(step, logits)
        weak, labeled = probs(logits["weak"]), probs(logits["labeled"])
        means["weak"].append(column_means(weak))
        means["labeled"].append(column_means(labeled))
        expected_u, expected_l = (column_means(means[name]) for name in ("weak", "labeled"))
        ratios = [b / a for a, b in zip(expected_u, expected_l, strict=True)]
        aligned = [normalised([p * r for p, r in zip(row, ratios, strict=True)]) for row in weak]
        bar = 0.9 * sum(max(row) for row in labeled) / LABELED
        assert not unsure_of_its_threshold(max(row) - bar for row in aligned)
        mask = [float(max(row) >= bar) for row in aligned]
        assert step.unlabeled.targets.weight.tolist() == mask
        expected = consistency(logits, [top(row) for row in aligned], mask)
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=TOLERANCE)
        truth = step.labeled.truth.tolist()
        views = [
            sum(nll(logits[v], i, y) for i, y in enumerate(truth)) / LABELED for v in ("labeled", "labeled_strong")
        ]
        assert terms["supervised"].value.item() == pytest.approx(sum(views) / 2, abs=TOLERANCE)
        shares.append(sum(mask) / ROWS)
    assert any(0 < share < 1 for share in shares)
