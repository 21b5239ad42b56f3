"""Going on with a run: when it was asked to stop, when its folder is damaged, when something has changed meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys

import harness
import pytest
import torch
from harness import LONG, in_child, newest_checkpoint, overridden, snapshot, watched

import sslkit.environment
from sslkit import cli
from sslkit.errors import RunError
from sslkit.folder import Run

FILES = ("state.json", "state.safetensors", "checksums.json")


def checkpoints(run):
    return sorted((run.folder / "checkpoints").iterdir())


def events(run):
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


# Asked to stop ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LONG)
def test_a_signal_saves_and_says_how_to_go_on(trial, name):
    """At a step of its own, in each recipe's last generation."""
    run = trial(name)
    assert run.stop_at("step", run.points["step"] - 2) == "interrupted"
    assert f"sslkit run --resume {run.folder}" in run.log.read_text() and "SIGTERM" in run.log.read_text()
    steps = run.tree()["step"]
    assert checkpoints(run)[-1].name.endswith(f"step-{steps}") and steps == Run(run.folder).recipe().settings.steps - 1
    assert Run(run.folder).summary["status"] == "interrupted"
    assert events(run)[-1]["kind"] == "failure" and events(run)[-1]["reason"] == "interrupted"
    run.finish()


@pytest.mark.parametrize(("number", "where"), [
    (signal.SIGTERM, ("label", 0)), (signal.SIGINT, ("label", 8)), (signal.SIGINT, ("step", 0)),
    (signal.SIGTERM, ("evaluate", 0)), (signal.SIGINT, ("step", 6)),
])  # fmt: skip
def test_asked_anywhere(trial, number, where):
    """While labeling, at the first step, while measuring, after a generation's last step: nothing done is lost."""
    run = trial("both")
    assert run.stop_at(*where, [number]) == "interrupted"
    saved = run.tree() if newest_checkpoint(run.folder) else None
    if where == ("step", 6):  # all steps of a generation are saved before stopping; it is measured when it goes on
        assert saved["step"] == 7 and saved["entry"] is None
    run.finish()


def test_asked_in_the_baseline(trial):
    """The folder to resume is the run's, not the baseline's inside."""
    run = trial("mean_teacher")
    assert run.stop_at("step", 3) == "interrupted"
    assert f"--resume {run.folder}\n" in run.log.read_text()
    assert Run(run.folder / "baseline").summary["status"] == Run(run.folder).summary["status"] == "interrupted"
    run.finish()


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.torture), 2])
def test_ctrl_c_reaches_data_workers_too(trial, workers):
    run = overridden(trial("fixmatch"), workers=workers)
    assert run.stop_at("step", 9, [signal.SIGINT], group=True) == "interrupted"
    assert "Traceback" not in run.log.read_text()
    run.finish(but=["recipe.toml", "baseline/recipe.toml"])


def test_a_second_ctrl_c_does_not_wait(trial):
    run = trial("twin")

    def doomed():
        with watched("step", 4, action=lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]):
            cli.cli.main(["run", str(run.job.recipe), "--out", str(run.folder), "--device", "cpu"])

    assert in_child(doomed, run.log) == "interrupted"  # exit code 130
    assert run.tree()["step"] == 4  # what was due: the step of the signal was not waited for
    run.finish()


def test_the_command_line_exits_with_130_and_goes_on(trial):
    run = trial("twin")

    def stopped():
        with watched("step", 4, action=lambda: os.kill(os.getpid(), signal.SIGTERM)):
            cli.cli.main(["run", str(run.job.recipe), "--out", str(run.folder), "--device", "cpu"])

    assert in_child(stopped, run.log) == "interrupted"
    said = run.log.read_text()
    assert said.count(f"sslkit run --resume {run.folder}") == 1 and "Traceback" not in said
    assert run.tree()["step"] == 5
    resumed = in_child(lambda: cli.cli.main(["run", "--resume", str(run.folder), "--device", "cpu"]), run.log)
    assert resumed == "finished", run.log.read_text()
    run.compare()


# Where it goes on -------------------------------------------------------------------------------------------------


def test_before_the_first_checkpoint(trial):
    run = trial("noisy_student")
    assert run.kill_at("step", 18 + 1) == "killed"  # the baseline has as many steps as three generations
    assert newest_checkpoint(run.folder) is None
    run.finish()


