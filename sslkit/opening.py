"""A recipe's data, opened: what its plugin finds, corrected by what a person said."""

from __future__ import annotations

from .corrections import corrected, read_corrections
from .dataset import Data
from .errors import DataError
from .recipe.blame import blamed
from .recipe.model import Recipe
from .state import plugins_of
from .types import Progress


def open_data(recipe: Recipe) -> Data:
    """The recipe's data; raises what the data plugin raises, and `DataError` for data that cannot train a classifier."""
    with blamed("data", recipe.generations[0].table):
        data = plugins_of(recipe.generations[0]).open_data(Progress(recipe.settings.seed))
    data = by_hand(data, recipe)
    if not len(data.labeled):
        raise DataError("\n    ".join(["[data]: there are no labeled images, and so nothing to train on", *data.notes]))
    if len(data.classes) < 2:
        names = ", ".join(data.classes) or "none"
        raise DataError(
            f"[data]: a classifier tells classes apart, and needs two at least; classes of this data: {names}"
        )
    return data


def by_hand(data: Data, recipe: Recipe) -> Data:
    """The recipe's own data with its corrections."""
    path = recipe.settings.corrections
    return data if path is None else corrected(data, read_corrections(path), f"corrections ({path})")
