"""`sslkit labels export`: files that other tools read, whatever the names, all at once or not at all."""

import csv
import json
import os
import sys
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from hostile import CLASSES, POOL, made
from hypothesis import given
from hypothesis import strategies as st

from sslkit.dataset import UNKNOWN, Images
from sslkit.errors import RunError
from sslkit.folder import Run
from sslkit.pool import TopK
from sslkit.pseudo_labels import columns
from sslkit.pseudo_labels.cells import guarded, unguarded
from sslkit.pseudo_labels.export import export
from sslkit.pseudo_labels.stored import stored
from sslkit.store import save_labels, save_samples
from sslkit.types import Targets


def read_csv(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:  # noqa: PTH123
        return list(csv.DictReader(file, strict=True))


def test_csv_has_every_image_as_it_is(run, labels):
    labels("export", "photos")
    rows, targets, truth = read_csv("photos-labels-2.csv"), made(28, 2), run.samples().truth.tolist()
    assert [unguarded(row["id"]) for row in rows] == run.samples().ids(slice(None))
    assert [unguarded(row["label"]) for row in rows] == [CLASSES[row % 3] for row in range(28)]
    assert [np.float32(row["confidence"]) for row in rows] == targets.confidence.tolist()
    assert [row["kept"] for row in rows] == ["true" if row % 7 else "false" for row in range(28)]
    assert [float(row["weight"]) for row in rows] == targets.weight.tolist()
    assert [float(row["copies"]) for row in rows] == targets.copies.tolist()
    assert [unguarded(row["truth"]) for row in rows] == [CLASSES[k] if k >= 0 else "" for k in truth]
    assert [row["outside"] for row in rows] == ["true" if k == -2 else "false" for k in truth]
    for number, name in enumerate(CLASSES):
        assert [np.float32(row[f"p_{name}"]) for row in rows] == targets.raw[:, number].tolist()
    assert {row["generation"] for row in rows} == {"2"}
    assert {row["teacher"] for row in rows} == {run.manifest(2)["teacher"]["sha256"][:12]}


def test_no_cell_of_csv_is_a_formula(here, labels):
    labels("export", "photos")
    cells = [cell for row in read_csv("photos-labels-2.csv") for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert any(cell.startswith(f"'{POOL}") for cell in cells)


@given(st.text(alphabet="'=+-@\t\rab ", max_size=6))
def test_what_is_guarded_can_be_told(text):
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("text", ["a=b", "", "'quoted'", "photo-1.png", "1"])
def test_plain_texts_are_left_alone(text):
    assert guarded(text) == text == unguarded(text)


def test_json_has_provenance_and_exact_names(run, labels):
    labels("export", "photos", "--format", "json", "--generation", 1)
    found = json.loads((run.folder.parents[1] / "photos-labels-1.json").read_text())
    assert found["provenance"]["generation"] == 1
    assert found["provenance"]["teacher"] == run.manifest(1)["teacher"]
    assert [one["id"] for one in found["labels"]] == run.samples().ids(slice(None))
    first = found["labels"][0]
    assert first["label"] == CLASSES[1]
    assert first["kept"] is False
    assert first["confidence"] == 0.4
    assert [one["truth"] for one in found["labels"]].count(None) == 10  # seven of no known class, three of none


def test_parquet_has_the_same_and_whence_it_comes(run, labels):
    parquet = import_module("pyarrow.parquet")
    labels("export", "photos", "--out", "labels.parquet")
    table, targets = parquet.read_table("labels.parquet"), made(28, 2)
    ids = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in run.samples().ids(slice(None))]
    assert table["id"].to_pylist() == ids
    assert table["label"].to_pylist() == [CLASSES[row % 3] for row in range(28)]
    assert table["confidence"].to_pylist() == targets.confidence.tolist()
    assert table["kept"].to_pylist() == [row % 7 != 0 for row in range(28)]
    assert json.loads(table.schema.metadata[b"sslkit"])["teacher"] == run.manifest(2)["teacher"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_only_the_kept_ones(here, labels, form, monkeypatch):
    monkeypatch.setattr(columns, "ROWS", 5)  # several parts, one of which may be empty
    assert "24 images that teach" in labels("export", "photos", "--out", f"x.{form}", "--kept-only")
    if form == "csv":
        rows = read_csv("x.csv")
    elif form == "json":
        rows = json.loads((here / "x.json").read_text())["labels"]
    else:
        rows = sys.modules["pyarrow.parquet"].read_table("x.parquet").to_pylist()
    assert len(rows) == 24
    assert {str(row["kept"]).lower() for row in rows} == {"true"}


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_of_many_classes_the_most_probable(tmp_path, form):
    probs = torch.rand(20, 150, generator=torch.Generator().manual_seed(0)).softmax(1)
    save_samples(tmp_path / "samples", Images([f"{i}" for i in range(20)], lambda rows: [], np.full(20, UNKNOWN)))
    names = tuple(f"c{i}" for i in range(150))
    for generation, raw in ((1, probs), (2, TopK.of(probs, 3))):
        targets = Targets.of(torch.arange(20), probs)
        targets.raw = targets.probs = raw
        save_labels(tmp_path / "labels" / f"generation-{generation}", targets, names, {}, {})
        path = export(stored(Run(tmp_path), generation), out=tmp_path / f"{generation}.{form}")
        if form == "csv":
            row = read_csv(path)[3]
        elif form == "json":
            row = json.loads(path.read_text())["labels"][3]
        else:
            row = sys.modules["pyarrow.parquet"].read_table(path).to_pylist()[3]
        top = probs[3].topk(10 if generation == 1 else 3)
        assert [row[f"top_{i + 1}"] for i in range(len(top.indices))] == [f"c{k}" for k in top.indices.tolist()]
        assert [float(row[f"p_{i + 1}"]) for i in range(len(top.values))] == pytest.approx(top.values.tolist())
        assert float(row["p_rest"]) == pytest.approx(1 - top.values.sum().item(), abs=1e-5)
        assert f"p_{len(top.values) + 1}" not in row


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_where_no_image_teaches_there_are_columns_all_the_same(run, form):
    save_labels(run.folder / "labels" / "generation-2", replace(made(28, 2), weight=torch.zeros(28)), CLASSES, {}, {})
    path = export(stored(run), form, kept_only=True)
    if form == "csv":
        assert path.read_text().startswith("id,label,confidence")
        assert not read_csv(path)
    elif form == "json":
        assert json.loads(path.read_text())["labels"] == []
    else:
        assert sys.modules["pyarrow.parquet"].read_table(path).num_rows == 0


# Bad ends ---------------------------------------------------------------------------------------------------------


def test_nothing_is_written_over(here, labels, refused):
    (here / "x.csv").write_text("mine")
    assert "exists already and is never overwritten" in refused("export", "photos", "--out", "x.csv")
    assert (here / "x.csv").read_text() == "mine"
    labels("export", "photos")
    assert "exists already" in refused("export", "photos")
    assert "there is no folder" in refused("export", "photos", "--out", "nowhere/x.csv")


def test_a_suffix_that_says_nothing(here, labels, refused):
    assert "say which with --format" in refused("export", "photos", "--out", "x.txt")
    labels("export", "photos", "--out", "x.txt", "--format", "json")
    assert json.loads((here / "x.txt").read_text())["labels"]


def test_without_pyarrow_it_is_said_how_to_get_it(here, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'sslkit[parquet]'" in refused("export", "photos", "--format", "parquet")
    assert not [path for path in here.iterdir() if "labels" in path.name]


def test_what_fails_half_way_leaves_nothing(run, here, monkeypatch):
    monkeypatch.setattr(columns, "ROWS", 5)

    def fail(done):
        raise OSError(28, "No space left on device")

    before = sorted(here.iterdir())
    with pytest.raises(RunError, match="disk is full"):
        export(stored(run), "csv", done=fail)
    assert sorted(here.iterdir()) == before


def test_it_does_not_need_the_data(gone, labels):
    labels("export", "photos")
    assert len(read_csv("photos-labels-2.csv")) == 28
