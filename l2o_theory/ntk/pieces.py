r"""A module's derivatives layer by layer: for each linear or convolutional layer its slopes and its inputs.

The weight gradient of output a at sample n is SUM_u D_{n,a,u} G_{n,u}^T over the positions u at which the weights are
used: one for a linear layer on a vector, one per pixel for a convolution, one per token, more for repeated use. D is
the derivative of the output in the layer's own output, G the layer's input (for a convolution the patch). From these
alone the kernel follows, without the Jacobian. A bias is a weight whose input is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ELEMENTWISE: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.SELU,
    nn.LeakyReLU,
    nn.Identity,
)
FROM_VALUE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda y: (y > 0).to(y.dtype),
    nn.Tanh: lambda y: 1 - y * y,
    nn.Sigmoid: lambda y: y * (1 - y),
}
"""Activations whose derivative is a function of their value."""
PROBE_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""How far a gradient from the pieces may lie from autograd's, relative to its norm: sums in another order."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One layer at n samples; O rows per sample, U positions.

    Attributes:
        slopes: D, shape (n, O, U, p).
        inputs: G, shape (n, U, q), or None if the weight is not trained.
        bias: whether the layer's bias is trained.
        identity: whether D is the identity at every sample: the layer is the last.
    """

    slopes: Tensor
    inputs: Tensor | None
    bias: bool
    identity: bool = False

    def split(self, count: int) -> tuple[Piece, Piece]:
        """The first `count` samples, and the others."""
        first, second = slice(None, count), slice(count, None)
        return self.at(first), self.at(second)

    def at(self, samples: slice) -> Piece:
        """Some of the samples."""
        inputs = None if self.inputs is None else self.inputs[samples]
        return replace(self, slopes=self.slopes[samples], inputs=inputs)

    def row(self, a: int) -> Piece:
        """Output a alone."""
        return Piece(self.slopes[:, a : a + 1], self.inputs, self.bias)

    def traced(self) -> Piece | None:
        """All outputs as further directions of one row, so that their products are summed; None if U > 1."""
        if self.slopes.shape[2] > 1:
            return None
        return Piece(self.slopes[:, :, 0].flatten(1)[:, None, None], self.inputs, self.bias)


def chain(module: nn.Module) -> list[nn.Module] | None:
    """The modules of a plain chain of linear layers and elementwise activations, or None if it is not one.

    Only the library's own classes count, without hooks or parametrisations: what they do is known.
    """
    found: list[nn.Module] = []
    todo = [module]
    while todo:
        first = todo.pop(0)
        if first._forward_hooks or first._forward_pre_hooks:
            return None
        if type(first) is nn.Sequential:
            todo[:0] = list(first)
        elif type(first) is nn.Linear or type(first) in ELEMENTWISE or (type(first) is nn.Flatten and not found):
            found.append(first)
        else:
            return None
    linear = [id(part) for part in found if type(part) is nn.Linear]
    return found if linear and len(set(linear)) == len(linear) else None


def chain_pieces(parts: list[nn.Module], x: Tensor, *, summed: bool) -> Iterator[Piece]:
    """The pieces of a chain, last layer first; each is made when it is asked for, so that they need not fit together.

    Args:
        parts: from `chain`.
        x: inputs, shape (n, features).
        summed: one row per sample, the derivative of the summed outputs, in place of one per output.
    """
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []  # per activation: its value, or its derivative where that is not known from the value
    layers = [part for part in parts if type(part) is not nn.Flatten]
    x = x.flatten(1)
    fresh = False  # whether x is the output of a linear layer that nothing else holds
    for part in layers:
        if isinstance(part, nn.Linear):
            inputs.append(x)
            x = functional.linear(x, part.weight, part.bias)
        elif type(part) is nn.ReLU and fresh:
            outputs.append(x.clamp_min_(0))  # in place: new memory would cost more than the arithmetic
        else:
            x, kept = _activation(part, x)
            outputs.append(kept)
        fresh = isinstance(part, nn.Linear)
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    rows = (eye.sum(0, keepdim=True) if summed else eye).expand(len(x), -1, -1)
    identity, own = not summed, False
    for part in reversed(layers):
        if not isinstance(part, nn.Linear):
            rows, identity, own = _times_derivative(part, rows, outputs.pop()[:, None], own), False, True
            continue
        given = inputs.pop()
        bias = part.bias is not None and part.bias.requires_grad
        if part.weight.requires_grad or bias:
            yield Piece(rows[:, :, None], given[:, None] if part.weight.requires_grad else None, bias, identity)
        if not inputs:  # activations before the first layer have no weights behind them
            return
        rows = part.weight.expand(len(x), -1, -1) if identity else rows @ part.weight
        identity, own = False, not identity


