"""Results for human eyes: a run's table, and the few forms in which its numbers are written."""

from __future__ import annotations

import codecs
import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

ABSENT = "–"
SHOWN = ("test_accuracy", "validation_accuracy", "pseudo_label_accuracy", "kept_share")
"Metrics that have a column of their own."
SHARES = re.compile(
    r"(?:^|_)(?:accuracy|share|coverage|precision|confidence|ece|mce|mfr|fgsm|pgd|flips?|probability"
    r"|(?<!squared_)(?<!absolute_)error)(?=_|$)"
)
"Whole parts of metrics' names that say a share: it is read as a percentage, a difference in percentage points."
RIVAL = re.compile(r"(?P<who>.+)_(?P<split>test|validation)_accuracy")
"Another classifier's accuracy on the same images, as a metric reports it: a row of its own."
BRIEF = 24
"Characters of a text that may stand among numbers."


ALIKE = str.maketrans("·–✓✗±×▁▂▃▄▅▆▇█━╸╺─│├└┌┐┘┤┬┴┼", "-" * 2 + "+x~x" + "_.,-~+*#" + "=" * 3 + "-|" + "+" * 9)
"What stands for a character where an encoding has no such one: as wide, and as plain as can be."


def alike(error: UnicodeError) -> tuple[str, int]:
    """An encoder's error handler: characters that look alike, a question mark for those that have none."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ALIKE)
    return "".join(letter if letter.isascii() else "?" for letter in text), error.end


codecs.register_error("sslkit.alike", alike)

C = TypeVar("C", bound=Console)


def make_console(kind: type[C]) -> C:
    """A console on today's stdout. A character that its encoding lacks becomes one that is like it, not an error."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="sslkit.alike")
    return kind(highlight=False, markup=False, emoji=False)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value can be shown as a number; events may lack any."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def percent(share: Any, digits: int = 2) -> str:
    """0.9528 -> "95.28%"; a dash for what is unknown."""
    return f"{100 * share:.{digits}f}%" if is_number(share) else ABSENT


def count(number: Any) -> str:
    """12345 -> "12,345"; a dash for what is unknown."""
    return f"{number:,.0f}" if is_number(number) else ABSENT


def points(gain: Any) -> str:
    """0.0472 -> "+4.72": percentage points."""
    return f"{100 * gain:+.2f}" if is_number(gain) else ABSENT


def duration(seconds: Any) -> str:
    """Seconds as a person says them: "42 s", "3 min 20 s", "2 h 10 min"."""
    if not is_number(seconds):
        return ABSENT
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: Any) -> str:
    """Bytes in decimal units, as disks are sold: "38 MB", "1.2 GB"."""
    if not is_number(count):
        return ABSENT
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            number = count / 10**power
            return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{count:.0f} bytes"


def value(number: Any) -> str:
    """Any metric's value, four digits of it."""
    return f"{number:.4g}" if is_number(number) else str(number)


def is_brief(measured: Any) -> bool:
    """Whether a metric's value has room in a line: a number or a short text; no table, no list, no sentence."""
    return is_number(measured) or isinstance(measured, bool) or (isinstance(measured, str) and len(measured) <= BRIEF)


def is_share(name: str) -> bool:
    """Whether a metric, by its name, is told in percent: `test_accuracy`, `test_fgsm_4`, `test_mce`; no `learning_rate`."""
    return SHARES.search(name) is not None


def metric_words(name: str, measured: Any) -> str:
    """`0.9528` of an accuracy or another share -> "95.28%"; any other metric's value in four digits."""
    return percent(measured) if is_share(name) else value(measured)


def notes_of(metrics: dict[str, Any]) -> list[str]:
    """What metrics say in sentences: why something was not measured."""
    return [text for text in metrics.values() if isinstance(text, str) and not is_brief(text)]


class Flow:
    """Short pieces on as few lines as their width allows, never broken inside a piece that fits."""

    def __init__(self, pieces: Iterable[str], style: str = "", separator: str = " · ") -> None:
        self.pieces, self.style, self.separator = [piece for piece in pieces if piece], style, separator

    def lines(self, width: int) -> list[str]:
        """The lines at a width."""
        lines: list[str] = []
        for piece in self.pieces:
            if lines and cell_len(lines[-1] + self.separator + piece) <= width:
                lines[-1] += self.separator + piece
            else:
                lines.append(piece)
        return lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(options.max_width):
            yield Text(line, style=self.style)


def generation_name(index: int, total: int, first_taught: bool) -> str:
    """What a generation is called: a first one that nobody teaches is the teacher, where others follow."""
    if total == 1:
        return "student" if first_taught else "model"
    if index == 0 and not first_taught:
        return "teacher"
    return f"student {index + first_taught}"


def taught(entry: dict[str, Any]) -> bool:
    """Whether a generation had pseudo-labels."""
    return entry.get("kept_share") is not None or entry.get("pseudo_label_accuracy") is not None


