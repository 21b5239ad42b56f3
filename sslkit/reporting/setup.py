"""What was run: its composition, drawn from the resolved recipe alone; the recipe, the environment, how to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from ..images.words import printable
from ..recipe.message import shown
from ..tables import count
from .folder import RunFolder
from .parts import Branch, Code, Facts, Folded, Part, Prose, Section, Tree

RESERVED = ("use", "name", "on", "enabled", "when", "after")
STREAMS = ("labeled", "unlabeled")
INIT = {"scratch": "from scratch", "previous": "from the previous weights", "continue": "going on"}
LABELS = {
    "pool": "before training, for the whole pool", "step": "at each step", "both": "for the whole pool, and at each step",
    "none": "none are made",
}  # fmt: skip
APART = ("test_data", "data", "recipe", "images")
"Of the environment: told elsewhere, or to be compared by programs alone."


def setup(run: RunFolder) -> Section:
    """Tree, recipe, environment, command."""
    parts: list[Part] = []
    if run.table:
        parts += [Tree(_title(run), composition(run.table)), Folded("The recipe, resolved", [Code(_recipe(run))])]
    else:
        parts.append(Prose(f"The recipe cannot be read: {run.member.problem or 'it is empty'}", "warning"))
    facts = [
        (name.replace("_", " "), _plain(value)) for name, value in run.member.environment.items() if name not in APART
    ]
    seed = [("seed", str(run.table["seed"]))] if "seed" in run.table else []
    if seed or facts:
        parts.append(Facts([*seed, *facts]))
    again = f"sslkit run {shlex.quote(str(run.path / 'recipe.toml'))}"
    if not run.member.finished and run.table:
        again = f"sslkit run --resume {shlex.quote(str(run.path))}"
    parts.append(Code(again, "To run it again:" if run.member.finished else "To go on with it:"))
    return Section("setup", "What was run", parts)


def _title(run: RunFolder) -> str:
    recipe = run.summary.get("recipe") or run.member.environment.get("recipe")
    return printable(str(recipe)) if recipe else "recipe"


def _recipe(run: RunFolder) -> str:
    try:
        return (run.path / "recipe.toml").read_text()
    except (OSError, ValueError):
        return "it cannot be read"


# The composition ----------------------------------------------------------------------------------------------------


def composition(table: dict[str, Any]) -> list[Branch]:
    """A recipe's parts in the order in which they act, from its resolved table: no plugin is asked."""
    steps = table.get("steps")
    made = [
        Branch("data", plugin(_dict(table, "data"))),
        Branch("model", " · ".join(_model(table))),
        Branch("optimizer", " · ".join([str(_dict(table, "optimizer").get("name", "")), *settings(_dict(table, "optimizer"))])),
        *(Branch("schedule", f"{_on(one)}: {plugin(one)}") for one in enabled(table, "schedule")),
        *(_stream(table, name) for name in STREAMS if _dict(table, "batch").get(name)),
        Branch("labels", _labels(table)),
        *(Branch("pass", _pass(one)) for one in _list(table, "pass")),
        *(Branch("loss", f"{plugin(one)} on {_on(one)}" if one.get("on") else plugin(one)) for one in enabled(table, "loss")),
        *([Branch("step", plugin(_dict(table, "step")))] if _dict(table, "step") else []),
        *(Branch("metric", plugin(one)) for one in enabled(table, "metric")),
        Branch("steps", f"{count(steps)} of each generation, {INIT.get(str(table.get('init')), '')}", [*_generations(table)]),
    ]  # fmt: skip
    return [one for one in made if one.text]


def _generations(table: dict[str, Any]) -> Iterator[Branch]:
    """What each generation changes; those that are alike together."""
    said = [
        " · ".join(f"{path} = {shown(value)}" for path, value in flattened(own)) for own in _list(table, "generation")
    ]
    first = 0
    for number in range(1, len(said) + 1):
        if number == len(said) or said[number] != said[first]:
            name = f"generation {first}" if number - first == 1 else f"generations {first} to {number - 1}"
            yield Branch(name, said[first] or "as above")
            first = number


def flattened(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted paths with their values; plugins by their names."""
    for key, value in table.items():
        path = f"{before}{key}"
        if isinstance(value, dict) and value:
            yield from flattened(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for one in value:
                yield from flattened(
                    {k: v for k, v in one.items() if k not in ("name", "use")},
                    f"{path}.{one.get('name', one.get('use', ''))}.",
                )
        else:
            yield path, value


def _model(table: dict[str, Any]) -> list[str]:
    model = _dict(table, "model")
    noise = [plugin(one) for one in enabled(table, "noise") if not one.get("on")]
    size = [f"{model['size']} px"] if "size" in model else []
    rest = {key: value for key, value in model.items() if key != "size"}
    return [str(model.get("name", model.get("use", ""))), *size, *settings(rest), *(f"noise: {one}" for one in noise)]


def _stream(table: dict[str, Any], name: str) -> Branch:
    views = [view for view, own in _dict(table, "views").items() if isinstance(own, dict) and own.get("stream") == name]
    rows = _dict(table, "batch")[name]
    below = []
    for view in views:
        noise = [
            plugin(one) for one in enabled(table, "noise") if view in one.get("on", ()) or name in one.get("on", ())
        ]
        below.append(Branch(f"view {printable(view)}", " > ".join(noise) or "no noise on its images"))
    return Branch(f"{name} images", f"{count(rows)} a step", below)


def _labels(table: dict[str, Any]) -> str:
    chain = " > ".join(plugin(one) for one in enabled(table, "labeler"))
    when = LABELS.get(str(table.get("labels")), str(table.get("labels", "")))
    return f"{when}: {chain}" if chain else when


def _pass(one: dict[str, Any]) -> str:
    views = one.get("views")
    return (
        f"{one.get('model', 'student')}: {' + '.join(map(str, views)) if isinstance(views, list) else ''} · "
        + " · ".join(f"{key} {_plain(value)}" for key, value in one.items() if key not in ("model", "views"))
    )


def enabled(table: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """The plugins of a section that are on."""
    return [one for one in _list(table, section) if one.get("enabled", True) is not False]


def plugin(table: dict[str, Any]) -> str:
    """`confidence (threshold 0.3)`; the plugin behind another name is said too."""
    if not table:
        return ""
    use, name = str(table.get("use", "")).rpartition("/")[2], str(table.get("name", table.get("use", "")))
    head = name if use in ("", name) else f"{name}: {use}"
    said = settings(table)
    return printable(f"{head} ({', '.join(said)})" if said else head)


def settings(table: dict[str, Any]) -> list[str]:
    """`rate 0.1`, one text for each setting; of tables inside, theirs."""
    flat = {key: value for key, value in flattened(table) if key not in RESERVED}
    return [
        printable(f"{key.removeprefix('options.')} {_plain(value)}")
        for key, value in flat.items()
        if value not in ({}, [])
    ]


def _on(one: dict[str, Any]) -> str:
    on = one.get("on", ())
    return ", ".join(map(str, on)) if isinstance(on, list) else str(on)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,}" if type(value) is int else shown(value)


def _dict(table: dict[str, Any], key: str) -> dict[str, Any]:
    own = table.get(key)
    return own if isinstance(own, dict) else {}


def _list(table: dict[str, Any], key: str) -> Sequence[dict[str, Any]]:
    own = table.get(key)
    return [one for one in own if isinstance(one, dict)] if isinstance(own, list) else []
