"""`sslkit recipes`: what comes with sslkit is listed, shown to the byte, and copied so that it works anywhere."""

import io
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from sslkit.catalog import copying
from sslkit.catalog.recipes import described
from sslkit.catalog.shipped import METRICS, STUDY, everything, of_kind
from sslkit.cli import cli
from sslkit.commands.prose import highlighted
from sslkit.recipe import load, shipped
from sslkit.study.file import load_study, shipped_studies

STUDIES = of_kind(STUDY)
METRICS_SETS = of_kind(METRICS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args, width=100):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, ["recipes", *args], prog_name="sslkit")
    assert "Traceback" not in done.output
    return done


# The list --------------------------------------------------------------------------------------------------------


def test_the_list_says_what_the_loaded_recipes_are():
    found = json.loads(run("list", "--json").stdout)
    assert [one["name"] for one in found["recipes"]] == list(shipped())
    for one in found["recipes"]:
        recipe = load(one["name"])
        assert one["generations"] == len(recipe.generations)
        assert one["data"] == recipe.table["data"]["use"]
        assert len(one["about"]) > 20 and "arXiv" not in one["about"]
        assert one["paper"] or one["name"].removeprefix("cifar10/") in ("supervised", "pseudo_label", "self_training")
    extends = {one["name"]: one["extends"] for one in found["recipes"]}
    assert (extends["fixmatch"], extends["supervised"]) == ("supervised", "")
    for one in found["studies"]:
        study = load_study(one["name"].removeprefix("studies/"))
        rows = [variant for variant in study.variants if variant.kind == "variant"]
        assert one["base"] == study.base.recipe.name and one["variants"] == len(rows)
    assert {one["name"] for one in found["studies"]} == {f"studies/{name}" for name in shipped_studies()}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_list_fits_the_terminal(width):
    bare, said = run(width=width), run("list", width=width)
    assert bare.exit_code == 0 and bare.stdout == said.stdout
    lines = said.stdout.splitlines()
    assert max(map(len, lines)) <= width and not any(line.endswith(" ") for line in lines)
    assert all(any(line.startswith(f"  {name}  ") for line in lines) for name in everything())


def test_a_first_comment_is_told_without_its_paper():
    assert described("#:schema ./x.json\n# One (Xie et al., arXiv 1.2) of\n# digits. More.\n#\n# Else.\na = 1\n") == (
        "One of digits.", "Xie et al., arXiv 1.2"
    )  # fmt: skip
    assert described("a = 1  # no comment of its own\n") == ("", "")


# One recipe ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", everything())
def test_a_piped_recipe_keeps_every_byte(name, here):
    assert run("show", name).stdout_bytes == everything()[name][1].read_bytes()


def test_a_resolved_recipe_is_the_same_recipe(here):
    Path("whole.toml").write_text(run("show", "mean_teacher", "--resolved").stdout)
    assert load("whole.toml").hash == load("mean_teacher").hash
    assert "extends" not in tomllib.loads(Path("whole.toml").read_text())
    assert run("show", "whole.toml", "--resolved").stdout == Path("whole.toml").read_text()


def test_a_shipped_recipe_is_resolved_wherever_it_is_installed(here):
    said = run("show", "noisy_student_svhn", "--resolved").stdout
    assert tomllib.loads(said)["data"]["root"] == "svhn"
    Path("whole.toml").write_text(said)
    assert load("whole.toml").table["data"]["root"] == str(here / "svhn")


def test_a_file_of_ones_own_is_shown(here):
    Path("mine.toml").write_bytes(b'# \xff of no encoding\nextends = "fixmatch"\r\n')
    assert run("show", "mine.toml").stdout_bytes == Path("mine.toml").read_bytes()


