"""Roots: certificates that the kernel accepts, counts against sympy."""

from __future__ import annotations

import pytest
import sympy

from l2o_theory.errors import CertificateError, InputError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.roots import count_real_roots, real_roots, unique_root

POLYNOMIALS = [
    [-2, 0, 1, 0, 1],
    [0, -1, 0, 1],
    [1, -2, 1],
    ["1/3", "-7/2", 2, 1],
    [-1, 1, 0, 0, 0, 5, 3],
    [6, -5, -2, 1],
    [1, 0, 1],
    [5, 1],
]


@pytest.mark.parametrize(
    ("polynomial", "low", "high"),
    [("x**3 + x - 1", 0, 1), ("x**5 - 2", 1, 2), ("x**3 - x/10 + x**2 - 1", "1/4", 1), ("2*x - 1", 0, 1)],
)
def test_a_unique_root_is_certified(polynomial: str, low: object, high: object) -> None:
    assert kernel.check(unique_root(polynomial, low, high)) is None


@pytest.mark.parametrize(
    ("polynomial", "low", "high", "message"),
    [
        ("x**3 + x - 1", 1, 2, "change from - to"),
        ("1 - x", 0, 2, "change from - to"),
        ("x**3 - x - 1/10", -2, 2, "no combination"),  # three real roots
        ("x + y", 0, 1, "no polynomial"),
        ("abs(x) - 1", 0, 2, "no polynomial"),
    ],
)
def test_no_certificate_for_what_is_false(polynomial: str, low: int, high: int, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        unique_root(polynomial, low, high)


@pytest.mark.parametrize("coefficients", POLYNOMIALS)
def test_counts_and_values_agree_with_sympy(coefficients: list[object]) -> None:
    x = sympy.Symbol("x")
    expression = sum(sympy.Rational(c) * x**k for k, c in enumerate(coefficients))
    exact = sorted(set(sympy.Poly(expression, x).real_roots(multiple=True)))
    found = real_roots(coefficients)
    assert len(found) == len(exact)
    for ball, root in zip(found, exact, strict=True):
        # both are right to 30 digits; 1e-25 leaves room for sympy's last ones
        assert abs(sympy.Float(ball.str(40, radius=False), 40) - sympy.N(root, 40)) < 1e-25
    assert count_real_roots(coefficients, -1, 1) == sum(1 for root in exact if -1 <= root <= 1)


def test_a_root_at_an_end_counts() -> None:
    assert count_real_roots([-1, 1], 1, 2) == 1
    assert count_real_roots([-1, 1], 0, 1) == 1
    assert count_real_roots([-1, 1], 1, 1) == 1
    assert count_real_roots([-1, 1], "1001/1000", 2) == 0


@pytest.mark.parametrize("coefficients", [[1], [], [0, 0], [1] * 300, ["x"], [float("nan"), 1]])
def test_bad_polynomials_are_refused(coefficients: list[object]) -> None:
    with pytest.raises(InputError):
        real_roots(coefficients)
    with pytest.raises(InputError):
        count_real_roots([1, 1], 2, 1)
