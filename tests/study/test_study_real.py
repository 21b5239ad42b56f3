"""A real study, of a few steps on a few pixels."""

import json
from pathlib import Path

from click.testing import CliRunner

from sslkit import Run, cli

TEXT = """
base = "noisy_student"
seeds = "0-1"
references = ["label_spreading"]

[set]
"metric.label_spreading.use" = "label_spreading"
steps = 2
batch = { labeled = 6, unlabeled = 6 }
evaluate_every = 0
save_every = 0
workers = 0
"model.size" = 8
"data.test" = 1600
"data.validation" = 40

[[variant]]
name = "no noise on students"
from_generation = 1
set = { "noise.randaugment.enabled" = false, "noise.dropout.enabled" = false, "noise.stochastic_depth.enabled" = false }
"""


def test_a_real_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("real.toml").write_text(TEXT)
    done = CliRunner().invoke(cli.cli, ["study", "real.toml", "--device", "cpu", "--results", "r.md"])
    assert done.exit_code == 0, done.output
    folder = Path("runs/studies/real")
    found = json.loads((folder / "results.json").read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == ["noisy_student", "no noise on students", "supervised baseline", "label_spreading"]
    assert {seed for row in rows.values() for seed in row["test"]["values"]} == {"0", "1"}
    base, bare = rows["noisy_student"], rows["no noise on students"]
    assert base["teacher"] == bare["teacher"]  # the very same teachers: only their students lose their noise
    assert base["runs"] != bare["runs"]
    assert 0 < rows["label_spreading"]["test"]["mean"] <= 1
    run = Run(folder / base["runs"]["1"])
    assert run.summary["seed"] == 1
    assert run.summary["baseline"] is None
    assert run.summary["generations"][-1]["test_accuracy"] == base["test"]["values"]["1"]
    assert "torch" in found["versions"]
    again = CliRunner().invoke(cli.cli, ["study", "real.toml", "--device", "cpu", "--results", "r.md"])
    assert "6 runs, 6 finished" in again.output
