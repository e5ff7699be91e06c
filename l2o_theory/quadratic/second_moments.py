r"""What both kinds of stochastic gradient descent share: second moments m_i = E[c_i(k)^2] >= 0 in the eigenbasis.

The loss is F = 1/2 SUM_i l_i m_i, the expected excess over the minimum; its recursions are exact and linear in m.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.spectrum import Column, Spectrum, parse_column
from l2o_theory.rigor.rationals import Number


def parse_spectrum(eigenvalues: Iterable[Number]) -> Spectrum:
    """Read eigenvalues, all of them active.

    Raises:
        InputError: as `parse_column`, or an eigenvalue that is not positive.
    """
    column = parse_column(eigenvalues, "eigenvalues")
    return Spectrum(column, parse_column(np.ones(column.high.size), "weights"))


def parse_nonnegative(values: Iterable[Number], name: str, spectrum: Spectrum) -> Column:
    """Read one number >= 0 per eigenvalue.

    Raises:
        InputError: as `parse_column`, another length, or a negative entry.
    """
    column = parse_column(values, name)
    if column.high.size != spectrum.eigenvalues.high.size:
        wanted = spectrum.eigenvalues.high.size
        raise InputError(f"{name} must have one entry per eigenvalue ({wanted}), got {column.high.size}; pair them up")
    if column.high.min() < 0:
        raise InputError(f"{name} must be >= 0, got {column.high.min()}; pass squares or variances")
    return column
