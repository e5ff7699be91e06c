r"""The float64 route: relative accuracy of a few units in the last place at any t, before cancellation between terms.

Two steps make the accuracy independent of t   [derived here]:

1. r_i = 1 - step_size * l_i is formed as a pair high + low (106 bits), so no digit of the inputs is lost near r = 0,
   nor in differences of two |r_i| near step_size = 2/(L + alpha).
2. With m = max |r_i| and q_i = r_i / m, a term matters only while 2t |log q_i| is moderate. log|q_i| is computed from
   (|r_i| - m)/m to full relative accuracy, so the exponent of every term that matters is accurate to a few u.

With s_i = c_i^2 l_i |q_i|^(2t-2) (scaled by exp(shift) = max c_i^2 l_i) the sums of `definition` are
S_0 = m^(2t) sum s q^2, S_1 = m^(2t-1) sum s l q, S_2 = m^(2t-2) sum s l^2, and, because l_i r_j - l_j r_i = l_i - l_j,

    S_2 S_0 - S_1^2 = m^(4t-4) (sum s) (sum s (l - mean)^2),   mean = sum s l / sum s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from l2o_theory.quadratic.arguments import Array, split_rational
from l2o_theory.quadratic.spectrum import FloatSpectrum

BLOCK = 1 << 14  # numbers per work array: 128 KiB, so that a block of arrays stays in the cache
_SPLIT = np.uint64((1 << 27) - 1)
_HALF = np.uint64(1 << 26)
_CANCELLED = 1e-12  # a residual below this keeps fewer than 20 of the 32 digits of inexact inputs
_NEGLIGIBLE = -700.0  # 1e-304; the leading term of each sum is above 1e-190 (see `FloatSpectrum.is_wide`)
_LOG_ZERO = -1e290  # log 0, finite so that 0 * log 0 = 0; times 2t <= 2^54 it stays finite


def _halves(values: Array) -> tuple[Array, Array]:
    """Split each float into two of 26 bits by rounding its bit pattern; never overflows below 1e308."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    high = ((bits + _HALF) & ~_SPLIT).view(np.float64)
    return high, values - high


def residual_pairs(
    high: Array, low: Array, eigenvalues: FloatSpectrum, work: Array | None = None
) -> tuple[Array, Array]:
    """Return r = 1 - (high + low) l as (r, rest), shape (n, d); exact but for the last of 106 bits.

    `work`, shape (4, >= n, d), is overwritten and holds the result: fresh pages cost more than the arithmetic.
    """
    size = len(high), len(eigenvalues.high)
    product, error, difference, scratch = np.empty((4, *size)) if work is None else work[:, : size[0]]
    eta_1, eta_2 = _halves(high[:, None])
    l_1, l_2 = _halves(eigenvalues.high)
    np.multiply(high[:, None], eigenvalues.high, out=product)
    np.multiply(eta_1, l_1, out=error)
    error -= product
    for eta_part, l_part in ((eta_1, l_2), (eta_2, l_1), (eta_2, l_2)):
        error += np.multiply(eta_part, l_part, out=scratch)
    if low.any():
        error += np.multiply(low[:, None], eigenvalues.high, out=scratch)
    if eigenvalues.low.any():
        error += np.multiply(high[:, None], eigenvalues.low, out=scratch)
    np.subtract(1.0, product, out=difference)
    # Two-sum: with c = difference - 1, 1 - product = difference + [(1 - (difference - c)) - (product + c)] exactly.
    np.subtract(difference, 1.0, out=scratch)
    product += scratch
    np.subtract(difference, scratch, out=scratch)
    np.subtract(1.0, scratch, out=scratch)
    scratch -= product
    scratch -= error
    np.add(difference, scratch, out=product)
    np.subtract(product, difference, out=difference)
    scratch -= difference
    return product, scratch


@dataclass(frozen=True, eq=False)
class Residuals:
    """Normalised residuals of n step sizes: q and log|q| (n, d), m and log m (n,); m = 1 where all residuals vanish."""

    normalised: Array
    log_normalised: Array
    largest: Array
    log_largest: Array


def largest_residual(residual: Array, rest: Array, eigenvalues: FloatSpectrum) -> tuple[Array, Array]:
    """Return m = max |r_i| of each row as a pair, 1 where it is 0; |1 - eta l| is convex in l, so an extreme has it."""
    ends = [eigenvalues.first, eigenvalues.last]
    sign = np.copysign(1.0, residual[:, ends])
    size, size_rest = residual[:, ends] * sign, rest[:, ends] * sign
    difference = (size[:, 0] - size[:, 1]) + (size_rest[:, 0] - size_rest[:, 1])
    winner = np.where(difference >= 0, 0, 1)
    rows = np.arange(len(size))
    m = size[rows, winner]
    return np.where(m == 0, 1.0, m), size_rest[rows, winner]


def normalise(residual: Array, rest: Array, eigenvalues: FloatSpectrum) -> Residuals:
    """Divide by the largest |r_i|; overwrites its two arguments."""
    m, m_rest = largest_residual(residual, rest, eigenvalues)
    sign = np.copysign(1.0, residual)
    residual *= sign
    rest *= sign
    less = residual - m[:, None]
    rest -= m_rest[:, None]
    less += rest
    less /= m[:, None]
    near = np.add(1.0, less, out=rest)
    q = residual
    q /= m[:, None]
    # log q = log(near) + (less - (near - 1)) / near as in log1p; far from 1 the quotient q is the more accurate one.
    less -= near - 1.0
    less /= near
    far = q < 0.5
    np.copyto(near, q, where=far)
    np.copyto(less, 0.0, where=far)
    zero = q == 0
    np.copyto(near, 1.0, where=zero)
    np.log(near, out=near)
    near += less
    np.copyto(near, _LOG_ZERO, where=zero)
    q *= sign
    return Residuals(q, near, m, np.log(m) + m_rest / m)


