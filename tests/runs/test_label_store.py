"""What a run keeps of its pseudo-labels: one file that others read, mapped into memory; whence they come; of what."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import fork, wait, watched
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import sslkit
from sslkit import __version__
from sslkit.artifacts import CHECKSUMS, _sha256, write_tensors
from sslkit.dataset import OUTSIDE, UNKNOWN, Data, Images
from sslkit.errors import RunError
from sslkit.folder import Run
from sslkit.labels import labels_report
from sslkit.pool import TopK
from sslkit.recipe import load
from sslkit.recipe.model import hash_of
from sslkit.store import load_labels, load_samples, save_labels, save_samples
from sslkit.types import Targets


def pool(rows=30, classes=5, top=None):
    probs = torch.rand(rows, classes, generator=torch.Generator().manual_seed(0)).softmax(1)
    made = Targets.of(torch.arange(rows), probs)
    if top:
        made.raw = made.probs = TopK.of(probs, top)
    return replace(made, weight=(torch.arange(rows) % 3).float())


def store(folder, stored, **source):
    save_labels(folder, stored, tuple(map(str, range(stored.probs.shape[1]))), source, {"a": {"b": torch.ones(2)}})


def same(one, other):
    for name in Targets.columns:
        assert torch.equal(getattr(one, name)[:], getattr(other, name)[:]), name


# The file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.int16, torch.bool])
def test_others_read_the_file(tmp_path, dtype):
    tensors = {
        "odd ü": torch.arange(3).to(torch.uint8),
        "a": torch.arange(12).reshape(3, 4).to(dtype),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "none": torch.empty(0, 3),
    }
    write_tensors(tmp_path / "x.safetensors", tensors)
    read = load_file(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)
    with safe_open(tmp_path / "x.safetensors", framework="np") as opened:
        assert set(opened.keys()) == tensors.keys()
    assert np.fromfile(tmp_path / "x.safetensors", "<u8", 1)[0] % 8 == 0, "aligned, so that it can be mapped"


@pytest.mark.parametrize("top", [None, 2])
def test_labels_come_back_as_they_were(tmp_path, top):
    made = pool(top=top)
    store(tmp_path / "labels", made, generation=1)
    for whole in (True, False):
        back, manifest, plugins = load_labels(tmp_path / "labels", whole)
        same(back, made)
        assert isinstance(back.raw, TopK) == isinstance(back.probs, TopK) == bool(top)
        assert (manifest["rows"], manifest["kept"], manifest["top"]) == (30, 20, top)
        assert bool(plugins) == whole
    columns = load_file(tmp_path / "labels/labels.safetensors")
    assert torch.equal(columns["label"], made.label) and torch.equal(columns["confidence"], made.confidence)


def shards(folder, made):
    """As they were stored before."""
    folder.mkdir()
    parts = []
    for start in (0, 20):
        rows = made.rows(torch.arange(start, min(start + 20, 30)))
        file = f"shard-{start // 20:05}.safetensors"
        columns = {name: getattr(rows, name).clone() for name in Targets.columns}
        save_file({**columns, "label": rows.label, "confidence": rows.confidence}, folder / file)
        parts.append({"file": file, "rows": len(rows.index)})
    classes = list(map(str, range(made.probs.shape[1])))
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "rows": 30, "classes": classes, "shards": parts}))
    save_file({}, folder / "plugins.safetensors")
    (folder / "plugins.json").write_text('{"dict": {}}')
    (folder / CHECKSUMS).write_text(json.dumps({path.name: _sha256(path) for path in folder.iterdir()}))


def test_labels_of_earlier_versions_are_opened(tmp_path):
    made = pool()
    shards(tmp_path / "labels", made)
    for whole in (True, False):
        same(load_labels(tmp_path / "labels", whole)[0], made)


def resident():
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def opens_by_map(folder, size):
    """In a child: nothing is read until it is touched; a row brings in its pages alone."""
    load_labels(folder.with_name("small"), whole=False)[0].rows(torch.tensor([0]))  # what is imported, is
    before = resident()
    stored = load_labels(folder, whole=False)[0]
    opened = resident() - before
    assert opened < size / 4, f"opening took {opened:,} of {size:,} bytes"
    stored.rows(torch.tensor([len(stored.index) // 2]))
    assert resident() - before < size / 2  # pages may be of 2 MB, one for each column
    assert float(stored.weight.sum()) >= 0  # a whole column
    assert resident() - before >= stored.weight.nbytes / 2, "or nothing of this was measured"


def check_map(tmp_path, rows, classes, top):
    values = {"index": torch.arange(rows), "weight": torch.ones(rows), "copies": torch.ones(rows)}
    if top:
        kept = torch.zeros(rows, top, dtype=torch.int16), torch.full((rows, top), 0.1), torch.zeros(rows)
        probs = TopK(*kept, classes)
    else:
        probs = torch.full((rows, classes), 1 / classes)
    store(tmp_path / "labels", Targets(**values, raw=probs, probs=probs))
    store(tmp_path / "small", pool(top=top and 2))
    size = (tmp_path / "labels/labels.safetensors").stat().st_size
    assert wait(fork(lambda: opens_by_map(tmp_path / "labels", size), tmp_path / "log")) == "finished", (
        tmp_path / "log"
    ).read_text()


@pytest.mark.parametrize("top", [None, 10])
def test_opening_reads_nothing(tmp_path, top):
    check_map(tmp_path, 400_000, 100 if top else 10, top)


@pytest.mark.torture
def test_ten_million_labels_open_by_map(tmp_path):
    check_map(tmp_path, 10_000_000, 1000, 10)


# Damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path):
    """More bytes than those who only look will read."""
    store(tmp_path / "labels", pool(rows=20_000))
    assert (tmp_path / "labels/labels.safetensors").stat().st_size > 1_000_000
    return tmp_path / "labels"


HARM = {
    "cut off": lambda f: f.write_bytes(f.read_bytes()[:-1]),
    "empty": lambda f: f.write_bytes(b""),
    "longer": lambda f: f.write_bytes(f.read_bytes() + b"\0"),
    "gone": lambda f: f.unlink(),
}


@pytest.mark.parametrize("file", ["labels.safetensors", "manifest.json", "plugins.json", CHECKSUMS])
@pytest.mark.parametrize("harm", HARM)
def test_damage_is_found_by_those_who_only_look(large, file, harm):
    HARM[harm](large / file)
    with pytest.raises(RunError, match=f"the pseudo-labels in {large} are damaged .*and resume"):
        load_labels(large, whole=False)


def test_a_stray_file(large):
    (large / "x").write_text("")
    with pytest.raises(RunError, match="does not name x"):
        load_labels(large, whole=False)


def test_an_altered_byte_is_found_by_those_who_go_on(large):
    data = bytearray((large / "labels.safetensors").read_bytes())
    data[-1] ^= 1
    (large / "labels.safetensors").write_bytes(data)
    load_labels(large, whole=False)
    with pytest.raises(RunError, match=r"labels\.safetensors was altered or cut off"):
        load_labels(large)


# Samples ----------------------------------------------------------------------------------------------------------

IDS = ["a/1.png", "", "ü\n\"<b>'.png", b"\xff\xfe raw".decode("utf-8", "surrogateescape"), "日本"]


def images(ids=tuple(IDS), truth=(0, 1, OUTSIDE, UNKNOWN, 2)):
    return Images(list(ids), lambda rows: [], np.array(truth, dtype=np.int64))


def test_samples_come_back_as_they_were(tmp_path):
    save_samples(tmp_path / "samples", images())
    back = load_samples(tmp_path / "samples")
    assert len(back) == 5 and back.truth.tolist() == [0, 1, OUTSIDE, UNKNOWN, 2]
    assert back.ids(slice(None)) == IDS and back.ids(slice(1, 4, 2)) == IDS[1:4:2]
    assert (
        back.ids([4, 0, 4]) == [IDS[4], IDS[0], IDS[4]] and back.ids(torch.tensor([1])) == [""] and back.ids([]) == []
    )
    for wrong in ([5], [-1]):
        with pytest.raises(IndexError, match="there are 5 samples"):
            back.ids(wrong)


def test_samples_without_a_name_in_them(tmp_path):
    save_samples(tmp_path / "samples", images([""], [UNKNOWN]))
    assert load_samples(tmp_path / "samples").ids([0]) == [""]


@pytest.mark.parametrize("harm", HARM)
def test_damaged_samples(tmp_path, harm):
    save_samples(tmp_path / "samples", images())
    HARM[harm](tmp_path / "samples/samples.safetensors")
    with pytest.raises(RunError, match=r"samples, which says .* is damaged \(.*it is written again"):
        load_samples(tmp_path / "samples")


# In runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A finished run whose labels keep one class of three."""
    from small import BASE

    folder = tmp_path_factory.mktemp("few")
    (folder / "tiny.toml").write_text(f"label_top = 1\n{BASE}")
    torch.set_num_threads(1)
    return sslkit.run(folder / "tiny.toml", out=folder / "run", device="cpu")