def test_on_a_terminal_a_recipe_has_colours_and_its_own_lines(monkeypatch):
    text = shipped()["fixmatch"].read_text() + f"# {'long ' * 60}\n"
    for toml in (text, text.rstrip("\n"), ""):
        assert highlighted(toml).plain == toml
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = {}
    for no_color in (False, True):
        console = Console(force_terminal=True, width=60, no_color=no_color, color_system="standard", file=io.StringIO())
        with console.capture() as capture:
            console.print(highlighted(text), soft_wrap=True, end="")
        shown[no_color] = capture.get()
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", shown[False]) and not re.search(r"\x1b\[[0-9;]*3[0-9]", shown[True])
    assert {re.sub(r"\x1b\[[0-9;]*m", "", one) for one in shown.values()} == {text}


@pytest.mark.parametrize("command", ["show", "copy"])
def test_an_unknown_name_gets_a_suggestion(command, here):
    done = run(command, "fixmatc")
    assert done.exit_code == 2 and done.stdout == "" and list(here.iterdir()) == []
    assert (
        "no recipe called `fixmatc` comes with sslkit" in done.stderr
        and "Did you mean `fixmatch` or `cifar10/fixmatch`?" in done.stderr
    )
    assert "Did you mean `studies/noisy_student`?" in run(command, "studies/noisy_studnt").stderr
    assert run(command, "x" * 5000).exit_code == 2


def test_a_study_has_nothing_to_resolve(here):
    done = run("show", "studies/noisy_student", "--resolved")
    assert done.exit_code == 2 and "studies/noisy_student: is a study; --resolved is" in done.stderr
    assert "Did you mean `sslkit recipes show fixmatch`?" in run("fixmatch").stderr


# A copy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_a_copy_is_the_same_recipe_with_its_comments(name, here):
    done = run("copy", name)
    assert done.exit_code == 0
    file = f"{name.rpartition('/')[2]}.toml"
    assert done.stdout.splitlines()[0] == f"wrote {file}"
    assert done.stdout.splitlines()[-1] == f"next  sslkit check {file}"
    # Data lies where each recipe's own reader has it: a relative path is another folder for a recipe elsewhere.
    data = {"data.root": str(here)} if "root" in load(name).table["data"] else {}
    assert load(file, data).hash == load(name, data).hash
    old, new = shipped()[name].read_text().splitlines(), Path(file).read_text().splitlines()
    assert {line.split()[0] for line in set(old) ^ set(new)} <= {"extends", "#:schema"}
    for line in new:
        if line.startswith("#:schema "):
            assert Path(line.split()[1]).is_file()


@pytest.mark.parametrize("name", STUDIES)
def test_a_copied_study_is_the_same_study(name, here):
    done = run("copy", name)
    assert done.stdout.splitlines()[0] == f"wrote {name}.toml"
    assert done.stdout.splitlines()[-1] == f"next  sslkit study {name}.toml"
    old, new = load_study(name.removeprefix("studies/")), load_study(f"{name}.toml")
    assert [one.recipe.hash for one in new.variants] == [one.recipe.hash for one in old.variants]
    assert (new.name, new.seeds, new.references) == (old.name, old.seeds, old.references)


def test_a_copied_set_of_metrics_is_the_same_set(here):
    assert list(METRICS_SETS) == ["metrics/robustness", "metrics/robustness_small", "metrics/standard"]
    done = run("copy", "standard")
    assert done.stdout == "wrote metrics/standard.toml\nnext  sslkit evaluate RUN --metrics metrics/standard.toml\n"
    assert Path("metrics/standard.toml").read_bytes() == METRICS_SETS["metrics/standard"].read_bytes()
    line = json.loads(run("list", "--json").stdout)["metrics"][-1]
    assert {"accuracy", "calibration"} <= set(line["metrics"]) and "sslkit evaluate" in line["about"]


def test_a_copy_goes_where_it_is_told(here):
    (here / "folder").mkdir()
    assert "wrote folder/fixmatch.toml\n" in run("copy", "fixmatch", "folder").stdout
    assert "wrote folder/noisy_student.toml\n" in run("copy", "studies/noisy_student", "folder").stdout
    assert "next  sslkit check 'new/of mine.toml'\n" in run("copy", "fixmatch.toml", "new/of mine.toml").stdout
    done = run("copy", "fixmatch", "mine")
    assert done.exit_code == 2 and "Did you mean `mine.toml`?" in done.stderr and not Path("mine").exists()


def test_a_copy_overwrites_nothing_unasked(here):
    Path("fixmatch.toml").write_text("mine = true\n")
    done = run("copy", "fixmatch")
    assert done.exit_code == 2 and done.stdout == ""
    assert "fixmatch.toml is there already; nothing was written" in done.stderr and "--force" in done.stderr
    assert list(here.iterdir()) == [here / "fixmatch.toml"] and Path("fixmatch.toml").read_text() == "mine = true\n"
    assert run("copy", "fixmatch", "--force").exit_code == 0
    assert load("fixmatch.toml").hash == load("fixmatch").hash
    Path("link.toml").symlink_to("nowhere.toml")
    assert run("copy", "fixmatch", "link.toml").exit_code == 2, "a link is in the way, though it leads nowhere"


def test_what_cannot_be_written_is_told_and_leaves_nothing(here):
    Path("file").write_text("")
    done = run("copy", "fixmatch", "file/mine.toml")
    assert done.exit_code == 2 and "file/mine.toml could not be written" in done.stderr
    assert list(here.iterdir()) == [here / "file"]


@pytest.fixture
def old_home(tmp_path, monkeypatch):
    """A folder of shipped recipes, one of which says all that a copy has to change."""
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (home / "base.toml").write_text("steps = 1\n")
    (home / "known.schema.json").write_text("{}")
    (home / "one.toml").write_text(
        "#:schema ./known.schema.json\n# Kept.\nextends = 'base.toml'  # kept, too\n"
        '[data]\nnames = "extends = \\"base.toml\\""\n'
    )
    (home / "sub" / "two.toml").write_text(
        '#:schema ../known.schema.json\nbase = "../one.toml"\n[[variant]]\nrecipe = "base"\n'
    )
    (home / "three.toml").write_text('#:schema ./unknown.json\nextends = "elsewhere.toml"\n')
    monkeypatch.setattr(copying, "extendable", lambda: {path.stem: path for path in home.glob("*.toml")})
    return home


def test_a_copy_names_recipes_and_schema_from_where_it_lies(old_home, tmp_path):
    there = tmp_path / "there"
    first = copying.copy(old_home / "one.toml", there / "one.toml")
    assert (first.schema, first.fresh) == (there / "known.schema.json", True)
    assert (there / "known.schema.json").read_text() == "{}"
    assert (there / "one.toml").read_text() == (old_home / "one.toml").read_text().replace("'base.toml'", "'base'")
    (there / "known.schema.json").write_text('{"of": "mine"}')
    second = copying.copy(old_home / "sub" / "two.toml", there / "two.toml")
    assert not second.fresh and (there / "known.schema.json").read_text() == '{"of": "mine"}'
    assert (there / "two.toml").read_text() == (
        '#:schema ./known.schema.json\nbase = "one"\n[[variant]]\nrecipe = "base"\n'
    )
    third = copying.copy(old_home / "three.toml", there / "three.toml")
    assert third.schema is None and (there / "three.toml").read_text() == 'extends = "elsewhere.toml"\n'
    (old_home / "sub" / "four.toml").write_text("extends = [\n  \"../one.toml\", 'x.toml',\n]\nsteps = 1\n")
    copying.copy(old_home / "sub" / "four.toml", there / "four.toml")
    assert (there / "four.toml").read_text() == "extends = [\n  \"one\", 'x.toml',\n]\nsteps = 1\n"


def test_the_list_is_plain_where_output_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["sslkit"])
    assert "\x1b" not in run("list").stdout
