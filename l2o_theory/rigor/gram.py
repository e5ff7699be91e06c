"""Sums of squares: rational LDL certificates of positive matrices, and Gram matrices of polynomials.

Nothing here is trusted: the kernel repeats the elimination, or expands the squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import CertificateError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.polynomial import Monomial, Polynomial
from l2o_theory.rigor.rationals import parse_rationals

_MOST_MONOMIALS = 60
_ROUNDS = 3000  # alternating projections; small problems settle in a few hundred
_DENOMINATORS = (1, 2, 4, 12, 60, 1000, 10**6, 10**9)  # simplest first: sums of squares in papers have small ones

Matrix = list[list[Fraction]]


def psd(matrix: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Certificate that a symmetric rational matrix is positive semidefinite.

    Raises:
        CertificateError: it is not symmetric, or not positive semidefinite.
    """
    rows = [parse_rationals(row, "row") for row in matrix]
    certificate = {"kind": "psd", "matrix": [[str(entry) for entry in row] for row in rows]}
    try:
        kernel.check(certificate)
    except kernel.Rejected as error:
        raise CertificateError(f"not positive semidefinite: {error}") from None
    return certificate


def find_gram(goal: Polynomial) -> list[dict[str, Any]] | None:
    """Write a polynomial as sum_j k_j square_j^2 with rational k_j >= 0.

    The Gram matrices Q of the goal, goal = z^T Q z over monomials z, are an affine space; alternating projections look
    for a positive semidefinite one, its free entries are rounded to small rationals and the exact LDL factors are the
    squares. A goal with zeros needs the exact face and is found only where the rounding hits it.

    Returns:
        the kernel's `terms`, or None if none was found.

    Raises:
        CertificateError: more monomials than this method is good for.
    """
    basis = _basis(goal)
    if not goal or not basis:
        return [] if not goal else None
    entries: dict[Monomial, list[tuple[int, int]]] = {}
    for i, left in enumerate(basis):
        for j, right in enumerate(basis):
            (product,) = Polynomial({left: Fraction(1)}) * Polynomial({right: Fraction(1)})
            entries.setdefault(product, []).append((i, j))
    if set(goal) - set(entries):
        return None
    approximate = _projected(goal, entries, len(basis))
    for denominator in _DENOMINATORS:
        squares = _ldl(_rounded(approximate, goal, entries, denominator))
        if squares is not None:
            return [{"coef": str(k), "square": _text(column, basis)} for k, column in squares]
    return None


def _basis(goal: Polynomial) -> list[Monomial]:
    """Monomials of half the degree or less; in one variable each, at most half its highest power."""
    highest = {name: max((dict(m).get(name, 0) for m in goal), default=0) for name in sorted(goal.names())}
    degrees = [sum(exponent for _, exponent in monomial) for monomial in goal]
    if not degrees or max(degrees) % 2 or any(power % 2 for power in highest.values()):
        return []
    found: list[Monomial] = []
    for degree in range((min(degrees) + 1) // 2, max(degrees) // 2 + 1):
        for names in combinations_with_replacement(highest, degree):
            monomial = tuple((name, names.count(name)) for name in dict.fromkeys(names))
            if all(2 * power <= highest[name] for name, power in monomial):
                found.append(monomial)
    if len(found) > _MOST_MONOMIALS:
        raise CertificateError(f"{len(found)} monomials are too many for this method; split the goal into steps")
    return found


def _projected(goal: Polynomial, entries: dict[Monomial, list[tuple[int, int]]], size: int) -> NDArray[np.float64]:
    """A Gram matrix of the goal that is positive semidefinite up to rounding, if the projections settle on one."""
    matrix = np.zeros((size, size))
    index = {monomial: tuple(np.array(places).T) for monomial, places in entries.items()}
    for _ in range(_ROUNDS):
        for monomial, places in index.items():
            matrix[places] += (float(goal.get(monomial, 0)) - matrix[places].sum()) / len(places[0])
        values, vectors = np.linalg.eigh(matrix)
        if values[0] > -1e-12:
            break
        matrix = (vectors * np.maximum(values, 0)) @ vectors.T
    return matrix


def _rounded(
    approximate: NDArray[np.float64], goal: Polynomial, entries: dict[Monomial, list[tuple[int, int]]], denominator: int
) -> Matrix:
    """Nearby rational matrix that is exactly a Gram matrix of the goal."""
    size = len(approximate)
    matrix = [[Fraction(0)] * size for _ in range(size)]
    for monomial, places in entries.items():
        for i, j in places:
            matrix[i][j] = Fraction(round(float(approximate[i, j]) * denominator), denominator)
        rest = goal.get(monomial, Fraction(0)) - sum(matrix[i][j] for i, j in places)
        corrected = [place for place in places if place[0] == place[1]] or places
        for i, j in corrected:
            matrix[i][j] += rest / len(corrected)
    return matrix


def _ldl(matrix: Matrix) -> list[tuple[Fraction, list[Fraction]]] | None:
    """matrix = sum_k d_k v_k v_k^T with d_k > 0, by symmetric elimination; None unless positive semidefinite."""
    rows, found = [list(row) for row in matrix], []
    for k, row in enumerate(rows):
        if row[k] < 0 or (row[k] == 0 and any(row[k:])):
            return None
        if row[k] == 0:
            continue
        column = [Fraction(0)] * k + [entry / row[k] for entry in row[k:]]
        found.append((row[k], column))
        for lower in rows[k + 1 :]:
            scale = lower[k] / row[k]
            lower[k:] = [entry - scale * above for entry, above in zip(lower[k:], row[k:], strict=True)]
    return found


def _text(column: Sequence[Fraction], basis: Sequence[Monomial]) -> str:
    factors = ["*".join(f"{name}**{power}" for name, power in monomial) or "1" for monomial in basis]
    return " + ".join(f"({weight})*{factor}" for weight, factor in zip(column, factors, strict=True) if weight)
