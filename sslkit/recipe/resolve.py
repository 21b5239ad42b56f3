"""From a merged table to plugins: each table laid on its class, each default filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .. import registry
from ..errors import RecipeError
from ..hookspecs import SECTIONS, SINGLE, hooks_of
from . import fields
from .implementations import faults
from .merge import name_of
from .message import Problems, did_you_mean, listed, sentence, shown
from .model import CLEAN, Entry, ModelTable, OptimizerTable, PassTable, Settings, ViewTable
from .places import Source, Table
from .validate import dumped, made, unknown_key, usable, validate

NAME = re.compile(r"[A-Za-z0-9_-]+")
STREAMS = ("labeled", "unlabeled")
DEFAULTS: dict[str, Any] = {
    "metric": [{"use": "accuracy"}],
    "tracker": [{"use": "console"}, {"use": "jsonl"}],
}
"Sections that a recipe may leave out."
DEFAULT_ON = {"labeler": [CLEAN], "schedule": ["lr"]}
"Views that a plugin looks at where its table does not say; noise looks at all declared ones."
OWN = ("extends", "views", "pass", "optimizer", "generation", "files")
"Keys of a recipe beside its settings and plugin sections."


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

    @property
    def hooks(self) -> list[str]:
        """What it implements."""
        return hooks_of(self.cls)

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{registry.heading(self.section)} {self.name}"

    def fresh(self) -> Entry:
        """A new instance."""
        return Entry(self.section, self.name, self.use, made(self.cls, self.settings), tuple(self.on), self.reserved.when)


@dataclass(eq=False, kw_only=True)
class Draft:
    """A recipe's tables, or a generation's, each laid on its class. None: it is wrong, and noted."""

    table: Table
    settings: Settings | None
    model: ModelTable | None
    size: int | None
    optimizer: OptimizerTable | None
    views: dict[str, ViewTable]
    passes: list[PassTable]
    plugins: list[Plugin]
    resolved: dict[str, Any]
    files: set[Path] = field(default_factory=set)

    @property
    def enabled(self) -> list[Plugin]:
        """Plugins that take part."""
        return [plugin for plugin in self.plugins if plugin.reserved.enabled]


def resolve(table: Table, problems: Problems) -> Draft:
    """Lay every table on its class. Problems are noted; what can be resolved in spite of them is."""
    resolved: dict[str, Any] = {}
    files: set[Path] = set()
    settings = validate(Settings, table.only(*fields.hints(Settings)), "recipe", problems)
    if settings:
        resolved.update(dumped(Settings, settings))
    draft = Draft(table=table, settings=settings, model=None, size=None, optimizer=None, views={}, passes=[],
                  plugins=[], resolved=resolved, files=files)  # fmt: skip
    for section in SECTIONS:
        _section(section, draft, problems)
        if section == "model":
            _fixed(draft, problems)
    _unique(draft, problems)
    return draft


def _section(section: str, draft: Draft, problems: Problems) -> None:
    """One section's plugins."""
    value = draft.table.get(section)
    if section in SINGLE:
        table = _one(section, draft.table, problems, needed=section != "step")
        if table is not None and section == "model" and "use" not in table:
            _timm(table, draft, problems)
        elif table is not None:
            draft.resolved[section] = _plugin(section, table, draft, problems)
    elif isinstance(value, list):
        tables = [_plugin(section, table, draft, problems) for table in value if isinstance(table, Table)]
        draft.resolved[section] = tables
        if not tables:
            del draft.resolved[section]
            if section in DEFAULTS:
                draft.resolved[section] = []


def _one(key: str, table: Table, problems: Problems, needed: bool = True) -> Table | None:
    """A section that is one table."""
    value = table.get(key)
    if isinstance(value, Table):
        return value
    if key in table:
        problems.add(table.where(key), f"`{key}` is one table", f"write `[{key}]` above its keys, once")
    elif needed:
        problems.add(table.place, f"`[{key}]` is missing")
    return None


