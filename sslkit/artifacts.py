"""Folders that are there whole or not at all, with checksums; trees of tensors and JSON values inside. No pickle."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .errors import RunError
from .keeping.room import full, is_full

CHECKSUMS = "checksums.json"


@contextmanager
def committed(target: Path) -> Iterator[Path]:
    """Write a folder aside, then put it in place in one rename; on any failure what was there before stays.

    Files and folders are synced before and after the rename, so that a power cut leaves the old or the new one.
    """
    aside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        sums = {path.name: _sha256(path) for path in sorted(aside.iterdir())}
        (aside / CHECKSUMS).write_text(json.dumps(sums, indent=1))
        for path in [*aside.iterdir(), aside]:
            _sync(path)
        old = target.with_name(f".{target.name}.old")  # may be there from a process that was killed here
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        aside.rename(target)
        _sync(target.parent)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        if is_full(error):
            raise full(target, error) from error
        reason = getattr(error, "strerror", None) or error  # the error itself would name the folder aside
        raise RunError(f"{target} could not be written ({reason}). What was saved before is unharmed") from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def committed_file(target: Path) -> Iterator[Path]:
    """A path aside for a new file of any size; it is put in its place when all is well, and otherwise nothing is left.

    What its writer lays beside it goes with it: a file of weights that do not fit.
    """
    aside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside / target.name
        for path in sorted(aside.iterdir(), reverse=True):  # what lies beside it first: `a.onnx.data`, then `a.onnx`
            _sync(path)
            path.rename(target.parent / path.name)
        _sync(target.parent)
    except OSError as error:
        if is_full(error):
            raise full(target, error) from error
        raise RunError(f"{target} could not be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def create_folder(folder: Path, files: dict[str, str], hold: Callable[[Path], None] = lambda aside: None) -> None:
    """A new folder with text files in it, there whole or not at all; it never takes another's place.

    `hold` is called with the folder before it is in its place: it may lock what nobody can have found yet.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    try:
        aside.mkdir(parents=True)
        hold(aside)
        for name, text in files.items():
            (aside / name).write_text(text)
            _sync(aside / name)
        _sync(aside)
        aside.rename(folder)  # onto an empty folder at most
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        reason = error.strerror or error
        raise RunError(f"{folder} could not be made ({reason}): choose another --out, or mend that") from error


def write_atomic(path: Path, text: str) -> None:
    """Replace a small file whole."""
    aside = path.with_name(f".{path.name}.writing")
    try:
        aside.write_text(text)
        _sync(aside)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        if is_full(error):
            raise full(path, error) from error
        raise RunError(f"{path} could not be written ({error.strerror or error})") from error


def read_card(path: Path) -> dict[str, Any]:
    """What stands beside a generation's model: its results, and what it is built by. Raises `RunError` where damaged."""
    try:
        card = json.loads(path.read_text())
        if not isinstance(card, dict) or not isinstance(card.get("index"), int):
            raise ValueError("it is no card of a generation")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is damaged ({error}). What it says cannot be made again from what is left: restore {path.parent} "
            "from a copy, or start the run anew"
        ) from error
    return card


def damage(folder: Path, most: float = math.inf) -> str | None:
    """What is wrong with a committed folder: None if every file is as it was written.

    Files of more bytes than `most` are only to be there: whether they are whole shows when they are opened.
    """
    try:
        sums: dict[str, str] = dict(json.loads((folder / CHECKSUMS).read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return f"{CHECKSUMS} cannot be read"
    unknown = {path.name for path in folder.iterdir()} - {CHECKSUMS, *sums}
    if unknown:
        return f"{CHECKSUMS} does not name {min(unknown)}"
    for name, expected in sums.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if (folder / name).stat().st_size <= most and _sha256(folder / name) != expected:
            return f"{name} was altered or cut off"
    return None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of the CPU as a safetensors file, none of them copied: `save_file` makes bytes of each first.

    The format: the header's length as 8 bytes, the header as JSON, the tensors' bytes one behind another. Those of the
    largest elements come first, so that all are aligned when the file is mapped into memory.
    """
    order = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    header, end = {}, 0
    for name, tensor in order:
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": KINDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in order:
            file.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)


KINDS = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"safetensors' names of torch's types."


def save_tree(folder: Path, name: str, tree: dict[str, Any]) -> None:
    """Write nested dicts (string keys) of tensors and JSON values as NAME.safetensors and NAME.json."""
    tensors: dict[str, Tensor] = {}
    values = _split(tree, "", tensors)
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(values, indent=1))


def load_tree(folder: Path, name: str) -> dict[str, Any]:
    """What `save_tree` wrote, tensors on the CPU."""
    values = json.loads((folder / f"{name}.json").read_text())
    with safe_open(folder / f"{name}.safetensors", framework="pt") as tensors:
        tree: dict[str, Any] = _join(values, tensors)
    return tree


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a tree, tensors taken out. safetensors wants them contiguous and sharing no memory: tied ones twice."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        return {"tensor": path}
    if isinstance(value, dict):
        return {"dict": {key: _split(item, f"{path}/{key}", tensors) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"list": [_split(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise RunError(f"state `{path.strip('/')}` is {type(value).__name__}: only tensors and JSON values can be saved")


def _join(value: Any, tensors: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors.get_tensor(inner)
    if kind == "list":
        return [_join(item, tensors) for item in inner]
    return {key: _join(item, tensors) for key, item in inner.items()}


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over a module's tensors and their names."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(
            name.encode() + b"\0" + tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
