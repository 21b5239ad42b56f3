"""What a run left out, and what it warned of."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..images.words import counted, printable
from ..tables import count, notes_of
from .folder import RunFolder, left_out
from .headline import skipped_lines
from .parts import Folded, Part, Prose, Section, Table

SHOWN = 200
"Files that are listed."


def remarks(run: RunFolder) -> Section:
    """What was left out, and warnings."""
    parts: list[Part] = [Prose(text, "warning") for text in skipped_lines(run)]
    if run.damaged:
        parts.append(Prose(f"Damaged, and passed over: {', '.join(run.damaged)}.", "warning"))
    warnings = run.events.start.get("warnings")
    parts += [Prose(printable(str(one)), "warning") for one in warnings] if isinstance(warnings, list) else []
    failures = [("It failed", one) for one in run.events.failures]
    failures += [("Its supervised baseline failed", one) for one in run.baseline_events.failures]
    parts += [Prose(f"{what}: {printable(str(one.get('message')))}", "warning") for what, one in failures]
    parts += [Prose(note, "note") for note in _notes(run)]
    if files := left_out(run.path):
        parts += _files(files)
    return Section(
        "remarks", "Left out, and warnings", parts or [Prose("Nothing was left out, and nothing was warned of.")]
    )


def _notes(run: RunFolder) -> list[str]:
    """What metrics say in sentences, each once."""
    return list(dict.fromkeys(printable(note) for key in run.entries for note in notes_of(run.metrics(key))))


def _files(files: list[dict[str, Any]]) -> list[Part]:
    reasons = Counter(str(one.get("reason", "")) for one in files)
    summary = Table(
        ["why", "images"],
        [[printable(why), count(number)] for why, number in reasons.most_common(50)],
        f"{counted(len(files), 'image')} left out.",
    )
    rows = [[printable(str(one.get(key, ""))) for key in ("id", "split", "reason")] for one in files[:SHOWN]]
    more = f"The first {SHOWN} of {len(files):,}; all of them are in left_out.json." if len(files) > SHOWN else ""
    return [summary, Folded("Which", [Table(["image", "split", "why"], rows, more)])]
