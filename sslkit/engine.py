"""The loop: generation after generation, step after step. It knows hooks, and no method."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .classifier import NetworkClassifier, chunks, to_floats
from .errors import Interrupted, RunError
from .forward import Forward, LabelForward
from .hooks import Hooks
from .journal import Journal
from .labels import load_labels, save_labels
from .loader import Sampler, StreamLoader, ViewMaker, load_steps
from .randomness import key
from .recipe.model import CLEAN, Entry, Generation, Recipe
from .state import State, facts_of, fresh_state
from .types import Batch, Classifier, Data, Labeled, Progress, Step, Targets, View

if TYPE_CHECKING:
    from .runs import Run


@dataclass(eq=False)
class Session:
    """What all generations of a run share."""

    recipe: Recipe
    data: Data
    run: Run
    device: torch.device
    baseline: Classifier | None = None
    baseline_entry: dict[str, Any] | None = None
    trackers: list[Entry] = field(default_factory=list)
    stop: Callable[[], str | None] = lambda: None
    "Names the signal that asked the run to stop."
    began: float = field(default_factory=time.perf_counter)

    def entries(self, cfg: Generation) -> list[Entry]:
        """A generation's plugins, fresh but for the trackers, which see the whole run."""
        entries = cfg.entries()
        self.trackers = self.trackers or [entry for entry in entries if entry.section == "tracker"]
        kept = iter(self.trackers)
        return [next(kept) if entry.section == "tracker" else entry for entry in entries]


def fit(session: Session) -> dict[str, Any]:
    """Run every generation that is not finished yet; the summary."""
    saved = session.run.restore(session)
    first = saved["generation"] if saved else 0
    last, state = None, None
    for cfg in session.recipe.generations[first:]:
        previous = session.run.network(cfg.index - 1, session) if cfg.index else None
        facts = facts_of(cfg, session.data, session.device)
        state = fresh_state(cfg, session.entries(cfg), facts, session.recipe.settings.seed, previous, last)
        if cfg.index == first:
            session.run.announce(state, session, resumed=saved is not None)
        if saved:
            state.load(saved["state"])
            state.step = saved["step"]
        entry = train(state, session, saved["entry"] if saved else None, resumed=saved is not None)
        session.run.keep_model(state, entry)
        state.hooks.report("generation", state.progress, **entry)
        last, saved = state.tree(), None
    assert state is not None  # a recipe has a generation, and the last one stays to be finished again
    return session.run.finish(state, session)


def train(state: State, session: Session, entry: dict[str, Any] | None, resumed: bool) -> dict[str, Any]:
    """One generation: labels, steps, its entry in the summary (given where it was finished before)."""
    pool_labels(state, session, resumed)
    if state.labeled is None:
        labeled = Labeled.of(session.data.labeled)
        state.labeled = state.hooks.revise_labeled(labeled, state.stored, state.progress)
    if entry is None:
        journal = Journal(state, session.run.checkpoints.last)
        steps(state, session, journal)
        entry = generation_entry(state, session, journal)
        session.run.save(state, session, entry)
    return entry


def steps(state: State, session: Session, journal: Journal) -> None:
    """The training steps of a generation, with what is due after each."""
    settings = state.cfg.settings
    streams = make_streams(state, session)
    for arrays in load_steps(streams, state.step, settings.steps, session.recipe.settings.workers):
        journal.loaded()
        state.set_rate()
        step = assemble(state, arrays)
        journal.stepped(step, train_step(state, step))
        state.step += 1
        final = state.step == settings.steps
        if final or state.step % settings.log_every == 0:
            journal.log()
        if not final and due(settings.evaluate_every, state.step):
            evaluate(state, session)
        stop = session.stop()
        if not final and (stop or due(settings.save_every, state.step)):
            journal.check()
            session.run.save(state, session, None)
        if stop:
            raise session.run.interrupted(stop)
        journal.ready()


def due(every: int, step: int) -> bool:
    """Whether something that happens every so many steps (0: never) is due."""
    return every > 0 and step % every == 0


