"""The help that a class's source holds: its docstring, and the text below each field."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
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
