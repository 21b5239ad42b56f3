import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from sslkit import OUTSIDE, Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError
from sslkit.labels import labels_report
from sslkit.types import Targets
from sslkit_plugins.data.digits import Digits, first_of_each_class, to_uint8
from sslkit_plugins.data.dividing.drawing import counts_of, long_tail, shares


def opened(seed: int = 0, **fields: object) -> Data:
    return Digits(**fields).open_data(Progress(seed, plugin="digits"))  # type: ignore[arg-type]


def test_ink_becomes_grey_rounded_to_the_nearest() -> None:
    values = np.array([[[0.0, 1.0, 8.0, 15.0, 16.0]]])
    assert to_uint8(values)[0, 0].tolist() == [[v] * 3 for v in (0, 16, 128, 239, 255)]


def test_first_of_each_class() -> None:
    truth = np.array([1, 0, 0, -1, 1, 0, 1])
    assert first_of_each_class(truth, np.array([2, 2])).tolist() == [0, 1, 2, 4]
    assert first_of_each_class(truth, np.array([3, 1])).tolist() == [0, 1, 2, 5]


def test_the_default_split() -> None:
    data = opened()
    assert {name: len(images) for name, images in data.splits.items()} == {
        "labeled": 40, "unlabeled": 1197, "validation": 200, "test": 400,
    }  # fmt: skip
    assert data.classes == tuple("0123456789")
    assert np.bincount(data.labeled.truth).tolist() == [4] * 10
    pool, validation, test = (set(getattr(data, name).ids) for name in ("unlabeled", "validation", "test"))
    assert len(pool | validation | test) == 1797
    assert set(data.labeled.ids) < pool


def test_ids_lead_back_to_scikit_learns_images() -> None:
    digits = load_digits()
    for images in opened(seed=3).splits.values():
        rows = [int(name.removeprefix("digits/")) for name in images.ids]
        assert all(len(name) == len("digits/0123") for name in images.ids)
        np.testing.assert_array_equal(images.truth, digits.target[rows])
        read = images.read(np.array([5, 0]))
        assert [image.shape for image in read] == [(8, 8, 3)] * 2
        np.testing.assert_array_equal(read[0][..., 1], np.rint(digits.images[rows[5]] * 255 / 16))


def test_a_read_image_is_the_readers_own() -> None:
    images = opened().labeled
    images.read(np.array([0]))[0][:] = 7
    assert (images.read(np.array([0]))[0] != 7).any()


def test_the_seed_decides_the_split() -> None:
    assert fingerprint(opened(seed=1)) == fingerprint(opened(seed=1)) != fingerprint(opened(seed=2))
    assert opened(seed=1).test.ids != opened(seed=2).test.ids  # type: ignore[union-attr]


def test_more_labels_keep_the_test_and_validation_images() -> None:
    few, many = opened(), opened(labels_per_class=25)
    assert few.test.ids == many.test.ids and few.validation.ids == many.validation.ids  # type: ignore[union-attr]
    assert set(few.labeled.ids) < set(many.labeled.ids)


def test_without_the_labeled_images() -> None:
    data = opened(include_labeled=False)
    assert data.unlabeled is not None and len(data.unlabeled) == 1157
    assert not set(data.labeled.ids) & set(data.unlabeled.ids)
    assert not any("include" in note for note in data.notes)


def test_splits_can_be_left_out() -> None:
    assert set(opened(test=0, validation=0).splits) == {"labeled", "unlabeled"}


def test_notes_declare_where_images_come_from() -> None:
    notes = " / ".join(opened().notes)
    assert "40 labels" in notes
    assert "200 validation images are drawn from the hidden pool" in notes
    assert "labeled ones" not in notes  # the engine says that of all data, from their ids
    assert not any("validation" in note for note in opened(validation=0).notes)


def test_more_labels_than_a_class_has() -> None:
    with pytest.raises(DataError, match=r'labels_per_class = 130, but class "\d" has (\d+) images') as caught:
        opened(labels_per_class=130, seed=4)
    pool = opened(seed=4).unlabeled
    assert pool is not None
    counts = np.bincount(pool.truth)
    assert f'class "{counts.argmin()}" has {counts.min()} images' in str(caught.value)
    assert len(opened(labels_per_class=int(counts.min()), seed=4).labeled) == 10 * counts.min()


