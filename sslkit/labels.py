"""Pseudo-labels of a pool: made once by a teacher, refined as a whole, kept beside the run with their provenance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .artifacts import committed, damage, load_tree, save_tree
from .classifier import chunks
from .dataset import Data
from .errors import RunError
from .forward import LabelForward
from .keeping.room import patiently
from .state import State
from .streams import make_batch, make_view
from .types import Progress, Step, Targets

if TYPE_CHECKING:
    from .session import Session

SHARD = 1_000_000
"Rows of a shard."
FORMAT = 1
AGAIN = "Remove that folder and checkpoints/{name}-*, and resume: they are made again"


def save_labels(
    folder: Path, stored: Targets, classes: tuple[str, ...], provenance: dict[str, Any], state: dict[str, Any]
) -> None:
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
            save_file(
                {**columns, "label": rows.label, "confidence": rows.confidence},
                aside / f"shard-{number:05}.safetensors",
            )
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
        raise RunError(f"the pseudo-labels in {folder} are damaged ({problem}). {AGAIN.format(name=folder.name)}")
    manifest = json.loads((folder / "manifest.json").read_text())
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in Targets.columns}
    for shard in manifest["shards"]:
        with safe_open(folder / shard["file"], framework="pt") as tensors:
            for name in Targets.columns:
                parts[name].append(tensors.get_tensor(name))
    columns = [part[0] if len(part) == 1 else torch.cat(part) for part in parts.values()]
    return Targets(*columns), manifest, load_tree(folder, "plugins")


def pool_labels(state: State, session: Session, resumed: bool) -> None:
    """The pool's labels: made once and stored with the plugin state that making them left; never made again."""
    if state.teachers.get("pool") is None or session.data.unlabeled is None:
        return
    folder = session.run.folder / "labels" / f"generation-{state.cfg.index}"
    provenance = session.run.provenance(state, session)
    known = load_labels(folder) if folder.exists() else None
    if resumed and known is None:  # the plugins are further on: what they would label now is something else
        raise RunError(f"the pseudo-labels in {folder} are gone. {AGAIN.format(name=folder.name)}")
    if known and (resumed or known[1]["teacher"] == provenance["teacher"]):
        state.stored, _, plugins = known
        if not resumed:
            state.hooks.load_state(plugins)
    else:
        state.stored = label_pool(state, session)
        # Trackers tell of one run, when and how far: that is no part of what its labels are.
        trackers = {entry.name for entry in state.hooks.entries if entry.section == "tracker"}
        stored, left = state.stored, {n: own for n, own in state.hooks.state().items() if n not in trackers}
        patiently(lambda: save_labels(folder, stored, session.data.classes, provenance, left))
        session.run.lock.tell()
    if not resumed:
        state.hooks.report("labels", state.progress, **labels_report(state.stored, session.data))


def label_pool(state: State, session: Session) -> Targets:
    """Every unlabeled image seen once by the teacher, then refined as a whole."""
    images, rows, teacher = session.data.unlabeled, session.recipe.settings.label_batch, state.teachers["pool"]
    assert images is not None and teacher is not None
    on = [v for e in state.hooks.entries if e.section == "labeler" and e.when != "step" for v in e.on]
    makers = [make_view(state, state.view_spec(name, "unlabeled", teacher)) for name in dict.fromkeys(on)]
    total = -(-len(images) // rows)
    parts: list[Targets] = []
    for number, chunk in enumerate(zip(*(chunks(images, maker, rows) for maker in makers), strict=True)):
        views = {maker.spec.name: made for maker, (_, made) in zip(makers, chunk, strict=True)}
        progress = Progress(state.seed, state.cfg.index, number, total, scope="pool")
        batch = make_batch(
            state, "unlabeled", {"index": chunk[0][0], "position": chunk[0][0], "views": views}, progress
        )
        ask = LabelForward(state.forward(Step(batch, None, progress), "pool"), state.decide("pool"), batch)
        parts.append(state.hooks.label("pool", batch, ask, progress).to(torch.device("cpu")))
        done = {"done": int(chunk[0][0][-1]) + 1, "total": len(images)}
        state.hooks.report("labels", state.progress, **done)
        session.run.lock.tell(labels={"generation": state.cfg.index, **done})
        if stop := session.stop():
            raise session.run.interrupted(stop)
    targets = Targets(*(torch.cat([getattr(part, name) for part in parts]) for name in Targets.columns))
    return state.hooks.refine("pool", targets, None, None, replace(state.progress, scope="pool"))


def labels_report(stored: Targets, data: Data) -> dict[str, Any]:
    """What is said of a pool's labels."""
    assert data.unlabeled is not None
    kept, truth = stored.kept, torch.as_tensor(data.unlabeled.truth)
    judged = kept & (truth >= 0)
    per_class = torch.bincount(stored.label[kept], minlength=len(data.classes))
    return {
        "done": len(kept),
        "total": len(kept),
        "kept_share": kept.double().mean().item(),
        "pseudo_label_accuracy": (stored.label == truth)[judged].double().mean().item() if judged.any() else None,
        "empty_classes": [name for name, count in zip(data.classes, per_class.tolist(), strict=True) if not count],
    }
