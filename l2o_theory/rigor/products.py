"""Product certificates: a goal as a non-negative combination of products of known inequalities (Handelman's form).

A linear program finds which products carry the goal; their coefficients are then solved exactly in rationals. Nothing
here is trusted: the kernel expands the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import flint

from l2o_theory.errors import CertificateError
from l2o_theory.rigor.polynomial import Monomial, Polynomial
from l2o_theory.rigor.symbols import Relation

_MOST_COLUMNS = 5000  # beyond this the search should be helped by naming fewer relations
_NEGLIGIBLE = 1e-9  # weights below this are rounding of the linear program, not part of the support
_LARGEST_WEIGHT = 1e6  # keeps the linear program bounded when the strict weight is maximised


def find_posit(
    goal: Relation, known: Mapping[str, Relation], *, degree: int | None = None
) -> list[dict[str, Any]] | None:
    """Find coef_j >= 0 and products of known inequalities with goal = sum_j coef_j product_j.

    Args:
        goal: polynomial and sign; for ">" at least one product of strict relations gets a positive weight.
        known: the inequalities to multiply, by name.
        degree: most factors in one product; by default the total degree of the goal.

    Returns:
        the kernel's `terms`, or None if there is no such combination at this degree.
    """
    import numpy as np  # with scipy the slowest import of `l2o-theory list`, which needs neither
    from scipy.optimize import linprog

    polynomial, sign = goal
    if sign == "==":
        return [] if not polynomial else None
    most = degree if degree is not None else max(_degree(polynomial), 1)
    columns = _columns(known, most)
    monomials = sorted(set(polynomial).union(*(product for _, product, _ in columns)))
    strict = np.array([is_strict for _, _, is_strict in columns])
    row_of = {monomial: row for row, monomial in enumerate(monomials)}
    matrix, target = np.zeros((len(monomials), len(columns))), np.zeros(len(monomials))
    for j, (_, product, _) in enumerate(columns):
        for monomial, coefficient in product.items():
            matrix[row_of[monomial], j] = float(coefficient)
    for monomial, coefficient in polynomial.items():
        target[row_of[monomial]] = float(coefficient)
    cost = -strict.astype(float) if sign == ">" else np.ones(len(columns))
    found = linprog(cost, A_eq=matrix, b_eq=target, bounds=(0, _LARGEST_WEIGHT), method="highs-ds")
    if found.x is None:
        return None
    support = [j for j in range(len(columns)) if found.x[j] > _NEGLIGIBLE]
    weights = _exact_weights([columns[j][1] for j in support], polynomial, monomials)
    if weights is None or (sign == ">" and not any(w and strict[j] for w, j in zip(weights, support, strict=True))):
        return None
    return [{"coef": str(w), "of": columns[j][0]} for w, j in zip(weights, support, strict=True) if w]


def _degree(polynomial: Polynomial) -> int:
    return max((sum(exponent for _, exponent in monomial) for monomial in polynomial), default=0)


def _columns(known: Mapping[str, Relation], most: int) -> list[tuple[dict[str, int], Polynomial, bool]]:
    """Products of at most `most` known inequalities: (powers, expanded, whether all factors are strict)."""
    names = [name for name, (_, sign) in known.items() if sign != "=="]
    columns: list[tuple[dict[str, int], Polynomial, bool]] = [({}, Polynomial.of(1), True)]
    for count in range(1, most + 1):
        for factors in combinations_with_replacement(names, count):
            if len(columns) == _MOST_COLUMNS:
                raise CertificateError(
                    f"{len(names)} relations in products of {most} make over {_MOST_COLUMNS} columns; "
                    "name fewer relations or lower `degree`"
                )
            product = Polynomial.of(1)
            for name in factors:
                product = product * known[name][0]
            powers = {name: factors.count(name) for name in dict.fromkeys(factors)}
            columns.append((powers, product, all(known[name][1] == ">" for name in factors)))
    return columns


def _exact_weights(products: list[Polynomial], target: Polynomial, monomials: list[Monomial]) -> list[Fraction] | None:
    """Solve sum_j w_j products_j = target in rationals; None unless it has a solution with every w_j >= 0."""
    rows = [[product.get(m, Fraction(0)) for product in products] + [target.get(m, Fraction(0))] for m in monomials]
    system = flint.fmpq_mat([[flint.fmpq(v.numerator, v.denominator) for v in row] for row in rows])
    reduced, rank = system.rref()
    weights = [Fraction(0)] * len(products)
    for row in range(rank):
        pivot = next(j for j in range(len(products) + 1) if reduced[row, j] != 0)
        if pivot == len(products):
            return None
        value = reduced[row, len(products)]
        weights[pivot] = Fraction(int(value.p), int(value.q))
    return weights if all(weight >= 0 for weight in weights) else None
