"""Where a run takes place: the device, the versions, the signals, the arithmetic."""

from __future__ import annotations

import hashlib
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from . import __version__
from .dataset import Data
from .errors import RunError
from .recipe.model import Recipe


def choose_device(name: str | None) -> torch.device:
    """The device asked for, or the best there is."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
        known = any(name.partition(":")[0] == kind for kind in ("cpu", "cuda", "mps", "xpu"))
        reason = str(error).splitlines()[0] if known else "no kind of device is called so"  # torch lists dozens
        raise RunError(f"--device {name} is not to be had here ({reason}); there is: {', '.join(there)}") from error
    return device


@cache
def versions() -> dict[str, str]:
    """The libraries that results depend on; looked up once, as nothing that is imported changes any more."""
    packages = ("torch", "timm", "numpy", "opencv-python-headless", "pillow", "albumentations", "scikit-learn")
    return {package: version(package) for package in packages}


def environment(device: torch.device, data: Data, recipe: Recipe) -> dict[str, Any]:
    """What the promise of equal bits depends on, beside the recipe."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "recipe": recipe.name,
        "sslkit": __version__,
        "python": platform.python_version(),
        **versions(),
        "device": f"{device.type} {name}",
        "threads": torch.get_num_threads(),
        "precision": recipe.settings.precision,
        "label_batch": recipe.settings.label_batch,
        "images": {name: len(images) for name, images in data.splits.items()},
        "data": fingerprint(data),
        "test_data": test_fingerprint(data),
        **{f"size of {name} image files": digest for name, digest in file_sizes(data).items()},
    }


def fingerprint(data: Data) -> str:
    """A digest over classes, ids, labeled truth and weights: what a resumed run must find again."""
    digest = hashlib.blake2b("\x1f".join(data.classes).encode(), digest_size=16)
    for name, images in data.splits.items():
        digest.update(name.encode())
        for sample in images.ids:
            digest.update(sample.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(np.ascontiguousarray(data.labeled.truth).tobytes())
    if data.labeled.weight is not None:
        digest.update(np.ascontiguousarray(data.labeled.weight).tobytes())
    return digest.hexdigest()


def file_sizes(data: Data) -> dict[str, str]:
    """A digest over the sizes of each split's image files, where it has files: by it one that was changed is noticed."""
    known = {name: images.sizes() for name, images in data.splits.items() if images.sizes is not None}
    return {
        name: hashlib.blake2b(np.ascontiguousarray(s).tobytes(), digest_size=8).hexdigest() for name, s in known.items()
    }


def test_fingerprint(data: Data) -> str:
    """A digest over the test images alone: by it runs of other training images are known to be measured alike."""
    digest = hashlib.blake2b("\x1f".join(data.classes).encode(), digest_size=16)
    if data.test is not None:
        for sample in data.test.ids:
            digest.update(sample.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(np.ascontiguousarray(data.test.truth).tobytes())
    return digest.hexdigest()


@contextmanager
def stop_signals() -> Iterator[Callable[[], str | None]]:
    """Ctrl-C, SIGTERM and a terminal that closes ask politely: the run saves itself at the next step.

    A second Ctrl-C does not wait. Under nohup, which ignores SIGHUP, the run goes on without its terminal. Forked data
    workers inherit the handlers: what reaches the whole group ends none of them before the main process has saved.
    """
    asked: list[str] = []

    def ask(number: int, _: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.signal(number, ask) for number in _stopping()}
    try:
        yield lambda: asked[0] if asked else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping() -> list[signal.Signals]:
    """Signals that stop a run here."""
    hangup = getattr(signal, "SIGHUP", None)
    heard = hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([hangup] if hangup is not None and heard else [])]


@contextmanager
def determinism(on: bool) -> Iterator[None]:
    """Deterministic algorithms for the time of a run."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    filling: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(on)
    # It would write zeros into every new tensor, and nothing here reads what it has not written.
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        filling.fill_uninitialized_memory = before[1]
