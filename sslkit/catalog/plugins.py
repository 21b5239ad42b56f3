"""Installed plugins, each in a line; what is wrong with one leaves the others unharmed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from .. import registry
from ..errors import RecipeError
from ..hookspecs import SECTIONS
from ..recipe.documented import doc_at, doc_of, summary
from ..recipe.message import did_you_mean
from ..registry import Available

OWN = __name__.partition(".")[0]
"The distribution whose plugins are known to be sound, so that their help is read without importing them."


@dataclass(frozen=True)
class Line:
    """One plugin of a list."""

    section: str
    name: str
    help: str
    package: str
    version: str
    source: str
    wrong: str = ""
    "Why it cannot be used; empty: it can."


def lines(section: str | None = None) -> list[Line]:
    """Every installed plugin, sections in the order of recipes, names in the alphabet's."""
    found = [one for one in registry.available() if section in (None, one.section)]
    found.sort(key=lambda one: (list(SECTIONS).index(one.section), one))
    counts = Counter((one.section, one.name) for one in found)
    return [_line(one, counts[one.section, one.name] > 1) for one in found]


def _line(one: Available, rivals: bool) -> Line:
    text, wrong = _help(one, rivals)
    return Line(one.section, one.name, summary(text), one.package, one.version, one.target, wrong)


def _help(one: Available, rivals: bool) -> tuple[str, str]:
    """A plugin's docstring, and what is wrong with it. Others' plugins are imported: nothing else tells."""
    if one.package == OWN and not rivals and (text := doc_at(one.target)):
        return text, ""
    try:
        cls = registry.find(one.section, one.name, Path())
    except RecipeError as error:
        return "", "; ".join(str(error).splitlines())
    from ..recipe.installed import wrong_with  # with pydantic: not for a list of sslkit's own

    return doc_of(cls), "; ".join(wrong_with(one.section, cls))


def strays() -> list[str]:
    """Groups of entry points that look like a section's and are none: their plugins would never be found."""
    told = []
    for group in sorted(entry_points().groups):
        prefix, dot, section = group.partition(".")
        if prefix == OWN and dot and section not in SECTIONS:
            packages = sorted({point.dist.name if point.dist else "unknown" for point in entry_points(group=group)})
            hint = did_you_mean(section, SECTIONS)
            told.append(
                f"{', '.join(packages)}: `{group}` is no section, so its plugins are not found. {hint}".rstrip()
            )
    return told
