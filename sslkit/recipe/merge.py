"""How one recipe is laid over another: `extends`, generations, and single overrides all merge by these rules.

`extends` may name several recipes: each is laid on those before it, what they extend themselves included.

- Tables merge key by key. Within a section an empty one empties (`options = {}`); a section without keys says nothing.
- Lists of plugins merge by name: an entry of the same name merges key by key, or, if its `use` differs, replaces the
  old one in place with all its settings; a new name goes to the end, or `after = "name"`. An empty list empties.
- `[data]` and `[step]`, `[model]`: another `use` replaces the whole table.
- `[optimizer]`, and `[model]` of timm's: another `name` drops the old `options`, which were the old one's arguments.
- `[[generation]]`, `[[pass]]` and lists of values are replaced whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..hookspecs import SECTIONS, SINGLE
from ..registry import FILE, default_name, heading
from .content import is_file
from .message import Problems, did_you_mean, listed, sentence, shown
from .model import OptimizerTable
from .places import Source, Table

LISTS = tuple(section for section in SECTIONS if section not in SINGLE)
NUMBERED = ("generation", "pass")
NAMED = (*LISTS, "views")
"Sections of tables by name."
FACTORIES = {"model": None, "optimizer": OptimizerTable.name}
"Sections whose `options` are arguments of what their `name` names, and what that is where nothing is said."
WEIGHTS = "model.safetensors"
"What holds the weights in a folder that is named for them, as timm and `sslkit export` write it."
INDEX = re.compile(r"[0-9]{1,9}")
MOST = 1000  # tables of a list; far beyond any use, it bounds the time that a broken recipe takes


def merge(base: Table, over: Table, problems: Problems) -> Table:
    """`over` laid on `base`; neither changes."""
    result = Table(base, base.place, base.places)
    for key, value in over.items():
        old = base.get(key)
        if key in LISTS:
            value = merge_plugins(key, old if isinstance(old, list) else [], over, problems)
        elif key in NUMBERED:
            value = merge_numbered(key, base, over, problems)
        elif isinstance(old, Table) and isinstance(value, Table):
            value = merge_section(key, old, value)
        result.put(key, value, over.where(key))
    return result


def merge_section(key: str, base: Table, over: Table, under: Table | None = None) -> Table:
    """One section as one table. `under`: what `base` itself is laid on, where that is a generation's."""
    if key in NAMED:
        return merge_named(base, over)
    if key == "model" and "use" in base:
        return over if "name" in over and "use" not in over else merge_table(base, over)
    if key in FACTORIES and over.get("name", named := in_use(key, base, under)) != named:
        base = base.without("options")
    return merge_table(base, over)


def in_use(section: str, *tables: Table | None) -> Any:
    """Whose arguments a section's `options` are: the `name` that the first of some tables says, or the default."""
    said = (table["name"] for table in tables if isinstance(table, Table) and "name" in table)
    return next(said, FACTORIES[section])


def merge_named(base: Table, over: Table) -> Table:
    """Tables by name, those of one name key by key."""
    result = Table(base, base.place, base.places)
    for name, value in over.items():
        old = base.get(name)
        both = isinstance(old, Table) and isinstance(value, Table)
        result.put(name, merge_table(old, value) if both else value, over.where(name))  # type: ignore[arg-type]
    return result


def merge_generation(recipe: Table, base: Table, over: Table) -> Table:
    """Overrides of a generation laid on those that it has, which are laid on the recipe."""
    result = Table(base, base.place, base.places)
    for key, value in over.items():
        old = base.get(key)
        if isinstance(old, Table) and isinstance(value, Table):
            value = merge_section(key, old, value, recipe.get(key))
        result.put(key, value, over.where(key))
    return result


def merge_table(base: Table, over: Table) -> Table:
    """Key by key, an empty table in whole; another `use` is another plugin, whose settings are its own."""
    if "use" in over and over["use"] != base.get("use"):
        return over
    result = Table(base, base.place, base.places)
    for key, value in over.items():
        old = base.get(key)
        if isinstance(old, Table) and isinstance(value, Table) and value:
            value = merge_table(old, value)
        result.put(key, value, over.where(key))
    return result


def name_of(table: Table) -> str | None:
    """A plugin table's name: `name`, or what `use` makes of it."""
    name = table.get("name", table.get("use"))
    if not isinstance(name, str):
        return None
    return name if "name" in table else default_name(name)


def merge_plugins(section: str, base: list[Table], over: Table, problems: Problems) -> list[Table]:
    """Two lists of one section's plugins as one."""
    if over[section] == []:
        return []
    result = list(base)
    known = {name_of(table): i for i, table in enumerate(base)}
    seen: set[str | None] = set()
    for table in as_list(section, over, problems):
        name = name_of(table)
        if (
            name is not None and name in known and name not in seen
        ):  # a second table of this name stays a second one: refused later
            result[known[name]] = merge_table(result[known[name]], table)
        elif base and name is not None and name not in seen and "use" not in table:
            problems.add(table.place, f"{heading(section)} {name}: no plugin of this name is there, and `use` adds none",
                         partial(_there, name, base))  # fmt: skip
        else:
            result.append(table)
        seen.add(name)
    return moved(section, result, problems)


def moved(section: str, tables: list[Table], problems: Problems) -> list[Table]:
    """The list with every table behind the one that its `after` names; `after` is done with then."""
    result = list(tables)
    for table in [table for table in tables if "after" in table]:
        result = [other for other in result if other is not table]
        words = [name_of(other) for other in result]
        after, fresh = table["after"], table.without("after")
        if after in words:
            result.insert(words.index(after) + 1, fresh)
            continue
        problems.add(table.where("after"),
                     f"{heading(section)} {name_of(table)}: `after = {shown(after)}` names no plugin of this section",
                     partial(_there, after, result))  # fmt: skip
    return result


