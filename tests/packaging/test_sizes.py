"""The engine reads in one sitting, and stays so."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "sslkit").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
LOOP = ("hookspecs", "hooks", "types", "engine", "forward", "loader", "ahead", "randomness", "checkpoint")
"Modules that a training step runs through: about 900 lines of code in all."
LONGEST_FILE, LONGEST_FUNCTION, LOOP_LINES = 300, 60, 950
PROSE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def label(path):
    return str(path.relative_to(ROOT))


def code_lines(text):
    """Lines that hold code: not those that are blank, or only comment, or a string that stands by itself."""
    strings = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {
        line
        for token in tokens
        if token.type not in PROSE
        for line in range(token.start[0], token.end[0] + 1)
    }  # fmt: skip
    return lines - strings


def test_what_counts_as_code():
    text = '"""Doc."""\n\nX = 1  # why\n"field doc"\n# a comment\ndef f():\n    """Doc\n    string."""\n    return """a\n    b"""\n'
    assert code_lines(text) == {3, 6, 9, 10}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", FILES, ids=label)
def test_no_function_is_long(path):
    functions = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.FunctionDef, ast.Lambda))
    ]
    long = {getattr(node, "name", "lambda"): node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}


def test_the_loop_reads_in_one_sitting(record_property):
    texts = {name: (ROOT / "sslkit" / f"{name}.py").read_text() for name in LOOP}
    code = {name: len(code_lines(text)) for name, text in texts.items()}
    raw = {name: len(text.splitlines()) for name, text in texts.items()}
    record_property("code lines", code)
    record_property("lines", raw)
    total = f"{sum(code.values())} lines of code {code}, {sum(raw.values())} with comments {raw}"
    assert sum(code.values()) <= LOOP_LINES, total
    assert sum(raw.values()) <= 2 * LOOP_LINES, total
