r"""Least squares as d, n -> inf at d/n = g: risks without sampling, by the Marchenko-Pastur law.

The d-dimensional spectrum has mass (1-1/g)_+ at 0 and density sqrt((b-x)(x-a))/(2 pi g x) on [a, b] = [(1-sqrt g)^2,
(1+sqrt g)^2]. x times it is a semicircle law, whose Gauss rule has N nodes   [derived here]

    theta_k = pi k/(N+1),   x_k = a + 4 sqrt(g) cos^2(theta_k/2),   W_k = 2 sin^2(theta_k)/((N+1) x_k)

Every integrand here is a polynomial of degree 2t - 1 or less in x, divided by x: exact for N >= t + 3 up to the one
pole, and the pole's share is known in closed form [derived here]: SUM W_k falls short of the mass min(1, 1/g) by

    delta_N = |1 - 1/g|/(max(g, 1/g)^(N+1) - 1)      (1/(N+1) at g = 1),

an atom at 0 that joins the sums as one more term >= 0, so that nothing cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.least_squares.measure import Measure
from l2o_theory.least_squares.risks import ExpectedRisks, scalar
from l2o_theory.least_squares.settings import Real, broadcast, parse_reals
from l2o_theory.quadratic.arguments import Array, Steps, parse_steps

_MOST_NODES = 1 << 18


@dataclass(frozen=True, eq=False)
class Limit(ExpectedRisks):
    """Expected risks in the limit, for every setting of the broadcast arrays `ratio`, `noise`, `steps`; see `limit`."""

    ratio: Array
    noise: Array
    steps: NDArray[np.int64]

    @property
    def penalty(self) -> Array:
        """kappa = sigma^2 g."""
        return self.noise**2 * self.ratio

    @property
    def largest_eigenvalue(self) -> Any:
        """b = (1 + sqrt g)^2."""
        return scalar((1 + np.sqrt(self.ratio)) ** 2)

    @property
    def smallest_eigenvalue(self) -> Any:
        """a = (1 - sqrt g)^2, the lowest positive edge."""
        return scalar((1 - np.sqrt(self.ratio)) ** 2)

    def erm_risk(self) -> Any:
        """Risk of the (least-norm) least-squares solution: 1 - 1/g + sigma^2/(g-1), or sigma^2 g/(1-g) for g < 1.

        At g = 1: inf, or 0 without noise.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 at g = 1 without noise is set to 0 below
            noise_part = self.penalty / (np.maximum(self.ratio, 1) * np.abs(1 - self.ratio))
        noise_part = np.where(self.noise > 0, noise_part, 0.0)
        return scalar(np.maximum(0, 1 - 1 / self.ratio) + noise_part)

    def ridge_risk(self) -> Any:
        """Risk of the best ridge penalty, the least of any estimator linear in y   [derived here].

        INT kappa/(kappa + x) over the whole spectrum = [sqrt((1-g+kappa)^2 + 4 g kappa) - (1-g+kappa)]/(2g).
        """
        shift, kappa = 1 - self.ratio + self.penalty, self.penalty
        root = np.hypot(shift, 2 * np.sqrt(self.ratio * kappa))
        with np.errstate(invalid="ignore", divide="ignore"):  # the branch that would cancel is not taken
            rising, falling = 2 * kappa / (root + shift), (root - shift) / (2 * self.ratio)
        return scalar(np.where(shift > 0, rising, falling))

    def guaranteed_step_size(self) -> Any:
        """1/(t (2(1+g) + sigma^2 g)), a step size whose risk is at most `guaranteed_risk`   [derived here]."""
        return scalar(1 / (self.steps * (2 * (1 + self.ratio) + self.penalty)))

    def guaranteed_risk(self) -> Any:
        """1 - 1/(2(1+g) + sigma^2 g) >= min R, at every t and every noise   [derived here].

        From (1-u)^(2t) <= 1 - 2tu + t(2t-1)u^2 and |1-(1-u)^t| <= tu for 0 <= u <= 2 and the moments 1 and 1+g.
        """
        return scalar(1 - 1 / (2 * (1 + self.ratio) + self.penalty))

    def _width(self) -> int:
        return nodes_of_descent(int(self.steps.max(initial=1)))

    def _measure(self, rows: NDArray[np.intp]) -> Measure:
        return self._with_nodes(rows, nodes_of_descent(int(self.steps.flat[rows].max())))

    def _flow_measure(self, rows: NDArray[np.intp], times: Array | None) -> Measure:
        ratio, kappa = self.ratio.flat[rows], self.penalty.flat[rows]
        if times is None:
            with np.errstate(divide="ignore", invalid="ignore"):
                low = (1 - np.sqrt(ratio)) ** 2
                latest = np.where(low > 0, np.log1p(low / kappa) / low, 1 / kappa)
            times = np.where(kappa > 0, latest, 0.0)
        return self._with_nodes(rows, nodes_of_flow(float(np.max(4 * np.sqrt(ratio) * times, initial=0.0))))

    def _with_nodes(self, rows: NDArray[np.intp], nodes: int) -> Measure:
        return semicircle_measure(self.ratio.flat[rows], self.noise.flat[rows], nodes)