def test_nothing_left_for_the_pool() -> None:
    with pytest.raises(DataError, match="1700 are for testing"):
        opened(test=1700)
    with pytest.raises(DataError, match="has 0 images in the pool of 0"):
        opened(test=5000)


# Fewer classes, less of the pool, imbalance -----------------------------------------------------------------------


def counts(images: Images | None, classes: int = 10) -> list[int]:
    """Images of each class."""
    assert images is not None
    return np.bincount(images.truth[images.truth >= 0], minlength=classes).tolist()


def test_the_splits_are_what_they_always_were() -> None:
    ids = [images.ids for seed in range(5) for images in opened(seed).splits.values()]
    assert hashlib.sha256(repr(ids).encode()).hexdigest()[:16] == "f32163f747ee072c"
    said = opened(classes=list("0123456789"), gamma_l=1, gamma_u=1.0, unlabeled_fraction=1.0)
    assert fingerprint(said) == fingerprint(opened())


def test_shares_by_hand() -> None:
    np.testing.assert_allclose(shares(100, 3), [1, 0.1, 0.01])
    np.testing.assert_allclose(shares(1 / 100, 3), [0.01, 0.1, 1])
    assert shares(1, 4).tolist() == [1, 1, 1, 1]
    assert counts_of(shares(100, 3), 100).tolist() == [100, 10, 1]  # no rounding error makes it 9
    assert counts_of(shares(100, 3), 20).tolist() == [20, 2, 1]  # a class has one at least
    assert long_tail(np.array([150, 12, 9]), 100).tolist() == [120, 12, 1]  # the second class has no more
    assert long_tail(np.array([150, 12, 9]), 1 / 100).tolist() == [1, 1, 9]


@given(st.floats(0.001, 1000), st.integers(2, 12))
def test_shares_fall_by_gamma_and_reverse(gamma: float, classes: int) -> None:
    made = shares(gamma, classes)
    assert made.max() == 1 and made.min() > 0
    np.testing.assert_allclose(made[0] / made[-1], gamma)
    np.testing.assert_allclose(made[1:] / made[:-1], gamma ** (-1 / (classes - 1)))
    np.testing.assert_allclose(shares(1 / gamma, classes), made[::-1])


def test_classes_that_do_not_count_are_in_the_pool_alone() -> None:
    data = opened(classes=[7, "3"], test=60, validation=40)
    assert data.classes == ("7", "3")
    assert {name: len(images) for name, images in data.splits.items()} == {
        "labeled": 8, "unlabeled": 1697, "validation": 40, "test": 60,
    }  # fmt: skip
    target = load_digits().target
    for name, images in data.splits.items():
        digit = target[[int(one.removeprefix("digits/")) for one in images.ids]]
        np.testing.assert_array_equal(images.truth, np.where(digit == 7, 0, np.where(digit == 3, 1, OUTSIDE)))
        assert bool((images.truth < 0).any()) == (name == "unlabeled")
    assert (data.unlabeled.truth < 0).sum() == (~np.isin(target, [3, 7])).sum()  # type: ignore[union-attr]
    assert "1,435 of these are of none of the 2 classes" in data.notes
    pool, validation, test = (set(getattr(data, name).ids) for name in ("unlabeled", "validation", "test"))
    assert len(pool | validation | test) == 1797 and set(data.labeled.ids) < pool


def test_labels_of_images_of_no_class_are_measured() -> None:
    data = opened(classes=[7, 3], test=60, validation=40)
    assert data.unlabeled is not None
    number = len(data.unlabeled)
    kept = torch.arange(number) % 2 == 0
    stored = replace(
        Targets.of(torch.arange(number), torch.tensor([[0.6, 0.4]]).repeat(number, 1)), weight=kept.float()
    )
    found = labels_report(stored, data)
    assert found["outside"] == 1435 == (data.unlabeled.truth == OUTSIDE).sum()
    assert found["outside_kept_share"] == pytest.approx(kept.numpy()[data.unlabeled.truth == OUTSIDE].mean())


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([3, 10], "there is no digit 10; there are 0 to 9"),
        (["three", 3], "there is no digit three"),
        ([True, 3], "there is no digit True"),
        ([3, "3", 4], "3 twice; name each digit once"),
        ([3], "classes: 3; a classifier needs two at least"),
        ([], "classes: none; a classifier needs two"),
    ],
)
def test_classes_that_digits_do_not_have(classes: list[int | str], said: str) -> None:
    with pytest.raises(DataError, match=f"digits: classes: .*{said}|digits: {said}"):
        opened(classes=classes)


