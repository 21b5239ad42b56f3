"""`sslkit run --resume` without a path: which run it goes on with, and what it says where there is none."""

import os
import re
import signal

import harness
import pytest
from harness import fork, wait, watched
from test_lock import until

import sslkit
from sslkit.errors import RunError
from sslkit.folder import Run
from sslkit.keeping.lock import holder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def begin(path, at=5, **options):
    """A run that fails at a step."""
    with watched("step", at, action=lambda: (_ for _ in ()).throw(RunError("stop"))), pytest.raises(RunError):
        sslkit.run(path, device="cpu", **options)


def age(folder, seconds):
    """As if all of it had been written so long ago."""
    for path in [folder, *folder.rglob("*")]:
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def words(done):
    return " ".join(done.output.split())


def test_the_newest_unfinished_run_of_the_recipe(recipe, sslkit_cli, tmp_path):
    path = recipe()
    for seconds in (300, 100, 200):
        begin(path)
        age(max(tmp_path.glob("runs/*"), key=lambda p: p.stat().st_ctime), seconds)
    sslkit.run(path, device="cpu")
    begin(path, overrides={"optimizer.rate": 0.01})
    done = sslkit_cli("run", path, "--resume", "--device", "cpu")
    assert done.exit_code == 0, done.output
    said = "going on with runs/tiny-2, the newest of 3 unfinished runs (also runs/tiny-3, runs/tiny)"
    assert said in words(done) and done.stderr.startswith("going on with")
    states = {folder.name: Run(folder).summary["status"] for folder in tmp_path.glob("runs/*")}
    assert states == {
        "tiny": "failed",
        "tiny-2": "finished",
        "tiny-3": "failed",
        "tiny-4": "finished",
        "tiny-5": "failed",
    }
    assert harness.differences(harness.snapshot(tmp_path / "runs/tiny-4"), tmp_path / "runs/tiny-2") == []
    done = sslkit_cli("run", path, "--resume", "--device", "cpu", "--set", "optimizer.rate=0.01")
    assert done.exit_code == 0 and done.stderr == "going on with runs/tiny-5\n"


WAYS = [
    ["--resume", "tiny.toml"], ["--resume=tiny.toml"], ["tiny.toml", "--resume"], ["--resume"], ["--resume", "--seed", "0"],
    ["--resume", "--device", "cpu"], ["--resume", "runs/tiny"], ["--resume=runs/tiny"], ["tiny.toml", "--resume", "runs/tiny"],
]  # fmt: skip


def test_every_way_to_say_it(recipe, sslkit_cli, monkeypatch):
    begin(recipe(), at=0)
    calls = []
    monkeypatch.setattr("sslkit.runs.run", lambda recipe, **options: calls.append((recipe, options)))
    for args in WAYS:
        done = sslkit_cli("run", *args)
        assert done.exit_code == 0, (args, done.output)
        name, options = calls.pop()
        assert str(options["resume"]) == "runs/tiny" and options["out"] is None, args
        assert name == ("tiny.toml" if any("tiny.toml" in word for word in args) else None), args


def test_a_seed_beside_no_recipe_is_one_that_the_run_has(recipe, refused, sslkit_cli):
    begin(recipe(), at=0, overrides={"seed": 4})
    said = refused("run", "--resume", "--seed", "3")
    assert "there is no unfinished run with these settings in runs/" in said and "\n      seed: 4 -> 3\n" in said
    assert sslkit_cli("run", "--resume", "--seed", "4", "--device", "cpu").exit_code == 0


def test_a_folder_goes_before_a_recipe_of_its_name(recipe, sslkit_cli, tmp_path):
    begin(recipe(), out="supervised", at=0)
    assert sslkit_cli("run", "--resume", "supervised", "--device", "cpu").exit_code == 0
    assert Run("supervised").finished


def test_a_name_of_nothing_is_no_run_folder(refused):
    assert "nothing is no run folder: it does not exist" in words_of(refused("run", "--resume", "nothing"))
    said = refused("run", "--resume", "noisy_studnet")
    assert "it does not exist" in said and "Did you mean `noisy_student`?" in said
    said = refused("run", "supervised", "--resume", "nothing")
    assert "nothing is no run folder" in words_of(said)


def words_of(text):
    return " ".join(text.split())


def test_beside_where_out_would_have_put_it(recipe, sslkit_cli, tmp_path):
    """In `out` itself, if it is there; or else beside it."""
    path = recipe()
    begin(path, out="elsewhere/a", at=0)
    begin(path, out="elsewhere/b", at=0)
    age(tmp_path / "elsewhere/a", 500)
    begin(path, at=0)
    age(tmp_path / "runs/tiny", 50)
    done = sslkit_cli("run", path, "--out", "elsewhere/a", "--resume", "--device", "cpu")
    assert done.exit_code == 0 and done.stderr.startswith("going on with elsewhere/a, "), done.output
    done = sslkit_cli("run", path, "--out", "elsewhere/new", "--resume", "--device", "cpu")
    assert done.stderr.startswith("going on with elsewhere/b, the newest of 2 unfinished runs (also runs/tiny)")
    assert Run("elsewhere/a").finished and Run("elsewhere/b").finished and not Run("runs/tiny").finished


