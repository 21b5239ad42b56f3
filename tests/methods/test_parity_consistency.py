"""UDA's and Mean Teacher's objectives on fixed logits, by the shipped recipes' own plugins, equal the papers' formulas.

The formulas are written here anew, in numpy and float64, row by row.
"""

import math

import numpy as np
import pytest
import torch

from sslkit import Batch, Outputs, Progress, Step, View
from sslkit.hooks import Hooks
from sslkit.recipe import load

K, LABELED, UNLABELED = 10, 32, 96
RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.integers(0, K, LABELED)
LOGITS = {
    "labeled": 2 * RANDOM.normal(size=(LABELED, K)) + 3 * np.eye(K)[TRUTH],  # some known by heart, some not
    "weak": 3 * RANDOM.normal(size=(UNLABELED, K)),  # some sure, some not
    "strong": 2 * RANDOM.normal(size=(UNLABELED, K)),
    "taught": 2 * RANDOM.normal(size=(UNLABELED, K)),
    "learned": 2 * RANDOM.normal(size=(UNLABELED, K)),
}


def forward(view, model=None):
    name = view if isinstance(view, str) else view.name
    return Outputs(torch.tensor(LOGITS[name], dtype=torch.float32))


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def objective(name, number, steps=600):
    """A recipe's labelers and losses on the fixed logits at one step: its terms, and the pseudo-labels."""
    cfg = load(name).generations[0]
    hooks = Hooks([e for e in cfg.entries() if e.section in ("labeler", "loss")])

    def batch(stream, rows, truth=None):
        index = torch.arange(rows)
        views = {n: View(n, torch.zeros(rows, 3, 2, 2)) for n, v in cfg.views.items() if v.stream == stream}
        return Batch(stream, index, index, views, truth, classes=K)

    progress = Progress(0, step=number, steps=steps)
    step = Step(batch("labeled", LABELED, torch.tensor(TRUTH)), batch("unlabeled", UNLABELED), progress)
    targets = hooks.label("step", step.unlabeled, forward, progress)
    step.unlabeled.targets = hooks.refine("step", targets, step.unlabeled, forward, progress)
    terms = {term.name: term for term in hooks.loss(step, forward)}
    assert list(terms) == ["supervised", "consistency"]
    return terms, step.unlabeled.targets


@pytest.mark.parametrize("number", [0, 90, 300, 450, 600])
def test_uda(number):
    """Xie et al. 2019, masked, sharpened and annealed: tau = 0.8, T = 0.4, alpha = t / T."""
    terms, targets = objective("uda", number)
    consistency, masked = 0.0, 0
    for weak, strong in zip(LOGITS["weak"], LOGITS["strong"], strict=True):
        if softmax(weak).max() >= 0.8:
            q, p = softmax(weak / 0.4), softmax(strong)
            consistency += sum(a * (math.log(a) - math.log(b)) for a, b in zip(q, p, strict=True))
        else:
            masked += 1
    assert 20 < masked < 76  # or the mask was not tested
    assert terms["consistency"].value.item() == pytest.approx(consistency / UNLABELED, abs=1e-6)  # all rows
    assert terms["consistency"].weight == 1 and (targets.weight == 0).sum() == masked

    threshold = number / 600 * (1 - 1 / K) + 1 / K
    own = [softmax(row)[y] for row, y in zip(LOGITS["labeled"], TRUTH, strict=True)]
    kept = [-math.log(p) for p in own if p <= threshold]
    assert len(kept) < LABELED or number == 600
    assert terms["supervised"].value.item() == pytest.approx(sum(kept) / max(len(kept), 1), abs=1e-6)


def test_mean_teacher():
    """Tarvainen & Valpola 2017, sec. 2: the mean over rows and classes of the squared distance of probabilities."""
    terms, targets = objective("mean_teacher", 0)
    pairs = zip(LOGITS["taught"], LOGITS["learned"], strict=True)
    error = np.mean([(softmax(student) - softmax(teacher)) ** 2 for teacher, student in pairs])
    assert terms["consistency"].value.item() == pytest.approx(error, abs=1e-6) and error > 0.01
    assert terms["consistency"].weight == 50 and bool((targets.weight == 1).all())
    labels = -np.mean([math.log(softmax(row)[y]) for row, y in zip(LOGITS["labeled"], TRUTH, strict=True)])
    assert terms["supervised"].value.item() == pytest.approx(labels, abs=1e-6)


def test_pseudo_label():
    """Lee 2013, eq. 15 and 16, as Oliver et al. 2018 have it: the mean over all rows of the sure ones' cross-entropy."""
    terms, targets = objective("pseudo_label", 0)
    sure = [p for p in map(softmax, LOGITS["weak"]) if p.max() >= 0.95]
    assert 0 < len(sure) < UNLABELED and (targets.weight > 0).sum() == len(sure)
    expected = sum(-math.log(p.max()) for p in sure) / UNLABELED
    assert terms["consistency"].value.item() == pytest.approx(expected, abs=1e-6)
