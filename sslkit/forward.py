"""Runs the recipe's passes: each view goes through a model at most once, together with those it shares a pass with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .network import Network
from .passes import completed
from .randomness import key, seed_torch
from .recipe.model import PassTable
from .types import Batch, Outputs, Step, View


@dataclass(eq=False)
class Models:
    """Who answers to which name; without a teacher there is none to ask."""

    student: Network
    average: Network | None = None
    teacher: Network | None = None
    trainables: Mapping[str, nn.Module] = field(default_factory=dict)
    "Further models that learn. One that is called `teacher` answers as the teacher where no labeler makes one."

    def named(self, role: str) -> tuple[nn.Module | None, bool]:
        """The model of a name, and whether its answers carry a gradient."""
        own = {"student": self.student, "average": self.average, "teacher": self.teacher}.get(role)
        return (own, role == "student") if own is not None else (self.trainables.get(role), True)


class Forward:
    """Answers of one step (or one chunk of a pool), cached per view object and model.

    `mix` replaces views, so nothing cached goes stale. Each pass draws its dropout from a key of its own.
    """

    def __init__(
        self, models: Models, plan: list[PassTable], step: Step, device: torch.device, precision: str, purpose: str
    ) -> None:
        self.models, self.plan, self.step, self.device = models, plan, step, device
        self.purpose = purpose  # keys dropout: a pool's chunk 3 must not share the draws of step 3
        self.dtype = None if precision == "float32" else torch.bfloat16
        # By role, not by network: a teacher that is the student answers a view its own way, without gradient.
        self._answers: dict[tuple[View, str], Outputs] = {}
        self._count = 0

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        """The answer to a view by `student` (the default), `teacher`, `average`, or a further model by its name."""
        role = model or "student"
        if isinstance(view, str):
            view = self.step.batch_of(view).views[view]
        network, learns = self.models.named(role)
        if not isinstance(network, Network):
            raise LookupError(f"this generation has no {role} to ask")
        table = self._pass_of(view, role)
        if (view, table.model) not in self._answers:
            self._run(network, table, view, learns)
        return self._answers[view, table.model]

    def _pass_of(self, view: View, role: str) -> PassTable:
        """The pass that a view belongs to; a teacher that is the student answers from the student's, if it can."""
        roles = [role]
        if role != "student" and self.models.named(role)[0] is self.models.student:
            roles.append("student")
        for name in roles:
            for table in self.plan:
                if table.model == name and view.name in table.views:
                    return table
        return completed(PassTable(model=role, views=[view.name]))  # type: ignore[arg-type]

    def _run(self, network: Network, table: PassTable, asked: View, learns: bool) -> None:
        """One pass: every view of it that is still unanswered, as one batch. `learns`: with a gradient."""
        views = [view for view in self._present(table) if (view, table.model) not in self._answers]
        if asked not in views:
            views = [asked]
        network.set_mode(noise=bool(table.noise), batch_norm=str(table.batch_norm), write_stats=bool(table.write_stats))
        if table.noise:
            progress = self.step.progress
            seed_torch(key(progress.seed, progress.generation, progress.step, self.purpose, self._count), self.device)
        self._count += 1
        images = torch.cat([view.images for view in views]) if len(views) > 1 else asked.images
        with torch.set_grad_enabled(learns or table.model == "student"):
            outputs = self._autocast(network, images)
        sizes = [len(view.images) for view in views]
        for view, answer in zip(views, split_outputs(outputs, sizes), strict=True):
            self._answers[view, table.model] = answer

    def _present(self, table: PassTable) -> list[View]:
        views = self.step.views
        return [views[name] for name in table.views if name in views]

    def _autocast(self, network: Network, images: Tensor) -> Outputs:
        if self.dtype is None:
            answer: Outputs = network(images)
            return answer
        with torch.autocast(self.device.type, self.dtype):
            outputs = network(images)
        return Outputs(
            outputs.logits.float(),
            None if outputs.features is None else outputs.features.float(),
            {name: head.float() for name, head in outputs.heads.items()},
        )


def split_outputs(outputs: Outputs, sizes: list[int]) -> list[Outputs]:
    """The answers to the views that shared a batch."""
    if len(sizes) == 1:
        return [outputs]
    logits = torch.split(outputs.logits, sizes)
    features = torch.split(outputs.features, sizes) if outputs.features is not None else [None] * len(sizes)
    heads = {name: torch.split(answer, sizes) for name, answer in outputs.heads.items()}
    return [
        Outputs(logits[i], features[i], {name: parts[i] for name, parts in heads.items()}) for i in range(len(sizes))
    ]


class LabelForward:
    """`forward` as a labeler sees it: the teacher unless it says otherwise, no gradient, the deciding head's logits."""

    def __init__(self, forward: Forward, decide: Callable[[Outputs], Tensor], batch: Batch) -> None:
        self.forward, self.decide, self.batch = forward, decide, batch

    def __call__(self, view: str | View, model: str | None = None) -> Outputs:
        """The teacher's answer, detached. A name is of the batch that is labeled: several streams have a `clean`."""
        if isinstance(view, str):
            view = self.batch.views.get(view, view)
        answer = self.forward(view, model or "teacher")
        features = None if answer.features is None else answer.features.detach()
        heads = {name: head.detach() for name, head in answer.heads.items()}
        return Outputs(self.decide(answer).detach(), features, heads)
