"""FixMatch's teacher: the student itself."""

from dataclasses import dataclass

from torch import nn

from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class CurrentStudent:
    """The student teaches itself, as it stands at each step (Lee 2013; Sohn et al. 2020, sec. 2.2)."""

    @hookimpl
    def make_teacher(self, student: nn.Module) -> nn.Module:
        """The student."""
        return student
