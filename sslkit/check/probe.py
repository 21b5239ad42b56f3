"""Tries a recipe before it is run: a few steps of every generation, each loss by itself.

Losses that are always zero, or that reach no weight, have gone unnoticed in published toolkits for years. Here each is
looked at before its schedule (a ramp begins at zero) and with filters opened (a fresh teacher is sure of nothing), in
one step shut (a loss may learn what they reject); what the real filters keep is counted beside it. Then the step is
taken: a student that is compared with its own average differs from it only once it has moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..ahead import load_steps
from ..dataset import Data, Images, Labeled
from ..engine import make_targets
from ..errors import RecipeError, SslkitError
from ..folder import Run
from ..hooks import Hooks
from ..hookspecs import hooks_of
from ..labels import label_pool
from ..network import Network, build_network, image_size, without_weights
from ..pretrained import fitting_weights
from ..randomness import key, seed_torch
from ..recipe import baseline_of
from ..recipe.draft import TIMINGS
from ..recipe.message import counted, listed
from ..recipe.model import Entry, Generation, Recipe
from ..session import Session
from ..state import State, facts_of, fresh_state, make_optimizer, plugins_of
from ..streams import assemble, make_streams
from ..types import Facts, Step, Targets, ViewSpec
from .clock import timed
from .composition import Composition
from .needs import Needs, has_validation, known, needs_of
from .seen import GenerationProbe, Seconds
from .trial import try_step, try_terms

STEPS, MOST = 3, 12
"Steps that are tried: more than `STEPS` while a loss's memory fills, `MOST` at most."
SHUT = 1
"The tried step in which filters reject everything."
CHUNK = 256
META = torch.device("meta")


def compose(recipe: Recipe, data: Data | None, classes: int = 10) -> list[GenerationProbe]:
    """Every generation's model, timm's on the meta device: nothing is computed, but nothing can be missing either.

    `classes`: how many there are to be, where the data is not there.
    """
    found, previous = [], None
    for cfg in recipe.generations:
        seen, previous = composed(cfg, data, previous, classes)
        found.append(seen)
    return found


def rehearse(recipe: Recipe, data: Data) -> list[GenerationProbe]:
    """Find what would stop a later generation before the first has taken its hours; what is composed.

    Raises `RecipeError` that lists what timm and the plugins refuse to build, and in which generations.
    """
    refused: dict[str, list[str]] = {}
    found, previous, fetched = [], None, set[str]()
    for cfg in recipe.generations:
        try:
            seen, previous = composed(cfg, data, previous)
            found.append(seen)
            try_weights(cfg, previous, data, fetched)
            for name, view in cfg.views.items():
                plugins_of(cfg).image_transforms(ViewSpec(name, view.stream, image_size(cfg), data.channels))
        except SslkitError as error:
            refused.setdefault(str(error), []).append(str(cfg.index))
    if refused:
        where = len(recipe.generations) > 1
        lines = [f"  {f'generation {listed(indices)}: ' if where else ''}{said}" for said, indices in refused.items()]
        raise RecipeError("\n".join([f"{recipe.name}: {counted(len(refused), 'problem')}\n", *lines]))
    return found


def try_weights(cfg: Generation, network: Network, data: Data, fetched: set[str]) -> None:
    """A generation's file of weights fits its network; published ones are fetched, once of each name in `fetched`."""
    if cfg.model and cfg.model.weights:
        fitting_weights(network.model, Path(cfg.model.weights), data.channels, network.head)
    elif cfg.model and cfg.model.fetched and cfg.model.name not in fetched:
        fetched.add(cfg.model.name)
        build_network(cfg, plugins_of(cfg), facts_of(cfg, data, torch.device("cpu")))


def composed(
    cfg: Generation, data: Data | None, previous: Network | None, classes: int = 10
) -> tuple[GenerationProbe, Network]:
    """One generation's network, who teaches it, what it takes. `previous`: the network of the generation before."""
    # timm's models need no memory for this; a plugin's may compute with what it makes.
    device = META if cfg.model else torch.device("cpu")
    hooks = plugins_of(cfg)
    facts = facts_of(cfg, data, device) if data is not None else facts_without(cfg, device, classes)
    with device:
        network = build_network(without_weights(cfg), hooks, facts)
        optimizer = make_optimizer(cfg.optimizer, network)
    seen = probe_of(cfg, network)
    average, teachers = company(cfg, hooks, network, previous)
    seen.teachers = {timing: role_of(one, network, average, previous) for timing, one in teachers.items()}
    own = [one for one in teachers.values() if one is not network and one is not average]
    copies = [one for one in [average, *own] if one is not None]
    seen.needs = known(lambda: needs(Composition(cfg, seen), network, optimizer, copies, average is not None, data))
    return seen, network


