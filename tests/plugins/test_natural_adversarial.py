"""Natural adversarial images: answers among a subset's classes, what folders may be called, and what is wrong with them."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from photos import fill, picture, put
from torch import Tensor, nn

from sslkit import Data, Facts, Images, Progress, ViewSpec, cli
from sslkit.classifier import NetworkClassifier
from sslkit.errors import DataError
from sslkit.loader import ViewMaker
from sslkit.network import Network
from sslkit.recipe import load
from sslkit.testing import check_plugin
from sslkit_plugins.metric.natural_adversarial import NaturalAdversarial, numbers_of, ranked

CLASSES = tuple("abcdefgh")
END = Progress(seed=0, step=4, steps=4, plugin="natural_adversarial")
SIZE = 8
NOTHING = Images([], lambda rows: [], np.zeros(0, np.int64))


class Greys(nn.Module):
    """Class k is the likelier, the nearer the mean of an image lies to k / 8 and the heavier it weighs."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, images: Tensor) -> Tensor:
        grey = images.flatten(1).mean(1, keepdim=True)
        return self.weights - 100 * (grey - torch.arange(8) / 8).square()


def model(weights: list[float] | None = None, rows: int = 4) -> NetworkClassifier:
    network = Network(Greys(weights or [0.0] * 8), [0.0] * 3, [1.0] * 3, SIZE, 8)
    view = ViewMaker(ViewSpec("clean", "evaluation", SIZE, 3), seed=0, generation=0)
    return NetworkClassifier(network, lambda outputs: outputs.logits, view, torch.device("cpu"), rows)


def data(classes: tuple[str, ...] = CLASSES) -> Data:
    return Data(classes, NOTHING)


def greys(root: Path, **folders: list[int]) -> Path:
    """Folders of images, each evenly of one grey, of any size."""
    for folder, values in folders.items():
        for i, value in enumerate(values):
            put(root / folder / f"{i}.png", np.full((9 + i, 12, 3), value, np.uint8))
    return root


def facts(classes: tuple[str, ...] = CLASSES) -> Facts:
    return Facts(classes, (1,) * len(classes), {"labeled": 8}, {}, SIZE, 3, torch.device("cpu"))


def measure(
    folder: Path, classifier: NetworkClassifier | None = None, classes: tuple[str, ...] = CLASSES, name: str = ""
):
    progress = replace(END, plugin=name or END.plugin)
    found = NaturalAdversarial(folder=folder).measure(classifier or model(), data(classes), progress)
    return json.loads(json.dumps(found, allow_nan=False))


# What is answered -------------------------------------------------------------------------------------------------


def test_the_answer_is_among_the_subsets_classes(tmp_path):
    """A grey of 31 is class b's, 64 is c's: among a, c and h the one goes either way, of all classes it is b."""
    folder = greys(tmp_path / "hard", a=[0, 14, 40], c=[64, 40], h=[223, 200, 96])
    found = measure(folder)
    assert found["natural_adversarial_accuracy"] == 6 / 8  # 40 in `a` is nearer to c, and 96 in `h` too
    assert found["natural_adversarial_unrestricted_accuracy"] == 4 / 8  # 40 is b's, 200 g's, 96 d's
    assert found["natural_adversarial_per_class"] == {
        "a": {"accuracy": pytest.approx(2 / 3), "unrestricted_accuracy": pytest.approx(2 / 3), "images": 3},
        "c": {"accuracy": 1.0, "unrestricted_accuracy": 0.5, "images": 2},
        "h": {"accuracy": pytest.approx(2 / 3), "unrestricted_accuracy": pytest.approx(1 / 3), "images": 3},
    }
    assert found["natural_adversarial_note"] == (
        "natural_adversarial: 8 images of 3 of the model's 8 classes in `hard`, answers are among these"
    )
    assert "natural_adversarial_top5_accuracy" not in found


