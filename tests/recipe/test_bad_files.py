"""Files that are no recipe, or no plugin: refused at once, by what they are."""

import os
import re
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from guard import untouched
from kitchen import BASE
from room import furnish

from sslkit import cli
from sslkit.errors import RecipeError
from sslkit.recipe import content, load
from sslkit.recipe.text import decoded, encoding


def problems(path, overrides=None):
    with pytest.raises(RecipeError) as caught, untouched():
        load(path, overrides)
    message = str(caught.value)
    assert all(line.isprintable() for line in message.split("\n"))
    return message


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    furnish(folder)
    CliRunner().invoke(cli.cli, ["check", "nowhere.toml"])  # imports leave traces of their own
    return folder


def written(room, data, name="bad.toml"):
    path = room / name
    path.write_bytes(data)
    return path


# Encodings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (BASE.encode("utf-16"), "it is UTF-16 text; TOML is UTF-8: save it as UTF-8"),
        (BASE.encode("utf-16-le"), "UTF-16 text"),
        (BASE.encode("utf-16-be"), "UTF-16 text"),
        (b"\xff\xfe" + BASE.encode("utf-16-le"), "UTF-16 text"),
        (BASE.encode("utf-32"), "UTF-32 text"),
        (BASE.encode("utf-32-le"), "UTF-32 text"),
        (BASE.encode("utf-32-be"), "UTF-32 text"),
        (b"\x00\x00\xfe\xff" + BASE.encode("utf-32-be"), "UTF-32 text"),
        (b"steps = 1\n# caf\xe9\n", "not UTF-8 text (line 2 holds the byte 0xe9)"),
        (b"\xed\xa0\x80 = 1\n", "line 1 holds the byte 0xed"),
        (BASE.replace("\n", "\r").encode(), "its lines end with CR alone"),
        (b"steps = 1\nx\x00 = 2\n", "line 2 holds a zero byte"),
        (b"PK\x03\x04rest", "it is a zip archive, not a TOML file"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG image"),
        (b"\x1f\x8b\x08", "it is a gzip archive"),
        (b"\xff\xd8\xff\xe0", "it is a JPEG image"),
        (b'{"steps": 1}', "line 1, column 1  not valid TOML"),
        (b"", "`[data]` is missing"),
        (b"\n\n# nothing\n", "`steps` is missing"),
        (b"a = 1\n" * 2_000_000, "12,000,000 bytes; a recipe has at most 1,048,576"),
        (b"a." * 70 + b"a = 1\n", "line 1 has a dotted key of more than 40 parts"),
        (b"steps = 1\n[" + b'"a b" . ' * 70 + b"a]\n", "line 2 has a dotted key"),
        (b"steps = 1\nx = " + b"[" * 40 + b"]" * 40, "line 2, `x`: tables within one another 32 deep"),
        (b"x = " + b"{a=" * 3000, "too deep"),
        (b"\nsteps = " + b"9" * 5000, "line 2: not valid TOML: a number of thousands of digits"),
        (b"steps = 0x" + b"f" * 5000, "line 1  `steps` is a number of more than 64 bits"),
        (b"x = [1, 0b1" + b"0" * 15000 + b"]", "line 1  `x.1` is a number of more than 64 bits"),
        (b"steps = 1\x1b[2J\n", "steps = 1\\u001b[2J"),
        (b'"\\u001b[31mred\\u202e" = 1\n', "line 1  unknown key or section `\\u001b[31mred\\u202e`"),
        (b'"two\\nlines" = 1\n', "`two\\nlines`"),
        (b'["steps\\u00a0"]\n', "`steps\\u00a0`"),
    ],
)  # fmt: skip
def test_bytes(room, data, part):
    message = problems(written(room, data))
    assert part in message and "bad.toml" in message, message


def test_a_byte_order_mark_of_utf_8_is_fine(room):
    assert load(written(room, BASE.encode("utf-8-sig"), "marked.toml")).settings.steps == 100


def test_text_with_zeros_here_and_there_is_no_other_encoding():
    assert encoding(b"steps = 1") == encoding(b"") == encoding(b"\x00abc") == encoding(b"a\x00") == ""
    assert decoded("é = 'ok'\r\n".encode()) == "é = 'ok'\n"


def test_dots_that_are_no_key_are_fine(room):
    numbers = "mean = [" + ", ".join(["0.5"] * 200) + "]"
    text = f"# {'.'.join('a' * 99)}\n" + BASE.replace("[model]\n", f"[model]\n{numbers}\n") + f"# {'...' * 99}\n"
    assert load(written(room, text.encode(), "dots.toml")).settings.steps == 100


# Files of other kinds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("pipe.toml", "is a pipe"), ("zero.toml", "is a device, not a file"), ("folder.toml", "is a folder"),
        ("loop.toml", "is a link that leads nowhere"), ("nowhere.toml", "no such recipe"), ("base.tml", "Did you mean `base.toml`?"),
        ("x" * 300, "cannot be read: file name too long"), ("base.toml/x", "no such recipe"), ("a\x00b", "a\\u0000b: no such recipe"),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_not_waited_for(room, name, part):
    assert part in problems(room / name)
    quoted = name.replace("\x00", "\\u0000")
    message = problems(written(room, f'steps = 1\nextends = "{quoted}"\n'.encode(), "child.toml"))
    assert part in message and "line 2  `extends = " in message, message


def test_standard_input_is_not_read(room, monkeypatch):
    monkeypatch.chdir(room)
    assert "a recipe is a file" in problems("-")
    assert "no such recipe" in problems("")
    for name in ("/dev/stdin", "/dev/null", "/dev/zero"):
        assert name in problems(name)


