import numpy as np
import pytest
from sklearn.datasets import load_digits

from sslkit import Data, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError
from sslkit_plugins.data.digits import Digits, first_of_each_class, to_uint8


def opened(seed: int = 0, **fields: object) -> Data:
    return Digits(**fields).open_data(Progress(seed, plugin="digits"))  # type: ignore[arg-type]


def test_ink_becomes_grey_rounded_to_the_nearest() -> None:
    values = np.array([[[0.0, 1.0, 8.0, 15.0, 16.0]]])
    assert to_uint8(values)[0, 0].tolist() == [[v] * 3 for v in (0, 16, 128, 239, 255)]


def test_first_of_each_class() -> None:
    assert first_of_each_class(np.array([1, 0, 0, 1, 0, 1]), 2, 2).tolist() == [0, 1, 2, 3]


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
