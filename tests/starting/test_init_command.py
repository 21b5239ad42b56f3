"""`sslkit init`: a recipe that says why, runs as it is, and takes nothing's place; and every folder that it refuses."""

import json
import os
import sys
import tomllib
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

import sslkit
from sslkit.cli import cli
from sslkit.recipe import load, shipped
from sslkit.starting import proposing
from sslkit.starting.asking import recognized
from sslkit.starting.facts import Facts
from sslkit.starting.machine import Machine
from sslkit.starting.proposing import Draft
from sslkit.starting.rules import steps_for
from sslkit.starting.template import templates
from sslkit.starting.words import found_lines

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
from made import MAKERS
from photos import fill, put

FOLDERS = {"labeled/cat": 6, "labeled/dog": 6, "unlabeled": 20, "test/cat": 3, "test/dog": 4}
HERE = Machine(cores=2, memory=16 * 10**9)
TIMED = proposing.timed


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, where nothing is timed: a machine's speed says nothing here, and takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(proposing, "timed", lambda draft, data, minutes: (steps_for(minutes, 60, 0, False), 1.0))
    return tmp_path


def init(*args, width=100, code=0):
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, ["init", *map(str, args)], prog_name="sslkit", input="")
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def test_what_is_written_is_valid_says_why_and_runs(here, monkeypatch):
    monkeypatch.setattr(proposing, "timed", TIMED)
    root = fill(here / "photos", **FOLDERS)
    put(root / "unlabeled" / "broken.png").write_bytes(b"no image")  # it is left out
    said = init("photos", "--minutes", "0.01")
    text = Path("photos.toml").read_text()
    recipe = load("photos.toml", names=True)
    assert recipe.warnings == []
    assert recipe.table["data"]["root"] == str(here / "photos")
    assert 'root = "photos"' in text  # and so both may be moved together
    for key in ("steps", "batch", "size", "threshold", "enabled", "init"):
        assert any(line.startswith(f"{key} = ") and " # " in line for line in text.splitlines()), key
    for words in ("2 classes: cat, dog", "unlabeled: 33 images", "6 of each class", "no GPU"):
        assert words in text
    assert "@" not in text and "#:schema" not in text
    assert "wrote photos.toml" in said and "sslkit run photos.toml" in said
    done = sslkit.run("photos.toml", overrides={"steps": 2})
    assert done.summary["status"] == "finished" and len(done.summary["generations"]) == 3


def test_what_is_said(here):
    root = fill(here / "photos", **FOLDERS, **{"labeled/owl": 2, "raw": 1})
    put(root / "labeled/cat/broken.png").write_bytes(b"no image")
    put(root / "test/cat/again.png").write_bytes((root / "labeled/cat/0.png").read_bytes())
    for width in (60, 80, 120):
        said = init("photos", "--out", f"{width}.toml", width=width)
        flat = " ".join(said.split())
        assert max(map(len, said.splitlines())) <= width or width < 80
        for words in (
            "3 classes in `photos`, which image_folder opens",
            "fewer than 5 labeled images: `owl`",
            "classes are out of balance: 2 (owl) to 7 (cat)",
            "labeled: 1 of 15 images that were opened cannot be read",
            "are in labeled too: what is measured on them says nothing",
            "not used: `raw`",
        ):
            assert words in flat, words
    assert load("80.toml").generations[0].settings.batch.labeled == 8


def test_nothing_is_asked_and_nothing_is_replaced(here):
    fill(here / "photos", **FOLDERS)
    before = {path: path.stat().st_mtime_ns for path in (here / "photos").rglob("*.*")}
    init("photos")
    written = Path("photos.toml").read_bytes()
    assert "write another: --out photos-2.toml" in init("photos", code=2)
    init("photos", "--out", "photos-2.toml")
    assert "--out photos-3.toml" in init("photos", code=2)
    assert "Did you mean `mine.toml`" in init("photos", "--out", "mine", code=2)
    assert Path("photos.toml").read_bytes() == written
    after = {path: path.stat().st_mtime_ns for path in (here / "photos").rglob("*.*") if ".sslkit" not in path.parts}
    assert before == after


def test_the_recipe_lies_where_it_is_wanted_and_finds_its_images_from_there(here):
    fill(here / "photos", **FOLDERS)
    (here / "recipes").mkdir()
    init("photos", "--out", "recipes")
    assert load("recipes/photos.toml").table["data"]["root"] == str(here / "photos")
    os.chdir("photos")
    init(".")
    assert 'root = "."' in Path("photos.toml").read_text()
    assert len(load("photos.toml").generations) == 3


def test_a_schema_beside_the_recipe_is_named(here):
    fill(here / "photos", **FOLDERS)
    Path("recipe.schema.json").write_text("{}")
    init("photos")
    assert Path("photos.toml").read_text().startswith("#:schema ./recipe.schema.json\n")


def test_json(here):
    fill(here / "photos", **FOLDERS)
    said = json.loads(init("photos", "--json"))
    assert said["recipe"] == "photos.toml" and said["classes"] == ["cat", "dog"]
    assert said["data"].pop("leave_out") == ["unreadable", "duplicates"]
    assert said["data"] == {
        "use": "image_folder",
        "root": "photos",
        "labeled": "labeled",
        "unlabeled": "unlabeled",
        "test": "test",
    }
    assert said["splits"]["test"] == {"images": 7, "of_a_class": [3, 4]}
    assert said["proposed"]["size"]["value"] == 16 and said["proposed"]["size"]["why"]


