"""Which parameters decay, where timm's own rules (kernels, or everything) do not say it."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .errors import RecipeError
from .recipe.model import OptimizerTable

NORMALISATION = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def normalises(module: nn.Module) -> bool:
    """Whether a layer is one of torch's normalisation layers, or of timm's own."""
    kind = type(module)
    return isinstance(module, NORMALISATION) or (kind.__module__.startswith("timm.layers") and "Norm" in kind.__name__)


def spared(model: nn.Module) -> set[str]:
    """Names of parameters that `decay = "all_but_norm"` leaves alone: normalisation's, and those the model names."""
    own = {
        f"{layer}.{name}" if layer else name
        for layer, module in model.named_modules()
        if normalises(module)
        for name, _ in module.named_parameters(recurse=False)
    }
    return own | set(getattr(model, "no_weight_decay", set)())


def decaying(table: OptimizerTable, model: nn.Module) -> Any:
    """What timm's factory is given: the model, which it groups by itself, or groups made here.

    Raises `RecipeError` for options that are about timm's own groups.
    """
    if table.decay != "all_but_norm":
        return model
    if "layer_decay" in table.options:
        raise RecipeError(
            '[optimizer] options: `layer_decay` makes groups of its own, which `decay = "all_but_norm"` replaces: '
            'leave one out, or set decay = "kernels"'
        )
    names = spared(model)
    learning = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for name, p in learning if name in names], "weight_decay": 0.0},
        {"params": [p for name, p in learning if name not in names], "weight_decay": table.weight_decay},
    ]
    return [group for group in groups if group["params"]]
