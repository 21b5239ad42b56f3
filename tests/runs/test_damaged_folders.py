"""Files of a run folder that were written over by hand: said as they are, with what to do."""

import json

import pytest
from harness import watched

import sslkit
from sslkit.errors import RunError
from sslkit.folder import Run


@pytest.fixture
def stopped(recipe, out):
    """A run whose second generation is unfinished."""

    def stop():
        raise RunError("stop")

    with watched("step", 5, action=stop), pytest.raises(RunError):
        sslkit.run(recipe(), out=out, device="cpu")
    return out


@pytest.mark.parametrize("text", ["x\n", "[]", "{}", '{"index": "a"}'])
def test_a_damaged_card(stopped, refused, text):
    card = stopped / "models/generation-0/card.json"
    card.write_text(text)
    said = " ".join(refused("run", "--resume", stopped).split())
    assert f"{card} is damaged (" in said and f"restore {card.parent} from a copy, or start the run anew" in said


SHAPES = [
    {"status": "finished", "generations": 7, "baseline": 3},
    {"status": "finished", "generations": [1]},
    {"status": "finished", "baseline": []},
    {"status": 3},
    {"status": "finished", "generations": [{"index": "x", "metrics": 3, "selected": [], "timing": 4, "steps": {}}]},
]


@pytest.mark.parametrize("summary", SHAPES)
def test_a_summary_of_the_wrong_shape(stopped, sslkit_cli, summary):
    (stopped / "summary.json").write_text(json.dumps(summary))
    for words in (["status", stopped], ["status", stopped, "--json"]):
        done = sslkit_cli(*words)
        assert done.exit_code == 0, repr(done.exception)
    with pytest.raises(RunError, match=r"summary\.json cannot be read \(its? "):
        _ = Run(stopped).summary
    done = sslkit_cli("run", "--resume", stopped)
    assert done.exit_code == 0, repr(done.exception)
    assert Run(stopped).finished and len(Run(stopped).summary["generations"]) == 2


def test_the_newest_unfinished_run_is_found_beside_such_a_summary(stopped, recipe, refused, monkeypatch):
    monkeypatch.chdir(stopped.parent)
    (stopped.parent / "runs").mkdir()
    stopped.rename("runs/out")
    for summary in SHAPES:
        (stopped.parent / "runs/out/summary.json").write_text(json.dumps(summary))
        assert "there is no unfinished run of" in refused("run", recipe("steps = 9\n"), "--resume")


def test_labels_say_nothing_of_the_log_they_were_made_beside(recipe, tmp_path):
    """Their checksums are those of what they are: a longer log, or one of another kind, changes nothing."""
    sums = []
    for name, log in (("short", 4), ("long", 1)):
        folder = sslkit.run(recipe(f"log_every = {log}\n"), out=tmp_path / name, device="cpu").folder
        sums.append(json.loads((folder / "labels/generation-1/checksums.json").read_text()))
        assert "jsonl" not in (folder / "labels/generation-1/plugins.json").read_text()
    assert sums[0]["plugins.json"] == sums[1]["plugins.json"]
