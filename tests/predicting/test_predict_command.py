"""`sslkit predict`: what evaluation would say of every image, in the order in which they are given."""

import csv
import errno
import io
import itertools
import json
import os
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from classified import CLASSES, HOSTILE, trained
from click.testing import CliRunner
from photos import picture, put

import sslkit
from sslkit import cli
from sslkit.classifier import PIECE, chunks
from sslkit.commands import predict as command
from sslkit.dataset import Images
from sslkit.errors import DataError, RunError
from sslkit.images.decoding import LARGEST
from sslkit.measuring.finished import finished_model
from sslkit.opening import open_data
from sslkit.output import Forgiving
from sslkit.predicting.inputs import Inputs, is_image, names_in, with_lists
from sslkit.predicting.keeping import started
from sslkit.predicting.predictor import Predictor
from sslkit.predicting.rows import FORMATS, Columns, Csv
from sslkit.predicting.writing import write
from sslkit.pseudo_labels.cells import unguarded


def rows(done):
    """A CSV's rows, as text in which bytes that are no UTF-8 stand as in names."""
    text = done.stdout_bytes.decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def paths(done):
    return [unguarded(row["path"]) for row in rows(done)]


def bomb(path, side=20_000):
    """A PNG of a few bytes which says that it is huge."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


# The same as evaluation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_predictions_are_those_of_evaluation(tmp_path, monkeypatch, channels):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    run = trained(tmp_path, channels)
    own = finished_model(run, device="cpu")
    test = open_data(own.recipe).test
    expected = own.classifier(test).numpy()
    given = [tmp_path / "photos" / sample for sample in test.ids]
    made = list(sslkit.predict(run, given, device="cpu"))
    assert np.array_equal(np.stack([one.probabilities for one in made]), expected)
    right = np.mean([one.label == Path(one.path).parent.name for one in made])
    assert right == sslkit.evaluate(run, metrics=["accuracy"], device="cpu").metrics["test_accuracy"]


def test_other_generations_and_weights(world, predict):
    for args in (("--generation", 0), ("--weights", "student")):
        option, value = args[0].removeprefix("--"), args[1]
        expected = finished_model(world / "runs/photos", device="cpu", **{option: value})
        test = expected.classifier(open_data(expected.recipe).test).max(1).values
        done = predict(world / "photos/test", *args)
        assert [float(row["confidence"]) for row in rows(done)] == pytest.approx(test.tolist(), abs=1e-5)
    assert "there is no generation 7" in predict(world, "--generation", 7, code=2).stderr


# Inputs -----------------------------------------------------------------------------------------------------------


def test_files_folders_tars_and_lists_in_the_order_given(here, predict):
    for name in ("b/2.png", "b/10/0.png", "b/9/0.jpg", "a.png", "c.png"):
        put(here / name)
    with tarfile.open("d.tar", "w") as tar:
        for name in ("z.png", "x/y.jpg", "x/notes.txt", ".hidden.png"):
            tar.add("c.png", name)
    expected = ["c.png", "b/2.png", "b/9/0.jpg", "b/10/0.png", "d.tar/z.png", "d.tar/x/y.jpg", "a.png", "c.png"]
    done = predict("c.png", "b/", "d.tar", "a.png", "c.png")
    assert paths(done) == expected
    assert "note: `d.tar`: 2 images; skipped: other files (2)" in done.stderr
    again = predict("c.png", "-", "c.png", given=b"b\r\n\nd.tar\na.png")
    assert again.stdout_bytes == done.stdout_bytes
    assert predict("-0", "-", given=b"c.png\0b/\0d.tar\0a.png\0c.png").stdout_bytes == done.stdout_bytes


def test_names_that_break_things_come_out_as_they_were(here, predict):
    for number, name in enumerate(HOSTILE):
        put(here / "folder" / "0.png", picture(number)).rename(here / "folder" / name)
    known = sorted(f"folder/{name}" for name in HOSTILE)
    done = predict("folder")
    assert paths(done) == known and b"folder/caf\xe9\xff.png" in done.stdout_bytes
    listed = b"\0".join(map(os.fsencode, known))
    assert predict("-", "--null", given=listed).stdout_bytes == done.stdout_bytes
    lines = predict("folder", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["path"] for line in lines] == known
    put(here / "=1+1.png")
    assert b"\r\n'=1+1.png," in predict("=1+1.png").stdout_bytes, "no formula of a spreadsheet's"
    assert json.loads(predict("=1+1.png", "--format", "jsonl").stdout)["path"] == "=1+1.png"
    assert rows(done)[0]["label"] and all(unguarded(row["label"]) in CLASSES for row in rows(done))


def test_nothing_to_classify(here, predict):
    (here / "empty").mkdir()
    (here / "empty" / "notes.txt").touch()
    done = predict("empty")
    assert "`empty`: 0 images; skipped: .txt (1)" in done.stderr and "0 images" in done.stderr
    assert done.stdout_bytes == b"path,label,confidence,error\r\n"
    assert predict("-", "--format", "jsonl", given=b"").stdout == ""


def test_an_endless_list_is_answered_as_it_comes(world, model):
    seen = []

    def endless():
        for number in itertools.count():
            seen.append(number)
            yield os.fspath(world / "photos" / "test" / CLASSES[number % 3] / "0.png")

    made = sslkit.predict(world / "runs/photos", endless(), batch=4, device="cpu")
    assert [next(made).label in CLASSES for _ in range(6)] == [True] * 6
    assert len(seen) <= 16, "at most a batch ahead"
    made.close()


def test_lists_are_read_as_far_as_they_have_come():
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as sink:  # noqa: PTH123
        names = names_in(stream, b"\n")
        sink.write(b"a\nb\nhal")
        assert [next(names), next(names)] == ["a", "b"], "before the list ends"
        sink.write(b"f\n")
        assert next(names) == "half"
    with pytest.raises(RunError, match="given more than once"):
        with_lists(["-", "a", "-"], io.BytesIO(), b"\n")
    assert not is_image("a/.b/c.png") and not is_image("__MACOSX/c.png") and is_image("a/c.JPG")


# What cannot be read ----------------------------------------------------------------------------------------------


def test_what_cannot_be_read_has_a_row_and_the_others_go_on(here, predict):
    put(here / "good.png")
    put(here / "photo.jpg")
    (here / "cut.jpg").write_bytes((here / "photo.jpg").read_bytes()[:300])
    (here / "empty.png").touch()
    (here / "text.png").write_text("no image")
    bomb(here / "bomb.png")
    (here / "bad.tar").write_bytes(b"no tar at all")
    os.mkfifo(here / "pipe.png")
    loop = here / "loop.png"
    loop.symlink_to(loop)
    names = ["good.png", "cut.jpg", "empty.png", "missing.png", "text.png", "bomb.png", "bad.tar", "pipe.png", "loop.png", "good.png"]  # fmt: skip
    done = predict(*names, "--batch", 4, code=2)
    found = rows(done)
    assert [row["path"] for row in found] == names
    assert [bool(row["error"]) for row in found] == [name != "good.png" for name in names]
    assert all((row["label"], row["confidence"]) == ("", "") for row in found if row["error"])
    reasons = {row["path"]: row["error"] for row in found}
    assert reasons["missing.png"] == "No such file or directory" and reasons["empty.png"] == "the file is empty"
    assert "400 megapixels, and images of at most 100 are read" in reasons["bomb.png"]
    assert "no tar" in reasons["bad.tar"] and reasons["pipe.png"] == "it is neither a file nor a folder"
    assert "error: 7 of 9 images and 1 folder or tar could not be read" in done.stderr
    only = predict("empty.png", "missing.png", "--format", "jsonl", "--top", 2, code=2).stdout.splitlines()
    assert json.loads(only[0]) == {
        "path": "empty.png", "label": None, "confidence": None, "top": None, "error": "the file is empty",
    }  # fmt: skip


def test_a_folder_that_cannot_be_read_is_named(here, predict, monkeypatch):
    for name in ("good.png", "folder/a.png", "folder/z/b.png"):
        put(here / name)
    (here / "folder" / "deep").mkdir(parents=True)
    scan = os.scandir

    def closed(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    done = predict("folder", "good.png", code=2)
    assert paths(done) == ["folder/a.png", "folder/z/b.png", "folder/deep", "good.png"]
    assert [bool(row["label"]) for row in rows(done)] == [True, True, False, True]
    assert rows(done)[2]["error"] == "the folder `folder/deep` cannot be read: Permission denied"
    assert "error: 1 folder or tar could not be read" in done.stderr
    shutil.copytree(here / "folder" / "z", here / "z")
    (here / "bad.tar").write_bytes(b"no tar")
    done = predict("bad.tar", "folder/deep", "missing.png", "z", code=2)
    assert paths(done) == ["bad.tar", "folder/deep", "missing.png", "z/b.png"]
    assert "error: 1 of 2 images and 2 folders or tars could not be read" in done.stderr


@pytest.mark.parametrize("name", ["p.parquet", "p.json", "p.xlsx", "p", "p.txt", "p.csv.gz"])
def test_a_file_is_written_as_its_name_says_or_not_at_all(here, predict, name):
    put(here / "a.png")
    assert "End it in .csv or .jsonl" in predict("a.png", "--out", name, code=2).stderr
    assert not (here / name).exists()
    code = 0 if name in ("p", "p.txt") else 2
    predict("a.png", "--out", name, "--format", "jsonl", code=code)
    assert (here / name).exists() == (not code)
    assert (
        "its ending says csv, and --format jsonl"
        in predict("a.png", "--out", "p.csv", "--format", "jsonl", code=2).stderr
    )


@pytest.mark.parametrize("out", [(), ("--out", "p.csv")])
def test_a_list_with_nul_bytes_asks_for_its_option(here, predict, out):
    put(here / "a.png")
    assert "error: the list has NUL bytes: add -0" in predict("-", *out, given=b"a.png\0b.png\0", code=2).stderr


def test_the_largest_image_can_be_set(here, predict):
    put(here / "a.png", picture(0, 40, 30))
    assert "images of at most 0.001 are read" in rows(predict("a.png", "--largest", "0.001", code=2))[0]["error"]
    assert rows(predict("a.png", "--largest", "0.0012"))[0]["label"]
    assert command.LARGEST == LARGEST and tuple(FORMATS) == command.FORMATS


def test_strict_stops_at_the_first(here, predict, world):
    put(here / "good.png")
    names = ["good.png", "good.png", "missing.png", "good.png"]
    done = predict(*names, "--strict", "--out", "p.csv", code=2)
    assert "error: the image `missing.png` cannot be read: No such file or directory" in done.stderr
    assert (here / "p.csv").read_text().count("good.png") == 2
    shutil.copy("good.png", "missing.png")
    predict(*names, "--strict", "--out", "p.csv", "--resume")
    predict(*names, "--out", "q.csv")
    assert (here / "p.csv").read_bytes() == (here / "q.csv").read_bytes()
    with pytest.raises(DataError, match="missing2"):
        list(sslkit.predict(world / "runs/photos", ["good.png", "missing2.png"], strict=True, device="cpu"))


# Output -----------------------------------------------------------------------------------------------------------


def test_probabilities_in_both_formats(world, here, predict):
    given = world / "photos" / "test"
    made = list(sslkit.predict(world / "runs/photos", given, device="cpu"))
    probs = np.stack([one.probabilities for one in made])
    table = rows(predict(given, "--probabilities"))
    lines = [json.loads(line) for line in predict(given, "--probabilities", "--format", "jsonl").stdout.splitlines()]
    for number, name in enumerate(CLASSES):
        assert np.array_equal(np.float32([row[f"p_{name}"] for row in table]), probs[:, number])
        assert np.array_equal(np.float32([line["probabilities"][name] for line in lines]), probs[:, number])
    assert (
        [unguarded(row["label"]) for row in table] == [one.label for one in made] == [line["label"] for line in lines]
    )
    assert [np.float32(line["confidence"]) for line in lines] == [np.float32(one.confidence) for one in made]
    assert len(made) == 42 and {line["error"] for line in lines} == {None}


def test_the_most_probable_classes(world, here, predict):
    given = world / "photos" / "test"
    every = rows(predict(given, "--probabilities"))
    table = rows(predict(given, "--top", 2))
    lines = [json.loads(line) for line in predict(given, "--top", 2, "--format", "jsonl").stdout.splitlines()]
    for row, line, whole in zip(table, lines, every, strict=True):
        ranked = sorted(CLASSES, key=lambda name: -float(whole[f"p_{name}"]))[:2]
        assert [unguarded(row["top_1"]), unguarded(row["top_2"])] == ranked
        assert [row["p_1"], row["p_2"]] == [whole[f"p_{name}"] for name in ranked]
        assert [(one["label"], str(np.float32(one["probability"]))) for one in line["top"]] == [
            (name, str(np.float32(whole[f"p_{name}"]))) for name in ranked
        ]
        assert (row["label"], row["confidence"]) == (row["top_1"], row["p_1"])
    assert "p_3" in rows(predict(given, "--top", 99))[0], "no more than there are"
    assert "has all classes already" in predict(given, "--top", 2, "--probabilities", code=2).stderr


def test_a_files_name_says_its_format(world, here, predict):
    done = predict(world / "photos/test", "--out", "p.jsonl")
    assert "42 images in `p.jsonl`" in done.stderr and done.stdout == ""
    assert len([json.loads(line) for line in (here / "p.jsonl").read_text().splitlines()]) == 42
    known = json.loads((here / "p.jsonl.json").read_text())
    assert known["model"]["classes"] == list(CLASSES) and known["model"]["weights"] == "average"
    assert known["settings"]["format"] == "jsonl" and len(known["model"]["weights_sha256"]) == 64


def test_a_reader_that_goes_away_ends_it(world, model):
    reader, writer = os.pipe()
    os.close(reader)
    file = io.BufferedWriter(Forgiving(writer, "wb"))
    given = Inputs.of(os.fspath(world / f"photos/test/{CLASSES[0]}/0.png") for _ in itertools.count())
    rows_of = Csv(Columns(model.classes))
    made = started(file, rows_of, given.items)
    assert write(Predictor.of(model), rows_of, made, False, lambda number: None) is False
    assert made.rows == 16
    file.close()


def test_rows_are_there_as_soon_as_they_are_made(world, model):
    reader, writer = os.pipe()
    seen = []

    def look(number):
        seen.append((number, os.read(reader, 1 << 16).count(b"\n")))

    given = Inputs.of(os.fspath(world / f"photos/test/{CLASSES[0]}/{i % 13}.png") for i in range(40))
    with os.fdopen(writer, "wb") as file:
        rows_of = Csv(Columns(model.classes))
        assert write(Predictor.of(model), rows_of, started(file, rows_of, given.items), False, look)
    assert seen == [(0, 1), (16, 16), (16, 16), (8, 8)], "the header first, then batch by batch"


def test_a_full_disk_is_said(world, here, predict, monkeypatch):
    def no_room(self, answers):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Csv, "rows", no_room)
    said = predict(world / "photos/test", "--out", "p.csv", code=2).stderr
    assert "the disk is full: `p.csv` could not be written" in said
    said = predict(world / "photos/test", "--out", "nowhere/p.csv", code=2).stderr
    assert "`nowhere/p.csv` cannot be written: there is no folder `nowhere`" in said


def test_what_is_no_run_is_met_with_what_may_have_been_meant(here, predict):
    done = CliRunner().invoke(cli.cli, ["predict", "photo", "a.png"], prog_name="sslkit")
    assert done.exit_code == 2 and "photo is no run folder" in done.output and "photos" in done.output


# Memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.torture
def test_memory_stays_flat_over_twenty_thousand_images(world, tmp_path):
    small = os.fspath(put(tmp_path / "small.jpg"))

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    begun = None
    for number, _ in enumerate(sslkit.predict(world / "runs/photos", itertools.repeat(small, 20_000), device="cpu")):
        begun = resident() if number == 2_000 else begun
    assert number == 19_999 and resident() - begun < 16


def test_large_images_are_not_held_by_the_batch(world, model, tmp_path, monkeypatch):
    """Each is resized before the next is decoded; in labeling and evaluation after a few."""
    seen = []

    def read(position):
        seen.append(len(position))
        return [picture(int(at)) for at in position]

    images = Images([str(i) for i in range(100)], read, np.zeros(100, np.int64))
    made = [view for _, (view,) in chunks(images, [model.classifier.view], 80)]
    assert max(seen) == PIECE and sum(seen) == 100 and [len(one) for one in made] == [80, 20]
    whole = model.classifier.view([picture(i) for i in range(100)], np.arange(100))
    assert torch.equal(torch.cat(made), torch.from_numpy(whole))


def test_an_image_that_cannot_be_read_ends_labeling_where_it_lies(model):
    """Although a thread has met it before the model has answered for those in front of it."""

    def read(position):
        if (position >= 45).any():
            raise DataError("image 45")
        return [picture(int(at)) for at in position]

    images = Images([str(i) for i in range(64)], read, np.zeros(64, np.int64))
    made = chunks(images, [model.classifier.view], 16)
    assert [position[-1].item() for position, _ in itertools.islice(made, 2)] == [15, 31]
    with pytest.raises(DataError, match="image 45"):
        next(made)
