"""A folder that `timm.create_model` loads: config.json, model.safetensors, and a README of what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..artifacts import committed
from ..errors import SslkitError
from ..hooks import Hooks
from ..measuring.finished import Finished
from ..state import plugins_of
from .about import about, answered, preparation
from .answers import KEPT, ExportError, compared, hushed
from .deciding import deciding_weights

WEIGHTS = "model.safetensors"


def write(model: Finished, target: Path, done: Callable[[int], None]) -> float:
    """Write the folder; answers how far its model's logits are from the run's (`compared`).

    Raises `ExportError` for a model that is not timm's, for a decision that no timm model holds, and where the folder's
    model, loaded again, does not answer as the run's does.
    """
    if model.generation.model is None:
        raise ExportError(
            f"{model.card['model']} is built by a plugin, and `timm.create_model` can only build timm's own models\n"
            "    `--format onnx` and `--format torch` hold the whole model"
        )
    folded = deciding_weights(model)
    done(1)
    with committed(target) as aside:
        save_file(tensors(model.classifier.network.model, folded), aside / WEIGHTS, metadata={"format": "pt"})
        (aside / "config.json").write_text(json.dumps(card(model), indent=1))
        (aside / "README.md").write_text(readme(model))
        done(1)
        difference = compared(model, normalising(model, again(aside)), "the timm model, loaded again,")
        done(1)
    return difference


def tensors(timm_model: nn.Module, folded: dict[str, Tensor]) -> dict[str, Tensor]:
    """A model's weights by timm's names, each in memory of its own as safetensors wants them."""
    own = {**timm_model.state_dict(), **folded}
    return {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        for name, tensor in own.items()
    }


def card(model: Finished) -> dict[str, Any]:
    """`config.json`: what timm builds the model by, how its images are prepared, and where it comes from.

    Written anew: what timm knows of a model is about weights that were published, not about these.
    """
    facts, built, arguments = about(model), known(model), arguments_of(model)
    if built.get("fixed_input_size") and "img_size" not in arguments:
        arguments["img_size"] = list(built["input_size"][-2:])
    pretrained = {
        "architecture": built["architecture"],
        "input_size": [model.channels, facts["image_size"], facts["image_size"]],
        "fixed_input_size": bool(built.get("fixed_input_size")),
        "interpolation": "bilinear",
        "crop_pct": facts["crop_pct"],
        "crop_mode": {"crop": "center", "squash": "squash", "pad": "border"}[facts["fit"]],
        "mean": facts["mean"],
        "std": facts["std"],
        "num_classes": len(model.classes),
        "label_names": facts["classes"],
        "pool_size": None,
        # Timm adapts the first layer of three-channel weights to other images, older versions whatever they are of.
        "first_conv": built.get("first_conv") if model.channels == 3 else None,
        "classifier": built.get("classifier"),
        "custom_load": False,
    }
    return {
        "architecture": built["architecture"],
        "num_classes": len(model.classes),
        "num_features": getattr(model.classifier.network.model, "num_features", None),
        "label_names": facts["classes"],
        "model_args": arguments,
        "pretrained_cfg": pretrained,
        "sslkit": facts,
    }


def known(model: Finished) -> dict[str, Any]:
    """What timm says of the model as it was built."""
    found: Any = model.classifier.network.model.pretrained_cfg
    return dict(found)


def arguments_of(model: Finished) -> dict[str, Any]:
    """What `create_model` is given beside the name: the recipe's options, without noise, which is the training's own."""
    cfg = model.generation
    assert cfg.model is not None
    before = getattr(model.classifier.network.model, "pretrained_model_args", None) or {}
    hooks: Hooks = plugins_of(cfg)
    arguments = {**before, **cfg.model.options, **hooks.model_kwargs(cfg.index)}
    arguments = {name: value for name, value in arguments.items() if not name.endswith(("drop_rate", "drop_path_rate"))}
    return {**arguments, "num_classes": len(model.classes), "in_chans": model.channels}


def again(folder: Path) -> nn.Module:
    """The folder's model as timm loads it. Raises `ExportError` where it does not."""
    try:
        with hushed():
            return loaded(folder)
    except SslkitError:
        raise
    except Exception as error:
        raise ExportError(f"timm does not load the exported model ({type(error).__name__}: {error}); {KEPT}") from error


def loaded(folder: Path) -> nn.Module:
    """By the folder's name alone, or, where timm is too old for that, by its card."""
    import timm

    if knows_folders():
        model: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    else:
        whole = json.loads((folder / "config.json").read_text())
        published = {**whole["pretrained_cfg"], "file": str(folder / WEIGHTS)}
        arguments = {**whole["model_args"], "pretrained": True, "pretrained_cfg": published}
        model = timm.create_model(whole["architecture"], **arguments)
    return model.eval()


def knows_folders() -> bool:
    """Whether the timm that is installed knows `local-dir:`."""
    from timm.models import _hub

    return hasattr(_hub, "load_model_config_from_path")


def normalising(model: Finished, timm_model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A timm model with the normalisation before it that its card asks for."""
    facts = about(model)
    mean, std = (torch.tensor(facts[key]).view(-1, 1, 1) for key in ("mean", "std"))
    return lambda images: timm_model((images - mean) / std)


def lines(path: str) -> str:
    """Python that loads the folder by the timm that is installed."""
    return newer(path) if knows_folders() else older(path)


def newer(path: str) -> str:
    """Python that loads the folder, wherever it is."""
    return f"""import timm

model = timm.create_model({f"local-dir:{path}"!r}, pretrained=True).eval()
config = timm.data.resolve_model_data_config(model)
prepare = timm.data.create_transform(**config, is_training=False)
"""


def older(path: str) -> str:
    """The same by a timm that does not know `local-dir:`."""
    return f"""import json, pathlib, timm

folder = pathlib.Path({path!r})
card = json.loads((folder / "config.json").read_text())
published = {{**card["pretrained_cfg"], "file": str(folder / "{WEIGHTS}")}}
model = timm.create_model(card["architecture"], pretrained=True, pretrained_cfg=published, **card["model_args"]).eval()
config = timm.data.resolve_model_data_config(model)
prepare = timm.data.create_transform(**config, is_training=False)
"""


def given(model: Finished) -> str:
    """What goes into the timm model."""
    size = model.classifier.network.image_size
    return (
        f"images: (N, {model.channels}, {size}, {size}) float32, normalised as the card says (`prepare` does it); any N"
    )


def readme(model: Finished) -> str:
    """The model's card for people."""
    facts = json.dumps(about(model), indent=1)
    return f"""---
library_name: timm
pipeline_tag: image-classification
---
# {known(model)["architecture"]}, {len(model.classes):,} classes

A timm model trained by semi-supervised self-training with sslkit. In this folder:

```python
{newer(".")}```

With a timm that is too old to know `local-dir:`:

```python
{older(".")}```

In: {given(model)}

Out: {answered(model)}

{preparation(model, normalised=True)} timm's `prepare` resizes by another method, which may change an answer that was close.

Where it comes from, what the run measured of it (shares: 1 is all), its classes in order:

```json
{facts}
```
"""
