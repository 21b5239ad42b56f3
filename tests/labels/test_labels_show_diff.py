"""`sslkit labels show` and `diff`: pseudo-labels counted and compared, with the data or without, whatever the run."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from hostile import CLASSES, SOURCE, made

from sslkit.dataset import UNKNOWN, Images
from sslkit.errors import RunError
from sslkit.folder import Run
from sslkit.pool import TopK
from sslkit.pseudo_labels.flows import Change
from sslkit.pseudo_labels.stored import probability_of, stored
from sslkit.pseudo_labels.tally import tally
from sslkit.store import save_labels, save_samples
from sslkit.types import Targets


def shown(labels, *args):
    return json.loads(labels("show", *args, "--json"))


# Show -------------------------------------------------------------------------------------------------------------


def test_the_counts_are_those_of_plain_loops(run, labels):
    truth, targets, found = run.samples().truth.tolist(), made(len(run.samples()), 2), shown(labels, "photos")
    for number, line in enumerate(found["classes"]):
        rows = [row for row in range(len(truth)) if row % 3 == number]
        kept = [row for row in rows if row % 7]
        known = [row for row in rows if truth[row] >= 0]
        assert line["class"] == CLASSES[number]
        assert line["images"] == len(rows)
        assert line["confidence"] == pytest.approx(targets.confidence[rows].mean().item(), rel=1e-5)
        assert line["kept_share"] == pytest.approx(len(kept) / len(rows))
        assert line["accuracy"] == pytest.approx(np.mean([truth[row] == number for row in known]))
        both = [row for row in known if row in kept]
        assert line["kept_accuracy"] == pytest.approx(np.mean([truth[row] == number for row in both]))
    assert found["total"]["images"] == len(truth)
    assert found["outside"]["images"] == 3 == truth.count(-2)


def test_it_says_where_the_labels_come_from(run, labels):
    found, manifest = shown(labels, "photos"), run.manifest(2)
    assert {key: found[key] for key in SOURCE} == {key: manifest[key] for key in SOURCE}
    assert found["teacher"]["generation"] == 1
    assert len(found["teacher"]["sha256"]) == 64
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["made"])
    text = labels("show", "photos")
    assert f"made by generation 1 ({manifest['teacher']['sha256'][:12]})" in text
    assert f"recipe photos ({manifest['recipe'][:12]})" in text


def test_the_last_generation_is_shown_unless_another_is_asked_for(here, labels, refused):
    assert shown(labels, "photos")["generation"] == 2 == shown(labels, "photos", "--generation", -1)["generation"]
    assert shown(labels, "photos", "--generation", 1)["generation"] == 1 == shown(labels, "photos", "--generation", -2)["generation"]  # fmt: skip
    assert shown(labels, "photos")["generations"] == [1, 2]
    assert "labels of generation 1 are there, too" in labels("photos")
    for number in (0, 3, -3):
        assert f"no pseudo-labels for generation {number}; it has some for 1, 2" in refused("show", "photos", "--generation", number)  # fmt: skip


def test_bare_it_shows(here, labels):
    assert labels("photos") == labels("show", "photos") == labels("show", "runs/photos") == labels("runs/photos")
    assert json.loads(labels("runs/photos", "--generation", 1, "--json"))["generation"] == 1


def test_a_misspelt_command_or_run_gets_a_suggestion(here, refused):
    assert "Did you mean `export`?" in refused("exprt", "photos")
    assert "Did you mean `photos`?" in refused("photoz")
    assert "Did you mean `runs/photos`?" in refused("show", "runs/phot")


def test_a_run_that_is_called_as_a_command(here, labels):
    shutil.copytree("runs/photos", "show")
    assert shown(labels, "./show")["run"] == "show"
    assert "labels of generation 2" in labels("./show")


def test_names_do_no_harm_to_a_terminal(run, labels):
    targets = made(len(run.samples()), 2)
    targets.probs = targets.raw = targets.raw.roll(1, 1)  # every image changes
    save_labels(run.folder / "labels" / "generation-1", targets, CLASSES, {}, {})
    text = labels("show", "photos") + labels("diff", "photos", 1, 2, "--limit", 50)
    text = re.sub(r"\s+$", "", text, flags=re.MULTILINE)
    assert "new\\nline" in text
    assert "\\xe9" in text
    assert "new\nline" not in text


def test_neither_needs_the_data(here, gone, labels):
    assert shown(labels, "photos")["total"]["accuracy"] is not None
    assert json.loads(labels("diff", "photos", 1, 2, "--json"))["samples"]


def test_a_run_without_a_list_of_images_opens_its_data(run, labels):
    before = labels("show", "photos"), labels("diff", "photos", 1, 2)
    shutil.rmtree(run.folder / "samples")
    assert (labels("show", "photos"), labels("diff", "photos", 1, 2)) == before


def test_without_list_and_data_the_classes_are_counted_all_the_same(run, gone, labels, refused):
    shutil.rmtree(run.folder / "samples")
    assert shown(labels, "photos")["total"] | {"confidence": 0} == {
        "images": 28, "confidence": 0, "kept_share": 24 / 28, "accuracy": None, "kept_accuracy": None
    }  # fmt: skip
    assert "true classes are not known" in labels("photos")
    assert "data cannot be opened" in refused("diff", "photos", 1, 2)


@pytest.mark.parametrize(
    ("way", "said"),
    [("step", "labels images anew at each step"), ("none", "its recipe makes none"), ("pool", "none were made yet")],
)
def test_runs_without_pseudo_labels_say_why_and_what_to_do(run, way, said, refused):
    shutil.rmtree(run.folder / "labels")
    path = run.folder / "recipe.toml"
    path.write_text(re.sub(r'labels = "pool"', f'labels = "{way}"', path.read_text()))
    text = " ".join(refused("photos").split())
    assert said in text
    assert ("sslkit status" if way == "pool" else "sslkit predict") in text


def test_damaged_labels_are_told(run, refused):
    (run.folder / "labels" / "generation-2" / "manifest.json").write_text("{")
    assert "are damaged" in refused("photos")


# Diff -------------------------------------------------------------------------------------------------------------


def test_the_flows_are_those_of_plain_loops(run, labels):
    truth = run.samples().truth.tolist()
    found = json.loads(labels("diff", "photos", 1, 2, "--json"))
    rows = [row for row in range(len(truth)) if row % 4 == 0]
    assert found["changed"] == len(rows) == len(found["samples"])
    for flow in found["flows"]:
        old, new = CLASSES.index(flow["from"]), CLASSES.index(flow["to"])
        went = [row for row in rows if ((row + 1) % 3, row % 3) == (old, new)]
        assert flow["images"] == len(went)
        assert flow["known"] == sum(truth[row] >= 0 for row in went)
        assert (flow["right_before"], flow["right_after"]) == tuple(
            sum(truth[row] == number for row in went) for number in (old, new)
        )
    assert sum(flow["images"] for flow in found["flows"]) == len(rows)
    assert found["newly_kept"] == sum(row % 5 == 0 and row % 7 != 0 for row in range(len(truth)))
    assert found["newly_dropped"] == sum(row % 7 == 0 and row % 5 != 0 for row in range(len(truth)))
    ids = run.samples().ids(slice(None))
    assert {one["id"] for one in found["samples"]} == {ids[row] for row in rows}
    sure = [one["confidence_after"] for one in found["samples"]]
    assert sure == sorted(sure, reverse=True)


def test_the_other_way_round_is_the_other_way_round(here, labels):
    there, back = (json.loads(labels("diff", "photos", *pair, "--json")) for pair in ((1, 2), (2, 1)))
    assert there["newly_kept"] == back["newly_dropped"]
    assert {(flow["from"], flow["to"]) for flow in there["flows"]} == {(f["to"], f["from"]) for f in back["flows"]}


def test_a_list_is_as_long_as_it_is_wanted(here, labels):
    assert "and 5 more" in labels("diff", "photos", 1, 2, "--limit", 2)
    assert ".png" not in labels("diff", "photos", 1, 2, "--limit", 0)


def test_generations_that_are_the_same(here, labels):
    assert "0 of 28 images changed class (0.0%)" in labels("diff", "photos", 2, 2)
    assert json.loads(labels("diff", "photos", 2, 2, "--json"))["samples"] == []


# Many classes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path):
    """A run's labels of 60 classes, of each row the four most probable; two generations."""
    images = Images([f"{i}" for i in range(500)], lambda rows: [], np.full(500, UNKNOWN))
    save_samples(tmp_path / "samples", images)
    for generation in (1, 2):
        probs = torch.rand(500, 60, generator=torch.Generator().manual_seed(generation)).softmax(1)
        targets = Targets.of(torch.arange(500), probs)
        targets.raw = targets.probs = TopK.of(probs, 4)
        folder = tmp_path / "labels" / f"generation-{generation}"
        save_labels(folder, targets, tuple(map(str, range(60))), {"teacher": {}}, {})
    return Run(tmp_path)


