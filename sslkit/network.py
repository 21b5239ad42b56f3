"""The network around a model: normalisation, features, heads, and the modes a pass runs it in."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from .errors import PluginError, RecipeError, SslkitError
from .hooks import Hooks
from .pretrained import hub, load_weights, or_a_file
from .recipe import factories
from .recipe.message import Problems, did_you_mean, listed
from .recipe.model import Fit, Generation, ModelTable, ViewTable
from .types import Facts, Outputs, ViewSpec


class Network(nn.Module):
    """(N, C, H, W) floats in 0-1 -> `Outputs`. Heads read what the model's classifier reads."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: list[float], std: list[float], image_size: int, classes: int) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.image_size = image_size  # pixels on a side of the views that are made for it
        self.fit: Fit = "crop"  # how images of any shape become the views that no noise crops
        self.crop = 1.0  # and the share of their sides that these show
        self.frozen: tuple[str, ...] = ()  # layers that stay as they are, by the start of their names
        self.heads = nn.ModuleDict()
        self.normalisation = (tuple(mean), tuple(std))  # the buffers' numbers, wherever these are
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self._features: Tensor | None = None
        self._mode: tuple[bool, bool, bool] | None = None
        self._learning: list[tuple[nn.Module, bool, bool]] = []
        classifier = classifier_of(model)
        if classifier is not None:
            classifier.register_forward_pre_hook(self._keep_features)

    def _keep_features(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._features = arguments[0]

    def forward(self, images: Tensor) -> Outputs:
        """One pass, in whichever mode the network is."""
        logits = self.model((images - self.mean) / self.std)
        if logits.shape != (images.shape[0], self.classes):
            raise PluginError(
                f"[model]: the model answered {tuple(logits.shape)} for {len(images)} images; logits of shape "
                f"{(len(images), self.classes)} were expected"
            )
        features, self._features = self._features, None
        if self.heads and features is None:
            raise PluginError("the model says no classifier (`get_classifier()`), so heads have nothing to read")
        return Outputs(logits, features, {name: head(features) for name, head in self.heads.items()})

    def view_spec(self, name: str, stream: str, channels: int, said: ViewTable | None = None) -> ViewSpec:
        """A view as this model takes it, but for what the recipe says of the view itself."""
        fit, crop = (said.fit, said.crop) if said else (None, None)
        border = tuple(round(255 * value) for value in self.normalisation[0])
        return ViewSpec(name, stream, self.image_size, channels, crop or self.crop, fit or self.fit, border)

    def set_mode(self, *, noise: bool, batch_norm: str, write_stats: bool) -> None:
        """How the next passes run.

        `noise` is `training` on every module but normalisation: timm's EfficientNet drops functionally, so switching
        off Dropout modules would not do. Statistics are left unwritten by `track_running_stats`, which in training mode
        decides nothing else. Frozen layers run as they would in evaluation, whatever a pass says.
        """
        mode = (noise, batch_norm == "batch", write_stats)
        if mode == self._mode:
            return
        if self._mode is None:  # walking through all modules takes longer than setting them
            self._learning = [
                (module, not f"{name}.".startswith(self.frozen), counts(module))
                for name, module in self.named_modules()
            ]
        self._mode = mode
        for module, learns, norm in self._learning:
            own = vars(module)  # plain entries: a module's `__setattr__` looks for tensors first
            if norm:
                own["training"] = learns and batch_norm == "batch"
                own["track_running_stats"] = write_stats or not own["training"]
            else:
                own["training"] = learns and noise

    def freeze(self, layers: list[str]) -> None:
        """Let the model's layers whose names start so stay as they are: no gradient, no noise, the running statistics.

        Raises `RecipeError` where none is called so.
        """
        names = [name for name, _ in self.model.named_parameters()]
        for layer in layers:
            if not any(name.startswith(layer) for name in names):
                known = dict.fromkeys(start for name in names for start in beginnings(name))
                outermost = listed(dict.fromkeys(name.partition(".")[0] for name in names))
                hint = did_you_mean(layer, known) or f"they start with {outermost}"
                raise RecipeError(f"[model] freeze: no parameter's name starts with `{layer}`\n  {hint}")
        self._mode, self.frozen = None, tuple(f"model.{layer}" for layer in layers)
        for name, parameter in self.named_parameters():
            if name.startswith(self.frozen):
                parameter.requires_grad_(False)

    @property
    def head(self) -> str:
        """The classifier's name within the model; empty where the model names none."""
        classifier = classifier_of(self.model)
        return next((name for name, module in self.model.named_modules() if module is classifier), "")

    def add_heads(self, heads: dict[str, nn.Module]) -> None:
        """Further modules on the classifier's input."""
        self._mode = None
        self.heads.update(heads)

    def train(self, mode: bool = True) -> Network:
        """As every module's; forgets the mode of the last pass."""
        self._mode = None
        super().train(mode)
        return self

    def layers(self) -> dict[str, int]:
        """The model's layers by the names of parameters here, from the input on; nothing where it tells of none."""
        from timm.models import group_parameters

        matcher = getattr(self.model, "group_matcher", None)
        found = group_parameters(self.model, matcher(coarse=False), reverse=True) if matcher else {}
        return {f"model.{name}": layer for name, layer in found.items()}

    def no_weight_decay(self) -> set[str]:
        """Parameters that the model keeps from decay, by their names here."""
        return {f"model.{name}" for name in getattr(self.model, "no_weight_decay", tuple)()}


def counts(module: nn.Module) -> bool:
    """Whether a module normalises and keeps running statistics."""
    return isinstance(module, _NormBase) and module.running_mean is not None


def beginnings(name: str) -> list[str]:
    """A parameter's layers, outermost first: `blocks`, `blocks.0`, ..."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def classifier_of(model: nn.Module) -> nn.Module | None:
    """The layer that timm's `get_classifier()` names, if it names one."""
    layer = getattr(model, "get_classifier", lambda: None)()
    return layer if isinstance(layer, nn.Module) else None


def image_size(generation: Generation) -> int:
    """Pixels on a side that a generation's model sees; read from timm's tables without building anything."""
    if generation.model_size is not None:
        return generation.model_size
    if generation.model is None:
        return 32
    import timm

    config = timm.get_pretrained_cfg(generation.model.name)
    return int(config.input_size[-1]) if config is not None else 224


def build_network(generation: Generation, hooks: Hooks, facts: Facts, extra: dict[str, Any] | None = None) -> Network:
    """A fresh network, heads included, on `facts.device`. Initial weights come from torch's default generator."""
    kwargs = {**hooks.model_kwargs(generation.index), "num_classes": len(facts.classes), "in_chans": facts.channels}
    table = generation.model
    model = hooks.build_model(facts, kwargs) if table is None else timm_model(table, kwargs, hooks)
    if model is None:
        raise RecipeError("[model]: neither a timm model's `name` nor a model plugin builds the student")
    config = getattr(model, "pretrained_cfg", None) or {}
    mean, std = (
        fit_channels((getattr(table, key) if table else None) or list(config.get(key, default)), facts.channels)
        for key, default in (("mean", (0.5,) * 3), ("std", (0.5,) * 3))
    )
    network = Network(model, mean, std, image_size(generation), len(facts.classes))
    network.add_heads(hooks.extend_model(network))
    if table is not None:
        if table.weights:
            load_weights(network.model, Path(table.weights), facts.channels, network.head)
        network.crop, network.fit = table.crop, table.fit
        network.freeze(table.freeze)
    # Images come channels last, and convolutions are faster that way; other layers do not mind.
    return network.to(facts.device).to(memory_format=torch.channels_last)


def check_names(generations: list[Generation]) -> None:
    """Refuse models and optimizers that timm does not have before anything is trained, in whichever generation."""
    problems = Problems()
    for cfg in generations:
        problems.generation = cfg.index
        factories.check_names(cfg.table, problems)
    problems.raise_any(len(generations))


def without_weights(cfg: Generation) -> Generation:
    """The same network without files and downloads: for its shapes, or for weights that come from elsewhere."""
    return cfg if cfg.model is None else replace(cfg, model=replace(cfg.model, pretrained=False, weights=None))


def fit_channels(values: list[float], channels: int) -> list[float]:
    """Normalisation numbers for as many channels as the images have: colours keep theirs, others get the mean."""
    mean = sum(values) / len(values)
    return values if len(values) == channels else [*values, mean] if len(values) == channels - 1 else [mean] * channels


def timm_model(table: ModelTable, kwargs: dict[str, Any], hooks: Hooks) -> nn.Module:
    """Timm's factory, its failures said in the recipe's terms."""
    import timm

    kwargs = {**table.options, **kwargs}
    silent = ""
    try:
        with hub() if table.fetched else nullcontext("") as silent:
            model: nn.Module = timm.create_model(table.name, pretrained=table.fetched, **kwargs)
    except TypeError as error:
        refused = next((name for name in kwargs if f"'{name}'" in str(error)), None)
        if refused is None:
            raise RecipeError(f"[model] {table.name}: timm refuses it ({error})") from error
        owner = hooks.asks_for(refused)
        way = f"leave `{owner}` out (enabled = false)" if owner else "leave it out"
        raise RecipeError(
            f"[model] {table.name}: takes no `{refused}`, which `{owner or '[model] options'}` sets; "
            f"choose another model, or {way}"
        ) from error
    except Exception as error:
        if not table.fetched:
            raise RecipeError(f"[model] {table.name}: timm refuses it ({type(error).__name__}: {error})") from error
        why = silent or f"{type(error).__name__}: {error}"
        raise RecipeError(
            f"[model] {table.name}: its published weights could not be fetched ({why}). {or_a_file()}"
        ) from error
    return model


def require_timm() -> None:
    """Import timm, and say what mends the one way in which that commonly fails."""
    try:
        import timm  # noqa: F401
    except (RuntimeError, AttributeError, ImportError) as error:
        raise SslkitError(
            f"timm cannot be imported: {error}\n"
            f"torch {torch.__version__} and torchvision do not fit each other. Let pip choose them together:\n"
            "    pip install --force-reinstall torch torchvision"
        ) from error
