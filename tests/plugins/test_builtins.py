"""Every installed built-in keeps a plugin's promises."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from made import MAKERS
from photos import fill

from sslkit.hookspecs import SECTIONS
from sslkit.testing import check_plugin

POINTS = [
    pytest.param(section, point, id=f"{section}-{point.name}")
    for section in SECTIONS
    for point in sorted(entry_points(group=f"sslkit.{section}"))
    if point.value.startswith("sslkit_plugins.")
]
FIELDS: dict[str, dict[str, Any]] = {
    "albumentations": {"transform": "Blur"},
    "ctaugment": {"probe": "labeled"},
    "memory_smoothing": {"head": "", "batches": 1},  # no other plugin puts a head on the model
    "perturbations": {"frames": 3},  # of ten sequences 31 frames each would take seconds
    "randaugment": {"translate_max": 5, "cutout_max": 4},
    "step_decay": {"every": 2.5},
    "unstrided": {"architecture": "test_efficientnet"},
}
"What a recipe must say of plugins that have no default for everything."
FOLDERS: dict[str, dict[str, int]] = {"natural_adversarial": {"ant": 2, "cat": 1}}
"Images in the folders of plugins that read their own."
ON: dict[str, tuple[str, ...]] = {
    "ctaugment": ("labeled", "strong"),
    "feature_distance": ("strong", "weak"),
    "graph_contrast": ("strong", "weak"),
    "instance_similarity": ("weak", "strong", "labeled"),
    "memory_smoothing": ("weak", "labeled"),
    "relative_confidence": ("labeled",),
    "temporal_ensemble": ("weak",),
    "view_divergence": ("weak", "strong"),
}
"Views of plugins that take more than one, or none by default."


@pytest.mark.parametrize(("section", "point"), POINTS)
def test_a_built_in_keeps_every_promise(section: str, point: EntryPoint, tmp_path: Path) -> None:
    fields = FIELDS.get(point.name, {})
    if section == "data":
        fields = {**MAKERS[point.name](tmp_path).fields, "labels_per_class": 1}
    if point.name in FOLDERS:
        fields = {"folder": fill(tmp_path, **FOLDERS[point.name])}
    check_plugin(point.load(), on=ON.get(point.name), **fields)


def test_no_built_in_was_overlooked() -> None:
    assert len(POINTS) >= 26