def results_table(summary: dict[str, Any], total: int | None = None, last: int = sys.maxsize) -> Table:
    """A run's models, one row each, from its summary (whole, or so far); then what they compare with.

    `total` is the number of generations where not all are finished; only the `last` few are shown. Columns that nobody
    fills are left out.
    """
    generations = [entry for entry in summary.get("generations") or [] if isinstance(entry, dict)]
    rows = _generation_rows(generations, total or len(generations))[-last:]
    rivals = _rival_rows(summary.get("baseline"), generations)
    everyone = rows + rivals
    table = Table(box=RULED, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    columns = [column for column in COLUMNS if any(row.get(column) not in (None, ABSENT, "") for row in everyone)]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for number, row in enumerate(everyone):
        style = "bold" if number == len(rows) - 1 else "dim" if number >= len(rows) else ""
        last = number == len(rows) - 1 and bool(rivals)
        table.add_row(row["name"], *(row.get(column, "") for column in columns), style=style, end_section=last)
    return table


COLUMNS = ("steps", "kept", "right", "val.", "test", "gain")
RULED = box.Box("    \n    \n ── \n    \n    \n ── \n    \n    \n")


def _generation_rows(generations: Sequence[dict[str, Any]], total: int) -> list[dict[str, str]]:
    first_taught = bool(generations) and taught(generations[0])
    start = generations[0].get("test_accuracy") if generations else None
    rows = []
    for number, entry in enumerate(generations):
        test = entry.get("test_accuracy")
        index = entry.get("index")
        rows.append({
            "name": generation_name(index if isinstance(index, int) else number, total, first_taught),
            "steps": count(entry.get("steps")),
            "kept": percent(entry.get("kept_share"), 1),
            "right": percent(entry.get("pseudo_label_accuracy"), 1),
            "val.": percent(entry.get("validation_accuracy")),
            "test": percent(test),
            "gain": points(test - start) if number and is_number(test) and is_number(start) else "",
        })  # fmt: skip
    return rows


def _rival_rows(baseline: Any, generations: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    rows = []
    if isinstance(baseline, dict):
        rows.append({
            "name": "supervised",
            "steps": count(baseline.get("steps")),
            "val.": percent(baseline.get("validation_accuracy")),
            "test": percent(baseline.get("test_accuracy")),
        })  # fmt: skip
    rivals: dict[str, dict[str, str]] = {}
    for name, number in _metrics(generations).items():
        if match := RIVAL.fullmatch(name):
            column = "test" if match["split"] == "test" else "val."
            rivals.setdefault(match["who"], {"name": match["who"]})[column] = percent(number)
    return rows + list(rivals.values())


def _metrics(generations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last generation's metrics that have no column."""
    metrics = generations[-1].get("metrics") if generations else None
    return {name: number for name, number in (metrics or {}).items() if name not in SHOWN}


def waited_share(generations: Iterable[dict[str, Any]]) -> float | None:
    """The share of all training time in which the model waited for data."""
    timings = [entry.get("timing") or {} for entry in generations]
    waited = sum(timing.get("waited", 0.0) for timing in timings)
    busy = waited + sum(timing.get("worked", 0.0) for timing in timings)
    return waited / busy if busy > 0 else None


def results(summary: dict[str, Any], folder: str | Path | None = None) -> RenderableType:
    """What a finished run prints: its table, what follows from it, where everything is."""
    generations = [entry for entry in summary.get("generations") or [] if isinstance(entry, dict)]
    metrics = _metrics(generations)
    others = [f"{n} {metric_words(n, v)}" for n, v in metrics.items() if is_brief(v) and not RIVAL.fullmatch(n)]
    waited = waited_share(generations)
    facts = [
        f"seed {summary['seed']}" if "seed" in summary else "",
        duration(summary["wall_seconds"]) if is_number(summary.get("wall_seconds")) else "",
        f"waited for data {percent(waited, 1)} of the time" if waited is not None else "",
    ]
    if not generations:
        return Text(f"no generation is finished in {folder}")
    table = results_table(summary)
    lines: list[RenderableType] = [table, Text(), Flow(_gain(summary, generations))]
    lines += [Flow(_selected(generations)), Flow(others), Flow(facts), Flow(_legend(table), "dim")]
    lines += [Text(note, style="dim") for note in notes_of(metrics)]
    if folder is not None:
        lines.append(Text(str(folder), style="cyan", overflow="fold"))
    return Group(*lines)


def _legend(table: Table) -> list[str]:
    """What the columns hold that do not speak for themselves, of those that are there."""
    heads = [str(column.header) for column in table.columns]
    shares = [head for head in ("kept", "right") if head in heads]
    told = f"{', '.join(shares)}: {'shares' if len(shares) > 1 else 'share'} of the pseudo-labels" if shares else ""
    return [told, "gain: percentage points over the first row" if "gain" in heads else ""]


def _gain(summary: dict[str, Any], generations: Sequence[dict[str, Any]]) -> list[str]:
    """How far the last model is from the first and from the baseline."""
    test = generations[-1].get("test_accuracy") if generations else None
    if not is_number(test):
        return []
    names = [generation_name(i, len(generations), taught(generations[0])) for i in range(len(generations))]
    rivals = [(f"the {names[0]}", generations[0].get("test_accuracy"))] if len(generations) > 1 else []
    rivals.append(("the supervised baseline", (summary.get("baseline") or {}).get("test_accuracy")))
    gains = [f"{points(test - other)} points on {who}" for who, other in rivals if is_number(other)]
    return [f"{names[-1]}: {gains[0]}", *gains[1:]] if gains else []


def _selected(generations: Sequence[dict[str, Any]]) -> list[str]:
    """The model that validation images choose, over all generations."""
    found = [(entry, entry["selected"]) for entry in generations if isinstance(entry.get("selected"), dict)]
    found = [(entry, chosen) for entry, chosen in found if is_number(chosen.get("validation_accuracy"))]
    if not found:
        return []
    entry, chosen = max(found, key=lambda pair: pair[1]["validation_accuracy"])
    who = generation_name(entry.get("index", 0), len(generations), taught(generations[0]))
    where = f"best on validation images: {who} at step {count(chosen.get('step'))}"
    return [where, f"test {percent(chosen.get('test_accuracy'))}" if is_number(chosen.get("test_accuracy")) else ""]
