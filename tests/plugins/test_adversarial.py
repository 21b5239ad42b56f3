"""FGSM and PGD: foolbox's images and accuracies, hand computations on linear models, units, and what is left behind."""

import random
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslkit import Data, Images, Outputs, Progress, ViewSpec
from sslkit.classifier import NetworkClassifier
from sslkit.environment import determinism
from sslkit.errors import PluginError, RecipeError
from sslkit.loader import ViewMaker
from sslkit.network import Network
from sslkit.recipe import load
from sslkit.recipe.metrics import parts_of
from sslkit.testing import check_plugin
from sslkit_plugins.metric.adversarial import Adversarial
from sslkit_plugins.metric.attacks import (
    NoGradient,
    direction_of,
    fast_gradient,
    gradient_of,
    point_in_ball,
    projected_gradient,
    within,
)

SIZE, CLASSES = 8, ("ant", "bee", "cat")
END = Progress(seed=3, generation=1, step=5, steps=5, plugin="adversarial")


def convolutional(seed: int = 0) -> Network:
    """Two convolutions with batch-norm whose statistics are those of noise: smooth and curved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.GELU(), nn.Flatten(),
            nn.Dropout(0.5), nn.Linear(8 * 16, 3),
        )  # fmt: skip
        network = Network(model, [0.4] * 3, [0.25] * 3, SIZE, 3)
        with torch.no_grad():
            network.train()(torch.rand(64, 3, SIZE, SIZE))
    return network.eval()


class Counted(NetworkClassifier):
    """Remembers how many images it was asked about at once."""

    def __init__(self, network: nn.Module, rows: int = 32, decide=lambda outputs: outputs.logits) -> None:
        view = ViewMaker(ViewSpec("clean", "evaluation", SIZE, 3), seed=0, generation=0)
        super().__init__(network, decide, view, torch.device("cpu"), rows)
        self.asked: dict[bool, list[int]] = {False: [], True: []}
        "With a gradient or without."

    def logits(self, images: Tensor) -> Tensor:
        self.asked[images.requires_grad].append(len(images))
        return super().logits(images)


@pytest.fixture(scope="module")
def network() -> Network:
    return convolutional()


@pytest.fixture(scope="module")
def data(network: Network) -> Data:
    """A hundred images of which the model names about nine in ten rightly, each seventh of unknown class."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, SIZE, SIZE, 3), np.uint8)
    images = Images([str(i) for i in range(100)], lambda rows: list(pixels[rows]), np.zeros(100, np.int64))
    truth = Counted(network)(images).argmax(1).numpy()
    truth[::11] = (truth[::11] + 1) % 3
    truth[3::7] = -1
    test = replace(images, truth=truth)
    return Data(CLASSES, labeled=test, test=test)


def floats(data: Data) -> tuple[Tensor, Tensor]:
    """The test images of known class as the model takes them, and their classes."""
    known = np.flatnonzero(data.test.truth >= 0)
    pixels = torch.from_numpy(np.stack(data.test.read(known))).permute(0, 3, 1, 2).float() / 255
    return pixels, torch.as_tensor(data.test.truth[known])


@pytest.fixture(scope="module")
def foolbox() -> Iterator[object]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import", DeprecationWarning)  # it imports an old name of SciPy's
        import foolbox
    return foolbox


# As foolbox -------------------------------------------------------------------------------------------------------


def theirs(foolbox, network, images, truth, attack, sizes):
    """Foolbox's images at each size, and its accuracies."""
    logits = nn.Sequential(network, Logits()).eval()
    model = foolbox.PyTorchModel(logits, bounds=(0, 1), device="cpu")
    _, made, wrong = attack(model, images, truth, epsilons=[size / 255 for size in sizes])
    return made, [1 - one.float().mean().item() for one in wrong]


class Logits(nn.Module):
    def forward(self, outputs: Outputs) -> Tensor:
        return outputs.logits


