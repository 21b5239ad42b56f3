"""A `torch.export` program: the whole model as a graph, which runs without sslkit, timm, or the model's own code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from ..artifacts import committed_file
from ..measuring.finished import Finished
from ..recipe.message import listed
from .about import about, preparation
from .answers import compared, hushed, traced

FACTS = "sslkit.json"
"The entry of the archive that says what the model is."


def write(model: Finished, target: Path, done: Callable[[int], None]) -> float:
    """Write the program; answers how far its logits are from the run's (`compared`).

    Raises `ExportError` for a model that cannot be traced, and where the program, loaded again, answers otherwise.
    """
    program = traced(model)
    done(1)
    # torch would pickle them; without them the archive is of raw tensors and JSON alone.
    program.example_inputs = None
    facts = {**about(model), "prepare": preparation(model, normalised=False)}
    with committed_file(target) as aside, hushed():
        archive = io.BytesIO()  # torch's own writer ends the process on a full disk
        torch.export.save(program, archive, extra_files={FACTS: json.dumps(facts, indent=1)})
        aside.write_bytes(archive.getbuffer())
        del archive
        done(1)
        module: nn.Module = torch.export.load(aside).module()
        difference = compared(model, module, "the program, loaded again,")
        done(1)
    return difference


def pickles(path: Path) -> tuple[str, ...]:
    """What to say of pickles in a program, which torch's older versions write; a reader must trust who made them."""
    with zipfile.ZipFile(path) as archive:
        found = [name for name in archive.namelist() if pickled(archive, name)]
    said = f"torch {torch.__version__} wrote pickles into {path.name}: {listed(found)}. A later torch writes none"
    return (said,) if found else ()


def pickled(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether an entry is an archive of torch's, which holds pickles, or a pickle itself. Numbers may begin as either does."""
    if name.endswith(".pkl"):
        return True
    with archive.open(name) as entry:
        head = entry.read(4)
        return head == ZIPPED or (head[:2] == PICKLE and entry.seek(-1, 2) >= 0 and entry.read() == STOP)


ZIPPED, PICKLE, STOP = b"PK\x03\x04", b"\x80\x02", b"."
"How archives and pickles begin, and how pickles end."


def lines(path: str) -> str:
    """Python that loads the program."""
    return f"import torch\n\nmodel = torch.export.load({path!r}).module()\nlogits = model(images)\n"