def probe_of(cfg: Generation, network: Network) -> GenerationProbe:
    """What is known of a network by itself."""
    name = cfg.model.name if cfg.model else type(network.model).__name__
    count = sum(p.numel() for p in network.parameters())
    frozen = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    return GenerationProbe(cfg.index, name, count, image_size(cfg), frozen, *network.normalisation)


def company(
    cfg: Generation, hooks: Hooks, network: Network, previous: Network | None
) -> tuple[Network | None, dict[str, Network]]:
    """The student's average, and its teachers by label timing."""
    average, teachers = None, {}
    with suppress(Exception):  # plugins were not written for the meta device: what they raise there, no run has to
        average = hooks.average(network)
        for timing in TIMINGS[cfg.settings.labels]:
            if (teacher := hooks.make_teacher(timing, network, average, previous)) is not None:
                teachers[timing] = teacher
    return average, teachers


def role_of(teacher: Network, student: Network, average: Network | None, previous: Network | None) -> str:
    """Who a teacher is."""
    known_as = {"student": student, "average": average, "previous": previous}
    return next((name for name, one in known_as.items() if one is teacher), "other")


def needs(
    one: Composition, network: Network, optimizer: torch.optim.Optimizer, copies: list[Network], averaged: bool,
    data: Data | None,
) -> Needs:  # fmt: skip
    """Memory and disk of a generation as it is composed."""
    cfg, rows = one.cfg, one.rows
    pool = len(data.unlabeled) if data is not None and data.unlabeled is not None else 0
    return needs_of(
        network, optimizer, rows, sum(rows.get(v, 0) for p in one.plan if p.model == "student" for v in p.views), copies,
        settings=cfg.settings, channels=data.channels if data else 3,
        pool=pool if "pool" in one.timings else 0, selects=has_validation(data), averaged=averaged,
    )  # fmt: skip


def facts_without(cfg: Generation, device: torch.device, classes: int) -> Facts:
    """What plugins may know of data that is not there."""
    batch = {"labeled": cfg.settings.batch.labeled, "unlabeled": cfg.settings.batch.unlabeled}
    return Facts(tuple(map(str, range(classes))), (0,) * classes, {}, batch, image_size(cfg), 3, device)


def probe(
    recipe: Recipe, data: Data, device: torch.device, timing: bool = False, say: Callable[[str], Any] = str
) -> list[GenerationProbe]:
    """A few steps of every generation, students taught by a throwaway teacher that labels one chunk.

    `timing`: a few more steps are timed, where the first ones were sound. `say` is told what is tried.
    """
    found = compose(recipe, data)
    session = short_session(recipe, data, device)
    for cfg, seen in zip(recipe.generations, found, strict=True):
        say(f"trying generation {cfg.index} of {len(found)}")
        state = probe_generation(cfg, session, seen)
        seen.seconds = timed(state, session) if timing and seen.alive else None
    return found


def short_session(recipe: Recipe, data: Data, device: torch.device) -> Session:
    """A session that writes nothing, on the beginning of the pool."""
    rows = min(CHUNK, recipe.settings.label_batch)
    few = data if data.unlabeled is None else replace(data, unlabeled=first(data.unlabeled, rows))
    return Session(recipe, few, Run(Path()), device)


def baseline_seconds(recipe: Recipe, data: Data, device: torch.device) -> Seconds:
    """How long the supervised baseline's steps take."""
    session = short_session(baseline_of(recipe), data, device)
    state = begun(session.recipe.generations[0], session)
    state.labeled = Labeled.of(data.labeled)
    return timed(state, session)


def first(images: Images, count: int) -> Images:
    """The beginning of a split."""
    return Images(images.ids[:count], images.read, images.truth[:count])