def limit(ratio: Real, noise: Real, steps: Steps) -> Limit:
    """Expected risks of t steps of gradient descent as d, n -> inf at d/n = `ratio`.

    Arguments are scalars or arrays that broadcast. Relative accuracy about 1e-13 at moderate t, t * 1e-16 for large t.

    Args:
        ratio: g = d/n > 0.
        noise: sigma >= 0, standard deviation of the label noise.
        steps: t >= 1.

    Raises:
        InputError: out of these ranges, NaN, infinite, or shapes that do not broadcast.

    Example:
        >>> forty = limit(ratio=2, noise=1, steps=40)
        >>> round(forty.best_train_step_size(), 5), round(forty.best_risk_step_size() * 40, 5)
        (0.33091, 0.34464)
    """
    arrays = (
        parse_reals(ratio, "ratio", positive=True),
        parse_reals(noise, "noise", positive=False),
        parse_steps(steps),
    )
    return Limit(*broadcast("ratio, noise and steps", *arrays))


def semicircle_rule(ratio: Array, nodes: int) -> tuple[Array, Array, Array]:
    """Atoms x_k (falling) and masses W_k, shape (rows, nodes), and delta_N, shape (rows,); see the module."""
    theta = math.pi * np.arange(1, nodes + 1) / (nodes + 1)
    root = np.sqrt(ratio)[:, None]
    atoms = (1 - root) ** 2 + 4 * root * np.cos(theta / 2) ** 2
    masses = 2 * np.sin(theta) ** 2 / ((nodes + 1) * atoms)
    log_ratio = np.log(ratio)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        defect = np.abs(np.expm1(-log_ratio)) / np.expm1((nodes + 1) * np.abs(log_ratio))
    return atoms, masses, np.where(log_ratio == 0, 1 / (nodes + 1), defect)


def semicircle_measure(ratio: Array, noise: Array, nodes: int) -> Measure:
    """The limit's spectrum with `nodes` atoms, for each pair of `ratio` and `noise`, shape (rows,)."""
    atoms, masses, defect = semicircle_rule(ratio, nodes)
    kappa = noise**2 * ratio
    return Measure(
        atoms=atoms,
        masses=masses,
        null=np.maximum(0, 1 - 1 / ratio) + defect,
        floor=noise**2 * np.maximum(0, 1 - ratio) + kappa * defect,
        penalty=kappa,
        largest=(1 + np.sqrt(ratio)) ** 2,
    )


def nodes_of_descent(steps: int) -> int:
    """t + 3 nodes, or for large t as many as reach rounding error.

    The largest integrand, (alpha + beta y)^(2t) on |y| <= 1, has Chebyshev coefficients below exp(-m^2/(4t)) of its
    maximum, and N nodes are exact up to degree 2N: exp(-N^2/t) has to be far below t^(-3/2) times 1e-16.
    """
    return min(steps + 3, 8 + math.ceil(math.sqrt(steps * (48 + 2 * math.log(steps)))))


def nodes_of_flow(rate: float) -> int:
    """Nodes that integrate exp(-rate y), |y| <= 1, to rounding error: its coefficients fall like exp(-m^2/(2 rate)).

    Raises:
        InputError: more than 2^18 nodes: a time beyond 2 * 10^9, or a best time there (d/n = 1, sigma below 2 * 10^-5).
    """
    nodes = 32 + 5 * math.sqrt(rate)
    if nodes > _MOST_NODES:
        raise InputError(
            f"time must keep sqrt(d/n) * time below {(_MOST_NODES / 5) ** 2 / 4:.1g}, got {rate / 4:.3g}; "
            "shorten it, or raise the noise if the best time was asked for"
        )
    return math.ceil(nodes)
