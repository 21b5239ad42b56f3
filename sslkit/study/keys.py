"""The keys of a study file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

Direction = Literal["lower", "higher"]
ACCURACY = "test_accuracy"
"What studies compare unless they say otherwise."


@dataclass(kw_only=True)
class StudyTable:
    """The study's own keys."""

    base: Annotated[str, MinLen(1)]
    "The recipe that variants are compared with: a path from the study file, or the name of a shipped recipe."
    name: Annotated[str, MinLen(1)] | None = None
    "What results call the base; by default the recipe's name."
    generation: Annotated[int, Ge(0)] | None = None
    "The generation whose results the base's are; by default the last."
    seeds: str = "0-9"
    "Seeds of every variant: numbers and ranges, `0,3,5-7`."
    set: dict[str, Any] = field(default_factory=dict)
    "Overrides by dotted path, for the base and every variant."
    references: list[Annotated[str, MinLen(1)]] = field(default_factory=list)
    "Metrics of the base's last generation that are accuracies of something else: compared as if variants."
    finding: str = ""
    "The claim that it checks, in a sentence; results say whether it holds."
    source: str = ""
    "Where the claim was made, and of what the numbers in `paper` are."
    measures: Annotated[list[Annotated[str, MinLen(1)]], MinLen(1)] = field(default_factory=lambda: [ACCURACY])
    "Metrics by which variants are compared, the main one first."
    metrics: Annotated[str, MinLen(1)] | None = None
    "A set of metrics that finished runs are measured by, as by `sslkit evaluate --metrics`: a path from here, or a name."


@dataclass(kw_only=True)
class VariantTable:
    """`[[variant]]`."""

    name: Annotated[str, MinLen(1)]
    "What results call it."
    set: dict[str, Any] = field(default_factory=dict)
    "Overrides by dotted path."
    from_generation: Annotated[int, Ge(0)] = 0
    "The first generation that the overrides apply to."
    recipe: Annotated[str, MinLen(1)] | None = None
    "Another recipe than the base, which the overrides are then laid on."
    baseline: bool = False
    "Whether it is the supervised baseline of the recipe: without the unlabeled images, with as many steps."
    generation: Annotated[int, Ge(0)] | None = None
    "The generation whose results count; by default the last. The base's own earlier generations can be variants."
    against: Annotated[str, MinLen(1)] | None = None
    "The row that it is compared with; by default the base."
    expect: Direction | dict[str, Direction] | None = None
    "How it is expected to compare with `against`: by the main measure, or a table by measure. Results give a verdict."
    paper: float | dict[str, float] | None = None
    "The difference that the paper measured, in percentage points: by the main measure, or a table by measure."
    gain_below: Annotated[float, Gt(0)] | None = None
    "Share of the base's gain over its teacher that its own gain is expected to stay below; results say whether it does."
