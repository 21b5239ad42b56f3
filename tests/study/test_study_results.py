"""The section of a results file: its own text is replaced, nothing else is touched, nothing in it tells of a machine."""

from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.study.markdown import markers, replaced
from sslkit.study.words import by_seed, cell

BEGIN, END = markers("mine")


def invoke(*args):
    return CliRunner().invoke(cli.cli, ["study", *map(str, args)], prog_name="sslkit")


def test_a_new_file_holds_the_section(write, factory):
    assert invoke(write(), "--results", "results.md").exit_code == 0
    text = Path("results.md").read_text()
    assert text.startswith(BEGIN)
    assert text.endswith(END + "\n")
    assert "$ sslkit study mine.toml --results results.md" in text
    assert "3 seeds: 0-2; sslkit 0.1.0, torch 2.6.0; on cpu (2 threads)." in text
    line = "| base | 3 | 91.00% ± 1.00 | 90.00% ± 1.00 | 81.00% ± 1.00 | +10.00 | – | – | – |"
    assert line in text
    assert "| no dropout | 3 | 85.00% ± 1.00 |" in text
    assert "| +4.00 | 40% | -6.00 | -6.00 to -6.00 |" in text
    assert "- base minus rival: +6.00 points (95% interval +3.52 to +8.48, 3 pairs)" in text
    assert "- no dropout: expected lower: undecided at 3 seeds, whose differences are all equal" in text
    assert "| 2 | 92.00% | 86.00% | 82.00% | 85.00% |" in text


def test_everything_else_in_the_file_stays(write, factory):
    before, after = "# Mine\r\n\r\n<!-- study other begin -->x<!-- study other end -->  ", "\r\n\tünd mehr, ohne Ende"
    path = Path("results.md")
    study = write()
    path.write_bytes(f"{before}{BEGIN}\r\nold\r\n{END}{after}".encode())
    assert invoke(study, "--results", path).exit_code == 0
    text = path.read_bytes().decode()
    assert text.startswith(before + BEGIN)
    assert text.endswith(END + after)
    assert "old" not in text
    assert text.count("\n") == text.count("\r\n")
    assert invoke(study, "--results", path).exit_code == 0
    assert path.read_bytes().decode() == text


def test_two_studies_in_one_file(write, factory):
    invoke(write(name="one.toml"), "--results", "results.md")
    first = Path("results.md").read_text()
    invoke(write(name="two.toml"), "--results", "results.md")
    both = Path("results.md").read_text()
    assert both.startswith(first)
    one = Path("one.toml")
    one.write_text(one.read_text().replace('"0-2"', '"0-1"'))
    invoke("one.toml", "--results", "results.md")
    text = Path("results.md").read_text()
    assert "2 seeds: 0-1;" in text[: text.index(both[len(first) :])] and text.endswith(both[len(first) :])


@pytest.mark.parametrize(("share", "answer"), [(0.5, "yes"), (0.4, "no"), (0.3333, "no")])
def test_what_share_of_the_gain_was_expected(write, factory, share, answer):
    """The variant keeps 40% of what the base gains over its teacher."""
    study = write()
    study.write_text(study.read_text() + f"gain_below = {share}\n")
    assert invoke(study, "--results", "results.md").exit_code == 0
    said = f"- no dropout: expected lower: undecided at 3 seeds, whose differences are all equal; 40% of the base's gain over its teacher, expected below {share:.0%}: {answer}"
    assert said in Path("results.md").read_text()


def test_seeds_of_the_command_line_have_a_section_of_their_own(write, factory):
    study = write()
    for _ in range(2):
        assert invoke(study, "--results", "results.md").exit_code == 0
        assert invoke(study, "--results", "results.md", "--seeds", "5,6").exit_code == 0
    text = Path("results.md").read_text()
    begin, end = markers("`mine`, seeds 5-6")
    assert begin == "<!-- study mine-seeds-5-6 begin -->"
    assert [text.count(mark) for mark in (BEGIN, END, begin, end)] == [1, 1, 1, 1]
    own, other = text[text.index(BEGIN) : text.index(END)], text[text.index(begin) : text.index(end)]
    assert "## Study `mine`\n" in own and "3 seeds: 0-2;" in own
    assert "## Study `mine`, seeds 5-6\n" in other and "2 seeds: 5-6;" in other
    assert "$ sslkit study mine.toml --seeds 5-6 --results results.md" in other


@pytest.mark.parametrize(
    ("text", "expected"), [("", "NEW\n"), ("a", "a\n\nNEW\n"), ("a\n", "a\n\nNEW\n"), (f"a{BEGIN}b{END}c", "aNEWc")]
)
def test_replaced(text, expected):
    assert replaced(text, "mine", "NEW") == expected


