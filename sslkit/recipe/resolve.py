"""From a merged table to plugins: each table laid on its class, each default filled in."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import RecipeError
from ..hookspecs import SECTIONS, SINGLE
from . import fields
from .content import beside, is_file
from .draft import RESERVED, Draft, Plugin, Reserved
from .implementations import faults
from .merge import MOST, name_of
from .message import Problems, did_you_mean, listed, sentence, shortened, shown, words_of
from .model import CLEAN, ModelTable, OptimizerTable, PassTable, Settings, ViewTable
from .places import Place, Source, Table
from .traits import trait_faults
from .validate import dumped, raised, unknown_key, usable, validate

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
DEFAULTS: dict[str, Any] = {"metric": [{"use": "accuracy"}], "tracker": [{"use": "console"}, {"use": "jsonl"}]}
"Sections that a recipe may leave out."
OWN = ("extends", "views", "pass", "optimizer", "generation", "files")
"Keys of a recipe beside its settings and plugin sections."


def resolve(table: Table, problems: Problems) -> Draft:
    """Lay every table on its class. Problems are noted; what can be resolved in spite of them is."""
    settings = validate(Settings, table.only(*fields.hints(Settings)), "", problems)
    draft = Draft(table=table, settings=settings, resolved=dumped(Settings, settings) if settings else {})
    if isinstance(table.get("corrections"), str):
        _file(table, "corrections", "", draft, problems)
    if settings is None:
        deciding = table.only("labels", "init", "batch", "label_streams") | {"steps": 1}
        draft.settings = validate(Settings, Table(deciding, table.place), "", Problems())
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
    if model is not None:
        draft.model, draft.size = model, model.size
        draft.resolved["model"] = dumped(ModelTable, model)
    if isinstance(table.get("weights"), str):
        _file(table, "weights", "[model]: ", draft, problems)


def _file(table: Table, key: str, label: str, draft: Draft, problems: Problems) -> None:
    """A file that a key names: there, readable, and part of what the recipe is."""
    path, what = Path(table[key]), f"{label}`{key}`"
    draft.files.add(path)
    if not is_file(path):
        problems.add(table.where(key), f"{what}: there is no file {shown(path)}",
                     lambda: did_you_mean(path.name, beside(path)))  # fmt: skip
    _readable(path, table.where(key), what, problems)


def _fixed(draft: Draft, problems: Problems) -> None:
    """`[optimizer]`, `[views.NAME]`, `[[pass]]`."""
    optimizer = _one("optimizer", draft.table, problems)
    if optimizer is not None:
        draft.optimizer = validate(OptimizerTable, optimizer, "[optimizer]", problems)
        if draft.optimizer:
            draft.resolved["optimizer"] = dumped(OptimizerTable, draft.optimizer)
    views: dict[str, Any] = _one("views", draft.table, problems, needed=False) or {}
    if len(views) > MOST:
        problems.add(draft.table.where("views"), f"[views]: {len(views):,} views", f"at most {MOST:,} are accepted")
    for name, view in list(views.items())[:MOST]:
        _view(name, view, draft, problems)
    passes = draft.table.get("pass", [])
    for i, table in enumerate(passes if isinstance(passes, list) else []):
        one = validate(PassTable, table, f"[[pass]] {i}", problems)
        if one is not None:
            draft.numbered_passes.append((i, one))
    if passes:
        draft.resolved["pass"] = [dumped(PassTable, one) for one in draft.passes]


def _view(name: str, view: Any, draft: Draft, problems: Problems) -> None:
    place = draft.table["views"].where(name)
    if not isinstance(view, Table):
        problems.add(place, f"`views.{name}` is a table", f'write `[views.{name}]` and `stream = "labeled"` below it')
    elif name == CLEAN or not NAME.fullmatch(name):
        problems.add(place, f"[views.{shortened(name)}]: a view cannot be called {shown(name)}",
                     "`clean` is the built-in view; names have at most 100 letters, digits, `_` and `-`")  # fmt: skip
    elif one := validate(ViewTable, view, f"[views.{name}]", problems):
        draft.views[name] = one
        draft.resolved.setdefault("views", {})[name] = dumped(ViewTable, one)


def _plugin(section: str, table: Table, draft: Draft, problems: Problems) -> dict[str, Any]:
    """One plugin's table, resolved; what is wrong is noted."""
    name = name_of(table)
    label = f"{registry.heading(section)} {name or ''}".rstrip()
    reserved = _reserved(section, label, table, problems)
    cls = _class(section, reserved, label, table, draft, problems) if reserved else None
    if reserved is None or name is None or cls is None:
        if reserved is None or reserved.enabled:
            draft.broken.add(name or "")
        return dict(table)
    if section == "model" and "size" in table:
        draft.size = _size(table, problems)
    own = _with_paths(cls, table, draft, section)
    instance = validate(cls, own, label, problems, RESERVED)
    settings = _settings(cls, instance, label, table, problems)
    plugin = Plugin(section=section, name=name, use=reserved.use, cls=cls, settings=settings, reserved=reserved,
                    table=table)  # fmt: skip
    draft.plugins.append(plugin)
    return _resolved(plugin, draft)


