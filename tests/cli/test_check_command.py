"""`sslkit check`: what it prints of a recipe, what it refuses, and that it leaves nothing behind."""

import re
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from rich.cells import cell_len

from sslkit import cli
from sslkit.check.examine import examine
from sslkit.commands.check import show
from sslkit.recipe import load

SMALL = {
    "data.labels_per_class": 1, "data.validation": 0, "data.test": 1600, "model.size": 16, "batch.labeled": 6,
}  # fmt: skip
WHOLE = """
labels = "pool"
steps = 20
batch = { labeled = 6, unlabeled = 12 }
[optimizer]
weight_decay = 1e-4
[views.weak]
stream = "unlabeled"
[views.strong]
stream = "unlabeled"
[[pass]]
views = ["labeled", "weak", "strong"]
[[pass]]
model = "teacher"
views = ["clean"]
batch_norm = "batch"
write_stats = false
[[noise]]
name = "shift"
use = "flip_crop"
[[noise]]
use = "cutout"
on = "strong"
size = 2
[[noise]]
use = "dropout"
[[labeler]]
use = "previous_student"
[[labeler]]
use = "soft_labels"
[[labeler]]
use = "confidence"
threshold = 1.0
[[loss]]
name = "consistency"
use = "mean_squared"
on = ["weak", "strong"]
weight = 5.0
[[schedule]]
use = "linear_ramp"
on = "consistency.weight"
[[metric]]
use = "accuracy"
[[generation]]
steps = 10
[[generation]]
[[generation]]
[[generation]]
init = "previous"
optimizer.name = "adamw"
"""
FIRST = """
├── generation 0   10 steps · from scratch · #
│   ├── model     test_resnet · 8 px · mean 0.5 · std 0.5 · 373,658 parameters · dropout
│   ├── optimizer sgd · rate 0.05 · weight_decay 0.0001
│   ├── schedule  consistency.weight ▁▁▂▂▄▄▄▆▆███████████████ · 0 to 5 · linear_ramp
│   ├── stream    labeled: 6 images a step · 60 in all, each 6 times
│   │   └── view      labeled · shift: flip_crop
│   ├── stream    unlabeled: 12 images a step (mu 2) · off: no teacher yet
│   │   ├── view      weak · the noise of labeled
│   │   └── view      strong · shift: flip_crop > cutout (size 2)
│   ├── labels    before training, for the whole pool · no teacher yet
│   ├── pass      student: labeled · the batch's statistics, written · with noise
│   ├── pass      teacher: clean · the batch's statistics · without noise
│   ├── loss      ✓ supervised: cross_entropy on labeled · value # · gradient # · moves the student
│   ├── loss      consistency: mean_squared (weight 5) on weak, strong · off: no teacher yet
│   ├── metric    accuracy · at the end
│   └── memory    4.6 MB: weights 1.5 MB, gradients 1.5 MB, optimizer 1.5 MB · activations 147 kB, labeling 1.7 MB
├── generations"""
BRANCH = """
├── generations 1-2   20 steps each · from scratch · # · the rest as before
│   ├── schedule  consistency.weight ▁▁▂▂▃▄▅▆▇▇██████████████ · 0 to 5 · linear_ramp
│   ├── stream    labeled: 6 images a step · 120 in all, each 12 times · views as before
│   ├── stream    unlabeled: 12 images a step (mu 2) · 240 in all, each 1.5 times · views as before
│   ├── labels    before training, for the whole pool · by the generation before, from the view clean · previous_student > soft_labels > confidence (threshold 1) · of an untrained teacher's labels filters keep 0%
│   ├── pass      student: labeled + weak + strong together · the batch's statistics, written · with noise
│   ├── loss      ✓ supervised: cross_entropy on labeled · value # · gradient # · moves the student
│   ├── loss      ✓ consistency: mean_squared (weight 5) on weak, strong · value # · gradient # · moves the student
│   └── memory    6.8 MB: weights 1.5 MB, gradients 1.5 MB, optimizer 1.5 MB · average + teacher 1.5 MB, activations 735 kB, labeling 1.7 MB
└── generation 3   20 steps · from the previous weights · # · the rest as before
    ├── optimizer adamw · rate 0.05 · weight_decay 0.0001
    ├── loss      ✓ supervised: cross_entropy on labeled · value # · gradient # · moves the student
    ├── loss      ✓ consistency: mean_squared (weight 5) on weak, strong · value # · gradient # · moves the student
    └── memory    8.3 MB: weights 1.5 MB, gradients 1.5 MB, optimizer 3.0 MB · average + teacher 1.5 MB, activations 735 kB, labeling 1.7 MB
"""
DEAD = """
[[loss]]
use = "./plugins.py:Dead"
on = "labeled"
"""
PLUGINS = """
from dataclasses import dataclass
import numpy as np
import torch
from sslkit import Data, Images, LossTerm, hookimpl
from sslkit.errors import DataError, MissingData

@dataclass(eq=False, kw_only=True)
class Dead:
    @hookimpl
    def loss(self, step, forward):
        return LossTerm(forward("labeled").logits.detach().square().mean())

@dataclass(eq=False, kw_only=True)
class Shape:
    @hookimpl
    def train_step(self, step, forward, state):
        terms = state.losses(step, forward)
        state.optimize(terms)
        return [*terms, LossTerm(torch.ones(()), name="constant")]

@dataclass(eq=False, kw_only=True)
class Idle:
    @hookimpl
    def train_step(self, step, forward, state):
        return state.losses(step, forward)

@dataclass(eq=False, kw_only=True)
class Source:
    way: str = ""
    @hookimpl
    def open_data(self):
        if self.way == "missing":
            raise MissingData("[data] faces: not installed; fetch them with `faces get`")
        if self.way == "no file":
            open("/nowhere/at/all.csv")
        if self.way == "impossible":
            raise DataError("[data] faces: classes = 500, but there are 12")
        if self.way == "forbidden":
            raise PermissionError("/secret")
        if self.way == "bug":
            raise KeyError("truth")
        def read(rows):
            if self.way == "unreadable":
                raise FileNotFoundError("a/b.png")
            return [np.zeros((8, 8, 3), np.uint8) for _ in rows]
        def images(n):
            return Images([str(i) for i in range(n)], read, np.arange(n) % 10)
        labeled = Images([str(i) for i in range(10)], lambda rows: [np.full((8, 8, 3), r, np.uint8) for r in rows], np.arange(10))
        return Data(tuple("abcdefghij"), labeled, images(40))
"""


