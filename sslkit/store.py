"""What a run keeps of its pseudo-labels: the labels of each generation, and what they are the labels of.

RUN/labels/generation-N/ holds `labels.safetensors`, `manifest.json` and the state of the plugins that made them. The
columns of `labels.safetensors`, N rows, one for each image of the unlabeled split, in its order:

| column | | |
|---|---|---|
| `index` | (N,) int64 | position in the unlabeled split |
| `raw` | (N, K) float32 | the teacher's probabilities |
| `probs` | (N, K) float32 | what the student is asked to predict |
| `weight`, `copies` | (N,) float32 | in the loss (0: filtered out), and how often an epoch draws it |
| `label`, `confidence` | (N,) int64, float32 | the most probable class of `probs`, and its probability |

Where only the `k` most probable classes are kept (see the recipe's `label_top`), `raw` and `probs` are three columns
each: `raw.classes` (N, k) int16 or int32, `raw.values` (N, k) float32, and `raw.rest` (N,), the sum of the others.

`manifest.json` says where they come from: `generation` that they teach; `teacher`, the `generation` that made them (null
where its weights are no finished generation's) and the `sha256` of its weights; the `recipe`'s digest and its
`recipe_name`; `seed`; the `sslkit` version; `rows` and how many are `kept`; the names of the `classes`; and `top`, how
many classes of each row are kept (null: all).

RUN/samples/ says what the images were, so that labels can be looked at when the data is gone: see `Samples`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .artifacts import committed, damage, load_tree, save_tree, write_tensors
from .dataset import Images, Rows
from .errors import RunError
from .pool import TopK
from .types import Targets

FORMAT = 2
"1 had shards of a million rows, which are still opened."
LABELS, MANIFEST, SAMPLES = "labels.safetensors", "manifest.json", "samples.safetensors"
PARTS = ("classes", "values", "rest")
"Of a `TopK`, as columns."
SMALL = 1_000_000
"Bytes of a file that is read, and compared with its checksum, even by those who only look."
AGAIN = "Remove that folder and checkpoints/{name}-*, and resume: they are made again"


# Columns ----------------------------------------------------------------------------------------------------------


def flat(targets: Targets, top: int | None, apart: bool = True) -> dict[str, Tensor]:
    """Columns of targets by name, dense probabilities as the `top` most probable ones. Not `apart`: without `probs`."""
    columns: dict[str, Tensor] = {}
    for name in Targets.columns if apart else (name for name in Targets.columns if name != "probs"):
        value = cast("Tensor | TopK", getattr(targets, name))
        if name in ("raw", "probs") and top is not None and isinstance(value, Tensor):
            value = TopK.of(value, top)
        if isinstance(value, TopK):
            columns |= {f"{name}.{part}": getattr(value, part) for part in PARTS}
        else:
            columns[name] = value
    return columns


def unflat(columns: Mapping[str, Tensor], classes: int) -> Targets:
    """Targets of such columns; those without `probs` have the raw ones."""
    made: dict[str, Any] = {}
    for name in Targets.columns:
        if f"{name}.values" in columns:
            parts = {part: columns[f"{name}.{part}"] for part in PARTS}
            made[name] = TopK(**parts, count=classes)
        else:
            made[name] = columns[name] if name in columns else made["raw"]
    return Targets(**made)


class Filling:
    """A pool's columns while its chunks come in: each is written where it belongs, and nothing is held twice.

    While every chunk's `probs` are its `raw` (nothing refined them) the pool's are one, too.
    """

    def __init__(self, rows: int, top: int | None) -> None:
        """`rows`: how many there will be; `top`: classes of each that are kept, None for all."""
        self.rows, self.top = rows, top
        self.columns: dict[str, Tensor] = {}
        self.apart, self.done, self.classes = False, 0, 0

    def add(self, part: Targets) -> None:
        """The next rows."""
        if part.probs is not part.raw and not self.apart:
            raw = {name: column for name, column in self.columns.items() if name.startswith("raw")}
            self.columns |= {name.replace("raw", "probs"): column.clone() for name, column in raw.items()}
            self.apart = True
        self.classes, place = part.probs.shape[1], slice(self.done, self.done + len(part.index))
        for name, column in flat(part, self.top, self.apart).items():
            if name not in self.columns:
                self.columns[name] = torch.empty((self.rows, *column.shape[1:]), dtype=column.dtype)
            self.columns[name][place] = column
        self.done = place.stop

    def targets(self) -> Targets:
        """All of them."""
        return unflat(self.columns, self.classes)


# Labels -----------------------------------------------------------------------------------------------------------


def save_labels(
    folder: Path, stored: Targets, classes: tuple[str, ...], provenance: dict[str, Any], state: dict[str, Any]
) -> None:
    """One file of columns, a manifest, and the plugin state that refining left, as the module says.

    Labels and state are committed together: labels are never made twice, so the state must not be lost. One file,
    however many rows: it is mapped into memory as it is, where several would have to be joined, which reads them all.
    """
    columns = flat(stored, None)
    values = columns.get("probs.values")
    with committed(folder) as aside:
        write_tensors(aside / LABELS, {**columns, "label": stored.label, "confidence": stored.confidence})
        manifest = {
            "format": FORMAT,
            **provenance,
            "rows": len(stored.index),
            "kept": int(stored.kept.sum()),
            "classes": list(classes),
            "top": None if values is None else values.shape[1],
            "shards": [{"file": LABELS, "rows": len(stored.index)}],
        }
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1))
        save_tree(aside, "plugins", state)


def load_labels(folder: Path, whole: bool = True) -> tuple[Targets, dict[str, Any], dict[str, Any]]:
    """The stored labels, mapped into memory: read as they are touched; their manifest; the plugin state with them.

    `whole`: read every file first, and compare it with its checksum. Otherwise, for those who only look, large files
    must be there, and as long as they were. Raises `RunError` where that is not so.
    """
    problem = damage(folder) if whole else damage(folder, SMALL)
    if problem:
        raise _damaged(folder, problem)
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        parts = [mapped(folder / shard["file"]) for shard in manifest["shards"]]
        plugins = load_tree(folder, "plugins") if whole else {}
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise _damaged(folder, f"it cannot be read: {error}") from error
    joined = parts[0] if len(parts) == 1 else {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return unflat(joined, len(manifest["classes"])), manifest, plugins


def mapped(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, mapped into memory. Raises `SafetensorError` where it is cut off."""
    with safe_open(path, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118


def _damaged(folder: Path, problem: str) -> RunError:
    return RunError(f"the pseudo-labels in {folder} are damaged ({problem}). {AGAIN.format(name=folder.name)}")


# Samples ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Samples:
    """What the images of a run's unlabeled split were, in its order. Mapped into memory, as labels are.

    RUN/samples/samples.safetensors has the columns `truth` (N,) int64, `ends` (N,) int64 and `ids` (B,) uint8: all ids,
    one behind another, in UTF-8 (bytes of file names that are none as they are), and where each ends.
    """

    truth: Tensor  # (N,) what labels are judged by: `Data.hidden_truth`
    ends: Tensor
    blob: Tensor

    @classmethod
    def of(cls, images: Images) -> Samples:
        """What a split is."""
        blob, ends = bytearray(), np.empty(len(images), dtype=np.int64)
        for number, text in enumerate(_encoded(images.ids)):
            blob += text
            ends[number] = len(blob)
        ids = torch.frombuffer(blob, dtype=torch.uint8) if blob else torch.empty(0, dtype=torch.uint8)
        return cls(torch.as_tensor(images.truth, dtype=torch.int64), torch.from_numpy(ends), ids)

    def __len__(self) -> int:
        return len(self.truth)

    def ids(self, rows: Sequence[int] | Rows | Tensor | slice) -> list[str]:
        """The ids at these positions. Raises `IndexError` where there are none."""
        number = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        ends, blob = self.ends.numpy(), self.blob.numpy()
        if len(number) and not 0 <= number.min() <= number.max() < len(self):
            raise IndexError(f"there are {len(self)} samples")
        begins = np.where(number > 0, ends[number - 1], 0)
        spans = zip(begins.tolist(), ends[number].tolist(), strict=True)
        return [blob[begin:end].tobytes().decode("utf-8", "surrogateescape") for begin, end in spans]


def save_samples(folder: Path, images: Images) -> None:
    """Write down what a split is: `Samples`."""
    samples = Samples.of(images)
    with committed(folder) as aside:
        write_tensors(aside / SAMPLES, {"truth": samples.truth, "ends": samples.ends, "ids": samples.blob})


def _encoded(ids: Iterable[str]) -> Iterator[bytes]:
    return (text.encode("utf-8", "surrogateescape") for text in ids)


def load_samples(folder: Path) -> Samples:
    """What was written down. Raises `RunError` where it is damaged."""
    problem = damage(folder, SMALL)
    try:
        if problem:
            raise ValueError(problem)
        columns = mapped(folder / SAMPLES)
        return Samples(columns["truth"], columns["ends"], columns["ids"])
    except (OSError, ValueError, LookupError, SafetensorError) as error:
        raise RunError(
            f"{folder}, which says what the pseudo-labels' images were, is damaged ({error}). Remove it, and resume the "
            "run: it is written again, from the data"
        ) from error
