from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit import Batch, Outputs, Progress, Step, View
from sslkit.errors import RecipeError
from sslkit_plugins.loss.virtual_adversarial import VirtualAdversarial, adversarial_direction, unit


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Smooth, curved, with batch-norm: 3 classes of 3 x 6 x 6 images."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 16, 16), nn.Tanh(), nn.Linear(16, 3)
        )  # fmt: skip
    return layers.to(dtype)


def pixels(rows: int = 5, seed: int = 1) -> Tensor:
    return torch.rand(rows, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def norms(direction: Tensor) -> Tensor:
    return direction.flatten(1).norm(dim=1)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL of logits, by its definition."""
    return (p.softmax(1) * (p.softmax(1).log() - q.softmax(1).log())).sum(1)


# Directions -------------------------------------------------------------------------------------------------------


@given(st.floats(-30, 10), st.integers(0, 99))
def test_unit_is_of_length_1_for_each_image_whatever_its_scale(power: float, seed: int) -> None:
    """Squares of a gradient of 1e-30 are nothing in float32."""
    start = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    made = unit(start * 10**power)
    torch.testing.assert_close(norms(made), torch.ones(3))
    torch.testing.assert_close(made, start / norms(start).view(-1, 1, 1, 1), atol=1e-5, rtol=1e-4)
    assert torch.equal(unit(start.flip(0) * 10**power), made.flip(0))


def test_no_direction_stays_none() -> None:
    assert not unit(torch.zeros(2, 3, 4, 4)).any()


def test_the_direction_of_a_linear_model_is_its_only_one() -> None:
    """Logits (w x, 0): KL's second derivative is p (1 - p) w w^T, so a single iteration finds w, up to its sign."""
    w = torch.randn(3 * 6 * 6, generator=torch.Generator().manual_seed(0)).double()

    def answer(images: Tensor) -> Tensor:
        one = images.flatten(1) @ w
        return torch.stack([one, torch.zeros_like(one)], 1)

    images = 0.02 * pixels().double()
    start = torch.randn(images.shape, generator=torch.Generator().manual_seed(2)).double()
    made = adversarial_direction(answer, images, answer(images), start, 1e-4)
    overlap = (made.flatten(1) @ (w / w.norm())).abs()
    torch.testing.assert_close(overlap, torch.ones_like(overlap))


def hessian(model: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """KL's second derivative at r = 0 by automatic differentiation, in float64: (D, D)."""
    logits = model(image[None]).detach()
    return torch.autograd.functional.hessian(
        lambda r: divergence(logits, model((image.flatten() + r).view_as(image)[None])).sum(),
        torch.zeros(image.numel(), dtype=torch.float64),
    )


def test_power_iterations_reach_the_eigenvector_and_float32_is_enough() -> None:
    model = network().eval().double()
    images = pixels(3).double()
    start = torch.randn(images.shape, generator=torch.Generator().manual_seed(2)).double()
    curvature = torch.stack([hessian(model, image) for image in images])
    once = torch.einsum("nij,nj->ni", curvature, unit(start).flatten(1))
    single = network().eval()
    for iterations, expected in ((1, unit(once)), (40, torch.linalg.eigh(curvature).eigenvectors[:, :, -1])):
        for net, dtype, xi, least in ((model, torch.float64, 1e-6, 0.999), (single, torch.float32, 0.1, 0.99)):
            given_ = images.to(dtype)
            made = adversarial_direction(net, given_, net(given_), start.to(dtype), xi, iterations)
            overlap = (made.double().flatten(1) * expected).sum(1).abs()
            assert bool((overlap > least).all()), (iterations, dtype, overlap)


# The plugin -------------------------------------------------------------------------------------------------------


class Asked:
    """The student's passes, each of them written down."""

    def __init__(self, step: Step, model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        self.step, self.model, self.dtype = step, model, dtype
        self.views: list[View] = []
        self.answers: dict[View, Outputs] = {}

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        view = self.step.views[view] if isinstance(view, str) else view
        if view not in self.answers:
            self.views.append(view)
            self.answers[view] = Outputs(self.model(view.images).to(self.dtype).float())
        return self.answers[view]


def step(*views: str, number: int = 0) -> Step:
    def batch(stream: str, rows: int, *names: str) -> Batch:
        index = torch.arange(rows)
        return Batch(stream, index, index, {n: View(n, pixels(rows, i)) for i, n in enumerate(names)}, classes=3)

    return Step(batch("labeled", 2, "labeled"), batch("unlabeled", 5, *views), Progress(0, step=number, plugin="vat"))


def test_the_loss_is_the_papers_formula() -> None:
    """Each piece written anew: draw, one iteration at its length xi, r of length epsilon, the mean over all rows."""
    plugin, given_, model = VirtualAdversarial(weight=0.3, epsilon=2.0), step("weak"), network()
    forward = Asked(given_, model)
    term = plugin.loss(given_, forward, ("weak",), given_.progress)
    clean, felt, worst = forward.views
    assert [view.name for view in forward.views] == ["weak"] * 3 and clean is given_.views["weak"]
    draw = torch.randn(clean.images.shape, generator=given_.progress.torch("weak"))
    d = (0.1 * draw / norms(draw).view(-1, 1, 1, 1)).requires_grad_()
    torch.testing.assert_close(felt.images, clean.images + d)
    (g,) = torch.autograd.grad(divergence(model(clean.images).detach(), model(clean.images + d)).sum(), d)
    r = 2.0 * g / norms(g).view(-1, 1, 1, 1)
    torch.testing.assert_close(worst.images, clean.images + r, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(norms(worst.images - clean.images), torch.full((5,), 2.0))
    expected = divergence(model(clean.images).detach(), model(worst.images)).mean()
    torch.testing.assert_close(term.value, expected, atol=1e-6, rtol=1e-5)
    assert term.weight == 0.3 and term.value > 0


def test_the_adversarial_direction_is_worse_than_chance() -> None:
    given_, model = step("weak"), network()
    images = given_.views["weak"].images
    value = VirtualAdversarial(epsilon=1.0).loss(given_, Asked(given_, model), ("weak",), given_.progress).value
    chance = [divergence(model(images), model(images + unit(torch.randn(images.shape)))).mean() for _ in range(20)]
    assert value > 2 * max(chance)


def test_no_gradient_is_left_behind_and_none_flows_through_the_clean_answer() -> None:
    given_, model = step("weak"), network()
    forward = Asked(given_, model)
    term = VirtualAdversarial().loss(given_, forward, ("weak",), given_.progress)
    assert all(parameter.grad is None for parameter in model.parameters())
    clean, _, worst = (forward.answers[view].logits for view in forward.views)
    to_clean, to_worst = torch.autograd.grad(term.value, (clean, worst), allow_unused=True, retain_graph=True)
    assert to_clean is None and to_worst.any()
    assert not forward.views[2].images.requires_grad  # nor through r
    term.value.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_views_are_one_mean_and_draw_apart() -> None:
    given_, model = step("weak", "other"), network()

    def value(*on: str) -> Tensor:
        return VirtualAdversarial().loss(given_, Asked(given_, model), on, given_.progress).value

    torch.testing.assert_close(value("weak", "other"), (value("weak") + value("other")) / 2)
    torch.testing.assert_close(value("labeled", "weak"), (2 * value("labeled") + 5 * value("weak")) / 7)


def test_iterations_ask_once_more_each() -> None:
    given_ = step("weak")
    forward = Asked(given_, network())
    VirtualAdversarial(iterations=3).loss(given_, forward, ("weak",), given_.progress)
    assert len(forward.views) == 5


def test_a_student_whose_answers_are_rounded_is_refused() -> None:
    """In bfloat16 x and x + xi d are answered alike: the loss would be zero, or chance."""
    given_ = step("weak")
    with pytest.raises(RecipeError, match=r'virtual_adversarial: .* Set precision = "float32"'):
        VirtualAdversarial().loss(given_, Asked(given_, network(), torch.bfloat16), ("weak",), given_.progress)


def test_a_student_that_says_nothing_yet_is_no_rounded_one() -> None:
    given_, model = step("weak"), network()
    nn.init.zeros_(model[-1].weight), nn.init.zeros_(model[-1].bias)
    term = VirtualAdversarial().loss(given_, Asked(given_, model), ("weak",), given_.progress)
    assert term.value.isfinite() and term.value == 0
