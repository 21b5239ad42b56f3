"""What a run says: plain lines in a pipe, a live view on a terminal, a table at the end."""

import errno
import io
import json
import re
import sys
from contextlib import redirect_stdout

import pytest
from rich.console import Console as RichConsole

from sslkit import Event, Progress
from sslkit_plugins.tracker import console
from sslkit_plugins.tracker.console import Console, Output, Screen

STEPS = 20
START = {
    "recipe": "mine", "folder": "runs/mine", "role": "run", "resumed": False, "generations": 2, "steps": [STEPS, STEPS],
    "sizes": {"labeled": 40, "unlabeled": 1217}, "classes": 10, "model": ["tiny", "larger"], "device": "cpu",
    "notes": ["drawn from the [hidden] pool"], "warnings": ["a warning that is long enough to be broken " * 3],
}  # fmt: skip


def event(kind, generation=0, step=0, **values):
    return Event(kind, Progress(0, generation, step, STEPS), values)


def entry(generation, test):
    known = {"test_accuracy": test, "validation_accuracy": 0.5}
    taught = {"kept_share": 0.75, "pseudo_label_accuracy": 0.625} if generation else {}
    return dict(index=generation, steps=STEPS, metrics=known | taught, **known, **taught)


def story(start=START):
    """A whole run with a teacher and one student."""
    yield event("start", **start)
    yield event("baseline", **entry(0, 0.7))
    for generation in range(2):
        if generation:
            yield event("labels", 1, done=600, total=1217)
            yield event(
                "labels",
                1,
                done=1217,
                total=1217,
                kept_share=0.75,
                pseudo_label_accuracy=0.625,
                empty_classes=["7", "[8]"],
            )
        for step in range(5, STEPS + 1, 5):
            timing = {"images_per_second": 1234.5, "waited_share": 0.012, "seconds_left": 125}
            kept = 1.0 if generation else None  # of the rows drawn; a pool's filtered ones never are
            yield event("step", generation, step, losses={"supervised": 0.5}, lr=0.1, kept_share=kept, timing=timing)
            if step in (10, STEPS):
                yield event("evaluation", generation, step, metrics={"test_accuracy": 0.6, "validation_accuracy": 0.5})
        yield event("generation", generation, STEPS, **entry(generation, 0.6 + 0.2 * generation))
    summary = {"generations": [entry(0, 0.6), entry(1, 0.8)], "baseline": entry(0, 0.7), "seed": 0}
    yield event("end", 1, STEPS, summary=summary, folder="runs/mine")


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns, to be put where stdout is while a test tells its story."""
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(console, "REFRESH", 0.0)
    return Terminal()


def listen(events, stdout=None, **fields):
    tracker = Console(**fields)
    with redirect_stdout(stdout or sys.stdout):
        for one in events:
            assert tracker.report(one) is None
    return tracker


def plain(capsys, events, **fields):
    listen(events, **fields)
    return capsys.readouterr().out.splitlines()


def test_a_pipe_gets_one_plain_line_per_event(capsys):
    lines = plain(capsys, story(), every=10)
    head = lines[: lines.index("")]
    assert head == [
        "mine · 2 generations · on cpu · runs/mine",
        "40 labeled · 1,217 unlabeled · 10 classes",
        "warning: " + START["warnings"][0],
        "note: drawn from the [hidden] pool",
        "supervised baseline: test accuracy 70.00%, validation accuracy 50.00%",
        "teacher: step 10/20, supervised 0.5, lr 0.1, 1,234 images/s, 2 min 5 s left, waited 1.2% for data",
        "teacher: step 10/20, test accuracy 60.00%, validation accuracy 50.00%",
        "teacher: step 20/20, supervised 0.5, lr 0.1, 1,234 images/s, 2 min 5 s left, waited 1.2% for data",
        "teacher: test accuracy 60.00%, validation accuracy 50.00%",
        "student 1: 1,217 images labeled, 75.00% kept, 62.50% right",
        "student 1: no pseudo-label is kept for 7, [8]",
        "student 1: step 10/20, supervised 0.5, 75.0% of unlabeled in use, lr 0.1, 1,234 images/s, 2 min 5 s left, "
        "waited 1.2% for data",
        "student 1: step 10/20, test accuracy 60.00%, validation accuracy 50.00%",
        "student 1: step 20/20, supervised 0.5, 75.0% of unlabeled in use, lr 0.1, 1,234 images/s, 2 min 5 s left, "
        "waited 1.2% for data",
        "student 1: test accuracy 80.00%, validation accuracy 50.00%, pseudo label accuracy 62.50%, kept share 75.00%",
    ]
    table = [line.split() for line in lines[lines.index("") :]]
    assert ["student", "1", "20", "75.0%", "62.5%", "50.00%", "80.00%", "+20.00"] in table
    assert ["supervised", "20", "50.00%", "70.00%"] in table
    assert lines[-1] == "runs/mine"


@pytest.mark.parametrize("columns", [60, 100, 200])
@pytest.mark.parametrize("variable", ["NO_COLOR", None])
def test_a_pipe_gets_no_escape_codes(columns, variable, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    if variable:
        monkeypatch.setenv(variable, "1")
    text = "\n".join(plain(capsys, story()))
    assert "\x1b" not in text
    assert "\r" not in text
    table = text[text.index("──") :]
    assert max(len(line) for line in table.splitlines()) <= columns


@pytest.mark.parametrize(("every", "expected"), [(1, [5, 10, 15, 20]), (7, [10, 15, 20]), (10, [10, 20]), (100, [20])])
def test_every_so_many_steps_there_is_a_line(every, expected, capsys):
    lines = plain(capsys, story(), every=every)
    assert [
        int(step) for line in lines for step in re.findall(r"^teacher: step (\d+)/20, supervised", line)
    ] == expected
    assert [int(step) for line in lines for step in re.findall(r"^student 1: step (\d+)/20, sup", line)] == expected


def test_notes_and_warnings_are_said_once(capsys):
    twice = [event("start", **START), event("start", **START)]
    lines = plain(capsys, twice)
    assert len([line for line in lines if line.startswith(("warning: ", "note: "))]) == 2


def test_warnings_on_the_way_are_said_each_time(capsys):
    """In one line in a pipe, whatever the width; it does not matter where in the run they come."""
    full = "the disk is full: x could not be written. " * 4
    warned = [event("warning", message=full), event("warning", message=full), event("warning")]
    lines = plain(capsys, [event("start", **START), event("step", 1, 5, losses={}), *warned])
    assert [line for line in lines if line.startswith("warning: the disk")] == [f"warning: {full}"] * 2
    assert lines[-1] == "warning: "


def test_a_warning_stands_above_the_live_view(terminal):
    events = [event("start", **START), event("step", 1, 5, losses={"a": 1.0}), event("warning", message="no [room]")]
    tracker = listen(events, terminal)
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert drawn.count("warning: no [room]") == 1
    assert "generation 2 of 2" in drawn[drawn.index("no [room]") :] and tracker.story_.step == 5


def test_many_classes_without_labels_are_not_all_named(capsys):
    empty = [str(number) for number in range(1000)]
    lines = plain(capsys, [event("labels", 1, done=1, total=1, kept_share=0.0, empty_classes=empty)])
    assert lines[-1].endswith("8, 9 and 990 more")


def test_a_baseline_is_shown_as_such_and_leaves_the_table_to_its_run(capsys):
    start = START | {
        "role": "baseline",
        "generations": 1,
        "steps": [40],
        "notes": ["said by its run"],
        "warnings": ["mended"],
    }
    lines = plain(
        capsys,
        [
            event("start", **start),
            event("step", 0, STEPS, losses={}),
            event("generation", **entry(0, 0.5)),
            event("end", summary={}),
        ],
    )
    assert lines == [
        "mine: supervised baseline · 40 steps · on cpu · runs/mine",
        "warning: mended",
        "supervised baseline: step 20/20",
    ]


@pytest.mark.parametrize(("reason", "word"), [("interrupted", "stopped"), ("error", "failed")])
def test_a_failure_says_how_far_it_came(reason, word, capsys):
    events = [*list(story())[:12], event("failure", message="x", reason=reason)]
    lines = plain(capsys, events)
    assert lines[-1] == f"{word}: student 1, step 5/20"
    assert any(line.startswith("teacher ") and "60.00%" in line for line in lines)


def test_a_resumed_run_knows_its_finished_generations(capsys, tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"generations": [entry(0, 0.6)]}))
    start = START | {"resumed": True, "folder": str(tmp_path)}
    lines = plain(capsys, [event("start", 1, **start), event("failure", reason="error")])
    assert "resumed" in lines[0] or "resumed" in lines[1]
    assert lines[-1] == "failed: student 1, step 0/20"
    assert any(line.startswith("teacher ") and "60.00%" in line for line in lines)


KINDS = ("start", "labels", "step", "evaluation", "generation", "baseline", "end", "failure", "what?")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("live", [False, True])
def test_events_may_lack_any_value(kind, live, request):
    stdout = request.getfixturevalue("terminal") if live else None
    listen([event("start"), event(kind), event("end")], stdout)
    listen([event(kind)], stdout)


def test_a_value_of_none_is_as_good_as_none_at_all():
    for one in story():
        for name in one.values:
            listen([event("start", **START), Event(one.kind, one.progress, {**one.values, name: None})])


# The live view --------------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_live_view_that_leaves_only_the_table(terminal):
    events = list(story())
    tracker = listen(events[:-1], terminal)
    drawn = terminal.getvalue()
    for words in ("generation 1 of 2 · teacher", "generation 2 of 2 · student 1", "larger", "600/1,217 labels", "20/20 steps",
                  "1,234 images/s", "2 min 5 s left", "supervised 0.5", "75.0% of unlabeled in use",
                  "test accuracy 60.00%"):  # fmt: skip
        assert words in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    assert "\x1b[?25l" in drawn  # the cursor is hidden,
    assert tracker.live_ is not None
    with redirect_stdout(terminal):
        tracker.report(events[-1])
    assert tracker.live_ is None
    end = terminal.getvalue()[len(drawn) :]
    assert "\x1b[?25h" in end  # and given back
    assert "+20.00" in end


def test_a_failure_closes_the_live_view(terminal):
    events = [event("start", **START), event("step", 0, 5, losses={"a": 1.0}), event("failure", reason="error")]
    tracker = listen(events, terminal)
    assert tracker.live_ is None
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")
    assert terminal.getvalue().rstrip().endswith("failed: teacher, step 5/20")


def test_without_a_failure_event_the_cursor_comes_back_with_the_tracker_gone(terminal):
    tracker = listen([event("start", **START)], terminal)
    assert "\x1b[?25h" not in terminal.getvalue()
    with redirect_stdout(terminal):
        del tracker
    assert "\x1b[?25h" in terminal.getvalue()


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), (None, None)])
def test_plain_where_a_live_view_would_not_do(variable, value, terminal, monkeypatch):
    if variable:
        monkeypatch.setenv(variable, value)
    listen(story(), terminal, **({} if variable else {"style": "plain"}))
    assert "\x1b[?25l" not in terminal.getvalue()
    assert "teacher: step 20/20" in re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())


def test_no_color_leaves_colors_out_of_the_live_view(terminal, monkeypatch):
    def colors(text):
        return re.findall(r"\x1b\[[0-9;]*3[1-7]m", text)

    listen(story(), terminal)
    assert colors(terminal.getvalue())
    terminal.truncate(0)
    monkeypatch.setenv("NO_COLOR", "1")
    listen(story(), terminal)
    assert not colors(terminal.getvalue())


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_live_view_fits(width):
    for stop in range(1, len(list(story()))):
        tracker = Console()
        for one in list(story())[:stop]:
            tracker.story_.hear(one)
        output = RichConsole(file=io.StringIO(), width=width, height=24)
        output.print(Screen(tracker.story_))
        lines = output.file.getvalue().splitlines()
        assert max(len(line) for line in lines) <= width
        assert "…" not in output.file.getvalue()


def test_the_live_view_is_never_taller_than_the_terminal():
    tracker = Console()
    tracker.story_.hear(event("start", **START | {"generations": 40}))
    tracker.story_.hear(event("baseline", **entry(0, 0.7)))
    for number in range(40):
        tracker.story_.hear(event("generation", number, STEPS, **entry(number, 0.6)))
    tracker.story_.hear(event("step", 39, 5, losses={"a": 1.0}, timing={"seconds_left": 1}))
    output = RichConsole(file=io.StringIO(), width=80, height=24)
    output.print(Screen(tracker.story_))
    text = output.file.getvalue()
    assert len(text.splitlines()) < 24
    assert "student 39" in text
    assert "generation 40 of 40" in text


def test_labeling_says_the_time_left():
    tracker = Console()
    tracker.story_.hear(event("start", **START))
    tracker.story_.hear(event("labels", 1, done=600, total=1200, seconds_left=125.0))
    output = RichConsole(file=io.StringIO(), width=80, height=24)
    output.print(Screen(tracker.story_))
    assert "600/1,200 labels" in output.file.getvalue() and "2 min 5 s left" in output.file.getvalue()
    tracker.story_.hear(event("step", 1, 5, losses={"a": 1.0}, timing={"seconds_left": 61}))
    assert tracker.story_.speed()[1] == "1 min 1 s left"


def test_images_of_no_class_that_are_kept(capsys):
    known = {"done": 9, "total": 9, "kept_share": 0.5, "pseudo_label_accuracy": 0.25}
    told = [event("start", **START), event("labels", 1, **known, outside=1200, outside_kept_share=0.125)]
    line = "student 1: 9 images labeled, 50.00% kept, 25.00% right"
    assert plain(capsys, told)[-1] == f"{line}, 12.50% of the 1,200 images of no class kept"
    none = event("labels", 1, **known, outside=0, outside_kept_share=None)
    assert plain(capsys, [told[0], none])[-1] == line


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EPIPE])
def test_a_reader_that_goes_away_does_not_end_the_run(monkeypatch, number):
    class Closed(io.StringIO):
        def write(self, text):
            raise OSError(number, "gone")

    monkeypatch.setattr(sys, "stdout", Closed())
    tracker = listen(story())
    assert tracker.output_.quiet


def test_a_terminal_that_is_gone_makes_the_output_quiet(monkeypatch, tmp_path):
    """What is left to be flushed at Python's end goes nowhere: it would end with exit code 120."""
    with (tmp_path / "stdout").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        output = Output()
        file.write("what was not written")
        output.failed(OSError(errno.EIO, "Input/output error"))
        assert output.quiet
    assert (tmp_path / "stdout").read_text() == ""


def test_a_closed_pipe_makes_the_output_quiet(monkeypatch, tmp_path):
    with (tmp_path / "stdout").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        output = Output()
        output.on_broken_pipe()
        assert output.quiet
        file.write("what Python flushes at its end")
    assert (tmp_path / "stdout").read_text() == ""


def test_an_encoding_that_lacks_a_character_does_not_end_the_run(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    listen(story())
    stream.flush()
    assert b"mine - 2 generations" in stream.buffer.getvalue()