def test_a_finished_run_stays_as_it_is(trial):
    run = trial("pool")
    run.finish()
    files = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.folder.rglob("*") if path.is_file()}
    run.finish()
    assert files == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in run.folder.rglob("*") if p.is_file()}


def test_two_checkpoints_are_kept(trial):
    run = trial("twin")
    for at in (1, 3, 6, 6):
        run.kill_at("step", at)
        assert len(checkpoints(run) if (run.folder / "checkpoints").exists() else []) <= 2
    run.finish()
    assert [path.name for path in checkpoints(run)] == ["generation-1-step-6", "generation-1-step-7"]


def test_a_checkpoint_holds_everything(trial):
    """What the other tests compare is there: each memory has moved away from where it began."""
    run = trial("pool")
    assert run.stop_at("step", run.points["step"] - 10) == "interrupted"  # in the generation that goes on
    tree = run.tree()
    assert (tree["generation"], tree["step"]) == (1, 5)
    state = tree["state"]
    assert any(not torch.equal(state["average"][name], tensor) for name, tensor in state["student"].items())
    assert {"exp_avg", "exp_avg_sq", "step"} <= set(state["optimizer"]["state"]["model.fc.weight"])
    assert state["selected"]["step"] == 3 and state["selected"]["weights"].keys() == state["student"].keys()
    assert len(state["labeled"]["index"]) == 9 + 4 and state["labeled"]["origin"].sum() == 4
    plugins = state["plugins"]
    assert plugins.keys() == {"drift", "carry", "prior", "promote", "supervised", "distillation", "fading", "counting",
                              "jsonl", "ledger"}  # fmt: skip
    assert plugins["drift"]["calls_"] > 5 and plugins["drift"]["shift_"].abs().sum() > 0
    assert plugins["carry"]["last_"] is not None and plugins["supervised"]["steps_"] == 12
    assert tree["journal"]["values"], "a log line was due at step 6"
    run.finish()


def test_a_teacher_of_its_own_is_saved(trial):
    run = trial("both")
    assert run.stop_at("step", 5) == "interrupted"
    state = run.tree()["state"]
    assert state["teachers"].keys() == {"step"}
    assert any(not torch.equal(tensor, state["student"][name]) for name, tensor in state["teachers"]["step"].items())
    run.finish()


def test_a_second_model_is_saved_with_its_optimizer(trial):
    run = trial("twin")
    assert run.stop_at("step", 4) == "interrupted"
    state = run.tree()["state"]
    assert state["trainables"]["twin"].keys() == state["student"].keys()
    assert state["optimizers"]["twin"]["state"].keys() == {
        n for n in state["student"] if n.endswith((".weight", ".bias"))
    } - {"heads.extra.weight", "heads.extra.bias"}  # which the twin is never asked for
    run.finish()


@pytest.mark.parametrize("optimizer", [
    "sgd", "adamw", pytest.param("rmsprop", marks=pytest.mark.torture), pytest.param("lamb", marks=pytest.mark.torture),
])  # fmt: skip
def test_optimizers(trial, optimizer):
    """One generation goes on with the last one's optimizer; both are stopped after a checkpoint's step."""
    run = trial("twin", **{"optimizer.name": optimizer})
    assert run.stop_at("step", 4) == "interrupted"
    assert run.kill_at("step", 5) == "killed"
    run.finish()


# Damage -----------------------------------------------------------------------------------------------------------


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def alter(path):
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def with_two_checkpoints(run):
    assert run.kill_at("step", 5) == "killed"
    older, newer = checkpoints(run)
    assert (older.name, newer.name) == ("generation-0-step-2", "generation-0-step-4")
    return older, newer


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", [
    cut, alter, pytest.param(empty, marks=pytest.mark.torture), pytest.param(os.remove, marks=pytest.mark.torture),
], ids=lambda harm: harm.__name__)  # fmt: skip
def test_a_damaged_checkpoint_is_found_and_the_one_before_it_used(trial, file, harm):
    run = trial("twin")
    _, newer = with_two_checkpoints(run)
    harm(newer / file)
    (warning,) = run.finish()
    assert newer.name in warning and "damaged" in warning and file in warning and "before it" in warning