def test_the_five_largest_are_of_the_subset(tmp_path):
    """Among a to f, black is nearest to a, b, c, d, e: not to f; and of all classes none in between is left out."""
    folder = greys(tmp_path, a=[0], b=[0], c=[0], d=[0], e=[0], f=[0])
    found = measure(folder)
    assert found["natural_adversarial_top5_accuracy"] == pytest.approx(5 / 6)
    assert found["natural_adversarial_accuracy"] == pytest.approx(1 / 6)
    assert found["natural_adversarial_per_class"]["a"]["accuracy"] == 1


def test_a_model_that_is_sure_of_another_class_still_chooses_among_the_subsets(tmp_path):
    """Their probabilities are 0 in float32, their logits are not equal."""
    folder = greys(tmp_path, a=[0], h=[223])
    sure = model([0, 0, 0, 1000.0, 0, 0, 0, 0])
    found = measure(folder, sure)
    assert found["natural_adversarial_accuracy"] == 1 and found["natural_adversarial_unrestricted_accuracy"] == 0


def test_places_are_those_of_sorted_logits():
    random = torch.Generator().manual_seed(0)
    logits, truth = torch.randn(50, 8, generator=random), torch.randint(0, 3, (50,), generator=random) * 2
    subset = [0, 2, 4, 7]
    among, of_all = ranked(logits, truth, subset)
    for row in range(50):
        order = logits[row].argsort(descending=True).tolist()
        assert of_all[row] == order.index(truth[row])
        assert among[row] == [k for k in order if k in subset].index(truth[row])
    for empty in (torch.zeros(2, 8), torch.full((2, 8), torch.nan)):
        assert (ranked(empty, truth[:2], subset)[0] == 3).all()  # a model that knows nothing is right of nothing


def test_another_name_begins_the_answers_and_nothing_is_measured_in_training(tmp_path):
    folder = greys(tmp_path, a=[0], h=[223])
    assert measure(folder, name="sketches").keys() == {
        "sketches_accuracy", "sketches_unrestricted_accuracy", "sketches_per_class", "sketches_note",
    }  # fmt: skip
    assert NaturalAdversarial(folder=folder).measure(model(), data(), replace(END, step=2)) == {}


def test_images_are_read_piece_by_piece(tmp_path, monkeypatch):
    folder, asked = fill(tmp_path, a=20, b=21), []
    classifier = model(rows=4)
    monkeypatch.setattr(classifier, "logits", lambda images: asked.append(len(images)) or torch.zeros(len(images), 8))
    measure(folder, classifier)
    assert asked == [4] * 10 + [1]


# What folders may be called ---------------------------------------------------------------------------------------


def test_folders_are_named_by_class_or_by_wordnet_id(tmp_path):
    classes = (
        "tench (n01440764)",
        "goldfish, Carassius auratus",
        "n01484850",
        "crane (n02012849)",
        "crane (n03126707)",
    )
    words = {"n01443537": "goldfish, Carassius auratus", "n01440764": "tench, Tinca tinca", "n99999999": "no class"}
    known = numbers_of(classes, words)
    assert known == {**{name: k for k, name in enumerate(classes)}, "n01440764": 0, "n02012849": 3, "n03126707": 4,
                     "n01443537": 1}  # fmt: skip
    assert numbers_of(("twin", "twin", "other"), {}) == {"other": 2}
    folder = fill(tmp_path / "imagenet-a", n01440764=1, n01443537=2, n01484850=1, **{"crane (n03126707)": 1})
    lacking = NaturalAdversarial(folder=folder)
    with pytest.raises(DataError, match="named after no class of the model: `n01443537`"):
        lacking.begin(facts(classes), END)
    (tmp_path / "synset_words.txt").write_text("n01443537 goldfish, Carassius auratus\nn01440764 tench, Tinca tinca\n")
    lacking.begin(facts(classes), END)


def test_without_data_nothing_is_known_of_classes(tmp_path):
    """`sslkit check` composes a recipe whose data is elsewhere."""
    nowhere = NaturalAdversarial(folder=tmp_path / "nowhere")
    nowhere.begin(replace(facts(), sizes={}), END)
    with pytest.raises(DataError):
        nowhere.begin(facts(), END)


