"""The spectrum: eigenvalues l_i with weights c_i^2, once as 106-bit floats and once as exact rationals."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import Array, split_rational
from l2o_theory.rigor.rationals import parse_rationals

_LEAST_LOG_X, _LEAST_RATIO = -300.0, 1e-30  # what the float route can hold beside the largest
_EIGH_NOISE = 16  # rounding errors per entry of an eigenvector; exact (diagonal) eigenvectors keep any coefficient


@dataclass(frozen=True, eq=False)
class Column:
    """A vector of d numbers: `high + low` in floats; `rationals` where the caller gave something else than floats."""

    high: Array
    low: Array
    rationals: tuple[Fraction, ...] | None

    def exact(self) -> tuple[Fraction, ...]:
        """Return the exact numbers; a float stands for its exact binary value."""
        return tuple(map(Fraction, self.high.tolist())) if self.rationals is None else self.rationals


def parse_column(values: Any, name: str) -> Column:
    """Read a non-empty vector of finite numbers.

    Raises:
        InputError: not one-dimensional, empty, NaN, infinite, boolean, unparsable or outside the float range.
    """
    if isinstance(values, Set | Mapping):
        raise InputError(f"{name} must be an ordered sequence, got a {type(values).__name__}; pass a list")
    if hasattr(values, "__array__"):
        values = np.asarray(values)
        if values.ndim != 1:
            raise InputError(f"{name} must be a vector, got shape {values.shape}; flatten it")
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        high = np.array(values, dtype=np.float64)
        low = np.zeros_like(high)
        rationals = None
        bad = np.flatnonzero(~np.isfinite(high))
        if bad.size:
            raise InputError(f"{name}[{bad[0]}] must be finite, got {high[bad[0]]}; remove NaN and infinities first")
    else:
        rationals = parse_rationals(values, name)
        pairs = [split_rational(value, f"{name}[{index}]") for index, value in enumerate(rationals)]
        high, low = np.array(pairs, dtype=np.float64).reshape(-1, 2).T.copy()
    if not high.size:
        raise InputError(f"{name} must not be empty; give at least one number")
    high.setflags(write=False)
    low.setflags(write=False)
    return Column(high, low, rationals)


@dataclass(frozen=True, eq=False)
class FloatSpectrum:
    """Active pairs (c_i != 0) prepared for the float route; all arrays have shape (d,).

    `log_x` = log(c_i^2 l_i) - `log_x_top`, the largest of them; `ratio` = l_i / L; `first` and `last`: positions
    of the largest (L) and smallest (alpha) eigenvalue.
    """

    high: Array
    low: Array
    log_x: Array
    log_x_top: float
    ratio: Array
    first: int
    last: int

    @property
    def is_wide(self) -> bool:
        """Whether c_i^2 l_i spread over more than 10^130 or l_i over more than 10^30: too far for one common scale."""
        return bool(self.log_x.min() < _LEAST_LOG_X or self.ratio.min() < _LEAST_RATIO)

    @property
    def largest(self) -> float:
        """L, the largest active eigenvalue, rounded to float64."""
        return float(self.high[self.first])


@dataclass(frozen=True, eq=False)
class ExactSpectrum:
    """Active pairs as exact rationals, copies of an eigenvalue merged by adding weights, in falling order."""

    eigenvalues: tuple[Fraction, ...]
    weights: tuple[Fraction, ...]

    @cached_property
    def flint_eigenvalues(self) -> list[flint.fmpq]:
        """The eigenvalues as `flint.fmpq`."""
        return [flint.fmpq(value.numerator, value.denominator) for value in self.eigenvalues]

    @cached_property
    def flint_weights(self) -> list[flint.fmpq]:
        """The weights as `flint.fmpq`."""
        return [flint.fmpq(value.numerator, value.denominator) for value in self.weights]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Checked eigenvalues and weights, in the caller's order; `floats` and `exact` hold the active part."""

    eigenvalues: Column
    weights: Column

    def __post_init__(self) -> None:
        sizes = self.eigenvalues.high.size, self.weights.high.size
        if sizes[0] != sizes[1]:
            raise InputError(
                f"eigenvalues and weights must have equal length, got {sizes[0]} and {sizes[1]}; pair them up"
            )
        bad = np.flatnonzero(~(self.eigenvalues.high > 0))
        if bad.size:
            value = self.eigenvalues.high[bad[0]]
            raise InputError(f"eigenvalues[{bad[0]}] must be > 0, got {value}; drop the null space or shift the matrix")
        bad = np.flatnonzero(~(self.weights.high >= 0))
        if bad.size:
            value = self.weights.high[bad[0]]
            raise InputError(f"weights[{bad[0]}] must be >= 0, got {value}; weights are the squares c_i^2")
        if not np.any(self.weights.high > 0):
            raise InputError("weights must not all be zero; the starting point is already the minimiser")

    @cached_property
    def floats(self) -> FloatSpectrum:
        """The active pairs, prepared for the float route."""
        active = self.weights.high > 0
        high, low = self.eigenvalues.high[active], self.eigenvalues.low[active]
        first, last = np.lexsort((low, high))[[-1, 0]]
        log_x = np.log(self.weights.high[active]) + np.log(high)
        return FloatSpectrum(
            high=high,
            low=low,
            log_x=log_x - log_x.max(),
            log_x_top=float(log_x.max()),
            ratio=high / high[first],
            first=int(first),
            last=int(last),
        )

    @cached_property
    def float_terms(self) -> Array:
        """x_i = c_i^2 l_i of the active pairs, in the order of `floats`; inf or 0 beyond the float range."""
        weights = self.weights.high
        return weights[weights > 0] * self.floats.high

    @cached_property
    def active_rationals(self) -> tuple[Fraction, ...]:
        """The active eigenvalues, exactly, in the order of `floats`."""
        pairs = zip(self.eigenvalues.exact(), self.weights.high.tolist(), strict=True)
        return tuple(value for value, weight in pairs if weight > 0)

    @cached_property
    def exact(self) -> ExactSpectrum:
        """The active pairs as rationals, copies merged."""
        merged: dict[Fraction, Fraction] = {}
        for value, weight in zip(self.eigenvalues.exact(), self.weights.exact(), strict=True):
            if weight:
                merged[value] = merged.get(value, Fraction(0)) + weight
        falling = sorted(merged, reverse=True)
        return ExactSpectrum(tuple(falling), tuple(merged[value] for value in falling))


