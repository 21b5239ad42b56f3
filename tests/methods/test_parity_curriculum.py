"""FlexMatch, Dash, ReFixMatch, SequenceMatch and DeFixMatch, as their recipes have them, on logits that are given.

The labelers and losses are the shipped recipes' own; what they answer is compared with the papers' formulas, written
out again in plain Python and float64.
"""

import math

import pytest
import torch
from driving import CPU, Bench

from sslkit import Batch, Facts, Outputs, Progress, Step, View
from sslkit.forward import LabelForward
from sslkit.hooks import Hooks
from sslkit.recipe import load

CLASSES, POOL, ROWS, LABELED = 4, 20, 8, 5
IMAGES = torch.zeros(ROWS, 3, 4, 4)


class World:
    """A recipe's plugins, and steps whose logits are drawn."""

    def __init__(self, name, generation=0, overrides=None):
        self.cfg = load(name, overrides or {}).generations[generation]
        self.hooks = Hooks([e for e in self.cfg.entries() if e.section in ("labeler", "loss")])
        sizes = {"labeled": LABELED, "unlabeled": POOL}
        self.facts = Facts(tuple("abcd"), (1,) * CLASSES, sizes, {"labeled": LABELED, "unlabeled": ROWS}, 24, 3, CPU)
        self.hooks.begin(self.facts, Progress(0))
        self.generator = torch.Generator().manual_seed(7)

    def step(self, number, steps=100, sure=6.0):
        """A step, and each view's logits; some images twice in a batch."""
        progress = Progress(0, step=number, steps=steps)
        logits, batches = {}, []
        for stream, rows, pool in (("labeled", LABELED, LABELED), ("unlabeled", ROWS, POOL)):
            names = [name for name, view in self.cfg.views.items() if view.stream == stream]
            logits |= {name: sure * torch.randn(rows, CLASSES, generator=self.generator).double() for name in names}
            index = torch.randint(pool, (rows,), generator=self.generator)
            views = {name: View(name, IMAGES[:rows]) for name in names}
            batches.append(Batch(stream, index, torch.arange(rows), views, classes=CLASSES))
        batches[0].truth = torch.randint(CLASSES, (LABELED,), generator=self.generator)
        return Step(*batches, progress), logits

    def terms(self, step, logits, streams=("unlabeled",)):
        """Targets are made as the engine makes them; the losses by name."""

        def forward(view, model=None):
            return Outputs(logits[view if isinstance(view, str) else view.name])

        for batch in step.batches:
            if batch.stream in streams:
                ask = LabelForward(forward, lambda outputs: outputs.logits, batch)
                targets = self.hooks.label("step", batch, ask, step.progress)
                batch.targets = self.hooks.refine("step", targets, batch, ask, step.progress)
        return {term.name: term for term in self.hooks.loss(step, forward)}

    def plugin(self, name):
        return next(e.plugin for e in self.hooks.entries if e.name == name)


def probs(logits):
    return logits.double().softmax(1).tolist()


def nll(logits, row, label):
    return -logits.double().log_softmax(1)[row, label].item()


def kl(target, logits, row, temperature=1.0):
    """KL(sharpened target || softmax(logits)) of one row, from the definition."""
    powers = [p ** (1 / temperature) for p in target]
    q = [p / sum(powers) for p in powers]
    return sum(a * (math.log(a) - b) for a, b in zip(q, logits.double().log_softmax(1)[row].tolist(), strict=True) if a)


def top(row):
    return max(range(CLASSES), key=row.__getitem__)


class FlexMatch:
    """Zhang et al. 2021, Algorithm 1, with a dictionary of the images that were sure of a class."""

    def __init__(self, tau=0.95):
        self.tau, self.of = tau, {}

    def mask(self, index, weak):
        learned = [sum(label == k for label in self.of.values()) for k in range(CLASSES)]
        most = max(max(learned), POOL - sum(learned))
        beta = [n / most for n in learned]
        bars = [self.tau * b / (2 - b) for b in beta]
        mask = [float(max(row) >= bars[top(row)]) for row in weak]
        self.of |= {i: top(row) for i, row in zip(index.tolist(), weak, strict=True) if max(row) >= self.tau}
        return mask


@pytest.mark.parametrize("name", ["flexmatch", "sequencematch"])
def test_flexmatch(name):
    """The mask and the loss of 12 steps, to 1e-6; SequenceMatch has the same mask."""
    world, paper, kept = World(name), FlexMatch(), []
    for number in range(12):
        step, logits = world.step(number, sure=5.0)
        terms = world.terms(step, logits)
        weak = probs(logits["weak"])
        mask = paper.mask(step.unlabeled.index, weak)
        assert step.unlabeled.targets.weight.tolist() == mask
        expected = sum(m * nll(logits["strong"], i, top(weak[i])) for i, m in enumerate(mask)) / ROWS
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=1e-6)
        assert terms["consistency"].weight == 1
        kept.append(sum(mask) / ROWS)
    assert kept[0] == 1 and any(0 < share < 1 for share in kept[1:])


