"""A model as metrics see it: whole splits, pieces of them, and images that a metric has changed."""

import numpy as np
import pytest
import torch

from sslkit import Images, ViewSpec
from sslkit.classifier import NetworkClassifier
from sslkit.loader import ViewMaker
from sslkit.testing.world import SIZE, TinyClassifier, World, tiny_network

SPLIT = World().images("test", np.arange(20) % 3)


def classifier(rows: int = 8) -> NetworkClassifier:
    """Decides by the logits the other way round, as a head of its own might."""
    view = ViewMaker(ViewSpec("clean", "evaluation", SIZE, 3), seed=0, generation=0)
    return NetworkClassifier(tiny_network(1), lambda outputs: -outputs.logits, view, torch.device("cpu"), rows)


@pytest.fixture(params=[classifier, lambda: TinyClassifier(tiny_network(1))], ids=["engine", "testing"])
def model(request):
    return request.param()


def test_the_pieces_of_a_split_are_answered_as_the_whole_is(model):
    pieces = list(model.batches(SPLIT))
    assert [len(position) for position, _ in pieces] == [8, 8, 4]
    assert torch.equal(torch.cat([position for position, _ in pieces]), torch.arange(20))
    assert {tuple(made.shape[1:]) for _, made in pieces} == {(SIZE, SIZE, 3)} and pieces[0][1].dtype == torch.uint8
    assert torch.equal(torch.cat([model.answer(made) for _, made in pieces]), model(SPLIT))


def test_pieces_are_of_the_positions_that_are_asked_for(model):
    wanted = np.array([19, 3, 4, 11, 0, 1, 2, 5, 6])
    pieces = list(model.batches(SPLIT, wanted))
    assert np.concatenate([position for position, _ in pieces]).tolist() == wanted.tolist()
    assert np.array_equal(np.concatenate([made for _, made in pieces]), np.stack(SPLIT.read(wanted)))
    assert list(model.batches(SPLIT, wanted[:0])) == []


def test_logits_are_those_that_decide_and_have_a_gradient_by_the_images(model):
    _, made = next(iter(model.batches(SPLIT)))
    floats = (made.permute(0, 3, 1, 2).float() / 255).to(model.device).requires_grad_()
    logits = model.logits(floats)
    assert torch.equal(logits.detach().softmax(1), model.answer(made))
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), floats)
    assert gradient.flatten(1).any(1).all()


def test_a_split_is_read_piece_by_piece():
    """Two pieces are in memory at most: the one that is asked about, and the next."""
    read = []

    def reading(positions):
        read.append(len(positions))
        return SPLIT.read(positions)

    pieces = classifier(rows=4).batches(Images(SPLIT.ids, reading, SPLIT.truth))
    next(pieces)
    assert sum(read) <= 8
    pieces.close()