def spectrum_of_matrix(matrix: Any, start: Any) -> Spectrum:
    """Diagonalise a symmetric positive definite H (d, d) in float64: weights c_i^2 = <u_i, start>^2.

    A coefficient within the rounding of its own scalar product counts as 0: noise would make its eigenvalue active.

    Raises:
        InputError: not square, not finite, not symmetric to 1e-12, not positive definite, or `start` of another length.
    """
    try:
        if np.iscomplexobj(matrix) or np.iscomplexobj(start):
            raise TypeError
        h, w = np.asarray(matrix, dtype=np.float64), np.asarray(start, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("H and w0 must be arrays of real numbers, got something else; convert to float64") from None
    if h.ndim != 2 or h.shape[0] != h.shape[1] or not h.size:
        raise InputError(f"H must be a square matrix, got shape {h.shape}; pass X.T @ X for a data matrix X")
    if w.shape != h.shape[:1]:
        raise InputError(f"w0 must have shape {h.shape[:1]}, got {w.shape}; give one entry per row of H")
    if not (np.all(np.isfinite(h)) and np.all(np.isfinite(w))):
        raise InputError("H and w0 must be finite, got NaN or infinity; remove those entries first")
    if np.max(np.abs(h - h.T)) > 1e-12 * np.max(np.abs(h)):
        raise InputError("H must be symmetric, got a matrix that differs from its transpose; pass (H + H.T) / 2")
    eigenvalues, vectors = np.linalg.eigh(h)
    rounding = len(h) * np.finfo(np.float64).eps * np.max(np.abs(eigenvalues))  # eigh cannot resolve less than this
    if not eigenvalues[0] > rounding:
        raise InputError(
            f"H must be positive definite, got smallest eigenvalue {eigenvalues[0]:.3g}; "
            "project out the null space or add a multiple of the identity"
        )
    coefficients = vectors.T @ w
    noise = _EIGH_NOISE * len(h) * np.finfo(np.float64).eps * (np.abs(vectors).T @ np.abs(w))
    coefficients[np.abs(coefficients) <= noise] = 0.0
    return Spectrum(parse_column(eigenvalues, "eigenvalues"), parse_column(coefficients**2, "weights"))
