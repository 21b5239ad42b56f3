"""Whether a class implements hooks as they are specified."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from ..hookspecs import SECTIONS, AnyHooks, hooks_of
from ..registry import heading
from .message import did_you_mean, listed, sentence

RESERVED_FIELDS = ("use", "name", "on", "enabled", "when")


@cache
def implemented(cls: type) -> tuple[str, ...]:
    """The hooks that a plugin's class implements."""
    return tuple(hooks_of(cls))


@cache
def specified(cls: type) -> dict[str, list[str]]:
    """The hooks of one group, with their arguments."""
    return {name: _arguments(spec) for name, spec in vars(cls).items() if hasattr(spec, "sslkit_spec")}


def _arguments(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


HOOKS: dict[str, list[str]] = {
    name: arguments for group in (AnyHooks, *SECTIONS.values()) for name, arguments in specified(group).items()
}
"Every hook with its arguments."


@cache
def faults(section: str, cls: type) -> list[str]:
    """What is wrong with a plugin's hooks: what, then what would be right. Nothing: empty."""
    found = implemented(cls)
    for name in found:
        if name not in HOOKS:
            return [f"`{cls.__name__}` implements `{name}`, which is no hook",
                    sentence(f"hooks: {listed(HOOKS)}.", did_you_mean(name, HOOKS))]  # fmt: skip
        if wrong := _signature(cls, name):
            return wrong
    own = specified(SECTIONS[section])
    if not set(own) & set(found):
        return [f"`{cls.__name__}` implements no hook of {heading(section)}: {listed(own)}", _misplaced(cls, list(own))]
    names = vars(cls).get("__dataclass_fields__", {})
    taken = [name for name in RESERVED_FIELDS if name in names]
    return [f"`{cls.__name__}` has a field `{taken[0]}`, a key that recipes reserve", "rename it"] if taken else []


def _misplaced(cls: type, own: list[str]) -> str:
    """What a class without a hook of its section may have been meant for."""
    for name in own:
        if callable(getattr(cls, name, None)):
            return f"`{name}` lacks the decorator `@hookimpl`"
    for section, group in SECTIONS.items():
        if any(name in implemented(cls) for name in specified(group)):
            return f"it is a {section} plugin: put it under {heading(section)}"
    return ""


def _signature(cls: type, name: str) -> list[str]:
    """What is wrong with one implementation's parameters."""
    hook = f"hook `{name}` of `{cls.__name__}`"
    parameters = inspect.signature(getattr(cls, name)).parameters
    bound = not isinstance(inspect.getattr_static(cls, name), (staticmethod, classmethod))
    for parameter in list(parameters.values())[1 if bound else 0 :]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return [f"{hook} takes `{parameter}`", f"name the arguments it needs: {listed(HOOKS[name])}"]
        if parameter.name not in HOOKS[name]:
            return [f"{hook} takes `{parameter.name}`, which it is never given",
                    sentence(f"arguments: {listed(HOOKS[name])}.", did_you_mean(parameter.name, HOOKS[name]))]  # fmt: skip
        if parameter.default is not parameter.empty:
            return [f"{hook} gives `{parameter.name}` a default, so it would never be passed",
                    f"write `{parameter.name}` without a default"]  # fmt: skip
    return []
