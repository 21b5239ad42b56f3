"""A timm model for small images: some of its strides are removed, so that the last layers still see more than a pixel."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Gt, MinLen
from torch import nn

from sslkit import SslkitError, hookimpl

POOLS = (nn.AvgPool2d, nn.MaxPool2d)


def strided(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that shrink images, by name: convolutions and pools whose stride is not 1."""
    leaves = {name: layer for name, layer in model.named_modules() if not any(True for _ in layer.children())}
    return {name: layer for name, layer in leaves.items() if getattr(layer, "stride", 1) not in (1, (1, 1))}


def unstride(model: nn.Module, layers: Iterable[str]) -> None:
    """Give every layer a stride of 1 whose name starts so, in place.

    A pool of separate boxes, which moves by its own size, goes altogether, as in a network that is built with stride 1.
    Raises `KeyError` with the start of a name that no layer with a stride has.
    """
    for start in layers:
        found = {name: layer for name, layer in strided(model).items() if name.startswith(start)}
        if not found:
            raise KeyError(start)
        for name, layer in found.items():
            parent, _, last = name.rpartition(".")
            if isinstance(layer, POOLS) and layer.kernel_size == layer.stride:
                setattr(model.get_submodule(parent), last, nn.Identity())
            else:
                layer.stride = (1, 1) if isinstance(layer.stride, tuple) else 1  # type: ignore[assignment]


def timm_model(architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """Timm's model. Raises `SslkitError` for a name or an argument that it does not take."""
    import timm

    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, timm.list_models(), 1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        raise SslkitError(f"unstrided: timm has no model `{architecture}`{hint}")
    try:
        model: nn.Module = timm.create_model(architecture, **arguments)
    except Exception as error:
        raise SslkitError(f"unstrided: timm refuses {architecture} ({type(error).__name__}: {error})") from error
    return model


@dataclass(eq=False, kw_only=True)
class Unstrided:
    """A timm model in which some layers no longer shrink the image, for images smaller than it was made for.

    EfficientNet halves its images five times: 32 pixels become one. Noisy Student's official code takes the strides of
    stages 1 and 2 away for SVHN (`small_image_model`; stages are counted from 0), and four by four pixels are left.
    Nothing else changes: parameters, noise and timm's options are those of the model. Raises `SslkitError` for a model,
    an option or a layer that is not there.
    """

    architecture: str
    "timm's name of the model."
    layers: Annotated[list[str], MinLen(1)] = field(default_factory=lambda: ["blocks.1", "blocks.2"])
    "Layers that lose their strides, by the start of their names: `layer2` of a ResNet, `blocks.1` of an EfficientNet."
    mean: Annotated[list[float], MinLen(1)] | None = None
    "Normalisation, for each channel; by default the model's own."
    std: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] | None = None
    "Normalisation, for each channel; by default the model's own."
    options: dict[str, Any] = field(default_factory=dict)
    "Further arguments of timm's `create_model`."

    @hookimpl
    def build_model(self, kwargs: dict[str, Any]) -> nn.Module:
        """The model, with the classes and channels of `kwargs`."""
        model = timm_model(self.architecture, {**self.options, **kwargs})
        before = list(strided(model))
        try:
            unstride(model, self.layers)
        except KeyError as error:
            raise SslkitError(
                f"unstrided: no layer of {self.architecture} with a stride has a name that starts with "
                f"`{error.args[0]}`; there are: {', '.join(before)}"
            ) from error
        said = {"mean": self.mean, "std": self.std}
        known: Any = getattr(model, "pretrained_cfg", None) or {}
        model.pretrained_cfg = {**known, **{key: value for key, value in said.items() if value}}  # type: ignore[assignment]
        return model
