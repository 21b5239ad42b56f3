"""What came out, in a sentence or two."""

from __future__ import annotations

from ..images.words import counted
from ..tables import count, duration, is_number, percent, points
from .folder import BASELINE, SPLITS, RunFolder
from .parts import Number, Numbers, Part, Prose, Section
from .reading import FILE

STATES = {
    "running": "It runs, or was killed: what follows is what it has written so far.",
    "interrupted": "It was interrupted, and can go on: sslkit run --resume {folder}",
    "failed": "It failed: {why}",
    "damaged": "Its folder is damaged: {why}",
}


def headline(run: RunFolder) -> Section:
    """Teacher, student and supervised baseline."""
    parts: list[Part] = [*_state(run)]
    split = next((s for s in SPLITS if any(is_number(e.get(f"{s}_accuracy")) for e in run.entries.values())), None)
    if split is None:
        missing = "No generation is finished yet." if not run.entries else "No accuracy was measured."
        return Section("result", "What came out", [Prose(f"{run.name} has no result. {missing}", "lead"), *parts])
    shares = {index: entry.get(f"{split}_accuracy") for index, entry in run.entries.items()}
    supervised = run.baseline.get(f"{split}_accuracy")
    numbers = [_number(run, index, shares) for index in _told(list(shares))]
    if is_number(supervised):
        numbers.append(Number("supervised baseline", percent(supervised), _steps(run.baseline.get("steps")), BASELINE))
    lead = Prose(_sentence(run, shares, supervised, split), "lead")
    return Section("result", "What came out", [lead, *parts, Numbers(numbers)])


def _state(run: RunFolder) -> list[Part]:
    skipped = [Prose(text, "warning") for text in skipped_lines(run)]
    if run.member.finished:
        return [*skipped]
    why = run.member.problem or run.failure or "no reason is logged"
    text = STATES.get(run.status, "Its summary says `{status}`.")
    if run.status in ("running", "interrupted", "failed") and run.entries:
        text += f" {len(run.entries)} of {run.planned} generations are finished."
    return [Prose(text.format(folder=run.path, why=why, status=run.status), "warning"), *skipped]


def skipped_lines(run: RunFolder) -> list[str]:
    """What its logs lack: lines that cannot be read, or the log itself."""
    found = []
    for events, name in ((run.events, FILE), (run.baseline_events, f"{BASELINE}/{FILE}")):
        if events.damaged:
            verb = "was" if events.damaged == 1 else "were"
            found.append(f"{counted(events.damaged, 'damaged line')} of {name} {verb} skipped.")
    if not run.events.there and not run.baseline_events.there:
        found.append(f"There is no {FILE}: without it there are no learning curves.")
    return found


def _told(indexes: list[int]) -> list[int]:
    """The first, and the last two or three of many."""
    return indexes if len(indexes) <= 4 else [indexes[0], *indexes[-3:]]


def _number(run: RunFolder, index: int, shares: dict[int, object]) -> Number:
    first, own = shares[min(shares)], shares[index]
    gain = (
        f"{points(own - first)} points on {_who(run, min(shares))}"
        if index != min(shares) and is_number(own) and is_number(first)
        else ""
    )
    return Number(
        run.title(index), percent(own), gain or _steps(run.entries[index].get("steps")), f"generation-{index}"
    )


def _steps(number: object) -> str:
    return f"{count(number)} steps" if is_number(number) else ""


def _sentence(run: RunFolder, shares: dict[int, object], supervised: object, split: str) -> str:
    first, last = min(shares), max(shares)
    before, after = shares[first], shares[last]
    if first == last or not (is_number(before) and is_number(after)):
        text = f"{_who(run, last).capitalize()} is right on {percent(after)} of the {split} images"
    else:
        verb = "rises" if after > before else "falls"
        text = f"Accuracy on the {split} images {verb} from {percent(before)} ({_who(run, first)}) to "
        text += f"{percent(after)} ({_who(run, last)})"
        if percent(before) == percent(after):
            ends = f"from {_who(run, first)} to {_who(run, last)}"
            text = f"Accuracy on the {split} images stays at {percent(after)}, {ends}"
    if is_number(supervised) and is_number(after):
        what = "more" if after > supervised else "less" if after < supervised else "as much as"
        gap = f"{abs(100 * (after - supervised)):.2f} points {what} than" if after != supervised else "as much as"
        text += (
            f"; {gap} the supervised baseline, which trained for as many steps on the labels alone and "
            f"reaches {percent(supervised)}"
        )
    seconds = run.summary.get("wall_seconds")
    return text + "." + (f" It took {duration(seconds)}." if is_number(seconds) and run.member.finished else "")


def _who(run: RunFolder, index: int) -> str:
    """`the teacher`, `student 3`."""
    title = run.title(index)
    return title if title[-1].isdigit() else f"the {title}"
