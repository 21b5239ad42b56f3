"""Noisy Student's teacher: the student of the generation before."""

from dataclasses import dataclass

from torch import nn

from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class PreviousStudent:
    """The finished model of the generation before teaches; in the first generation nobody does.

    Xie et al. 2020, Algorithm 1, step 4. Where an average is kept it is the average that teaches.
    """

    @hookimpl
    def make_teacher(self, previous: nn.Module | None) -> nn.Module | None:
        """The generation before, or None."""
        return previous
