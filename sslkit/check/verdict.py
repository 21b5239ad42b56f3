"""What follows from what was seen of a recipe: what keeps it from learning, and what could not be judged."""

from __future__ import annotations

from collections.abc import Sequence

from ..hookspecs import hooks_of
from ..recipe.message import listed
from ..recipe.model import Recipe
from ..state import plugins_of
from .seen import GenerationProbe

OFF = "its line above says why; let its stream be on in one of them, or leave it out (enabled = false)"


def troubles(found: Sequence[GenerationProbe], recipe: Recipe | None = None) -> list[tuple[str, str]]:
    """What keeps a recipe from learning and in which generations, then what may mend it."""
    places: dict[tuple[str, str], list[int]] = {}
    for seen in found:
        for trouble in seen.troubles.items():
            places.setdefault(trouble, []).append(seen.index)
    tried = {n for seen in found for n in [*seen.silent, *seen.filling, *(t.owner for t in seen.terms.values())]}
    for name in dict.fromkeys(name for seen in found for name in seen.waiting if name not in tried):
        places[f"loss `{name}` is off in every generation", _alone(found, recipe) or OFF] = []
    return [(f"{where(numbers)}{what}", advice) for (what, advice), numbers in places.items()]


def _alone(found: Sequence[GenerationProbe], recipe: Recipe | None) -> str:
    """That a single generation has nobody before it who teaches; nothing where that is not why a loss is off."""
    if recipe is None or len(found) != 1 or found[0].teachers:
        return ""
    hooks = plugins_of(recipe.generations[0])
    who = listed(f"`{e.name}`" for e in hooks.entries if "make_teacher" in hooks_of(e.plugin))
    advice = "write a second [[generation]], or leave the loss out (enabled = false)"
    said = f"there is but one generation, and {who} would teach what one before it learned: {advice}"
    return "" if who == "none" else said


def where(generations: list[int]) -> str:
    """`generations 1, 2: `."""
    plural = "s" if len(generations) > 1 else ""
    return f"generation{plural} {', '.join(map(str, generations))}: " if generations else ""


def unjudged(recipe: Recipe, found: Sequence[GenerationProbe]) -> list[str]:
    """What could not be judged, and why."""
    lines = []
    for cfg, seen in zip(recipe.generations, found, strict=True):
        lines += [
            f"loss `{name}`: it answers no term in the first steps, while its memory fills" for name in seen.filling
        ]
        if not seen.moved:
            continue
        still = [name for name, moved in seen.moved.items() if not moved]
        step = next((e.name for e in plugins_of(cfg).entries if "train_step" in hooks_of(e.plugin)), "")
        lines.append(f"which losses move what: `{step}` trains in a step of its own, and moves all at once")
        lines += [f"whether `{step}` trains {' and '.join(still)}, which did not move"] if still else []
        lines += [f"loss `{name}`: `{step}` does not ask for it" for name in seen.silent]
        lines += [f"loss `{t.name}`: {t.unjudged}" for t in seen.terms.values() if t.unjudged and not t.trouble]
    return list(dict.fromkeys(lines))
