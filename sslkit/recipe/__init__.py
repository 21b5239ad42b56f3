"""Recipes: TOML in, validated and resolved `Recipe` out. The public names are loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .baseline import baseline_of
    from .compose import load, with_overrides
    from .overrides import parse_set
    from .read import shipped
    from .tables import diff, dump

__all__ = ["baseline_of", "diff", "dump", "load", "parse_set", "shipped", "with_overrides"]

_HOMES = {
    "baseline": ["baseline_of"],
    "compose": ["load", "with_overrides"],
    "overrides": ["parse_set"],
    "read": ["shipped"],
    "tables": ["diff", "dump"],
}


def __getattr__(name: str) -> Any:
    """Whoever needs one module of the package (the registry does) must not load them all."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"sslkit.recipe.{module}"), name)
    raise AttributeError(f"module 'sslkit.recipe' has no attribute {name!r}")
