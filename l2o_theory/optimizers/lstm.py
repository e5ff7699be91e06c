"""LSTM cell of plain operations, so that vmap, grad and jvp go through it in every combination."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError


def truncated_normal(
    shape: tuple[int, ...],
    std: float,
    generator: Generator | None,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> Tensor:
    """Entries N(0, std^2) conditioned on |entry| <= 2 std; their own standard deviation is 0.88 std."""
    values = torch.empty(shape, dtype=dtype, device=device if generator is None else generator.device)
    torch.nn.init.trunc_normal_(values, std=std, a=-2 * std, b=2 * std, generator=generator)
    return values.to(device=device)


@dataclass(frozen=True)
class LSTMCell:
    """(h, c) -> (h', c') by Hochreiter and Schmidhuber's cell with forget gate:

        [i, j, f, o] = [x, h] W + b
        c' = sigmoid(f + forget_bias) c + sigmoid(i) tanh(j)
        h' = sigmoid(o) tanh(c')

    torch.nn.LSTMCell computes the same (its gates in the order i, f, j, o, and its two biases added), but as one fused
    operation that vmap cannot batch, whether or not the state has the axis of the tasks.

    Attributes:
        inputs: entries of x.
        hidden: entries of h and c.
        forget_bias: added to f; 1 makes a new cell remember.
    """

    inputs: int
    hidden: int
    forget_bias: float = 0.0

    def __post_init__(self) -> None:
        if min(self.inputs, self.hidden) < 1:
            raise InputError(f"inputs and hidden must be >= 1, got {self.inputs} and {self.hidden}")

    def init(
        self,
        generator: Generator | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """W (inputs + hidden, 4 hidden) and b (4 hidden,), truncated normal of std 1/sqrt(inputs + hidden)."""
        fan_in, gates = self.inputs + self.hidden, 4 * self.hidden
        std = 1 / math.sqrt(fan_in)
        weight = truncated_normal((fan_in, gates), std, generator, dtype, device)
        return weight, truncated_normal((gates,), std, generator, dtype, device)

    def step(self, weight: Tensor, bias: Tensor, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(h', c') for x of shape (..., inputs) and h, c of shape (..., hidden)."""
        i, j, f, o = (torch.cat([x, h], -1) @ weight + bias).chunk(4, -1)
        c = torch.sigmoid(f + self.forget_bias) * c + torch.sigmoid(i) * torch.tanh(j)
        return torch.sigmoid(o) * torch.tanh(c), c