def test_labels_say_whence_they_come(few):
    manifest = few.manifest(1)
    assert manifest == json.loads((few.folder / "labels/generation-1/manifest.json").read_text())
    sums = json.loads((few.folder / "models/generation-0" / CHECKSUMS).read_text())
    assert manifest["teacher"] == {"generation": 0, "sha256": sums["model.safetensors"]}
    named = {
        name: manifest[name] for name in ("generation", "recipe", "recipe_name", "seed", "sslkit", "classes", "top")
    }
    assert named == {
        "generation": 1, "recipe": few.summary["recipe_hash"], "recipe_name": "tiny", "seed": 0,
        "sslkit": __version__, "classes": ["a", "b", "c"], "top": 1,
    }  # fmt: skip


def test_samples_name_the_pools_images(few):
    samples = few.samples()
    assert samples.ids(slice(None)) == [f"unlabeled/{i}" for i in range(40)]
    assert samples.truth.tolist() == [i % 3 for i in range(40)] and len(samples) == len(few.labels(1).index)


def test_the_most_probable_class_teaches_the_same_after_a_resume(few, tmp_path):
    def stop():
        raise RunError("stop")

    folder = tmp_path / "run"
    with watched("step", 6, action=stop), pytest.raises(RunError, match="stop"):
        sslkit.run(few.folder.parent / "tiny.toml", out=folder, device="cpu")
    assert isinstance(few.labels(1).probs, TopK)
    resumed = sslkit.run(resume=folder, device="cpu")
    same(resumed.labels(1), few.labels(1))
    for one, other in zip(resumed.model().parameters(), few.model().parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_rest_is_spread_over_the_others(few):
    rows = few.labels(1).rows(slice(None)).probs
    best, others = rows.sort(dim=1, descending=True).values.split([1, 2], 1)
    assert torch.equal(others[:, 0], others[:, 1]) and (best > others).all()
    torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)))