def test_the_most_probable_classes_are_enough(many):
    one = stored(many)
    assert sum(line.images for line in tally(one).classes.values()) == 500
    assert one.confidence.tolist() == pytest.approx(one.targets.confidence.tolist())
    assert sum(flow.images for flow in Change(one.at(1), one).flows) == len(Change(one.at(1), one).rows)


def test_the_probability_of_a_class_that_is_not_kept_is_its_share_of_the_rest():
    probs = torch.rand(9, 40, generator=torch.Generator().manual_seed(0)).softmax(1)
    top, label = TopK.of(probs, 3), torch.arange(9)
    expected = top.dense().gather(1, label[:, None])[:, 0]
    assert torch.equal(probability_of(top, label, slice(0, 9)), expected)
    assert torch.equal(probability_of(probs, label, slice(2, 5)), probs.gather(1, label[:, None])[2:5, 0])


def test_confidence_is_the_teachers_where_labels_are_hard(tmp_path):
    save_samples(tmp_path / "samples", Images(["a", "b"], lambda rows: [], np.full(2, UNKNOWN)))
    raw = torch.tensor([[0.7, 0.3], [0.4, 0.6]])
    hard = Targets(torch.arange(2), raw, torch.eye(2), torch.ones(2), torch.ones(2))
    save_labels(tmp_path / "labels" / "generation-1", hard, ("x", "y"), {}, {})
    assert stored(Run(tmp_path)).confidence.tolist() == pytest.approx([0.7, 0.6])


def test_samples_of_other_data_are_refused(run):
    shutil.rmtree(run.folder / "samples")
    save_samples(run.folder / "samples", Images(["a"], lambda rows: [], np.full(1, UNKNOWN)))
    with pytest.raises(RunError, match="not of the same data"):
        stored(run).samples  # noqa: B018
