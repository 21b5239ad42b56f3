"""FixMatch's teacher: the student itself."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class CurrentStudent:
    """The student teaches itself, as it stands at each step (Lee 2013; Sohn et al. 2020, sec. 2.2)."""

    teaches: ClassVar = "student"
    "A trait: labelers are answered from the student's own passes, where the recipe gives the teacher none."

    @hookimpl
    def make_teacher(self, student: nn.Module) -> nn.Module:
        """The student."""
        return student
