"""Parts of methods that do not go together are refused before anything is trained, with the reason."""

import pytest
from click.testing import CliRunner

from sslkit.cli import cli
from sslkit.errors import RecipeError
from sslkit.recipe import load

HEAD = """
from dataclasses import dataclass
from typing import ClassVar
from sslkit import hookimpl
"""


def problems(path, overrides=None):
    with pytest.raises(RecipeError) as caught:
        load(path, overrides)
    return str(caught.value)


# What is mixed in a pass that labels are read from --------------------------------------------------------------------

MIXING = HEAD + """
@dataclass(eq=False, kw_only=True)
class Mixer:
    @hookimpl
    def mix(self, step, on): ...


@dataclass(eq=False, kw_only=True)
class Itself:
    teaches: ClassVar = "student"
    @hookimpl
    def make_teacher(self, student): ...


@dataclass(eq=False, kw_only=True)
class Reader:
    @hookimpl
    def refine(self, targets, forward, on): ...


@dataclass(eq=False, kw_only=True)
class Turned:
    @hookimpl
    def mix(self, step, on): ...
    @hookimpl
    def loss(self, step, forward, on): ...
"""  # fmt: skip


@pytest.fixture
def mixing(kitchen):
    """`mixing(more, on)`: the kitchen's recipe, labeled at each step by the student itself, rows of `on` mixed."""
    kitchen.write("mixing.py", MIXING)

    def recipe(more="", on='["labeled", "weak"]', sees='on = "weak"', teacher="./mixing.py:Itself"):
        text = f'[views.other]\nstream = "unlabeled"\n[[noise]]\nuse = "./mixing.py:Mixer"\non = {on}\n{more}'
        path = kitchen.more(text)
        said = path.read_text().replace('labels = "pool"', 'labels = "step"').replace("./parts.py:Teacher", teacher)
        path.write_text(said.replace('use = "./parts.py:Label"', f'use = "./parts.py:Label"\n{sees}'))
        return path

    return recipe


ALL = '[[pass]]\nviews = ["labeled", "weak"]\n'
TEACHER = '[[pass]]\nmodel = "teacher"\nviews = ["weak"]\nbatch_norm = "batch"\nwrite_stats = false\n'


@pytest.mark.parametrize("passes", ["", ALL])
def test_a_label_view_in_a_pass_that_is_mixed_is_refused(mixing, passes):
    """With a [[pass]], and with the one that the losses' views share without any."""
    path = mixing(passes)
    message = problems(path)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if text.startswith('on = ["labeled"'))
    assert (
        f"line {line}  [[noise]] mixer: mixes `labeled`, `weak` in the pass of the student that it shares with the label "
        "view `weak` of [[labeler]] label: the student would run it twice, before rows are mixed and after"
    ) in message
    assert '[[pass]] model = "teacher", views = ["weak"], batch_norm = "batch", write_stats = false' in message
    assert message.count("\n  line") == 1


def test_labels_in_a_pass_of_their_own_may_be_mixed(mixing):
    assert load(mixing(TEACHER)).warnings == ["nobody asks for the view `other`, so it is not made"]


def test_what_is_mixed_in_a_pass_of_its_own_may_stand_beside_labels(mixing):
    shared = '[[loss]]\nname = "third"\nuse = "./parts.py:Entropy"\non = "other"\n'
    message = problems(mixing(shared, on='"other"'))
    assert "mixes `other` in the pass" in message and 'a pass of its own: [[pass]] views = ["other"]' in message
    assert load(mixing(shared + '[[pass]]\nviews = ["other"]\n', on='"other"')).warnings == []


def test_a_teacher_that_is_another_is_asked_apart(mixing):
    assert load(mixing(ALL, teacher="./parts.py:Teacher"))


def test_labels_of_other_timings_are_not_made_in_between(mixing):
    assert load(mixing(ALL), {"labels": "none"})
    assert load(mixing(ALL, sees=""), {"labels": "pool"})