@dataclass(frozen=True, eq=False)
class FloatValues:
    """Values at n step sizes and k horizons, all (n, k), each with its doubt where terms of both signs meet.

    A doubt is |result| / sum of |terms|: at 10^-k the result has lost k digits. `log_curvature` and its doubt are G'',
    `log_of_curvature` is log F''; these three are NaN unless asked for.
    """

    log_loss: Array
    log_loss_doubt: Array
    log_gradient: Array
    log_gradient_doubt: Array
    log_curvature: Array
    log_curvature_doubt: Array
    log_of_curvature: Array


def _sums(
    residuals: Residuals, steps: Array, eigenvalues: FloatSpectrum, curvature: bool, out: Array, work: Array
) -> None:
    """Write shift, sum s q^2, sum s q l/L, sum s |q| l/L and, if asked, sum s (l/L)^2 and the spread into `out`."""
    q, ratio = residuals.normalised, eigenvalues.ratio
    s = np.multiply(residuals.log_normalised, 2 * steps[:, None] - 2, out=work[: len(q)])
    s += eigenvalues.log_x
    out[0] = eigenvalues.log_x_top
    np.maximum(s, _NEGLIGIBLE, out=s)
    np.exp(s, out=s)
    if curvature:
        s[(q == 0) & (steps[:, None] > 1)] = 0.0  # S_2 alone sees r^(2t-2), which is 1 at r = 0, t = 1
        out[4] = s @ (ratio * ratio)
        out[5] = _spread(s, eigenvalues)
    s *= q
    out[1] = np.einsum("ij,ij->i", s, q)
    out[2] = s @ ratio
    out[3] = np.abs(s, out=s) @ ratio


def _spread(s: Array, eigenvalues: FloatSpectrum) -> Array:
    """Return (sum s) (sum s (l - mean)^2) / L^2, with l counted from that of the largest s: that loses 1/d at most."""
    centre = s.argmax(axis=1)
    deviation = eigenvalues.high - eigenvalues.high[centre][:, None]
    deviation += eigenvalues.low - eigenvalues.low[centre][:, None]
    deviation /= eigenvalues.largest
    moment: Array = np.einsum("ij,ij->i", s, deviation)
    square: Array = np.einsum("ij,ij,ij->i", s, deviation, deviation)
    total: Array = s.sum(axis=1)
    return total * square - moment * moment


def combine(sums: Array, largest: Array, log_largest: Array, steps: Array, smoothness: float) -> FloatValues:
    """Combine the sums (6, n, k) into the quantities of `definition`."""
    shift, zeroth, first, first_size, second, spread = sums
    m, power = largest[:, None], 2 * steps * log_largest[:, None]
    log_zeroth = np.log(zeroth)
    log_loss = shift + power + log_zeroth - np.log(2.0)
    scale = smoothness / m
    rise, fall = 4 * steps * (spread / m / m / zeroth), 2 * second
    return FloatValues(
        log_loss=log_loss,
        log_loss_doubt=np.abs(log_loss) / (np.abs(shift) + np.abs(power) + np.abs(log_zeroth) + 1.0),
        log_gradient=-2 * scale * (first / zeroth),
        log_gradient_doubt=np.abs(first) / first_size,
        log_curvature=scale * (scale / zeroth) * (rise - fall),
        log_curvature_doubt=np.abs(rise - fall) / (rise + fall),
        log_of_curvature=np.log(steps)
        + np.log(2 * steps - 1)
        + (shift + (2 * steps - 2) * log_largest[:, None] + 2 * np.log(smoothness) + np.log(second)),
    )


def evaluate(
    eigenvalues: FloatSpectrum,
    high: Array,
    low: Array,
    steps: NDArray[np.int64],
    exact_residual: Callable[[int, int], Fraction],
    *,
    curvature: bool = False,
) -> FloatValues:
    """Evaluate n step sizes `high + low` (n,) at k horizons each; block by block, so that work arrays stay small.

    Args:
        eigenvalues: the active spectrum.
        high: the step sizes, rounded to float64.
        low: what the rounding left.
        steps: horizons, shape (1, k) for a grid or (n, k).
        exact_residual: r_ij exactly, asked for where 106 bits of inexact inputs cancel too far.
        curvature: also compute the second derivatives.
    """
    as_float = np.broadcast_to(steps, (len(high), steps.shape[1])).astype(np.float64)
    sums = np.full((6, *as_float.shape), np.nan)
    largest, log_largest = np.empty((2, len(high)))
    rows = max(1, BLOCK // len(eigenvalues.high))
    work = np.empty((5, rows, len(eigenvalues.high)))
    with np.errstate(all="ignore"):  # log 0, 0/0 and overflow have their documented meaning here
        for begin in range(0, len(high), rows):
            part = slice(begin, begin + rows)
            residual, rest = residual_pairs(high[part], low[part], eigenvalues, work[:4])
            if low.any() or eigenvalues.low.any():
                for i, j in np.argwhere(np.abs(residual) < _CANCELLED):
                    residual[i, j], rest[i, j] = split_rational(exact_residual(begin + int(i), int(j)), "residual")
            residuals = normalise(residual, rest, eigenvalues)
            largest[part], log_largest[part] = residuals.largest, residuals.log_largest
            for column in range(as_float.shape[1]):
                _sums(residuals, as_float[part, column], eigenvalues, curvature, sums[:, part, column], work[4])
        return combine(sums, largest, log_largest, as_float, eigenvalues.largest)