def train_step(state: State, step: Step) -> list[Any]:
    """Labels, mixing, losses, one move of the optimizer; what the log shows."""
    forward = state.forward(step)
    make_targets(state, step, forward)
    step = forward.step = state.hooks.mix(step)
    terms = state.hooks.train_step(step, forward, state) if state.hooks.implements("train_step") else None
    if terms is None:
        terms = state.losses(step, forward)
        if not terms:
            raise RunError(f"generation {state.cfg.index}: no loss is on: each waits for a stream that is off")
        state.optimize(terms)
    teacher = state.teachers.get("step") or state.teachers.get("pool")
    state.hooks.after_step(step, forward, state.student, state.average, teacher)
    return terms


def make_targets(state: State, step: Step, forward: Forward) -> None:
    """Give each stream that the recipe labels its targets: stored ones, or fresh ones from this step's teacher."""
    if state.label_timing is None:
        if state.stored is not None and step.unlabeled is not None and state.cfg.settings.labels == "pool":
            step.unlabeled.targets = state.stored.rows(step.unlabeled.index).to(state.device)
        return
    ask = LabelForward(forward, state.hooks.decide)
    for batch in step.batches:
        if batch.stream in state.cfg.settings.label_streams:
            targets = state.hooks.label("step", batch, ask, step.progress)
            batch.targets = state.hooks.refine("step", targets, batch, ask, step.progress)


def assemble(state: State, arrays: dict[str, Any]) -> Step:
    """A loader's arrays as a step on the device, perturbed there."""
    batches = {name: make_batch(state, name, part, state.progress) for name, part in arrays.items()}
    labeled = batches["labeled"]
    assert state.labeled is not None
    labeled.truth = state.labeled.truth[labeled.index].to(state.device)
    return Step(labeled, batches.get("unlabeled"), state.progress)


def make_batch(state: State, stream: str, arrays: dict[str, Any], progress: Progress) -> Batch:
    """One stream's rows: uint8 images to floats, then every plugin that perturbs batches."""
    views = {}
    for name, images in arrays["views"].items():
        floats = to_floats(images, state.device)
        floats = state.hooks.perturb_batch(floats, state.view_spec(name, stream), progress)
        views[name] = View(name, floats)
    return Batch(stream, arrays["index"], arrays["position"], views, classes=len(state.facts.classes))


# Streams ----------------------------------------------------------------------------------------------------------


def make_view(state: State, name: str, stream: str) -> ViewMaker:
    """The maker of one view, with the transforms of the plugins on it; `clean` has none."""
    spec = state.view_spec(name, stream)
    transforms = state.hooks.image_transforms(spec) if name != CLEAN else []
    return ViewMaker(spec, state.seed, state.cfg.index, transforms)


def make_streams(state: State, session: Session) -> list[StreamLoader]:
    """The streams that are on: the unlabeled one needs targets, or a recipe that asks for none."""
    assert state.labeled is not None
    data, batch = session.data, state.cfg.settings.batch
    sources = [data.labeled] + ([data.unlabeled] if data.unlabeled is not None else [])
    ones = np.ones(len(state.labeled.index))
    streams = [_stream(state, "labeled", sources, state.labeled.origin, state.labeled.index, batch.labeled, ones)]
    if batch.unlabeled and data.unlabeled is not None and state.teaches:
        rows = torch.arange(len(data.unlabeled))
        copies = np.ones(len(rows))
        if state.stored is not None and state.cfg.settings.labels == "pool":
            copies = (state.stored.copies * (state.stored.weight > 0)).double().numpy()
        # With nothing above the filters there is nothing to draw: the labels teach alone, as was said after labeling.
        if copies.sum() >= 1:
            args = ([data.unlabeled], torch.zeros_like(rows), rows, batch.unlabeled, copies)
            streams.append(_stream(state, "unlabeled", *args))
    return streams


def _stream(
    state: State, name: str, sources: list[Any], origin: torch.Tensor, index: torch.Tensor, batch: int, copies: Any
) -> StreamLoader:
    views = [make_view(state, spec.name, name) for spec in state.views() if spec.stream == name]
    sampler = Sampler(key(state.seed, state.cfg.index, "order", name), copies)
    return StreamLoader(name, sources, origin.numpy(), index.numpy(), batch, sampler, views)


