"""Networks as pure functions of their weights: a multilayer perceptron and a small convolutional net."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from l2o_theory.errors import InputError, near_misses
from l2o_theory.problems.draws import normal

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": functional.gelu,
}


class Network(Protocol):
    """logits = forward(weights, features), without memory."""

    def init(
        self, generator: Generator | None, dtype: torch.dtype, device: torch.device | str | None
    ) -> dict[str, Tensor]:
        """Weights to start from."""
        ...

    def forward(self, params: dict[str, Tensor], features: Tensor) -> Tensor:
        """Logits of shape (n, classes) for features of shape (n, ...)."""
        ...


@dataclass(frozen=True)
class MLP:
    """Multilayer perceptron on flattened features: h_k = activation(h_{k-1} W_k + b_k), the last layer linear.

    Attributes:
        sizes: widths from the input to the classes, such as (64, 20, 10); two entries are a linear model.
        activation: "sigmoid", "tanh", "relu" or "gelu".
        std: standard deviation of all initial weights and biases; None for N(0, 1/fan_in) weights and zero biases.
        gain: in place of `std`, N(0, gain^2/first dimension) for every weight and bias, biases being vectors; 1.2 in
            the neural experiments of Wang et al., ICML 2021.

    Raises:
        InputError: fewer than two widths, an unknown activation, or both `std` and `gain`.
    """

    sizes: tuple[int, ...]
    activation: str = "sigmoid"
    std: float | None = None
    gain: float | None = None

    def __post_init__(self) -> None:
        if self.std is not None and self.gain is not None:
            raise InputError(f"give std or gain, not both; got {self.std} and {self.gain}")
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise InputError(f"sizes must be at least two widths >= 1, such as (64, 20, 10), got {self.sizes}")
        _known_activation(self.activation)

    def init(
        self,
        generator: Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """{"weight1": (in, out), "bias1": (out,), "weight2": ...}."""
        params = {}
        for layer, (fan_in, width) in enumerate(zip(self.sizes, self.sizes[1:], strict=False), start=1):
            weight = normal((fan_in, width), generator, dtype, device)
            bias = normal((width,), generator, dtype, device)
            if self.gain is not None:
                scales = self.gain / math.sqrt(fan_in), self.gain / math.sqrt(width)
            else:
                scales = (1 / math.sqrt(fan_in), 0.0) if self.std is None else (self.std, self.std)
            params[f"weight{layer}"], params[f"bias{layer}"] = weight * scales[0], bias * scales[1]
        return params

    def forward(self, params: dict[str, Tensor], features: Tensor) -> Tensor:
        """Logits (n, classes)."""
        hidden = features.flatten(1)
        for layer in range(1, len(self.sizes)):
            hidden = torch.addmm(params[f"bias{layer}"], hidden, params[f"weight{layer}"])
            hidden = hidden if layer == len(self.sizes) - 1 else _ACTIVATIONS[self.activation](hidden)
        return hidden


@dataclass(frozen=True)
class ConvNet:
    """Convolutions of 3 x 3, each followed by the activation and a mean over 2 x 2 pixels, then a linear layer.

    Attributes:
        channels: from the input to the last convolution, such as (1, 8, 16).
        side: height and width of the images; halved once per convolution.
        classes: number of logits.
        activation: as for `MLP`.
        std: as for `MLP`.
    """

    channels: tuple[int, ...]
    side: int
    classes: int
    activation: str = "relu"
    std: float | None = None

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or self.classes < 1:
            raise InputError(f"wanted at least two numbers of channels >= 1 and a class, got {self}")
        if self.side % 2 ** (len(self.channels) - 1):
            raise InputError(f"side must be divisible by 2 once per convolution, got {self.side} for {self.channels}")
        _known_activation(self.activation)

    def init(
        self,
        generator: Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """{"kernel1": (out, in, 3, 3), "bias1": (out,), ..., "weight": (pixels, classes), "bias": (classes,)}."""
        shapes: list[tuple[str, tuple[int, ...], int]] = []
        for layer, (inner, outer) in enumerate(zip(self.channels, self.channels[1:], strict=False), start=1):
            shapes += [(f"kernel{layer}", (outer, inner, 3, 3), 9 * inner), (f"bias{layer}", (outer,), 0)]
        pixels = self.channels[-1] * (self.side >> (len(self.channels) - 1)) ** 2
        shapes += [("weight", (pixels, self.classes), pixels), ("bias", (self.classes,), 0)]
        params = {}
        for name, shape, fan_in in shapes:
            scale = self.std if self.std is not None else (1 / math.sqrt(fan_in) if fan_in else 0.0)
            params[name] = normal(shape, generator, dtype, device) * scale
        return params

    def forward(self, params: dict[str, Tensor], features: Tensor) -> Tensor:
        """Logits (n, classes) for images (n, channels, side, side)."""
        hidden = features
        for layer in range(1, len(self.channels)):
            hidden = functional.conv2d(hidden, params[f"kernel{layer}"], params[f"bias{layer}"], padding=1)
            hidden = functional.avg_pool2d(_ACTIVATIONS[self.activation](hidden), 2)
        return torch.addmm(params["bias"], hidden.flatten(1), params["weight"])


def _known_activation(name: str) -> None:
    if name not in _ACTIVATIONS:
        raise InputError(f"no activation {name!r}; {near_misses(name, _ACTIVATIONS)}")
