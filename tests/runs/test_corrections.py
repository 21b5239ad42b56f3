"""A person's corrections are labels of the next run: read strictly, part of the recipe, said with where they come from."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import BASE

import sslkit
from sslkit import Data, Images
from sslkit.corrections import corrected, read_corrections
from sslkit.environment import fingerprint
from sslkit.errors import DataError, RecipeError
from sslkit.folder import Run
from sslkit.opening import open_data
from sslkit.recipe import load

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from photos import fill

DATA = '[data]\nuse = "image_folder"\nroot = "photos"\nlabels_per_class = 3\nunlabeled = "extra"\ntest = "test"\n'


def images(ids: str, truth: list[int], base: int = 0, weight: list[float] | None = None) -> Images:
    """Images of one pixel each, whose value tells which it is."""
    return Images(
        ids.split(),
        lambda position: [np.full((1, 1, 3), base + i, np.uint8) for i in position.tolist()],
        np.array(truth),
        None if weight is None else np.array(weight, np.float32),
    )


@pytest.fixture
def data() -> Data:
    """Two labeled images, which are in the pool too, and one to test on."""
    return Data(("cat", "dog"), images("a b", [0, 1]), images("a b c d", [-1] * 4, 10), test=images("t", [0], 20))


def shades(split: Images | None) -> list[int]:
    assert split is not None
    return [int(image[0, 0, 0]) for image in split.read(np.arange(len(split))[::-1])][::-1]


# Reading ------------------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "c.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "c.csv"


def test_ids_and_labels_in_any_order_of_columns(tmp_path: Path) -> None:
    text = '\ufefflabel,was,id\r\ndog,cat,"a,""b""\nc.png"\r\n,cat,x.png\r\n\r\ndog,,x\r\n'
    assert read_corrections(written(tmp_path, text)) == {'a,"b"\nc.png': "dog", "x.png": "", "x": "dog"}


def test_semicolons_are_taken_where_the_first_line_has_no_comma(tmp_path: Path) -> None:
    text = '\ufeffid;label;was\r\n"a;b.png";cat;dog\r\na,b.png;;dog\r\n'
    assert read_corrections(written(tmp_path, text)) == {"a;b.png": "cat", "a,b.png": ""}


def test_names_that_are_no_text_come_back_as_python_has_them(tmp_path: Path) -> None:
    assert read_corrections(written(tmp_path, b"id,label\n\xff.png,cat\n")) == {"\udcff.png": "cat"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no column `id`, `label`; it has nothing"),
        ("id,label\n", "there is no correction in it"),
        ("id,labels\na,cat\n", "no column `label`; it has `id`, `labels`. Did you mean `labels`?"),
        ("id;label\na;cat;dog\n", "line 2: 3 fields; there are 2 columns"),
        ("id;label,was\na;cat,dog\n", "names no column `id`, `label`"),
        ("id,label\na,cat,dog\n", "line 2: 3 fields; there are 2 columns"),
        ('id,label\na,"cat\n', "its quotes are wrong"),
        ("id,label\na,cat\nb,dog\na,dog\n", "line 4: `a` is `dog` here and `cat` further up"),
        ("id,label\n,cat\n", "line 2: the id is empty"),
        ("id,label\na,\0\n", "it has NUL bytes"),
    ],
)
def test_what_is_no_file_of_corrections_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_corrections(written(tmp_path, text))
    assert message in str(caught.value) and "c.csv" in str(caught.value)


# Laid on data -------------------------------------------------------------------------------------------------------------


def test_images_of_the_pool_join_the_labeled_ones_and_labels_change(data: Data) -> None:
    made = corrected(data, {"d": "cat", "a": "dog", "b": "dog"}, "corrections")
    assert (list(made.labeled.ids), made.labeled.truth.tolist()) == (["a", "b", "d"], [1, 1, 0])
    assert shades(made.labeled) == [0, 1, 13]
    assert made.unlabeled is data.unlabeled and data.labeled.truth.tolist() == [0, 1]
    assert made.notes[-1] == (
        "corrections: 3 corrections by hand: 1 label changed, 1 image newly labeled, 0 images left out"
    )


def test_images_leave_the_pool_where_labeled_ones_are_not_in_it(data: Data) -> None:
    data.unlabeled = images("c d e", [-1] * 3, 10)
    made = corrected(data, {"d": "cat"}, "corrections")
    assert (shades(made.labeled), shades(made.unlabeled)) == ([0, 1, 11], [10, 12])


def test_an_image_of_no_class_is_left_out_of_both(data: Data) -> None:
    made = corrected(data, {"a": "", "c": "", "d": "cat"}, "corrections")
    assert (shades(made.labeled), shades(made.unlabeled)) == ([1, 13], [11, 13])
    assert [(left.id, left.reason) for left in made.left_out] == [
        ("a", "of none of the classes (corrections)"), ("c", "of none of the classes (corrections)")
    ]  # fmt: skip
    data.labeled = images("e f", [0, 1])
    assert corrected(data, dict.fromkeys("abcd", ""), "corrections").unlabeled is None


def test_weights_stay_with_their_images(data: Data) -> None:
    data.labeled = images("a b", [0, 1], weight=[0.5, 2.0])
    made = corrected(data, {"a": "", "c": "cat"}, "corrections")
    assert made.labeled.weight is not None and made.labeled.weight.tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"a": "cats"}, "`cats` is no class; the classes are `cat`, `dog`. Did you mean `cat`?"),
        ({"z": "cat", "a": "dog"}, "no image of the labeled or unlabeled ones is called `z`"),
        ({"a": "dog"}, "no labeled image would be left of `cat`, and so nothing to learn it from"),
        ({"b": ""}, "no labeled image would be left of `dog`"),
        ({"t": "cat"}, "`t` is there to measure, and cannot be a label to learn from"),
    ],
)
def test_what_names_no_class_or_no_image_is_refused(data: Data, labels: dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        corrected(data, labels, "corrections")
    assert message in str(caught.value)


# In a recipe ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    fill(tmp_path / "photos", **{"train/cat": 5, "train/dog": 5, "extra": 6, "test/cat": 2, "test/dog": 2})
    head, _, rest = BASE.partition("[data]")
    path = tmp_path / "recipe.toml"
    path.write_text(f'corrections = "mine.csv"\n{head}{DATA}{rest[rest.index("[model]") :]}')
    written(tmp_path, "id,label\nextra/0.png,cat\nextra/1.png,dog\n").rename(tmp_path / "mine.csv")
    return path


def test_a_run_learns_from_them_and_they_are_part_of_what_it_is(recipe: Path, tmp_path: Path) -> None:
    assert [s for s in open_data(load(recipe)).labeled.ids if s.startswith("extra")] == ["extra/0.png", "extra/1.png"]
    run = sslkit.run(recipe, out=tmp_path / "run", device="cpu")
    before = load(recipe).hash
    assert before == run.recipe().hash == load(tmp_path / "run/recipe.toml").hash
    assert sslkit.evaluate(run, metrics=["accuracy"], device="cpu").warnings == ()
    written(tmp_path, "id,label\nextra/0.png,dog\n").rename(tmp_path / "mine.csv")
    assert load(recipe).hash != before


def test_a_recipe_that_extends_it_elsewhere_names_the_same_file(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else/other.toml").write_text('extends = "../recipe.toml"\nseed = 1\n')
    assert load(tmp_path / "else/other.toml").settings.corrections == str(tmp_path / "mine.csv")


def test_a_file_that_is_not_there_is_a_problem_of_the_recipe(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").rename(tmp_path / "mine2.csv")
    with pytest.raises(RecipeError, match=r'line 1 +`corrections`: there is no file .*mine.csv"\n.*mine2.csv'):
        load(recipe)


def test_a_path_is_told_to_its_end(recipe: Path, tmp_path: Path) -> None:
    """However deep it lies: the name at its end is what a person looks for."""
    deep = tmp_path / "/".join(["a" * 40] * 5) / "mine.csv"
    with pytest.raises(RecipeError) as error:
        load(recipe, {"corrections": str(deep)})
    assert f'`corrections`: there is no file "{deep}"\n' in f"{error.value}\n"


def test_runs_that_were_made_without_have_the_hash_they_had(recipe: Path) -> None:
    assert "corrections" not in load("noisy_student").table
    assert Run(recipe.parent).folder == recipe.parent


def test_an_image_of_none_of_the_classes_is_listed_where_it_was(data: Data) -> None:
    assert [one[:2] for one in corrected(data, {"b": "", "c": "", "d": "dog"}, "it").left_out] == [
        ("b", "labeled"),
        ("c", "unlabeled"),
    ]


def test_corrections_of_data_that_only_measures() -> None:
    with pytest.raises(DataError, match=r"no image of the labeled or unlabeled ones is called `x`$"):
        corrected(Data(("cat", "dog"), images("", []), test=images("t", [0])), {"x": "cat"}, "it")


def test_other_weights_are_other_data(data: Data) -> None:
    prints = {fingerprint(replace(data, labeled=images("a b", [0, 1], weight=w))) for w in (None, [1, 2], [2, 1])}
    assert len(prints) == 3