def test_images_without_any_that_are_unlabeled(here):
    fill(here / "photos", cat=8, dog=8)
    said = init("photos", code=2)
    assert "nothing is unlabeled: image_folder finds" in said and "files into a folder `unlabeled`" in said
    assert "--set labels_per_class=1" in said
    init("photos", "--set", "labels_per_class=3")
    assert load("photos.toml").table["data"]["labels_per_class"] == 3
    assert "keys of [data] alone" in init("photos", "--set", "model.size=3", "--out", "x.toml", code=2)
    assert "unknown key `label_per_class`" in init("photos", "--set", "label_per_class=3", "--out", "x.toml", code=2)


def test_what_the_data_cannot_be_is_refused_before_anything_is_written(here):
    root = fill(here / "photos", **FOLDERS, **{"test/dgo": 1})
    said = init("photos", code=2)
    assert "`test`" in said and "`dgo`" in said and "Did you mean `dog`" in said and "tmp" not in said
    assert "there is no folder" in init("nowhere", code=2)
    assert list(here.glob("*.toml")) == []
    for path in [*root.glob("labeled/*/*"), *root.glob("unlabeled/*"), *root.glob("test/*/*")]:
        path.write_bytes(b"")
    (root / "test" / "dgo" / "0.png").unlink()
    assert "none of the images that were opened can be read" in init("photos", code=2)


NAMES = [
    'it\'s "quoted"',
    "back\\slash",
    "new\nline",
    "tab\there",
    "del\x7f",
    "ünï çødé",
    "# no comment",
    "$name @size",
    "a'''b\"\"\"",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_names_give_valid_recipes(here, name):
    root = fill(here / name, **{f"labeled/{name}": 3, "labeled/b": 3, "unlabeled": 3})
    use, answer = recognized(root)
    facts = Facts(classes=(name, "b"), splits=(), notes=(name,))
    draft = Draft(
        template=templates()[0], data={"use": use, **answer.settings}, proposal={}, lines=found_lines(facts, HERE)
    )
    Path("odd.toml").write_text(draft.text(here))
    assert tomllib.loads(Path("odd.toml").read_text())["data"]["root"] == name
    assert load("odd.toml").table["data"]["root"] == str(root)


def test_a_folder_with_an_odd_name_gives_a_file_with_a_plain_one(here):
    fill(here / NAMES[2], **{f"labeled/{NAMES[2]}": 3, "labeled/b": 3, "unlabeled": 3})
    assert "wrote new_nline.toml" in init(NAMES[2])
    assert load("new_nline.toml").warnings == []


def test_names_that_are_no_text_are_refused_and_classes_are_not(here):
    odd = os.fsdecode(b"caf\xe9")
    try:
        fill(here / odd, **{f"labeled/{odd}": 3, "labeled/b": 3, "unlabeled": 3})
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    assert "holds bytes that are not UTF-8, which a recipe cannot say" in init(odd, code=2)
    (here / odd).rename(here / "photos")
    init("photos")
    assert "caf\\xe9" in Path("photos.toml").read_text()


def test_on_a_gpu_the_template_says_what_it_had_for_one(here, monkeypatch):
    gpu = Machine(cores=8, memory=64 * 10**9, gpu="H100", gpu_memory=80 * 10**9)
    monkeypatch.setattr(proposing, "this_machine", lambda: gpu)
    fill(here / "photos", **FOLDERS)
    init("photos")
    assert 'name = "resnet18"' in (text := Path("photos.toml").read_text())
    assert '# on a CPU: "test_resnet"' in text and "H100 (80 GB)" in text


def test_a_batch_that_the_memory_does_not_hold_is_halved(here, monkeypatch):
    fill(here / "photos", **{"labeled/cat": 90, "labeled/dog": 90, "unlabeled": 90})
    monkeypatch.setattr(proposing, "this_machine", lambda: Machine(cores=2, memory=8 * 10**6))
    init("photos")
    assert load("photos.toml").generations[0].settings.batch.labeled < 16
    assert "as many as half of 8.0 MB of memory holds" in Path("photos.toml").read_text()


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.stem)
def test_templates_are_recipes_themselves_and_are_not_listed_as_such(path):
    assert load(path, names=True).warnings == []
    assert not any("templates" in name for name in shipped())


def test_large_photos_get_the_other_template(here):
    fill(here / "photos", **FOLDERS)
    for path in (here / "photos").rglob("*.png"):
        put(path, cv2.resize(cv2.imread(str(path)), (120, 90)))
    init("photos")
    recipe = load("photos.toml")
    assert recipe.generations[0].model_size == 64 and recipe.warnings == []
    assert "pretrained = true" in Path("photos.toml").read_text()


def test_other_formats_are_opened_by_their_plugins(here):
    MAKERS["shards"](here / "tars")
    assert "3 classes in `tars`, which shards opens" in init("tars")
    table = load("tars.toml").table["data"]
    assert (
        table["use"] == "shards"
        and table["root"] == str(here / "tars")
        and 'root = "tars"' in Path("tars.toml").read_text()
    )
