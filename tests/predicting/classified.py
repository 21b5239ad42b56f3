"""A run on small photos, and names of files that break things."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))
sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
from photos import fill
from small import BASE

import sslkit

CLASSES = ("<b>bird", "=cat", 'o"wl, brown')
HOSTILE = ("new\nline.png", 'quo"te, comma.png', "<b>.png", "=1+1.png", os.fsdecode(b"caf\xe9\xff.png"), "cr\rhere.png")
DATA = '[data]\nuse = "image_folder"\nroot = "photos"\nlabeled = "labeled"\ntest = "test"\n'


def trained(home, channels=3):
    """A run of two generations of a few steps; 41 test images of sizes that differ."""
    counts = {f"labeled/{name}": 6 for name in CLASSES} | {f"test/{name}": 13 + i for i, name in enumerate(CLASSES)}
    fill(home / "photos", **counts)
    text = re.sub(r"\[data\].*?\n\n", "", BASE, flags=re.DOTALL).replace("steps = 4", "steps = 6")
    average = '[[labeler]]\nuse = "moving_average"\ndecay = 0.5\n'
    (home / "photos.toml").write_text(f"{text}{average}{DATA}channels = {channels}\n")
    return sslkit.run(home / "photos.toml", device="cpu", out=home / "runs" / "photos")