def test_of_few_classes_few_can_be_set_aside() -> None:
    with pytest.raises(DataError, match=r"in the pool of 0 \(of 362, 400 are for testing, 200 for validation\)"):
        opened(classes=[3, 7])


def test_a_share_of_the_pool() -> None:
    labeled = set(opened().labeled.ids)
    pools = [opened(unlabeled_fraction=share).unlabeled for share in (0.01, 0.1, 0.5, 1.0)]
    for smaller, larger in pairwise(pools):
        assert smaller is not None and larger is not None
        assert labeled < set(smaller.ids) < set(larger.ids)
        order = [name for name in larger.ids if name in set(smaller.ids)]
        assert list(smaller.ids) == order
    assert [len(pool) for pool in pools if pool is not None] == [52, 156, 619, 1197]  # 40 and ceil(share * 1157)
    alone = opened(unlabeled_fraction=0.1, include_labeled=False).unlabeled
    assert alone is not None and len(alone) == 116 and not labeled & set(alone.ids)
    assert opened(unlabeled_fraction=0.1).labeled.ids == opened().labeled.ids
    assert "0.1 of the images that could be unlabeled are kept" in opened(unlabeled_fraction=0.1).notes


def test_a_share_keeps_images_of_no_class_too() -> None:
    pool = opened(classes=[3, 7], test=60, validation=40, unlabeled_fraction=0.5).unlabeled
    assert pool is not None and 650 < (pool.truth < 0).sum() < 780


def test_long_tailed_labels() -> None:
    data = opened(gamma_l=10, labels_per_class=20)
    expected = [int(20 * 10 ** (-k / 9) + 1e-9) for k in range(10)]
    assert counts(data.labeled) == expected == [20, 15, 11, 9, 7, 5, 4, 3, 2, 2]
    assert counts(opened(gamma_l=0.1, labels_per_class=20).labeled) == expected[::-1]
    assert set(data.labeled.ids) < set(opened(labels_per_class=20).labeled.ids)
    assert data.unlabeled is not None and data.unlabeled.ids == opened().unlabeled.ids  # type: ignore[union-attr]
    assert any("78 labels, long-tailed with gamma 10: 20, 15, 11, 9, 7, 5, 4, 3, 2, 2" in note for note in data.notes)


@pytest.mark.parametrize("include", [True, False])
def test_a_long_tailed_pool(include: bool) -> None:
    whole = counts(opened(include_labeled=include).unlabeled)
    data = opened(gamma_u=20, include_labeled=include)
    most = min(have / share for have, share in zip(whole, shares(20, 10), strict=True))
    assert counts(data.unlabeled) == [int(most * 20 ** (-k / 9) + 1e-6) for k in range(10)]
    assert counts(data.unlabeled)[0] == whole[0] and counts(data.unlabeled)[-1] == whole[0] // 20
    assert (set(data.labeled.ids) < set(data.unlabeled.ids)) == include  # type: ignore[union-attr]
    assert any("the unlabeled images are long-tailed with gamma 20" in note for note in data.notes)
    reversed_ = counts(opened(gamma_u=1 / 20, include_labeled=include).unlabeled)
    assert reversed_ == sorted(reversed_) and reversed_[-1] // reversed_[0] >= 19


def test_imbalance_follows_the_order_of_the_classes() -> None:
    data = opened(classes=[9, 4, 1], gamma_u=4, gamma_l=4, labels_per_class=8, test=60, validation=40)
    assert counts(data.labeled, 3) == [8, 4, 2]
    first, second, third = counts(data.unlabeled, 3)
    assert second == first // 2 and third == first // 4
    assert (data.unlabeled.truth < 0).sum() == (~np.isin(load_digits().target, [9, 4, 1])).sum()  # type: ignore[union-attr]


def test_a_class_that_a_long_tail_needs_and_the_pool_lacks() -> None:
    with pytest.raises(DataError, match=r'gamma_u = 2, but the pool has no image of class "\d"'):
        opened(gamma_u=2, include_labeled=False, labels_per_class=1, test=1770, validation=0)
