from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, one_hot, softmax

from sslkit import Batch, LossTerm, Outputs, Progress, Step, View
from sslkit.errors import RecipeError
from sslkit_plugins.step.meta_pseudo_labels import (
    MetaPseudoLabels,
    consistency_rows,
    feedback_rows,
    improvement,
    with_fresh_weights,
)

RATE = 0.3
COUNTS = {"labeled": 5, "weak": 7, "strong": 7}


class Linear(nn.Module):
    """(N, 4) float64 -> 3 logits; remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3, dtype=torch.float64)
        self.modes: list[dict[str, object]] = []

    def set_mode(self, **mode: object) -> None:
        self.modes.append({**mode, "gradient": torch.is_grad_enabled()})

    def forward(self, images: Tensor) -> Outputs:
        return Outputs(self.layer(images))


class World:
    """Two linear models and one step, moved by plain gradient descent."""

    def __init__(self, seed: int, scale: float = 2.0) -> None:
        torch.manual_seed(seed)
        self.student, self.trainables = Linear(), {"teacher": Linear()}
        self.images = {name: torch.randn(rows, 4, dtype=torch.float64) * scale for name, rows in COUNTS.items()}
        self.truth = torch.randint(3, (5,))
        views = {name: View(name, images) for name, images in self.images.items()}
        labeled = Batch("labeled", torch.arange(5), torch.arange(5), {"labeled": views["labeled"]}, self.truth)
        rest = {name: views[name] for name in ("weak", "strong")}
        self.step = Step(labeled, Batch("unlabeled", torch.arange(7), torch.arange(7), rest), Progress(0))
        self.asked: list[tuple[str, str]] = []

    def forward(self, view: str, model: str | None = None) -> Outputs:
        self.asked.append((view, model or "student"))
        answer: Outputs = (self.trainables[model] if model else self.student)(self.images[view])
        return answer

    def optimize(self, terms: list[LossTerm], name: str = "student") -> None:
        model = self.student if name == "student" else self.trainables[name]
        parameters = list(model.parameters())
        gradients = torch.autograd.grad(sum(t.value * t.weight for t in terms), parameters, retain_graph=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= RATE * gradient


def moved(weight: Tensor, bias: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
    first, second = torch.autograd.grad(loss, [weight, bias], retain_graph=True)
    return (weight - RATE * first).detach(), (bias - RATE * second).detach()


@pytest.mark.parametrize("seed", range(4))
def test_a_step_by_hand(seed: int) -> None:
    """All five losses, and where both models are afterwards, in float64 from the paper's formulas."""
    world = World(seed)
    plugin = MetaPseudoLabels(uda_weight=3.0, temperature=0.5, threshold=0.7, feedback_weight=2.0, label_smoothing=0.1)
    plugin.begin()
    x, u, s = (world.images[name] for name in ("labeled", "weak", "strong"))
    w, b = (p.detach().clone().requires_grad_() for p in world.student.layer.parameters())
    v, c = (p.detach().clone().requires_grad_() for p in world.trainables["teacher"].layer.parameters())
    # The student's step.
    label = (s @ v.T + c).argmax(1)
    student = -log_softmax(s @ w.T + b, 1)[torch.arange(7), label].mean()
    new_w, new_b = moved(w, b, student)
    old_loss = -log_softmax(x @ w.T + b, 1)[torch.arange(5), world.truth].mean()
    new_loss = -log_softmax(x @ new_w.T + new_b, 1)[torch.arange(5), world.truth].mean()
    # The teacher's.
    smooth = 0.9 * one_hot(world.truth, 3).double() + 0.1 / 3
    labels = -(smooth * log_softmax(x @ v.T + c, 1)).sum(1).mean()
    q = softmax((u @ v.T + c) / 0.5, 1).detach()
    kept = (q.max(1).values >= 0.7).double()
    uda = -(kept[:, None] * q * log_softmax(s @ v.T + c, 1)).sum() / 7
    feedback = (old_loss - new_loss).detach() * -log_softmax(s @ v.T + c, 1)[torch.arange(7), label].mean()
    new_v, new_c = moved(v, c, labels + 3 * uda + 2 * feedback)

    terms = {term.name: term for term in plugin.train_step(world.step, world.forward, world)}
    expected = {"student": student, "teacher.labeled": labels, "teacher.uda": uda, "teacher.feedback": feedback}
    for name, value in expected.items():
        torch.testing.assert_close(terms[name].value, value, rtol=1e-12, atol=1e-14)
    assert [term.weight for term in terms.values()] == [1, 1, 3, 2]
    assert 0 < kept.mean() < 1 or seed  # the filter decides in the first world at least
    after = [*world.student.layer.parameters(), *world.trainables["teacher"].layer.parameters()]
    for parameter, value in zip(after, (new_w, new_b, new_v, new_c), strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-12, atol=1e-14)


