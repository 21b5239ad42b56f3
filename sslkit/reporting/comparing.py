"""The comparison in a report: sections of several runs, and of a study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote

from ..comparison.members import Member, members_of
from ..comparison.notes import notes_of
from ..comparison.studies import RESULTS
from .compare_curves import learning
from .compare_measures import by_generation, others, robustness
from .compare_members import Cohort, by_classes, cohorts_of, log_notes
from .compare_results import Results, read_results
from .compare_runs import compared, every_run, outcome, time
from .compare_study import again, differences, failures, finding, row_cohorts, run_cohorts, seeds, verdict_words
from .parts import Choice, Code, Figure, Filter, Folded, Part, Prose, Section, Table


def sections_of_runs(folders: Sequence[Path]) -> list[Section]:
    """Runs laid side by side; a folder that holds runs stands for all of them.

    What is unfinished, damaged, without a log or over other classes is told, and is no error. Raises `RunError` for a
    path that is no run and holds none.
    """
    return sections_of_members(members_of(folders))


def sections_of_members(members: Sequence[Member]) -> list[Section]:
    """The same of runs that were read already."""
    sets = by_classes(members)
    groups = [group for own in sets for group in own]
    broken = [f"Damaged: {member.folder}: {member.problem}" for member in members if member.problem]
    if not groups:
        return [Section("compared", "What is compared", [Prose(f"{text}.", "warning") for text in broken])]
    cohorts = cohorts_of(groups)
    logs = log_notes([one for cohort in cohorts for one in cohort.seen])
    notes = [*broken, *notes_of(members, groups), *logs]
    return [
        compared(sets, cohorts, notes), outcome(sets, cohorts), *learning(cohorts), *by_generation(cohorts),
        *robustness(cohorts), *others(cohorts), *every_run(groups, cohorts), *time(cohorts),
    ]  # fmt: skip


def sections_of_study(folder: Path) -> list[Section]:
    """A study: its finding, what the paper measured and what these runs did, verdicts, and the runs behind them.

    Results that cannot be read are told, and the runs are laid side by side. Raises `RunError` where there is none.
    """
    found = read_results(folder)
    if found is None:
        unread = Prose(f"{folder / RESULTS} cannot be read: its verdicts are lost; these are its runs.", "warning")
        return [Section("finding", "The study", [unread]), *sections_of_runs([folder])]
    rows, runs = row_cohorts(found), run_cohorts(found)
    return [
        finding(found, _notes(runs)), *differences(found), *seeds(found), *learning(runs), *by_generation(runs),
        *robustness(rows), *others(rows), *time(runs), *failures(found), again(found),
    ]  # fmt: skip


def sections_of_studies(folders: Sequence[Path]) -> list[Section]:
    """Several studies: a section for each, with its finding and its verdicts; a page of its own tells more of it."""
    found = [(folder, read_results(folder)) for folder in folders]
    known = [one for _, one in found if one is not None]
    table = Table(["study", "finding", "verdicts"], [[one.study, one.finding, verdict_words(one)] for one in known])
    return [
        Section("studies", "The studies", [table]),
        *(_short_study(folder, one, number) for number, (folder, one) in enumerate(found, 1)),
    ]


def _short_study(folder: Path, found: Results | None, number: int) -> Section:
    if found is None:
        unread = Prose(f"{folder / RESULTS} cannot be read.", "warning")
        return Section(f"study-{number}", folder.absolute().name, [unread])
    told = [finding(found, ()), *differences(found), *failures(found)]
    more = Code(
        f"sslkit report {quote(str(folder))}",
        "Its seeds, its learning curves and its runs are in a report of their own.",
    )
    return Section(f"study-{number}", found.study, [*(part for own in told for part in own.parts), more])


def _notes(cohorts: Sequence[Cohort]) -> list[str]:
    seen = [one for cohort in cohorts for one in cohort.seen]
    broken = [f"Damaged: {one.member.name}: {one.member.problem}" for one in seen if one.member.problem]
    return [*broken, *log_notes([one for one in seen if not one.member.problem])]


def filters_of(sections: Sequence[Section]) -> list[Filter]:
    """A box for each recipe, or row of a study, that figures show, where there are several."""
    meta = [
        trace.get("meta", {})
        for figure in _figures(part for own in sections for part in own.parts)
        for trace in figure.data
    ]
    found: dict[str, str] = {}
    for own in meta:
        if "run" in own and "name" in own:
            found.setdefault(str(own["run"]), str(own["name"]))
    return (
        [Filter("run", "Show", sorted(found.items(), key=lambda one: int(one[0])), many=True)] if len(found) > 1 else []
    )


def _figures(parts: Iterable[Part]) -> Iterator[Figure]:
    for part in parts:
        if isinstance(part, Figure):
            yield part
        elif isinstance(part, Choice):
            yield from (figure for _, inside in part.options for figure in _figures(inside))
        elif isinstance(part, Folded):
            yield from _figures(part.parts)