def _activation(part: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """The value entry by entry, and what its derivative is made of: the value itself, or the derivative."""
    if type(part) in FROM_VALUE:
        y = part(x.clone())  # never in place
        return y, y
    with torch.enable_grad():
        free = x.detach().clone().requires_grad_()
        y = part(free.clone())
        return y.detach(), torch.autograd.grad(y.sum(), free)[0]


def _times_derivative(part: nn.Module, rows: Tensor, kept: Tensor, own: bool) -> Tensor:
    """rows times the activation's derivative; in place if `own`."""
    if type(part) is nn.ReLU:  # one pass without a mask in between
        masked: Tensor = (
            torch.ops.aten.threshold_backward.grad_input(rows, kept, 0, grad_input=rows)
            if own
            else torch.ops.aten.threshold_backward(rows, kept, 0)
        )
        return masked
    factor = FROM_VALUE[type(part)](kept) if type(part) in FROM_VALUE else kept
    return rows.mul_(factor) if own else rows * factor


def eligible(module: nn.Module) -> bool:
    """Whether every trained parameter is the weight or bias of one plain linear or convolutional layer."""
    owned: list[int] = []
    for part in module.modules():
        if type(part) is nn.Linear or (type(part) in CONVOLUTIONS and getattr(part, "padding_mode", "") == "zeros"):
            owned += [id(parameter) for parameter in part.parameters(recurse=False)]
    trained = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    return len(set(owned)) == len(owned) and trained <= set(owned)


def recorded_pieces(module: nn.Module, x: Tensor, *, summed: bool) -> list[Piece] | None:
    """The pieces of any eligible module, by watching its layers run; None if they do not add up to its gradient.

    A random combination of all outputs is differentiated both ways. They differ if weights are used outside their
    layers, or if samples of a batch influence one another; then only the Jacobian is right.
    """
    uses: list[tuple[nn.Module, Tensor, Tensor]] = []

    def record(part: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        uses.append((part, given[0].detach(), output))
        return output.clone()  # a later in-place activation must not change what was recorded

    layers = [part for part in module.modules() if type(part) is nn.Linear or type(part) in CONVOLUTIONS]
    handles = [part.register_forward_hook(record) for part in layers]
    try:
        with torch.enable_grad():
            y = module(x).reshape(len(x), -1)
    finally:
        for handle in handles:
            handle.remove()
    y = y.sum(1, keepdim=True) if summed else y
    outputs = [output for _, _, output in uses]
    if not outputs or not y.requires_grad:
        return None
    rows = [torch.autograd.grad(v.sum(), outputs, retain_graph=True, allow_unused=True) for v in y.unbind(1)]
    used: dict[Any, list[list[Piece]]] = {}
    for number, (part, given, output) in enumerate(uses):
        slopes = torch.stack([torch.zeros_like(output) if row[number] is None else row[number] for row in rows], 1)
        if len(given) % len(x) or (len(given) != len(x) and type(part) is not nn.Linear):
            return None
        used.setdefault(part, []).append(_pieces_of(part, given, slopes, len(x)))
    joined = {part: [_joined(group) for group in zip(*found, strict=True)] for part, found in used.items()}
    return [piece for pieces in joined.values() for piece in pieces] if _adds_up(module, y, joined) else None


def _pieces_of(part: Any, given: Tensor, slopes: Tensor, count: int) -> list[Piece]:
    """One piece per group of channels; slopes of shape (n, O, *output) where `given` is (n, *input)."""
    weight, bias = part.weight, part.bias
    trained, biased = weight.requires_grad, bias is not None and bias.requires_grad
    if isinstance(part, nn.Linear):
        rows = slopes.shape[1]
        if len(given) == count:
            flat = slopes.reshape(count, rows, -1, slopes.shape[-1])
        else:  # (n k, q): samples were folded into the first axis, sample by sample; the probe finds out if not
            flat = slopes.reshape(count, -1, rows, slopes.shape[-1]).transpose(1, 2)
        return [Piece(flat, given.reshape(count, -1, given.shape[-1]) if trained else None, biased)]
    patches = _patches(part, given)
    flat = slopes.flatten(3).transpose(2, 3)  # (n, O, U, channels)
    pairs = zip(flat.chunk(part.groups, 3), patches.chunk(part.groups, 2), strict=True)
    return [Piece(d, g.flatten(2) if trained else None, biased) for d, g in pairs]


def _patches(part: Any, x: Tensor) -> Tensor:
    """What each output position of a convolution sees: shape (n, U, channels, entries of the kernel)."""
    dims = len(part.kernel_size)
    for axis in range(dims):
        reach = part.dilation[axis] * (part.kernel_size[axis] - 1)
        if isinstance(part.padding, str):
            left, right = (reach // 2, reach - reach // 2) if part.padding == "same" else (0, 0)
        else:
            left = right = part.padding[axis]
        x = functional.pad(x, (0, 0) * (x.ndim - 3 - axis) + (left, right))
        x = x.unfold(2 + axis, reach + 1, part.stride[axis])[..., :: part.dilation[axis]]
    return x.movedim(1, 1 + dims).flatten(1, dims).flatten(3)


def _joined(uses: tuple[Piece, ...]) -> Piece:
    """Repeated uses of the same weights are further positions."""
    if len(uses) == 1:
        return uses[0]
    inputs = [use.inputs for use in uses if use.inputs is not None]
    return Piece(torch.cat([use.slopes for use in uses], 2), torch.cat(inputs, 1) if inputs else None, uses[0].bias)


def _adds_up(module: nn.Module, y: Tensor, joined: dict[Any, list[Piece]]) -> bool:
    """Whether the pieces give the gradient of a random combination of the outputs in all trained parameters."""
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    wanted = torch.autograd.grad((c * y).sum(), parameters, allow_unused=True)
    found: dict[int, Tensor] = {}
    for part, pieces in joined.items():
        if pieces[0].inputs is not None:
            sums = [torch.einsum("na,naup,nuq->pq", c, piece.slopes, piece.inputs) for piece in pieces]
            found[id(part.weight)] = torch.cat(sums)
        if pieces[0].bias:
            found[id(part.bias)] = torch.cat([torch.einsum("na,naup->p", c, piece.slopes) for piece in pieces])
    size = sum(float(w.square().sum()) for w in wanted if w is not None) ** 0.5
    for parameter, exact in zip(parameters, wanted, strict=True):
        ours = found.get(id(parameter))
        gap = (0 if ours is None else ours.reshape(parameter.shape)) - (0 if exact is None else exact)
        if isinstance(gap, Tensor) and not float(gap.norm()) <= PROBE_TOLERANCE.get(y.dtype, 1e-2) * size:
            return False
    return True
