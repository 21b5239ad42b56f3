"""The plugins that are installed, with their classes, for whoever tells of them all: one that is broken breaks nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from .. import registry
from ..errors import RecipeError
from . import fields
from .describe import table_schema
from .implementations import faults
from .traits import trait_faults
from .validate import raised, usable


class Installed(NamedTuple):
    """A plugin that recipes may name; without a class where it cannot be used."""

    section: str
    name: str
    package: str
    cls: type | None

    @property
    def key(self) -> str:
        """What its definition in a schema is called: letters that need no escapes in a pointer."""
        return f"{self.section}.{quote(self.name, safe='').replace('%', '_')}"

    @property
    def required(self) -> list[str]:
        """The fields that have no default."""
        names = fields.hints(self.cls) if self.cls else ()
        return [name for name in names if fields.default_of(self.cls, name) is dataclasses.MISSING]  # type: ignore[arg-type]


def installed(packages: Collection[str] | None = None) -> tuple[list[Installed], list[str]]:
    """Every plugin, or those of some packages, by section and name; and what is wrong with those that cannot be used."""
    found: dict[tuple[str, str], Installed] = {}
    troubles: list[str] = []
    for one in registry.available():
        if (one.section, one.name) not in found and (packages is None or one.package in packages):
            cls, wrong = _class(one.section, one.name)
            found[one.section, one.name] = Installed(one.section, one.name, one.package, cls)
            if wrong:
                troubles.append(f"{registry.heading(one.section)} {one.name}: {'; '.join(filter(None, wrong))}")
    return list(found.values()), troubles


def _class(section: str, name: str) -> tuple[type | None, list[str]]:
    """The class behind a name, or why it cannot be used."""
    try:
        cls = registry.find(section, name, Path())
    except RecipeError as error:
        return None, str(error).splitlines()
    wrong = wrong_with(section, cls)
    return (None, wrong) if wrong else (cls, [])


def wrong_with(section: str, cls: type) -> list[str]:
    """Why a recipe would refuse a class: what, then what would be right. Nothing: empty."""
    try:
        if wrong := usable(cls) or faults(section, cls) or trait_faults(cls):
            return wrong
        table_schema(cls)  # makes its defaults
    except Exception as error:  # of a class's own code
        return [raised(cls, error)]
    return []