def _timm(table: Table, draft: Draft, problems: Problems) -> None:
    """`[model]` without `use`."""
    model = validate(ModelTable, table, "[model]", problems, ("use",))
    if model is None:
        return
    draft.model, draft.size = model, model.size
    draft.resolved["model"] = dumped(ModelTable, model)
    if model.weights is not None:
        path = Path(model.weights)
        if not path.is_file():
            near = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
            problems.add(table.where("weights"), f"[model]: `weights`: there is no file {path}",
                         did_you_mean(path.name, near))  # fmt: skip
        draft.files.add(path)


def _fixed(draft: Draft, problems: Problems) -> None:
    """`[optimizer]`, `[views.NAME]`, `[[pass]]`."""
    optimizer = _one("optimizer", draft.table, problems)
    if optimizer is not None:
        draft.optimizer = validate(OptimizerTable, optimizer, "[optimizer]", problems)
        if draft.optimizer:
            draft.resolved["optimizer"] = dumped(OptimizerTable, draft.optimizer)
    for name, view in (_one("views", draft.table, problems, needed=False) or {}).items():
        _view(name, view, draft, problems)
    passes = draft.table.get("pass", [])
    for i, table in enumerate(passes if isinstance(passes, list) else []):
        one = validate(PassTable, table, f"[[pass]] {i}", problems)
        if one:
            draft.passes.append(one)
    if passes:
        draft.resolved["pass"] = [dumped(PassTable, one) for one in draft.passes]


def _view(name: str, view: Any, draft: Draft, problems: Problems) -> None:
    place = draft.table["views"].where(name)
    if not isinstance(view, Table):
        problems.add(place, f"`views.{name}` is a table", f'write `[views.{name}]` and `stream = "labeled"` below it')
    elif name == CLEAN or not NAME.fullmatch(name):
        problems.add(place, f"[views.{name}]: a view cannot be called {shown(name)}",
                     "`clean` is the built-in view; names have letters, digits, `_` and `-`")  # fmt: skip
    elif one := validate(ViewTable, view, f"[views.{name}]", problems):
        draft.views[name] = one
        draft.resolved.setdefault("views", {})[name] = dumped(ViewTable, one)


def _plugin(section: str, table: Table, draft: Draft, problems: Problems) -> dict[str, Any]:
    """One plugin's table, resolved; what is wrong is noted and the plugin left out."""
    name = name_of(table)
    label = f"{registry.heading(section)} {name or ''}".rstrip()
    reserved = validate(Reserved, table.only(*RESERVED), label, problems)
    if reserved is None or name is None:
        return {}
    _reserved(section, name, label, table, problems)
    cls = _class(section, reserved, label, table, draft, problems)
    if cls is None:
        kept = table if not reserved.enabled else {}
        return dict(kept.items())
    _size(section, cls, table, draft, problems)
    own = _with_paths(cls, table, draft, section)
    instance = validate(cls, own, label, problems, RESERVED)
    if instance is None:
        return {}
    settings = dumped(cls, instance)
    draft.plugins.append(Plugin(section=section, name=name, use=reserved.use, cls=cls, settings=settings,
                                reserved=reserved, table=table))  # fmt: skip
    return _resolved(section, name, reserved, settings, draft)


def _resolved(section: str, name: str, reserved: Reserved, settings: dict[str, Any], draft: Draft) -> dict[str, Any]:
    """A plugin's table as it is written beside a run."""
    on = [reserved.on] if isinstance(reserved.on, str) else reserved.on
    head: dict[str, Any] = {"use": reserved.use, "name": name, "enabled": reserved.enabled}
    on = DEFAULT_ON.get(section) if on is None else on
    if on is not None:
        head["on"] = on
    if reserved.when:
        head["when"] = reserved.when
    if section == "model" and draft.size:
        head["size"] = draft.size
    return {**head, **settings}