@pytest.mark.parametrize(("norm", "sizes"), [("linf", [2, 4, 8, 16]), ("l2", [16, 64, 128])])
def test_fgsm_is_foolboxs(foolbox, network, data, norm, sizes):
    images, truth = floats(data)
    attack = {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}[norm]()
    made, accuracies = theirs(foolbox, network, images, truth, attack, sizes)
    gradient = gradient_of(lambda x: network(x).logits, images, truth)
    own = [fast_gradient(images, gradient, size / 255, norm) for size in sizes]
    for one, other in zip(own, made, strict=True):
        assert torch.equal(one, other) if norm == "linf" else torch.allclose(one, other, rtol=0, atol=1e-6)
    found = Adversarial(norm=norm, epsilons=sizes).measure(Counted(network), data, END)
    name = "test_fgsm" if norm == "linf" else "test_fgsm_l2"
    assert [found[f"{name}_{size}"] for size in sizes] == pytest.approx(accuracies, abs=1e-6)
    assert (
        list(found[name]) == ["0", *map(str, sizes)] and accuracies[-1] < accuracies[0] < found[name]["0"]["accuracy"]
    )


@pytest.mark.parametrize("step_size", [0.0, 3.0])
@pytest.mark.parametrize(("norm", "sizes"), [("linf", [4, 16]), ("l2", [16, 20])])
def test_pgd_is_foolboxs(foolbox, network, data, norm, sizes, step_size):
    images, truth = floats(data)
    kinds = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}
    said = {"abs_stepsize": step_size / 255} if step_size else {"rel_stepsize": 2.5 / 7}
    attack = kinds[norm](steps=7, random_start=False, **said)
    made, accuracies = theirs(foolbox, network, images, truth, attack, sizes)
    for size, other in zip(sizes, made, strict=True):
        step = (step_size or 2.5 * size / 7) / 255
        own = projected_gradient(lambda x: network(x).logits, images, truth, size / 255, norm, 7, step)
        assert torch.allclose(own, other, rtol=0, atol=1e-6)
    metric = Adversarial(attack="pgd", norm=norm, epsilons=sizes, steps=7, step_size=step_size, random_start=False)
    found = metric.measure(Counted(network), data, END)
    name = "test_pgd" if norm == "linf" else "test_pgd_l2"
    assert [found[f"{name}_{size}"] for size in sizes] == pytest.approx(accuracies, abs=1e-6)
    assert found[name][str(sizes[-1])]["accuracy"] < found[name]["0"]["accuracy"] - 0.2


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_from_the_same_random_point_is_foolboxs(foolbox, network, data, norm, monkeypatch):
    images, truth = floats(data)
    start = torch.from_numpy(
        np.stack([point_in_ball(np.random.default_rng(i), (3, 8, 8), norm) for i in range(len(truth))])
    )
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    monkeypatch.setattr(kind, "get_random_start", lambda self, x0, epsilon: x0 + epsilon * type(x0)(start))
    made, _ = theirs(foolbox, network, images, truth, kind(steps=5, rel_stepsize=0.5), [32])
    own = projected_gradient(lambda x: network(x).logits, images, truth, 32 / 255, norm, 5, 16 / 255, start)
    assert torch.allclose(own, made[0], rtol=0, atol=1e-6)
    still = projected_gradient(lambda x: network(x).logits, images, truth, 32 / 255, norm, 5, 16 / 255)
    assert not torch.allclose(own, still, rtol=0, atol=1e-4)


# By hand ----------------------------------------------------------------------------------------------------------