def files(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def check(write_recipe, tmp_path, monkeypatch):
    """`check(text)`: the command on a recipe of that text, or on a shipped one; it leaves every file as it was."""
    monkeypatch.chdir(tmp_path)

    def run(text="", *settings, recipe=None, width=240):
        path = recipe or write_recipe(text, PLUGINS)
        before = files(tmp_path)
        args = ["check", str(path), "--device", "cpu", *(word for one in settings for word in ("--set", one))]
        done = CliRunner().invoke(cli.cli, args, prog_name="sslkit", env={"COLUMNS": str(width)})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output and files(tmp_path) == before
        return done

    return run


def timeless(text):
    """Without estimated times."""
    return re.sub(r"(about (\d+ (h|min|s) ?)+|under 1 s)", "#", text)


def numberless(text):
    """With every number that was measured, or a range of them, as #."""
    number = r"-?[\d.]+(e-?\d+)?"
    text = re.sub(rf"(value|gradient) {number}( to {number})?", r"\1 #", text)
    return timeless(text).replace("# each", "#")


@pytest.mark.parametrize("name", ["supervised", "noisy_student", "fixmatch", "mean_teacher"])
def test_every_shipped_recipe_passes(name, check):
    settings = {**SMALL, **({} if name == "supervised" else {"batch.unlabeled": 12})}
    done = check("", *(f"{key}={value}" for key, value in settings.items()), recipe=name)
    assert done.exit_code == 0 and done.stderr == ""
    assert ": 10 labeled, " in " ".join(done.stdout.split()) and done.stdout.startswith(f"{name}   digits (")
    assert "✗" not in done.stdout and "✓ supervised: cross_entropy on labeled" in done.stdout
    assert done.stdout.endswith("every loss is non-zero, gives the student a gradient and moves its weights\n")


def test_the_composition_is_printed(check):
    done = check(WHOLE)
    assert done.exit_code == 0, done.stderr
    head = "recipe   digits (labels_per_class 1, validation 40, test 1,600): 10 labeled, 157 unlabeled, 40 validation, 1,600 test"
    assert done.stdout.startswith(head)
    assert "MB of memory beside Python's own" in done.stdout and "30 MB of disk\n" in done.stdout
    assert "70 steps in 4 generations" in done.stdout
    assert FIRST.strip() in numberless(done.stdout) and BRANCH.strip() in numberless(done.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_text):
    """What is found out of WHOLE."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "tiny.toml").write_text(tiny_text)
    (folder / "recipe.toml").write_text(f'extends = "tiny.toml"\n{WHOLE}')
    return examine(load(folder / "recipe.toml"), torch.device("cpu"))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_nothing_is_cut_or_broken_at_any_width(width, whole, monkeypatch, capsys):
    texts = []
    for columns in (1000, width):
        monkeypatch.setenv("COLUMNS", str(columns))
        show(whole)
        texts.append(capsys.readouterr().out)
    lines = texts[1].splitlines()
    assert all(cell_len(line) <= width and line == line.rstrip() for line in lines)
    words = [re.sub(r"[·│├└─]", " ", text).split() for text in texts]
    assert words[0] == words[1]
    # What a row goes on with stands in its own column.
    end = next(number for number, line in enumerate(lines) if line.startswith("note:"))
    start = next(number for number, line in enumerate(lines) if line.startswith("├"))
    rows = [line for line in lines[start:end] if "── generation" not in line and "── data" not in line]
    assert [row for row in rows if not re.match(r"[│ ]   ([│ ]   )?([├└]── [\w ,]{9,16}|[│ ] {12,17}) \S", row)] == []


def test_notes_and_warnings_are_printed(check):
    done = check('[[schedule]]\nuse = "cosine"\n[views.unseen]\nstream = "labeled"')
    assert done.exit_code == 0
    assert "note: 10 labels, 1 of each class" in done.stdout
    assert "warning: nobody asks for the view `unseen`" in done.stdout


def test_a_loss_that_is_off_everywhere_is_an_error(check):
    done = check(WHOLE[: WHOLE.index("[[generation]]")])
    assert done.exit_code == 2
    assert "error: recipe: 1 problem\n\n  loss `consistency` is off in every generation\n" in done.stderr
    assert "off: no teacher yet" in done.stdout


def test_a_dead_loss_is_an_error_that_says_where_and_why(check):
    done = check(WHOLE + DEAD.replace("on =", 'name = "dead"\non ='))
    assert done.exit_code == 2
    assert "✗ dead: plugins.py:Dead on labeled · value" in done.stdout
    assert "· gradient 0 · gives the student no gradient\n" in done.stdout and "sound" not in done.stdout
    assert done.stderr.startswith("error: recipe: 1 problem\n\n  generations 0, 1, 2, 3: loss `dead` gives the student")
    assert "constant, detached" in done.stderr


def test_a_weight_of_0_is_an_error_but_a_ramp_from_0_is_none(check):
    assert check(WHOLE).exit_code == 0
    done = check(WHOLE, "loss.consistency.weight=0")
    assert done.exit_code == 2 and "(weight 0) on weak, strong · value" in done.stdout
    assert "generations 1, 2, 3: loss `consistency` has weight 0\n" in done.stderr and "give it a weight" in done.stderr


def test_the_share_of_a_pool_that_no_loss_sees_stands_by_its_labels(check):
    text = WHOLE.replace('labels = "pool"', 'labels = "both"').replace("[[generation]]\n" * 2, "[[generation]]\n")
    text = text.replace('use = "previous_student"', 'use = "previous_student"\nwhen = "pool"\n[[labeler]]\nuse = "current_student"\nwhen = "step"')  # fmt: skip
    text = text.replace('use = "soft_labels"', 'use = "soft_labels"\nwhen = "pool"\n[[labeler]]\nname = "now"\nuse = "soft_labels"\nwhen = "step"')  # fmt: skip
    done = check(text)
    assert done.exit_code == 0, done.output
    kept = "of an untrained teacher's labels filters keep 0%"
    before = "before training, for the whole pool · by the generation before, from the view clean · previous_student > soft_labels > confidence (threshold 1)"
    now = "at each step · by the student itself, from the view clean · current_student > now: soft_labels > confidence (threshold 1)"
    first, second, _ = re.split("── generation", done.stdout)[1:]
    assert "before training, for the whole pool · no teacher yet\n" in first and f"{now} · {kept}\n" in first
    assert f"{before} · {kept}\n" in second and now not in second  # which is as before
    assert "the generation 0: [[labeler]]" not in done.stdout
    assert "generations 0, 1, 2: [[labeler]] confidence keeps no label" in done.stdout


def test_a_step_of_another_shape_is_judged_as_far_as_it_can_be(check):
    done = check('[step]\nname = "mine"\nuse = "./plugins.py:Shape"')
    assert done.exit_code == 0
    assert "✓ mine: plugins.py:Shape · moves student" in done.stdout
    assert "? constant · value 1 · not judged" in done.stdout
    assert (
        "not judged: which losses move what" in done.stdout and "not judged: loss `constant`: without a" in done.stdout
    )
    assert done.stdout.endswith("sound: what could be judged\n")


def test_a_step_that_moves_nothing_is_an_error(check):
    done = check('[step]\nuse = "./plugins.py:Idle"')
    assert done.exit_code == 2 and "moves no weight" in done.stdout
    assert "generation 0: the step moves no weight" in done.stderr


@pytest.mark.parametrize(
    ("way", "said"), [("missing", "not installed; fetch them with `faces get`"), ("no file", "'/nowhere/at/all.csv'")]
)
def test_without_the_data_it_warns_and_composes(way, said, check):
    text = WHOLE + '[views.unseen]\nstream = "labeled"\n[data]\n'
    done = check(f'{text}use = "./plugins.py:Source"\nway = "{way}"')
    assert done.exit_code == 0 and done.stderr == ""
    assert "warning: the data is not there: " in done.stdout and said in done.stdout
    assert "composed without it" in done.stdout and "sound" not in done.stdout
    assert (
        done.stdout.startswith("recipe   source: plugins.py:Source (way ")
        and ": not opened" in done.stdout
        and "373,658 parameters" in done.stdout
    )
    assert "warning: nobody asks for the view `unseen`" in done.stdout
    first, second, _ = done.stdout.split("── generation")[1:]
    assert "consistency: mean_squared (weight 5) on weak, strong · off: no teacher yet\n" in first
    assert "consistency: mean_squared (weight 5) on weak, strong\n" in second  # neither alive nor off: it was not tried


def test_digits_are_missing_where_scikit_learn_is(check, monkeypatch):
    from sslkit_plugins.data import digits

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits.pixels_and_truth.cache_clear()
    done = check()
    digits.pixels_and_truth.cache_clear()
    assert done.exit_code == 0 and "pip install scikit-learn" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("impossible", "classes = 500, but there are 12"),
        ("forbidden", "raised PermissionError"),
        ("bug", "raised KeyError"),
        ("unreadable", "images of the unlabeled split could not be read: FileNotFoundError: a/b.png"),
    ],
)
def test_data_that_is_there_and_cannot_be_used_is_an_error(way, said, check):
    done = check(f'{WHOLE}[data]\nuse = "./plugins.py:Source"\nway = "{way}"')
    assert done.exit_code == 2 and said in done.stderr
    assert "not there" not in done.output


def test_a_first_generation_has_nothing_to_start_from(check):
    done = check("[[generation]]\n[[generation]]", "init=previous")
    first, second = (line for line in done.stdout.splitlines() if "─ generation" in line)
    assert "from scratch" in first and "from the previous weights" in second


def test_more_labels_than_there_are_is_an_error(check):
    done = check("", "data.labels_per_class=500")
    assert done.exit_code == 2 and done.stdout == ""
    assert "labels_per_class = 500, but class" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[model]\nname = "test_resnt"', "test_resnet"),
        ("[optimizer]\nrat = 1", "rate"),
        ("[optimizer]\noptions = { nesterof = true }", "nesterof"),
        ('[[noise]]\nuse = "cutout"\nsize = 900', "900"),
    ],
)
def test_what_a_run_would_refuse_is_an_error(text, said, check):
    done = check(text)
    assert done.exit_code == 2 and said in done.stderr and "✓" not in done.stdout


def test_an_encoding_without_the_marks_is_no_error(check):
    path = Path("plain.toml")
    path.write_text(Path(check().stdout and "recipe.toml").read_text())
    args = ["check", str(path), "--device", "cpu"]
    done = CliRunner(charset="ascii").invoke(cli.cli, args, prog_name="sslkit")
    assert done.exit_code == 0 and "+ supervised: cross_entropy on labeled - value" in done.stdout
