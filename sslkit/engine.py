"""The loop: generation after generation, step after step. It knows hooks, and no method."""

from __future__ import annotations

from typing import Any

from .ahead import load_steps
from .dataset import Labeled
from .errors import RunError
from .evaluation import evaluate, generation_entry
from .forward import Forward, LabelForward
from .journal import Journal
from .labels import pool_labels
from .picturing import pictured
from .session import Session
from .state import State, facts_of, fresh_state
from .streams import assemble, make_streams
from .types import LossTerm, Step


def fit(session: Session) -> dict[str, Any]:
    """Run every generation that is not finished yet; the summary."""
    saved = session.run.restore(session)
    first = saved["generation"] if saved else 0
    last, state = None, None
    for cfg in session.recipe.generations[first:]:
        previous = session.network(cfg.index - 1) if cfg.index else None
        facts = facts_of(cfg, session.data, session.device)
        state = fresh_state(cfg, session.entries(cfg), facts, session.recipe.settings.seed, previous, last)
        if cfg.index == first:
            session.run.announce(state, session, resumed=saved is not None)
        if saved:
            state.load(saved["state"])
            state.step = saved["step"]
        entry = train(state, session, saved)
        session.run.keep_model(state, entry)
        state.hooks.report("generation", state.progress, **entry)
        last, saved = state, None
    assert state is not None  # a recipe has a generation, and the last one stays to be finished again
    return session.run.finish(state, session)


def train(state: State, session: Session, saved: dict[str, Any] | None) -> dict[str, Any]:
    """One generation: labels, steps, its entry in the summary (which a checkpoint has where it was finished before)."""
    pool_labels(state, session, resumed=saved is not None)
    if state.labeled is None:
        labeled = Labeled.of(session.data.labeled)
        state.labeled = state.hooks.revise_labeled(labeled, state.stored, state.progress)
    entry: dict[str, Any] | None = saved["entry"] if saved else None
    if entry is None:
        journal = Journal(state, session.run.checkpoints.last, saved and saved["journal"])
        steps(state, session, journal)
        journal.check_weights()
        session.run.save(state, session, None, journal.pending())  # a metric that fails must not cost the steps
        entry = generation_entry(state, session, journal)
        session.run.save(state, session, entry, journal.pending())
    return entry


def steps(state: State, session: Session, journal: Journal) -> None:
    """The training steps of a generation, with what is due after each."""
    settings = state.cfg.settings
    streams = make_streams(state, session.data)
    for arrays in load_steps(streams, state.step, settings.steps, session.recipe.settings.workers):
        journal.loaded()
        state.set_rate()
        step = assemble(state, arrays)
        with pictured(state, session, streams, step):
            journal.stepped(step, train_step(state, step))
        state.step += 1
        final = state.step == settings.steps
        if final or state.step % settings.log_every == 0:
            journal.log()
        if not final and due(settings.evaluate_every, state.step):
            evaluate(state, session)
        stop = session.stop()
        if not final and (stop or due(settings.save_every, state.step)):
            journal.check_weights()
            session.run.save(state, session, None, journal.pending())
        if stop and not final:  # a generation's end is saved first
            raise session.run.interrupted(stop)
        journal.ready()


def due(every: int, step: int) -> bool:
    """Whether something that happens every so many steps (0: never) is due."""
    return every > 0 and step % every == 0


def train_step(state: State, step: Step) -> list[LossTerm]:
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
    for batch in step.batches:
        if batch.stream in state.cfg.settings.label_streams:
            ask = LabelForward(forward, state.decide("step"), batch)
            targets = state.hooks.label("step", batch, ask, step.progress)
            batch.targets = state.hooks.refine("step", targets, batch, ask, step.progress)
