"""A file of predictions that was stopped anywhere and gone on with is the file that was never stopped."""

import json
import os
import signal

import pytest
from classified import HOSTILE
from photos import picture, put

from sslkit.predicting import keeping
from sslkit.predicting.inputs import Inputs
from sslkit.predicting.predictor import Predictor
from sslkit.predicting.rows import FORMATS, Columns
from sslkit.predicting.writing import kept, write

BATCH = 4


@pytest.fixture
def folder(here):
    """Images of names that break things, and one that is broken."""
    for number, name in enumerate(HOSTILE):
        put(here / "folder" / "0.png", picture(number)).rename(here / "folder" / name)
    (here / "folder" / "broken.png").write_text("no image")
    return ["folder", "folder/<b>.png", "missing.png", "folder"]


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_cut_off_anywhere_the_file_becomes_the_same(model, here, folder, name):
    form = FORMATS[name](Columns(model.classes, top=2))
    predictor = Predictor.of(model, BATCH)

    def made(path, resume):
        with kept(path, name, form, predictor, Inputs.of(folder), resume) as one:
            write(predictor, form, one, False, lambda number: None)
        return one.rows, one.failed

    counts = made(here / "whole", False)
    whole, beside = (here / "whole").read_bytes(), (here / "whole.json").read_bytes()
    assert counts == (16, 3)
    for size in [*range(0, len(whole), 37), len(whole) - 1, len(whole)]:
        (here / "part").write_bytes(whole[:size])
        (here / "part.json").write_bytes(beside)
        assert made(here / "part", True) == counts
        assert (here / "part").read_bytes() == whole, size


@pytest.mark.parametrize("after", [0, 2])
def test_killed_and_gone_on_with(here, folder, predict, after):
    """Killed for good in a forked child, while a batch is at the model."""
    options = (*folder, "--batch", BATCH, "--out")
    predict(*options, "whole.csv", code=2)
    child = os.fork()
    if not child:
        answer, count = Predictor._probabilities, []

        def dies(self, images):
            count.append(1)
            if len(count) > after:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer(self, images)

        Predictor._probabilities = dies
        predict(*options, "part.csv")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (here / "part.csv").stat().st_size < (here / "whole.csv").stat().st_size
    assert b"\r\n" in (here / "part.csv").read_bytes(), "the header is there at once"
    done = predict(*options, "part.csv", "--resume", code=2)
    assert "3 of 16 images could not be read" in done.stderr, "those before it was killed, too"
    assert (here / "part.csv").read_bytes() == (here / "whole.csv").read_bytes()
    assert (here / "part.csv.json").read_bytes() == (here / "whole.csv.json").read_bytes()


def test_stopped_by_ctrl_c(here, folder, predict, monkeypatch):
    predict(*folder, "--batch", BATCH, "--out", "whole.csv", code=2)
    answers = Predictor.answers

    def stopped(self, items):
        yield next(answers(self, items))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "answers", stopped)
        done = predict(*folder, "--batch", BATCH, "--out", "part.csv", code=130)
        assert "stopped by Ctrl-C. The same command with --resume goes on where it stopped" in done.stderr
        assert "--resume" not in predict(*folder, code=130).stderr
    listed = "\0".join(folder).encode()
    predict("-", "-0", "--batch", BATCH, "--out", "part.csv", "--resume", given=listed, code=2)
    assert (here / "part.csv").read_bytes() == (here / "whole.csv").read_bytes()


def test_nothing_is_overwritten_and_nothing_mixed(here, folder, predict):
    given = ("folder", "--batch", BATCH, "--out", "p.csv")
    predict(*given, "--resume", code=2)  # nothing is there yet: it begins
    before = (here / "p.csv").read_bytes()
    refusals = {
        "`p.csv` exists already and is never overwritten": given,
        "batch: 4 then, 2 now": (*given[:-3], 2, "--out", "p.csv", "--resume"),
        "generation: 1 then, 0 now": (*given, "--generation", 0, "--resume"),
        "top: 0 then, 1 now": (*given, "--top", 1, "--resume"),
        "its row 1 is of `folder/<b>.png`, and input 1 is `folder/broken.png` now": ("folder/broken.png", *given, "--resume"),
        "and input 2 is not there: there are fewer now": ("folder/<b>.png", *given[1:], "--resume"),
    }  # fmt: skip
    for said, args in refusals.items():
        assert said in predict(*args, code=2).stderr
        assert (here / "p.csv").read_bytes() == before
    assert "say which with --out" in predict("folder", "--resume", code=2).stderr
    for damage in ("{}", "no JSON", json.dumps({"format": "other", "settings": {}, "model": {}})):
        (here / "p.csv.json").write_text(damage)
        assert "cannot be gone on with" in predict(*given, "--resume", code=2).stderr
    (here / "p.csv").unlink()
    assert "`p.csv.json` exists already" in predict(*given, code=2).stderr
    predict(*given, "--resume", code=2)
    assert (here / "p.csv").read_bytes() == before


def test_a_file_of_other_columns_or_damage_is_refused(here, folder, predict):
    given = ("folder", "--batch", BATCH, "--out", "p.csv", "--resume")
    predict(*given, code=2)
    head, rest = (here / "p.csv").read_bytes().split(b"\r\n", 1)
    (here / "p.csv").write_bytes(b"path,label\r\n" + rest)
    assert "has other columns than these" in predict(*given, code=2).stderr
    (here / "p.csv").write_bytes(head + b'\r\n"a"b"c"\r\n' + rest)
    assert "is damaged: row 1 cannot be read" in predict(*given, code=2).stderr


def test_a_disk_that_is_full_in_between_loses_nothing(here, folder, predict, monkeypatch):
    given = ("folder", "--batch", BATCH, "--out")
    predict(*given, "whole.csv", code=2)
    opened = keeping.started

    def full(file, form, items):
        file.close()
        return opened(open("/dev/full", "wb"), form, items)  # noqa: PTH123

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "started", full)
        said = predict(*given, "part.csv", code=2).stderr
    assert "the disk is full: `part.csv` could not be written" in said
    predict(*given, "part.csv", "--resume", code=2)
    assert (here / "part.csv").read_bytes() == (here / "whole.csv").read_bytes()
