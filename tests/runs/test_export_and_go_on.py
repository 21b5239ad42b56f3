"""An exported folder says how images fit its model, and is where the next run's models may start."""

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import sslkit
from sslkit import cli
from sslkit.exporting.about import preparation
from sslkit.measuring.finished import finished_model

MODES = {"crop": "center", "squash": "squash", "pad": "border"}


@pytest.mark.parametrize("fit", MODES)
def test_an_exported_folder(tiny, tmp_path, fit):
    text = f'steps = 1\n[model]\nfit = "{fit}"\ncrop = 0.9\nmean = [0.2, 0.4, 0.6]'
    run = sslkit.run(tiny(text), out=tmp_path / "run", device="cpu")
    done = CliRunner().invoke(cli.cli, ["export", str(run.folder), "--out", str(tmp_path / "exported")])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "exported" / "config.json").read_text())
    assert (card["pretrained_cfg"]["crop_mode"], card["pretrained_cfg"]["crop_pct"]) == (MODES[fit], 0.9)
    words = {"crop": "0.9 times its shorter side", "squash": "0.9 times its height and width",
             "pad": "0.9 times its longer side, with a border of 51, 102, 153"}  # fmt: skip
    assert words[fit] in preparation(finished_model(run.folder, device="cpu"), normalised=True)
    again = sslkit.run(
        tiny('steps = 1\n[model]\nweights = "exported"\nfreeze = ["conv1", "bn1", "layer"]'),
        out=tmp_path / "again", device="cpu",
    )  # fmt: skip
    weights, state = load_file(tmp_path / "exported" / "model.safetensors"), again.model(0).model.state_dict()
    assert all(torch.equal(state[name], weights[name]) == (not name.startswith("fc.")) for name in state)
