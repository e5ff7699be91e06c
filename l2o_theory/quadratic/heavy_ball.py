r"""Gradient descent with heavy-ball momentum on a quadratic, in O(log t) operations per eigenvalue.

    w_{k+1} = w_k - eta H w_k + b (w_k - w_{k-1}),  w_{-1} = w_0
    p_0 = p_{-1} = 1,  p_{k+1} = (1+b-eta l) p_k - b p_{k-1},   F = 1/2 SUM_i c_i^2 l_i p_t(l_i)^2       [derived here]

p_t is read off the power T^t modulo T^2 - (1+b-eta l) T + b. Powers are taken by repeated squaring in the basis (1, N),
N = T - (1+b-eta l)/2, where N^2 = D is the number (1+b-eta l)^2/4 - b:

    (a + c N)(a' + c' N) = (a a' + c c' D) + (a c' + c a') N,      p_t = a + c (1-b-eta l)/2

There is no division and no root, so b = 0 (plain gradient descent) and the double root D = 0 are nothing special, and
for real roots of one sign nothing cancels. Derivatives ride along by the product rule.

Unlike the plain loss, F is not convex in eta once b > 0: eigenvalue 1, b = 1/2, t = 2 has zeros at eta = 1/2 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import parse_one_steps, parse_step_sizes
from l2o_theory.quadratic.enclosure import enclose
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.scaled import Scaled
from l2o_theory.quadratic.spectrum import Spectrum, parse_column
from l2o_theory.rigor.rationals import Number, parse_rational

_EXACT_STEPS = 1 << 12  # beyond it an exact rational p_t is too long to be worth forming


@dataclass(frozen=True, init=False)
class HeavyBall:
    """Heavy-ball descent on the quadratic with these eigenvalues l_i > 0 and weights c_i^2 >= 0.

    Methods take `step_size` (eta) and `momentum` (b), real and broadcast against each other, and one `steps` (t >= 1);
    they return float64, inf or 0 beyond its range. Floats leave p_t an error of about t max(1, |b|)^t 1e-16: near a
    zero of p_t, and for |b| > 1 with small eta l, a small result has no correct digit, and `digits` is needed.
    With `digits=N` they take one exact pair and return `flint.arb`.

    Raises:
        InputError: eigenvalues not positive, weights negative or all zero, lengths that differ, a step size or momentum
            that is not a finite number, steps not a positive integer.

    Example:
        >>> HeavyBall([1], [1]).loss([0.5, 1.0, 2.0], 0.5, 2)
        array([0.   , 0.125, 0.   ])
    """

    spectrum: Spectrum

    def __init__(self, eigenvalues: Iterable[Number], weights: Iterable[Number]) -> None:
        spectrum = Spectrum(parse_column(eigenvalues, "eigenvalues"), parse_column(weights, "weights"))
        object.__setattr__(self, "spectrum", spectrum)

    def loss(self, step_size: ArrayLike, momentum: ArrayLike, steps: int, *, digits: int | None = None) -> Any:
        """F = 1/2 SUM_i c_i^2 l_i p_t(l_i)^2 [derived here]."""
        if digits is None:
            return self._scaled_loss(step_size, momentum, steps).value()
        return self._enclosed(_loss, step_size, momentum, steps, digits)[0]

    def log_loss(self, step_size: ArrayLike, momentum: ArrayLike, steps: int, *, digits: int | None = None) -> Any:
        """Natural logarithm of F: finite where F itself leaves the float range, -inf where F = 0."""
        if digits is None:
            return self._scaled_loss(step_size, momentum, steps).log()
        if self._enclosed(_loss, step_size, momentum, steps, 1)[0] == 0:
            return flint.arb.neg_inf()
        return self._enclosed(_loss, step_size, momentum, steps, digits, flint.arb.log)[0]

    def gradient(
        self, step_size: ArrayLike, momentum: ArrayLike, steps: int, *, digits: int | None = None
    ) -> tuple[Any, Any]:
        """(dF/deta, dF/db) = SUM_i c_i^2 l_i p_t (dp_t/deta, dp_t/db) [derived here]."""
        if digits is not None:
            in_step_size, in_momentum = self._enclosed(_gradient, step_size, momentum, steps, digits)
            return in_step_size, in_momentum
        p, exponent, x = self._polynomials(step_size, momentum, steps, tangents=True)
        value = Scaled.of(p[0], exponent)
        in_step_size, in_momentum = ((value * Scaled.of(p[k], exponent)).total(x).value() for k in (1, 2))
        return in_step_size, in_momentum

    def is_stable(self, step_size: Number, momentum: Number) -> bool:
        """Whether w_k -> 0 from every start: |b| < 1 and 0 < eta L < 2 (1 + b), L the largest active eigenvalue.

        Decided in exact arithmetic. Usually stated for 0 <= b < 1; the form for negative b is the same (Jury's
        criterion, derived here).
        """
        eta, b = parse_rational(step_size, "step_size"), parse_rational(momentum, "momentum")
        return -1 < b < 1 and 0 < eta * self.spectrum.exact.eigenvalues[0] < 2 * (1 + b)

    def _scaled_loss(self, step_size: ArrayLike, momentum: ArrayLike, steps: int) -> Scaled:
        p, exponent, x = self._polynomials(step_size, momentum, steps, tangents=False)
        value = Scaled.of(p[0], exponent)
        return (value * value).total(x / 2)

    def _polynomials(
        self, step_size: ArrayLike, momentum: ArrayLike, steps: int, *, tangents: bool
    ) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """p_t with its tangents as mantissas (1 or 3, ..., d), their common binary exponents (..., d), and x_i."""
        etas = parse_step_sizes(step_size)
        b = np.asarray(momentum)
        b = parse_column(b.ravel(), "momentum").high.reshape(b.shape)
        eigenvalues = self.spectrum.floats
        # 1 - eta l to full relative accuracy even where it nearly vanishes
        residuals, _ = residual_pairs(etas.high.ravel(), etas.low.ravel(), eigenvalues)
        residuals = residuals.reshape(*etas.high.shape, -1)
        try:
            residuals, b = np.broadcast_arrays(residuals, b[..., None])
        except ValueError:
            raise InputError(
                f"step_size and momentum must broadcast, got shapes {etas.high.shape} and {b.shape}; "
                "add an axis, as in step_size[:, None]"
            ) from None
        jet = 3 if tangents else 1
        p, exponent = _polynomial(residuals, b, eigenvalues.high, parse_one_steps(steps), jet)
        return p, exponent, self.spectrum.float_terms

    def _enclosed(
        self,
        formula: Callable[[NDArray[Any], NDArray[Any]], list[Any]],
        step_size: ArrayLike,
        momentum: ArrayLike,
        steps: int,
        digits: int,
        finish: Callable[[flint.arb], flint.arb] | None = None,
    ) -> tuple[flint.arb, ...]:
        eta, b = parse_rational(step_size, "step_size"), parse_rational(momentum, "momentum")
        steps = parse_one_steps(steps)
        exact = self.spectrum.exact

        def compute(number: Callable[[Fraction], Any]) -> list[Any]:
            residuals = np.array([number(1 - eta * value) for value in exact.eigenvalues], dtype=object)
            eigenvalues = np.array([number(value) for value in exact.eigenvalues], dtype=object)
            weights = np.array([number(value) for value in exact.weights], dtype=object)
            p, _ = _polynomial(residuals, number(b), eigenvalues, steps, 1 if formula is _loss else 3)
            return formula(p, weights * eigenvalues)

        return enclose(compute, digits, finish, exact=steps <= _EXACT_STEPS)


def _loss(p: NDArray[Any], x: NDArray[Any]) -> list[Any]:
    return [np.sum(x * p[0] * p[0]) / 2]


def _gradient(p: NDArray[Any], x: NDArray[Any]) -> list[Any]:
    return [np.sum(x * p[0] * p[1]), np.sum(x * p[0] * p[2])]


def _polynomial(r: NDArray[Any], b: Any, eigenvalues: Any, steps: int, jet: int) -> tuple[NDArray[Any], Any]:
    """p_t as a jet (value, or value with its eta- and b-derivatives) times 2^exponent, in the entries' number system.

    `r` is 1 - eta l. Floats are rescaled by powers of two, which rounds nothing; rationals and balls stay (exponent 0).
    """
    zero = r * 0
    one = np.stack([zero + 1, zero, zero][:jet])
    half, slope, rise = (r + b) / 2, zero - eigenvalues / 2, (zero + 1) / 2
    centre = np.stack([half, slope, rise][:jet])  # half the trace, 1+b-eta l, and its derivatives
    square = np.stack([half * half - b, 2 * half * slope, half - 1][:jet])  # D = N^2
    last = np.stack([(r - b) / 2, slope, -rise][:jet])

    a, c = centre, one
    exponent = np.zeros(r.shape, dtype=np.int64)
    for bit in bin(steps)[3:]:
        a, c, exponent = _times(a, a) + _times(_times(c, c), square), 2 * _times(a, c), 2 * exponent
        if bit == "1":
            a, c = _times(a, centre) + _times(c, square), a + _times(c, centre)
        if a.dtype == np.float64:
            shift = np.frexp(np.maximum(np.abs(a[0]), np.abs(c[0])))[1]
            a, c, exponent = np.ldexp(a, -shift), np.ldexp(c, -shift), exponent + shift
    return a + _times(c, last), exponent


def _times(u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    """Product rule on jets of shape (1 or 3, ...)."""
    return np.concatenate([u[:1] * v[:1], u[1:] * v[:1] + u[:1] * v[1:]])
