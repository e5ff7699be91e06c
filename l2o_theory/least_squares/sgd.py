r"""SGD on the training set, one sample per step with replacement: averaged recursion and its limit [derived here: 5.4].

In the eigenbasis of H, with e = w - w_ERM, m_j = d E e_j^2, p_j = 1/d, eta = c/d, kappa = sigma^2 d/n:

    m_j(0) = 1 + kappa/l_j,   S = SUM p l m + floor = 2 T,   m_j <- m_j + (1/d) (-2 c l_j m_j + c^2 l_j S)
    R = null + SUM p [kappa/l (1 - 2 q) + m],   q_j = (1 - eta l_j)^k

The steps are linear, and symmetric in sqrt(p) m: one eigendecomposition gives every k. As d -> inf with tau = k/d
fixed, (1 + ./d)^k becomes exp(. tau) on the Marchenko-Pastur nodes, q = exp(-c x tau): an ODE solved without steps.

Accuracy: the recursion replaces x_i^T M x_i by its average over i and drops eta^2 l^2 m, so it is exact only in the
limit; at d = 400 it lies within 1 to 5 percent of simulation (worst near c = 1.5). For exact finite n: `sgd_moments`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.conditional import conditional
from l2o_theory.least_squares.limit import Limit, limit, nodes_of_flow, semicircle_measure
from l2o_theory.least_squares.measure import Measure
from l2o_theory.least_squares.minimum import minimum
from l2o_theory.least_squares.risks import blocks, scalar
from l2o_theory.least_squares.settings import parse_count, parse_reals
from l2o_theory.quadratic.arguments import Array, parse_one_steps

_LEAST_RELATIVE = 1e-2  # lower end of a search, relative to the smallest step size that can be best
_STABLE = 1 - 1e-9  # upper end, relative to the stability limit


@dataclass(frozen=True, eq=False)
class SGD:
    """Expected risk and training loss of SGD from 0; see `sgd_limit` and `sgd_recursion`.

    Args:
        measure: spectrum of one setting.
        time: tau = k/d.
        dimension: d for the recursion, None for the limit.
    """

    measure: Measure
    time: float
    dimension: int | None

    @property
    def unit(self) -> float:
        """Step sizes are eta = c * unit: 1/d for the recursion; 1 for the limit, whose step sizes are c = eta d."""
        return 1.0 if self.dimension is None else 1 / self.dimension

    @property
    def stability_limit(self) -> float:
        """The step size at which eta tr(H)/2 = 1 (c = 2 in the limit); beyond it the noise feeds itself."""
        return 2 / float(np.sum(self.measure.masses * self.measure.atoms)) * self.unit

    def diverges(self, step_size: Any) -> Any:
        """Whether eta >= `stability_limit`: R and T grow without bound in time, and end as inf."""
        return scalar(parse_reals(step_size, "step_size", positive=False) >= self.stability_limit)

    def risk(self, step_size: Any) -> Any:
        """R = E|w_k - w*|^2 at each step size >= 0."""
        return self._evaluate(step_size)[0]

    def train_loss(self, step_size: Any) -> Any:
        """T = E (1/2n) SUM (y - <w_k, x>)^2 over the training samples, at each step size >= 0."""
        return self._evaluate(step_size)[1]

    def best_train_step_size(self) -> float:
        """Minimiser of T over (0, stability_limit), to about 1e-7 relative."""
        return minimum(self.train_loss, self._least(), self.stability_limit * _STABLE)

    def best_risk_step_size(self) -> float:
        """Minimiser of R over (0, stability_limit), to about 1e-7 relative: what train-by-validation picks."""
        return minimum(self.risk, self._least(), self.stability_limit * _STABLE)

    def _least(self) -> float:
        """Well below every step size that can be best: those of gradient flow, and of a single noisy step."""
        largest, kappa = float(self.measure.largest[0]), float(self.measure.penalty[0])
        noise = float(self.measure.floor[0]) + kappa
        flow = 1 / (self.time * (largest + kappa))
        return _LEAST_RELATIVE * min(self.stability_limit / self.unit, flow, 1 / (1 + noise)) * self.unit

    def _evaluate(self, step_size: Any) -> tuple[Any, Any]:
        etas = parse_reals(step_size, "step_size", positive=False)
        scale, width = etas.reshape(-1) / self.unit, self.measure.atoms.size
        risk, loss = np.empty(scale.size), np.empty(scale.size)
        for block in blocks(scale.size, width * width):
            risk[block], loss[block] = self._moments(scale[block])
        return scalar(risk.reshape(etas.shape)), scalar(loss.reshape(etas.shape))

    def _moments(self, scale: Array) -> tuple[Array, Array]:
        """R and T for c = `scale`, shape (step sizes,)."""
        atoms, masses = self.measure.atoms[0], self.measure.masses[0]
        null, floor, kappa = self.measure.null[0], self.measure.floor[0], self.measure.penalty[0]
        c, roots = scale[:, None], np.sqrt(masses)
        push = atoms * roots
        generator = c[:, :, None] ** 2 * np.outer(push, push) - 2 * c[:, :, None] * np.diag(atoms)
        rates, modes = np.linalg.eigh(generator)
        with np.errstate(all="ignore"):  # rate 0 has its own branch; overflow is documented as inf
            grown = self._grown(rates)
            fed = np.where(rates == 0, self.time, grown / rates) * c**2 * floor
            state = (grown + 1) * _apply(modes, roots * (1 + kappa / atoms)) + fed * _apply(modes, push)
            moments = np.sum(modes * state[:, None, :], axis=-1)
            left = self._grown(-c * atoms) + 1
            risk = null + np.sum(masses * kappa / atoms * (1 - 2 * left) + roots * moments, axis=-1)
            return risk, 0.5 * (floor + np.sum(push * moments, axis=-1))

    def _grown(self, rates: Array) -> Array:
        """exp(rate tau) - 1, or (1 + rate/d)^k - 1."""
        if self.dimension is None:
            return np.asarray(np.expm1(rates * self.time))
        steps = round(self.time * self.dimension)
        factor = 1 + rates / self.dimension
        small = np.expm1(steps * np.log1p(np.maximum(rates / self.dimension, -0.5)))
        return np.where(factor > 0.5, small, factor**steps - 1)


def sgd_limit(ratio: float, noise: float, epochs: float) -> SGD:
    """SGD as d, n -> inf at d/n = `ratio`; step sizes are c = eta d, `epochs` passes are epochs * n steps.

    Relative accuracy about 1e-10 of the limit itself.

    Args:
        ratio: g = d/n > 0.
        noise: sigma >= 0.
        epochs: steps over n, > 0.

    Raises:
        InputError: out of these ranges, or not single numbers.

    Example:
        >>> round(sgd_limit(2, 1, 20).best_train_step_size(), 2)
        1.47
    """
    setting: Limit = limit(ratio, noise, 1)
    passes = parse_reals(epochs, "epochs", positive=True)
    if setting.noise.ndim or passes.ndim:
        raise InputError("ratio, noise and epochs must be single numbers here, got an array; call once per setting")
    time = float(passes / setting.ratio)
    nodes = nodes_of_flow(8 * time * math.sqrt(float(setting.ratio)))
    return SGD(semicircle_measure(setting.ratio.reshape(1), setting.noise.reshape(1), nodes), time, None)


def sgd_recursion(eigenvalues: Any, dimension: int, samples: int, noise: float, steps: int) -> SGD:
    """The averaged recursion after k = `steps` steps, for the eigenvalues of H = X^T X/n; step sizes are eta.

    Costs one eigendecomposition of size r for each step size, whatever k.

    Args:
        eigenvalues, dimension, samples, noise: as in `conditional`, noise a single number.
        steps: k >= 1.

    Raises:
        InputError: as `conditional`, or more than one noise or number of steps.
    """
    count = parse_one_steps(steps)
    task = conditional(eigenvalues, dimension, samples, noise, 1)
    if task.noise.ndim:
        raise InputError("noise must be a single number here, got an array; call once per noise")
    size = parse_count(dimension, "dimension")
    return SGD(task.measure, count / size, size)


def _apply(modes: Array, vector: Array) -> Array:
    """Components of `vector` along the columns of each of the stacked `modes`."""
    return np.asarray(vector @ modes)
