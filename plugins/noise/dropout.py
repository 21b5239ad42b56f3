"""Dropout: the model forgets a part of what its classifier sees."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from sslkit import hookimpl


@dataclass(eq=False, kw_only=True)
class Dropout:
    """Drop activations before the classifier while training (Srivastava et al. 2014): timm's `drop_rate`.

    Noisy Student (Xie et al. 2020, sec. 3.1) drops half of them in EfficientNet-B6, B7 and L2; its official code 0.4 in
    B4-5, 0.3 in B2-3, 0.2 in B0-1. A model that takes no `drop_rate` is refused when it is built.
    """

    rate: Annotated[float, Interval(ge=0, lt=1)] = 0.5
    "Probability with which an activation is dropped."

    @hookimpl
    def model_kwargs(self) -> dict[str, Any]:
        """`drop_rate` for the student's builder."""
        return {"drop_rate": self.rate}
