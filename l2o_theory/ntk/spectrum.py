r"""The spectrum of a kernel as far as floating point can tell: an eigenvalue below the cut is not reported as a number.

An eigenvalue of K = J J^T carries an error of about eps |K|. What lies below cut * lambda_max, with cut at least 1e-12
and at least the number of rows times eps, is therefore "below resolution": its sign means nothing, and the rank counts
what lies above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from l2o_theory.errors import InputError

BELOW: Literal["below resolution"] = "below resolution"
UNKNOWN: Literal["not converged"] = "not converged"
SMALLEST_CUT = 1e-12
DENSE_UP_TO = 512
"""Rows up to which an operator is applied to the unit vectors and treated as a matrix."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of a positive semidefinite kernel.

    Attributes:
        lambda_max: the largest.
        lambda_min: the smallest; the text "below resolution" if it cannot be told from 0, "not converged" if an
            iteration gave up on it.
        rank: how many exceed cut * lambda_max; None for an operator too large to be treated as a matrix.
        cut: relative to lambda_max.
        eigenvalues: all of them, falling; None where the rank is.
    """

    lambda_max: float
    lambda_min: float | Literal["below resolution", "not converged"]
    rank: int | None
    cut: float
    eigenvalues: tuple[float, ...] | None

    @property
    def largest_stable_rate(self) -> float:
        """2/lambda_max: linearised training with a larger learning rate grows (infinite for K = 0)."""
        return 2 / self.lambda_max if self.lambda_max > 0 else float("inf")


def ntk_spectrum(kernel: Tensor | LinearOperator, *, cut: float | None = None) -> Spectrum:
    """Rank, largest and smallest eigenvalue of a kernel, in float64.

    Args:
        kernel: a symmetric positive semidefinite tensor (n, n), or an operator, whose largest and smallest eigenvalue
            are then found by Lanczos iterations (the smallest one only if they converge).
        cut: relative to lambda_max; max(1e-12, n eps) of the kernel's dtype if None.

    Raises:
        InputError: not square, not symmetric, not finite, empty, or a cut outside [0, 1).

    Example:
        >>> ntk_spectrum(torch.diag(torch.tensor([4.0, 1.0, 0.0], dtype=torch.float64)))
        Spectrum(lambda_max=4.0, lambda_min='below resolution', rank=2, cut=1e-12, eigenvalues=(4.0, 1.0, 0.0))
    """
    size = kernel.shape[0] if len(kernel.shape) == 2 else 0
    if size == 0 or tuple(kernel.shape) != (size, size):
        raise InputError(f"a kernel must be a square matrix with at least one row, got shape {tuple(kernel.shape)}")
    double = kernel.dtype in (torch.float64, np.dtype(np.float64))
    chosen = max(SMALLEST_CUT, size * (2.0**-52 if double else 2.0**-23)) if cut is None else cut
    if not 0 <= chosen < 1:
        raise InputError(f"cut must lie in [0, 1), got {cut!r}")
    if isinstance(kernel, LinearOperator):
        if size > DENSE_UP_TO:
            return _by_iteration(kernel, chosen)
        kernel = torch.from_numpy(np.asarray(kernel @ np.eye(size), dtype=np.float64))
        kernel = (kernel + kernel.mT) / 2  # the operator is symmetric up to rounding only
    return _dense(kernel.detach().double(), chosen)


def _dense(kernel: Tensor, cut: float) -> Spectrum:
    if not bool(torch.isfinite(kernel).all()):
        raise InputError("the kernel has entries that are not finite; look at the weights and the problem first")
    largest_entry = float(kernel.abs().max())
    if float((kernel - kernel.mT).abs().max()) > 1e-5 * largest_entry:  # float32 products differ by less
        raise InputError("the kernel is not symmetric; kernels between two sets of inputs have no spectrum")
    values = torch.linalg.eigvalsh((kernel + kernel.mT) / 2).flip(0)
    top = max(float(values[0]), 0.0)
    resolved = bool(values[-1] > cut * top)
    rank = int((values > cut * top).sum())
    return Spectrum(top, float(values[-1]) if resolved else BELOW, rank, cut, tuple(values.tolist()))


def _by_iteration(operator: LinearOperator, cut: float) -> Spectrum:
    start = np.random.default_rng(0).standard_normal(operator.shape[0]).astype(operator.dtype)
    top = float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
    if not np.isfinite(top):
        raise InputError("the kernel has entries that are not finite; look at the weights and the problem first")
    try:
        # to a thousandth of itself, enough to compare it with the cut; far below that the iteration gives up
        bottom = float(eigsh(operator, k=1, which="SA", v0=start, tol=1e-3, return_eigenvectors=False)[0])
    except ArpackNoConvergence:
        return Spectrum(top, UNKNOWN, None, cut, None)
    return Spectrum(top, bottom if bottom > cut * top else BELOW, None, cut, None)
