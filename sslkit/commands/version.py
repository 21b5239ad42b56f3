"""`sslkit --version`: what a report of a problem needs, as far as it can be had."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from .. import __version__
from ..recipe.message import counted

WIDTH = 7


def lines() -> Iterator[str]:
    """sslkit, Python, torch, timm, device. Only the device takes an import, so it comes last."""
    yield f"{'sslkit':{WIDTH}}{__version__}"
    yield f"{'Python':{WIDTH}}{platform.python_version()}"
    for package in ("torch", "timm"):
        yield f"{package:{WIDTH}}{installed(package)}"
    yield f"{'device':{WIDTH}}{device()}"


def installed(package: str) -> str:
    """A package's version, without importing it."""
    try:
        found = version(package)
    except PackageNotFoundError:
        return "not installed"
    return found if find_spec(package) else f"{found}, but its files are gone: install it again"


def device() -> str:
    """Where a run computes if no --device is given."""
    try:
        import torch
    except Exception as error:  # a broken installation fails in any way, and this is to tell which
        reason = next(iter(str(error).splitlines()), "")
        return f"unknown, for torch cannot be imported ({type(error).__name__}: {reason})"
    place = "cuda" if torch.cuda.is_available() else "cpu"
    if place == "cuda":
        return f"{place}, {torch.cuda.get_device_name()}"
    return f"{place}, {counted(torch.get_num_threads(), 'thread')}"
