r"""Chasing a moving minimum: what the best method, frozen ones and a perfect learner lose on average  [derived here].

    f_t(x) = (x - c_t)^T H (x - c_t)/2,   c_{t+1} = c_t + s_t,   s_t independent, mean 0, covariance sigma^2 I

Every method is evaluated after a move it cannot know, so E f >= sigma^2 tr(H)/2, and the exact Newton step attains it.
Setting: the noisy quadratic bowl of arXiv 2210.06171; the formulas are derived here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import Array
from l2o_theory.quasi_newton.numbers import Entries, Real, entries, like, number, positive
from l2o_theory.quasi_newton.stationary import ModeCovariance, mode_covariance


@dataclass(frozen=True, eq=False, init=False)
class TrackedQuadratic:
    """The quadratic with these eigenvalues h_i > 0 whose minimum takes steps of covariance `noise`^2 I.

    Losses are exact rationals if eigenvalues, noise and arguments are (integers, Fractions, text), float64 otherwise.

    Raises:
        InputError: an eigenvalue or the noise is not positive and finite.

    Example:
        >>> TrackedQuadratic(["1", "1/2"]).lower_bound()
        Fraction(3, 4)
    """

    eigenvalues: Entries
    noise: Real

    def __init__(self, eigenvalues: Sequence[Any] | Array, noise: Any = 1) -> None:
        found = positive(entries(eigenvalues, "eigenvalues"), "eigenvalues")
        object.__setattr__(self, "eigenvalues", found)
        sigma = positive(entries([noise], "noise"), "noise").tolist()[0]
        object.__setattr__(self, "noise", like(sigma, found))

    @classmethod
    def bowl(cls, dimension: int = 100, least: float = 1e-3) -> TrackedQuadratic:
        """The bowl of arXiv 2210.06171: eigenvalues log-spaced from `least` to 1, noise 1."""
        return cls(np.exp(np.linspace(np.log(least), 0.0, dimension)))

    @property
    def variance(self) -> Real:
        """sigma^2."""
        return self.noise * self.noise

    def lower_bound(self) -> Real:
        """sigma^2 tr(H)/2: no method that sees only gradients has a smaller expected loss."""
        total: Real = sum(self.eigenvalues.tolist())
        return self.variance * total / 2

    def loss_of_gains(self, gains: Sequence[Any] | Array, momentum: Any = 0) -> Real:
        """Stationary loss of a frozen preconditioner that commutes with H and has the eigenvalues `gains`.

            E f = 1/2 SUM_i h_i Var b_i,   Var b_i of `mode_covariance` at y_i = (1-beta) gain_i h_i, mu = beta

        Raises:
            InputError: a mode is unstable, or the lengths differ.
        """
        given, beta = entries(gains, "gains"), number(momentum, "momentum")
        if given.shape != self.eigenvalues.shape:
            raise InputError(
                f"gains must have {self.eigenvalues.size} entries, got {given.size}; give one per eigenvalue"
            )
        pairs = zip(self.eigenvalues.tolist(), given.tolist(), strict=True)
        modes = ((h, mode_covariance((1 - beta) * gain * h, beta, self.variance)) for h, gain in pairs)
        return _loss(modes)

    def sgd_loss(self, step_size: Any) -> Real:
        """Stationary loss of x <- x - r g:  (sigma^2/2) SUM_i 1/(r (2 - r h_i)).

        Raises:
            InputError: r not in (0, 2/h_max).
        """
        return self.heavy_ball_loss(step_size, 0)

    def heavy_ball_loss(self, step_size: Any, momentum: Any) -> Real:
        """Stationary loss of v <- mu v - r g, x <- x + v.

        Raises:
            InputError: unstable.
        """
        r, mu = number(step_size, "step_size"), number(momentum, "momentum")
        return _loss((h, mode_covariance(r * h, mu, self.variance)) for h in self.eigenvalues.tolist())

    def best_sgd(self) -> tuple[float, float]:
        """(r, loss): the best constant step size, to about 1e-8."""
        from scipy.optimize import minimize_scalar

        floats = self.floats
        top = 2 / float(floats.eigenvalues.max())
        found = minimize_scalar(
            lambda r: _heavy_ball(floats, r, 0.0), bounds=(0, top), method="bounded", options={"xatol": 1e-10 * top}
        )
        return float(found.x), float(found.fun)

    def best_heavy_ball(self) -> tuple[float, float, float]:
        """(r, mu, loss): the best constant step size and momentum in [0, 1), to about 1e-6 in the arguments."""
        from scipy.optimize import minimize

        floats = self.floats
        h_max = float(floats.eigenvalues.max())

        def loss(z: Array) -> float:  # z maps the plane onto the stable pairs
            mu = 1 / (1 + np.exp(-z[0]))
            return _heavy_ball(floats, 2 * (1 + mu) / h_max / (1 + np.exp(-z[1])), mu)

        starts = ((-1.0, 1.0), (1.0, 0.0), (3.0, -2.0))
        runs = [
            minimize(loss, np.array(start), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13})
            for start in starts
        ]
        best = min(runs, key=lambda run: float(run.fun))
        mu = float(1 / (1 + np.exp(-best.x[0])))
        return float(2 * (1 + mu) / h_max / (1 + np.exp(-best.x[1]))), mu, float(best.fun)

    def learned_loss(self, momentum: Any = 0) -> Real:
        """sigma^2 tr(H)/(2 (1-beta^2)): the loss at G = (1+beta) H^-1, where LODO's expected hypergradient vanishes.

        The least loss of any frozen G that commutes with H, at this beta; the Hessian error |I - G H|/sqrt(n) is beta.

        Raises:
            InputError: beta outside [0, 1).
        """
        beta = number(momentum, "momentum", least=0, below=1)
        return self.lower_bound() / (1 - beta * beta)

    def newton_loss(self, momentum: Any = 0) -> Real:
        """Loss of the frozen G = H^-1 under momentum beta, stable for beta > -1/3: a factor (1+2b-b^2)/((1-b)(1+3b)).

        Raises:
            InputError: beta outside [0, 1).
        """
        beta = number(momentum, "momentum", least=0, below=1)
        return self.lower_bound() * (1 + 2 * beta - beta**2) / ((1 - beta) * (1 + 3 * beta))

    @property
    def floats(self) -> TrackedQuadratic:
        """The same in float64."""
        return TrackedQuadratic(self.eigenvalues.astype(np.float64), float(self.noise))


def _loss(modes: Iterable[tuple[Real, ModeCovariance]]) -> Real:
    """1/2 SUM h Var b."""
    total: Real = sum((h * mode.position for h, mode in modes), Fraction(0))
    return total / 2


def _heavy_ball(task: TrackedQuadratic, r: float, mu: float) -> float:
    """As `heavy_ball_loss`, over all modes at once and infinite where unstable: for the searches."""
    y = r * task.eigenvalues
    room = (1 - mu) * (2 * (1 + mu) - y)
    if not (0 <= mu < 1 and y.min() > 0 and room.min() > 0):
        return np.inf
    position = ((1 - mu) ** 2 * (1 + mu) + 2 * mu * y) / (y * room)
    return float(task.variance) * float(task.eigenvalues @ position) / 2


def frozen_loss(preconditioner: Any, hessian: Any, noise: float = 1.0) -> float:
    """Stationary loss tr(H S)/2, S = A S A^T + sigma^2 I, A = I - G H, of x <- x - G g for any frozen matrix G.

    Args:
        preconditioner: G, shape (n, n).
        hessian: H, symmetric positive definite, shape (n, n).
        noise: sigma.

    Raises:
        InputError: shapes that differ, or A has an eigenvalue outside the unit circle, so that nothing is stationary.
    """
    from scipy.linalg import solve_discrete_lyapunov

    G, H = (
        entries(m, name, 2).astype(np.float64) for m, name in ((preconditioner, "preconditioner"), (hessian, "hessian"))
    )
    if G.shape != H.shape or G.shape[0] != G.shape[1]:
        raise InputError(
            f"preconditioner and hessian must be square of one size, got {G.shape} and {H.shape}; match them"
        )
    A = np.eye(len(H)) - G @ H
    if not np.abs(np.linalg.eigvals(A)).max() < 1:
        raise InputError("I - G H must have all eigenvalues inside the unit circle; scale the preconditioner down")
    covariance = solve_discrete_lyapunov(A, noise**2 * np.eye(len(H)))
    return float(np.trace(H @ covariance)) / 2
