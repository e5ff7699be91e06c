r"""What gradient descent does to a spectrum: risk and training loss as sums over atoms, and where each is smallest.

A measure holds positive eigenvalues x with masses p (p = 1/d for each eigenvalue of a matrix, a quadrature rule for a
limit). With q = (1 - eta x)^t, or exp(-s x) for gradient flow, and kappa = sigma^2 d/n   [derived here]

    R = null + SUM p q^2 + kappa SUM p (1-q)^2/x       T = 1/2 [floor + SUM p (x + kappa) q^2]

Every term is >= 0: nothing cancels. Arrays carry the settings in their last axis, called rows below, atoms in one more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from l2o_theory.least_squares.roots import increasing_root
from l2o_theory.quadratic.arguments import Array

CANDIDATES = 25  # places of the global search for the best risk, over a bracket that is narrow already
_LEAST_LOG = -1e300  # stands for log 0: finite, so that its zeroth power is 1


class Decay(NamedTuple):
    """What is left of each component after t steps: |q| in `left` (shape rows, atoms) and 1 - q in `lost`."""

    left: Array
    lost: Array


def descent(step_size: Array, steps: Array, atoms: Array) -> Decay:
    """Decay after t steps of size eta (any sign of 1 - eta x); inf beyond the float range."""
    scaled = step_size[..., None] * atoms
    with np.errstate(all="ignore"):  # log 0 = -inf is the right answer; overflow is documented as inf
        log_left = steps[:, None] * np.log1p(np.where(scaled < 1, -scaled, scaled - 2))
        odd = (scaled > 1) & (steps[:, None] % 2 == 1)
        left = np.exp(log_left)
        return Decay(left, np.where(odd, 1 + left, -np.expm1(log_left)))


def flow(time: Array, atoms: Array) -> Decay:
    """Decay after time s of gradient flow, q = exp(-s x)."""
    exponent = -time[..., None] * atoms
    return Decay(np.exp(exponent), -np.expm1(exponent))


@dataclass(frozen=True, eq=False)
class Measure:
    """Positive atoms, and what lies outside them.

    Args:
        atoms: x > 0, shape (rows or 1, atoms), in falling order.
        masses: p > 0, same shape.
        null: mass of directions that are never learned: their share of R, shape (rows,).
        floor: twice the training loss that no step size removes, shape (rows,).
        penalty: kappa = sigma^2 d/n, shape (rows,).
        largest: upper end of the spectrum, shape (rows,).
    """

    atoms: Array
    masses: Array
    null: Array
    floor: Array
    penalty: Array
    largest: Array

    def risk(self, decay: Decay) -> Array:
        """R = E|w - w*|^2."""
        kappa = self.penalty[:, None]
        with np.errstate(over="ignore"):
            terms = decay.left**2 + kappa * decay.lost**2 / self.atoms
            return self.null + _total(self.masses * terms)

    def train_loss(self, decay: Decay) -> Array:
        """T = E of half the mean square on the training samples."""
        with np.errstate(over="ignore"):
            terms = (self.atoms + self.penalty[:, None]) * decay.left**2
            return 0.5 * (self.floor + _total(self.masses * terms))

    def norm2(self, decay: Decay) -> Array:
        """E|w|^2 = SUM p (1 + kappa/x) (1-q)^2."""
        with np.errstate(over="ignore"):
            return _total(self.masses * (1 + self.penalty[:, None] / self.atoms) * decay.lost**2)

    def best_train_step_size(self, steps: Array) -> Array:
        """The unique zero of T' = -t SUM p x (x + kappa) (1 - eta x)^(2t-1), found inside its bracket."""
        log_weights = np.log(self.masses * self.atoms * (self.atoms + self.penalty[:, None]))
        power = 2.0 * steps - 1
        whole = _log_sum(log_weights)
        low, high = (
            (1 + rho) / (self.atoms[:, 0] + rho * self.atoms[:, -1])
            for rho in (
                np.exp((log_weights[:, -1] - whole) / power),
                np.exp((whole - log_weights[:, 0]) / power),
            )
        )

        def balance(eta: Array) -> Array:
            """Log of the pull to the left over the pull to the right: increasing, nearly linear, never overflows."""
            residual = 1 - eta[:, None] * self.atoms
            with np.errstate(divide="ignore"):
                exponents = log_weights + power[:, None] * np.log(np.abs(residual))
            left, right = (_log_sum(np.where(side, exponents, -np.inf)) for side in (residual < 0, residual > 0))
            with np.errstate(invalid="ignore"):  # both empty: a single atom, whose bracket is a point
                return left - right

        return increasing_root(balance, low, np.maximum(low, high))

    def risk_bracket(self, steps: Array) -> tuple[Array, Array]:
        """Ends of an interval that holds every minimiser of R over (0, 1/largest]   [derived here].

        eta(x) = [1 - (kappa/(x + kappa))^(1/t)]/x minimises the term of x and falls with x:
        eta(largest atom) <= eta* <= min(eta(smallest atom), 1/largest).
        """
        low, high = (
            -np.expm1(-self._crossing(atoms) / steps) / atoms for atoms in (self.atoms[:, 0], self.atoms[:, -1])
        )
        edge = 1 / self.largest
        return np.minimum(low, edge), np.minimum(high, edge)

    def best_risk_step_size(self, steps: Array) -> Array:
        """The minimiser of R over (0, 1/largest]: the best of a scan of the bracket, then the zero of R' beside it."""

        def slope(eta: Array) -> Array:
            with np.errstate(divide="ignore"):
                log_residual = np.maximum(np.log1p(np.maximum(-eta[:, None] * self.atoms, -1)), _LEAST_LOG)
            return self._slope(np.exp((steps[:, None] - 1) * log_residual), steps[:, None] * log_residual)

        low, high = self.risk_bracket(steps)
        return _deepest(lambda eta: self.risk(descent(eta, steps, self.atoms)), slope, low, high)

    def best_flow_time(self) -> Array:
        """s* > 0, the minimiser of the risk of gradient flow, for one setting; inf without noise."""

        def slope(time: Array) -> Array:
            exponent = -time[:, None] * self.atoms
            return self._slope(np.exp(exponent), exponent)

        low, high = (self._crossing(atoms) / atoms for atoms in (self.atoms[:, 0], self.atoms[:, -1]))
        if not np.all(self.penalty):
            return np.full_like(high, np.inf)
        return _deepest(lambda time: self.risk(flow(time, self.atoms)), slope, low, high)

    def _crossing(self, atoms: Array) -> Array:
        """log(1 + x/kappa) = -log q where the term of x is smallest; inf without noise."""
        with np.errstate(divide="ignore"):
            return np.log1p(atoms / self.penalty)

    def _slope(self, before: Array, log_left: Array) -> Array:
        """R' up to a positive factor: SUM p b [kappa (1-q) - x q], b = (1 - eta x)^(t-1), or q itself in a flow."""
        pull = self.penalty[:, None] * np.expm1(log_left) + self.atoms * np.exp(log_left)
        return -_total(self.masses * before * pull)


def _deepest(value: Callable[[Array], Array], slope: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Minimiser of `value` between `low` and `high`, row by row, ends included."""
    grid = low * (high / low) ** np.linspace(0, 1, CANDIDATES)[:, None]
    grid[-1] = high
    best = np.argmin(value(grid), axis=0)
    rows = np.arange(low.size)
    start, end = grid[np.maximum(best - 1, 0), rows], grid[np.minimum(best + 1, CANDIDATES - 1), rows]
    return increasing_root(slope, start, end)


def _total(terms: Array) -> Array:
    """Sum over atoms."""
    total: Array = np.sum(terms, axis=-1)
    return total


def _log_sum(exponents: Array) -> Array:
    """log SUM exp over the last axis; -inf for an empty sum."""
    top = np.max(exponents, axis=-1)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(shift + np.log(_total(np.exp(exponents - shift[..., None]))))
