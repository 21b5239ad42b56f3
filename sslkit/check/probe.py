"""Tries a recipe before it is run: a few steps of every generation, each loss by itself.

Losses that are always zero, or that reach no weight, have gone unnoticed in published toolkits for years. Here each is
looked at before its schedule (a ramp begins at zero) and with filters opened (a fresh teacher is sure of nothing); what
the real filters keep is counted beside it. Then the step is taken: a student that is compared with its own average
differs from it only once it has moved.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..ahead import load_steps
from ..engine import make_targets
from ..errors import RecipeError, SslkitError
from ..folder import Run
from ..hookspecs import hooks_of
from ..labels import label_pool
from ..network import Network, build_network, image_size, without_weights
from ..randomness import key, seed_torch
from ..recipe.message import counted, listed
from ..recipe.model import Generation, Recipe
from ..session import Session
from ..state import State, facts_of, fresh_state, make_optimizer, plugins_of
from ..streams import assemble, make_streams
from ..types import Data, Facts, Images, Labeled, Step, Targets, ViewSpec
from .trial import TermProbe, Trouble, try_step, try_terms

STEPS = 3
CHUNK = 256
LOOK = "look at its plugin"
ADVICE = {
    Trouble.WEIGHTLESS: "a schedule multiplies it, and it stays 0; give it a weight, or leave it out (enabled = false)",
    Trouble.ZERO: "it was in every tried step; a loss that compares a thing with itself is",
    Trouble.INFINITE: "look for a logarithm of 0 or a division by 0",
    Trouble.CONSTANT: "it is a constant, detached, or reaches frozen weights only",
    Trouble.STEEP: "look for a square root at 0 or a division by 0",
    Trouble.STILL: "its gradient is too small to change a number; look at its weight and the learning rate",
}
"What may mend a loss that teaches nothing."


@dataclass
class GenerationProbe:
    """What was seen of one generation."""

    index: int
    model: str
    parameters: int
    image_size: int
    teachers: list[str] | None = None
    "The label timings at which there is one. None: nothing was tried."
    terms: dict[str, TermProbe] = field(default_factory=dict)
    moved: dict[str, bool] = field(default_factory=dict)
    "Of a step of another shape: which models it moved."
    shares: dict[tuple[str, str], float] = field(default_factory=dict)
    "Rows that the real filters keep of an untrained teacher's labels, by label timing and stream."
    views: set[str] = field(default_factory=set)
    "Those that were there."
    waiting: list[str] = field(default_factory=list)
    "Losses that are off, as their stream is."
    silent: list[str] = field(default_factory=list)
    "Losses that were on and answered no term."

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps it from learning, and what may mend it."""
        found = {f"loss `{t.name}` {t.trouble}": ADVICE[t.trouble] for t in self.terms.values() if t.trouble}
        if self.moved:
            return found if any(self.moved.values()) else {**found, "the step moves no weight": LOOK}
        if not self.terms and not self.silent:
            found["no loss is on: each waits for a stream that is off"] = "add a loss on the labeled stream"
        return {**found, **{f"loss `{name}` answers no term": LOOK for name in self.silent}}

    @property
    def alive(self) -> bool:
        """Whether every loss that is on teaches something."""
        return not self.troubles


def compose(recipe: Recipe, data: Data | None) -> list[GenerationProbe]:
    """Every generation's model, timm's on the meta device: nothing is computed, but nothing can be missing either."""
    return [_composed(cfg, data) for cfg in recipe.generations]


def rehearse(recipe: Recipe, data: Data) -> None:
    """Find what would stop a later generation before the first has taken its hours.

    Raises `RecipeError` that lists what timm and the plugins refuse to build, and in which generations.
    """
    refused: dict[str, list[str]] = {}
    for cfg in recipe.generations:
        try:
            _composed(cfg, data)
            for name, view in cfg.views.items():
                plugins_of(cfg).image_transforms(ViewSpec(name, view.stream, image_size(cfg), data.channels))
        except SslkitError as error:
            refused.setdefault(str(error), []).append(str(cfg.index))
    if refused:
        where = len(recipe.generations) > 1
        lines = [f"  {f'generation {listed(indices)}: ' if where else ''}{said}" for said, indices in refused.items()]
        raise RecipeError("\n".join([f"{recipe.name}: {counted(len(refused), 'problem')}\n", *lines]))


