"""The wide residual network of the semi-supervised literature on small images: WRN-28-2 above all. timm has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval, MinLen
from torch import Tensor, nn
from torch.nn import functional

from sslkit import SslkitError, hookimpl

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
"Of CIFAR-10's training images."
STEM = 16
"Channels of the first layer."


def blocks_of(depth: int) -> int:
    """Residual blocks of each of the three groups: depth = 6 n + 4 layers. Raises `SslkitError` for another depth."""
    if depth < 10 or (depth - 4) % 6:
        near = max(10, 6 * round((depth - 4) / 6) + 4)
        raise SslkitError(f"wide_resnet: `depth = {depth}`: a wide residual network has 6 n + 4 layers; take {near}")
    return (depth - 4) // 6


def parameters_of(depth: int, width: int, classes: int, channels: int = 3) -> int:
    """How many numbers learn: WRN-28-2 with 10 classes has 1,467,610 (Oliver et al. 2018 say 1.5 million).

    Of a block from a to b channels: its two normalisations 2 a + 2 b, its convolutions 9 a b + 9 b b, and a b where a
    convolution must carry what passes it by.
    """
    total, here = 9 * channels * STEM, STEM
    for group in range(3):
        wide = STEM * width * 2**group
        for number in range(blocks_of(depth)):
            passes_by = here == wide and (number > 0 or group == 0)
            total += 2 * here + 2 * wide + 9 * here * wide + 9 * wide * wide + (0 if passes_by else here * wide)
            here = wide
    return total + 2 * here + (here + 1) * classes


class Block(nn.Module):
    """Normalise, bend, convolve, twice; added to what passes it by (He et al. 2016b, "pre-activation")."""

    def __init__(self, before: int, after: int, stride: int, norm: Any, slope: float, drop_rate: float, first: bool):
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after or stride != 1 else None
        self.dropout = nn.Dropout(drop_rate) if drop_rate else nn.Identity()
        self.slope, self.first = slope, first

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        bent = functional.leaky_relu(self.norm1(x), self.slope)
        if self.first:  # only the network's first block passes by what is normalised and bent
            x = bent
        out = self.conv1(bent)
        out = self.conv2(self.dropout(functional.leaky_relu(self.norm2(out), self.slope)))
        passed: Tensor = x if self.shortcut is None else self.shortcut(x)
        total: Tensor = passed + out
        return total


class WideNet(nn.Module):
    """A wide residual network (Zagoruyko & Komodakis 2016) as Oliver et al. 2018 and all after them use it."""

    def __init__(
        self, classes: int, channels: int, depth: int, width: int, slope: float, momentum: float, eps: float,
        drop_rate: float, block_drop_rate: float,
    ) -> None:  # fmt: skip
        super().__init__()

        def norm(features: int) -> nn.BatchNorm2d:
            return nn.BatchNorm2d(features, momentum=momentum, eps=eps)

        self.stem = nn.Conv2d(channels, STEM, 3, 1, 1, bias=False)
        blocks: list[nn.Module] = []
        here = STEM
        for group in range(3):
            wide = STEM * width * 2**group
            for number in range(blocks_of(depth)):
                stride = 2 if group and not number else 1
                blocks.append(Block(here, wide, stride, norm, slope, block_drop_rate, first=not blocks))
                here = wide
        self.blocks, self.norm = nn.Sequential(*blocks), norm(here)
        self.dropout = nn.Dropout(drop_rate) if drop_rate else nn.Identity()
        self.classifier = nn.Linear(here, classes)
        self.slope, self.num_features = slope, here
        self.init_weights()

    def init_weights(self) -> None:
        """New weights, from torch's default generator; named as timm's models name it, for those who want a second network."""
        self.apply(self._begin)

    def _begin(self, layer: nn.Module) -> None:
        """He's initialisation by outputs, sqrt(2 / (9 b)), as the codes of these methods have it; Xavier's for the classifier."""
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)."""
        x = functional.leaky_relu(self.norm(self.blocks(self.stem(x))), self.slope)
        logits: Tensor = self.classifier(self.dropout(x.mean((2, 3))))
        return logits

    def get_classifier(self) -> nn.Module:
        """The last layer, as timm's models name it: heads read what it reads."""
        return self.classifier


@dataclass(eq=False, kw_only=True)
class WideResNet:
    """A wide residual network for images of about 32 pixels (Zagoruyko & Komodakis, arXiv 1605.07146).

    As the semi-supervised literature uses it since Oliver et al. (arXiv 1804.09170): LeakyReLU of slope 0.1, and
    batch-norm that keeps 0.999 of its statistics. With depth 28, width 2 and 10 classes it has 1,467,610 parameters.
    `dropout` drops before the classifier. Raises `SslkitError` for a depth that is not 6 n + 4.
    """

    depth: Annotated[int, Ge(10)] = 28
    "Layers: 6 n + 4, for n residual blocks in each of three groups."
    width: Annotated[int, Ge(1)] = 2
    "How many times the 16, 32 and 64 channels of a narrow network the three groups have."
    slope: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    "Slope of LeakyReLU below 0; 0 is a ReLU."
    momentum: Annotated[float, Interval(gt=0, le=1)] = 0.001
    "Share of each batch in batch-norm's running statistics, as torch counts it (0.999 as TensorFlow does)."
    eps: Annotated[float, Gt(0)] = 1e-3
    "Added to batch-norm's variances."
    block_drop_rate: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    "Dropout between the two convolutions of each block, as the network's authors have it; 0 in this literature."
    mean: Annotated[list[float], MinLen(1)] | None = None
    "Normalisation, for each channel; by default CIFAR-10's."
    std: Annotated[list[Annotated[float, Gt(0)]], MinLen(1)] | None = None
    "Normalisation, for each channel; by default CIFAR-10's."

    @hookimpl
    def build_model(self, kwargs: dict[str, Any]) -> nn.Module:
        """The model, with the classes and channels of `kwargs`; of noise in the model it knows `drop_rate`."""
        known = {"num_classes", "in_chans", "drop_rate"}
        if strange := sorted(kwargs.keys() - known):
            raise SslkitError(f"wide_resnet: takes no `{strange[0]}`, which some noise asks for; it takes `drop_rate`")
        model = WideNet(
            kwargs["num_classes"], kwargs["in_chans"], self.depth, self.width, self.slope, self.momentum, self.eps,
            kwargs.get("drop_rate", 0.0), self.block_drop_rate,
        )  # fmt: skip
        model.pretrained_cfg = {"mean": self.mean or CIFAR_MEAN, "std": self.std or CIFAR_STD}  # type: ignore[assignment]
        return model
