"""`image_folder`: long-tailed splits of ordinary folders."""

from pathlib import Path

import numpy as np
import pytest

from sslkit import Data, Images, Progress
from sslkit.environment import fingerprint
from sslkit.errors import DataError
from sslkit_plugins.data.dividing.drawing import draw
from sslkit_plugins.data.image_folder import ImageFolder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of three classes each, and two to measure on; none of them is opened."""
    made = tmp_path_factory.mktemp("photos")
    for folder, count in (("train", 40), ("test", 2)):
        for label in ("a", "b", "c"):
            (made / folder / label).mkdir(parents=True)
            for number in range(count):
                (made / folder / label / f"{number:02}.png").touch()
    return made


def opened(root: Path, seed: int = 0, **said: object) -> Data:
    return ImageFolder(**{"root": root, "test": "test", **said}).open_data(Progress(seed, plugin="image_folder"))  # type: ignore[arg-type]


def counts(images: Images | None) -> list[int]:
    assert images is not None
    return np.bincount(images.truth, minlength=3).tolist()


LONG = {"labels_per_class": 10, "unlabeled_per_class": 20, "gamma_l": 100.0, "gamma_u": 4.0}


def test_labels_and_hidden_images_are_long_tailed_each_for_itself(root: Path) -> None:
    data = opened(root, **LONG, include_labeled=False)
    assert (counts(data.labeled), counts(data.unlabeled), counts(data.test)) == ([10, 1, 1], [20, 10, 5], [2, 2, 2])
    both = opened(root, **LONG)  # as papers count them: labeled images come on top
    assert counts(both.unlabeled) == [30, 11, 6]
    assert data.unlabeled is not None and both.unlabeled is not None
    assert not set(data.labeled.ids) & set(data.unlabeled.ids)
    assert set(both.unlabeled.ids) == set(data.labeled.ids) | set(data.unlabeled.ids)
    assert list(both.unlabeled.ids) == sorted(both.unlabeled.ids)
    assert data.notes == (
        "labeled: 12 images, 1 to 10 of a class, drawn by seed from the 120 of `train`",
        "unlabeled: 35 images, 5 to 20 of a class from `train`, their classes hidden from training",
        "test: 6 images, 2 of each class, from `test`",
        "not used: 73 images from `train`, which the recipe does not ask for",
    )


def test_a_gamma_below_one_is_the_reverse(root: Path) -> None:
    data = opened(root, **{**LONG, "gamma_u": 0.25}, include_labeled=False)
    assert (counts(data.labeled), counts(data.unlabeled)) == ([10, 1, 1], [5, 10, 20])


def test_without_a_number_the_pool_is_as_large_as_its_classes_allow(root: Path) -> None:
    data = opened(root, labels_per_class=10, gamma_u=9.0, validation=12, include_labeled=False)
    assert (counts(data.labeled), counts(data.validation), counts(data.unlabeled)) == ([10] * 3, [4] * 3, [26, 8, 2])


def test_a_balanced_part_of_the_pool(root: Path) -> None:
    data = opened(root, labels_per_class=3, unlabeled_per_class=5, include_labeled=False)
    assert (counts(data.labeled), counts(data.unlabeled)) == ([3] * 3, [5] * 3)


def test_what_is_drawn_is_by_seed_and_not_by_name(root: Path) -> None:
    assert fingerprint(opened(root, 1, **LONG)) == fingerprint(opened(root, 1, **LONG))
    drawn = [opened(root, seed, **LONG, include_labeled=False).unlabeled for seed in range(6)]
    assert len({tuple(images.ids) for images in drawn if images is not None}) == 6
    # The labels of the first class are those of a balanced draw.
    few, even = (opened(root, 1, **said).labeled for said in (LONG, {"labels_per_class": 10}))
    assert set(few.ids) < set(even.ids)


def test_balance_is_what_it_always_was(root: Path) -> None:
    plain = opened(root, labels_per_class=4, validation=6)
    said = opened(root, labels_per_class=4, validation=6, gamma_l=1.0, gamma_u=1.0, unlabeled_per_class=0)
    assert fingerprint(plain) == fingerprint(said) and plain.notes == said.notes


def test_a_part_of_the_rest_of_a_draw() -> None:
    truth = np.repeat([0, 1], [6, 4])
    whole, some = (
        draw(truth, np.array([2, 1]), np.array([1, 1]), np.random.default_rng, rest)
        for rest in (None, np.array([2, 9]))
    )
    assert whole[0].tolist() == some[0].tolist() and whole[1].tolist() == some[1].tolist()
    assert set(some[2]) < set(whole[2]) and np.bincount(truth[some[2]]).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("said", "message"),
    [({"gamma_l": 10.0}, "gamma_l = 10, but all images of `labeled` keep their label; say how many of a class do in "),
     ({"gamma_u": 0.5}, "gamma_u = 0.5, but all images"),
     ({"unlabeled_per_class": 3}, "unlabeled_per_class = 3, but all images"),
     ({"labels_per_class": 50, "gamma_l": 10.0}, "labels_per_class = 50, but class `a` has 40 images in `train`. Ask for "
      "fewer labels"),
     ({"labels_per_class": 30, "unlabeled_per_class": 20}, "unlabeled_per_class = 20, but of class `a` in `train` only 10 "
      "images of 20 are left beside those with a label and those for validation. Ask for fewer, or 0 for as many as"),
     ({"labels_per_class": 40, "gamma_u": 3.0}, "gamma_u = 3, but no image of class `a` in `train` is left to be unlabeled")],
)  # fmt: skip
def test_what_will_not_do(root: Path, said: dict[str, object], message: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(root, **said)
    assert str(caught.value).startswith(f"[data] image_folder: {message}")
