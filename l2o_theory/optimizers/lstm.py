"""LSTM cell of plain operations, so that vmap, grad and jvp go through it in every combination; and one with a backward
pass by hand, for a single reverse derivative.

Inside that one the coordinates lie along the last axis: every gate is then contiguous, which makes its sigmoid several
times faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError

_BLOCK = 4096
"""Coordinates that a processor takes at a time, so that what a step touches stays in its second-level cache."""


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
        once: the backward pass is written by hand: faster, but for one derivative in reverse mode and not under vmap;
            the rest is refused. tanh(x) is 2 sigmoid(2x) - 1 there, the same to rounding at the scale of 1.
    """

    inputs: int
    hidden: int
    forget_bias: float = 0.0
    once: bool = False

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
        if self.once:
            flat = (part.movedim(-1, 0).reshape(part.shape[-1], -1) for part in (x, h, c))
            found = _Once.apply(weight, bias, *flat, self.forget_bias)  # type: ignore[no-untyped-call]
            top, memory = (part.reshape(-1, *c.shape[:-1]).movedim(0, -1) for part in found)
            return top, memory
        i, j, f, o = (torch.cat([x, h], -1) @ weight + bias).chunk(4, -1)
        c = torch.sigmoid(f + self.forget_bias) * c + torch.sigmoid(i) * torch.tanh(j)
        return torch.sigmoid(o) * torch.tanh(c), c


class _Once(torch.autograd.Function):
    """The cell for x, h, c of shapes (inputs, N), (hidden, N), (hidden, N), one block of coordinates after the other.

    With s the activated gates and m' = dL/dc' + dL/dh' o (1 - tanh(c')^2) [derived here]:

        dL/di = m' j s'(i),  dL/dj = m' i (1 - j^2),  dL/df = m' c s'(f),  dL/do = dL/dh' tanh(c') s'(o),  dL/dc = m' f
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor, x: Tensor, h: Tensor, c: Tensor, forget_bias: float
    ) -> tuple[Tensor, Tensor]:
        top, after = c.new_empty(c.shape), c.new_empty(c.shape)
        wide, shift, kept = weight.mT.contiguous(), bias[:, None], []
        for below, old, memory, out, new in _blocks(x, h, c, top, after):
            gates = torch.addmm(shift, wide, torch.cat([below, old]))
            i, j, f, o = gates.chunk(4)
            j.mul_(2)
            f.add_(forget_bias)
            gates.sigmoid_()
            j.mul_(2).sub_(1)
            squashed = torch.mul(f, memory, out=new).addcmul_(i, j).mul(2).sigmoid_().mul_(2).sub_(1)
            torch.mul(o, squashed, out=out)
            kept += [gates, squashed]
        ctx.save_for_backward(weight, x, h, c, *kept)
        return top, after

    @staticmethod
    def backward(ctx: Any, to_top: Tensor, to_after: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True; torch's once_differentiable would let some of these pass
            raise InputError("an LSTM cell with once=True has no second derivative; use once=False")
        weight, x, h, c, *kept = ctx.saved_tensors
        rows = weight if ctx.needs_input_grad[2] else weight[len(x) :]
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(weight.shape[1])
        to_signal, to_c = c.new_empty(len(rows), c.shape[1]), c.new_empty(c.shape)
        blocks = _blocks(x, h, c, to_top, to_after, to_signal, to_c)
        for (below, old, memory, shown, carried, out, new), gates, squashed in zip(
            blocks, kept[::2], kept[1::2], strict=True
        ):
            i, j, f, o = gates.chunk(4)
            to_sums = torch.addcmul(gates, gates, gates, value=-1)  # s' = s - s^2; that of j is overwritten
            to_i, to_j, to_f, to_o = to_sums.chunk(4)
            to_o.mul_(shown).mul_(squashed)
            through = shown * o
            to_memory = (carried + through).addcmul_(through.mul_(squashed), squashed, value=-1)
            to_i.mul_(j).mul_(to_memory)
            torch.mul(to_memory, i, out=through)
            torch.addcmul(through, through * j, j, value=-1, out=to_j)
            to_f.mul_(memory).mul_(to_memory)
            torch.mul(to_memory, f, out=new)
            to_weight.addmm_(torch.cat([below, old]), to_sums.mT)
            to_bias += to_sums.sum(1)
            torch.mm(rows, to_sums, out=out)
        to_x = to_signal[: len(x)] if ctx.needs_input_grad[2] else None
        return to_weight, to_bias, to_x, to_signal[-len(h) :], to_c, None


def _blocks(*parts: Tensor) -> zip[tuple[Tensor, ...]]:
    """The same coordinates of all of them; on a processor, a block at a time."""
    coordinates = parts[0].shape[1]
    size = _BLOCK if parts[0].device.type == "cpu" else max(coordinates, 1)
    return zip(*(torch.split(part, size, 1) for part in parts), strict=True)