def _composed(cfg: Generation, data: Data | None) -> GenerationProbe:
    # timm's models need no memory for this; a plugin's may compute with what it makes.
    device = torch.device("meta" if cfg.model else "cpu")
    with device:
        network = build_network(without_weights(cfg), plugins_of(cfg), _facts(cfg, data, device))
        make_optimizer(cfg.optimizer, network)
    return _probe_of(cfg, network)


def _facts(cfg: Generation, data: Data | None, device: torch.device) -> Facts:
    if data is not None:
        return facts_of(cfg, data, device)
    batch = {"labeled": cfg.settings.batch.labeled, "unlabeled": cfg.settings.batch.unlabeled}
    return Facts(tuple("0123456789"), (0,) * 10, {}, batch, image_size(cfg), 3, device)


def _probe_of(cfg: Generation, network: Network) -> GenerationProbe:
    name = cfg.model.name if cfg.model else type(network.model).__name__
    return GenerationProbe(cfg.index, name, sum(p.numel() for p in network.parameters()), image_size(cfg))


def probe(recipe: Recipe, data: Data, device: torch.device) -> list[GenerationProbe]:
    """A few steps of every generation, students taught by a throwaway teacher that labels one chunk."""
    rows = min(CHUNK, recipe.settings.label_batch)
    few = data if data.unlabeled is None else replace(data, unlabeled=first(data.unlabeled, rows))
    session = Session(recipe, few, Run(Path()), device)
    return [probe_generation(cfg, session) for cfg in recipe.generations]


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


def probe_generation(cfg: Generation, session: Session) -> GenerationProbe:
    """One generation, as it would begin, and its first steps."""
    state = begun(cfg, session)
    found, shares = _probe_of(cfg, state.student), Shares()
    found.teachers = [timing for timing, teacher in state.teachers.items() if teacher is not None]
    if "pool" in found.teachers and session.data.unlabeled is not None:
        state.stored = label_pool(state, session)
        shares.see("pool", "unlabeled", state.stored)
    state.labeled = state.hooks.revise_labeled(Labeled.of(session.data.labeled), state.stored, state.progress)
    if state.stored is not None:
        state.stored = opened(state.stored)
    for arrays in load_steps(make_streams(state, session.data), 0, min(STEPS, cfg.settings.steps), 0):
        probe_step(state, assemble(state, arrays), found, shares)
        state.step += 1
    found.shares = shares.means()
    losses = [e for e in state.hooks.entries if e.section == "loss" and "loss" in hooks_of(e.plugin)]
    found.waiting = [e.name for e in losses if not found.views >= set(e.on)]
    heard = {term.owner for term in found.terms.values()}
    found.silent = [e.name for e in losses if e.name not in heard and e.name not in found.waiting]
    return found


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


def probe_step(state: State, step: Step, found: GenerationProbe, shares: Shares) -> None:
    """One step: its losses are looked at, then it is taken."""
    forward = state.forward(step)
    make_targets(state, step, forward)
    for batch in step.batches:
        if batch.targets is not None:
            if state.label_timing and state.step == 0:  # later on, a student that teaches is not untrained any more
                shares.see("step", batch.stream, batch.targets)
            batch.targets = opened(batch.targets)
    step = forward.step = state.hooks.mix(step)
    found.views |= step.views.keys()
    if state.hooks.implements("train_step"):
        try_step(state, step, forward, found.terms, found.moved)
    else:
        try_terms(state, state.losses(step, forward), found.terms)
    teacher = state.teachers.get("step") or state.teachers.get("pool")
    state.hooks.after_step(step, forward, state.student, state.average, teacher)
