"""A recipe's tables laid on their classes, before it is known whether they fit together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .. import registry
from . import fields
from .implementations import implemented
from .model import CLEAN, Entry, ModelTable, OptimizerTable, PassTable, Settings, ViewTable
from .places import Table
from .validate import made

STREAMS = ("labeled", "unlabeled")
DEFAULT_ON = {"label": [CLEAN], "scheduled": ["lr"]}
"`on` of the plugins that implement a hook, where their tables do not say; noise is on all declared views."
TIMINGS = {"pool": ("pool",), "step": ("step",), "both": ("pool", "step"), "none": ()}
"When labels are made, by the recipe's `labels`."


@dataclass(kw_only=True)
class Reserved:
    """Keys of every plugin table that the recipe layer reads itself."""

    use: str
    name: str | None = None
    on: str | list[str] | None = None
    enabled: bool = True
    when: Literal["pool", "step"] | None = None


RESERVED = tuple(fields.hints(Reserved))


@dataclass(eq=False, kw_only=True)
class Plugin:
    """One plugin table, laid on its class."""

    section: str
    name: str
    use: str
    cls: type
    settings: dict[str, Any]
    reserved: Reserved
    table: Table
    on: list[str] = field(default_factory=list)
    "View names, or what a schedule drives; filled in by the checks."
    idle: bool = False
    "A schedule whose targets are not enabled."

    @property
    def hooks(self) -> tuple[str, ...]:
        """What it implements."""
        return implemented(self.cls)

    @property
    def said_on(self) -> list[str] | None:
        """`on` as a list, or its default; None: the views are not said."""
        on = self.reserved.on
        if on is None:
            return next((list(names) for hook, names in DEFAULT_ON.items() if hook in self.hooks), None)
        return [on] if isinstance(on, str) else list(on)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{registry.heading(self.section)} {self.name}"

    def fresh(self) -> Entry:
        """A new instance."""
        return Entry(
            self.section, self.name, self.use, made(self.cls, self.settings), tuple(self.on), self.reserved.when
        )


@dataclass(eq=False, kw_only=True)
class Draft:
    """A recipe's tables, or a generation's, each laid on its class. None: it is wrong, and noted."""

    table: Table
    settings: Settings | None = None
    model: ModelTable | None = None
    size: int | None = None
    optimizer: OptimizerTable | None = None
    views: dict[str, ViewTable] = field(default_factory=dict)
    numbered_passes: list[tuple[int, PassTable]] = field(default_factory=list)
    plugins: list[Plugin] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    "Names of plugins without a usable class: what they would implement is not known."
    resolved: dict[str, Any] = field(default_factory=dict)
    files: set[Path] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    @property
    def enabled(self) -> list[Plugin]:
        """Plugins that take part."""
        return [plugin for plugin in self.plugins if plugin.reserved.enabled and not plugin.idle]

    @property
    def passes(self) -> list[PassTable]:
        """The recipe's passes."""
        return [one for _, one in self.numbered_passes]

    @property
    def view_names(self) -> list[str]:
        """Declared views, those that are wrong included: whoever names them need not hear of it again."""
        views = self.table.get("views")
        return list(views) if isinstance(views, Table) else []

    @property
    def asked(self) -> set[str]:
        """Views that a loss, a labeler or a pass looks at."""
        looking = [plugin for plugin in self.enabled if plugin.section not in ("noise", "schedule")]
        seen = [plugin.on for plugin in looking] + [one.views for one in self.passes]
        return {view for views in seen for view in views}

    @property
    def timings(self) -> tuple[str, ...]:
        """The label timings that are used."""
        return TIMINGS[self.settings.labels] if self.settings else ()

    def implementing(self, hook: str, timing: str | None = None) -> list[Plugin]:
        """Plugins that implement a hook (of one label timing)."""
        found = [plugin for plugin in self.enabled if hook in plugin.hooks]
        return [plugin for plugin in found if timing is None or plugin.reserved.when in (None, timing)]

    def stream_of(self, view: str) -> str | None:
        """The stream that a view shows."""
        return self.views[view].stream if view in self.views else None

    def warn(self, text: str) -> None:
        """Note what looks unintended."""
        self.warnings.append(text)
