"""`--set` as people and shells get it wrong: what is missing is said, and how to type it."""

import shlex

import pytest
from click.testing import CliRunner

from sslkit import cli
from sslkit.errors import RecipeError
from sslkit.recipe import load, parse_set


@pytest.fixture
def refused(write_recipe):
    """`refused(line)`: what `sslkit check RECIPE` answers to the rest of a command line, as a shell takes it apart."""

    def check(line):
        done = CliRunner().invoke(cli.cli, ["check", str(write_recipe()), *shlex.split(line)])
        assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.output
        assert "Traceback" not in done.output and all(text.isprintable() for text in done.stderr.splitlines())
        return done.stderr

    return check


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("--set steps", "--set steps: there is no `=`; expected `key=value`"),
        ("--set steps:300", "there is no `=`"),
        ("--set ''", "--set '': there is no `=`"),
        ("--set =3", "the key is missing"),
        ("--set steps=", "the value is missing"),
        ("--set select=", """an empty text is written --set 'select=""'"""),
        ("--set loss..weight=3", "a key between two dots is missing"),
        ("--set .steps=3", "a key between two dots is missing"),
        ("--set steps==3", "`=3` is no TOML value"),
        ("""--set 'select="x'""", "a quote is not closed"),
        ("--set loss.supervised.on=[labeled,unlabeled]", """those the shell's: --set 'loss.supervised.on=["labeled","unlabeled"]'"""),
        ('--set loss.supervised.on=["labeled","weak"]', """--set 'loss.supervised.on=["labeled","weak"]'"""),
        ("--set 'model.options={act_layer=relu, n = 3}'", """--set 'model.options={act_layer="relu", n = 3}'"""),
        ("--set 'label_streams=[True, two words]'", """--set 'label_streams=[true, "two words"]'"""),
        ("--set 'loss.supervised.on=[labeled'", "`]` is missing"),
        ("--set model.options={", "`}` is missing"),
        ("--set model.name=tf_efficientnet b0", "A value with spaces needs quotes: --set 'PATH=two words'"),
        ("--set steps 300", "path and value are one word: --set steps=300"),
        ("--set model.name=tf_efficientnet\\ b0", "timm has no model `tf_efficientnet b0`"),
        ("--set 'batch={labeled=8}' --set batch.labeled=9", "`batch.labeled` is set twice"),
        ("--set batch.labeled=9 --set batch=8", "`batch` is set twice"),
        ("--set noise.randaugmnt.magnitude=3", "Did you mean `randaugment`?"),
        ("--set loss.supervisd.weight=3", "[[loss]] supervisd: no plugin of this name is there"),
        ("--set loss.supervisd.weight=3", "Did you mean `supervised`?"),
        ("--set loss.supervised.wieght=3", "did you mean `weight`?"),
        ("--set los.supervised.weight=3", "did you mean `[[loss]]`?"),
        ("--set stéps=3", "did you mean `steps`?"),
        ("--set generation.1.steps=3", "`generation.1` is no table of this recipe"),
        ("--set generation.-1.steps=3", "`generation` is a list of tables"),
        ("--set generation.².steps=3", "`generation` is a list of tables"),
        ("--set generation.steps=3", "`generation` is a list of tables"),
        ("--set extends=noisy_student", "`extends` cannot be overridden"),
        (f"--set {'.'.join('a' * 99)}=1", "32 deep"),
        (f"--set {'a' * 5000}=1", "unknown key or section `aaaa"),
        (f"--set steps={'9' * 5000}", '`steps = "999'),
        (f"--set steps=0x{'f' * 5000}", "`steps` is a number of more than 64 bits"),
        ("--set steps=1e999", "`steps` is inf"),
        ("--set steps=1979-05-27", "`steps` is a date or time"),
        ("--set 'steps=\x1b[2J'", "\\u001b[2J"),
        ("--set 'select=\udcff'", "`select` is no text: it holds bytes that are not UTF-8"),
        ("--set 'model.options.\udcff=1'", "is no text: it holds bytes that are not UTF-8"),
        ("--set '\udcff=1'", "is no text"),
        ("--set model.name=''", "the value is missing"),
        ("--set", "Option '--set' requires an argument"),
        ("--seed 99999999999999999999", "`seed` is a number of more than 64 bits"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_to_type(refused, line, part):
    assert part in refused(line)


def test_what_is_suggested_is_accepted(refused):
    """Typed as it is said, the shell's quotes taken off."""
    said = refused("--set loss.supervised.on=[labeled]")
    typed = shlex.split(said[said.index("those the shell's: ") + len("those the shell's: ") :])
    assert typed[0] == "--set" and parse_set(typed[1]) == ("loss.supervised.on", ["labeled"])
    said = refused("--set 'data.unlabeled=unl-{0..2}.tar'")
    assert said.rstrip().endswith("those the shell's: --set 'data.unlabeled=\"unl-{0..2}.tar\"'")
    said = refused("--set select=")
    assert parse_set(shlex.split(said[said.index("an empty text") :])[-1]) == ("select", "")


def test_spaces_and_order(write_recipe):
    assert parse_set(" loss . supervised . weight =  0.5 ") == ("loss.supervised.weight", 0.5)
    assert parse_set("model.name=tf_efficientnet b0") == ("model.name", "tf_efficientnet b0")
    from sslkit.commands.options import overrides

    assert overrides(["steps=1", "steps=2"]) == {"steps": 2}, "the last one counts"
    assert load(write_recipe(), overrides(["batch.labeled=7", "loss.supervised.weight=2"])).settings.batch.labeled == 7


def test_words_too_many_without_set_are_click_s_own(write_recipe):
    done = CliRunner().invoke(cli.cli, ["check", str(write_recipe()), "more"])
    assert done.exit_code == 2 and "unexpected extra argument" in done.stderr and "quotes" not in done.stderr


@pytest.mark.parametrize("value", ["[" * 5000, "{a=" * 5000, '"' * 5001, "[[" + "a," * 20_000])
def test_long_values_are_refused_at_once(value):
    with pytest.raises(RecipeError) as caught:
        parse_set(f"a={value}")
    assert len(str(caught.value)) < 1000