def _there(name: Any, tables: list[Table]) -> str:
    """Which plugins a section has, and which was meant."""
    there = [word for word in map(name_of, tables) if word]
    return sentence(f"there are: {listed(there)}.", did_you_mean(name, there))


def as_list(section: str, table: Table, problems: Problems) -> list[Table]:
    """A section's plugins: `[[noise]]` tables, or `noise.name` tables that say the name in their key."""
    value = table[section]
    if isinstance(value, Table) and value and all(isinstance(item, Table) for item in value.values()):
        return [_named(section, name, item, problems) for name, item in value.items()]
    if isinstance(value, list) and all(isinstance(item, Table) for item in value) and len(value) <= MOST:
        return value
    many = isinstance(value, list) and len(value) > MOST
    problems.add(
        table.where(section),
        f"{heading(section)}: {len(value):,} tables"
        if many
        else f"`{section}` is a list of tables, not {received(value)}",
        f"at most {MOST:,} are accepted"
        if many
        else f"write `[[{section}]]` above a plugin's keys, or `{section}.NAME.KEY`",
    )
    return []


def received(value: Any) -> str:
    """What stands where tables were expected."""
    kinds = {type(item) for item in value} if isinstance(value, list) else set()
    if isinstance(value, Table):
        return "one table" if value else "an empty table"
    return "a list of tables and other values" if Table in kinds else shown(value)


def _named(section: str, name: str, table: Table, problems: Problems) -> Table:
    if table.get("name", name) != name:
        problems.add(table.where("name"), f"{heading(section)} {name}: `name = {shown(table['name'])}`",
                     "a plugin's name cannot be changed here; the one in its key counts")  # fmt: skip
    result = Table(table, table.place, table.places)
    result["name"] = name
    return result


def merge_numbered(key: str, recipe: Table, over: Table, problems: Problems) -> list[Any]:
    """`[[generation]]` and `[[pass]]`: replaced whole by a list; single tables of it by their numbers (overrides)."""
    value, base = over[key], recipe.get(key)
    base = base if isinstance(base, list) else []
    if isinstance(value, list) and all(isinstance(item, Table) for item in value):
        if len(value) > MOST:
            problems.add(over.where(key), f"[[{key}]]: {len(value):,} tables", f"at most {MOST:,} are accepted")
            return base
        return [normal(item, problems) if key == "generation" else item for item in value]
    if not isinstance(value, Table) or not all(INDEX.fullmatch(name) for name in value):
        problems.add(
            over.where(key),
            f"`{key}` is a list of tables, not {received(value)}",
            f"write `[[{key}]]` above each table's keys",
        )
        return base
    result = list(base) or [Table({}, value.place)] * (key == "generation")
    for name, item in value.items():
        if int(name) >= len(result) or not isinstance(item, Table):
            problems.add(value.where(name), f"`{key}.{name}` is no table of this recipe",
                         f"it has {len(result)}, counted from 0")  # fmt: skip
            continue
        old = result[int(name)]
        generation = key == "generation"
        result[int(name)] = (
            merge_generation(recipe, old, normal(item, problems)) if generation else merge_table(old, item)
        )
    return result


def normal(generation: Table, problems: Problems) -> Table:
    """A generation's overrides with plugins by name: `noise.randaugment.rate`, not `[[generation.noise]]`."""
    result = Table(generation, generation.place, generation.places)
    for section in LISTS:
        if section in generation and generation[section] != []:
            tables = as_list(section, generation, problems)
            by_name = Table({}, generation.where(section))
            for table in tables:
                _enter(section, by_name, table, problems)
            result.put(section, by_name, generation.where(section))
    return result


def _enter(section: str, by_name: Table, table: Table, problems: Problems) -> None:
    name = name_of(table)
    if name is None:
        problems.add(table.place, f"{heading(section)}: neither `name` nor `use` says which plugin is meant")
    elif name in by_name:
        problems.add(table.place, f"{heading(section)} {name}: overridden twice in one generation")
    else:
        by_name.put(name, table.without("name"), table.place)


def anchor(table: Table, source: Source) -> Table:
    """The same table with its files' paths made absolute: what extends or copies it may lie elsewhere."""
    result = Table(table, table.place, table.places)
    for key, value in table.items():
        if key == "corrections" and isinstance(value, str) and value:
            result[key] = _absolute(source, value)
        elif key == "generation" and isinstance(value, (list, Table)):
            result[key] = _each(value, lambda item: anchor(item, source))
        elif key in SECTIONS and isinstance(value, (list, Table)):
            inner = _each(value, lambda item: _anchored(item, source))
            result[key] = _anchored(inner, source) if isinstance(inner, Table) else inner
    return result


def _each(value: Any, change: Callable[[Table], Table]) -> Any:
    """A change to every table of a list or of a table."""
    if isinstance(value, Table):
        return Table({k: change(v) if isinstance(v, Table) else v for k, v in value.items()}, value.place, value.places)
    return [change(item) if isinstance(item, Table) else item for item in value]


def _anchored(table: Table, source: Source) -> Table:
    result = Table(table, table.place, table.places)
    use, weights = table.get("use"), table.get("weights")
    if isinstance(use, str) and (match := FILE.fullmatch(use)):
        result["use"] = f"{_absolute(source, match['path'])}:{match['cls']}"
    if isinstance(weights, str) and weights and "use" not in table and table.place.path[-1:] == ("model",):
        path = Path(_absolute(source, weights))
        result["weights"] = str(path / WEIGHTS if is_file(path / WEIGHTS) else path)
    return result


def _absolute(source: Source, path: str) -> str:
    return os.path.abspath(source.folder / path)  # noqa: PTH100 - `resolve` would follow links
