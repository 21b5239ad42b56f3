"""Models and optimizers that a recipe names, looked up in timm: importing it takes seconds, so not at every load."""

from __future__ import annotations

from .factory_options import check_options
from .merge import FACTORIES, in_use
from .message import Line, Problems, did_you_mean, listed, shortened
from .places import Table


def check_names(table: Table, problems: Problems) -> None:
    """Note the names of a generation's table that timm does not know, and the options that it refuses."""
    for section in FACTORIES:
        inside = table.get(section)
        if isinstance(inside, Table) and "use" not in inside:
            name = in_use(section, inside)
            wrong = _unknown(section, name) if isinstance(name, str) else None
            if wrong:
                problems.add(inside.where("name"), f"[{section}]: {wrong[0]}", wrong[1])
            elif isinstance(name, str):
                check_options(section, inside, problems)


def _unknown(section: str, name: str) -> tuple[str, Line] | None:
    """Why a name is none of timm's, and what would be right."""
    return _unknown_model(name) if section == "model" else _unknown_optimizer(name)


def _unknown_model(name: str) -> tuple[str, Line] | None:
    import timm

    architecture, _, tag = name.partition(".")
    if ":" in name:  # of some hub, as timm writes it
        return None
    if not timm.is_model(name):
        hint = lambda: did_you_mean(architecture, timm.list_models()) or "`timm.list_models()` lists all"  # noqa: E731
        return f"timm has no model `{shortened(name)}`", hint
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
        return f"timm has no weights `{tag}` of its model `{architecture}`", f"it has: {listed(tags)}"
    return None


def _unknown_optimizer(name: str) -> tuple[str, Line] | None:
    from timm.optim import list_optimizers  # type: ignore[attr-defined]

    known = [str(one) for one in list_optimizers()]
    if name in known:
        return None
    return f"timm has no optimizer `{shortened(name)}`", did_you_mean(name, known) or f"it has: {', '.join(known)}"
