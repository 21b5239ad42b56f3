"""Pluggy's manager with the hooks in it. It looks at methods that are marked, where pluggy looks at every attribute of
every plugin: managers are made many times in a run, and that was a third of a small one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pluggy

from .hookspecs import SECTIONS, AnyHooks, hooks_of


@cache
def marked(cls: type) -> frozenset[str]:
    """The names of a class's implementations."""
    return frozenset(hooks_of(cls))


@cache
def specified(cls: type) -> frozenset[str]:
    """The names of a group's hooks."""
    return frozenset(name for name, function in vars(cls).items() if hasattr(function, "sslkit_spec"))


class Manager(pluggy.PluginManager):
    """Knows every hook; plugins are registered with it."""

    def __init__(self) -> None:
        super().__init__("sslkit")
        for group in (AnyHooks, *SECTIONS.values()):
            self.add_hookspecs(group)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Whether a plugin's attribute implements a hook, and how."""
        kind: type = type(plugin)
        return super().parse_hookimpl_opts(plugin, name) if name in marked(kind) else None

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        """Whether an attribute specifies a hook, and how."""
        return super().parse_hookspec_opts(module_or_class, name) if name in specified(module_or_class) else None