def test_sequencematch():
    """KL(weak || medium), KL(medium || strong) and KL(weak || strong), targets at T = 0.5, on FlexMatch's mask."""
    world, paper = World("sequencematch"), FlexMatch()
    for number in range(4):
        step, logits = world.step(number, sure=2.0)
        terms = world.terms(step, logits)
        mask = paper.mask(step.unlabeled.index, probs(logits["weak"]))
        for name in ("weak_to_medium", "medium_to_strong", "weak_to_strong"):
            first, second = name.split("_to_")
            rows = [m * kl(probs(logits[first])[i], logits[second], i, 0.5) for i, m in enumerate(mask)]
            assert terms[name].value.item() == pytest.approx(sum(rows) / ROWS, abs=1e-6)
            assert terms[name].weight == 1


def test_refixmatch():
    """FixMatch on the sure rows; KL from the sharpened answer, softmaxed once, on all others (Nguyen & Yang 2023)."""
    world = World("refixmatch")
    for number in range(3):
        step, logits = world.step(number, sure=5.0)
        terms = world.terms(step, logits)
        weak = probs(logits["weak"])
        mask = [float(max(row) >= 0.95) for row in weak]
        assert 0 < sum(mask) < ROWS
        sure = sum(m * nll(logits["strong"], i, top(weak[i])) for i, m in enumerate(mask))
        rest = sum((1 - m) * kl(weak[i], logits["strong"], i, 0.5) for i, m in enumerate(mask))
        assert terms["consistency"].value.item() == pytest.approx(sure / ROWS, abs=1e-6)
        assert terms["rejected"].value.item() == pytest.approx(rest / ROWS, abs=1e-6)
        assert terms["rejected"].weight == 1


def test_dash():
    """Xu et al. 2021: rho from the labeled images' losses in the warm-up, cut every five steps, then hard labels."""
    warmup, world = World("dash", 0), World("dash", 1)
    known = {}
    for number in range(9):
        step, logits = warmup.step(number, sure=1.0)
        step.unlabeled = None

        def forward(view, model=None, logits=logits):
            return Outputs(logits[view])

        warmup.plugin("loss_threshold").after_step(step, forward)
        rows = enumerate(zip(step.labeled.index.tolist(), step.labeled.truth.tolist(), strict=True))
        known |= {i: nll(logits["labeled"], row, truth) for row, (i, truth) in rows}
    world.hooks.load_state(warmup.hooks.state())  # as the engine does between generations
    initial, forms = sum(known.values()) / len(known), set()
    for number in (0, 4, 5, 14, 60, 150):
        step, logits = world.step(number, sure=2.0)
        terms = world.terms(step, logits)
        rho = max(0.05, 1.0001 * 1.27 ** -(number // 5) * initial)
        assert world.plugin("loss_threshold").rho(step.progress) == pytest.approx(rho, rel=1e-6)
        expected = 0.0
        for i, row in enumerate(probs(logits["weak"])):
            kept = -math.log(max(row)) <= rho
            if rho == 0.05:
                value = nll(logits["strong"], i, top(row))
            else:
                q = [p**2 / sum(p**2 for p in row) for p in row]
                value = sum(p * nll(logits["strong"], i, k) for k, p in enumerate(q))
            expected += kept * value / ROWS
        assert terms["consistency"].value.item() == pytest.approx(expected, abs=1e-6)
        forms.add(rho == 0.05)
    assert forms == {True, False}


def test_defixmatch():
    """Half the labels' loss on each view, half of FixMatch's loss on U, less half of the same on L (Schmutz et al.)."""
    world = World("defixmatch")
    step, logits = world.step(0, sure=4.0)
    terms = world.terms(step, logits, world.cfg.settings.label_streams)
    truth = step.labeled.truth.tolist()

    def consistency(weak, strong, rows):
        sure = [(i, row) for i, row in enumerate(probs(logits[weak])) if max(row) >= 0.95]
        assert 0 < len(sure) < rows
        return sum(nll(logits[strong], i, top(row)) for i, row in sure) / rows

    labels = sum(nll(logits[v], i, y) for v in ("labeled", "labeled_strong") for i, y in enumerate(truth)) / LABELED
    total = 0.5 * labels
    total += 0.5 * (consistency("weak", "strong", ROWS) - consistency("labeled", "labeled_strong", LABELED))
    assert sum(term.weight * term.value.item() for term in terms.values()) == pytest.approx(total, abs=1e-6)
    assert [term.weight for term in terms.values()] == [1, 0.5, -0.5]


def test_dashs_warm_up_leaves_a_threshold_to_shrink():
    """Its labeled images' loss, measured in training (USB takes the test images'), is far above the floor at its end."""
    bench = Bench(load("dash", {"workers": 0, "tracker": [], "metric": []}), 0)
    assert bench.data.unlabeled is not None and bench.state.cfg.settings.batch.unlabeled == 0
    seen = {}
    for step in bench.steps(bench.state.cfg.settings.steps):
        forward = bench.state.forward(step)
        (term,) = bench.state.losses(step, forward)
        rows = torch.nn.functional.cross_entropy(forward("labeled").logits, step.labeled.truth, reduction="none")
        assert term.value.item() == pytest.approx(rows.mean().item(), rel=1e-5)
        seen |= dict(zip(step.labeled.index.tolist(), rows.tolist(), strict=True))
        bench.state.optimize([term])
        bench.state.hooks.after_step(step, forward, bench.state.student, bench.state.average, None)
    plugin = next(e.plugin for e in bench.state.hooks.entries if e.name == "loss_threshold")
    assert plugin.initial == pytest.approx(sum(seen.values()) / len(seen), rel=1e-5) and len(seen) == 40
    assert 0.2 < plugin.initial < math.log(10)
