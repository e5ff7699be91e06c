r"""The training loss of a step-size network, F(W) = 1/2 |M X_T(W) - Y|^2, and its gradient in all weights.

Two routes to the same numbers: the written-out adjoint of `l2o_theory.ntk`, and plain reverse mode through the T steps,
obvious and slow, with a graph of T networks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.ntk import loss_gradient
from l2o_theory.ntk.smoothness import admit
from l2o_theory.optimizers.step_size_network import Features, StepSizeNetwork
from l2o_theory.problems.quadratic_programs import QuadraticPrograms

Route = Literal["adjoint", "autograd"]
"""How the gradient is computed."""


@dataclass(frozen=True, eq=False)
class UnrolledLoss:
    """One evaluation.

    Attributes:
        loss: F(W), a scalar.
        gradients: dF/dW_l in the shapes of the weights (with detached features: what back-propagation then returns).
        factors: P_1..P_T, shape (T, N, d).
    """

    loss: Tensor
    gradients: tuple[Tensor, ...]
    factors: Tensor


def trajectory(network: StepSizeNetwork, programs: QuadraticPrograms, steps: int) -> tuple[Tensor, Tensor]:
    """X_0..X_T, shape (T + 1, N, d), and P_1..P_T, shape (T, N, d); differentiable in the weights.

    Raises:
        InputError: T < 1.
    """
    require_steps(steps)
    iterates, factors = [programs.init()], []
    for _ in range(steps):
        x = iterates[-1]
        g = programs.gradient(x)
        factors.append(network.factors(x, g))
        iterates.append(x - network.step_size * factors[-1] * g)
    return torch.stack(iterates), torch.stack(factors)


def unrolled_loss(
    network: StepSizeNetwork,
    programs: QuadraticPrograms,
    steps: int,
    *,
    features: Features | None = None,
    route: Route = "adjoint",
) -> UnrolledLoss:
    """F(W) and its gradient; `features` replaces the network's own mode.

    Raises:
        InputError: T < 1, an unknown route, or steps beyond 1/L_n that the programs do not allow.

    Warns:
        LongStepWarning: steps beyond 1/L_n, if they do: the residual may grow.
    """
    require_steps(steps)
    if route == "adjoint":
        found = loss_gradient(network, programs, steps, features=features)
        return UnrolledLoss(found.loss, found.gradients, found.trajectory.multipliers)
    if route != "autograd":
        raise InputError(f"route must be adjoint or autograd, got {route!r}")
    admit(network.step_size, programs.matrices, allow_long=programs.allow_long)
    leaves = tuple(weight.detach().requires_grad_() for weight in network.weights)
    live = replace(network, weights=leaves, features=features or network.features)
    with torch.enable_grad():
        iterates, factors = trajectory(live, programs, steps)
        loss = programs.loss(iterates[-1])
    gradients = torch.autograd.grad(loss, leaves)
    return UnrolledLoss(loss.detach(), gradients, factors.detach())


def require_steps(steps: int) -> None:
    """Refuse an unroll without steps."""
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"the unroll needs T >= 1 steps, an integer, got {steps!r}")