def test_what_is_asked_of_whom() -> None:
    """The student learns strong images alone; its labeled loss is measured un-noised, with no gradient, writing nothing."""
    world, plugin = World(0), MetaPseudoLabels()
    plugin.begin()
    plugin.train_step(world.step, world.forward, world)
    teacher = [("labeled", "teacher"), ("weak", "teacher"), ("strong", "teacher")]
    assert world.asked == [*teacher, ("strong", "student")]
    quiet = {"noise": False, "batch_norm": "batch", "write_stats": False, "gradient": False}
    assert world.student.modes == [quiet, quiet]


# The sign of the feedback -----------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.integers(2, 4))
def test_the_sign_is_that_of_the_exact_gradient(seed: int, classes: int) -> None:
    """Over every label y that the teacher may draw: the gradient of E_y[labeled loss of the student after a step on y]
    is the expectation of improvement * gradient of H(y, T), to the last digits; with the sign reversed it is its negative.
    """
    torch.manual_seed(seed)
    double = {"dtype": torch.float64}
    weight, image = torch.randn(classes, 4, **double, requires_grad=True), torch.randn(1, 4, **double)
    labeled, truth = torch.randn(6, 4, **double), torch.randint(classes, (6,))
    logits = torch.randn(1, classes, **double, requires_grad=True)  # the teacher's answer to the one image
    before = cross_entropy(labeled @ weight.T, truth).detach()
    after = []
    for y in range(classes):
        (gradient,) = torch.autograd.grad(cross_entropy(image @ weight.T, torch.tensor([y])), weight)
        after.append(cross_entropy(labeled @ (weight - RATE * gradient).T, truth).detach())
    chance = logits.softmax(1)[0]
    (exact,) = torch.autograd.grad((chance * torch.stack(after)).sum(), logits, retain_graph=True)
    estimate = torch.zeros_like(exact)
    for y in range(classes):
        entropy = cross_entropy(logits, torch.tensor([y]))
        (own,) = torch.autograd.grad(improvement(before, after[y]) * entropy, logits, retain_graph=True)
        estimate += chance[y].detach() * own
    torch.testing.assert_close(estimate, exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("helps", [True, False])
def test_a_label_that_helped_is_believed_more(helps: bool) -> None:
    """One image, two classes; the labeled image is the same one, of the teacher's class or of the other."""
    torch.manual_seed(0)
    world, plugin = World(3), MetaPseudoLabels(uda_weight=0.0)
    image = torch.randn(1, 4, dtype=torch.float64)
    teacher = world.trainables["teacher"].layer
    with torch.no_grad():
        label = int(teacher(image).argmax())
    before, student = (cross_entropy(world.student.layer(image), torch.tensor([label if helps else (label + 1) % 3])),
                       world.student.layer)  # fmt: skip
    world.optimize([LossTerm(cross_entropy(student(image), torch.tensor([label])))])
    after = cross_entropy(student(image), torch.tensor([label if helps else (label + 1) % 3]))
    assert bool(improvement(before, after) > 0) == helps
    (term,) = plugin._teachers(
        {"labeled": teacher(image).detach(), "weak": teacher(image), "strong": teacher(image)},
        torch.tensor([label]), improvement(before, after),
    )[2:]  # fmt: skip
    was = teacher(image).softmax(1)[0, label].item()
    world.optimize([term], "teacher")
    assert (teacher(image).softmax(1)[0, label].item() > was) == helps


def test_no_gradient_flows_through_labels_targets_or_the_change() -> None:
    strong, weak, change = (torch.randn(shape, requires_grad=True) for shape in ((6, 3), (6, 3), ()))
    assert not improvement(change, change).requires_grad
    (consistency_rows(strong, weak, 0.5, 0.0).sum() + feedback_rows(strong, change).sum()).backward()
    assert weak.grad is None and change.grad is None and bool(strong.grad.any())


@given(st.integers(0, 99))
def test_rows_are_independent_of_their_order(seed: int) -> None:
    torch.manual_seed(seed)
    strong, weak, order = torch.randn(6, 3), torch.randn(6, 3), torch.randperm(6)
    for made in (lambda a, b: consistency_rows(a, b, 0.7, 0.6), lambda a, b: feedback_rows(a, torch.tensor(0.3))):
        torch.testing.assert_close(made(strong, weak)[order], made(strong[order], weak[order]))


def test_the_consistency_is_told_once_the_teacher_was_sure() -> None:
    world, plugin = World(1), MetaPseudoLabels(threshold=1.0)
    plugin.begin()
    names = lambda: [term.name for term in plugin.train_step(world.step, world.forward, world)]  # noqa: E731
    without = ["student", "teacher.labeled", "teacher.feedback"]
    assert names() == without
    plugin.threshold = 0.0
    assert names() == [*without[:2], "teacher.uda", without[2]]
    plugin.threshold = 1.0
    resumed = MetaPseudoLabels(threshold=1.0)
    resumed.begin()
    resumed.load_state_dict(plugin.state_dict())
    assert len(names()) == 4 and resumed.sure_


# The teacher ------------------------------------------------------------------------------------------------------------


def test_fresh_weights_come_from_torchs_generator_and_change_nothing_else() -> None:
    student = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    known = deepcopy(student.state_dict())
    torch.manual_seed(5)
    first = with_fresh_weights(student)
    torch.manual_seed(5)
    second = with_fresh_weights(student)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first[3].weight, student[3].weight)
    assert all(torch.equal(value, known[name]) for name, value in student.state_dict().items())


