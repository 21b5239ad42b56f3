"""Units: what a number counts or is measured in is said wherever it is said what a setting takes."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from annotated_types import Ge, Gt, Interval, MinLen, Unit

from sslkit.errors import RecipeError
from sslkit.recipe import fields, load
from sslkit.recipe.model import ModelTable, Settings


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (Annotated[int, Ge(1), Unit("pixels")], "a whole number of at least 1 pixel"),
        (Annotated[int, Ge(0), Unit("pixels")] | None, "a whole number of at least 0 pixels"),
        (Annotated[int, Ge(1), Unit("processes")], "a whole number of at least 1 process"),
        (Annotated[int, Ge(1), Unit("batches")], "a whole number of at least 1 batch"),
        (Annotated[int, Interval(ge=1, lt=5), Unit("images")], "a whole number of at least 1 and below 5 images"),
        (Annotated[float, Gt(0), Unit("steps")], "a number above 0 steps"),
        (Annotated[float, Interval(ge=0, le=1), Unit("degrees")], "a number from 0 to 1 degrees"),
        (Annotated[float, Unit("seconds")], "a number of seconds"),
        (list[Annotated[int, Ge(2), Unit("steps")]], "a list (a whole number of at least 2 steps)"),
        (Annotated[float, Interval(ge=0, le=1)], "a number from 0 to 1"),
    ],
)
def test_bounds_are_said_with_their_unit(hint, said):
    assert fields.words(hint) == said
    unit = fields.unit(hint)
    assert not unit or unit.removesuffix("es").removesuffix("s") in said
    assert bool(unit) == ("Unit" in str(hint))


def test_a_refused_number_is_told_its_unit(tmp_path):
    (tmp_path / "bad.toml").write_text(
        'extends = "supervised"\nsteps = 0\n[data]\ntest = -1\n[model]\nsize = 0\n'
        '[[schedule]]\nname = "stairs"\nuse = "step_decay"\nevery = 0\n'
    )
    with pytest.raises(RecipeError) as caught:
        load(tmp_path / "bad.toml")
    for said in ("at least 1 step\n", "at least 0 images (default 400)", "at least 1 pixel\n", "above 0 steps"):
        assert said in f"{caught.value}\n"


def test_settings_have_their_units():
    known = fields.hints(Settings)
    assert {name for name in known if fields.unit(known[name]) == "steps"} == {
        "steps", "evaluate_every", "save_every", "log_every"
    }  # fmt: skip
    assert fields.unit(fields.hints(ModelTable)["size"]) == "pixels"
    assert fields.unit(known["seed"]) == ""


@dataclass
class Kinds:
    number: int = 3
    text: Annotated[str, MinLen(1)] = "a"
    group: tuple[int, ...] = (1, 2)
    nothing: int | None = None


def test_defaults_are_those_that_toml_says():
    assert [fields.default_of(Kinds, name) for name in ("number", "text", "group", "nothing")] == [3, "a", [1, 2], None]
    assert fields.default(Kinds, "group") == " (default [1, 2])" and fields.default(Kinds, "nothing") == ""
