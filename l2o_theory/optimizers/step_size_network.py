r"""A network that sets the step size of every coordinate: the learned gradient descent of Song, Lin, Xu 2025.

    G_0 = [x_i, g_i],  G_l = ReLU(W_l G_{l-1}),  P = 2 sigma(W_L G_{L-1}) in (0, 2),   x <- x - tau P (.) g

No biases; W_1 is n_1 x 2, W_l is n_l x n_{l-1}, W_L is 1 x n_{L-1}. The same network serves all coordinates, instances
and steps. W_L = 0 gives P = 1: gradient descent with step tau, to the bit. For any weights and tau <= 1/L the residual
of a least-squares program falls at every step (derived here; see `proofs_checks/ntk`).
Source: the iteration of arXiv 2501.18092; form: Math-L2O (Liu et al. 2023) with P alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from l2o_theory.errors import InputError
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.quadratic_programs import QuadraticPrograms

Features = Literal["full", "detached"]
"""Whether back-propagation passes through the network's inputs (x, g); the published program detaches them."""

Order = Literal["xg", "gx"]
"""Which input the first column of W_1 multiplies; the published program feeds (g, x)."""

Activation = Literal["relu", "softplus"]
"""softplus: a smooth stand-in for tests, in which the theory of smooth networks holds exactly."""


@dataclass(frozen=True, eq=False)
class StepSizeNetwork:
    """The rule with its weights.

    As an `UpdateRule` its meta-parameters are `meta` ({"W1": .., "WL": ..}); `weights` are their present values.

    Attributes:
        weights: W_1, ..., W_L with shapes (n_1, 2), (n_2, n_1), ..., (1, n_{L-1}); L >= 2.
        step_size: tau: a number, or a tensor that broadcasts against the iterate, such as the (N, 1) of
            `QuadraticPrograms.step_sizes`.
        order: see `Order`.
        features: see `Features`.
        activation: see `Activation`.

    Raises:
        InputError: shapes that do not chain, fewer than two layers, weights or steps that are not finite.

    Example:
        >>> network = StepSizeNetwork((torch.ones(3, 2), torch.zeros(1, 3)), step_size=0.5)
        >>> network.update(torch.tensor([1.0]), torch.tensor([2.0]), (), network.meta)[0]
        tensor([0.])
    """

    weights: tuple[Tensor, ...]
    step_size: Tensor | float
    order: Order = "xg"
    features: Features = "detached"
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))
        require_chain(self.weights)
        step = torch.as_tensor(self.step_size)
        if not bool((torch.isfinite(step) & (step > 0)).all()):
            raise InputError("step sizes must be positive and finite; take 1/L, see QuadraticPrograms.step_sizes")
        for name, value, known in (
            ("order", self.order, ("xg", "gx")),
            ("features", self.features, ("full", "detached")),
            ("activation", self.activation, ("relu", "softplus")),
        ):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}")

    @property
    def widths(self) -> tuple[int, ...]:
        """(2, n_1, ..., n_{L-1}, 1)."""
        return (2, *(int(weight.shape[0]) for weight in self.weights))

    @property
    def meta(self) -> dict[str, Tensor]:
        """The weights by name, W1 to WL: the meta-parameters."""
        return {f"W{layer}": weight for layer, weight in enumerate(self.weights, 1)}

    def on(self, programs: QuadraticPrograms) -> StepSizeNetwork:
        """The same rule with the step sizes of other programs."""
        return replace(self, step_size=programs.step_sizes)

    def with_weights(self, weights: Sequence[Tensor]) -> StepSizeNetwork:
        """The same rule with other weights."""
        return replace(self, weights=tuple(weights))

    def init(self, params: Params) -> State:
        """No memory: an empty state."""
        return ()

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Tensor, State]:
        """x - tau P(x, g) (.) g, with the weights of `meta`."""
        if not (isinstance(params, Tensor) and isinstance(grads, Tensor) and isinstance(meta, dict)):
            raise InputError("wanted the iterate and its gradient as tensors and the weights as a dict W1..WL")
        factors = self.factors(params, grads, [meta[f"W{layer}"] for layer in range(1, len(meta) + 1)])
        return params - self.step_size * factors * grads, state

    def factors(self, x: Tensor, g: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """P = 2 sigma(W_L G_{L-1}) in [0, 2], of the shape of x."""
        used = self.weights if weights is None else weights
        return 2 * torch.sigmoid((self.hidden(x, g, used) @ used[-1].mT).squeeze(-1))

    def hidden(self, x: Tensor, g: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """G_{L-1}, the last hidden layer: shape (*x.shape, n_{L-1}); a column of the paper's matrix per coordinate."""
        layer = self.inputs(x, g)
        for weight in (self.weights if weights is None else weights)[:-1]:
            layer = layer @ weight.mT
            layer = torch.relu(layer) if self.activation == "relu" else functional.softplus(layer)
        return layer

    def inputs(self, x: Tensor, g: Tensor) -> Tensor:
        """(x_i, g_i) per coordinate in the order of this rule, shape (*x.shape, 2); detached if `features` says so."""
        pair = (x, g) if self.order == "xg" else (g, x)
        stacked = torch.stack(pair, dim=-1)
        return stacked.detach() if self.features == "detached" else stacked


def require_chain(weights: Sequence[Tensor]) -> None:
    """Refuse weights that are no bias-free network from 2 inputs to 1 output.

    Raises:
        InputError: fewer than two layers, a width below 1, shapes that do not chain, entries that are not finite.
    """
    shapes = [tuple(weight.shape) for weight in weights]
    if len(shapes) < 2 or any(len(shape) != 2 or min(shape) < 1 for shape in shapes):
        raise InputError(f"weights must be at least two matrices W_1..W_L with widths >= 1, got shapes {shapes}")
    ins, outs = [shape[1] for shape in shapes], [shape[0] for shape in shapes]
    if ins != [2, *outs[:-1]] or outs[-1] != 1:
        raise InputError(f"weights must chain as (n_1, 2), (n_2, n_1), .., (1, n_(L-1)), got shapes {shapes}")
    if not all(bool(torch.isfinite(weight.detach()).all()) for weight in weights):
        raise InputError("weights must be finite, got NaN or infinity; start from a smaller scale or learning rate")
