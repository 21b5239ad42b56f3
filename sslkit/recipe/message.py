"""What is wrong with a recipe, told at once: where, what was received, what is accepted, what may have been meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from .places import Place, Source

SHOWN = 50  # problems; a broken recipe of thousands helps nobody
LISTED = 40  # words of a list of choices
LONGEST = 2000  # characters of a line; what a recipe says may be of any length
Line = str | Callable[[], str]


@dataclass(eq=False)
class Problem:
    """One thing that is wrong."""

    place: Place
    lines: tuple[Line, ...]
    generations: set[int | None]
    "Where it was found; None: in the recipe's own tables."

    @property
    def text(self) -> list[str]:
        """Its lines; those that take time to find are looked for now."""
        said = [line if isinstance(line, str) else line() for line in self.lines]
        return [visible(line) for line in said if line]


class Problems:
    """Everything that is wrong so far, and in which generations."""

    def __init__(self) -> None:
        self.found: dict[tuple[Place, tuple[str, ...]], Problem] = {}
        self._places: set[Place] = set()
        self.generation: int | None = None
        "The generation that is being looked at; None: the recipe's own tables."

    def add(self, place: Place, *lines: Line) -> None:
        """Note a problem: what, then what would be right. The same one, found again, counts once.

        A line that takes time to find is given as a function; nobody reads it of the thousandth problem.
        """
        key = (place, tuple(line for line in lines if isinstance(line, str)))
        self.found.setdefault(key, Problem(place, lines, set())).generations.add(self.generation)
        self._places.add(place)

    def at(self, place: Place) -> bool:
        """Whether something is wrong with exactly this key already."""
        return place in self._places

    def raise_any(self, generations: int = 1) -> None:
        """Raise all of it as one `RecipeError`."""
        if self.found:
            raise RecipeError(self.text(generations))

    def text(self, generations: int = 1) -> str:
        """The message, by file and line."""
        by_source: dict[Source, list[Problem]] = {}
        for problem in self.found.values():
            by_source.setdefault(problem.place.source, []).append(problem)
        return "\n\n".join(self._of_source(*item, generations) for item in by_source.items())

    def _of_source(self, source: Source, problems: list[Problem], generations: int) -> str:
        problems = sorted(problems, key=lambda problem: problem.place.line or 0)
        head = f"{visible(source.label)}: {counted(len(problems), 'problem')}\n"
        shown = [self._one(problem, generations) for problem in problems[:SHOWN]]
        left = len(problems) - len(shown)
        return "\n".join([head, *shown, *([f"  ... and {left} more"] if left else [])])

    def _one(self, problem: Problem, generations: int) -> str:
        line = problem.place.line
        head = f"  line {line}  " if line else "  "
        indent = " " * (len(head) if line else 4)
        first, *rest = problem.text
        return "\n".join([head + first + self._which(problem, generations), *(indent + text for text in rest)])

    def _which(self, problem: Problem, generations: int) -> str:
        """In which generations, where not in all."""
        where = problem.generations
        if None in where or len(where) == generations:
            return ""
        numbers = ", ".join(str(number) for number in sorted(n for n in where if n is not None))
        return f" (generation{'s' if len(where) > 1 else ''} {numbers})"


def words_of(error: BaseException) -> str:
    """What an exception says; nothing where its own words raise another."""
    try:
        return str(error)
    except Exception:
        return ""


def counted(number: int, noun: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown(value: Any) -> str:
    """A value as TOML writes it, shortened; a `Path` whole, as its end says which file is meant."""
    if isinstance(value, Path):
        return json.dumps(str(value), ensure_ascii=False)
    if value == {}:
        text = "{}"
    elif isinstance(value, dict):
        text = "{ " + ", ".join(f"{key} = {shown(item)}" for key, item in list(value.items())[:9]) + " }"
    elif isinstance(value, list):
        text = "[" + ", ".join(shown(item) for item in value[:9]) + (", ..." if len(value) > 9 else "") + "]"
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value).lower() if isinstance(value, (bool, float)) else str(value)
    return shortened(text)


def visible(text: str) -> str:
    """A line of a message: what a terminal would act on or not show stands as TOML writes it, and it ends somewhere."""
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """A character as TOML writes it in text."""
    code = ord(character)
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}")


def shortened(text: str) -> str:
    """A text that fits a line."""
    return text if len(text) <= 80 else text[:77] + "..."


def listed(words: Iterable[str]) -> str:
    """Words with commas; `none` without any."""
    words = list(words)
    more = [f"... and {len(words) - LISTED} more"] if len(words) > LISTED else []
    return ", ".join([*words[:LISTED], *more]) or "none"


def did_you_mean(word: object, choices: Iterable[str], mark: str = "`") -> str:
    """`Did you mean ...?` if a choice resembles the word, else nothing."""
    choices = list(choices)
    if not isinstance(word, str) or len(word) > 100:
        return ""
    lower = {choice.lower(): choice for choice in choices}
    close: Sequence[str] = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"Did you mean {mark}{lower[close[0]]}{mark}?" if close else ""


def sentence(*parts: str) -> str:
    """Parts that say something, one after another; those before the last end with a full stop."""
    said = [part for part in parts if part]
    return " ".join([part if part[-1] in ".?" else f"{part}." for part in said[:-1]] + said[-1:])
