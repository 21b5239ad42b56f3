"""What a run says to a person: a live view on a terminal, plain lines in a pipe, a table at the end."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Unit
from rich.live import Live
from rich.text import Text

from sslkit import Event, hookimpl
from sslkit.screen import Output, Screen
from sslkit.story import Story
from sslkit.tables import SHOWN, Flow, count, is_number, make_console, percent, results, results_table, size

NAMED = 10
"Classes without a pseudo-label that are named one by one."
REFRESH = 0.1
"Seconds between two drawings of the live view."


@dataclass(eq=False, kw_only=True)
class Console:
    """Say what happens: a live view on a terminal, plain lines elsewhere, and a table of results at the end."""

    style: Literal["auto", "plain"] = "auto"
    "`auto` draws a live view where the output is a terminal; `plain` always prints lines."
    every: Annotated[int, Ge(1), Unit("steps")] = 100
    "Steps between two plain lines."

    def __post_init__(self) -> None:
        self.story_ = Story()
        self.output_: Output | None = None
        self.live_: Live | None = None
        self.said_: set[str] = set()
        self.drawn_ = 0.0
        self.line_ = (0, 0)

    @hookimpl
    def report(self, event: Event) -> None:
        """Listen, then say it."""
        self.story_.hear(event)
        output = self.output_ = self.output_ or make_console(Output)
        try:
            self._tell(output, event)
        except OSError as error:  # a terminal that was closed, a full disk under the log file
            output.failed(error)

    def _tell(self, output: Output, event: Event) -> None:
        if event.kind == "start":
            self._stop()
            self._start(output)
        elif event.kind in ("end", "failure"):
            self._stop()
            self._finish(output, event)
        elif event.kind == "rehearsal":
            self._forewarn(output, event.values)
        elif event.kind == "warning":  # each of them: what does not fit now did not fit before either
            message = Text(f"warning: {event.values.get('message', '')}", "yellow")
            output.print(message, soft_wrap=not output.is_terminal)
        elif self.live_:
            self._draw(at_once=event.kind != "step" and event.values.get("done") == event.values.get("total"))
            self._say_empty(output, event)
        else:
            self._line(output, event)
            self._say_empty(output, event)

    def _start(self, output: Output) -> None:
        story = self.story_
        output.print(Flow(story.heading(), "bold"))
        # A baseline comes before its run, which then says what holds for both.
        if not story.is_baseline:
            output.print(Flow(story.sizes(), "dim"))
        for word, style in (("warning", "yellow"), ("note", "dim")):
            for message in [] if story.is_baseline and word == "note" else story.start.get(f"{word}s") or []:
                self._say(output, f"{word}: {message}", style)
        if self.style == "auto" and sys.stdout.isatty() and not output.is_dumb_terminal:
            # Drawn at events, not by a thread: data workers are forked, and a fork must not meet a lock half-way.
            live = self.live_ = Live(Screen(story), console=output, auto_refresh=False, transient=True)
            live.start()
            # Also where the process ends without a failure event: the terminal gets its cursor back.
            weakref.finalize(self, live.stop)

    def _forewarn(self, output: Output, values: Mapping[str, Any]) -> None:
        """What the run will take, and what looks unintended, before anything is trained."""
        known = {name: size(values[name]) for name in ("disk", "memory", "free") if is_number(values.get(name))}
        words = {
            "disk": "takes about {} of disk",
            "memory": "about {} of memory beside Python's own",
            "free": "{} of disk are free",
        }
        said = [words[name].format(number) for name, number in known.items()]
        output.print(Flow([str(values.get("recipe", "")), *said], "dim"))
        for message in values.get("warnings") or []:
            self._say(output, f"warning: {message}", "yellow")

    def _stop(self) -> None:
        if self.live_:
            self.live_.stop()
            self.live_ = None

    def _draw(self, at_once: bool) -> None:
        now = time.monotonic()
        if self.live_ and (at_once or now - self.drawn_ >= REFRESH):
            self.drawn_ = now
            self.live_.refresh()

    def _say(self, output: Output, message: str, style: str = "") -> None:
        """A message, the first time it comes; in a pipe it is one line, whatever the width."""
        if message not in self.said_:
            self.said_.add(message)
            output.print(Text(message, style=style), soft_wrap=not output.is_terminal)

    def _say_empty(self, output: Output, event: Event) -> None:
        empty = [str(name) for name in event.values.get("empty_classes") or []]
        if event.kind == "labels" and empty:
            names = ", ".join(empty[:NAMED]) + (f" and {len(empty) - NAMED} more" if len(empty) > NAMED else "")
            self._say(output, f"{self.story_.name()}: no pseudo-label is kept for {names}", "yellow")

    def _line(self, output: Output, event: Event) -> None:
        """The plain line of an event, if it is worth one."""
        pieces = ", ".join(piece for piece in self._pieces(event) if piece)
        who = "supervised baseline" if event.kind == "baseline" else self.story_.name()
        if pieces:
            output.print(Text(f"{who}: {pieces}"), soft_wrap=True)

    def _pieces(self, event: Event) -> list[str]:
        story, values = self.story_, event.values
        at = f"step {count(story.step)}/{count(story.steps)}"
        if event.kind == "labels" and "kept_share" in values:
            right = values.get("pseudo_label_accuracy")
            kept = f"{percent(values['kept_share'])} kept"
            outside, which = values.get("outside"), percent(values.get("outside_kept_share"))
            return [
                f"{count(values.get('total'))} images labeled",
                kept,
                f"{percent(right)} right" if right else "",
                f"{which} of the {count(outside)} images of no class kept" if outside else "",
            ]
        if event.kind == "step" and self._line_is_due(event):
            return [at, *story.losses(), *story.speed()]
        if event.kind == "evaluation" and story.step < story.steps:  # the last one is its generation's
            return [at, *story.scores(story.metrics)]
        # A baseline's result is told to the run as well, which then says it.
        if event.kind == "baseline" or (event.kind == "generation" and not story.is_baseline):
            own = {name: values.get(name) for name in SHOWN}
            return [*story.scores(own | (values.get("metrics") or {}))]
        return []

    def _line_is_due(self, event: Event) -> bool:
        """The first line after every so many steps, and a generation's last."""
        at = event.progress
        line = (at.generation, at.step // self.every)
        last = self.line_ if self.line_[0] == at.generation else (at.generation, 0)
        self.line_ = line
        return line > last or at.step == at.steps

    def _finish(self, output: Output, event: Event) -> None:
        story = self.story_
        if event.kind == "failure":
            if story.generations:
                output.print("", results_table(story.summary(), story.total), "", sep="\n")
            word = "stopped" if event.values.get("reason") == "interrupted" else "failed"
            output.print(f"{word}: {story.name()}, step {count(story.step)}/{count(story.steps)}", soft_wrap=True)
        elif not story.is_baseline:
            output.print()
            output.print(results(event.values.get("summary") or story.summary(), event.values.get("folder")))
