"""Pseudo-labels of a pool: made once by a teacher, refined as a whole, kept beside the run with their provenance."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from . import __version__
from .artifacts import weights_digest
from .classifier import chunks
from .dataset import OUTSIDE, Data, Images
from .errors import RunError
from .forward import LabelForward
from .keeping.pauses import Stopwatch
from .keeping.room import patiently
from .pool import most_probable
from .state import State
from .store import AGAIN, Filling, load_labels, save_labels, save_samples
from .streams import make_batch, make_view
from .types import Progress, Step, Targets

if TYPE_CHECKING:
    from .session import Session


def pool_labels(state: State, session: Session, resumed: bool) -> None:
    """The pool's labels: made once and stored with the plugin state that making them left; never made again."""
    if state.teachers.get("pool") is None or session.data.unlabeled is None:
        return
    keep_samples(session, session.data.unlabeled)
    folder = session.run.folder / "labels" / f"generation-{state.cfg.index}"
    source = provenance(state, session)
    known = load_labels(folder) if folder.exists() else None
    watch, timing = Stopwatch(), dict[str, Any]()
    if resumed and known is None:  # the plugins are further on: what they would label now is something else
        raise RunError(f"the pseudo-labels in {folder} are gone. {AGAIN.format(name=folder.name)}")
    if known and (resumed or known[1]["teacher"] == source["teacher"]):
        state.stored, _, plugins = known
        if not resumed:
            state.hooks.load_state(plugins)
    else:
        state.stored = label_pool(state, session, watch)
        timing = {"timing": {"seconds": watch.seconds()}}
        # Trackers tell of one run, when and how far: that is no part of what its labels are.
        trackers = {entry.name for entry in state.hooks.entries if entry.section == "tracker"}
        stored, left = state.stored, {n: own for n, own in state.hooks.state().items() if n not in trackers}
        patiently(lambda: save_labels(folder, stored, session.data.classes, source, left))
        session.run.lock.tell()
    if not resumed:
        state.hooks.report("labels", state.progress, **labels_report(state.stored, session.data), **timing)


def provenance(state: State, session: Session) -> dict[str, Any]:
    """Where a pool's labels come from: a generation's model, or weights that only the teacher has."""
    teacher, before = state.teachers["pool"], state.cfg.index - 1
    sums = session.run.folder / "models" / f"generation-{before}" / "checksums.json"
    if teacher is not None and teacher is state.previous:
        who = {"generation": before, "sha256": json.loads(sums.read_text())["model.safetensors"]}
    else:
        who = {"generation": None, "sha256": teacher and weights_digest(teacher)}
    return {
        "generation": state.cfg.index,
        "teacher": who,
        "recipe": session.recipe.hash,
        "recipe_name": session.recipe.name,
        "seed": state.seed,
        "sslkit": __version__,
    }


def keep_samples(session: Session, images: Images) -> None:
    """Write down, once, what the labels are the labels of; for a run that was begun before there was this, now."""
    folder = session.run.folder / "samples"
    if not folder.exists():
        patiently(lambda: save_samples(folder, replace(images, truth=session.data.hidden_truth)))


def label_pool(state: State, session: Session, watch: Stopwatch | None = None) -> Targets:
    """Every unlabeled image seen once by the teacher, then refined as a whole. `watch` notices pauses meanwhile."""
    settings, images, teacher = session.recipe.settings, session.data.unlabeled, state.teachers["pool"]
    assert images is not None and teacher is not None
    on = [v for e in state.hooks.entries if e.section == "labeler" and e.when != "step" for v in e.on]
    makers = [make_view(state, state.view_spec(name, "unlabeled", teacher)) for name in dict.fromkeys(on)]
    rows = settings.label_batch
    total, began = -(-len(images) // rows), time.perf_counter()
    filling = Filling(len(images), most_probable(len(state.facts.classes), settings.label_top))
    for number, (position, made) in enumerate(chunks(images, makers, rows)):
        views = {maker.spec.name: view for maker, view in zip(makers, made, strict=True)}
        progress = Progress(state.seed, state.cfg.index, number, total, scope="pool")
        batch = make_batch(state, "unlabeled", {"index": position, "position": position, "views": views}, progress)
        ask = LabelForward(state.forward(Step(batch, None, progress), "pool"), state.decide("pool"), batch)
        filling.add(state.hooks.label("pool", batch, ask, progress))
        left = (time.perf_counter() - began) * (len(images) / filling.done - 1)
        done = {"done": filling.done, "total": len(images), "seconds_left": left}
        state.hooks.report("labels", state.progress, **done)
        session.run.lock.tell(labels={"generation": state.cfg.index, **done})
        if watch:
            watch.passed("chunk")
        if stop := session.stop():
            raise session.run.interrupted(stop)
    return state.hooks.refine("pool", filling.targets(), None, None, replace(state.progress, scope="pool"))


def labels_report(stored: Targets, data: Data) -> dict[str, Any]:
    """What is said of a pool's labels; of images that are known to be of none of the classes, how many are kept."""
    assert data.unlabeled is not None
    kept, truth = stored.kept, torch.as_tensor(data.hidden_truth)
    judged, outside = kept & (truth >= 0), truth == OUTSIDE
    per_class = torch.bincount(stored.label[kept], minlength=len(data.classes))
    return {
        "done": len(kept),
        "total": len(kept),
        "kept_share": kept.double().mean().item(),
        "pseudo_label_accuracy": (stored.label == truth)[judged].double().mean().item() if judged.any() else None,
        "outside": int(outside.sum()),
        "outside_kept_share": kept[outside].double().mean().item() if outside.any() else None,
        "empty_classes": [name for name, count in zip(data.classes, per_class.tolist(), strict=True) if not count],
    }
