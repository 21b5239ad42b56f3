"""Ways into the engine for tests: plugins made on the spot, and a generation driven step by step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import sslkit
from sslkit import hookimpl
from sslkit.ahead import load_steps
from sslkit.check.probe import throwaway
from sslkit.dataset import Labeled
from sslkit.engine import make_targets, train_step
from sslkit.folder import Run
from sslkit.labels import label_pool
from sslkit.network import build_network
from sslkit.opening import open_data
from sslkit.recipe.model import Entry
from sslkit.session import Session
from sslkit.state import facts_of, fresh_state, plugins_of
from sslkit.streams import assemble, make_streams

CPU = torch.device("cpu")


@dataclass(eq=False)
class LossSpy:
    """Sees each step as losses see it, after every other loss; adds no term."""

    see: Any

    @hookimpl
    def loss(self, step, forward):
        self.see(step, forward)
        return []


@dataclass(eq=False)
class StepSpy:
    """Sees each step after the student has moved."""

    see: Any

    @hookimpl
    def after_step(self, step, student, average, teacher):
        self.see(step, student, average, teacher)


@dataclass(eq=False)
class Ears:
    """A tracker that keeps every event."""

    events: list

    @hookimpl
    def report(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event.values for event in self.events if event.kind == kind]


def entry(section, plugin, name="", on=(), when=None):
    """A plugin as the recipe layer would hand it over."""
    name = name or type(plugin).__name__.lower()
    return Entry(section, name, name, plugin, on, when)


def added(recipe, *entries):
    """The recipe with further plugins in every generation; they are the same objects in each."""
    for cfg in recipe.generations:
        cfg.entries = lambda made=cfg.entries: [*made(), *entries]
    return recipe


class Bench:
    """One generation, driven by hand: what `train` does, in pieces."""

    def __init__(self, recipe, generation=0, previous=None):
        self.cfg = recipe.generations[generation]
        self.data = open_data(recipe)
        self.session = Session(recipe, self.data, Run(Path()), CPU)
        previous = previous or throwaway(self.cfg, self.session)
        facts = facts_of(self.cfg, self.data, CPU)
        self.state = fresh_state(self.cfg, self.cfg.entries(), facts, recipe.settings.seed, previous, None)
        if self.state.teachers.get("pool") is not None:
            self.state.stored = label_pool(self.state, self.session)
        labeled = Labeled.of(self.data.labeled)
        self.state.labeled = self.state.hooks.revise_labeled(labeled, self.state.stored, self.state.progress)

    def plugin(self, name):
        """A plugin by its name in the recipe."""
        return next(e.plugin for e in self.state.hooks.entries if e.name == name)

    def arrays(self, steps=None, workers=0, start=0):
        """What the loader makes for each step."""
        yield from load_steps(make_streams(self.state, self.data), start, steps or self.cfg.settings.steps, workers)

    def steps(self, count=None):
        """Assembled steps; the state counts them."""
        for arrays in self.arrays(count):
            self.state.set_rate()
            yield assemble(self.state, arrays)
            self.state.step += 1

    def labeled_steps(self, count=None):
        """Steps with targets, and their forward; nothing is mixed, nobody learns."""
        for step in self.steps(count):
            forward = self.state.forward(step)
            make_targets(self.state, step, forward)
            yield step, forward

    def train(self, count=None):
        """Train; the terms of each step."""
        return [train_step(self.state, step) for step in self.steps(count)]


def network_of(recipe, generation=0, seed=0):
    """A fresh network of a generation."""
    torch.manual_seed(seed)
    cfg = recipe.generations[generation]
    return build_network(cfg, plugins_of(cfg), facts_of(cfg, open_data(recipe), CPU))


def rows_through(network, log):
    """Append the rows of every batch that goes through a network to `log`."""
    network.register_forward_hook(lambda _, arguments, __: log.append(len(arguments[0])))


def run(recipe, folder):
    """Run a recipe in a folder of its own."""
    return sslkit.run(recipe, out=folder / "run", device="cpu")


def equal_states(one, other):
    """Whether two modules hold the same numbers."""
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)
