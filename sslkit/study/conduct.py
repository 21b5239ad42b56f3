"""A study from its file to its results."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ..artifacts import write_atomic
from ..environment import choose_device
from ..errors import Interrupted, RunError
from ..network import require_timm
from ..recipe.message import counted, did_you_mean, listed, sentence
from ..tables import is_number
from .children import Child, Failure, missing, plan, run_all
from .cores import share
from .file import Study, load_study
from .live import Lines
from .markdown import read_results, titled, write_section
from .outcome import Outcome, as_json, gather, metrics_of
from .plot import picture
from .seeds import format_seeds
from .terminal import show, wide_console

RESULTS, PLOT = "results.json", "plot.svg"


def conduct(
    source: str,
    *,
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
    study = load_study(source, seeds)
    folder = out if out is not None else Path("runs") / "studies" / study.name
    said = format_seeds(seeds).replace(" ", "") if seeds else None
    title = titled(study.name, said)
    if results is not None:
        read_results(results, title)
    _check_places(study, folder, device)
    children = plan(study, folder)
    again = command(source, seeds=said, out=out, device=device, jobs=jobs, results=results)
    failures = _run(study, children, device, jobs, again)
    told = command(shown_path(source), seeds=said, device=device, results=results and shown_path(results))
    outcome = gather(study, children, failures, told)
    write_atomic(folder / RESULTS, as_json(outcome, children, folder))
    if drawn := picture(outcome):
        write_atomic(folder / PLOT, drawn)
    show(outcome, wide_console(), str(folder))
    if results is not None:
        write_section(results, outcome, title)
    return outcome


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


def _check_places(study: Study, folder: Path, device: str | None) -> None:
    """Refuse now what would fail after hours."""
    require_timm()
    choose_device(device)
    path = folder / RESULTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = json.loads(path.read_text()).get("study") if path.exists() else study.name
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{folder} cannot be used as a study's folder ({error}); choose another --out") from error
    if owner != study.name:
        raise RunError(f"{folder} holds the results of the study {owner}, which are never overwritten; "
                       "choose another --out")  # fmt: skip


def _run(study: Study, children: list[Child], device: str | None, jobs: int | None, again: str) -> list[Failure]:
    """Run what is missing; when stopped, say how to go on."""
    console = wide_console()
    at_once, threads = share(len(children), jobs, choose_device(device).type != "cpu")
    _announce(study, children, console, at_once, threads)
    lines = Lines(console, children)
    try:
        return run_all(children, device, at_once, threads, lines, _reference_check(study))
    except (Interrupted, KeyboardInterrupt):
        console.print()
        done = len(children) - len(missing(children))
        raise Interrupted(
            f"stopped; {done} of {len(children)} runs are finished, and everything is saved. Go on with:\n    {again}"
        ) from None


def _announce(study: Study, children: list[Child], console: Console, jobs: int, threads: int) -> None:
    left = len(missing(children))
    variants = ", ".join(dict.fromkeys(name for child in children for name, _ in child.uses))
    console.print(Text(f"{study.name}: {variants}", "bold"), soft_wrap=True)
    how = f"; {jobs} at a time, {counted(threads, 'thread')} each" if left else ""
    console.print(
        Text(f"seeds {format_seeds(study.seeds)}; {len(children)} runs, {len(children) - left} finished{how}"),
        soft_wrap=True,
    )
    for warning in dict.fromkeys(text for variant in study.variants for text in variant.recipe.warnings):
        console.print(Text(f"warning: {warning}", "yellow"), soft_wrap=True)


def _reference_check(study: Study) -> Callable[[Child, dict[str, Any]], None]:
    """References are names of metrics, which only a finished run of the base shows: looked at after the first."""

    def check(child: Child, summary: dict[str, Any]) -> None:
        if study.base.name not in (name for name, _ in child.uses):
            return
        there = {name: value for name, value in metrics_of(summary).items() if is_number(value)}
        for name in study.references:
            if name not in there:
                hint = did_you_mean(name, there) or (
                    f'A metric is added by `set = {{ "metric.{name}.use" = "{name}" }}`.'
                )
                raise RunError(f"the study's `references` names `{name}`, which no metric of the base reports\n"
                               f"  there are: {listed(there)}. {sentence(hint)}")  # fmt: skip

    return check
