"""A study from its file to its results."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ..errors import Interrupted, RunError
from ..recipe.message import counted, did_you_mean, listed, sentence
from ..tables import is_number
from .children import Child, Failure, missing, plan
from .cores import share
from .file import Study, load_study
from .keys import ACCURACY
from .live import listener
from .markdown import read_results, titled, write_section
from .outcome import Outcome, as_json, gather, metrics_of, twins
from .plot import picture
from .running import Check, Way, alone, measure_all, run_all, unmeasured
from .seeds import format_seeds
from .terminal import show, wide_console

RESULTS, PLOT = "results.json", "plot.svg"


def conduct(
    source: str,
    *,
    base: str | None = None,
    seeds: Sequence[int] | None = None,
    out: Path | None = None,
    results: Path | None = None,
    device: str | None = None,
    jobs: int | None = None,
) -> Outcome:
    """Run what is missing of a study, and write and print its results.

    Raises `SslkitError` for everything that can be known before a run begins, `Interrupted` when asked to stop; runs
    that fail are in the outcome's `failures`.
    """
    study = load_study(source, seeds, base)
    folder = _folder(study, out)
    said = format_seeds(seeds).replace(" ", "") if seeds else None
    title = titled(study.name, said)
    if results is not None:
        read_results(results, title)
    held = _check_folder(study, folder, make=True)
    children = plan(study, folder)
    way = _way(study, children, device, jobs)
    again = command(source, base=base, seeds=said, out=out, device=device, jobs=jobs, results=results)
    told = command(
        shown_path(source),
        base=base and shown_path(base),
        seeds=said,
        device=device,
        results=results and shown_path(results),
    )
    with alone(folder):
        failures = _run(study, children, way, again)
        outcome = gather(study, children, failures, told)
        _write(folder / RESULTS, as_json(outcome, children, folder))
        if drawn := picture(outcome):
            _write(folder / PLOT, drawn)
    show(outcome, wide_console(), str(folder))
    if held and held != list(study.seeds):
        wide_console().print(Text(f"{RESULTS} there was of seeds {format_seeds(held)}; the runs are kept, and --seeds brings "
                                  "its numbers back without training", "yellow"), soft_wrap=True)  # fmt: skip
    if results is not None:
        write_section(results, outcome, title)
    return outcome


def foretell(
    source: str,
    *,
    base: str | None = None,
    seeds: Sequence[int] | None = None,
    out: Path | None = None,
    device: str | None = None,
    jobs: int | None = None,
) -> None:
    """Print what `conduct` would run, and what that takes; nothing is written. Raises `SslkitError`, as it does."""
    from .forecast import foresee, show_forecast  # with torch

    study = load_study(source, seeds, base)
    folder = _folder(study, out)
    _check_folder(study, folder, make=False)
    children = plan(study, folder)
    way = _way(study, children, device, jobs)
    show_forecast(study, foresee(study, children, folder, way), folder, way, wide_console())


def command(source: str, **options: object) -> str:
    """The command line, ready to be typed; options that are None are left out."""
    given = ((name, value) for name, value in options.items() if value is not None)
    return shlex.join(
        ["sslkit", "study", source, *(word for name, value in given for word in (f"--{name}", str(value)))]
    )


def shown_path(path: str | Path) -> str:
    """A path as it may stand in a published file: from the working folder, or else without its folders."""
    if not Path(path).is_absolute():
        return str(path)
    here = Path.cwd()
    return Path(path).relative_to(here).as_posix() if Path(path).is_relative_to(here) else Path(path).name


def _write(path: Path, text: str) -> None:
    """Write a file of results, unless it says so already."""
    with suppress(OSError, ValueError):
        if path.read_text() == text:
            return
    from ..artifacts import write_atomic  # with torch, which a finished study does without

    write_atomic(path, text)


def _way(study: Study, children: list[Child], device: str | None, jobs: int | None) -> Way:
    """How runs are made here. Raises now for what would fail after hours."""
    if not missing(children) and not any(unmeasured(study, children)):
        return Way(*share(len(children), jobs, gpu=False), device)
    from ..environment import choose_device
    from ..network import require_timm

    require_timm()
    return Way(*share(len(children), jobs, gpu=choose_device(device).type != "cpu"), device)


def _folder(study: Study, out: Path | None) -> Path:
    return out if out is not None else Path("runs") / "studies" / study.name


def _check_folder(study: Study, folder: Path, make: bool) -> list[int]:
    """The seeds of the results that lie in a study's folder; none where there are none.

    Refuses a folder that is another study's, or none; one that is not there is made, if asked for.
    """
    path = folder / RESULTS
    try:
        if make or folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_text()) if path.exists() else {"study": study.name}
        owner, seeds = known.get("study"), list(known.get("seeds") or [])
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise RunError(f"{folder} cannot be used as a study's folder ({error}); choose another --out") from error
    if owner != study.name:
        raise RunError(f"{folder} holds the results of the study {owner}, which are never overwritten; "
                       "choose another --out")  # fmt: skip
    return seeds


def _run(study: Study, children: list[Child], way: Way, again: str) -> list[Failure]:
    """Run and measure what is missing; when stopped, say how to go on."""
    console = wide_console()
    _announce(study, children, console, way)
    try:
        with listener(console, study, children) as told:
            failures = run_all(children, way, told, _names_check(study))
            return failures + measure_all(study, children, way, told)
    except (Interrupted, KeyboardInterrupt):
        console.print()
        done = len(children) - len(missing(children))
        raise Interrupted(
            f"stopped; {done} of {len(children)} runs are finished, and everything is saved. Go on with:\n    {again}"
        ) from None


def _announce(study: Study, children: list[Child], console: Console, way: Way) -> None:
    left, wide = len(missing(children)), not console.is_terminal  # a line that a program reads is not broken
    variants = ", ".join(dict.fromkeys(name for child in children for name, _ in child.uses))
    console.print(Text(f"{study.name}: {variants}", "bold"), soft_wrap=wide)
    how = f"; {way.jobs} at a time, {counted(way.threads, 'thread')} each" if left else ""
    console.print(
        Text(f"seeds {format_seeds(study.seeds)}; {len(children)} runs, {len(children) - left} finished{how}"),
        soft_wrap=wide,
    )
    for names in twins(study):
        same = f"{', '.join(names[:-1])} and {names[-1]} are the same recipe: whatever differs between them is not their settings"
        console.print(Text(f"warning: {same}", "yellow"), soft_wrap=wide)
    for warning in dict.fromkeys(text for variant in study.variants for text in variant.recipe.warnings):
        console.print(Text(f"warning: {warning}", "yellow"), soft_wrap=wide)


def _names_check(study: Study) -> Check:
    """References and measures are names of metrics, which only a finished run of the base shows: looked at after the first.

    Where finished runs are measured by metrics of the study's own, its measures may be of these.
    """

    def check(child: Child, summary: dict[str, Any]) -> None:
        if study.base.name not in (name for name, _ in child.uses):
            return
        there = {name: value for name, value in metrics_of(summary).items() if is_number(value)}
        measures = () if study.metrics else study.measures
        known = {ACCURACY, *(name for entry in summary["generations"] for name in entry.get("metrics") or {})}
        for name in (one for one in measures if one not in known):
            hint = (
                did_you_mean(name, known) or 'Metrics of finished runs are asked for by `metrics = "robustness"`, say.'
            )
            raise RunError(f"the study's `measures` names `{name}`, which no metric of the base reports\n"
                           f"  there are: {listed(sorted(known))}. {sentence(hint)}")  # fmt: skip
        for name in study.references:
            if name not in there:
                hint = did_you_mean(name, there) or (
                    f'A metric is added by `set = {{ "metric.{name}.use" = "{name}" }}`.'
                )
                raise RunError(f"the study's `references` names `{name}`, which no metric of the base reports\n"
                               f"  there are: {listed(there)}. {sentence(hint)}")  # fmt: skip

    return check