@pytest.mark.parametrize("text", [BEGIN, END, END + BEGIN, BEGIN + BEGIN + END, BEGIN + END + BEGIN + END])
def test_half_a_section_is_refused(text):
    with pytest.raises(ValueError, match="once each"):
        replaced(text, "mine", "NEW")


def test_nothing_tells_of_the_machine(write, factory, tmp_path):
    write()
    assert invoke(tmp_path / "mine.toml", "--results", tmp_path / "r.md", "--out", tmp_path / "o").exit_code == 0
    for path in (tmp_path / "r.md", tmp_path / "o" / "results.json"):
        assert str(tmp_path) not in path.read_text()
        assert "wall" not in path.read_text()
    assert "$ sslkit study mine.toml --results r.md" in (tmp_path / "r.md").read_text()


def test_seeds_of_the_command_line_stand_in_the_command(write, factory):
    invoke(write(), "--seeds", "0,2-4", "--device", "cpu", "--results", "r.md")
    text = Path("r.md").read_text()
    assert "$ sslkit study mine.toml --seeds 0,2-4 --device cpu --results r.md" in text
    assert "4 seeds: 0, 2-4" in text


def test_names_are_no_markup(write, factory):
    text = 'base = "base.toml"\nseeds = "0"\n[[variant]]\nname = "a | b <!-- study mine end -->"\nset = { steps = 4 }\n'
    path = write(text)
    assert invoke(path, "--results", "r.md").exit_code == 0
    assert invoke(path, "--results", "r.md").exit_code == 0
    assert "| a \\| b &lt;!-- study mine end --> |" in Path("r.md").read_text()


def test_failures_stand_in_the_section(write, factory, nan):
    factory.trouble[1] = nan
    assert invoke(write(), "--results", "r.md").exit_code == 1
    text = Path("r.md").read_text()
    assert "- failed: base, seed 0: loss `supervised` became NaN at step 2" in text
    assert text.endswith(END + "\n")


def test_a_study_named_by_a_shipped_name_is_told_by_it(write, factory, monkeypatch):
    write()
    assert (
        invoke("noisy_student", "--seeds", "0", "--results", "r.md").exit_code == 2
    )  # the made-up runs lack the metric
    assert len(factory.calls) == 1


def test_of_seeds_and_variants_the_more_go_down():
    """Twenty methods side by side would be columns of two letters."""
    row = lambda name: SimpleNamespace(name=name, test=SimpleNamespace(values={0: 0.5, 2: 0.75}))  # noqa: E731
    few = SimpleNamespace(rows=[row("a"), row("b")], seeds=(0, 2))
    assert by_seed(few) == (["seed", "a", "b"], [["0", "50.00%", "50.00%"], ["2", "75.00%", "75.00%"]])
    many = SimpleNamespace(rows=[row(str(i)) for i in range(7)], seeds=(0, 2))
    head, lines = by_seed(many)
    assert head == ["seed", "0", "2"] and lines[3] == ["3", "50.00%", "75.00%"] and len(lines) == 7
    seeds = SimpleNamespace(rows=many.rows, seeds=tuple(range(9)))
    assert by_seed(seeds)[0] == ["seed", *"0123456"] and by_seed(seeds)[1][1] == ["1", *["–"] * 7]


EXPECTED = """
base = "base.toml"
seeds = "0-2"
finding = "Dropout | is why."
set = { "optimizer.rate" = 0.06 }
source = "Someone 2020, table 6"
[[variant]]
name = "no <dropout>"
set = { "noise.dropout.enabled" = false }
from_generation = 1
expect = "lower"
paper = -0.6
[[variant]]
name = "teacher"
generation = 0
against = "no <dropout>"
expect = "higher"
"""