def _reserved(section: str, name: str, label: str, table: Table, problems: Problems) -> None:
    """What reserved keys may say."""
    if not NAME.fullmatch(name):
        place = table.where("name" if "name" in table else "use")
        problems.add(place, f"{label}: a plugin cannot be called {shown(name)}",
                     "give it a `name` of letters, digits, `_` and `-`")  # fmt: skip
    if "when" in table and section != "labeler":
        problems.add(table.where("when"), f"{label}: unknown key `when`", "only a [[labeler]] belongs to a label timing")
    if table.get("enabled") is False and section in ("data", "model"):
        problems.add(table.where("enabled"), f"{label}: `enabled = false`", f"a run needs its {section}")


def _class(
    section: str, reserved: Reserved, label: str, table: Table, draft: Draft, problems: Problems
) -> type | None:
    """The class behind `use`, if it is a plugin of this section. A disabled one need not be importable."""
    place = table.where("use")
    try:
        cls = registry.find(section, reserved.use, place.source.folder)
    except RecipeError as error:
        first, *rest = str(error).splitlines()
        if reserved.enabled or "cannot be imported" not in first:
            problems.add(place, f"{label}: {first}", *rest)
        return None
    wrong = usable(cls) or faults(section, cls)
    if wrong:
        problems.add(place, f"{label}: {wrong[0]}", *wrong[1:])
        return None
    if match := registry.FILE.fullmatch(reserved.use):
        draft.files.add(Path(match["path"]))
    return cls


def _size(section: str, cls: type, table: Table, draft: Draft, problems: Problems) -> None:
    """`size` of a `[model]` plugin: reserved, and the plugin's too if it has such a field."""
    if section == "model" and "size" in table:
        only = validate(ModelTable, Table({"name": "x", "size": table["size"]}, table.place, table.places),
                        "[model]", problems)  # fmt: skip
        draft.size = only.size if only else None


def _with_paths(cls: type, table: Table, draft: Draft, section: str) -> Table:
    """A plugin's own keys, paths from the folder of the recipe that says them."""
    hints = fields.hints(cls)
    skip = set(RESERVED) | ({"size"} if section == "model" and "size" not in hints else set())
    own = table.without(*skip)
    for key, value in own.items():
        if isinstance(value, str) and key in hints and fields.is_path(hints[key]):
            path = own.where(key).source.folder / value
            own[key] = str(path)
            if path.is_file() and section != "tracker":
                draft.files.add(path)
    return own


def _unique(draft: Draft, problems: Problems) -> None:
    """Names are unique: state, randomness and overrides are keyed by them."""
    seen: dict[str, Plugin] = {}
    for plugin in draft.plugins:
        other = seen.setdefault(plugin.name, plugin)
        if other is not plugin:
            line = other.table.place.line
            problems.add(plugin.table.place, f"{plugin.label}: the name `{plugin.name}` is taken by {other.label}"
                         + (f" (line {line})" if line else ""), "give one of them another `name`")  # fmt: skip


def check_keys(table: Table, problems: Problems) -> None:
    """The recipe's top level."""
    known = [*fields.hints(Settings), *SECTIONS, *OWN]
    for key in table:
        if key not in known:
            problems.add(table.where(key), f"unknown key or section `{key}`", _known(key, known))


def _known(key: str, known: list[str]) -> str:
    """What an unknown top-level key may have meant."""
    guess = did_you_mean(key, known)
    word = guess.split("`")[1] if guess else ""
    if word in fields.hints(Settings):
        return unknown_key(key, known, Settings)
    heads = [registry.heading(section) for section in SECTIONS] + ["[optimizer]", "[views.NAME]", "[[pass]]", "[[generation]]"]
    if word:
        return next((f"did you mean `{head}`?" for head in heads if re.search(rf"\b{word}\b", head)), guess)
    return sentence(f"settings: {listed(fields.hints(Settings))}; sections: {listed(heads)}")


def defaults(table: Table) -> Table:
    """The recipe with the sections that it leaves out."""
    result = Table(table, table.place, table.places)
    source: Source = table.place.source
    for section, tables in DEFAULTS.items():
        if section not in table:
            place = Table({}, table.place).place
            result.put(section, [Table(item, place) for item in tables], place)
    assert source
    return result