class Shares(defaultdict[tuple[str, str], list[Tensor]]):
    """Which rows the real filters keep, by label timing and stream."""

    def __init__(self) -> None:
        super().__init__(list)

    def see(self, timing: str, stream: str, targets: Targets) -> None:
        """Some more rows."""
        self[timing, stream].append(targets.kept.double().cpu())

    def means(self) -> dict[tuple[str, str], float]:
        """The shares kept."""
        return {place: torch.cat(rows).mean().item() for place, rows in self.items()}


def probe_generation(cfg: Generation, session: Session, found: GenerationProbe) -> State:
    """One generation, as it would begin, and its first steps."""
    state, shares = begun(cfg, session), Shares()
    if state.teachers.get("pool") is not None and session.data.unlabeled is not None:
        state.stored = label_pool(state, session)
        shares.see("pool", "unlabeled", state.stored)
    state.labeled = state.hooks.revise_labeled(Labeled.of(session.data.labeled), state.stored, state.progress)
    if state.stored is not None:
        state.stored = opened(state.stored)
    losses = [e for e in state.hooks.entries if "loss" in hooks_of(e.plugin)]
    # Once every label was drawn, a memory of them is full.
    once = -(-len(state.labeled.index) // cfg.settings.batch.labeled) + 2
    for arrays in load_steps(make_streams(state, session.data), 0, min(max(STEPS, once), MOST, cfg.settings.steps), 0):
        probe_step(state, assemble(state, arrays), found, shares)
        state.step += 1
        judge(found, losses)
        if state.step >= STEPS and not found.filling:
            break
    found.tried = True
    found.teachers = {timing: known_role(state, one) for timing, one in state.teachers.items() if one is not None}
    found.shares = shares.means()
    return state


def judge(found: GenerationProbe, losses: list[Entry]) -> None:
    """Which losses have been off so far, which may answer once their memory is full, and which answer nothing."""
    found.waiting = [e.name for e in losses if not found.views >= set(e.on)]
    heard = {term.owner for term in found.terms.values()}
    unheard = [e for e in losses if e.name not in heard and e.name not in found.waiting]
    found.filling = [e.name for e in unheard if hasattr(e.plugin, "state_dict")]
    found.silent = [e.name for e in unheard if e.name not in found.filling]


def known_role(state: State, teacher: Network) -> str:
    """Who a teacher is."""
    return role_of(teacher, state.student, state.average, state.previous)


def begun(cfg: Generation, session: Session) -> State:
    """A generation at its step 0. Nothing decays: a weight that moves is to have been moved by a loss."""
    cfg = replace(cfg, optimizer=replace(cfg.optimizer, weight_decay=0.0))
    facts = facts_of(cfg, session.data, session.device)
    entries = [entry for entry in cfg.entries() if entry.section != "tracker"]
    return fresh_state(cfg, entries, facts, session.recipe.settings.seed, throwaway(cfg, session), None)


def throwaway(cfg: Generation, session: Session) -> Network | None:
    """An untrained model of the generation before."""
    if not cfg.index:
        return None
    before = session.recipe.generations[cfg.index - 1]
    seed_torch(key(session.recipe.settings.seed, "throwaway"), session.device)
    network = build_network(before, plugins_of(before), facts_of(before, session.data, session.device))
    return network.requires_grad_(False)


def opened(targets: Targets) -> Targets:
    """Targets as if every filter let everything through."""
    return replace(targets, weight=torch.ones_like(targets.weight), copies=torch.ones_like(targets.copies))


def shut(targets: Targets) -> Targets:
    """Targets as if every filter rejected everything."""
    return replace(targets, weight=torch.zeros_like(targets.weight))


def probe_step(state: State, step: Step, found: GenerationProbe, shares: Shares) -> None:
    """One step: its losses are looked at, then it is taken."""
    forward = state.forward(step)
    make_targets(state, step, forward)
    for batch in step.batches:
        if batch.targets is not None:
            if state.label_timing and state.step == 0:  # later on, a student that teaches is not untrained any more
                shares.see("step", batch.stream, batch.targets)
            batch.targets = shut(batch.targets) if state.step == SHUT else opened(batch.targets)
    step = forward.step = state.hooks.mix(step)
    found.views |= step.views.keys()
    if state.hooks.implements("train_step"):
        try_step(state, step, forward, found.terms, found.moved)
    else:
        try_terms(state, state.losses(step, forward), found.terms)
    teacher = state.teachers.get("step") or state.teachers.get("pool")
    state.hooks.after_step(step, forward, state.student, state.average, teacher)