def test_a_finding_has_its_words_its_picture_and_its_line_in_the_overview(write, factory):
    """The made-up runs: 6.1 to 6.3 points less without dropout, their teachers 10 below the base.

    t(0.9875, 2) = 6.2053, times 0.1 / sqrt(3): half an interval is 0.358.
    """
    Path("results.md").write_text("# Mine\n<!-- findings begin -->\n<!-- findings end -->\nrest\n")
    for _ in range(2):
        assert invoke(write(EXPECTED), "--results", "results.md").exit_code == 0
    text = Path("results.md").read_text()
    lines = text[: text.index("rest")].splitlines()
    assert lines[5:9] == [
        "| [mine](#study-mine) | **Dropout \\| is why.** | | | 1 of 2 supported, 1 not supported |",
        "| | no &lt;dropout> minus base | -0.6 | -6.20 (-6.56 to -5.84) | ✓ supported |",
        "| | teacher minus no &lt;dropout> | – | -3.80 (-4.16 to -3.44) | ✗ not supported |",
        "",
    ]
    invoke(write(EXPECTED.replace("Dropout | is", "Dropout was"), "other.toml"), "--results", "results.md")
    invoke(write(EXPECTED.replace("Dropout | is", "Dropout is"), "mine.toml"), "--results", "results.md")
    names = [line.split("**")[1] for line in Path("results.md").read_text().splitlines() if line.startswith("| [")]
    assert names == ["Dropout is why.", "Dropout was why."]
    assert "**Finding.** Dropout \\| is why. **Here:** 1 of 2 supported, 1 not supported." in text
    assert "97.5% interval" in text and "all 2 on which a verdict hangs hold together at 95%" in text
    assert "paper: the difference that was published (Someone 2020, table 6)." in text
    assert "![Differences with their intervals](results/mine.svg)" in text
    drawn = ElementTree.parse("results/mine.svg").getroot()
    words = " ".join(drawn.itertext())
    assert "no <dropout> − base" in words and "-6.20  ✓ supported" in words and "-3.80  ✗ not supported" in words
    assert len(drawn.findall(".//{*}circle")) == 3 and len(drawn.findall(".//{*}path")) == 1  # ours; the paper's
    assert Path("runs/studies/mine/plot.svg").read_text() == Path("results/mine.svg").read_text()


def test_other_seeds_leave_the_overview_alone(write, factory):
    Path("results.md").write_text("<!-- findings begin --><!-- findings end -->\n")
    assert invoke(write(EXPECTED), "--seeds", "4,5", "--results", "results.md").exit_code == 0
    assert Path("results.md").read_text().startswith("<!-- findings begin --><!-- findings end -->\n")


def test_a_study_of_another_base_has_a_folder_and_a_section_of_its_own(write, factory):
    study = write()
    Path("own.toml").write_text('extends = "base.toml"\noptimizer.rate = 0.1\n')
    assert invoke(study, "--results", "r.md").exit_code == 0
    done = invoke(study, "--base", "own.toml", "--results", "r.md")
    assert done.exit_code == 0 and "runs/studies/mine-own" in done.output
    text = Path("r.md").read_text()
    assert "$ sslkit study mine.toml --base own.toml --results r.md" in text
    assert "## Study `mine`\n" in text and "## Study `mine-own`\n" in text


def test_a_base_that_is_not_there_or_that_the_variants_do_not_fit(write, factory):
    study = write()
    done = invoke(study, "--base", "nothing.toml")
    assert done.exit_code == 2 and "nothing.toml" in done.output
    plain = Path("base.toml").read_text().replace('use = "dropout"\nrate = 0.5', 'use = "cutout"\non = ["labeled"]')
    Path("plain.toml").write_text(plain)
    done = invoke(study, "--base", "plain.toml")
    assert done.exit_code == 2 and "[[variant]] no dropout: the overrides do not fit the recipe" in done.output


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a | b", r"a \| b"), ("a \\| b", r"a \\\| b"), ("[x](y) **z**", r"\[x\](y) \*\*z\*\*"), ("a\n<b>", "a &lt;b>")],
)
def test_text_in_a_cell_is_no_markup(text, shown):
    assert cell(text) == shown


def test_a_measure_that_nobody_reports_is_said_after_the_first_run(write, factory):
    text = EXPECTED.replace("finding = ", 'measures = ["test_acuracy"]\nfinding = ')
    done = invoke(write(text))
    assert done.exit_code == 2 and len(factory.calls) == 1
    assert "`measures` names `test_acuracy`" in done.output and "Did you mean `test_accuracy`?" in done.output


def test_variants_that_are_the_same_are_told_and_run_once(write, factory):
    twin = '[[variant]]\nname = "again"\nset = { "noise.dropout.enabled" = false }\nfrom_generation = 1\n'
    done = invoke(write(EXPECTED + twin))
    assert done.exit_code == 0 and "warning: no <dropout> and again are the same recipe" in done.output
    assert len(factory.calls) == 9


def test_results_of_other_seeds_are_not_lost_without_a_word(write, factory):
    study = write(EXPECTED)
    assert "results.json there was" not in invoke(study).output
    assert "results.json there was of seeds 0-2; the runs are kept" in invoke(study, "--seeds", "0-1").output
    assert "results.json there was of seeds 0, 1" in invoke(study).output.replace("0-1;", "0, 1;")
