"""For plugin authors: `check_plugin(MyPlugin, threshold=0.5)` in a test says which promise a plugin breaks.

    def test_fog():
        check_plugin(Fog, density=0.5)

Built-in plugins are checked by the same function.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import Field
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from torch import Tensor

from ..hookspecs import SECTIONS, AnyHooks, hooks_of
from ..recipe.documented import field_docs
from .call import Call, PluginFault, bits, seeded
from .hooks import EXERCISES
from .world import World

__all__ = ["PluginFault", "check_plugin"]

RESERVED = ("use", "name", "on", "enabled", "when")
"Keys of a plugin's table that the recipe keeps for itself."
SPECS = {
    name: [p for p in inspect.signature(function).parameters if p != "self"]
    for group in (AnyHooks, *SECTIONS.values())
    for name, function in vars(group).items()
    if hasattr(function, "sslkit_spec")
}
"Hook -> the arguments it may ask for."


def check_plugin(plugin: type | object, *, on: tuple[str, ...] | None = None, **fields: Any) -> None:
    """Check everything that a plugin promises, in a world of three classes and images of 16 pixels.

    `plugin`: a class, or an instance whose fields are taken; `fields`: values as a recipe would give them. `on`: the
    views it is tried with, some of `labeled` (of the labeled stream), `weak` and `strong` (of the unlabeled one); by
    default each in turn. Checked: a dataclass with documented, strictly validated fields; hook signatures; shapes,
    types and bounds of answers; equal answers for equal keys, whatever the shared random generators hold; rows that
    depend on their own keys alone; no gradient through targets; arguments left unchanged; state that survives saving.

    Raises `PluginFault` (an `AssertionError`), naming plugin, hook and promise.
    """
    cls = plugin if isinstance(plugin, type) else type(plugin)
    check_dataclass(cls)
    if plugin is not cls:
        fields = {f.name: getattr(plugin, f.name) for f in settings(cls)} | fields
    make = maker(cls, fields)
    check_signatures(cls)
    check_determinism(make, on)
    check_state(make, on)


def expect(condition: bool, cls: type, problem: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise PluginFault(f"{cls.__name__}: {problem}")


# Fields -----------------------------------------------------------------------------------------------------------


def settings(cls: type) -> list[Field[Any]]:
    """The fields that a recipe may set."""
    return [field for field in dataclasses.fields(cls) if field.init]


def check_dataclass(cls: type) -> None:
    """A keyword-only dataclass without `==`, its fields documented and free of reserved names."""
    parameters: Any = vars(cls).get("__dataclass_params__")
    expect(parameters is not None, cls, "is no dataclass; write @dataclass(eq=False, kw_only=True) above it")
    expect(not parameters.eq, cls, "compares by value, so two of them would be taken for one: use eq=False")
    expect(not (cls.__doc__ or f"{cls.__name__}(").startswith(f"{cls.__name__}("), cls, "has no docstring")
    documented = documented_fields(cls)
    for field in settings(cls):
        expect(bool(field.kw_only), cls, f"field `{field.name}` is positional: use kw_only=True")
        expect(field.name not in RESERVED, cls, f"field `{field.name}` has a name that recipes reserve: {RESERVED}")
        state = field.name.startswith("_") or field.name.endswith("_")
        expect(not state, cls, f"field `{field.name}` is named like state: make state in `begin`, not as a setting")
        expect(field.name in documented, cls, f"field `{field.name}` has no documentation: a text in the line below it")


def documented_fields(cls: type) -> dict[str, str]:
    """The text below each field of a class. Raises `PluginFault` where its source cannot be read."""
    try:
        return field_docs(cls)
    except (OSError, TypeError) as error:
        raise PluginFault(
            f"{cls.__name__}: its source cannot be read ({error}), so neither can its fields' docs"
        ) from error


def maker(cls: type, fields: dict[str, Any]) -> Callable[[], Any]:
    """Makes plugins as recipes do: strictly, from JSON. The defaults must pass too."""

    def make(values: dict[str, Any]) -> Any:
        return TypeAdapter(cls).validate_json(json.dumps(values, default=os.fspath), strict=True, extra="forbid")

    try:
        plugin = make(fields)
        make({field.name: getattr(plugin, field.name) for field in settings(cls)})
    except (ValidationError, PydanticUserError, TypeError, NameError) as error:
        raise PluginFault(
            f"{cls.__name__}: cannot be made from {fields}, or its defaults not again: {error}"
        ) from error
    return lambda: make(fields)


# Hooks ------------------------------------------------------------------------------------------------------------


def check_signatures(cls: type) -> None:
    """Every hook exists, is marked, and asks only for arguments that it can get."""
    hooks = hooks_of(cls)
    expect(bool(hooks), cls, "implements no hook; mark methods with @hookimpl")
    forgotten = [name for name in SPECS if callable(getattr(cls, name, None)) and name not in hooks]
    expect(not forgotten, cls, f"has a method `{''.join(forgotten[:1])}` named like a hook, without @hookimpl")
    for hook in hooks:
        expect(hook in SPECS, cls, f"hook `{hook}` does not exist; hooks: {', '.join(SPECS)}")
        options = getattr(cls, hook).sslkit_impl
        ordered = [name for name in ("tryfirst", "trylast", "wrapper", "hookwrapper") if options.get(name)]
        expect(not ordered, cls, f"hook `{hook}` sets {ordered}; the recipe gives the order")
        for parameter in list(inspect.signature(getattr(cls, hook)).parameters.values())[1:]:
            known = parameter.name in SPECS[hook]
            expect(known, cls, f"hook `{hook}` asks for `{parameter.name}`; it may ask for {', '.join(SPECS[hook])}")
            given = parameter.default is parameter.empty
            expect(given, cls, f"hook `{hook}` gives `{parameter.name}` a default, so it would never be filled")


def exercise(plugin: object, world: World, on: tuple[str, ...] | None, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Call every hook that a plugin implements, in the order of the loop: hook -> its answer in plain form."""
    hooks = [name for name in EXERCISES if name in hooks_of(plugin) and name not in skip]
    return {hook: bits(EXERCISES[hook](Call(plugin, hook, on), world)) for hook in hooks}


