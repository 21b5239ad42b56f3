"""`sslkit labels apply`: what a person says is checked against the run, and becomes labels of the next one."""

import csv
import json
import os

import pytest
from hostile import CLASSES, POOL

import sslkit
from sslkit.corrections import read_corrections
from sslkit.folder import Run
from sslkit.opening import open_data
from sslkit.pseudo_labels.cells import guarded
from sslkit.recipe import load


def write(*rows, head="id,label", name="mine.csv", mark=""):
    """A person's file: rows of (id, label), as a spreadsheet saves them."""
    with open(name, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
        file.write(f"{mark}{head}\r\n")
        csv.writer(file).writerows(rows)
    return name


def written(name):
    with open(name, encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
        return list(csv.DictReader(file, strict=True))


@pytest.fixture
def ids(run):
    """The ids of the pool: row n is labeled class n % 3."""
    return run.samples().ids(slice(None))


def test_it_says_what_changes(here, ids, labels):
    name = write((ids[0], CLASSES[0]), (ids[1], CLASSES[2]), (ids[4], CLASSES[2]), (ids[2], ""))
    found = json.loads(labels("apply", "photos", name, "--json"))
    assert found["images"] == 4
    assert found["labeled_from_the_pool"] == 3
    assert found["confirmed"] == 1
    assert {(one["from"], one["to"]): one["images"] for one in found["changed"]} == {
        (CLASSES[1], CLASSES[2]): 2, (CLASSES[2], ""): 1
    }  # fmt: skip
    text = labels("apply", "photos", name)
    assert "4 corrections" in text and "1 confirmed" in text and "3 changed" in text and "none of them" in text
    assert "sslkit run photos-corrected-2.toml" in text  # the first is taken


def test_each_correction_knows_where_it_comes_from(run, ids, labels):
    labels("apply", "photos", write((ids[1], CLASSES[2])))
    assert written("photos-corrections.csv") == [{
        "id": ids[1], "label": CLASSES[2], "was": CLASSES[1], "confidence": f"{0.4 + 0.55 / 28:.6g}", "generation": "2",
        "teacher": run.manifest(2)["teacher"]["sha256"], "recipe": run.manifest(2)["recipe"], "source": "mine.csv",
    }]  # fmt: skip


def test_every_name_survives(here, ids, labels):
    labels("apply", "photos", write(*((one, CLASSES[0]) for one in ids)))
    assert read_corrections("photos-corrections.csv") == dict.fromkeys(ids, CLASSES[0])


def test_names_may_be_guarded_as_exports_have_them(here, ids, labels):
    labels("export", "photos", "--out", "all.csv")
    labels("apply", "photos", "all.csv")
    assert read_corrections("photos-corrections.csv") == {one: CLASSES[n % 3] for n, one in enumerate(ids)}
    assert guarded(ids[0]) != ids[0]


def test_of_an_export_with_few_changes_only_these_may_be_taken(here, ids, labels, refused):
    name = write(*((one, CLASSES[n % 3]) for n, one in enumerate(ids)))
    assert "changes nothing" in refused("apply", "photos", name, "--changed-only")
    name = write((ids[0], CLASSES[2]), *((one, CLASSES[n % 3]) for n, one in enumerate(ids) if n))
    assert "27 that confirm are left out" in labels("apply", "photos", name, "--changed-only")
    assert read_corrections("photos-corrections.csv") == {ids[0]: CLASSES[2]}


def test_the_next_run_learns_from_them_and_theirs_are_kept(here, ids, labels, refused):
    labels("apply", "photos", write((ids[0], CLASSES[2]), (ids[1], ""), (ids[2], CLASSES[0])))
    data = open_data(load("photos-corrected.toml"))
    assert dict(zip(data.labeled.ids, data.labeled.truth.tolist(), strict=True))[ids[0]] == 2
    assert ids[0] not in data.unlabeled.ids and ids[1] not in [*data.unlabeled.ids, *data.labeled.ids]
    sslkit.run("photos-corrected.toml", device="cpu", overrides={"steps": 1}, out="runs/photos-corrected")
    again = Run("runs/photos-corrected").samples().ids([0, 1])
    name = write((ids[0], CLASSES[1]), (again[0], CLASSES[0]), (ids[1], CLASSES[1]), name="more.csv")
    assert "does not have" in refused("apply", "photos-corrected", name)  # what was left out is not there to be labeled
    name = write((ids[0], CLASSES[1]), (again[0], CLASSES[0]), name="more.csv")
    assert "2 of before are kept" in labels("apply", "photos-corrected", name)
    rows = {row["id"]: row for row in written("photos-corrections-2.csv")}
    assert {sample: row["label"] for sample, row in rows.items()} == {
        ids[0]: CLASSES[1], ids[1]: "", ids[2]: CLASSES[0], again[0]: CLASSES[0]
    }  # fmt: skip
    assert rows[ids[2]]["source"] == "mine.csv" and rows[again[0]]["source"] == "more.csv"
    assert load("photos-corrected-2.toml").settings.corrections == str(here / "photos-corrections-2.csv")
    open_data(load("photos-corrected-2.toml"))


def test_a_labeled_image_gets_another_class(here, labels):
    one = f"labeled/{CLASSES[0]}/0.png"
    found = json.loads(labels("apply", "photos", write((one, CLASSES[1])), "--json"))
    assert found["labeled_from_the_pool"] == 0
    assert found["changed"] == [{"from": CLASSES[0], "to": CLASSES[1], "images": 1}]
    assert written("photos-corrections.csv")[0]["confidence"] == ""
    data = open_data(load("photos-corrected.toml"))
    assert dict(zip(data.labeled.ids, data.labeled.truth.tolist(), strict=True))[one] == 1


def test_images_of_the_pool_need_no_data_and_others_do(gone, ids, labels, refused):
    labels("apply", "photos", write((ids[0], CLASSES[2])))
    text = refused("apply", "photos", write((f"labeled/{CLASSES[0]}/0.png", CLASSES[1])))
    assert "Whether they are labeled images cannot be seen" in text


def test_files_go_where_they_are_wanted_and_nothing_is_written_over(here, ids, labels, refused):
    (here / "next").mkdir()
    labels("apply", "photos", write((ids[0], CLASSES[2])), "--out", "next/better")
    assert load("next/better-corrected.toml").settings.corrections == str(here / "next" / "better-corrections.csv")
    labels("apply", "photos", "mine.csv", "--out", "next/moved.toml")
    assert load("next/moved.toml").settings.corrections == str(here / "next" / "moved-corrections.csv")
    assert not (here / "next" / "moved-corrected.toml").exists()
    assert "never overwritten" in refused("apply", "photos", "mine.csv", "--out", "next/moved.toml")
    for name in ("better-corrected.toml", "better-corrections.csv"):
        before = (here / "next" / name).read_bytes()
        assert "never overwritten" in refused("apply", "photos", "mine.csv", "--out", "next/better")
        assert (here / "next" / name).read_bytes() == before


# Bad files --------------------------------------------------------------------------------------------------------


def said(text):
    """A message on one line."""
    return " ".join(text.split())


def test_a_byte_order_mark_is_none_of_the_names(here, ids, labels):
    labels("apply", "photos", write((ids[0], CLASSES[2]), mark="\ufeff"))


def test_unknown_images_are_named_with_what_was_meant(here, refused):
    text = said(refused("apply", "photos", write((f"{POOL}/=1+1/5.pgn", CLASSES[0]), ("what", CLASSES[0]))))
    assert "names 2 images that runs/photos does not have" in text
    assert f"Did you mean `{POOL}/=1+1/5.png`?" in text


def test_unknown_classes_are_named_with_what_was_meant(here, ids, refused):
    text = said(refused("apply", "photos", write((ids[0], "=1+2"))))
    assert "`=1+2` is no class" in text and "Did you mean `=1+1`?" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no column `id`, `label`"),
        ("id;label\na;b;c\n", "3 fields; there are 2 columns"),
        ("id,lable\na,b\n", "Did you mean `lable`?"),
        ("id,label\n", "there is no correction in it"),
        ('id,label\n"a,b\n', "quotes are wrong"),
        ("id,label\na\n", "1 fields; there are 2 columns"),
        ("id,label\n,b\n", "the id is empty"),
        ("id,label\na\0,b\n", "NUL"),
    ],
)
def test_files_that_are_none_are_refused(here, refused, text, message):
    (here / "bad.csv").write_text(text)
    before = sorted(here.iterdir())
    assert message in said(refused("apply", "photos", "bad.csv"))
    assert sorted(here.iterdir()) == before


def test_contradictions_are_refused_however_they_are_spelled(here, ids, refused):
    assert "keep one" in refused("apply", "photos", write((ids[0], CLASSES[0]), (ids[0], CLASSES[1])))
    assert "keep one" in refused("apply", "photos", write((ids[0], CLASSES[0]), (guarded(ids[0]), CLASSES[1])))


def test_a_file_that_is_not_there(here, refused):
    assert "cannot be read" in refused("apply", "photos", "none.csv")


def test_earlier_corrections_that_are_gone_are_missed(run, ids, refused):
    recipe = run.folder / "recipe.toml"
    recipe.write_text(f'corrections = "{os.fspath(run.folder.resolve())}/gone.csv"\n{recipe.read_text()}')
    assert "was made with cannot be kept" in said(refused("apply", "photos", write((ids[0], CLASSES[0]))))
