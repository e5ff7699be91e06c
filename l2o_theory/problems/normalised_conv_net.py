"""NormalisedConvNet: the convolutional optimizees on which learned optimizers were tested for transfer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from l2o_theory.errors import InputError
from l2o_theory.problems.draws import normal

_KERNELS = (3, 5)
_CHANNELS = (16, 32)
_EPS = 1e-3


@dataclass(frozen=True)
class NormalisedConvNet:
    """Twice: convolution without padding, normalisation over the batch, ReLU, maximum over 2 x 2. Then relu(h W + b).

        kernels 3 x 3 to 16 and 5 x 5 to 32 channels;   normalised: (z - mean)/sqrt(variance + 1e-3) gamma + beta

    with mean and variance of each channel over the samples and pixels of the batch at hand, in training and test alike.
    The ReLU on the logits is that of the released code: where all logits are negative the loss is ln(classes) and every
    gradient is 0. Chen et al., NeurIPS 2020, arXiv 2010.09089: (1, 28, 1) on MNIST, (3, 32, 2) on CIFAR-10. That gamma
    and beta are trained, and the 1e-3, are our reading: the sources at hand do not say.

    Attributes:
        channels: of the images.
        side: their height and width.
        stride: of both convolutions.
        classes: number of logits.
        std: of all initial kernels and weights; biases and beta start at 0, gamma at 1.

    Raises:
        InputError: images too small for this stride, or a number below 1.
    """

    channels: int = 1
    side: int = 28
    stride: int = 1
    classes: int = 10
    std: float = 0.01

    def __post_init__(self) -> None:
        if min(self.channels, self.side, self.stride, self.classes) < 1 or not 0 <= self.std < math.inf:
            raise InputError(f"wanted channels, side, stride, classes >= 1 and a finite std >= 0, got {self}")
        if self.pixels < 1:
            raise InputError(
                f"images of side {self.side} are too small for stride {self.stride}: nothing is left of them"
            )

    @property
    def pixels(self) -> int:
        """Pixels per channel that reach the linear layer."""
        side = self.side
        for kernel in _KERNELS:
            side = ((side - kernel) // self.stride + 1) // 2
        return max(side, 0) ** 2

    def init(
        self,
        generator: Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """{"kernel1": (16, channels, 3, 3), "bias1", "gamma1", "beta1": (16,), "kernel2": (32, 16, 5, 5), ...,
        "weight": (32 pixels, classes), "bias": (classes,)}; the normalisation takes the biases of the kernels out."""
        params: dict[str, Tensor] = {}
        for layer, (kernel, outer) in enumerate(zip(_KERNELS, _CHANNELS, strict=True), start=1):
            inner = self.channels if layer == 1 else _CHANNELS[layer - 2]
            params[f"kernel{layer}"] = self.std * normal((outer, inner, kernel, kernel), generator, dtype, device)
            params[f"bias{layer}"] = torch.zeros(outer, dtype=dtype, device=device)
            params[f"gamma{layer}"] = torch.ones(outer, dtype=dtype, device=device)
            params[f"beta{layer}"] = torch.zeros(outer, dtype=dtype, device=device)
        shape = (_CHANNELS[-1] * self.pixels, self.classes)
        params["weight"] = self.std * normal(shape, generator, dtype, device)
        params["bias"] = torch.zeros(self.classes, dtype=dtype, device=device)
        return params

    def forward(self, params: dict[str, Tensor], features: Tensor) -> Tensor:
        """Logits (n, classes) >= 0 for images (n, channels, side, side)."""
        hidden = features
        for layer in range(1, len(_KERNELS) + 1):
            kernel, bias = params[f"kernel{layer}"], params[f"bias{layer}"]
            hidden = functional.conv2d(hidden, kernel, bias, stride=self.stride)
            variance, mean = torch.var_mean(hidden, (0, 2, 3), correction=0, keepdim=True)
            hidden = (hidden - mean) * (variance + _EPS).rsqrt()
            hidden = hidden * params[f"gamma{layer}"][:, None, None] + params[f"beta{layer}"][:, None, None]
            hidden = functional.max_pool2d(torch.relu(hidden), 2)
        return torch.relu(torch.addmm(params["bias"], hidden.flatten(1), params["weight"]))
