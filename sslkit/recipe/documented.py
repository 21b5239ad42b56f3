"""The help that a class's source holds: its docstring, and the text below each field."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from importlib.util import find_spec
from itertools import pairwise


def field_docs(cls: type) -> dict[str, str]:
    """The text literals below the fields of a class and its parents.

    Raises `OSError` or `TypeError` where the source cannot be read (a class typed into an interpreter has none).
    """
    docs: dict[str, str] = {}
    for parent in reversed(cls.__mro__):
        if "__dataclass_fields__" in vars(parent):
            docs |= _own_docs(parent)
    return docs


def doc_of(cls: type) -> str:
    """A class's docstring without its indentation; nothing where it is the one that `dataclass` makes."""
    text = inspect.getdoc(cls) or ""
    return "" if text.startswith(f"{cls.__name__}(") else text


def summary(doc: str) -> str:
    """A docstring's first paragraph, in one line."""
    return " ".join(doc.strip().partition("\n\n")[0].split())


@cache
def _own_docs(cls: type) -> dict[str, str]:
    docs: dict[str, str] = {}
    for statement, after in pairwise(_source(cls).body):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(statement, ast.AnnAssign) and isinstance(text, ast.Constant):
            docs[ast.unparse(statement.target)] = inspect.cleandoc(str(text.value))
    return docs


def _source(cls: type) -> ast.ClassDef:
    found = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(found, ast.ClassDef)
    return found


def doc_at(target: str) -> str:
    """The docstring of `module:Class`, read from the module's source without executing it; nothing: it is not there.

    Python imports the packages that a module lies in to find it.
    """
    module, _, name = target.partition(":")
    try:
        spec = find_spec(module)
        source = spec.loader.get_source(module) if spec else None  # type: ignore[union-attr]
        body = ast.parse(source or "").body
    except (ImportError, AttributeError, SyntaxError, ValueError):
        return ""
    classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name]
    return (ast.get_docstring(classes[-1]) or "") if classes else ""