def as_before(folder):
    """Make a run folder one of the version before: shards, no samples, a recipe that does not know of `label_top`."""
    shutil.rmtree(folder / "samples")
    lines = (folder / "recipe.toml").read_text().splitlines(keepends=True)
    assert any(line.startswith("label_top") for line in lines)
    (folder / "recipe.toml").write_text("".join(line for line in lines if not line.startswith("label_top")))


def test_a_run_of_before_is_opened_and_resumed(recipe, out):
    def stop():
        raise RunError("stop")

    with watched("step", 6, action=stop), pytest.raises(RunError, match="stop"):
        sslkit.run(recipe(), out=out, device="cpu")
    as_before(out)
    assert len(Run(out).labels(1).index) == 40
    with pytest.raises(RunError, match="keeps no list of the images"):
        Run(out).samples()
    assert sslkit.run(resume=out, device="cpu").finished and len(Run(out).samples()) == 40


def test_a_digest_knows_of_label_top_where_it_is_another_one(recipe):
    loaded = load(recipe())
    without = {key: value for key, value in loaded.table.items() if key != "label_top"}
    assert hash_of(without) == loaded.hash != hash_of({**loaded.table, "label_top": 0})


# What is said -----------------------------------------------------------------------------------------------------


def test_images_of_no_class_are_counted_and_not_judged():
    stored = pool(rows=5, classes=3)
    stored.probs = torch.eye(3)[[0, 1, 0, 2, 1]]
    stored.weight = torch.tensor([1.0, 1, 1, 1, 0])
    data = Data(("a", "b", "c"), images("xy", (0, 1)), unlabeled=images(truth=(0, 2, OUTSIDE, UNKNOWN, OUTSIDE)))
    said = labels_report(stored, data)
    assert (said["outside"], said["outside_kept_share"]) == (2, 0.5)
    assert said["pseudo_label_accuracy"] == 0.5 and said["kept_share"] == 0.8


def test_images_that_are_labeled_too_do_not_judge_pseudo_labels():
    """A teacher was taught their labels."""
    stored = pool(rows=5, classes=3)
    stored.probs, stored.weight = torch.eye(3)[[0, 1, 2, 2, 1]], torch.ones(5)
    data = Data(("a", "b", "c"), images(IDS[:2], (0, 1)), unlabeled=images(truth=(0, 1, 0, UNKNOWN, 1)))
    assert data.hidden_truth.tolist() == [UNKNOWN, UNKNOWN, 0, UNKNOWN, 1]
    assert labels_report(stored, data)["pseudo_label_accuracy"] == 0.5
    data = Data(("a", "b", "c"), images(), unlabeled=images())
    assert labels_report(stored, data)["pseudo_label_accuracy"] is None
    data.unlabeled = images()
    data.unlabeled.truth[:] = 0
    said = labels_report(stored, data)
    assert (said["outside"], said["outside_kept_share"]) == (0, None)


def test_labels_are_told_with_the_time_left(recipe, out, monkeypatch):
    told = []
    monkeypatch.setattr("sslkit.keeping.lock.Lock.tell", lambda lock, **doing: told.append(doing.get("labels")))
    sslkit.run(recipe(), out=out, device="cpu")
    labels = [one for one in told if one]
    assert [one["done"] for one in labels] == [16, 32, 40] and labels[-1]["seconds_left"] == 0
    assert all(one["seconds_left"] > 0 for one in labels[:-1])