def test_a_checkpoint_with_a_foreign_file_is_not_trusted(trial):
    run = trial("twin")
    _, newer = with_two_checkpoints(run)
    (newer / "checksums.json").write_text("{}")
    (warning,) = run.finish()
    assert "checksums.json does not name state." in warning


def test_without_a_whole_checkpoint_it_starts_over(trial):
    run = trial("twin")
    for path in with_two_checkpoints(run):
        alter(path / "state.safetensors")
    first, second = run.finish(but=["metrics.jsonl"])
    assert "generation-0-step-4" in first and "before it" in first
    assert "generation-0-step-2" in second and "starting over" in second
    start, *rest = events(run)
    assert start["warnings"] == [first, second]
    assert harness.timeless(rest) == run.expected["metrics.jsonl"][1:]


def test_starting_over_in_a_later_generation(trial):
    """Models and pseudo-labels of before are there, and are made or taken again in the same bits."""
    run = trial("pool")
    assert run.stop_at("step", run.points["step"] - 3) == "interrupted"
    assert len(list((run.folder / "labels").iterdir())) == 2
    for path in checkpoints(run):
        cut(path / "state.safetensors")
    assert len(run.finish(but=["metrics.jsonl"])) == 2


def test_damaged_pseudo_labels_are_found_and_made_again_as_the_message_says(trial):
    run = trial("pool")
    assert run.stop_at("step", run.points["step"] - 12) == "interrupted"  # in generation 1
    shutil.copytree(run.folder, run.folder.with_name("gone"))
    alter(run.folder / "labels/generation-1/labels.safetensors")
    said = run.refused()
    assert "labels.safetensors was altered" in said
    assert "labels/generation-1" in said and "checkpoints/generation-1-*" in said
    shutil.rmtree(run.folder / "labels/generation-1")
    assert "are gone" in run.refused()
    for path in (run.folder / "checkpoints").glob("generation-1-*"):
        shutil.rmtree(path)
    run.finish()


def test_another_teachers_labels_are_not_used(trial):
    """Labels name the teacher that made them by its hash: when it is another one, they are made anew."""
    run = trial("both")
    assert run.kill_at("step", 7) == "killed"
    labels = run.folder / "labels/generation-1"
    manifest = json.loads((labels / "manifest.json").read_text())
    manifest["teacher"]["sha256"] = "0" * 64
    (labels / "manifest.json").write_text(json.dumps(manifest))
    sums = json.loads((labels / "checksums.json").read_text())
    sums["manifest.json"] = harness.artifacts._sha256(labels / "manifest.json")
    (labels / "checksums.json").write_text(json.dumps(sums))
    run.finish()


def test_a_damaged_model_is_named(trial):
    run = trial("both")
    assert run.stop_at("step", 8) == "interrupted"
    cut(run.folder / "models/generation-0/model.safetensors")
    said = run.refused()
    assert "models/generation-0" in said and "model.safetensors was altered or cut off" in said


