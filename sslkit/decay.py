"""Groups of parameters: which decay, and at which share of the learning rate each layer learns.

Timm makes the groups where its own rules (kernels, or everything, at one rate) say it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from .errors import RecipeError
from .network import Network
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


def rates(table: OptimizerTable, model: nn.Module) -> dict[str, float]:
    """Factors on the learning rate by names of parameters; nothing where all learn alike.

    What is trained beside the student and is no network of the recipe's model learns at the full rate. Raises
    `RecipeError` where the model does not tell what the factors are for.
    """
    if table.layer_decay == table.backbone == 1 or not isinstance(model, Network):
        return {}
    layers = model.layers() if table.layer_decay != 1 else {}
    if table.layer_decay != 1 and not layers:
        raise RecipeError("[optimizer] layer_decay: the model tells of no layers (`group_matcher`): leave it out, or "
                          "slow all but its classifier: `backbone`")  # fmt: skip
    if table.backbone != 1 and not model.head:
        raise RecipeError("[optimizer] backbone: the model names no classifier (`get_classifier`): leave it out")
    last, top = max(layers.values(), default=0), (f"model.{model.head}.", "heads.")
    return {
        name: table.layer_decay ** (last - layers.get(name, last)) * (1 if name.startswith(top) else table.backbone)
        for name, _ in model.named_parameters()
    }


def undecayed(table: OptimizerTable, model: nn.Module) -> set[str]:
    """Names of parameters that do not decay; those of `kernels` and `all` are what timm leaves out."""
    if table.decay == "all_but_norm":
        return spared(model)
    own = set(getattr(model, "no_weight_decay", set)())
    flat = {name for name, p in model.named_parameters() if p.ndim <= 1 or name.endswith(".bias")}
    return own | flat if table.decay == "kernels" else own


def decaying(table: OptimizerTable, model: nn.Module) -> Any:
    """What timm's factory is given: the model, which it groups by itself, or groups made here."""
    if "layer_decay" in table.options:
        raise RecipeError("[optimizer] options: `layer_decay` has a key of its own: say `layer_decay` in [optimizer]")
    factors = rates(table, model)
    if table.decay != "all_but_norm" and not factors:
        return model
    free, groups = undecayed(table, model), defaultdict[tuple[bool, float], list[nn.Parameter]](list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[name not in free, factors.get(name, 1.0)].append(parameter)
    return [
        {"params": own, "weight_decay": table.weight_decay * decays, **({"lr_scale": factor} if factors else {})}
        for (decays, factor), own in sorted(groups.items(), key=lambda item: item[0])
    ]