# Pool labels ------------------------------------------------------------------------------------------------------


def pool_labels(state: State, session: Session, resumed: bool) -> None:
    """The pool's labels: made once and stored with the plugin state that making them left; never made again."""
    if state.teachers.get("pool") is None or session.data.unlabeled is None:
        return
    folder = session.run.folder / "labels" / f"generation-{state.cfg.index}"
    if folder.exists():
        state.stored, _, plugins = load_labels(folder)
        if not resumed:
            state.hooks.load_state(plugins)
    else:
        state.stored = label_pool(state, session)
        provenance = session.run.provenance(state)
        save_labels(folder, state.stored, session.data.classes, provenance, state.hooks.state())
    if not resumed:
        state.hooks.report("labels", state.progress, **labels_report(state.stored, session.data))


def label_pool(state: State, session: Session) -> Targets:
    """Every unlabeled image seen once by the teacher, then refined as a whole."""
    images, rows = session.data.unlabeled, session.recipe.settings.label_batch
    assert images is not None
    on = [v for e in state.hooks.entries if e.section == "labeler" and e.when != "step" for v in e.on]
    makers = [make_view(state, name, "unlabeled") for name in dict.fromkeys(on)]
    total = -(-len(images) // rows)
    parts: list[Targets] = []
    for number, chunk in enumerate(zip(*(chunks(images, maker, rows) for maker in makers), strict=True)):
        views = {maker.spec.name: made for maker, (_, made) in zip(makers, chunk, strict=True)}
        progress = Progress(state.seed, state.cfg.index, number, total)
        batch = make_batch(state, "unlabeled", {"index": chunk[0][0], "position": chunk[0][0], "views": views}, progress)
        ask = LabelForward(state.forward(Step(batch, None, progress), "pool"), state.hooks.decide)
        parts.append(state.hooks.label("pool", batch, ask, progress).to(torch.device("cpu")))
        state.hooks.report("labels", state.progress, done=int(chunk[0][0][-1]) + 1, total=len(images))
        if stop := session.stop():
            raise session.run.interrupted(stop)
    targets = Targets(*(torch.cat([getattr(part, name) for part in parts]) for name in Targets.columns))
    return state.hooks.refine("pool", targets, None, None, state.progress)


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


# Evaluation -------------------------------------------------------------------------------------------------------


def make_classifier(state: State, session: Session) -> NetworkClassifier:
    """The generation's model as metrics see it."""
    view = make_view(state, CLEAN, "evaluation")
    rows = session.recipe.settings.label_batch
    return NetworkClassifier(state.evaluated, state.hooks.decide, view, state.device, rows)


def evaluate(state: State, session: Session) -> dict[str, Any]:
    """Measure the model, remember it if it is the best on validation images."""
    model = make_classifier(state, session)
    metrics = state.hooks.measure(model, session.data, state.stored, session.baseline, state.progress)
    score = metrics.get(state.cfg.settings.select)
    if score is not None and (state.selected is None or score > state.selected["score"]):
        weights = {name: tensor.clone() for name, tensor in state.evaluated.state_dict().items()}
        state.selected = {"score": score, "step": state.step, "metrics": metrics, "weights": weights}
    state.hooks.report("evaluation", state.progress, metrics=metrics)
    return metrics


def generation_entry(state: State, session: Session, journal: Journal) -> dict[str, Any]:
    """A finished generation's entry in the summary."""
    metrics = evaluate(state, session)
    named = ("test_accuracy", "validation_accuracy", "pseudo_label_accuracy", "kept_share")
    selected = state.selected
    table = state.cfg.model
    return {
        "index": state.cfg.index,
        "model": table.name if table else type(state.student.model).__name__,
        "steps": state.cfg.settings.steps,
        **{name: metrics.get(name) for name in named},
        "selected": selected and {"step": selected["step"], **{n: selected["metrics"].get(n) for n in named[1::-1]}},
        "metrics": metrics,
        "timing": journal.totals(),
    }


def plugins_of(cfg: Generation) -> Hooks:
    """The hooks of a finished generation, to build its model again."""
    return Hooks([entry for entry in cfg.entries() if entry.section != "tracker"])