class Brightness(nn.Module):
    """Two classes by the mean of all pixels: logits (mean - 1/2, 1/2 - mean), as steep as asked."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, images: Tensor) -> Tensor:
        bright = self.scale * (images.flatten(1).mean(1) - 0.5)
        return torch.stack([bright, -bright], 1)


def of_greys(greys: list[int], truth: list[int]) -> Data:
    pixels = np.array(greys, np.uint8)[:, None, None, None] * np.ones((1, SIZE, SIZE, 3), np.uint8)
    test = Images([str(i) for i in range(len(greys))], lambda rows: list(pixels[rows]), np.array(truth))
    return Data(("bright", "dark"), labeled=test, test=test)


def wrapped(model: nn.Module) -> Network:
    return Network(model, [0.0] * 3, [1.0] * 3, SIZE, 2)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_a_linear_models_curve_is_the_share_of_images_farther_from_its_border(attack):
    """Evenly grey images of class bright at 127.5 + d fall at epsilon > d, all pixels darker by epsilon."""
    data = of_greys([129, 131, 135, 150, 250, 120, 5], [0, 0, 0, 0, 0, 1, 0])
    found = Adversarial(attack=attack, epsilons=[1, 2, 5, 16]).measure(Counted(wrapped(Brightness())), data, END)
    curve = {size: row["accuracy"] for size, row in found[f"test_{attack}"].items()}
    assert curve == {size: right / 7 for size, right in {"0": 6, "1": 6, "2": 5, "5": 4, "16": 2}.items()}
    assert found[f"test_{attack}_16"] == 2 / 7 and f"test_{attack}_0" not in found


def test_a_linear_models_curve_in_the_euclidean_ball():
    """All n pixels darker by epsilon / sqrt(n): 192 numbers of 8 by 8 by 3."""
    data = of_greys([129, 131, 150], [0, 0, 0])
    found = Adversarial(norm="l2", epsilons=[20, 40, 400]).measure(Counted(wrapped(Brightness())), data, END)
    assert [found[f"test_fgsm_l2_{size}"] for size in (20, 40, 400)] == [1, 2 / 3, 0]  # 1.44, 2.9 and 28.9 a pixel


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("start", [False, True])
def test_changed_images_stay_in_the_ball_and_in_the_range(network, data, norm, start):
    images, truth = floats(data)
    images[:20] = images[:20].round()  # black and white lie at the edge of the range
    points = torch.stack(
        [torch.from_numpy(point_in_ball(np.random.default_rng(i), (3, 8, 8), norm)) for i in range(len(truth))]
    )
    answer, epsilon = lambda x: network(x).logits, 24 / 255
    made = [
        projected_gradient(answer, images, truth, epsilon, norm, 4, epsilon, points if start else None),
        fast_gradient(images, gradient_of(answer, images, truth), epsilon, norm),
    ]
    for one in made:
        change = (one - images).flatten(1)
        size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
        assert size.max() <= epsilon + 1e-6 and one.min() >= 0 and one.max() <= 1
        assert size[20:].min() > 0.9 * epsilon


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_fill_the_ball_evenly(norm):
    """In 3 dimensions half of a ball's volume lies within 0.5 ** (1 / 3) of its centre."""
    points = np.stack([point_in_ball(np.random.default_rng(i), (3, 1, 1), norm).ravel() for i in range(2000)])
    size = np.abs(points).max(1) if norm == "linf" else np.linalg.norm(points, axis=1)
    assert size.max() <= 1 and (size < 0.5 ** (1 / 3)).mean() == pytest.approx(0.5, abs=0.04)
    assert np.abs(points.mean(0)).max() < 0.05


def test_a_sure_models_tiny_gradient_has_a_direction_of_length_1():
    gradient = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 1e-30
    for norm, size in (("linf", 75**0.5), ("l2", 1.0)):
        torch.testing.assert_close(direction_of(gradient, norm).flatten(1).norm(dim=1), torch.full((4,), size))
    assert not direction_of(torch.zeros(1, 3, 2, 2), "l2").any()
    clean = torch.full((1, 3, 2, 2), 0.5)
    assert torch.equal(within(clean, clean, 0.0, "l2"), clean)


# What is answered -------------------------------------------------------------------------------------------------


def test_epsilon_0_is_the_accuracy_of_clean_images(network, data):
    known = torch.as_tensor(data.test.truth >= 0)
    right = Counted(network)(data.test).argmax(1) == torch.as_tensor(data.test.truth)
    found = Adversarial(epsilons=[0, 255]).measure(Counted(network), data, END)
    assert found["test_fgsm_0"] == found["test_fgsm"]["0"]["accuracy"] == right[known].double().mean().item()
    assert (
        found["test_fgsm"].keys() == {"0", "255"} and 0.8 < found["test_fgsm_0"] < 1 and "test_fgsm_note" not in found
    )


def test_what_decides_is_what_is_attacked(network, data):
    """A head that is evaluated may go another way than the classifier."""
    other = Counted(network, decide=lambda outputs: outputs.logits.flip(1))
    flipped = replace(data, test=replace(data.test, truth=np.where(data.test.truth < 0, -1, 2 - data.test.truth)))
    metric = Adversarial(epsilons=[8])
    assert metric.measure(other, flipped, END) == metric.measure(Counted(network), data, END)


