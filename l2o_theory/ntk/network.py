r"""The step-size network a(z) = W_L ReLU(W_{L-1} ... ReLU(W_1 z)) at many points z in R^2, with its derivatives.

Two evaluations with the same methods. `Dense` works through the layers. `Angular` replaces the last two of them by sums
over angles, where the layer before has width 2. A bias-free ReLU unit w_j on an input h in R^2 is active iff its angle
lies within pi/2 of the input's. With the units sorted by angle, those active at h are one arc of the circle, so

    a(h) = <h, S(h)>,  S(h) = SUM over the arc of v_j w_j          a difference of two prefix sums over the units

and for SUM_i c_i a(h_i), with U_j = SUM of c_i h_i over the inputs at which unit j is active,

    d/dv_j = <w_j, U_j>,  d/dw_j = v_j U_j

U comes from adding c_i h_i where the arc of i begins, taking it off where it ends, and one running sum: the cost of a
point does not depend on the width.                                                                     [derived here]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from l2o_theory.errors import InputError

EVALUATIONS = ("auto", "dense", "angular")
ANGULAR_FROM = 48
"""Width from which sums over angles are faster than the layers themselves (measured on one CPU core)."""
CHUNK_BYTES = 1 << 27
"""Memory for the activations of the points that `Dense` works on at a time."""


Elementwise = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, tuple[Elementwise, Elementwise]] = {
    "relu": (torch.relu, lambda output: (output > 0).to(output.dtype)),
    # torch's softplus is the identity beyond 20
    "softplus": (functional.softplus, lambda output: torch.where(output > 20, 1.0, -torch.expm1(-output))),
}
"""Activation, and its derivative as a function of its value."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer at p points: da/dW_l = slopes^T inputs, point by point.

    Attributes:
        slopes: da / d(pre-activation of layer l), shape (p, n_l).
        inputs: G_{l-1}, shape (p, n_{l-1}).
    """

    slopes: Tensor
    inputs: Tensor


@dataclass(frozen=True, eq=False)
class Arcs:
    """For each input the units active at it: sorted units begin..end-1, or begin..H-1 and 0..end-1 if `wraps`.

    Attributes:
        inputs: h, shape (p, 2), float64.
        begin: first active unit, shape (p,).
        end: one after the last, shape (p,).
        wraps: whether the arc passes angle 0, shape (p,).
    """

    inputs: Tensor
    begin: Tensor
    end: Tensor
    wraps: Tensor


class Network(Protocol):
    """What the unroll needs of a network; p points z, shape (p, 2)."""

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """W_1, ..., W_L."""
        ...

    @property
    def activation(self) -> str:
        """Of the hidden layers."""
        ...

    def value(self, z: Tensor) -> Tensor:
        """a(z_i), shape (p,)."""
        ...

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """a(z_i), shape (p,), and da/dz at z_i, shape (p, 2)."""
        ...

    def gradient(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, ...]:
        """d/dW_l of SUM_i c_i a(z_i), l = 1..L."""
        ...

    def tangent(self, z: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """SUM_l <da(z_i)/dW_l, V_l>, shape (p,)."""
        ...

    def layers(self, z: Tensor) -> tuple[list[Layer], Arcs | None]:
        """The layers at all points, and in place of the last two the arcs, if this network works with them."""
        ...


def network_of(weights: Sequence[Tensor], *, activation: str = "relu", evaluation: str = "auto") -> Network:
    """The network with these weights.

    Args:
        weights: W_1 (n_1, 2), ..., W_L (1, n_{L-1}).
        activation: "relu" or "softplus", of the hidden layers.
        evaluation: "dense", "angular" (ReLU only; the layer before the last hidden one must have width 2), or "auto":
            angular where it applies and the last hidden layer has at least `ANGULAR_FROM` units.

    Raises:
        InputError: no layers, a width < 1, shapes that do not chain, entries that are not finite, or "angular" where
            it does not apply.
    """
    if evaluation not in EVALUATIONS:
        raise InputError(f"evaluation must be one of {', '.join(EVALUATIONS)}, got {evaluation!r}")
    if activation not in ACTIVATIONS:
        raise InputError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    checked = tuple(weight.detach() for weight in weights)
    if not checked:
        raise InputError("a step-size network needs at least one weight matrix W_1, got none")
    width = 2
    for number, weight in enumerate(checked, 1):
        if weight.ndim != 2 or weight.shape[1] != width or weight.shape[0] < 1:
            raise InputError(f"W_{number} must have shape (width >= 1, {width}), got {tuple(weight.shape)}")
        if weight.dtype != checked[0].dtype or weight.device != checked[0].device:
            raise InputError(f"W_{number} differs from W_1 in dtype or device")
        if not finite(weight):
            raise InputError(f"W_{number} has entries that are not finite; lower the learning rate or mend the weights")
        width = weight.shape[0]
    if width != 1:
        raise InputError(f"the last layer must have one output, got {width}")
    applies = activation == "relu" and len(checked) >= 2 and checked[-2].shape[1] == 2
    if evaluation == "angular" and not applies:
        raise InputError('"angular" needs ReLU and a last hidden layer whose inputs have width 2; use "dense"')
    if evaluation == "angular" or (evaluation == "auto" and applies and checked[-2].shape[0] >= ANGULAR_FROM):
        return Angular(checked)
    return Dense(checked, activation)


def finite(values: Tensor) -> bool:
    """Whether every entry is finite; a sum, many times faster than a test per entry, decides nearly always."""
    return math.isfinite(float(values.sum())) or bool(torch.isfinite(values).all())


def activations(weights: Sequence[Tensor], z: Tensor, activation: str = "relu") -> list[Tensor]:
    """G_0 = z, G_l = ReLU(G_{l-1} W_l^T) for all given weights; one row per point."""
    layers, function = [z], ACTIVATIONS[activation][0]
    for weight in weights:
        layers.append(function(layers[-1] @ weight.mT))
    return layers


def backward(
    weights: Sequence[Tensor], layers: Sequence[Tensor], slope: Tensor, activation: str = "relu"
) -> list[Tensor]:
    """From dc/dG_l at the last of `layers` to dc/d(pre-activation) of every layer l and, first of all, dc/dG_0."""
    found: list[Tensor] = []
    derivative = ACTIVATIONS[activation][1]
    for weight, output in zip(reversed(weights), reversed(layers[1:]), strict=True):
        slope = slope * derivative(output)
        found.insert(0, slope)
        slope = slope @ weight
    return [slope, *found]


def forward_tangent(
    weights: Sequence[Tensor], direction: Sequence[Tensor], z: Tensor, activation: str = "relu"
) -> tuple[Tensor, Tensor]:
    """The last layer G, and its derivative along V in the weights."""
    function, derivative = ACTIVATIONS[activation]
    layer, moved = z, torch.zeros_like(z)
    for weight, shift in zip(weights, direction, strict=True):
        moved = layer @ shift.mT + moved @ weight.mT
        layer = function(layer @ weight.mT)
        moved = moved * derivative(layer)
    return layer, moved


@dataclass(frozen=True, eq=False)
class Dense:
    """Layer by layer, in chunks of points whose activations fit `CHUNK_BYTES`."""

    weights: tuple[Tensor, ...]
    activation: str = "relu"

    def chunks(self, points: int) -> Iterator[slice]:
        """Slices of the points."""
        width = sum(weight.shape[0] for weight in self.weights) + 2
        size = max(1, CHUNK_BYTES // (3 * width * self.weights[0].element_size()))
        return (slice(begin, begin + size) for begin in range(0, points, size))

    def value(self, z: Tensor) -> Tensor:
        """a(z_i), shape (p,)."""
        *hidden, last = self.weights
        return torch.cat([activations(hidden, z[part], self.activation)[-1] @ last[0] for part in self.chunks(len(z))])

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """a(z_i), shape (p,), and da/dz, shape (p, 2)."""
        *hidden, last = self.weights
        values, slopes = [], []
        for part in self.chunks(len(z)):
            layers = activations(hidden, z[part], self.activation)
            values.append(layers[-1] @ last[0])
            slopes.append(backward(hidden, layers, last[0].expand_as(layers[-1]), self.activation)[0])
        return torch.cat(values), torch.cat(slopes)

    def gradient(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, ...]:
        """d/dW_l of SUM_i c_i a(z_i)."""
        *hidden, last = self.weights
        total = [torch.zeros_like(weight) for weight in self.weights]
        for part in self.chunks(len(z)):
            layers, c = activations(hidden, z[part], self.activation), coefficients[part]
            slopes = backward(hidden, layers, c[:, None] * last, self.activation)[1:]
            for sums, slope, layer in zip(total, [*slopes, c[:, None]], layers, strict=True):
                sums.addmm_(slope.mT, layer)
        return tuple(total)

    def tangent(self, z: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """SUM_l <da(z_i)/dW_l, V_l>, shape (p,)."""
        found = []
        for part in self.chunks(len(z)):
            layer, moved = forward_tangent(self.weights[:-1], direction[:-1], z[part], self.activation)
            found.append(layer @ direction[-1][0] + moved @ self.weights[-1][0])
        return torch.cat(found)

    def layers(self, z: Tensor) -> tuple[list[Layer], Arcs | None]:
        """All layers at all points; the caller sees to it that they fit the memory."""
        *hidden, last = self.weights
        inputs = activations(hidden, z, self.activation)
        slopes = backward(hidden, inputs, last[0].expand_as(inputs[-1]), self.activation)[1:]
        slopes.append(torch.ones_like(z[:, :1]))
        return [Layer(*pair) for pair in zip(slopes, inputs, strict=True)], None


class Angular:
    """The last two layers by sums over angles, in float64 whatever the weights are; the others layer by layer."""

    activation = "relu"

    def __init__(self, weights: tuple[Tensor, ...]) -> None:
        self.weights = weights
        units, outer = weights[-2].double(), weights[-1][0].double()
        angles, self.order = torch.sort(torch.atan2(units[:, 1], units[:, 0]) % (2 * math.pi))
        self.angles, self.units, self.outer = angles, units[self.order], outer[self.order]
        self.alive = (self.units != 0).any(1)  # a unit with w_j = 0 has no angle and is active nowhere
        self.prefix = prefix_sums(self.outer[:, None] * self.units)

    def inner(self, z: Tensor) -> list[Tensor]:
        """The layers before the last two, up to h."""
        return activations(self.weights[:-2], z)

    def arcs(self, h: Tensor) -> Arcs:
        """Where the units active at each input begin and end."""
        h = h.double()
        angle = torch.atan2(h[:, 1], h[:, 0])
        first, last = (angle - math.pi / 2) % (2 * math.pi), (angle + math.pi / 2) % (2 * math.pi)
        begin = torch.searchsorted(self.angles, first, right=True)
        return Arcs(h, begin, torch.searchsorted(self.angles, last), first > last)

    def sums(self, arcs: Arcs, prefix: Tensor) -> Tensor:
        """Sum over the arc of each input; `prefix` from `prefix_sums`, shape (H+1, k); result (p, k)."""
        return prefix[arcs.end] - prefix[arcs.begin] + arcs.wraps[:, None] * prefix[-1]

    def slope(self, arcs: Arcs) -> Tensor:
        """S(h_i) = da/dh, shape (p, 2); 0 at h = 0, where every unit is off."""
        return self.sums(arcs, self.prefix) * (arcs.inputs != 0).any(1, keepdim=True)

    def value(self, z: Tensor) -> Tensor:
        """a(z_i), shape (p,)."""
        arcs = self.arcs(self.inner(z)[-1])
        return (arcs.inputs * self.sums(arcs, self.prefix)).sum(1).to(z.dtype)

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """a(z_i), shape (p,), and da/dz, shape (p, 2)."""
        layers = self.inner(z)
        arcs = self.arcs(layers[-1])
        slope = self.slope(arcs)
        value = (arcs.inputs * slope).sum(1)
        return value.to(z.dtype), backward(self.weights[:-2], layers, slope.to(z.dtype))[0]

    def gradient(self, z: Tensor, coefficients: Tensor) -> tuple[Tensor, ...]:
        """d/dW_l of SUM_i c_i a(z_i)."""
        layers = self.inner(z)
        arcs = self.arcs(layers[-1])
        sums = self.unit_sums(arcs, coefficients.double()[:, None] * arcs.inputs)  # U_j, (H, 2)
        last_hidden, last = torch.empty_like(sums), torch.empty_like(self.outer)
        last_hidden[self.order] = self.outer[:, None] * sums
        last[self.order] = (self.units * sums).sum(1)
        slope = (coefficients.double()[:, None] * self.slope(arcs)).to(z.dtype)
        slopes = backward(self.weights[:-2], layers, slope)[1:]
        inner = [slope.mT @ layer for slope, layer in zip(slopes, layers[:-1], strict=True)]
        return (*inner, last_hidden.to(z.dtype), last[None].to(z.dtype))

    def unit_sums(self, arcs: Arcs, terms: Tensor) -> Tensor:
        """For each sorted unit the sum of the terms (p, k) of the inputs at which it is active, shape (H, k)."""
        found = []
        for term in terms.unbind(1):
            jumps = torch.bincount(arcs.begin, term, len(self.angles) + 1)
            jumps -= torch.bincount(arcs.end, term, len(self.angles) + 1)
            jumps[0] += (term * arcs.wraps).sum()
            found.append(torch.cumsum(jumps, 0)[:-1] * self.alive)
        return torch.stack(found, 1)

    def tangent(self, z: Tensor, direction: Sequence[Tensor]) -> Tensor:
        """SUM_l <da(z_i)/dW_l, V_l>, shape (p,)."""
        layer, moved = forward_tangent(self.weights[:-2], direction[:-2], z)
        arcs = self.arcs(layer)
        shifts, outer = direction[-2].double()[self.order], direction[-1][0].double()[self.order]
        terms = outer[:, None] * self.units + (self.outer * self.alive)[:, None] * shifts
        found = (arcs.inputs * self.sums(arcs, prefix_sums(terms))).sum(1) + (moved * self.slope(arcs)).sum(1)
        return found.to(z.dtype)

    def layers(self, z: Tensor) -> tuple[list[Layer], Arcs | None]:
        """All layers but the last two, and the arcs."""
        inputs = self.inner(z)
        arcs = self.arcs(inputs[-1])
        slopes = backward(self.weights[:-2], inputs, self.slope(arcs).to(z.dtype))[1:]
        return [Layer(*pair) for pair in zip(slopes, inputs[:-1], strict=True)], arcs

    def factors(self, arcs: Arcs, q: Tensor) -> list[Tensor]:
        """F_n with F_n F_m^T = what the last two layers contribute to Q_n (da/dtheta)(da/dtheta)^T Q_m^T.

        For SUM_i q_i a(h_i) unit j contributes U_j (w_j w_j^T + v_j^2 I) U_j^T, where U_j = SUM_i q_i h_i^T over the
        inputs at which it is active. Units between two neighbouring ends of arcs share U: their matrices are added.

        Args:
            arcs: of N p inputs, instance by instance.
            q: shape (N, b, p).

        Returns:
            For each instance a matrix (b, 2 k) in float64; k <= H and k <= 2 N p + 1.
        """
        ends = torch.unique(torch.cat([arcs.begin, arcs.end, arcs.begin.new_zeros(1)]))
        begin, end = torch.searchsorted(ends, arcs.begin), torch.searchsorted(ends, arcs.end)
        root = self.pooled_roots(ends)
        found = []
        for n, rows in enumerate(q.double()):
            own = slice(n * rows.shape[1], (n + 1) * rows.shape[1])
            terms = (rows.mT[:, None] * arcs.inputs[own, :, None]).flatten(1)  # q_i h_i^T, (p, 2 b)
            jumps = terms.new_zeros(len(ends), terms.shape[1])
            jumps.index_add_(0, begin[own], terms).index_add_(0, end[own], terms, alpha=-1)
            jumps[0] += arcs.wraps[own].double() @ terms
            sums = torch.cumsum(jumps, 0).view(len(ends), 2, -1)  # U between neighbouring ends, (k, 2, b)
            found.append((root.mT @ sums).flatten(0, 1).mT)
        return found

    def pooled_roots(self, ends: Tensor) -> Tensor:
        """R with R R^T = SUM (w_j w_j^T + v_j^2 I) over the units between neighbouring ends, shape (k, 2, 2)."""
        first, second, outer = self.units[:, 0], self.units[:, 1], self.outer * self.alive
        entries = torch.stack([first.square() + outer.square(), first * second, second.square() + outer.square()], 1)
        owner = torch.searchsorted(ends, torch.arange(len(self.angles), device=ends.device), right=True) - 1
        xx, xy, yy = entries.new_zeros(len(ends), 3).index_add_(0, owner, entries).unbind(1)
        top = xx.sqrt()
        side = torch.where(top > 0, xy / top, 0.0)
        corner = (yy - side.square()).clamp_min(0).sqrt()
        return torch.stack([torch.stack([top, side], 1), torch.stack([torch.zeros_like(top), corner], 1)], 2)


def prefix_sums(terms: Tensor) -> Tensor:
    """0, t_1, t_1 + t_2, ...: shape (H, k) -> (H+1, k)."""
    return torch.cat([torch.zeros_like(terms[:1]), torch.cumsum(terms, 0)])
