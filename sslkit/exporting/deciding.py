"""Which of a model's layers answers when it counts, found by asking: no plugin is known here."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..hookspecs import hooks_of
from ..measuring.finished import Finished
from ..network import classifier_of
from ..registry import heading
from ..types import Outputs
from .answers import ExportError, made_up

ROWS = 32
"Made-up answers that a decision is asked about."
SCALES = (0.1, 1.0, 10.0)
"From doubtful answers to sure ones: a decision may depend on that."


def deciding_weights(model: Finished) -> dict[str, Tensor]:
    """Tensors that make the model's classifier answer as evaluation does, by their names in the timm model.

    None where the classifier decides already. Where a linear head on its input decides, these are the head's weights.
    Raises `ExportError` for any other decision, which no timm model can hold.
    """
    who = decider(model)
    if who == "":
        return {}
    network = model.classifier.network
    if who is None:
        raise refused(model, "the decision is not one layer's answer as it is, and a timm model holds nothing else")
    head, classifier = network.heads[who], classifier_of(network.model)
    if type(head) is not nn.Linear:
        raise refused(model, f"the head `{who}` is no linear layer ({type(head).__name__})")
    if not isinstance(classifier, nn.Linear) or classifier.weight.shape != head.weight.shape:
        raise refused(model, f"the head `{who}` has not the shape of the model's classifier")
    if head.bias is not None and classifier.bias is None:
        raise refused(model, f"the head `{who}` has a bias, and the model's classifier has none")
    name = next(name for name, module in network.model.named_modules() if module is classifier)
    bias = torch.zeros_like(classifier.bias) if head.bias is None and classifier.bias is not None else head.bias
    return {f"{name}.weight": head.weight, **({} if bias is None else {f"{name}.bias": bias})}


@torch.no_grad()
def decider(model: Finished) -> str | None:
    """The head whose logits are the decision, whatever they are; "" is the classifier, None no single one."""
    outputs, decide = model.classifier.network(made_up(model, ROWS)), model.classifier.decide
    left = {"", *outputs.heads}
    random = torch.Generator().manual_seed(0)
    for scale in SCALES:
        probe = Outputs(
            noise(outputs.logits, scale, random),
            None if outputs.features is None else noise(outputs.features, scale, random),
            {name: noise(head, scale, random) for name, head in outputs.heads.items()},
        )
        answer = decide(probe)
        left = {name for name in left if torch.equal(answer, probe.heads[name] if name else probe.logits)}
    return min(left, default=None)


def noise(like: Tensor, scale: float, random: torch.Generator) -> Tensor:
    """Numbers of a tensor's shape around 0."""
    return scale * torch.randn(like.shape, generator=random)


def refused(model: Finished, reason: str) -> ExportError:
    """What to raise for a decision that the classifier cannot take over."""
    entries = [entry for entry in model.generation.entries() if "decide" in hooks_of(entry.plugin)]
    who = f"{heading(entries[-1].section)} {entries[-1].name}" if entries else "the recipe"
    return ExportError(
        f"{who} decides how this model answers, and it cannot be folded into a timm model's classifier: {reason}\n"
        "    `--format onnx` and `--format torch` take the decision along"
    )