def test_random_starts_are_of_the_image_and_the_run_alone(network, data):
    """Whatever the batch: and another seed begins elsewhere."""
    seen: dict[int, list[Tensor]] = {}

    def starts(rows: int, batch: int, seed: int) -> Tensor:
        seen.clear()
        metric = Adversarial(attack="pgd", epsilons=[8], steps=1, step_size=8, batch=batch)
        metric.measure(Seeing(network, rows), data, replace(END, seed=seed))
        return torch.cat(seen[rows][1::2])  # behind the clean images of each piece

    class Seeing(Counted):
        def logits(self, images: Tensor) -> Tensor:
            if images.requires_grad:
                seen.setdefault(self.rows, []).append(images.detach())
            return super().logits(images)

    first = starts(32, 128, 3)
    assert torch.equal(first, starts(100, 7, 3)) and len(seen[100]) == 2 * 13
    assert len(first) == (data.test.truth >= 0).sum() and not torch.equal(first, starts(32, 128, 4))


def test_nothing_is_measured_in_training_or_without_known_classes(network, data):
    metric = Adversarial()
    assert metric.measure(Counted(network), data, replace(END, step=4)) == {}
    assert metric.measure(Counted(network), replace(data, test=None), END) == {}
    unknown = replace(data.test, truth=np.full(100, -1))
    assert metric.measure(Counted(network), replace(data, test=unknown), END) == {}