def test_nothing_unfinished_says_what_is_there_and_how_to_begin(recipe, refused, tmp_path):
    path = recipe()
    said = refused("run", "tiny.toml", "--resume")
    assert said == "error: there is no unfinished run of tiny with these settings in runs/\n" \
                   "Begin a new one:\n    sslkit run tiny.toml\n"  # fmt: skip
    sslkit.run(path, device="cpu")
    begin(path, at=0, overrides={"seed": 3, "workers": 1})
    said = refused("run", "tiny.toml", "--resume", "--set", "optimizer.rate=0.01", "--device", "cpu")
    assert re.search(r"  runs/tiny: finished \d\d \w{3} \d{4} \d\d:\d\d, test accuracy [\d.]+%; begun with other settings:\n"
                     r"      optimizer\.rate: 0\.05 -> 0\.01\n", said)  # fmt: skip
    assert re.search(r"  runs/tiny-2: failed .*; begun with other settings \(its own: `sslkit run --resume runs/tiny-2`\):\n"
                     r"      seed: 3 -> 0\n      optimizer\.rate: 0\.05 -> 0\.01\n", said)  # fmt: skip
    assert said.endswith("Begin a new one:\n    sslkit run tiny.toml --set optimizer.rate=0.01 --device cpu\n")
    said = refused("run", "--resume", "tiny.toml")
    assert "  runs/tiny: finished" in said and said.endswith("    sslkit run tiny.toml\n")


def test_settings_beside_no_recipe_that_no_unfinished_run_has(recipe, refused):
    path = recipe()
    begin(path, at=0)
    sslkit.run(path, device="cpu")
    said = refused("run", "--resume", "--set", "steps=7")
    assert re.match(r"error: there is no unfinished run with these settings in runs/\n  runs/tiny: failed .*; begun with other "
                    r"settings \(its own: `sslkit run --resume runs/tiny`\):\n      steps: \d+ -> 7\nBegin a new one:\n", said)  # fmt: skip
    said = refused("run", "--resume", "--set", "stesp=7")
    assert "  runs/tiny: failed" in said and "unknown key or section `stesp`" in said


def test_nothing_at_all(refused):
    assert "there is no unfinished run in runs/\nBegin a new one:\n    sslkit run RECIPE\n" in refused(
        "run", "--resume"
    )
    assert "nor in out/x or beside it" in refused("run", "--resume", "--out", "out/x")


def test_a_run_that_is_being_run_is_not_taken(recipe, refused, sslkit_cli, tmp_path):
    path = recipe()
    begin(path, at=0)
    age(tmp_path / "runs/tiny", 100)

    def action():
        with watched("step", 5, action=signal.pause):
            sslkit.run(path, device="cpu")

    pid = fork(action)
    second = tmp_path / "runs/tiny-2"
    until(lambda: holder(second) and (second / "checkpoints").exists())
    done = sslkit_cli("run", "--resume", "tiny.toml", "--device", "cpu")
    assert done.exit_code == 0 and done.stderr == "going on with runs/tiny\n"
    said = refused("run", "--resume", "tiny.toml")
    assert f"runs/tiny-2: running now, by process {pid} on" in words_of(said) and "sslkit status runs/tiny-2" in said
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    done = sslkit_cli("run", "--resume", "--device", "cpu")
    assert done.exit_code == 0 and done.stderr == "going on with runs/tiny-2\n"
    assert harness.differences(harness.snapshot(tmp_path / "runs/tiny"), second) == []


def test_other_folders_in_runs_do_no_harm(recipe, sslkit_cli, tmp_path):
    begin(recipe(), at=0)
    for name, text in {"z1": "", "z2": "labels = ", "z3": 'labels = "pool"\n', ".hidden": ""}.items():
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "recipe.toml").write_text(text)
    (tmp_path / "runs/zz").mkdir()
    (tmp_path / "runs/file").touch()
    done = sslkit_cli("run", "tiny.toml", "--resume", "--device", "cpu")
    assert done.exit_code == 0 and done.stderr == "going on with runs/tiny\n", done.output


def test_a_recipe_that_cannot_be_used_is_said_as_ever(recipe, refused):
    recipe("stesp = 3\n")
    assert "stesp" in refused("run", "tiny.toml", "--resume")
    assert "fixmatchh: no such recipe" in refused("run", "fixmatchh", "--resume")


def test_a_folder_named_by_out_is_not_mixed_up_with_one_beside_it(recipe, refused, sslkit_cli, tmp_path):
    path = recipe()
    begin(path, out=tmp_path / "beside")
    sslkit.run(path, device="cpu", out=tmp_path / "done")
    assert "there is no unfinished run" in refused("run", "--resume", "--out", "done", "--device", "cpu")
    assert "there is no unfinished run" in refused("run", "--resume", "--out", "nowhere", "--device", "cpu")
    assert Run(tmp_path / "beside").summary["status"] == "failed"
    done = sslkit_cli("run", "--resume", "--out", "beside", "--device", "cpu")
    assert done.exit_code == 0 and "going on with beside" in words(done)