@pytest.mark.parametrize("harm", [cut, empty, os.remove], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("when", ["stopped", "finished"])
def test_a_damaged_summary_is_written_anew(trial, harm, when):
    run = trial("twin")
    run.kill_at("step", 8) if when == "stopped" else run.finish()
    harm(run.folder / "summary.json")
    with pytest.raises(RunError, match=rf"summary\.json cannot be read.*--resume {run.folder}"):
        _ = Run(run.folder).summary
    run.finish()


# Changes meanwhile ------------------------------------------------------------------------------------------------


def test_another_recipe_is_refused_with_what_differs(trial):
    run = trial("pool")
    assert run.kill_at("step", 30) == "killed"
    said = run.refused(overrides={"optimizer.rate": 0.5, "noise.randaugment.magnitude": 9})
    assert "optimizer.rate: 0.01 -> 0.5" in said and "noise.randaugment.magnitude: 5.0 -> 9.0" in said
    assert "seed: 0 -> 3" in run.refused(seed=3)
    assert "another recipe" in run.refused(recipe="supervised")
    run.finish()


def test_the_same_recipe_beside_a_run_folder_is_no_other(trial):
    run = trial("pool")
    assert run.kill_at("step", 30) == "killed"
    assert in_child(lambda: harness.run(run.job.recipe, resume=run.folder, seed=0, device="cpu"), run.log) == "finished"
    run.compare()


@pytest.mark.parametrize(
    "at", [pytest.param(3, marks=pytest.mark.torture), 25, pytest.param(30, marks=pytest.mark.torture)]
)
def test_an_edited_recipe_in_the_folder_is_refused(trial, at):
    """In the baseline, before the first checkpoint, after it: what was done so far was done by the old one."""
    run = trial("pool")
    assert run.kill_at("step", at) == "killed"
    recipe = run.folder / "recipe.toml"
    text = recipe.read_text()
    recipe.write_text(text.replace("rate = 0.01", "rate = 0.02"))
    assert recipe.read_text() != text
    assert "optimizer.rate: 0.01 -> 0.02" in run.refused()
    recipe.write_text(text)
    run.finish()


def test_an_edited_plugin_file_is_refused(trial, tmp_path):
    for name in ("stateful.py", "recipes"):
        source = harness.HERE / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    run = trial("twin")
    run.job = harness.Job(tmp_path / "recipes/twin.toml")
    assert run.kill_at("step", 5) == "killed"
    plugins = tmp_path / "stateful.py"
    text = plugins.read_text()
    plugins.write_text(text.replace("0.05 * noise", "0.06 * noise"))
    assert f"files.{plugins}" in run.refused()
    plugins.write_text(text)
    run.finish(but=["recipe.toml"])


def test_workers_and_trackers_may_change(trial):
    run = trial("twin")
    assert run.kill_at("step", 5) == "killed"
    recipe = run.folder / "recipe.toml"
    text = recipe.read_text()
    recipe.write_text(text.replace("workers = 0", "workers = 1"))
    assert run.finish(but=["recipe.toml"]) == []


def test_other_threads_and_versions_are_said(trial, monkeypatch):
    run = trial("twin")
    assert run.kill_at("step", 5) == "killed"
    before = newest_checkpoint(run.folder)
    others = dict.fromkeys(sslkit.environment.versions(), "9.9")
    monkeypatch.setattr(sslkit.environment, "versions", lambda: others)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    (newer, *_) = [harness.artifacts.load_tree(before, "state")["environment"]]
    warned = run.finish(but=["environment.json", *_checkpoint_files(run)])
    names = ["torch", "timm", "numpy", "opencv-python-headless", "pillow", "albumentations"]
    names += ["scikit-learn", "threads"]
    assert [line.split()[0] for line in warned] == names
    assert f"torch was {newer['torch']}, is 9.9: the resumed run may differ in its bits" in warned
    assert "threads was 1, is 7: the resumed run may differ in its bits" in warned


def _checkpoint_files(run):
    return [name for name in run.expected if name.startswith("checkpoints/") and name.endswith("state.json")]


def test_other_data_is_refused_and_data_in_another_order_is_said(trial, monkeypatch):
    run = trial("twin")
    assert run.kill_at("step", 5) == "killed"
    monkeypatch.setattr(sslkit.environment, "fingerprint", lambda data: "other")
    (warning,) = run.finish(but=_checkpoint_files(run))
    assert warning.startswith("data was ") and "is other" in warning

    more = trial("twin", "more")
    monkeypatch.undo()
    assert more.kill_at("step", 5) == "killed"
    splits = sslkit.dataset.Data.splits.fget
    monkeypatch.setattr(sslkit.dataset.Data, "splits", property(lambda d: {**splits(d), "test": splits(d)["labeled"]}))
    said = more.refused()
    assert "data" in said and "has changed" in said and "'test': 12" in said and "'test': 9" in said


def test_results_do_not_depend_on_workers(trial):
    run = trial("pool")
    for workers in (1, 2):
        again = overridden(trial("pool", f"workers-{workers}"), workers=workers)
        again.finish(but=["recipe.toml", "baseline/recipe.toml"])
    run.finish()


def test_a_fresh_process_goes_on_in_the_same_bits(trial):
    """Everything above forks one process; here another interpreter does the rest."""
    run = trial("twin")
    assert run.kill_at("step", 5) == "killed"
    command = [
        sys.executable,
        "-c",
        "from sslkit.cli import main; main()",
        "run",
        "--resume",
        str(run.folder),
        "--device",
        "cpu",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    run.compare()
    assert snapshot(run.folder)
