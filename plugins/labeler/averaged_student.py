"""Mean Teacher's teacher: a moving average of the student."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from sslkit import hookimpl
from sslkit.errors import RecipeError


@dataclass(eq=False, kw_only=True)
class AveragedStudent:
    """The student's moving average teaches (Tarvainen & Valpola 2017, sec. 2).

    Raises `RecipeError` where no plugin keeps an average.
    """

    needs: ClassVar = ("average",)
    "A trait: some plugin keeps the average that teaches."

    @hookimpl
    def make_teacher(self, average: nn.Module | None) -> nn.Module:
        """The average."""
        if average is None:
            raise RecipeError(
                "[[labeler]] averaged_student: the student's average is to teach, but no plugin keeps one. "
                "Add a labeler that implements `average`, such as `moving_average`"
            )
        return average
