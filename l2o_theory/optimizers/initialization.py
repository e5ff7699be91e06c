r"""Where the training of a step-size network starts, and what each start guarantees.

All starts take widths (2, n_1, ..., n_{L-1}, 1) and an expansion e > 0 that multiplies the hidden layers. W_L = 0 makes
P = 2 sigma(0) = 1 exactly, so that the untrained network is gradient descent.

e is a learning-rate multiplier and nothing else: ReLU layers without biases are homogeneous, so training
(e V_1, .., e V_{L-1}, W_L) at one rate eta gives, step by step, the same iterates as training (V_1, .., V_{L-1},
e^{L-1} W_L) at the rates eta e^{-2} for the hidden layers and eta e^{2(L-1)} for the last (`equivalent_rates`; derived
here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError

WEIGHTS_SEED = 118
"""Seed of the published runs."""


@dataclass(frozen=True)
class Guarantees:
    """What is exactly or numerically true of a start.

    Attributes:
        starts_at_gradient_descent: W_L = 0, hence P = 1 to the bit for all inputs.
        smallest, largest: extreme singular values of the hidden layers.
        is_nonnegative: no hidden weight is negative.
    """

    starts_at_gradient_descent: bool
    smallest: tuple[float, ...]
    largest: tuple[float, ...]
    is_nonnegative: bool


def orthogonal(
    widths: Sequence[int], scale: float = 1.0, *, seed: int = WEIGHTS_SEED, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """The published program's start: hidden layers e Q_l with orthonormal rows or columns, last layer 0.

    Guarantees P = 1 exactly, and all singular values of the hidden layers equal to e. Drawn in float32 on the CPU in
    the program's order (its unused Kaiming draw before each layer included), so that its runs can be followed.

    Raises:
        InputError: widths that are not (2, .., 1) with at least one hidden layer, or a scale that is not positive.
    """
    _require(widths, scale)
    generator, layers = Generator().manual_seed(seed), []
    for fan_in, fan_out in _hidden(widths):
        # The program stores (in, out) and its layer is drawn twice: the first draw only advances the stream.
        drawn = torch.empty(fan_in, fan_out).uniform_(generator=generator)
        torch.nn.init.orthogonal_(drawn, generator=generator)
        layers.append((drawn * scale).T.contiguous().to(dtype))
    return (*layers, torch.zeros(1, widths[-2], dtype=dtype))


def nonnegative(
    widths: Sequence[int], scale: float = 1.0, *, seed: int = WEIGHTS_SEED, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """The start of the paper's text: the Q of a Gaussian matrix, made non-negative by |.|, times e; last layer 0.

    Guarantees P = 1 exactly and hidden features that are linear on the first quadrant. The absolute value destroys
    orthogonality: the singular values are no longer e.
    """
    _require(widths, scale)
    generator, layers = Generator().manual_seed(seed), []
    for fan_in, fan_out in _hidden(widths):
        drawn = torch.randn(max(fan_in, fan_out), min(fan_in, fan_out), generator=generator)
        q = torch.linalg.qr(drawn).Q.abs() * scale
        layers.append((q if fan_out >= fan_in else q.T).contiguous().to(dtype))
    return (*layers, torch.zeros(1, widths[-2], dtype=dtype))


def gaussian(
    widths: Sequence[int], scale: float = 1.0, *, seed: int = WEIGHTS_SEED, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, ...]:
    """Every layer N(0, 2/fan_in), the hidden ones times e. Guarantees nothing: P differs from 1 at the start."""
    _require(widths, scale)
    generator, layers = Generator().manual_seed(seed), []
    for fan_in, fan_out in _hidden(widths):
        layers.append((torch.randn(fan_out, fan_in, generator=generator) * (scale * (2 / fan_in) ** 0.5)).to(dtype))
    last = torch.randn(1, widths[-2], generator=generator) * (2 / widths[-2]) ** 0.5
    return (*layers, last.to(dtype))


def guarantees(weights: Sequence[Tensor]) -> Guarantees:
    """Read off what holds for these weights."""
    values = [torch.linalg.svdvals(weight.double()) for weight in weights[:-1]]
    return Guarantees(
        starts_at_gradient_descent=not bool(weights[-1].any()),
        smallest=tuple(float(v[-1]) for v in values),
        largest=tuple(float(v[0]) for v in values),
        is_nonnegative=all(bool((weight >= 0).all()) for weight in weights[:-1]),
    )


def equivalent_rates(rate: float, scale: float, layers: int) -> tuple[float, ...]:
    """Rates per layer at which the unscaled start trains like the start scaled by e at the one rate eta.

        eta e^{-2} for W_1..W_{L-1},   eta e^{2(L-1)} for W_L

    Raises:
        InputError: fewer than two layers, or a rate or scale that is not positive.
    """
    if layers < 2 or not rate > 0 or not scale > 0:
        raise InputError(f"wanted layers >= 2, rate > 0 and scale > 0, got {layers}, {rate}, {scale}")
    return (*[rate / scale**2] * (layers - 1), rate * scale ** (2 * (layers - 1)))


def _hidden(widths: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(widths[:-1]))


def _require(widths: Sequence[int], scale: float) -> None:
    if len(widths) < 3 or widths[0] != 2 or widths[-1] != 1 or min(widths) < 1:
        raise InputError(f"widths must be (2, n_1, .., n_(L-1), 1) with every n >= 1, got {tuple(widths)}")
    if not 0 < scale < float("inf"):
        raise InputError(f"the expansion e must be positive and finite, got {scale}")
