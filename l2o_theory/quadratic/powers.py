r"""Many horizons at once: the powers |q_i|^(2t-2) of all horizons from one chain of squares, without exp or log.

Sorted horizons t_1 < t_2 < ... share the squares q^(2^j): |q|^(2 t_k - 2) is the previous one times those squares that
t_k - t_(k-1) has in binary, one multiplication each. All of it happens in blocks that stay in the cache. The price is
a relative error of up to 4 t u per term (u = 2^-53), where `float64` has a few u; see `growth`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l2o_theory.quadratic.arguments import Array
from l2o_theory.quadratic.float64 import BLOCK, FloatValues, combine, largest_residual, residual_pairs
from l2o_theory.quadratic.spectrum import FloatSpectrum

LARGEST_HORIZON = 1 << 16
"""Beyond it 4 t u exceeds 3e-11 and `float64` is used."""


def growth(steps: Array) -> Array:
    """Return 4 (t + 2) u, the relative error of a term: 2t u from rounding q, 2t u from the products, 8 u to sum."""
    return (steps + 2) * (4 * 2.0**-53)


def evaluate(eigenvalues: FloatSpectrum, step_sizes: Array, horizons: NDArray[np.int64]) -> FloatValues:
    """Evaluate a grid of n step sizes and k increasing horizons <= `LARGEST_HORIZON`; fields have shape (n, k).

    For step sizes and eigenvalues that are plain floats. The doubt of G' is a lower bound here; no second derivatives.
    """
    size = len(eigenvalues.high)
    x = np.exp(eigenvalues.log_x)
    slope_weights = x * eigenvalues.ratio
    as_float = np.broadcast_to(horizons.astype(np.float64), (len(step_sizes), len(horizons)))
    sums = np.full((6, *as_float.shape), np.nan)
    sums[0] = eigenvalues.log_x_top
    largest, log_largest = np.empty((2, len(step_sizes)))
    increments = np.diff(horizons, prepend=1).tolist()
    rows = max(1, BLOCK // size)
    work = np.empty((4, rows, size))
    exact = np.zeros(1)  # the step sizes have no second part
    chain = np.empty((2 + max(increments).bit_length(), rows, size))
    with np.errstate(all="ignore"):  # underflow to 0 is meant, 0/0 where the loss is exactly 0
        for begin in range(0, len(step_sizes), rows):
            part = slice(begin, begin + rows)
            q, rest = residual_pairs(step_sizes[part], exact, eigenvalues, work)
            m, m_rest = largest_residual(q, rest, eigenvalues)
            largest[part], log_largest[part] = m, np.log(m) + m_rest / m
            q /= m[:, None]
            product = rest  # its memory is free now
            power, *squares = chain[:, : len(q)]
            power.fill(1.0)
            np.multiply(q, q, out=squares[0])
            known = 1
            for column, increment in enumerate(increments):
                for bit in range(increment.bit_length()):
                    if bit == known:
                        np.multiply(squares[bit - 1], squares[bit - 1], out=squares[bit])
                        known += 1
                    if increment >> bit & 1:
                        power *= squares[bit]
                np.multiply(power, q, out=product)
                sums[2, part, column] = product @ slope_weights
                product *= q
                sums[1, part, column] = product @ x
                sums[3, part, column] = power @ slope_weights
        return combine(sums, largest, log_largest, as_float, eigenvalues.largest)
