"""A selection made once: the first teacher chooses the images of the pool, later ones only relabel them."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from sslkit import Batch, Targets, hookimpl
from sslkit.errors import RecipeError


@dataclass(eq=False, kw_only=True)
class FixedSelection:
    """Keep the images, and how often each is drawn, of the first pool that was labeled; only their labels are new.

    Xie et al. 2020, sec. 3.1, filter and balance the unlabeled images once; for every later teacher the official code
    relabels what was kept (`reassign.sh`). Belongs after the filters and the balance, which in later generations
    decide nothing any more. What was kept counts fully, however sure the new teacher is of it. Works on the whole pool;
    raises `RecipeError` where labels are made by step.
    """

    timing: ClassVar = "pool"
    "A trait: a selection is of the whole pool."

    @hookimpl
    def begin(self) -> None:
        """Nothing is selected, until a generation before says otherwise."""
        self.copies_: Tensor | None = None

    @hookimpl
    def refine(self, targets: Targets, batch: Batch | None) -> Targets:
        """The first time, `targets` as they are; from then on with that selection's `copies`."""
        if batch is not None:
            raise RecipeError(
                "[[labeler]] fixed_selection: selects from the whole pool, but labels are made at each step. "
                'Set labels = "pool" (or "both", with when = "pool" here), or leave it out'
            )
        if self.copies_ is None:
            self.copies_ = torch.where(targets.kept, targets.copies, 0.0)
            return targets
        copies = self.copies_.to(targets.copies.device)
        return replace(targets, copies=copies, weight=(copies > 0).to(targets.weight.dtype))

    def state_dict(self) -> dict[str, Any]:
        """The selection, once there is one."""
        return {} if self.copies_ is None else {"copies": self.copies_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` answered."""
        self.copies_ = state.get("copies")