def check_determinism(make: Callable[[], Any], on: tuple[str, ...] | None) -> None:
    """Equal keys give equal answers, whatever the shared generators hold."""
    answers = []
    for seed in (1, 2):
        with seeded(seed):
            answers.append(exercise(make(), World(), on))
    _same(
        make(),
        answers[0],
        answers[1],
        "answers differently for equal keys: draw from `progress` or row keys, never from elsewhere",
    )


def _same(plugin: object, first: dict[str, Any], second: dict[str, Any], problem: str) -> None:
    for hook in first:
        if first[hook] != second[hook]:
            raise Call(plugin, hook).fault(problem)


# State ------------------------------------------------------------------------------------------------------------


def check_state(make: Callable[[], Any], on: tuple[str, ...] | None) -> None:
    """State is all there is beside fields; saved and loaded it goes on where it was; `begin` resets it."""
    plugin, cls = make(), type(make())
    before = bits([getattr(plugin, field.name) for field in settings(cls)])
    with seeded(1):
        exercise(plugin, World(), on)
    after = bits([getattr(plugin, field.name) for field in settings(cls)])
    expect(before == after, cls, "changes its own fields while running; keep state in attributes that end in `_`")
    _check_names(plugin)
    if hasattr(plugin, "state_dict"):
        _check_round_trip(plugin, make, on)


def _check_names(plugin: Any) -> None:
    cls, has = type(plugin), [hasattr(plugin, name) for name in ("state_dict", "load_state_dict")]
    expect(len(set(has)) == 1, cls, "has one of `state_dict` and `load_state_dict`; both or neither")
    fields = {field.name for field in settings(cls)}
    for name in set(vars(plugin)) - fields:
        expect(name.startswith("_") or name.endswith("_"), cls, f"keeps `{name}`, which is no field: end state in `_`")
        # What a tracker holds decides nothing of the result: it need not be saved.
        learned = name.endswith("_") and not name.startswith("_") and set(hooks_of(plugin)) != {"report"}
        expect(has[0] or not learned, cls, f"learns `{name}`, but has no `state_dict` to save it")


def _check_round_trip(plugin: Any, make: Callable[[], Any], on: tuple[str, ...] | None) -> None:
    cls = type(plugin)
    saved = deepcopy(plugin.state_dict())
    expect(isinstance(saved, dict), cls, "`state_dict` answers no dict")
    for name, value in saved.items():
        plain = value is None or isinstance(value, (Tensor, bool, int, float, str))
        expect(
            isinstance(name, str) and plain,
            cls,
            f"`state_dict` holds {name!r}: a flat dict of tensors and scalars only",
        )
    other, fresh = begun(make()), begun(make())
    other.load_state_dict(deepcopy(saved))
    expect(
        bits(other.state_dict()) == bits(saved), cls, "`load_state_dict` does not bring back what `state_dict` saved"
    )
    with seeded(1):
        going_on, resumed = (exercise(p, World(step=4), on, skip=("begin", "report")) for p in (plugin, other))
    _same(plugin, going_on, resumed, "answers differently after `load_state_dict`: some state is not in `state_dict`")
    expect(bits(begun(plugin).state_dict()) == bits(fresh.state_dict()), cls, "hook `begin` does not reset its state")


def begun(plugin: Any) -> Any:
    """A plugin at a generation's start."""
    if "begin" in hooks_of(plugin):
        EXERCISES["begin"](Call(plugin, "begin"), World())
    return plugin