def test_a_refinement_that_reads_a_view_counts_too(mixing):
    reader = '[[labeler]]\nuse = "./mixing.py:Reader"\non = "labeled"\n'
    message = problems(mixing(TEACHER + reader))
    assert "the label view `labeled` of [[labeler]] reader" in message
    assert load(mixing(TEACHER.replace('["weak"]', '["weak", "labeled"]') + reader))


def test_whatever_section_mixes(mixing):
    turned = '[[loss]]\nuse = "./mixing.py:Turned"\non = "other"\n[[noise]]\nname = "mixer"\nenabled = false\n'
    path = mixing("", on='"other"')
    path.write_text(path.read_text().replace('[[noise]]\nuse = "./mixing.py:Mixer"\non = "other"\n', ""))
    path.write_text(path.read_text() + turned.partition("[[noise]]")[0])
    assert "[[loss]] turned: mixes `other` in the pass of the student" in problems(path)


def test_a_generation_that_mixes_is_told_by_its_number(mixing):
    path = mixing(
        TEACHER
        + '[[generation]]\n[[generation]]\nnoise.mixer.on = "labeled"\npass = [{ views = ["labeled", "weak"] }]\n'
    )
    assert "(generation 1)" in problems(path)


def test_the_shipped_parts_are_refused():
    """MixUp with a label view in the shared pass."""
    added = {"noise.mixup.use": "mixup", "noise.mixup.on": ["labeled", "weak"]}
    assert "[[noise]] mixup: mixes `labeled`, `weak` in the pass of the student" in problems("fixmatch", added)


# What is mixed of which answers are remembered -------------------------------------------------------------------------

REMEMBERS = """
@dataclass(eq=False, kw_only=True)
class Diary:
    remembers: ClassVar = ("answers",)
    @hookimpl
    def refine(self, targets): ...
    @hookimpl
    def after_step(self, step, forward, on): ...
"""


def test_no_view_is_mixed_whose_answers_are_remembered(kitchen):
    kitchen.write("mixing.py", MIXING + REMEMBERS)
    diary = '[[labeler]]\nuse = "./mixing.py:Diary"\non = "weak"\n'
    path = kitchen.more('[[noise]]\nuse = "./mixing.py:Mixer"\non = ["labeled", "weak"]\n' + diary)
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if text.startswith('on = ["labeled"'))
    message = problems(path)
    assert (
        f"line {line}  [[noise]] mixer: mixes `weak`, to whose images [[labeler]] diary remembers the student's answers, "
        "but those would be of no image alone"
    ) in message
    assert "leave `weak` out of `on`" in message and message.count("\n  line") == 1
    assert load(path, {"noise.mixer.on": "labeled"}) and load(
        path, {"labeler.diary.on": "labeled", "noise.mixer.on": "weak"}
    )
    assert load(path, {"labeler.diary.enabled": False})


def test_temporal_ensembling_takes_no_mixup():
    added = {"noise.mixup.use": "mixup", "noise.mixup.on": ["weak"]}
    assert "to whose images [[labeler]] temporal_ensemble remembers the student's answers" in problems(
        "temporal_ensembling", added
    )


# Two heads of one name ------------------------------------------------------------------------------------------------

TWINS = 'extends = "supervised"\n' + "".join(
    f'[[loss]]\nname = "{name}"\nuse = "rotation"\non = "labeled"\n' for name in ("turns", "again")
)


@pytest.mark.parametrize("arguments", [["check"], ["run", "--out", "run"]])
def test_two_heads_of_one_name(tmp_path, monkeypatch, arguments):
    """Told before anything is trained: who, which head, whose it is already, what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twins.toml").write_text(TWINS)
    command, *options = arguments
    answer = CliRunner().invoke(cli, [command, "twins.toml", *options])
    assert answer.exit_code == 2
    assert "[loss] again: hook `extend_model` answers `rotation`, which `turns` answers already" in answer.stderr
    assert "leave one of them out, or set its `enabled = false`" in answer.stderr and "Traceback" not in answer.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
