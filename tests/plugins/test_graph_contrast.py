"""CoMatch's graph of pseudo-labels, and CRMatch's distance between features."""

import math
from dataclasses import replace

import pytest
import torch
from banks import Answers, facts, probabilities, rows, step
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit.errors import RecipeError
from sslkit_plugins import room
from sslkit_plugins.loss.feature_distance import FeatureDistance, closeness
from sslkit_plugins.loss.graph_contrast import GraphContrast, contrast, label_graph
from sslkit_plugins.room import require_room


def with_features(count: int) -> nn.Module:
    """A model that says how wide its features are, as timm's do."""
    model = nn.Module()
    model.num_features = count  # type: ignore[assignment]
    return model


# The graph ------------------------------------------------------------------------------------------------------------


def test_the_graph_by_hand() -> None:
    probs = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]], dtype=torch.float64)
    # 0 and 1: 0.9; 1 and 2: 0.18; 0.5 to the last: only the first pair is joined; 1 and 1 would be 0.82 but is 1.
    expected = [[1 / 1.9, 0.9 / 1.9, 0, 0], [0.9 / 1.9, 1 / 1.9, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(label_graph(probs, 0.8), torch.tensor(expected, dtype=torch.float64))


def test_an_edge_at_the_threshold_stays() -> None:
    probs = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    assert label_graph(probs, 0.5).tolist() == [[2 / 3, 1 / 3], [1 / 3, 2 / 3]]


@given(st.integers(1, 9), st.integers(2, 5), st.floats(0, 1), st.integers(0, 999))
def test_rows_of_the_graph_sum_to_one_and_follow_the_batch(count: int, classes: int, bar: float, seed: int) -> None:
    probs = probabilities(count, classes, seed)
    graph, order = label_graph(probs, bar), torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(graph.sum(1), torch.ones(count, dtype=torch.float64))
    assert bool((graph >= 0).all()) and bool((graph.diagonal() > 0).all())
    torch.testing.assert_close(label_graph(probs[order], bar), graph[order][:, order])


def test_contrast_by_hand() -> None:
    """- sum over j of W_ij log (exp(z_i z'_j / t) / sum of them)."""
    one, other, graph = rows(3, 4, 0), rows(3, 4, 1), label_graph(probabilities(3, 2, 2), 0.3)
    for i in range(3):
        powers = [math.exp(float(one[i] @ other[j]) / 0.2) for j in range(3)]
        expected = -sum(float(graph[i, j]) * math.log(powers[j] / sum(powers)) for j in range(3))
        assert contrast(one, other, graph, 0.2)[i].item() == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 8), st.floats(0.05, 5), st.integers(0, 999))
def test_contrast_of_a_shuffled_batch_is_shuffled(count: int, temperature: float, seed: int) -> None:
    one, other, graph = rows(count, 3, seed), rows(count, 3, seed + 1), label_graph(probabilities(count, 3, seed), 0.5)
    order = torch.arange(count).flip(0)
    made = contrast(one, other, graph, temperature)
    shuffled = contrast(one[order], other[order], graph[order][:, order], temperature)
    torch.testing.assert_close(shuffled, made[order])


def test_the_temperature_is_not_ignored() -> None:
    one, other, graph = rows(3, 4, 0), rows(3, 4, 1), torch.eye(3, dtype=torch.float64)
    assert not torch.allclose(contrast(one, other, graph, 0.1), contrast(one, other, graph, 0.2))


def test_the_graph_gets_no_gradient_and_both_views_do() -> None:
    probs = probabilities(4, 3, 0).requires_grad_()
    one, other = rows(4, 5, 1).requires_grad_(), rows(4, 5, 2).requires_grad_()
    graph = label_graph(probs, 0.2)
    assert not graph.requires_grad
    contrast(one, other, graph, 0.2).sum().backward()
    assert probs.grad is None
    assert one.grad is not None and bool(one.grad.any())
    assert other.grad is not None and bool(other.grad.any())


def test_graph_contrast_is_a_mean_over_all_rows_filtered_ones_too() -> None:
    probs, views = probabilities(3, 3, 4), {"strong": rows(3, 4, 5), "contrast": rows(3, 4, 6)}
    forward, made = Answers("projection", views), step(probs, [0], [0], weight=torch.tensor([1.0, 0.0, 0.0]))
    term = GraphContrast(weight=0.5).loss(made, forward, ("strong", "contrast"))
    expected = contrast(views["strong"], views["contrast"], label_graph(probs, 0.8), 0.2).sum() / 3
    torch.testing.assert_close(term.value, expected)
    assert term.weight == 0.5 and forward.asked == ["strong", "contrast"]


