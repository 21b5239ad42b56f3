"""An ONNX model: the whole model as a graph for other runtimes, what its user must know inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..artifacts import committed_file
from ..measuring.finished import Finished
from ..recipe.message import listed
from .about import about, preparation
from .answers import ExportError, compared, hushed, traced

if TYPE_CHECKING:
    from torch.onnx import ONNXProgram

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"What torch translates by, and what the translation is checked with."


def require() -> None:
    """Raise `ExportError` where a package is missing that this format needs."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ExportError(
            f"--format onnx needs {listed(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            "They are an extra:\n    pip install 'sslkit[onnx]'"
        )


def write(model: Finished, target: Path, done: Callable[[int], None]) -> float:
    """Write the model; answers how far its logits, by onnxruntime, are from the run's (`compared`).

    Raises `ExportError` for a model that cannot be traced or translated, and where the file answers otherwise.
    """
    program = traced(model)
    done(1)
    translated = translate(model, program)
    translated.model.metadata_props.update(properties(model))
    done(1)
    with committed_file(target) as aside, hushed():
        translated.save(aside)
        done(1)
        difference = compared(model, session(aside), "the ONNX model, by onnxruntime,")
        done(1)
    return difference


def translate(model: Finished, program: torch.export.ExportedProgram) -> ONNXProgram:
    """The graph in ONNX's operators. Raises `ExportError` that names the one which it lacks."""
    try:
        with hushed():
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False, input_names=["images"], output_names=["logits"],
                dynamic_shapes=({0: "batch"},),
            )  # fmt: skip
    except Exception as error:
        raise untranslatable(model, error) from error
    assert made is not None
    return made


def untranslatable(model: Finished, error: Exception) -> ExportError:
    """What to say of a translation that failed: mostly, ONNX has no such operator."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__
    operator = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", "\n".join(said))
    why = (
        f"it uses the operator `{operator[1].replace('.', '::', 1)}`, which has no translation to ONNX"
        if operator
        else f"{type(error).__name__}: {said[-1].strip().partition(chr(10))[0]}"
    )
    return ExportError(
        f"{model.card['model']} cannot be written as ONNX: {why}\n"
        "    `--format torch` holds any operator of torch; a timm model goes as `--format timm`"
    )


def session(path: Path) -> Callable[[Tensor], Tensor]:
    """The file as onnxruntime runs it on the CPU. Raises `ExportError` where it refuses."""
    import onnxruntime

    try:
        made: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"onnxruntime does not load the exported model ({error})") from error
    return lambda images: torch.from_numpy(made.run(None, {"images": images.numpy()})[0])


def properties(model: Finished) -> dict[str, str]:
    """`metadata_props`: texts, and JSON where there is more to say."""
    facts = about(model)
    short = {key: json.dumps(facts[key]) for key in ("classes", "mean", "std", "image_size", "channels", "crop_pct")}
    prepare = preparation(model, normalised=False)
    return {**short, "prepare": f"{prepare} The normalisation by mean and std is inside.", "sslkit": json.dumps(facts)}


def lines(path: str) -> str:
    """Python that loads the file."""
    return (
        f"import onnxruntime\n\n"
        f"session = onnxruntime.InferenceSession({path!r})\n"
        f'logits = session.run(None, {{"images": images}})[0]\n'
    )
