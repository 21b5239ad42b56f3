"""Tries a recipe before it is run: a few steps of every generation, each loss by itself.

Losses that are always zero, or that reach no weight, have gone unnoticed in published toolkits for years. Here each is
looked at before its schedule (a ramp begins at zero) and with filters opened (a fresh teacher is sure of nothing).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .ahead import load_steps
from .engine import make_targets
from .folder import Run
from .labels import label_pool
from .network import Network, build_network, image_size
from .randomness import key, seed_torch
from .recipe.model import Generation, Recipe
from .session import Session
from .state import State, facts_of, fresh_state, plugins_of
from .streams import assemble, make_streams
from .types import Data, Facts, Images, Labeled, LossTerm, Step, Targets

STEPS = 2
CHUNK = 256


@dataclass
class TermProbe:
    """What one loss did in the tried steps."""

    name: str
    value: float = 0.0
    gradient: float = 0.0
    "Largest norm of its gradient over the student's parameters."
    moved: bool = False

    @property
    def alive(self) -> bool:
        """Whether it teaches anything."""
        return self.value != 0 and self.gradient > 0 and self.moved


@dataclass
class GenerationProbe:
    """What was seen of one generation."""

    index: int
    model: str
    parameters: int
    image_size: int
    teacher: str | None = None
    "The label timing at which there is one."
    terms: dict[str, TermProbe] = field(default_factory=dict)
    used_share: float | None = None
    "Unlabeled rows that the real filters let through."
    waiting: list[str] = field(default_factory=list)
    "Losses that are off, as their stream is."

    @property
    def alive(self) -> bool:
        """Whether every loss that is on teaches something."""
        return all(term.alive for term in self.terms.values())


def compose(recipe: Recipe, data: Data | None) -> list[GenerationProbe]:
    """Every generation's model on the meta device: nothing is computed, but nothing can be missing either."""
    probes = []
    for cfg in recipe.generations:
        with torch.device("meta"):
            network = build_network(_unweighted(cfg), plugins_of(cfg), _facts(cfg, data, torch.device("meta")))
        probes.append(_probe_of(cfg, network))
    return probes


def _unweighted(cfg: Generation) -> Generation:
    """Without files and downloads: a composition needs shapes alone."""
    if cfg.model is None:
        return cfg
    return replace(cfg, model=replace(cfg.model, pretrained=False, weights=None))


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
    few = replace(data, unlabeled=data.unlabeled and first(data.unlabeled, CHUNK))
    session = Session(recipe, few, Run(Path()), device)
    return [probe_generation(cfg, session) for cfg in recipe.generations]


def first(images: Images, count: int) -> Images:
    """The beginning of a split."""
    return Images(images.ids[:count], images.read, images.truth[:count])


def probe_generation(cfg: Generation, session: Session) -> GenerationProbe:
    """One generation, as it would begin, and its first steps."""
    facts = facts_of(cfg, session.data, session.device)
    entries = [entry for entry in cfg.entries() if entry.section != "tracker"]
    state = fresh_state(cfg, entries, facts, session.recipe.settings.seed, throwaway(cfg, session), None)
    found = _probe_of(cfg, state.student)
    found.teacher = next((timing for timing, teacher in state.teachers.items() if teacher is not None), None)
    shares: list[Tensor] = []
    if state.teachers.get("pool") is not None and session.data.unlabeled is not None:
        state.stored = label_pool(state, session)
        shares.append(state.stored.kept.double())
        state.stored = opened(state.stored)
    state.labeled = state.hooks.revise_labeled(Labeled.of(session.data.labeled), state.stored, state.progress)
    for arrays in load_steps(make_streams(state, session.data), 0, STEPS, 0):
        probe_step(state, assemble(state, arrays), found, shares)
        state.step += 1
    found.used_share = torch.cat(shares).mean().item() if shares else None
    on = {name.partition(".")[0] for name in found.terms}
    found.waiting = [e.name for e in entries if e.section == "loss" and e.name not in on]
    return found


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


def probe_step(state: State, step: Step, found: GenerationProbe, shares: list[Tensor]) -> None:
    """Each loss of one step by itself: value, gradient, and whether the optimizer moves the student down it."""
    forward = state.forward(step)
    make_targets(state, step, forward)
    for batch in step.batches:
        if batch.targets is not None:
            if state.label_timing:
                shares.append((batch.targets.weight > 0).double().cpu())
            batch.targets = opened(batch.targets)
    step = forward.step = state.hooks.mix(step)
    if state.hooks.implements("train_step"):
        before = _weights(state)
        terms = state.hooks.train_step(step, forward, state) or []
        for term in terms:
            seen = found.terms.setdefault(term.name, TermProbe(term.name))
            seen.value, seen.gradient, seen.moved = term.value.item(), 1.0, seen.moved or _moved(state, before)
    else:
        terms = state.losses(step, forward)
        for term, gradients in zip(terms, _gradients(state, terms), strict=True):
            _see(state, term, gradients, found.terms.setdefault(term.name, TermProbe(term.name)))
    state.hooks.after_step(step, forward, state.student, state.average, state.teachers.get("step"))


def _gradients(state: State, terms: list[LossTerm]) -> list[list[Tensor | None]]:
    """Each term's gradient; all are taken before any weight moves."""
    parameters = [p for p in state.student.parameters() if p.requires_grad]
    return [
        list(torch.autograd.grad(term.value, parameters, retain_graph=True, allow_unused=True))
        if term.value.requires_grad
        else [None] * len(parameters)
        for term in terms
    ]


def _see(state: State, term: LossTerm, gradients: list[Any], seen: TermProbe) -> None:
    before = _weights(state)
    parameters = [p for p in state.student.parameters() if p.requires_grad]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    seen.value = max(seen.value, abs(term.value.item()))
    seen.gradient = max([seen.gradient] + [g.norm().item() for g in gradients if g is not None])
    state.optimizer.state.clear()  # another loss's momentum must not pass for this one's
    state.optimizer.step()
    seen.moved = seen.moved or (any(g is not None for g in gradients) and _moved(state, before))
    with torch.no_grad():
        for parameter, value in zip(state.student.parameters(), before, strict=True):
            parameter.copy_(value)


def _weights(state: State) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in state.student.parameters()]


def _moved(state: State, before: list[Tensor]) -> bool:
    return any(not torch.equal(p, b) for p, b in zip(state.student.parameters(), before, strict=True))
