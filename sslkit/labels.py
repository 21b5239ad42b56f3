"""Pseudo-labels of a pool: made once by a teacher, refined as a whole, kept beside the run with their provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .artifacts import committed, damage, load_tree, save_tree
from .errors import RunError
from .types import Targets

SHARD = 1_000_000
"Rows of a shard."
FORMAT = 1


def save_labels(folder: Path, stored: Targets, classes: tuple[str, ...], provenance: dict[str, Any], state: dict[str, Any]) -> None:
    """Shards of `Targets` columns with `label` and `confidence`, a manifest, and the plugin state that refining left.

    Labels and state are committed together: labels are never made twice, so the state must not be lost.
    """
    with committed(folder) as aside:
        shards = []
        for number, start in enumerate(range(0, len(stored.index), SHARD)):
            rows = stored.rows(torch.arange(start, min(start + SHARD, len(stored.index))))
            columns = {name: getattr(rows, name).contiguous() for name in Targets.columns}
            # Equal columns share memory (raw and probs, before refining): safetensors wants copies.
            columns = {name: column.clone() for name, column in columns.items()}
            save_file({**columns, "label": rows.label, "confidence": rows.confidence}, aside / f"shard-{number:05}.safetensors")
            shards.append({"file": f"shard-{number:05}.safetensors", "rows": len(rows.index)})
        manifest = {
            "format": FORMAT,
            **provenance,
            "rows": len(stored.index),
            "kept": int(stored.kept.sum()),
            "classes": list(classes),
            "shards": shards,
        }
        (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
        save_tree(aside, "plugins", state)


def load_labels(folder: Path) -> tuple[Targets, dict[str, Any], dict[str, Any]]:
    """The stored labels (memory-mapped where they are one shard), their manifest, and the plugin state with them.

    Raises `RunError` where a file was altered.
    """
    problem = damage(folder)
    if problem:
        raise RunError(
            f"the pseudo-labels in {folder} are damaged ({problem}). Remove that folder and resume: they are made again"
        )
    manifest = json.loads((folder / "manifest.json").read_text())
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in Targets.columns}
    for shard in manifest["shards"]:
        with safe_open(folder / shard["file"], framework="pt") as tensors:
            for name in Targets.columns:
                parts[name].append(tensors.get_tensor(name))
    columns = [part[0] if len(part) == 1 else torch.cat(part) for part in parts.values()]
    return Targets(*columns), manifest, load_tree(folder, "plugins")
