"""The most probable classes of a pool: what is kept, what it answers, and what it says it cannot."""

import operator

import pytest
import torch

from sslkit import hookimpl
from sslkit.errors import MostProbableOnly, PluginError
from sslkit.hooks import Hooks
from sslkit.pool import TopK, most_probable
from sslkit.recipe.model import Entry
from sslkit.store import Filling, flat
from sslkit.types import Progress, Targets

N, K = 50, 12


def probs(rows=N, classes=K, seed=0, sharp=2.0):
    logits = torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    return (sharp * logits).softmax(1)


@pytest.mark.parametrize(
    ("classes", "top", "kept"), [(64, 32, None), (65, 32, 32), (1000, 0, None), (3, 1, 1), (2, 1, None)]
)
def test_from_how_many_classes_on(classes, top, kept):
    assert most_probable(classes, top) == kept


def test_the_most_probable_stay_as_they_are_and_the_others_share_the_remainder():
    dense = probs()
    made = TopK.of(dense, 4)
    back = made.dense()
    top = dense.topk(4, 1)
    assert made.classes.dtype == torch.int16 and made.shape == (N, K) and len(made) == N and not made.requires_grad
    assert torch.equal(back.gather(1, top.indices), top.values)
    torch.testing.assert_close(back.sum(1), torch.ones(N))
    others = torch.ones(N, K, dtype=torch.bool).scatter(1, top.indices, False)
    rest = back[others].view(N, K - 4)
    assert torch.equal(rest, rest[:, :1].expand_as(rest))
    torch.testing.assert_close(rest.sum(1), dense[others].view(N, -1).sum(1))


def test_it_answers_as_its_rows_do():
    dense = probs()
    made = TopK.of(dense, 3)
    assert torch.equal(made.argmax(1), dense.argmax(1)) and torch.equal(made.amax(1), dense.amax(1))
    assert made.argmax(1).dtype == torch.int64
    back = made.dense()
    rows = torch.tensor([7, 0, 7])
    assert torch.equal(made[rows], back[rows]) and torch.equal(made[5:9], back[5:9]) and torch.equal(made[3], back[3])
    assert torch.equal(torch.cat(list(made.split(7))), back)
    torch.testing.assert_close(made.mean(0), back.mean(0))
    assert repr(made) == "TopK(50 rows, 3 of 12 classes)"


@pytest.mark.parametrize("row", [[1 / 7] * 7, [0.0, 0, 1, 0, 0, 0, 0], [0.3, 0.1, 0.3, 0.1, 0.1, 0.05, 0.05]])
def test_ties_certainty_and_evenness(row):
    """One-hot rows come back as they were; of equals the lowest class is the label; nothing passes the last one kept."""
    dense = torch.tensor([row])
    made = TopK.of(dense, 3)
    back = made.dense()
    assert back.argmax(1) == made.argmax(1) and back.amax() == made.amax(1)
    torch.testing.assert_close(back, dense, atol=0.051, rtol=0)
    if max(row) == 1:
        assert torch.equal(back, dense)


def test_what_is_no_number_stays_so():
    dense = probs(3)
    dense[1] = torch.nan
    back = TopK.of(dense, 4).dense()
    assert back[1].isnan().all() and not back[[0, 2]].isnan().any()


def test_more_classes_than_16_bits_count():
    made = TopK.of(torch.eye(40_000)[39_990:], 2)
    assert made.classes.dtype == torch.int32 and made.argmax(1).tolist() == list(range(39_990, 40_000))


def test_what_is_changed_row_by_row_is_changed_in_chunks(monkeypatch):
    made = TopK.of(probs(), 4)
    expected = TopK.of(made.dense().square(), 4).dense()
    monkeypatch.setattr("sslkit.pool.CHUNK", 7 * K)
    sizes = []
    squared = made.map(lambda rows: sizes.append(len(rows)) or rows.square())
    assert sizes == [7] * 7 + [1] and torch.equal(squared.dense(), expected)


ASKED = {
    "cat": lambda p: torch.cat([p, p]),
    "log": lambda p: p.log(),
    "softmax": lambda p: torch.softmax(p, 1),
    "sort": lambda p: p.sort(1),
    "mul": lambda p: p * 2,
    "rmul": lambda p: 2 * p,
    "ge": lambda p: p >= 0.5,
    "eq": lambda p: p == 0.5,
    "pow": lambda p: p**2,
    "equal": lambda p: torch.equal(torch.rand(N, K), p),
    "matmul": lambda p: p @ torch.rand(K, 2),
    "T": operator.attrgetter("T"),
    "mean(1)": lambda p: p.mean(1),
    "argmax(0)": lambda p: p.argmax(0),
    "setitem": lambda p: p.__setitem__(0, 1.0),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_would_need_all_of_it_says_what_to_do(name):
    with pytest.raises(MostProbableOnly) as caught:
        ASKED[name](TopK.of(probs(), 3))
    said = str(caught.value)
    assert f"`{name}`" in said
    assert all(way in said for way in ("`label_top = 0`", "targets.rows(index)", "targets.mapped(function)"))


def test_what_no_tensor_has_either():
    assert not hasattr(TopK.of(probs(), 3), "nonsense")


class Doubles:
    """A labeler of somebody else's, that knows nothing of this."""

    @hookimpl
    def refine(self, targets):
        return Targets(targets.index, targets.raw, targets.probs * 2, targets.weight, targets.copies)


def test_a_plugin_that_cannot_is_named():
    hooks = Hooks([Entry("labeler", "doubles", "doubles", Doubles())])
    pool = Targets.of(torch.arange(N), torch.rand(N, K))
    pool.probs = pool.raw = TopK.of(probs(), 3)
    with pytest.raises(
        PluginError, match=r"\[labeler\] doubles: hook `refine` cannot .* `mul` needs all .*label_top = 0"
    ):
        hooks.refine("pool", pool, None, None, Progress(0))


# Filling ----------------------------------------------------------------------------------------------------------


def parts(apart=()):
    """Three chunks; of those in `apart`, `probs` are no longer `raw`."""
    for number in range(3):
        part = Targets.of(torch.arange(5 * number, 5 * number + 5), probs(5, seed=number))
        if number in apart:
            part = part.mapped(torch.square)
        yield part


@pytest.mark.parametrize("top", [None, 3])
@pytest.mark.parametrize("apart", [(), (0, 1, 2), (1,), (2,), (0,)])
def test_a_pool_is_filled_chunk_by_chunk(apart, top):
    filling = Filling(15, top)
    for part in parts(apart):
        filling.add(part)
    made, whole = filling.targets(), list(parts(apart))
    for name in Targets.columns:
        expected = torch.cat([getattr(part, name) for part in whole])
        if top and name in ("raw", "probs"):
            expected = TopK.of(expected, top).dense()
        assert torch.equal(getattr(made, name)[:], expected)
    assert (made.probs is made.raw) == (not apart)
    assert torch.equal(made.label, torch.cat([part.label for part in whole]))


def test_columns_of_a_pool_that_was_refined_by_parts_of_both_kinds():
    """Somebody's plugin may answer dense probabilities where the raw ones are the most probable."""
    pool = Targets.of(torch.arange(N), probs())
    pool.raw = TopK.of(pool.raw, 2)
    assert flat(pool, None).keys() == {
        "index", "raw.classes", "raw.values", "raw.rest", "probs", "weight", "copies",
    }  # fmt: skip
