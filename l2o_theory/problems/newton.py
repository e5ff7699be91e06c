"""Newton's method for the minimiser of a smooth strongly convex loss, to the last digits of float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from l2o_theory.errors import PrecisionError

_MOST_STEPS = 100


def minimise(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The minimiser of `loss` over vectors, by damped Newton steps with exact Hessians.

    Stops when the Newton decrement, 2 (f - f*) in the limit, is at rounding level and the step small.

    Args:
        loss: twice differentiable, strongly convex, of a vector.
        start: shape (p,), float64; the Hessian of shape (p, p) is formed.

    Raises:
        PrecisionError: no convergence in 100 steps: the loss is not strongly convex, or too ill-conditioned.
    """
    gradient, hessian = torch.func.grad(loss), torch.func.jacrev(torch.func.grad(loss))
    x, value = start, loss(start)
    for _ in range(_MOST_STEPS):
        slope = gradient(x)
        direction: Tensor = torch.linalg.solve(hessian(x), slope)
        decrement = float(slope @ direction)
        size = 1.0
        while float(loss(x - size * direction)) > float(value) - 0.25 * size * decrement and size > 1e-6:
            size /= 2
        # f - f* is about decrement/2; below the rounding of f, one last full step gains the remaining digits of x
        arrived = float(direction.norm()) <= 1e-6 * (1 + float(x.norm()))  # exp(-x) decreases without arriving
        if arrived and decrement <= 1e-15 * (1 + abs(float(value))):
            return x - direction
        x = x - size * direction
        value = loss(x)
    raise PrecisionError(f"Newton's method did not converge in {_MOST_STEPS} steps; raise l2, the strong convexity")