@pytest.mark.parametrize("on", [("strong",), ("strong", "labeled"), ("weak", "strong", "contrast")])
@pytest.mark.parametrize("plugin", [GraphContrast(), FeatureDistance()])
def test_two_views_of_the_same_images(plugin: GraphContrast | FeatureDistance, on: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="it compares two views of the same images"):
        plugin.loss(step(probabilities(3, 3, 0), [0], [0]), Answers("", {}), on)


def test_a_head_that_is_not_there() -> None:
    made = step(probabilities(3, 3, 0), [0], [0])
    forward = Answers("other", {"strong": rows(3, 4, 0), "contrast": rows(3, 4, 1)})
    with pytest.raises(RecipeError, match=r'`head = "projection"`, but the model has no such head \(it has `other`\)'):
        GraphContrast().loss(made, forward, ("strong", "contrast"))


def test_the_projection_has_a_hidden_layer_and_rows_of_length_1() -> None:
    heads = GraphContrast(width=6, head="own").extend_model(with_features(4))
    made = heads["own"](torch.randn(5, 4))
    assert list(heads) == ["own"] and made.shape == (5, 6)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(5))


# Matrices that do not fit -------------------------------------------------------------------------------------------


def test_a_graph_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph is N x N whatever K is: 1,000 classes take no more than 10."""
    monkeypatch.setattr(room, "memory_of", lambda device: 1_000_000)
    many = replace(facts(unlabeled=100), classes=tuple(map(str, range(1000))))
    GraphContrast().begin(many)
    with pytest.raises(RecipeError, match=r"graph_contrast: the graph of a batch's rows of 1,000 x 1,000 takes 16 MB"):
        GraphContrast().begin(facts(unlabeled=1000))


def test_room_is_asked_of_the_device() -> None:
    require_room("plugin", "it", 10, 10, torch.device("cpu"), "")
    require_room("plugin", "it", 10**9, 10**9, torch.device("meta"), "")  # nothing is computed there
    with pytest.raises(RecipeError, match=r"plugin: it of 10,000,000 x 10,000,000 takes .* and cpu has .*; do less"):
        require_room("plugin", "it", 10**7, 10**7, torch.device("cpu"), "do less")


# The distance between features ----------------------------------------------------------------------------------------


def test_closeness_by_hand() -> None:
    one = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    other = torch.tensor([[4.0, 3.0], [0.0, 2.0], [-1.0, 0.1], [5.0, 0.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    expected = torch.tensor([24 / 25, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(closeness(one, other, weight), expected)


def test_closeness_is_a_cosine_embedding_loss_of_unlike_pairs() -> None:
    one, other, apart = rows(6, 4, 0) * 3, rows(6, 4, 1), -torch.ones(6, dtype=torch.float64)
    expected = torch.nn.functional.cosine_embedding_loss(one, other, apart, reduction="none")
    torch.testing.assert_close(closeness(one, other, torch.ones(6, dtype=torch.float64)), expected)


@given(st.integers(1, 8), st.integers(0, 999))
def test_closeness_lies_between_0_and_the_weight(count: int, seed: int) -> None:
    one, other, weight = rows(count, 3, seed), rows(count, 3, seed + 1), probabilities(count, 2, seed)[:, 0]
    made, order = closeness(one, other, weight), torch.arange(count).flip(0)
    assert bool((made >= 0).all()) and bool((made <= weight + 1e-12).all())
    torch.testing.assert_close(closeness(one[order], other[order], weight[order]), made[order])


def test_going_down_it_pushes_features_apart_on_both_sides_and_not_weights() -> None:
    one, other = (torch.tensor(r, requires_grad=True) for r in ([[1.0, 0.2]], [[1.0, -0.1]]))
    weight = torch.ones(1, requires_grad=True)
    value = closeness(one, other, weight).sum()
    value.backward()
    assert one.grad is not None and other.grad is not None and weight.grad is None
    with torch.no_grad():
        further = closeness(one - 0.1 * one.grad, other - 0.1 * other.grad, weight).sum()
    assert further < value


def test_feature_distance_is_a_mean_over_all_rows_filtered_ones_too() -> None:
    weight = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    views: dict[str, Tensor] = {"strong": rows(3, 4, 1), "weak": rows(3, 4, 2)}
    made = step(probabilities(3, 3, 0), [0], [0], weight=weight)
    term = FeatureDistance(weight=2.0).loss(made, Answers("distance", views), ("strong", "weak"))
    cosine = (views["strong"] * views["weak"]).sum(1).clamp(min=0)
    torch.testing.assert_close(term.value, (cosine * weight).sum() / 3)
    assert term.weight == 2.0


@pytest.mark.parametrize(("width", "expected"), [(0, 5), (7, 7)])
def test_its_head_is_linear_and_as_wide_as_the_features_unless_told(width: int, expected: int) -> None:
    (head,) = FeatureDistance(width=width).extend_model(with_features(5)).values()
    assert isinstance(head, nn.Linear) and (head.in_features, head.out_features) == (5, expected)
