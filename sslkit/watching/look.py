"""How a run stands, in words and as JSON: what `sslkit status` says."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..screen import Screen
from ..tables import Flow, count, duration, results
from .replay import Replay, replay
from .standing import Standing, ago, read_summary

STYLES = {"running": "green", "finished": "green", "failed": "red", "killed": "red"}


class Look:
    """One look at a run."""

    def __init__(self, run: Standing) -> None:
        self.run = run
        self.told: Replay = replay(run)

    def headline(self) -> str:
        """`running: process 123 on host since 14:03 (2 min 10 s)`."""
        run = self.run
        if run.state == "running" and run.holder:
            spent = f" ({duration(ago(run.holder.since))})" if run.holder.since else ""
            return f"running: {run.holder}{spent}"
        last = f"{duration(ago(run.sign))} ago"
        return {
            "finished": f"finished {last}",
            "stopped": f"stopped {last}",
            "failed": f"failed {last}",
            "killed": f"killed: it never said that it ended; last sign of life {last}",
        }.get(run.state, f"running or killed (here no lock tells which); last sign of life {last}")

    def line(self) -> str:
        """All of it in one line."""
        story, run = self.told.story, self.run
        done, total = story.labeling or (story.step, story.steps)
        what = "labels" if story.labeling else "step"
        far = "" if run.state == "finished" else f"{story.name()}, {what} {count(done)}/{count(total)}"
        return " · ".join(piece for piece in (str(run.folder), self.headline().split(":")[0], far) if piece)

    def drawn(self) -> RenderableType:
        """As a person reads it."""
        run, story = self.run, self.told.story
        parts: list[RenderableType] = [
            Flow(story.heading(), "bold"),
            Text(self.headline(), STYLES.get(run.state, "yellow")),
        ]
        if self.told.why:
            parts.append(Text(self.told.why, "red" if run.state == "failed" else "dim"))
        if waiting := run.doing.get("waiting"):
            parts.append(Text(str(waiting), "yellow"))
        if run.state == "finished":
            return Group(*parts, Text(), results(read_summary(run.folder)))
        parts += [Screen(story, beside=len(parts) + 3), Text(), Flow(self.safety(), "dim")]
        if run.state != "running":
            parts.append(Text(f"go on with:\n    {run.again}"))
        return Group(*parts)

    def safety(self) -> list[str]:
        """The last checkpoint, and what lies after it."""
        saved, at_risk = self.run.saved, self.steps_at_risk()
        steps = f"{count(at_risk)} step{'s' * (at_risk != 1)}"
        loss = (
            f"a kill now would lose {steps}" if self.run.state == "running" else f"{steps} after it will be done again"
        )
        loss = loss if at_risk else ""
        if saved is None:
            return ["no checkpoint yet", loss.replace(" after it", "")]
        return [f"last checkpoint: {saved.path.name}, {duration(ago(saved.moment))} ago", loss]

    def steps_at_risk(self) -> int:
        """Steps that the log tells of and no checkpoint holds."""
        story, saved = self.told.story, self.run.saved
        return story.step - (saved.step if saved and saved.generation == story.generation else 0)

    def as_json(self) -> dict[str, Any]:
        """For programs: everything above; what is not known is null."""
        run, story, timing = self.run, self.told.story, self.told.story.timing
        saved, who, waiting = run.saved, run.holder, run.doing.get("waiting")
        return {
            "folder": str(run.folder),
            "recipe": story.start.get("recipe"),
            "state": run.state,
            "why": self.told.why,
            "waiting": waiting,
            "process": who and {"pid": who.pid, "host": who.host, "since": who.since},
            "last_sign": run.sign,
            "role": story.start.get("role"),
            "generation": story.generation,
            "generations": story.total,
            "name": story.name(),
            "model": story.model() or None,
            "step": story.step,
            "steps": story.steps,
            "labeling": story.labeling and dict(zip(("done", "total"), story.labeling, strict=True)),
            "losses": story.now.get("losses") or {},
            "lr": story.now.get("lr"),
            "kept_share": story.in_use(),
            "metrics": story.metrics,
            **{name: timing.get(name) for name in ("images_per_second", "waited_share", "seconds_left")},
            "checkpoint": saved
            and {"path": str(saved.path), "generation": saved.generation, "step": saved.step, "time": saved.moment},
            "steps_at_risk": self.steps_at_risk() if run.unfinished else 0,
            "resume": run.again if run.unfinished and run.state != "running" else None,
            "finished": [entry for _, entry in sorted(story.generations.items())],
            "baseline": story.baseline,
        }