def test_some_images_are_at_equal_distances_and_it_is_said(network, data):
    read = []

    def reading(rows):
        read.extend(rows.tolist())
        return data.test.read(rows)

    known = np.flatnonzero(data.test.truth >= 0)
    some = replace(data, test=replace(data.test, read=reading))
    found = Adversarial(images=10).measure(Counted(network), some, END)
    assert read == known[np.arange(10) * len(known) // 10].tolist() and {found["test_fgsm_8"] * 10 % 1} == {0.0}
    assert found["test_fgsm_note"] == f"fgsm: of 10 of the {len(known)} test images of known class, at equal distances"
    whole = Adversarial(images=1000).measure(Counted(network), data, END)
    assert whole == Adversarial().measure(Counted(network), data, END)


def test_images_without_a_slope_are_counted(network, data):
    """A model that is sure beyond float32: the attack leaves the image, and nobody should call that robust."""
    greys = of_greys([10, 120, 200, 250], [1, 1, 0, 0])
    found = Adversarial(epsilons=[16]).measure(Counted(wrapped(Brightness(500.0))), greys, END)
    assert found["test_fgsm_note"].startswith("fgsm: the loss of 3 of 4 images has a gradient of 0")
    assert found["test_fgsm_16"] == 3 / 4


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_a_name_of_its_own_tells_two_attacks_of_a_kind_apart(network, data, attack):
    metric = Adversarial(attack=attack, epsilons=[8, 16], images=10)
    plain = metric.measure(Counted(network), data, replace(END, plugin=attack))
    assert set(plain) == {f"test_{attack}{end}" for end in ("", "_8", "_16", "_note")}
    named = metric.measure(Counted(network), data, replace(END, plugin="stronger"))
    assert set(named) == {f"test_stronger{end}" for end in ("", "_8", "_16", "_note")}
    assert named["test_stronger"]["0"] == plain[f"test_{attack}"]["0"]
    assert named["test_stronger_note"].startswith("stronger: of 10 of the")


def test_attacks_without_a_name_answer_by_attack_and_norm(network, data):
    for metric, name in ((Adversarial(attack="pgd", norm="l2", steps=1), "test_pgd_l2"), (Adversarial(), "test_fgsm")):
        assert set(metric.measure(Counted(network), data, END)) == {name, *(f"{name}_{size}" for size in (2, 4, 8, 16))}


@pytest.mark.parametrize("name", ["robustness", "robustness_small"])
def test_shipped_sets_answer_by_attack(name, network, data):
    entries = parts_of(load("noisy_student"), sets=[name]).metrics
    attacks = [entry for entry in entries if isinstance(entry.plugin, Adversarial)]
    found: dict[str, object] = {}
    for entry in attacks:
        found |= entry.plugin.measure(Counted(network), data, replace(END, plugin=entry.name))
    assert {"test_fgsm", "test_fgsm_8", "test_pgd", "test_pgd_16"} <= set(found) and len(attacks) == 2


# Streaming, and what is left behind -------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_memory_does_not_grow_with_the_split(network, data, attack):
    read = []

    def reading(rows):
        read.append(len(rows))
        return data.test.read(rows % 100)

    many = Images([str(i) for i in range(1000)], reading, np.tile(data.test.truth, 10))
    model = Counted(network, rows=64)
    Adversarial(attack=attack, epsilons=[8], batch=24).measure(model, replace(data, test=many), END)
    assert max(read) <= 64 and max(model.asked[False]) == 64 and model._known == {}
    assert max(model.asked[True]) == 24 and sum(model.asked[True]) == (many.truth >= 0).sum() * (
        1 + 10 * (attack == "pgd")
    )


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_nothing_is_left_behind(data, attack):
    """No gradients on weights, no statistics, no modes, no draws; frozen weights stay frozen, others do not become so."""
    network = convolutional()
    next(network.parameters()).requires_grad_(False)
    model = Counted(network)
    model(data.test)
    before = deepcopy(network.state_dict())
    modes = [(module.training, getattr(module, "track_running_stats", None)) for module in network.modules()]
    learn = [weight.requires_grad for weight in network.parameters()]
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())
    Adversarial(attack=attack, epsilons=[8]).measure(model, data, END)
    assert all(weight.grad is None for weight in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert modes == [(module.training, getattr(module, "track_running_stats", None)) for module in network.modules()]
    assert learn == [weight.requires_grad for weight in network.parameters()] and torch.is_grad_enabled()
    assert torch.equal(states[0], torch.get_rng_state()) and states[1:] == (
        random.getstate(),
        str(np.random.get_state()),
    )


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_attacks_are_the_same_again_under_deterministic_algorithms_and_without_gradients_around(network, data, attack):
    metric = Adversarial(attack=attack, epsilons=[8])
    plain = metric.measure(Counted(network), data, END)
    with determinism(True), torch.no_grad():
        assert metric.measure(Counted(network), data, END) == plain


# Refusals ---------------------------------------------------------------------------------------------------------


class Unlearned(nn.Module):
    """Answers of weights that learn, from images that were cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Brightness()

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images.detach())


class Closed(Unlearned):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)


@pytest.mark.parametrize("model", [Unlearned(), Closed()])
def test_a_model_without_gradient_is_refused(model):
    data = of_greys([10, 200], [1, 0])
    with pytest.raises(PluginError) as caught:
        Adversarial().measure(Counted(wrapped(model)), data, END)
    assert str(caught.value).startswith(
        "[[metric]] adversarial: an attack on a model without gradient: its logits do not depend"
    )
    assert "enabled = false" in str(caught.value)
    with pytest.raises(NoGradient):
        gradient_of(model, torch.zeros(1, 3, 2, 2), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epsilons": [0.031]}, "0.031 looks like a share of that range: write epsilons = [8]"),
        ({"epsilons": [0, 0.0078, 0.0157, 16]}, "0.0078 and 0.0157 look like shares of that range: write epsilons = [0, 2, 4, 16]"),
        ({"epsilons": [0.001]}, "write epsilons = [1]"),
        ({"norm": "l2", "epsilons": [0.5]}, "write epsilons = [128]"),
        ({"epsilons": [2, 8, 2]}, "says one twice"),
        ({"epsilons": [2040]}, "2040 is more than the 255 from black to white"),
        ({"norm": "l2", "epsilons": [float("inf")]}, "are finite"),
        ({"steps": 20}, "are of pgd"),
        ({"random_start": False}, 'set attack = "pgd"'),
        ({"attack": "pgd", "step_size": 0.00784}, "10 steps of 0.00784/255 do not reach the edge at epsilon 16"),
    ],
)  # fmt: skip
def test_settings_that_nothing_would_come_of_are_explained(fields, said):
    with pytest.raises(ValueError, match=r"epsilons|pgd|step_size") as caught:
        Adversarial(**fields)
    assert said in str(caught.value)


def test_a_recipe_is_told_the_unit(tmp_path):
    path = tmp_path / "attacked.toml"
    path.write_text('extends = "noisy_student"\n\n[[metric]]\nuse = "adversarial"\nepsilons = [0.031, 0.062]\n')
    with pytest.raises(RecipeError) as caught:
        load(path)
    said = str(caught.value)
    assert f"{path}" in said and "[[metric]] adversarial: `epsilons` counts steps of 1/255" in said
    assert (
        "0.031 and 0.062 look like shares of that range: write epsilons = [8, 16]" in said and "Traceback" not in said
    )


@pytest.mark.parametrize(
    "fields", [{}, {"attack": "pgd", "steps": 2}, {"attack": "pgd", "norm": "l2", "epsilons": [64]}]
)
def test_attacks_keep_a_plugins_promises(fields):
    check_plugin(Adversarial, **fields)
