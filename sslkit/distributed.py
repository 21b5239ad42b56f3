"""What training on several processes asks of a loss."""

import torch
from torch import Tensor, distributed


def global_mean(values: Tensor) -> Tensor:
    """The mean of `values` (any shape) over all rows and all processes, as DistributedDataParallel wants it.

    DDP averages gradients over processes, so each process returns its own sum over the global count, times the number
    of processes: right also where the last batch differs in size. Rows filtered out count as zeros: dividing by the
    rows kept instead would let a few early pseudo-labels weigh as much as a full batch.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return values.mean()
    count = torch.tensor(values.numel(), device=values.device)  # an integer: exact, whatever the values' precision
    distributed.all_reduce(count)
    return values.sum() * distributed.get_world_size() / count