@pytest.mark.parametrize(
    ("use", "part"),
    [
        ("pipe.py:X", "cannot be read: is a pipe"), ("zero.py:X", "cannot be read: is a device, not a file"),
        ("folder.py:X", "is a folder"), ("loop.py:X", "too many levels of symbolic links"), ("nowhere.py:X", "no such file"),
        ("x" * 300 + ".py:X", "file name too long"), ("a\\u0000.py:X", "null byte"), ("fogg.py:Fog", "Did you mean `fog.py`?"),
        ("none.py:X", "none.py defines no class `X`"), ("raises.py:X", "ValueError: one"), ("exits.py:X", "SystemExit (line 2)"),
        ("broken.py:X", "SyntaxError: invalid syntax (line 1)"), ("cafe.py:X", "SyntaxError"),
        ("exits_late.py:X", "`X` raised SystemExit: 3"), ("odd.py:Odd", "a default that TOML cannot say"),
        ("odd.py:Own", "`Own` raised RuntimeError: no"), ("odd.py:Loud", "`Loud` raised Mute"),
        ("two\\nlines", "no noise plugin is called `two\\nlines`"),
    ],
)  # fmt: skip
def test_plugin_files_that_are_none(room, use, part):
    path = written(room, f'{BASE}\n[[noise]]\nname = "new"\nuse = "{use}"\n'.encode(), "plugged.toml")
    message = problems(path)
    header = BASE.count("\n") + 2
    assert part in message, message
    assert re.search(rf"line ({header}|{header + 2})  \[\[noise\]\] new: ", message), message


def test_ctrl_c_in_a_plugin_file_is_ctrl_c(room):
    (room / "stopped.py").write_text("raise KeyboardInterrupt")
    path = written(room, f'{BASE}\n[[noise]]\nuse = "stopped.py:X"\n'.encode(), "stopped.toml")
    with pytest.raises(KeyboardInterrupt):
        load(path)


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    """As the kernel's own files do, which say that they are empty."""
    path = tmp_path / "grown.toml"
    path.write_bytes(b"12345")
    said = os.stat_result([stat.S_IFREG, *[0] * 9])
    monkeypatch.setattr(type(path), "stat", lambda self: said)
    assert content.content(path, 5, "a recipe") == b"12345"
    with pytest.raises(OSError, match="a recipe has at most 4 bytes"):
        content.content(path, 4, "a recipe")


def as_nobody(action):
    """What a child that is not root gets from an action: its text, or its error's."""
    inside, outside = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            said = str(action())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(outside, said.encode()[:60_000])
        os._exit(0)
    os.close(outside)
    with os.fdopen(inside, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root may become another")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_files_that_may_not_be_read(tmp_path):
    top = Path(tempfile.gettempdir()).resolve()
    for folder in [tmp_path, *(parent for parent in tmp_path.parents if top in parent.parents)]:
        folder.chmod(0o755)
    furnish(tmp_path)
    load(tmp_path / "base.toml")  # all that is imported is
    closed, secret = tmp_path / "closed.toml", tmp_path / "secret"
    closed.write_text(BASE)
    secret.mkdir()
    (secret / "inside.toml").write_text(BASE)
    (secret / "fog.py").write_text("")
    (tmp_path / "w.safetensors").write_bytes(b"x")
    for path in (closed, tmp_path / "fog.py", tmp_path / "w.safetensors", secret):
        path.chmod(0)
    texts = {
        "plugged": f'{BASE}\n[[noise]]\nuse = "fog.py:Fog"\n', "deep": f'{BASE}\n[[noise]]\nuse = "secret/fog.py:Fog"\n',
        "heavy": BASE.replace("[model]\n", '[model]\nweights = "w.safetensors"\n'), "hidden": 'extends = "secret/inside.toml"\n',
        "far": BASE.replace("[model]\n", '[model]\nweights = "secret/w.safetensors"\n'), "kept": 'extends = "closed.toml"\n',
        "data": BASE.replace("[data]\n", '[data]\nroot = "secret/x"\n'), "file": BASE.replace("[data]\n", '[data]\nroot = "closed.toml"\n'),
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    said = {
        name: as_nobody(lambda name=name: load(tmp_path / f"{name}.toml").settings.steps) for name in [*texts, "closed"]
    }
    for name in ("closed", "kept", "hidden", "plugged", "deep", "heavy"):
        assert said[name].startswith(("RecipeError: ", "Unreadable: ")) and "permission denied" in said[name], (
            name,
            said[name],
        )
    assert "line " in said["plugged"] and "line " in said["heavy"] and "line 1" in said["hidden"]
    assert "there is no file" in said["far"]
    assert said["data"] == said["file"] == "100", "a data plugin's files are its own to complain of"


# By the command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["pipe.toml", "zero.toml", "loop.toml", "folder.toml", "bytes.toml", "utf16.toml", "cycle_a.toml", "-"]
)
def test_the_command_says_so_and_exits_with_two(room, name):
    with untouched():
        done = CliRunner().invoke(cli.cli, ["check", name if name == "-" else str(room / name)])
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit)
    assert done.stderr.startswith("error: ") and done.stdout == "" and "Traceback" not in done.stderr
    assert name in done.stderr


def test_a_terminal_acts_on_nothing_that_a_recipe_says(room):
    odd = written(room, BASE.replace("steps = 100", "steps = 0").encode(), "es\x1b[31mc\u202e.toml")
    done = CliRunner().invoke(cli.cli, ["check", str(odd)])
    assert done.exit_code == 2 and "\x1b" not in done.output and "\u202e" not in done.output
    assert "es\\u001b[31mc\\u202e.toml" in done.stderr
    assert load(written(room, BASE.encode(), "fi\x1bne.toml")).name == "fi\\u001bne"