def _settings(cls: type, instance: Any, label: str, table: Table, problems: Problems) -> dict[str, Any]:
    """A plugin's settings, defaults included, as TOML can say them."""
    try:
        return {} if instance is None else dumped(cls, instance)
    except Exception as error:
        problems.add(table.where("use"), *f"{label}: `{cls.__name__}` has a default that TOML cannot say: "
                     f"{words_of(error)}".splitlines())  # fmt: skip
        return {}


def _resolved(plugin: Plugin, draft: Draft) -> dict[str, Any]:
    """A plugin's table as it is written beside a run."""
    head: dict[str, Any] = {"use": plugin.use, "name": plugin.name, "enabled": plugin.reserved.enabled}
    if (on := plugin.said_on) is not None:
        head["on"] = on
    if plugin.reserved.when:
        head["when"] = plugin.reserved.when
    if plugin.section == "model" and draft.size:
        head["size"] = draft.size
    return {**head, **plugin.settings}


def _reserved(section: str, label: str, table: Table, problems: Problems) -> Reserved | None:
    """The reserved keys; those that are wrong are noted and have their defaults. None: it is not known what is used."""
    if "use" not in table:
        problems.add(table.place, f"{label}: `use` is missing", partial(_installed, section, name_of(table)))
        return None
    name = name_of(table)
    unknown = "name" not in table and not registry.FILE.fullmatch(name or "") and name not in registry.names(section)
    if name is not None and not NAME.fullmatch(name) and not (unknown and name == table["use"]):  # told of `use` itself
        place = table.where("name" if "name" in table else "use")
        label = f"{registry.heading(section)} {shortened(name)}".rstrip()
        problems.add(place, f"{label}: a plugin cannot be called {shown(name)}",
                     "give it a `name` of at most 100 letters, digits, `_` and `-`")  # fmt: skip
    if "when" in table and section != "labeler":
        problems.add(
            table.where("when"), f"{label}: unknown key `when`", "only a [[labeler]] belongs to a label timing"
        )
    if table.get("enabled") is False and section in ("data", "model"):
        problems.add(table.where("enabled"), f"{label}: `enabled = false`", f"a run needs its {section}")
    reserved = validate(Reserved, table.only(*RESERVED), label, problems)
    return Reserved(use=table["use"]) if reserved is None and isinstance(table["use"], str) else reserved


def _installed(section: str, name: str | None) -> str:
    """Which plugins there are, and which a name meant."""
    known = registry.names(section)
    return sentence(f"installed: {listed(known)}.", did_you_mean(name, known)).rstrip(".")


