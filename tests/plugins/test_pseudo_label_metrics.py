"""What stored pseudo-labels are worth: counted by hand, and the same numbers as elsewhere, for pools of any size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sslkit import OUTSIDE, UNKNOWN, Data, Images, Progress, Targets
from sslkit.labels import labels_report
from sslkit.pool import TopK
from sslkit_plugins.metric.judging import pseudo_label_numbers
from sslkit_plugins.metric.pseudo_labels import PseudoLabels

END = Progress(0, step=9, steps=9)


def images(name, truth):
    return Images([f"{name}/{i}" for i in range(len(truth))], lambda rows: [], np.array(truth))


def pool(truth, labeled=("labeled/0",)):
    return Data(
        ("a", "b", "c"), Images(list(labeled), lambda rows: [], np.zeros(len(labeled), np.int64)),
        unlabeled=images("unlabeled", truth),
    )  # fmt: skip


def six():
    """Six images labeled a, a, b, b, c, c; the teacher was sure by 0.9, 0.39, 0.59, 0.5, 0.9, 0.39; two are filtered out."""
    sure, label = torch.tensor([0.9, 0.39, 0.59, 0.5, 0.9, 0.39]), torch.tensor([0, 0, 1, 1, 2, 2])
    raw = ((1 - sure) / 2)[:, None].repeat(1, 3).scatter(1, label[:, None], sure[:, None])
    made = Targets.of(torch.arange(6), raw)
    weight, copies = torch.tensor([1.0, 0, 1, 1, 0.5, 1]), torch.tensor([2.5, 1, 1, 0, 1, 0.5])
    return replace(made, probs=torch.eye(3)[label], weight=weight, copies=copies)


def test_pseudo_labels_by_hand():
    """Kept: 0, 2, 4, 5. Right of these: 0 and 4; 5 is of none of the classes."""
    made = PseudoLabels(bins=5).measure(pool([0, 0, 0, 1, 2, OUTSIDE]), six(), END)
    assert made == {
        "pseudo_label_coverage": 4 / 6,
        "pseudo_label_precision": 2 / 3,
        "pseudo_label_outside": 1,
        "pseudo_label_outside_kept_share": 1,
        "pseudo_label_per_class": {
            "a": {"predicted": 2, "kept": 1, "draws": 2, "precision": 1, "images": 3, "outside_kept": 0},
            "b": {"predicted": 2, "kept": 1, "draws": 1, "precision": 0, "images": 1, "outside_kept": 0},
            "c": {"predicted": 2, "kept": 2, "draws": 2, "precision": 1, "images": 1, "outside_kept": 1},
        },
        "pseudo_label_confidence": {
            "0.20": dict(zip(COLUMNS, (0, 0, 0, 0, 0, 0), strict=True)),
            "0.40": dict(zip(COLUMNS, (2, 1, 0, 0, 1, 1), strict=True)),
            "0.60": dict(zip(COLUMNS, (2, 1, 1, 0, 0, 0), strict=True)),
            "0.80": dict(zip(COLUMNS, (0, 0, 0, 0, 0, 0), strict=True)),
            "1.00": dict(zip(COLUMNS, (2, 2, 2, 2, 0, 0), strict=True)),
        },
    }


COLUMNS = ("images", "kept", "judged", "right", "outside", "outside_kept")


def test_without_known_truth_there_is_no_precision():
    made = PseudoLabels(bins=2).measure(pool([UNKNOWN] * 6), six(), END)
    assert made.keys() == {"pseudo_label_coverage", "pseudo_label_per_class", "pseudo_label_confidence"}
    assert made["pseudo_label_per_class"]["a"] == {"predicted": 2, "kept": 1, "draws": 2}
    assert made["pseudo_label_confidence"]["1.00"] == {"images": 3, "kept": 3}


def test_images_that_are_labeled_too_are_not_judged():
    data = pool([0, 0, 0, 1, 2, 2], labeled=["unlabeled/2"])
    made = PseudoLabels().measure(data, six(), END)
    assert made["pseudo_label_precision"] == 1 and made["pseudo_label_per_class"]["b"]["precision"] is None


def test_nothing_kept_is_no_precision():
    made = PseudoLabels().measure(pool([0] * 6), replace(six(), weight=torch.zeros(6)), END)
    assert made["pseudo_label_coverage"] == 0 and "pseudo_label_precision" not in made


def test_it_speaks_at_the_end_of_a_generation_that_has_labels():
    data = pool([0] * 6)
    assert PseudoLabels().measure(data, None, END) == {}
    assert PseudoLabels().measure(replace(data, unlabeled=None), six(), END) == {}
    assert PseudoLabels().measure(data, six(), replace(END, step=8)) == {}


def many(rows, classes=6, seed=0):
    """A pool's labels, and its truth: some unknown, some of no class."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(rows, classes, generator=generator).mul(3).softmax(1)
    made = Targets.of(torch.randperm(rows, generator=generator), raw)
    copies = torch.rand(rows, generator=generator).mul(2).where(torch.rand(rows, generator=generator) > 0.3, 0.0)
    truth = torch.randint(OUTSIDE, classes, (rows,), generator=generator)
    return replace(made, copies=copies), truth


def test_its_numbers_are_those_of_accuracy_and_of_the_labels_event():
    stored, truth = many(500)
    stored = replace(stored, index=torch.arange(500))
    data = Data(tuple("abcdef"), images("labeled", [0]), unlabeled=images("unlabeled", truth.tolist()))
    made, told = PseudoLabels().measure(data, stored, END), labels_report(stored, data)
    plain = pseudo_label_numbers(stored, truth)
    assert made["pseudo_label_coverage"] == plain["kept_share"] == told["kept_share"]
    assert made["pseudo_label_precision"] == plain["pseudo_label_accuracy"] == told["pseudo_label_accuracy"]
    assert made["pseudo_label_outside"] == told["outside"]
    assert made["pseudo_label_outside_kept_share"] == told["outside_kept_share"]
    for table in ("pseudo_label_per_class", "pseudo_label_confidence"):
        assert sum(row["kept"] for row in made[table].values()) == int(stored.kept.sum())
    assert sum(row["draws"] for row in made["pseudo_label_per_class"].values()) == pytest.approx(
        float(stored.copies.sum()), abs=3
    )


def test_a_pool_of_many_classes_is_counted_as_it_is_kept(monkeypatch):
    """Its most probable classes only, and never all of a piece written out."""
    stored, truth = many(400)
    data = Data(tuple("abcdef"), images("labeled", [0]), unlabeled=images("unlabeled", truth.tolist()))
    top = TopK.of(stored.raw, 2)
    kept = replace(stored, raw=top, probs=top)
    expected = PseudoLabels().measure(data, stored, END)
    monkeypatch.setattr(TopK, "__getitem__", lambda self, index: pytest.fail("written out"))
    assert PseudoLabels().measure(data, kept, END) == expected


def test_pieces_add_up_to_the_pool(monkeypatch):
    stored, truth = many(103)
    data = Data(tuple("abcdef"), images("labeled", [0]), unlabeled=images("unlabeled", truth.tolist()))
    whole, sizes = PseudoLabels().measure(data, stored, END), []
    pieces = Targets.pieces

    def small(self, rows=10):
        for piece in pieces(self, rows):
            sizes.append(len(piece.index))
            yield piece

    monkeypatch.setattr(Targets, "pieces", small)
    assert PseudoLabels().measure(data, stored, END) == whole and sizes == [10] * 10 + [3]
