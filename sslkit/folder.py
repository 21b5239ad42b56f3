"""The run folder: what was run, how far it is, what came out. Everything in it is TOML, JSON or safetensors."""

from __future__ import annotations

import json
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .artifacts import committed, create_folder, damage, read_card, save_tree, write_atomic
from .checkpoint import Checkpoints
from .errors import Interrupted, RunError
from .keeping.lock import Lock
from .keeping.room import patiently, save_checkpoint
from .keeping.run_folders import sound_summary, why_no_run
from .measuring.weights import weights_of
from .network import Network, build_network, without_weights
from .recipe import dump, load
from .recipe.model import Recipe
from .recipe.tables import mixed
from .state import State, plugins_of
from .store import Samples, load_labels, load_samples
from .types import Facts, Targets

if TYPE_CHECKING:
    from .session import Session

SUMMARY = "summary.json"
RECIPE = "recipe.toml"
ENVIRONMENT = "environment.json"
LEFT_OUT = "left_out.json"


class Run:
    """A run folder: what was run, how far it is, what came out."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.warnings: list[str] = []
        self.checkpoints = Checkpoints(self.folder / "checkpoints", self.warnings.append)
        self.environment: dict[str, Any] = {}
        self.lock = Lock(self.folder)
        self.seconds = 0.0

    def __repr__(self) -> str:
        """The folder and how far it is."""
        status = self.summary["status"] if (self.folder / SUMMARY).is_file() else "without a summary"
        return f"<sslkit.Run {str(self.folder)!r}: {status}>"

    # What a user reads --------------------------------------------------------------------------------------------

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`; its `status` says whether the run is finished."""
        path = self.folder / SUMMARY
        try:
            return sound_summary(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path} cannot be read ({error}). If {self.folder} is a run folder, `sslkit run --resume {self.folder}` "
                "writes it anew"
            ) from error

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do; where the summary cannot be read, it is to be written anew."""
        try:
            return bool(self.summary["status"] == "finished")
        except RunError:
            return False

    def table(self) -> dict[str, Any]:
        """The resolved recipe as it was written."""
        path = self.folder / RECIPE
        if not path.is_file():
            raise RunError(f"{self.folder} {why_no_run(self.folder)}")
        try:
            return tomllib.loads(path.read_text())
        except ValueError as error:
            raise RunError(f"{path} is not valid TOML ({error})") from error

    def recipe(self) -> Recipe:
        """The resolved recipe that was run, validated as it now would be."""
        self.table()  # that this is a run folder
        recipe = load(self.folder / RECIPE)
        with suppress(OSError, ValueError, LookupError):  # the file is called after what it is; its recipe was not
            recipe.name = json.loads((self.folder / ENVIRONMENT).read_text())["recipe"]
        return recipe

    def labels(self, generation: int) -> Targets:
        """The pseudo-labels that taught a generation, mapped into memory: opening them reads none, however many.

        They lie in labels/generation-N/labels.safetensors, where they come from in manifest.json: see `sslkit.store`.
        """
        return load_labels(self._labels_of(generation), whole=False)[0]

    def manifest(self, generation: int) -> dict[str, Any]:
        """Where the pseudo-labels of a generation come from: its manifest.json, as `sslkit.store` describes it."""
        return load_labels(self._labels_of(generation), whole=False)[1]

    def samples(self) -> Samples:
        """What the images were that pseudo-labels are of, row for row: their ids, and their classes where known.

        Raises `RunError` where none were written down: there are no pseudo-labels of a pool, or they are of a run that
        was made before this was kept.
        """
        if not (self.folder / "samples").is_dir():
            raise RunError(f"{self.folder} keeps no list of the images that pseudo-labels were made of")
        return load_samples(self.folder / "samples")

    def _labels_of(self, generation: int) -> Path:
        folder = self.folder / "labels" / f"generation-{generation}"
        if not folder.is_dir():
            raise RunError(f"{self.folder} keeps no pseudo-labels for generation {generation}")
        return folder

    def model(self, generation: int = -1) -> torch.nn.Module:
        """A finished generation's model (its average where one was kept), ready to predict: `model(images).logits`.

        (N, C, H, W) floats in 0-1 in, `Outputs` out. Negative numbers count from the last finished generation.
        """
        recipe = self.recipe()
        finished = len(list((self.folder / "models").glob("generation-*")))
        index = generation if generation >= 0 else finished + generation
        if not 0 <= index < finished:
            raise RunError(f"{self.folder} has {finished} finished generations; there is no generation {generation}")
        return self.network(index, recipe, torch.device("cpu"))

    # What the loop asks for ---------------------------------------------------------------------------------------

    def network(self, generation: int, recipe: Recipe, device: torch.device, weights: str | None = None) -> Network:
        """A finished generation's model (by default as it was evaluated), from its artifact alone, frozen, un-noised."""
        cfg = without_weights(recipe.generations[generation])
        folder = self.folder / "models" / f"generation-{generation}"
        problem = damage(folder)
        if problem:
            raise RunError(
                f"the model in {folder} is damaged ({problem}). It cannot be made again from what is left: "
                "restore that folder from a copy, or start the run anew"
            )
        card = json.loads((folder / "card.json").read_text())
        network = build_network(cfg, plugins_of(cfg), facts_from(card["facts"], device))
        network.load_state_dict(weights_of(folder, weights))
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

    def save(self, state: State, session: Session, entry: dict[str, Any] | None, journal: dict[str, Any]) -> None:
        """A checkpoint of this very step; `entry` where it ends its generation.

        On a full disk a run goes on without a checkpoint that is only due, and waits where it could not go on.
        """
        tree = {
            "generation": state.cfg.index,
            "step": state.step,
            "recipe": {"hash": session.recipe.hash, "table": session.recipe.table},
            "environment": self.environment,
            "seconds": self.elapsed(session),
            "entry": entry,
            "journal": journal,
            "state": state.tree(),
        }
        needed = entry is not None or session.stop() is not None
        save_checkpoint(lambda: self.checkpoints.save(state.cfg.index, state.step, tree), needed)

    def restore(self, session: Session) -> dict[str, Any] | None:
        """The newest whole checkpoint; what differs from when it was made is said."""
        saved = self.checkpoints.newest()
        if saved is None:
            return None
        if saved["recipe"]["hash"] != session.recipe.hash:
            raise RunError(mixed(self.folder, saved["recipe"]["table"], session.recipe.table))
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
        patiently(lambda: self._keep_model(state, entry))

    def _keep_model(self, state: State, entry: dict[str, Any]) -> None:
        folder = self.folder / "models" / f"generation-{state.cfg.index}"
        average = None if state.average is None else state.average.state_dict()
        with committed(folder) as aside:
            save_tree(aside, "model", {"student": state.student.state_dict(), "average": average})
            if state.selected:
                save_tree(aside, "selected", state.selected)
            card = {**entry, "facts": facts_as_json(state.facts), "seed": state.seed}
            (aside / "card.json").write_text(json.dumps(card, indent=1))

    def entries(self) -> list[dict[str, Any]]:
        """The summary's entries of the finished generations."""
        cards = sorted((self.folder / "models").glob("generation-*/card.json"), key=_number)
        return [{k: v for k, v in read_card(card).items() if k not in CARD_KEYS} for card in cards]

    def finish(self, state: State, session: Session) -> dict[str, Any]:
        """The summary of a finished run. It is written last: what says that all is done must be true."""
        summary = self.compose(session, "finished")
        state.hooks.report("end", state.progress, summary=summary, folder=str(self.folder))
        patiently(lambda: write_atomic(self.folder / SUMMARY, json.dumps(summary, indent=1)))
        return summary

    def create(self, session: Session) -> None:
        """The folder with its recipe, in place in one rename: it can be resumed from its first moment on."""
        files = {
            RECIPE: dump(session.recipe.table),
            ENVIRONMENT: json.dumps(self.environment, indent=1),
            SUMMARY: json.dumps(self.compose(session, "running"), indent=1),
        }
        if left_out := [one._asdict() for one in session.data.left_out]:  # in JSON any name is plain ASCII
            files[LEFT_OUT] = json.dumps(left_out, indent=1)
        create_folder(self.folder, files, self.lock.take)

    def write_summary(self, session: Session, status: str) -> None:
        """Write down how far the run is."""
        write_atomic(self.folder / SUMMARY, json.dumps(self.compose(session, status), indent=1))

    def compose(self, session: Session, status: str) -> dict[str, Any]:
        """Everything that is known so far, as summary.json has it."""
        return {
            "generations": self.entries(),
            "baseline": session.baseline_entry,
            "seed": session.recipe.settings.seed,
            "status": status,
            "wall_seconds": self.elapsed(session) + session.baseline_seconds,
            "recipe": session.recipe.name,
            "recipe_hash": session.recipe.hash,
        }

    def elapsed(self, session: Session) -> float:
        """Seconds spent on this run, earlier sittings included."""
        return self.seconds + time.perf_counter() - session.began

    def interrupted(self, why: str, saved: str = "everything is saved") -> Interrupted:
        """What to say when a run is asked to stop."""
        folder = self.folder.parent if role_of(self.folder) == "baseline" else self.folder
        return Interrupted(f"stopped by {why}; {saved}. Go on with:\n    sslkit run --resume {folder}")


CARD_KEYS = ("facts", "seed")
"What a card holds beside the generation's entry in the summary."


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """What a network is built by, but for the device."""
    return {key: value for key, value in vars(facts).items() if key != "device"}


def facts_from(card: dict[str, Any], device: torch.device) -> Facts:
    """The facts that a card holds."""
    return Facts(
        **{**card, "classes": tuple(card["classes"]), "class_counts": tuple(card["class_counts"])}, device=device
    )


def role_of(folder: Path) -> str:
    """A baseline is a run inside its run."""
    return "baseline" if folder.name == "baseline" else "run"


def _number(path: Path) -> int:
    return int(path.parent.name.rpartition("-")[2])