def _class(section: str, reserved: Reserved, label: str, table: Table, draft: Draft, problems: Problems) -> type | None:
    """The class behind `use`, if it is a plugin of this section. A disabled one need not be importable."""
    place = table.where("use")
    try:
        cls = registry.find(section, reserved.use, place.source.folder)
    except RecipeError as error:
        first, *rest = str(error).splitlines()
        if reserved.enabled or "cannot be imported" not in first:
            problems.add(place, f"{label}: {first}", *rest)
        return None
    try:
        wrong = usable(cls) or faults(section, cls) or trait_faults(cls)
    except Exception as error:  # of a class's own attributes
        wrong = [raised(cls, error)]
    if wrong:
        problems.add(place, f"{label}: {wrong[0]}", *wrong[1:])
        return None
    if match := registry.FILE.fullmatch(reserved.use):
        draft.files.add(Path(match["path"]))
    return cls


def _size(table: Table, problems: Problems) -> int | None:
    """`size` of a `[model]` plugin: reserved, and the plugin's too if it has such a field."""
    stand_in = Table({"name": "", "size": table["size"]}, table.place, table.places)
    only = validate(ModelTable, stand_in, "[model]", problems)
    return only.size if only else None


def _with_paths(cls: type, table: Table, draft: Draft, section: str) -> Table:
    """A plugin's own keys, paths from the folder of the recipe that says them."""
    hints = fields.hints(cls)
    skip = set(RESERVED) | ({"size"} if section == "model" and "size" not in hints else set())
    own = table.without(*skip)
    for key, value in own.items():
        if isinstance(value, str) and key in hints and fields.is_path(hints[key]):
            path = own.where(key).source.folder / os.path.expanduser(value)  # noqa: PTH111 - Path's raises for `~nobody`
            own[key] = str(path)
            if is_file(path) and section != "tracker" and os.access(path, os.R_OK):
                draft.files.add(path)  # one that is closed is the plugin's to complain of
    return own


def _readable(path: Path, place: Place, label: str, problems: Problems) -> None:
    """A file whose content counts can be read."""
    if is_file(path) and not os.access(path, os.R_OK):
        problems.add(place, f"{label}: {shown(path)} cannot be read: permission denied")


def _unique(draft: Draft, problems: Problems) -> None:
    """Names are unique: state, randomness and overrides are keyed by them."""
    seen: dict[str, list[Plugin]] = {}
    for plugin in draft.plugins:
        place, others = plugin.table.place, seen.setdefault(plugin.name, [])
        if others:  # one of the same file says more: both lines can be looked at together
            other = next((one for one in others if one.table.place.source is place.source), others[0])
            problems.add(place, f"{plugin.label}: the name `{plugin.name}` is taken by {other.label}"
                         + other.table.place.seen_from(place), "give one of them another `name`")  # fmt: skip
        others.append(plugin)


def check_keys(table: Table, problems: Problems) -> None:
    """The recipe's top level."""
    known = [*fields.hints(Settings), *SECTIONS, *OWN]
    for key in table:
        if key not in known:
            problems.add(table.where(key), f"unknown key or section `{shortened(key)}`", partial(_known, key, known))


def _known(key: str, known: list[str]) -> str:
    """What an unknown top-level key may have meant."""
    rare = "step"  # a letter from `steps`, which is what a misspelt one means
    guess = did_you_mean(key, [word for word in known if word != rare]) or did_you_mean(key, known)
    word = guess.split("`")[1] if guess else ""
    if word in fields.hints(Settings):
        return unknown_key(key, [word], Settings)
    heads = [registry.heading(section) for section in SECTIONS] + [
        "[optimizer]",
        "[views.NAME]",
        "[[pass]]",
        "[[generation]]",
    ]
    if word:
        return next((f"did you mean `{head}`?" for head in heads if re.search(rf"\b{word}\b", head)),
                    guess[0].lower() + guess[1:])  # fmt: skip
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
