"""Sums of squares: found where they exist, refused where they do not."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from l2o_theory.errors import CertificateError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.gram import find_gram, psd
from l2o_theory.rigor.symbols import Symbols


@pytest.mark.parametrize(
    "goal",
    [
        "1/4 - s + s**2",
        "s**2 - s + 1/3",
        "x**2 + y**2 + z**2 - x*y - y*z - z*x",
        "(x**2 - 2)**2 + (x*y - 1)**2",
        "2*x**4 + 2*x**3*y - x**2*y**2 + 5*y**4",
        "x**6 - x**3 + 1",
    ],
)
def test_sums_of_squares_are_found_and_accepted(goal: str) -> None:
    polynomial = Symbols({}).polynomial(goal)
    terms = find_gram(polynomial)
    certificate = {
        "kind": "posit",
        "assumptions": {},
        "goals": [f"{goal} >= 0"],
        "terms": terms,
        "witness": dict.fromkeys(polynomial.names(), "0"),
    }
    assert kernel.check(certificate) is None


@pytest.mark.parametrize(
    "goal",
    [
        "x**2 - 2",
        "1/4 - s + 99*s**2/100",  # one percent too small: negative at s = 1/2
        "x**3",
        "-x**2",
        "x*y",
        "x**2*y**4 + x**4*y**2 + 1 - 3*x**2*y**2",  # Motzkin: non-negative, but no sum of squares
    ],
)
def test_what_is_no_sum_of_squares_has_no_certificate(goal: str) -> None:
    assert find_gram(Symbols({}).polynomial(goal)) is None


def test_positive_matrices_are_certified_and_others_refused() -> None:
    generator = random.Random(0)
    for size in range(1, 6):
        factor = [[Fraction(generator.randint(-9, 9), 7) for _ in range(size)] for _ in range(max(1, size - 1))]
        matrix = [[sum((row[i] * row[j] for row in factor), Fraction(0)) for j in range(size)] for i in range(size)]
        assert kernel.check(psd(matrix)) is None  # rank at most size - 1: zero pivots occur
        lowered = [
            [entry - (i == j) * Fraction(1, 1000) for j, entry in enumerate(row)] for i, row in enumerate(matrix)
        ]
        if np.linalg.eigvalsh(np.array(lowered, dtype=float))[0] < -1e-6:  # far above rounding of a 5 x 5 problem
            with pytest.raises(CertificateError):
                psd(lowered)
    with pytest.raises(CertificateError, match="symmetric"):
        psd([["1", "2"], ["3", "4"]])


def test_too_many_monomials_are_refused_with_advice() -> None:
    with pytest.raises(CertificateError, match="split the goal"):
        find_gram(Symbols({}).polynomial("(" + " + ".join(f"x{k}" for k in range(12)) + " + 1)**4"))
