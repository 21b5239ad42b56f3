"""One plugin in full: what it is, where it comes from, its settings, its hooks, what it says of itself."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import RecipeError
from ..hookspecs import SECTIONS, AnyHooks, hooks_of
from ..recipe import fields
from ..recipe.documented import doc_of, field_docs
from ..recipe.installed import wrong_with
from ..recipe.message import did_you_mean, sentence
from ..recipe.traits import TRAITS, trait


@dataclass(frozen=True)
class Setting:
    """One field: `default` is None where it has none that TOML could say; then it may be left out, or is required."""

    name: str
    takes: str
    unit: str
    required: bool
    default: Any
    help: str


@dataclass(frozen=True)
class HookLine:
    """A hook that a plugin implements: its kind, and when it is called."""

    name: str
    kind: str
    help: str


@dataclass(frozen=True)
class Card:
    """A plugin of one section."""

    section: str
    use: str
    package: str
    version: str
    source: str
    "`module:Class`."
    file: str
    doc: str
    wrong: str
    settings: list[Setting]
    hooks: list[HookLine]
    traits: dict[str, list[str]]


def cards(name: str, folder: Path) -> list[Card]:
    """The plugins that a name may mean: `name`, `section.name`, or `./file.py:Class` from `folder`.

    Raises `RecipeError` for a name that no plugin has, and for one that cannot be imported.
    """
    if registry.FILE.fullmatch(name):
        cls = registry.find("noise", name, folder)  # of a file, whatever the section
        sections = [section for section in SECTIONS if not wrong_with(section, cls)]
        return [_card(section, name, cls) for section in sections or [_likely(cls)]]
    pairs = [(section, name) for section in SECTIONS if name in registry.names(section)]
    section, _, rest = name.partition(".")
    if not pairs and section in SECTIONS and rest in registry.names(section):
        pairs = [(section, rest)]
    if not pairs:
        raise RecipeError(_unknown(name))
    return [card for section, use in pairs for card in _cards_of(section, use, folder)]


def _cards_of(section: str, use: str, folder: Path) -> list[Card]:
    """A name's plugin; of several packages' each, with what forbids their use."""
    if not (rivals := registry.rivals(section, use)):
        return [_card(section, use, registry.find(section, use, folder))]
    try:
        registry.find(section, use, folder)
        clash = ""
    except RecipeError as error:
        clash = "; ".join(str(error).splitlines())
    return [replace(_card(section, use, cls, found), wrong=clash) for found, cls in rivals]


def _likely(cls: type) -> str:
    """The section that a class was meant for which fits none, by names like its hooks'; noise, if nothing tells."""
    meant = {hook for name in vars(cls) for hook in get_close_matches(name, SPECS, n=1, cutoff=0.8)}
    return next((section for section, group in SECTIONS.items() if meant & set(specs(group))), "noise")


def _unknown(name: str) -> str:
    """What to type instead of a name that no plugin has."""
    if name.endswith(".py"):
        return f"`{name}` names no class\n  write `{name}:ClassName`"
    if name in SECTIONS:
        return f"`{name}` is a section, not a plugin\n  `sslkit plugins list --section {name}` lists its plugins"
    known = [one for section in SECTIONS for one in registry.names(section)]
    hint = did_you_mean(name, known) or did_you_mean(name.rpartition(".")[2], known)
    return f"no plugin is called `{name}`\n  " + sentence(hint, "`sslkit plugins list` shows those that are installed")


def _card(section: str, use: str, cls: type, found: registry.Available | None = None) -> Card:
    found = found or next(iter(registry.named(section, use)), None)
    return Card(
        section=section,
        use=use,
        package=found.package if found else "",
        version=found.version if found else "",
        source=f"{cls.__module__}:{cls.__qualname__}" if found else use,
        file=_file(cls),
        doc=doc_of(cls),
        wrong="; ".join(wrong_with(section, cls)),
        settings=settings(cls),
        hooks=[hook_line(name) for name in SPECS if name in hooks_of(cls)],
        traits={name: list(said) for name in TRAITS if dataclasses.is_dataclass(cls) and (said := trait(cls, name))},
    )


def _file(cls: type) -> str:
    try:
        return inspect.getsourcefile(cls) or ""
    except TypeError:
        return ""


def settings(cls: type) -> list[Setting]:
    """The fields that a recipe may set; none of a class that is no dataclass."""
    try:
        hints, docs = fields.hints(cls), _docs(cls)
    except (TypeError, NameError):  # no dataclass, or an annotation that names nothing: `wrong` says so
        return []
    return [_setting(cls, name, hint, docs.get(name, "")) for name, hint in hints.items()]


def _setting(cls: type, name: str, hint: Any, doc: str) -> Setting:
    default = fields.default_of(cls, name)
    required = default is dataclasses.MISSING
    return Setting(name, fields.words(hint), fields.unit(hint), required, None if required else default,
                   " ".join(doc.split()))  # fmt: skip


def _docs(cls: type) -> dict[str, str]:
    """The text below each field, as far as there is source to read."""
    try:
        return field_docs(cls)
    except (OSError, TypeError, SyntaxError):
        return {}


# Hooks ------------------------------------------------------------------------------------------------------------


def specs(group: type) -> dict[str, Any]:
    """A group's hooks."""
    return {name: spec for name, spec in vars(group).items() if hasattr(spec, "sslkit_spec")}


SPECS = {name: spec for group in (AnyHooks, *SECTIONS.values()) for name, spec in specs(group).items()}
"Every hook, in the order of the loop."


def hook_line(name: str) -> HookLine:
    """A hook with the first paragraph of its specification, which begins with its kind."""
    text = " ".join((inspect.getdoc(SPECS[name]) or "").partition("\n\n")[0].split())
    return HookLine(name, text.split()[0].strip(".;,"), text)
