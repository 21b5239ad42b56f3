"""The run folder, and `run`: from a recipe to a finished folder, or from an unfinished one to its end."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from . import __version__
from .artifacts import committed, damage, load_tree, save_tree, write_atomic
from .checkpoint import Checkpoints
from .classifier import NetworkClassifier
from .engine import Session, fit, make_view, plugins_of
from .errors import Interrupted, RunError, SslkitError
from .hooks import Hooks
from .labels import load_labels
from .network import Network, build_network, require_timm
from .recipe import baseline_of, diff, dump, load
from .recipe.model import Recipe
from .state import State, facts_of
from .types import Classifier, Data, Progress, Targets

SUMMARY = "summary.json"
RECIPE = "recipe.toml"


class Run:
    """A run folder: what was run, how far it is, what came out."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.warnings: list[str] = []
        self.checkpoints = Checkpoints(self.folder / "checkpoints", self.warnings.append)
        self.environment: dict[str, Any] = {}
        self.seconds = 0.0

    # What a user reads --------------------------------------------------------------------------------------------

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`; its `status` says whether the run is finished."""
        path = self.folder / SUMMARY
        try:
            summary: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({error}): is {self.folder} a run folder?") from error
        return summary

    def recipe(self) -> Recipe:
        """The resolved recipe that was run."""
        path = self.folder / RECIPE
        if not path.is_file():
            raise RunError(f"{self.folder} is no run folder: it has no {RECIPE}")
        return load(path)

    def labels(self, generation: int) -> Targets:
        """The pseudo-labels that taught a generation."""
        folder = self.folder / "labels" / f"generation-{generation}"
        if not folder.is_dir():
            raise RunError(f"{self.folder} keeps no pseudo-labels for generation {generation}")
        return load_labels(folder)[0]

    def model(self, generation: int = -1) -> torch.nn.Module:
        """A finished generation's model (its average where one was kept), ready to predict: `model(images).logits`.

        (N, C, H, W) floats in 0-1 in, `Outputs` out. Negative numbers count from the last finished generation.
        """
        recipe = self.recipe()
        finished = len(list((self.folder / "models").glob("generation-*")))
        index = generation if generation >= 0 else finished + generation
        if not 0 <= index < finished:
            raise RunError(f"{self.folder} has {finished} finished generations; there is no generation {generation}")
        hooks = plugins_of(recipe.generations[0])
        data = hooks.open_data(Progress(recipe.settings.seed))
        return self.network(index, Session(recipe, data, self, torch.device("cpu")))

    # What the loop asks for ---------------------------------------------------------------------------------------

    def network(self, generation: int, session: Session) -> Network:
        """A finished generation's evaluated model, from its artifact, frozen and un-noised."""
        cfg = session.recipe.generations[generation]
        folder = self.folder / "models" / f"generation-{generation}"
        problem = damage(folder)
        if problem:
            raise RunError(f"the model in {folder} is damaged ({problem})")
        tree = load_tree(folder, "model")
        network = build_network(cfg, plugins_of(cfg), facts_of(cfg, session.data, session.device))
        network.load_state_dict(tree["average"] or tree["student"])
        network.requires_grad_(False)
        network.set_mode(noise=False, batch_norm="running", write_stats=False)
        return network

    def announce(self, state: State, session: Session, resumed: bool) -> None:
        """The start event; warnings were gathered while restoring."""
        recipe, data = session.recipe, session.data
        generations = recipe.generations
        state.hooks.report(
            "start",
            state.progress,
            recipe=recipe.name,
            folder=str(self.folder),
            role=role_of(self.folder),
            resumed=resumed,
            generations=len(generations),
            steps=[cfg.settings.steps for cfg in generations],
            sizes=state.facts.sizes,
            classes=len(data.classes),
            model=[cfg.model.name if cfg.model else "plugin" for cfg in generations],
            notes=[*data.notes, *self.notes(state)],
            warnings=[*recipe.warnings, *self.warnings],
            device=str(session.device),
        )
        if session.baseline_entry:
            state.hooks.report("baseline", state.progress, **session.baseline_entry)

    def notes(self, state: State) -> list[str]:
        """What a generation without a teacher leaves out."""
        if state.teaches:
            return []
        return ["generation 0 has no teacher: its unlabeled stream, and losses on it, are off"]

    def provenance(self, state: State) -> dict[str, Any]:
        """Where a pool's labels come from."""
        teacher = self.folder / "models" / f"generation-{state.cfg.index - 1}" / "checksums.json"
        sums = json.loads(teacher.read_text()) if teacher.is_file() else {}
        recipe = self.recipe()
        return {
            "generation": state.cfg.index,
            "teacher": {"generation": state.cfg.index - 1, "sha256": sums.get("model.safetensors")},
            "recipe": recipe.hash,
            "seed": state.seed,
            "sslkit": __version__,
        }

    def save(self, state: State, session: Session, entry: dict[str, Any] | None) -> None:
        """A checkpoint of this very step."""
        tree = {
            "generation": state.cfg.index,
            "step": state.step,
            "recipe": session.recipe.hash,
            "environment": self.environment,
            "seconds": self.elapsed(session),
            "entry": entry,
            "state": state.tree(),
        }
        self.checkpoints.save(state.cfg.index, state.step, tree)

    def restore(self, session: Session) -> dict[str, Any] | None:
        """The newest whole checkpoint; what differs from when it was made is said."""
        saved = self.checkpoints.newest()
        if saved is None:
            return None
        self.seconds = saved["seconds"]
        for name, was in saved["environment"].items():
            now = self.environment.get(name)
            if was != now and name == "images":
                raise RunError(f"the data of {self.folder} has changed: its splits had {was} images, and have {now}")
            if was != now:
                self.warnings.append(f"{name} was {was}, is {now}: the resumed run may differ in its bits")
        return saved

    def keep_model(self, state: State, entry: dict[str, Any]) -> None:
        """The finished generation's artifact: raw and averaged weights, and a card."""
        folder = self.folder / "models" / f"generation-{state.cfg.index}"
        average = None if state.average is None else state.average.state_dict()
        with committed(folder) as aside:
            save_tree(aside, "model", {"student": state.student.state_dict(), "average": average})
            if state.selected:
                save_tree(aside, "selected", state.selected)
            card = {**entry, "classes": list(state.facts.classes), "image_size": state.facts.image_size,
                    "channels": state.facts.channels, "seed": state.seed}  # fmt: skip
            (aside / "card.json").write_text(json.dumps(card, indent=1))

    def entries(self) -> list[dict[str, Any]]:
        """The summary's entries of the finished generations."""
        cards = sorted((self.folder / "models").glob("generation-*/card.json"), key=_number)
        return [
            {k: v for k, v in json.loads(card.read_text()).items() if k not in CARD_KEYS} for card in cards
        ]

    def finish(self, state: State, session: Session) -> dict[str, Any]:
        """The summary of a finished run."""
        summary = self.write_summary(session, "finished")
        state.hooks.report("end", state.progress, summary=summary, folder=str(self.folder))
        return summary

    def write_summary(self, session: Session, status: str) -> dict[str, Any]:
        """Everything that is known so far."""
        summary = {
            "generations": self.entries(),
            "baseline": session.baseline_entry,
            "seed": session.recipe.settings.seed,
            "status": status,
            "wall_seconds": self.elapsed(session),
            "recipe": session.recipe.name,
            "recipe_hash": session.recipe.hash,
        }
        write_atomic(self.folder / SUMMARY, json.dumps(summary, indent=1))
        return summary

    def elapsed(self, session: Session) -> float:
        """Seconds spent on this run, earlier sittings included."""
        return self.seconds + time.perf_counter() - session.began

    def interrupted(self, why: str) -> Interrupted:
        """What to say when a run is asked to stop."""
        folder = self.folder.parent if role_of(self.folder) == "baseline" else self.folder
        return Interrupted(f"stopped by {why}; everything is saved. Go on with:\n    sslkit run --resume {folder}")


CARD_KEYS = ("classes", "image_size", "channels", "seed")


def role_of(folder: Path) -> str:
    """A baseline is a run inside its run."""
    return "baseline" if folder.name == "baseline" else "run"


def _number(path: Path) -> int:
    return int(path.parent.name.rpartition("-")[2])


def new_folder(out: str | Path | None, name: str) -> Path:
    """`out`, which must be new, or `runs/NAME`, `runs/NAME-2`, ...: nothing is ever written over."""
    if out is not None:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(
                f"{folder} exists already and is never overwritten: choose another --out, or go on with "
                f"`sslkit run --resume {folder}`"
            )
        return folder
    slug = re.sub(r"[^\w.-]+", "_", name) or "run"
    numbers = iter(range(2, 1_000_000))
    folder = Path("runs") / slug
    while folder.exists():
        folder = Path("runs") / f"{slug}-{next(numbers)}"
    return folder


def choose_device(name: str | None) -> torch.device:
    """The device asked for, or the best there is."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
        reason = str(error).splitlines()[0]
        raise RunError(f"--device {name} is not to be had here ({reason}); there is: {', '.join(there)}") from error
    return device


def environment(device: torch.device, data: Data, recipe: Recipe) -> dict[str, Any]:
    """What the promise of equal bits depends on, beside the recipe."""
    packages = ("torch", "timm", "numpy", "opencv-python-headless", "albumentations")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "sslkit": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "device": f"{device.type} {name}",
        "threads": torch.get_num_threads(),
        "precision": recipe.settings.precision,
        "label_batch": recipe.settings.label_batch,
        "images": {name: len(images) for name, images in data.splits.items()},
        "data": data.fingerprint(),
    }


@contextmanager
def stop_signals() -> Iterator[Any]:
    """Ctrl-C and SIGTERM ask politely: the run saves itself at the next step. A second Ctrl-C does not wait."""
    asked: list[str] = []

    def ask(number: int, _: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def determinism(on: bool) -> Iterator[None]:
    """Deterministic algorithms for the time of a run."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    filling = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(on)
    # It would write zeros into every new tensor, and nothing here reads what it has not written.
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        filling.fill_uninitialized_memory = before[1]


def run(
    recipe: str | Path | Recipe | None = None,
    *,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    device: str | None = None,
) -> Run:
    """Run a recipe (a file, or the name of a shipped one) to its end, or go on with an unfinished run folder.

    Raises `SslkitError` for everything a user can mend; the run folder then holds all that was done, and `resume` goes
    on from there in the same bits.
    """
    require_timm()
    place = choose_device(device)
    if resume is not None:
        loaded = _to_resume(Path(resume), recipe, overrides, seed)
        folder = Path(resume)
        if Run(folder).summary["status"] == "finished":
            return Run(folder)
    elif recipe is None:
        raise RunError("nothing to run: name a recipe, or a run folder to resume")
    else:
        loaded = recipe if isinstance(recipe, Recipe) else load(recipe, overrides, seed)
        folder = new_folder(out, loaded.name)
    with stop_signals() as stop, determinism(loaded.settings.deterministic):
        return _run_in(folder, loaded, place, stop)


def _to_resume(folder: Path, recipe: Any, overrides: Any, seed: int | None) -> Recipe:
    """The folder's own recipe; one given beside it must be the same."""
    own = Run(folder).recipe()
    if recipe is not None or overrides or seed is not None:
        given = load(recipe if recipe is not None else folder / RECIPE, overrides, seed)
        if given.hash != own.hash:
            lines = "\n    ".join(diff(own.table, given.table))
            raise RunError(
                f"{folder} was begun with another recipe; resuming would mix the two:\n    {lines}\n"
                "Start a new run for the new settings, or resume without them"
            )
    return own


def _run_in(folder: Path, recipe: Recipe, device: torch.device, stop: Any, data: Data | None = None) -> Run:
    """Baseline first, as a run of its own inside: metrics may compare with it."""
    if (folder / SUMMARY).exists() and Run(folder).summary["status"] == "finished":
        return Run(folder)
    session = open_session(folder, recipe, device, stop, data)
    try:
        if recipe.settings.baseline:
            child = _run_in(folder / "baseline", baseline_of(recipe), device, stop, session.data)
            session.baseline_entry = child.summary["generations"][-1]
            session.baseline = classifier_of(child, session)
            session.began = time.perf_counter()
        fit(session)
    except SslkitError as error:
        _failed(session, error)
        raise
    return session.run


def open_session(folder: Path, recipe: Recipe, device: torch.device, stop: Any, data: Data | None) -> Session:
    """A run folder with its recipe and environment written down."""
    data = data or plugins_of(recipe.generations[0]).open_data(Progress(recipe.settings.seed, plugin="data"))
    run = Run(folder)
    run.environment = environment(device, data, recipe)
    session = Session(recipe, data, run, device, stop=stop)
    if not (folder / RECIPE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / RECIPE, dump(recipe.table))
        write_atomic(folder / "environment.json", json.dumps(run.environment, indent=1))
    run.write_summary(session, "running")
    return session


def classifier_of(run: Run, session: Session) -> Classifier:
    """A finished run's last model as metrics see it."""
    recipe = run.recipe()
    inner = Session(recipe, session.data, run, session.device)
    cfg = recipe.generations[-1]
    network = run.network(cfg.index, inner)
    hooks = Hooks([])
    state = State(cfg, hooks, facts_of(cfg, session.data, session.device), recipe.settings.seed, network, None)  # type: ignore[arg-type]
    view = make_view(state, "clean", "evaluation")
    return NetworkClassifier(network, plugins_of(cfg).decide, view, session.device, recipe.settings.label_batch)


def _failed(session: Session, error: SslkitError) -> None:
    """Write down that the run stopped, and tell the trackers."""
    reason = "interrupted" if isinstance(error, Interrupted) else "error"
    session.run.write_summary(session, "interrupted" if reason == "interrupted" else "failed")
    if session.trackers:
        Hooks(session.trackers).report("failure", Progress(session.recipe.settings.seed), message=str(error), reason=reason)
