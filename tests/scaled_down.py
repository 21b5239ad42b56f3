"""Shipped recipes on data that is not here: run as their own heads say that a person may try them, on small pictures."""

import re
from pathlib import Path

import cv2
import numpy as np

from sslkit.errors import MissingData
from sslkit.opening import open_data
from sslkit.recipe import load, shipped

CLASSES = ("ant", "bee", "cat")
EACH = 8
"Pictures of a class in a folder of classes; an unlabeled folder has three times as many."


def example(name):
    """The recipe of your own that a shipped one's head shows; None where it shows none."""
    found = re.search(r"a recipe of your own:\n#\n((?:#   .*\n)+)", shipped()[name].read_text())
    return found and re.sub(r"^#   ", "", found[1], flags=re.MULTILINE)


def picture(number):
    """A colour for its class, stripes and noise, no two of the same shape."""
    random = np.random.default_rng(number)
    image = random.integers(0, 120, (40 + number % 5, 44 - number % 3, 3))
    image[:, :, number % len(CLASSES)] += 120
    image[number % 6 :: 6] //= 2
    return image.astype(np.uint8)


def fill(root, table):
    """The folders that a `[data]` table of `image_folder` names, with pictures."""
    numbers = iter(range(1_000_000))
    for key in ("labeled", "validation", "test", "unlabeled"):
        if isinstance(folder := table.get(key), str):
            for label in CLASSES if key != "unlabeled" else ("",) * len(CLASSES):
                (root / folder / label).mkdir(parents=True, exist_ok=True)
                for _ in range(EACH):
                    number = next(numbers)
                    cv2.imwrite(str(root / folder / label / f"{number}.png"), picture(number))


def scaled_down(name, folder):
    """The file of a shipped recipe's example in `folder`, its pictures beside it."""
    text = example(name)
    assert text, f"the head of {name} shows no recipe to try it with"
    path = Path(folder) / "small.toml"
    path.write_text(text)
    recipe = load(path)
    fill(Path(folder) / "pictures", recipe.table["data"])
    return path


def runnable(name, folder):
    """A shipped recipe as it is, or scaled down where its data is not there."""
    recipe = load(name)
    try:
        open_data(recipe)
    except MissingData:
        return load(scaled_down(name, folder)) if example(name) else load(name, on_pictures(recipe, folder))
    return recipe


def on_pictures(recipe, folder):
    """Overrides of a recipe whose folders are not here: pictures of three classes, two of each labeled."""
    data = recipe.table["data"]
    fill(Path(folder), data)
    few = {"classes": 0, "labels_per_class": 2, "unlabeled_per_class": 0, "gamma_l": 1.0, "gamma_u": 1.0}
    return {"data.root": str(folder), **{f"data.{key}": value for key, value in few.items() if key in data}}