def misspelt(root: Path) -> Path:
    return fill(root / "hard", a=1, bb=1, zebra=2)


def closed(root: Path) -> Path:
    return put(root / "hard")


def twins(root: Path) -> Path:
    (root / "synset_words.txt").write_text("n00000001 a\n")
    return fill(root / "hard", a=1, n00000001=1)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (misspelt, "2 folders of `{hard}` named after no class of the model: `bb`, `zebra`. Its classes are `a`, `b`, "),
        (lambda root: fill(root / "hard", a=1, b=0), "there is no image in `hard/b`. Put some there, or remove the folder"),
        (lambda root: root / "hard", "there is no folder `{hard}` (`folder`, from the recipe's own). Expected are images"),
        (lambda root: fill(root / "hart", a=1).parent / "hard", "Did you mean `hart`?"),
        (lambda root: put(root / "hard.png").rename(root / "hard"), "`folder` takes a folder; `{hard}` is a file"),
        (lambda root: fill(root / "hard", a=2), "has the folder of one class alone, `a`: among a single class any answer"),
        (lambda root: put(root / "hard" / "0.png").parent, "has no folders of classes, only 1 image. Expected are images as"),
        (twins, "`a` and `n00000001` in `{hard}` are both folders of the class `a`; put their images in one"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_as_expected_is_told_before_anything_is_trained(tmp_path, make, said):
    metric = NaturalAdversarial(folder=make(tmp_path))
    for attempt in (partial(metric.begin, facts(), END), partial(metric.measure, model(), data(), END)):
        with pytest.raises(DataError) as caught:
            attempt()
        assert str(caught.value).startswith("[[metric]] natural_adversarial: ")
        assert said.format(hard=tmp_path / "hard") in str(caught.value)


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    folder = fill(tmp_path, a=3, b=3)
    (folder / "b" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"the image `.*b/1\.png` cannot be read: .*Put a readable copy"):
        measure(folder)


def test_what_is_no_image_of_a_class_is_said(tmp_path):
    folder = fill(tmp_path / "imagenet-a", a=1, b=1)
    put(folder / "loose.png", picture())
    (folder / "README.txt").write_text("n01440764 tench\n")
    assert measure(folder)["natural_adversarial_note"].endswith(
        "answers are among these; skipped: .txt (1), images in no class's folder (1)"
    )


# In a recipe ------------------------------------------------------------------------------------------------------


def test_a_plugins_promises(tmp_path):
    check_plugin(NaturalAdversarial, folder=fill(tmp_path, **{"ant/deeper": 2, "cat": 1}))


def test_a_recipes_folder_lies_beside_it_and_a_run_that_lacks_it_does_not_begin(tmp_path, monkeypatch):
    fill(tmp_path / "recipes" / "hard", **{"0": 2, "3": 1})
    recipe = tmp_path / "recipes" / "mine.toml"
    text = (
        'steps = 1\nbaseline = false\nworkers = 0\nbatch.labeled = 4\ntracker = []\n[data]\nuse = "digits"\nlabels_per_class '
        '= 1\nvalidation = 20\ntest = 1600\n[model]\nname = "test_resnet"\nsize = 8\n[optimizer]\nrate = 0.01\n[views.labeled]\nstream = '
        '"labeled"\n[[loss]]\nuse = "cross_entropy"\non = "labeled"\n[[metric]]\nuse = "natural_adversarial"\nfolder = "hard"\n'
    )  # fmt: skip
    recipe.write_text(text)
    (metric,) = [entry.plugin for entry in load(recipe).generations[0].entries() if entry.section == "metric"]
    assert metric.folder == tmp_path / "recipes" / "hard"
    monkeypatch.chdir(tmp_path)
    recipe.write_text(text.replace('"hard"', '"hart"'))
    ran = CliRunner().invoke(cli.cli, ["run", str(recipe), "--out", "not"])
    assert ran.exit_code == 2 and "there is no folder" in ran.output and "Did you mean `hard`?" in ran.output
    assert not list((tmp_path / "not").glob("models/*"))
