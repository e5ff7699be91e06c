r"""The best single step size on least-squares programs, and floors that no step sizes get below.

With step p tau for all coordinates, instances and steps, and c the coefficients of r_0 in the left singular basis of M,

    F(p) = 1/2 sum c^2 (1 - p tau s^2)^{2T},     s the singular values,

convex in p, so that the best p is a root of a rising function: the baseline for a learned step. Derived here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import lsq_linear

from l2o_theory.errors import InputError
from l2o_theory.problems.quadratic_programs import QuadraticPrograms

MOST = 2.0
"""The largest factor a network with outputs 2 sigma(.) can set."""

_BISECTIONS = 60  # halves (0, 2) below the spacing of float64


@dataclass(frozen=True)
class ConstantStep:
    """One factor p for everything, and where T steps with p tau end."""

    factor: float
    loss: float


def constant_step_loss(programs: QuadraticPrograms, steps: int, factor: float) -> float:
    """F after T steps with factor p: gradient descent for p = 1. In float64 whatever the programs' dtype.

    Raises:
        InputError: T < 1.
    """
    return _Spectral(programs, steps).loss(factor)


def best_constant_step(programs: QuadraticPrograms, steps: int) -> ConstantStep:
    """The p in (0, 2] whose T steps end lowest.

    Raises:
        InputError: T < 1.
    """
    spectral, low, high = _Spectral(programs, steps), 0.0, MOST
    if spectral.slope(high) <= 0:
        return ConstantStep(high, spectral.loss(high))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if spectral.slope(middle) < 0 else (low, middle)
    return ConstantStep(high, spectral.loss(high))


def one_step_floor(programs: QuadraticPrograms) -> float:
    """The least F after ONE step over all coordinate-wise factors 0 <= p <= 2: no network gets below it at T = 1.

    min_p 1/2 |r_0 - M D(tau g_0) p|^2,   a bounded least-squares problem per instance (scipy's lsq_linear)
    """
    total = 0.0
    double = programs.to(dtype=torch.float64, device="cpu")
    residuals, gradients = double.residual(double.start), double.gradient(double.start)
    for matrix, residual, scaled in zip(double.matrices, residuals, double.step_sizes * gradients, strict=True):
        columns = (matrix * scaled).numpy()
        found = lsq_linear(columns, residual.numpy(), bounds=(0, MOST), tol=1e-12)
        total += float(found.cost)
    return total


class _Spectral:
    """F(p) and its slope from singular values; components outside the range of M stay."""

    def __init__(self, programs: QuadraticPrograms, steps: int) -> None:
        if steps < 1:
            raise InputError(f"the unroll needs T >= 1 steps, got {steps}")
        double = programs.to(dtype=torch.float64, device="cpu")
        left, values, _ = torch.linalg.svd(double.matrices, full_matrices=False)
        residual = double.residual(double.start)
        inside = torch.einsum("nbk,nb->nk", left, residual)
        outside = residual - torch.einsum("nbk,nk->nb", left, inside)
        self.steps, self.outside = steps, float(outside.square().sum())
        self.weights = inside.square().numpy().ravel()
        self.rates = (double.step_sizes * values.square()).numpy().ravel()

    def loss(self, factor: float) -> float:
        return 0.5 * (float(self.weights @ (1 - factor * self.rates) ** (2 * self.steps)) + self.outside)

    def slope(self, factor: float) -> float:
        return -self.steps * float(
            np.sum(self.weights * self.rates * (1 - factor * self.rates) ** (2 * self.steps - 1))
        )
