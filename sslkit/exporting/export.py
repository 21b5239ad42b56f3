"""`export`: a run's finished model as a file or folder for other tools."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..folder import Run, role_of
from ..images.words import printable, shown
from ..measuring.finished import Finished, finished_model
from . import onnx_file, timm_folder, torch_program
from .about import about, answered, given, preparation
from .answers import ExportError


@dataclass(frozen=True)
class Format:
    """One way to write a model."""

    suffix: str
    write: Callable[[Finished, Path, Callable[[int], None]], float]
    "Writes it, or nothing, and answers how far its logits are from the run's."
    lines: Callable[[str], str]
    "Python that loads what was written, by its path."
    given: Callable[[Finished], str]
    "What goes in."
    normalised: bool
    "Whether images are normalised before they go in."
    require: Callable[[], None] = lambda: None
    "Raises `ExportError` where packages are missing."
    warn: Callable[[Path], tuple[str, ...]] = lambda path: ()
    "What must be said of the file."


FORMATS = {
    "timm": Format("", timm_folder.write, timm_folder.lines, timm_folder.given, True),
    "onnx": Format(".onnx", onnx_file.write, onnx_file.lines, given, False, onnx_file.require),
    "torch": Format(".pt2", torch_program.write, torch_program.lines, given, False, warn=torch_program.pickles),
}
"By their names on the command line."


@dataclass(frozen=True)
class Exported:
    """What was written."""

    format: str
    path: Path
    files: dict[str, int]
    "Bytes of each file: a folder's, by their names in it, or the file itself, and what lies beside it."
    difference: float
    "How far its logits are from those of the run's own model at most, on made-up images: a share of the largest logit."
    given: str
    answered: str
    prepare: str
    load: str
    "Python that loads it."
    about: dict[str, Any]
    "Where the model comes from, its classes, what was measured of it."
    warnings: tuple[str, ...] = ()


def export(
    run: str | Path | Run,
    format: str | None = None,
    generation: int = -1,
    *,
    weights: str | None = None,
    out: str | Path | None = None,
    done: Callable[[int], None] = lambda number: None,
) -> Exported:
    """Write a finished generation's model: `export("runs/mine", "onnx").path`.

    `format`: "timm", "onnx" or "torch"; by default timm, where the model is timm's. `weights`: "average", "student" or
    "selected"; by default the average where one was kept. `out`: a path where nothing is yet; by default one in the
    working folder, named after the run. `done` is told of every stage that is over. Raises `SslkitError` for everything a
    user can mend; nothing is then left behind.
    """
    if format is not None:
        FORMATS[format].require()
    model = finished_model(run, generation, weights=weights, device="cpu")
    chosen = format or default_format(model)
    way = FORMATS[chosen]
    path = free(Path(out) if out else Path(f"{name_of(model, weights)}{way.suffix}"))
    done(1)
    difference = way.write(model, path, done)
    load = way.lines(str(path))
    prepare = preparation(model, normalised=way.normalised)
    return Exported(
        chosen,
        path,
        sizes(path),
        difference,
        way.given(model),
        answered(model),
        prepare,
        load,
        about(model),
        model.warnings + way.warn(path),
    )


def default_format(model: Finished) -> str:
    """`timm`, where the model is timm's. Raises `ExportError` where it is not: nothing else would be expected."""
    if model.generation.model is None:
        raise ExportError(
            f"{model.card['model']} is built by a plugin, so it cannot be written for timm, which is the default. Choose:\n"
            "    --format onnx    for onnxruntime and other runtimes\n"
            "    --format torch   for torch.export.load"
        )
    return "timm"


def name_of(model: Finished, weights: str | None) -> str:
    """`mine-generation-2`: the run's name, and which of its models; the weights where they were asked for."""
    folder = model.run.folder.resolve()
    run = f"{folder.parent.name}-baseline" if role_of(folder) == "baseline" else folder.name
    return f"{run}-generation-{model.index}" + (f"-{weights}" if weights else "")


def free(path: Path) -> Path:
    """The path, where nothing is there. Raises `ExportError`, with one that is free, where something is.

    And where its name is no UTF-8: the libraries that read and write it would stumble over that later.
    """
    if printable(str(path)) != unicodedata.normalize("NFC", str(path)):
        raise ExportError(f"--out {shown(str(path))}: choose a name of printable UTF-8 text, which every tool can open")
    if not taken(path):
        return path
    others = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 1_000_000))
    other = next(other for other in others if not taken(other))
    raise ExportError(
        f"{shown(str(path))} is there already, and an export overwrites nothing: choose another, such as\n"
        f"    --out {shown(str(other))[1:-1]}"
    )


def taken(path: Path) -> bool:
    """Whether something is there, or where weights would go that do not fit an ONNX file."""
    return any(one.exists() or one.is_symlink() for one in (path, beside(path)))


def beside(path: Path) -> Path:
    """`mine.onnx.data`: as torch calls it."""
    return path.with_name(f"{path.name}.data")


def sizes(path: Path) -> dict[str, int]:
    """Bytes of what was written."""
    found = path.iterdir() if path.is_dir() else [one for one in (path, beside(path)) if one.exists()]
    return {one.name: one.stat().st_size for one in sorted(found)}
