"""Contrast by a graph of pseudo-labels: images of one class are near each other, all others are apart."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Interval, Unit
from torch import Tensor, nn
from torch.nn import functional

from sslkit import Facts, Forward, LossTerm, Step, global_mean, hookimpl

from ..heads import Projection, embeddings, feature_width
from ..room import require_room
from ..views import batch_of_views

NAME = "[[loss]] graph_contrast"


def label_graph(probs: Tensor, threshold: float) -> Tensor:
    """The pseudo-label graph, without a gradient: (N, K) -> (N, N), its rows sum to one.

    An edge is the scalar product of two rows' probabilities, 1 from a row to itself; edges below the threshold are
    taken out (Li et al. 2021, CoMatch, sec. 3, "pseudo-label graph"), and what is left of a row is divided by its sum.
    """
    probs = probs.detach()
    graph = (probs @ probs.T).fill_diagonal_(1)
    graph = graph * (graph >= threshold)
    return graph / graph.sum(1, keepdim=True)


def contrast(one: Tensor, other: Tensor, graph: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of each row's edges and its softmax similarities to another view: (N, D), (N, D), (N, N) -> (N,).

    Li et al. 2021, sec. 3, "contrastive loss": the graph receives no gradient; both embeddings do.
    """
    return functional.cross_entropy(one @ other.T / temperature, graph.detach(), reduction="none")


@dataclass(eq=False, kw_only=True)
class GraphContrast:
    """Let embeddings of two strong views be as similar as the pseudo-labels of their images are.

    Li, Xiong & Hoi 2021 (CoMatch, arXiv 2011.11183), sec. 3. `on` names two views of one stream; the graph is of the
    step's soft pseudo-labels, those included that a filter left out. Raises `RecipeError` for another number of views,
    and where the graph of a batch does not fit in memory.
    """

    weight: float = 1.0
    "Weight of the term in the objective; may be negative."
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.8
    "Smallest similarity of pseudo-labels that joins two images."
    temperature: Annotated[float, Interval(ge=0.01, le=100)] = 0.2
    "t: smaller tells near embeddings apart more sharply."
    head: str = "projection"
    "Name of the head that this plugin puts on the model; others may read it."
    width: Annotated[int, Ge(1), Unit("dimensions")] = 64
    "Length of an embedding."

    @hookimpl
    def begin(self, facts: Facts) -> None:
        """Refuse a graph that cannot fit."""
        rows = max(facts.batch.values())
        require_room(NAME, "the graph of a batch's rows", rows, rows, facts.device, "make `batch.unlabeled` smaller")

    @hookimpl
    def extend_model(self, student: nn.Module) -> dict[str, nn.Module]:
        """The head: a perceptron with one hidden layer, its answers of length 1."""
        return {self.head: Projection(feature_width(student), self.width)}

    @hookimpl
    def loss(self, step: Step, forward: Forward, on: tuple[str, ...]) -> LossTerm:
        """One term over all rows."""
        takes = 'it compares two views of the same images, such as on = ["strong_a", "strong_b"]'
        targets = batch_of_views(NAME, step, on, takes, exactly=2).targets_of(on[0])
        graph = label_graph(targets.probs, self.threshold)
        one, other = (embeddings(forward(view), self.head, NAME) for view in on)
        return LossTerm(global_mean(contrast(one, other, graph, self.temperature)), self.weight)
