"""`sslkit --version`: what a report of a problem needs, as far as it can be had."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from click.testing import CliRunner

from sslkit import __version__
from sslkit.cli import cli
from sslkit.commands import version as module


def said():
    done = CliRunner().invoke(cli, ["--version"], prog_name="sslkit")
    assert done.exit_code == 0 and done.stderr == ""
    return done.stdout.splitlines()


def test_versions_and_device():
    *packages, device = said()
    assert packages == [
        f"sslkit {__version__}", f"Python {platform.python_version()}",
        f"torch  {version('torch')}", f"timm   {version('timm')}",
    ]  # fmt: skip
    if not torch.cuda.is_available():
        threads = torch.get_num_threads()
        assert device == f"device cpu, {threads} thread" + "s" * (threads != 1)


def test_a_gpu_is_told_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert said()[-1] == "device cuda, NVIDIA H100"


def test_threads_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for number, words in ((1, "1 thread"), (16, "16 threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda number=number: number)
        assert said()[-1] == f"device cpu, {words}"


@pytest.mark.parametrize("error", [ImportError("libtorch.so: gone\nmore"), OSError("libtorch.so: gone")])
def test_a_torch_that_cannot_be_imported_is_told(error, monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "torch":
                raise error

    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert said()[-1] == f"device unknown, for torch cannot be imported ({type(error).__name__}: libtorch.so: gone)"


def test_what_is_not_installed_is_told(monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(module, "version", missing)
    assert said()[2:4] == ["torch  not installed", "timm   not installed"]
    monkeypatch.setattr(module, "version", lambda package: "1.0")
    monkeypatch.setattr(module, "find_spec", lambda package: None)
    assert said()[3] == "timm   1.0, but its files are gone: install it again"
