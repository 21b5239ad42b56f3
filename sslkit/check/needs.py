"""How much memory a training step takes, and how much room a run takes on the disk.

Counted on torch's meta device where the model allows it, which knows shapes and computes nothing: so the largest models
are known in seconds, on any machine.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from ..ahead import AHEAD, BUDGET
from ..checkpoint import KEPT
from ..dataset import Data
from ..network import Network
from ..pool import most_probable
from ..recipe.model import Settings

ROWS = 2
"Images that a model is tried on: batch-norm needs two."
HALF = {"float32": 1.0, "bfloat16": 0.5}
"What autocast leaves of activations."


@dataclass(frozen=True)
class Needs:
    """Bytes that one generation takes, apart by what takes them."""

    weights: int
    "Of the student, its batch-norm statistics included."
    gradients: int
    optimizer: int
    others: int
    "Average and teacher."
    activations: int
    "What a step keeps for its backward pass."
    images: int
    "A step's views, as floats."
    ahead: int
    "Steps that workers have made ahead."
    labeling: int
    "Labeling or evaluating a chunk of images, weights included."
    model: int
    "On the disk: the finished generation's models."
    checkpoint: int
    "On the disk: one checkpoint."
    labels: int
    "On the disk: the pool's labels."

    @property
    def memory(self) -> int:
        """What training or labeling takes, whichever is more; Python and its libraries come on top."""
        step = self.gradients + self.optimizer + self.activations + self.images
        return self.weights + self.others + max(step, self.labeling) + self.ahead


class Measured(Protocol):
    """What has such needs."""

    needs: Needs | None
    teachers: dict[str, str]


def needs_of(
    network: Network, optimizer: torch.optim.Optimizer, rows: dict[str, int], passed: int, copies: Sequence[Network],
    *, settings: Settings, channels: int, pool: int, selects: bool, averaged: bool,
) -> Needs:  # fmt: skip
    """What a generation takes. `rows`: of each view that is made; `passed`: rows that the student sees in a step;
    `copies`: average and teacher; `pool`: images whose labels are stored; `selects`: whether a best step is kept.
    """
    weights, state, chunk = state_bytes(network), optimizer_bytes(optimizer), settings.label_batch
    pixels = channels * network.image_size**2
    # Raw weights, their average where one is kept, and the selected step's of what is evaluated.
    model = weights * (1 + averaged + selects)
    return Needs(
        weights=weights,
        gradients=size_of(p for p in network.parameters() if p.requires_grad),
        optimizer=state,
        others=sum(state_bytes(copy) for copy in copies),
        activations=round(saved_bytes(network, channels) * passed * HALF[settings.precision]),
        images=sum(rows.values()) * pixels * 4,
        ahead=min(BUDGET, (AHEAD + 1) * sum(rows.values()) * pixels * settings.workers),
        labeling=round(passing_bytes(network, channels) * chunk * HALF[settings.precision]) + 5 * chunk * pixels,
        model=model,
        checkpoint=model + state,
        labels=pool * label_bytes(network.classes, most_probable(network.classes, settings.label_top)),
    )


def label_bytes(classes: int, top: int | None = None) -> int:
    """One row of stored labels: two lists of probabilities, three floats, two whole numbers.

    `top`: how many probabilities a list keeps, each with its class, and the remainder; None: all.
    """
    return 2 * (4 * classes if top is None else 6 * top + 4) + 3 * 4 + 2 * 8


def state_bytes(module: nn.Module) -> int:
    """Parameters and buffers, as they are saved."""
    return size_of(module.state_dict().values())


def size_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors."""
    return sum(tensor.nbytes for tensor in tensors)


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """What an optimizer keeps of each parameter, found by a step down gradients of 0; alike ones are tried once."""
    first: dict[tuple[int, torch.Size], nn.Parameter] = {}
    alike: Counter[tuple[int, torch.Size]] = Counter()
    for number, group in enumerate(optimizer.param_groups):
        for parameter in group["params"]:
            kind = (number, parameter.shape)
            alike[kind] += 1
            if kind not in first:
                first[kind], parameter.grad = parameter, torch.zeros_like(parameter)
    optimizer.step()
    kept = {kind: [v for v in optimizer.state[one].values() if isinstance(v, Tensor)] for kind, one in first.items()}
    return sum(size_of(kept[kind]) * count for kind, count in alike.items())


def saved_bytes(network: Network, channels: int) -> float:
    """Bytes that one image's forward pass keeps for the backward pass, weights not counted."""
    kept: dict[int, Tensor] = {}
    own = {key_of(tensor) for tensor in [*network.parameters(), *network.buffers()]}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(key_of(tensor), tensor)  # held, so that its key is not given to another
        return tensor

    network.set_mode(noise=True, batch_norm="batch", write_stats=False)
    with saved_tensors_hooks(keep, lambda tensor: tensor), torch.enable_grad():
        answer = network(blank(network, channels))  # noqa: F841 -- its graph holds what is counted
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own) / ROWS


def passing_bytes(network: Network, channels: int) -> float:
    """Bytes that one image's answer needs while it is made, at its worst moment, where nothing is kept for later."""
    network.set_mode(noise=False, batch_norm="running", write_stats=False)
    with torch.no_grad(), Living() as living:
        network(blank(network, channels))
    return float(living.most / ROWS)


def blank(network: Network, channels: int) -> Tensor:
    """Images that a model is tried on."""
    device, side = next(network.parameters()).device, network.image_size
    return torch.zeros(ROWS, channels, side, side, device=device).to(memory_format=torch.channels_last)


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are made inside, as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for tensor in answer if isinstance(answer, (tuple, list)) else [answer]:
            if isinstance(tensor, Tensor):
                self.born(tensor)
        return answer

    def born(self, tensor: Tensor) -> None:
        """A tensor lies in new memory, or in some that is known."""
        key, size = key_of(tensor), tensor.untyped_storage().nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
        weakref.finalize(tensor, self.died, key, size)

    def died(self, key: int, size: int) -> None:
        """The first view of some memory is gone: what still looks at it is short-lived, too."""
        if key in self.known:
            self.known.discard(key)
            self.now -= size


def key_of(tensor: Tensor) -> int:
    """Which memory a tensor is a view of."""
    return int(tensor.untyped_storage()._cdata)


def per_image(generations: Sequence[Measured], classes: int, label_top: int) -> int:
    """Bytes of labels that each unlabeled image takes in a run, where it is not known how many there are."""
    taught = sum("pool" in one.teachers for one in generations)
    return taught * label_bytes(classes, most_probable(classes, label_top))


def known(count: Callable[[], Needs]) -> Needs | None:
    """A count, or None where a model or an optimizer cannot do without computing."""
    with suppress(Exception):  # a third party's code on a device that it was not written for may raise anything
        return count()
    return None


def disk(generations: Sequence[Measured], baseline: bool) -> int | None:
    """Bytes that a whole run takes at most: models, labels, the checkpoints that are kept and the one being written."""
    found: list[Needs] = [one.needs for one in generations if one.needs is not None]
    if len(found) < len(generations):
        return None
    first = found[0]
    total = sum(one.model + one.labels for one in found) + (KEPT + 1) * max(one.checkpoint for one in found)
    return total + baseline * (first.model + KEPT * first.checkpoint)


def has_validation(data: Data | None) -> bool:
    """Whether a best step will be selected; where the data is not there, it may be."""
    return data is None or (data.validation is not None and data.validation.known)
