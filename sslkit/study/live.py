"""What a study says while it runs: in a pipe a line for each run that begins or ends."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.text import Text

from ..tables import duration, percent
from .children import Child, Failure, missing
from .outcome import final_test
from .rows import teacher_of


class Lines:
    """A line when a run begins, and one when it ends, which says what came out."""

    def __init__(self, console: Console, children: list[Child]) -> None:
        self.console = console
        self.total = len(children)
        self.left = self.ahead = len(missing(children))
        self.began = time.perf_counter()
        self.numbers: dict[Child, int] = {}

    def begin(self, child: Child) -> None:
        """`[ 3/30] no noise, seed 2 (also bare, seed 2)`."""
        self.numbers[child] = self.total - self.ahead + len(self.numbers) + 1
        others = child.uses[1:]
        also = f" (also {', '.join(f'{name}, seed {seed}' for name, seed in others)})" if others else ""
        self._say(child, f"{also} begins")

    def done(self, child: Child, summary: dict[str, Any]) -> None:
        """`[ 3/30] no noise, seed 2: 95.28% (teacher 87.81%), 41 s; 12 min left`."""
        self.left -= 1
        teacher = teacher_of(summary)
        before = f" (teacher {percent(teacher)})" if teacher is not None else ""
        line = Text.assemble(": ", (percent(final_test(summary)), "bold"), before)
        line.append(f", {duration(summary.get('wall_seconds'))}{self._time_left()}", "dim")
        self._say(child, line)

    def warned(self, child: Child, message: str) -> None:
        """A full disk that a run waits for."""
        self._say(child, Text(f": warning: {message}", "yellow"))

    def failed(self, failure: Failure) -> None:
        """What went wrong; the others go on."""
        self.left -= 1
        self._say(failure.child, Text.assemble(": ", ("failed", "bold red")))
        self.console.print(Text("    " + failure.message.replace("\n", "\n    "), "red"), soft_wrap=True)
        if failure.details:
            print(failure.details, file=sys.stderr)

    def _say(self, child: Child, what: str | Text) -> None:
        name, seed = child.uses[0]
        head = f"[{self.numbers[child]:>{len(str(self.total))}}/{self.total}] "
        self.console.print(Text.assemble((head, "dim"), f"{name}, seed {seed}", what), soft_wrap=True)

    def _time_left(self) -> str:
        """As long for each run that is left as for those that have ended."""
        if not self.left:
            return ""
        each = (time.perf_counter() - self.began) / (self.ahead - self.left)
        return f"; {duration(each * self.left)} left"
