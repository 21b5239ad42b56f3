"""Templates of recipes, and how they are filled in.

A template is a recipe that is valid as it is. `key = value  # @name` gets the value that was proposed under that name, and
the reason as its comment. `key = value  # on a GPU: other` gets the other value where there is a GPU. `[data]` is replaced
by what opens the images, and the line `# @facts` by what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..catalog.writing import literal
from ..errors import SslkitError
from ..recipe.read import PACKAGE
from .rules import Proposal, Proposed

FOLDER = "templates"
UPTO = re.compile(r"upto_(\d+)_pixels")
MARKED = re.compile(r"^(?P<key>[\w.]+) = (?P<value>.+?)[ \t]*# @(?P<name>\w+)$", re.MULTILINE)
ON_A_GPU = re.compile(
    r"^(?P<key>[\w.]+) = (?P<value>.+?)(?P<gap>[ \t]*)# on a GPU: (?P<other>\S+)(?P<rest>.*)$", re.MULTILINE
)
DATA = re.compile(r"^\[data\]\n(?:.+\n)+", re.MULTILINE)
WHY = {"leave_out": "files that cannot be read, and copies of images that measure"}
"What is said of keys of `[data]`."
COLUMN = 36
"Where comments begin, in characters."


def template_for(pixels: int) -> Path:
    """The template for images of that size: the smallest that says it goes so far, or the one that says nothing."""
    known = sorted((int(match[1]), path) for path in templates() if (match := UPTO.fullmatch(path.stem)))
    general = next(path for path in templates() if not UPTO.fullmatch(path.stem))
    return next((path for upto, path in known if pixels <= upto), general)


def templates() -> list[Path]:
    """Those that are installed. Raises `SslkitError` where there are none."""
    try:
        found = sorted((Path(str(resources.files(PACKAGE))) / FOLDER).glob("*.toml"))
    except ModuleNotFoundError:
        found = []
    if not found:
        raise SslkitError(f"there is no template: the package `{PACKAGE}`, which comes with sslkit, is not installed")
    return found


def filled(template: str, proposal: Proposal, data: Mapping[str, Any], facts: Iterable[str], gpu: bool) -> str:
    """A template's text as a recipe; without a proposal its own values stay."""
    text = ON_A_GPU.sub(swapped, template) if gpu else template
    text = MARKED.sub(lambda found: said(found["key"], proposal[found["name"]]) if proposal else found[0], text)
    table = "".join(said(key, Proposed(value, WHY.get(key, ""))) + "\n" for key, value in data.items())
    text = DATA.sub(lambda _: f"[data]\n{table}", text)
    return text.replace("# @facts\n", "".join(f"# {line}".rstrip() + "\n" for line in facts))


def said(key: str, proposed: Proposed) -> str:
    """A line of a recipe with its reason."""
    line = f"{key} = {literal(proposed.value)}"
    return f"{f'{line} ':<{COLUMN}} # {proposed.why}" if proposed.why else line


def swapped(found: re.Match[str]) -> str:
    """A line with its value for GPUs."""
    line = f"{found['key']} = {found['other']} "
    return f"{line:<{COLUMN}} # on a CPU: {found['value']}{found['rest']}"
