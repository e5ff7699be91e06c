r"""SGD on given data, one sample per step with replacement: exact first and second moments  [derived here].

With e = w - w_ERM, rho = y - X w_ERM (so that X^T rho = 0), mu = E e and M = E e e^T over the random indices,

    mu <- mu - eta H mu,   M <- M - eta (H M + M H) + (eta^2/n) SUM_i v_i x_i x_i^T,
    v_i = x_i^T M x_i - 2 rho_i x_i^T mu + rho_i^2,
    T = (tr(H M) + |rho|^2/n)/2,   R = tr M + 2 mu^T (w_ERM - w*) + |w_ERM - w*|^2

Averaged over w* on the sphere and Gaussian label noise given X, the cross term with rho vanishes and [derived here]

    M(0) = P/d + (sigma^2/n) H^+,   E rho_i^2 = sigma^2 (1 - h_ii),   R = (d-r)/d + tr[M + (sigma^2/n) (I - 2 Q) H^+],

Q = (I - eta H)^k, P the projection on the rows of X, h_ii = x_i^T (X^T X)^+ x_i. Exact up to rounding for every n, d,
at k * n * d^2 operations for each step size: for small tasks, and to check the cheaper routes of `sgd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.minimum import minimum
from l2o_theory.least_squares.risks import scalar
from l2o_theory.least_squares.settings import parse_reals
from l2o_theory.quadratic.arguments import Array, parse_one_steps

_LEAST_RELATIVE = 1e-6  # lower end of a search for the best step size, relative to its upper end


@dataclass(frozen=True, eq=False)
class SGDMoments:
    """Moments of e at the start, and what the steps add; built by `sgd_moments` or `averaged_sgd_moments`.

    Args:
        features: X, shape (n, d).
        mean: mu(0), shape (d,).
        second: M(0), shape (d, d).
        residuals: mean of rho, shape (n,).
        variances: mean of rho_i^2, shape (n,).
        cross: E e(0) (w_ERM - w*)^T, shape (d, d).
        offset: E|w_ERM - w*|^2.
    """

    features: Array
    mean: Array
    second: Array
    residuals: Array
    variances: Array
    cross: Array
    offset: float

    def risk(self, step_size: Any, steps: int) -> Any:
        """R = E|w_k - w*|^2 after k = `steps` steps, at each step size >= 0; past the float range inf."""
        return self._run(step_size, steps)[0]

    def train_loss(self, step_size: Any, steps: int) -> Any:
        """T = E (1/2n) SUM (y - <w_k, x>)^2 over the training samples, at each step size >= 0."""
        return self._run(step_size, steps)[1]

    def best_train_step_size(self, steps: int) -> float:
        """Minimiser of T over (0, 2/tr H), to about 1e-7 relative; beyond, the noise of single samples feeds itself."""
        return minimum(lambda etas: self._run(etas, steps)[1], *self._interval())

    def best_risk_step_size(self, steps: int) -> float:
        """Minimiser of R over the same interval."""
        return minimum(lambda etas: self._run(etas, steps)[0], *self._interval())

    def _interval(self) -> tuple[float, float]:
        top = 2 / float(np.mean(np.sum(self.features**2, axis=1)))
        return top * _LEAST_RELATIVE, top

    def _run(self, step_size: Any, steps: int) -> tuple[Any, Any]:
        """R and T at each step size."""
        etas = parse_reals(step_size, "step_size", positive=False)
        count, x = parse_one_steps(steps), self.features
        eta = etas.reshape(-1, 1, 1)
        gram = x.T @ x / len(x)
        mean = np.repeat(self.mean[None, :, None], eta.size, axis=0)
        second, cross = (np.repeat(matrix[None], eta.size, axis=0) for matrix in (self.second, self.cross))
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(count):
                spread = np.sum((x @ second) * x, axis=-1)[:, :, None]
                weights = spread - 2 * self.residuals[:, None] * (x @ mean) + self.variances[:, None]
                drift = gram @ second
                second = second - eta * (drift + drift.transpose(0, 2, 1)) + eta**2 * (x.T @ (weights * x)) / len(x)
                mean, cross = mean - eta * (gram @ mean), cross - eta * (gram @ cross)
            risk = np.trace(second + 2 * cross, axis1=1, axis2=2) + self.offset
            loss = 0.5 * (np.sum(gram * second, axis=(1, 2)) + np.mean(self.variances))
        finite = np.nan_to_num(np.stack([risk, loss]), nan=np.inf, posinf=np.inf, neginf=np.inf)
        return scalar(finite[0].reshape(etas.shape)), scalar(finite[1].reshape(etas.shape))


def sgd_moments(features: Any, labels: Any, target: Any) -> SGDMoments:
    """Exact moments over the random indices, for given data.

    Args:
        features: X, shape (n, d).
        labels: y, shape (n,).
        target: w*, shape (d,), from which the risk is measured.

    Raises:
        InputError: shapes that do not fit, NaN or infinity.
    """
    x = _matrix(features)
    y, w = _vector(labels, "labels", len(x)), _vector(target, "target", x.shape[1])
    erm = np.linalg.pinv(x) @ y
    residuals, gap = y - x @ erm, erm - w
    return SGDMoments(
        features=x,
        mean=-erm,
        second=np.outer(erm, erm),
        residuals=residuals,
        variances=residuals**2,
        cross=-np.outer(erm, gap),
        offset=float(gap @ gap),
    )


def averaged_sgd_moments(features: Any, noise: float) -> SGDMoments:
    """Exact moments over the random indices, w* uniform on the unit sphere and Gaussian label noise, for given X.

    Args:
        features: X, shape (n, d).
        noise: sigma >= 0.

    Raises:
        InputError: X not a finite matrix, noise negative or not a single number.
    """
    x = _matrix(features)
    sigma = parse_reals(noise, "noise", positive=False)
    if sigma.ndim:
        raise InputError(f"noise must be a single number here, got shape {sigma.shape}; call once per noise")
    n, d = x.shape
    inverse = np.linalg.pinv(x)
    projection = inverse @ x
    variance = float(sigma) ** 2
    spread = variance * inverse @ inverse.T  # (sigma^2/n) H^+
    return SGDMoments(
        features=x,
        mean=np.zeros(d),
        second=projection / d + spread,
        residuals=np.zeros(n),
        variances=variance * np.maximum(0, 1 - np.sum(x * inverse.T, axis=1)),
        cross=-spread,
        offset=float((d - np.trace(projection)) / d + np.trace(spread)),
    )


def _matrix(features: Any) -> Array:
    x = _floats(features, "features")
    if x.ndim != 2 or not x.size or not np.all(np.isfinite(x)):
        raise InputError(f"features must be a finite (n, d) matrix, got shape {x.shape}; remove NaN rows first")
    return x


def _vector(values: Any, name: str, length: int) -> Array:
    vector = _floats(values, name)
    if vector.shape != (length,) or not np.all(np.isfinite(vector)):
        raise InputError(f"{name} must be a finite vector of length {length}, got shape {vector.shape}; match features")
    return vector


def _floats(values: Any, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be an array of numbers, got something else; convert it to float64") from None
