"""Writes docs/hooks.md, docs/plugins.md, the cards of docs/methods/ and the schemas of recipes/ from the code.

The tests fail when they no longer match it.

python docs/generate.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

from sslkit import hookspecs
from sslkit.cli import COMMANDS
from sslkit.hookspecs import SECTIONS, AnyHooks, hooks_of
from sslkit.recipe import fields
from sslkit.recipe.describe import written
from sslkit.recipe.documented import field_docs
from sslkit.recipe.schema import recipe_schema
from sslkit.study.schema import study_schema

HERE = Path(__file__).parent
RECIPES = HERE.parent / "recipes"
NOTE = "<!-- Written by `python docs/generate.py`; do not edit. -->\n"


def built_ins() -> dict[str, dict[str, type]]:
    """Section -> name -> class, of the plugins that come with sslkit."""
    return {
        section: {
            point.name: point.load()
            for point in sorted(entry_points(group=f"sslkit.{section}"))
            if point.value.startswith("sslkit_plugins.")
        }
        for section in SECTIONS
    }


def hooks_page(plugins: dict[str, dict[str, type]]) -> str:
    """Every hook: signature, kind, timing, shapes, who implements it."""
    loop = inspect.getdoc(hookspecs) or ""
    parts = ["# Hooks\n", NOTE, as_markdown(loop), ""]
    for cls in (AnyHooks, *SECTIONS.values()):
        parts += [f"## {inspect.getdoc(cls)}\n"]
        for name in (n for n, f in vars(cls).items() if inspect.isfunction(f)):
            users = [f"`{n}`" for found in plugins.values() for n, plugin in found.items() if name in hooks_of(plugin)]
            parts += [f"### `{signature(getattr(cls, name))}`\n", inspect.getdoc(getattr(cls, name)) or "", ""]
            parts += [f"Built-ins: {', '.join(users)}\n"] if users else []
    return "\n".join(parts)


def signature(function: object) -> str:
    """A hook as an implementation would write it."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    arguments = [str(p).replace("'", "") for name, p in found.parameters.items() if name != "self"]
    return f"{function.__name__}({', '.join(arguments)}) -> {found.return_annotation}"  # type: ignore[attr-defined]


def as_markdown(docstring: str) -> str:
    """A module's docstring: its indented part is code, blank lines inside included."""
    lines, out, code = docstring.splitlines(), [], False
    for line in lines:
        starts = line.startswith("    ")
        if starts and not code:
            out, code = [*out, "```python"], True
        if code and line and not starts:
            out, code = [*out[:-1], "```", ""], False
        out.append(line[4:] if code else line)
    return "\n".join(out)


def plugins_page(plugins: dict[str, dict[str, type]]) -> str:
    """Every built-in: what it does, its hooks, its fields."""
    parts = ["# Built-in plugins\n", NOTE]
    for section, found in plugins.items():
        if found:
            parts += [f"## {inspect.getdoc(SECTIONS[section])}\n"]
        for name, cls in found.items():
            parts += [
                f"### {name}\n",
                inspect.getdoc(cls) or "",
                "",
                f"Hooks: {', '.join(f'`{h}`' for h in hooks_of(cls))}\n",
            ]
            parts += fields_table(cls)
    return "\n".join(parts)


def fields_table(cls: type) -> list[str]:
    """Name, what it accepts, what it means."""
    docs = field_docs(cls)
    rows = [
        f"| `{field.name}` | {cell(fields.accepted(cls, field.name))} | {cell(docs.get(field.name, ''))} |"
        for field in dataclasses.fields(cls)
        if field.init
    ]
    return ["| field | takes | |", "|---|---|---|", *rows, ""] if rows else []


def cell(text: str) -> str:
    """Text that a table's cell can hold."""
    return " ".join(text.split()).replace("|", "\\|")


def pages() -> dict[str, str]:
    """File name -> text."""
    plugins = built_ins()
    return {"hooks.md": hooks_page(plugins), "plugins.md": plugins_page(plugins)}


def commands_table() -> str:
    """Every command with its line of help."""
    rows = [f"| `sslkit {name}` | {cell(line)} |" for name, (_, line) in COMMANDS.items()]
    return "\n".join(["", "| command | |", "|---|---|", *rows, "", ""])


def inserted(text: str, name: str, part: str) -> str:
    """A page with `part` between its markers of that name."""
    begin = re.search(rf"<!-- [^>]*{name} begin -->\n", text)
    assert begin, f"there is no place for {name}"
    return text[: begin.end()] + part + text[text.index(f"<!-- {name} end -->") :]


def schemas() -> dict[Path, str]:
    """File -> text of the schemas that shipped recipes and studies name: with the built-in plugins alone."""
    return {
        RECIPES / "recipe.schema.json": written(recipe_schema(packages=["sslkit"]).schema),
        RECIPES / "studies" / "study.schema.json": written(study_schema()),
    }


if __name__ == "__main__":
    import cards  # beside this file

    readme = HERE.parent / "README.md"
    readme.write_text(inserted(readme.read_text(), "commands", commands_table()))
    for name, text in {**pages(), **cards.cards()}.items():
        (HERE / name).write_text(text)
    for path, text in schemas().items():
        path.write_text(text, encoding="utf-8")