def test_a_model_with_weights_of_its_authors_keeps_their_scheme() -> None:
    class Zeroed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def init_weights(self) -> None:
            nn.init.zeros_(self.layer.weight)

    assert not with_fresh_weights(SimpleModel(Zeroed())).model.layer.weight.any()


class SimpleModel(nn.Module):
    """What stands around a model as the engine's network does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


def test_copied_and_frozen_teachers() -> None:
    student = nn.Linear(2, 2)
    twin = MetaPseudoLabels(teacher="copy").trainables(student)["teacher"]
    assert twin is not student and torch.equal(twin.weight, student.weight)
    student.bias.requires_grad_(False)
    with pytest.raises(RecipeError, match='set teacher = "copy"'):
        MetaPseudoLabels().trainables(student)


def test_what_is_missing_is_said() -> None:
    world, plugin = World(0), MetaPseudoLabels(strong="distorted")
    plugin.begin()
    with pytest.raises(RecipeError, match=r"the unlabeled stream has no view `distorted` \(it has weak, strong\)"):
        plugin.train_step(world.step, world.forward, world)
    with pytest.raises(RecipeError, match="no unlabeled images"):
        plugin.train_step(Step(world.step.labeled, None, Progress(0)), world.forward, world)
    detached = lambda view, model=None: SimpleNamespace(logits=world.forward(view, model).logits.detach())  # noqa: E731
    with pytest.raises(RecipeError, match="leave that labeler out"):
        MetaPseudoLabels().train_step(world.step, detached, world)
