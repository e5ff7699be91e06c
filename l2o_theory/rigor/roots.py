"""Real roots of rational polynomials: certified unique on an interval, counted exactly, or isolated in balls."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint

from l2o_theory.errors import CertificateError, InputError, PrecisionError
from l2o_theory.rigor import balls, kernel, language, products
from l2o_theory.rigor.polynomial import Polynomial
from l2o_theory.rigor.rationals import parse_rational, parse_rationals
from l2o_theory.rigor.symbols import Symbols

_LARGEST_DEGREE = 200  # isolating complex roots takes about 10 s at degree 200
_DIGITS = (30, 120, 480)  # precisions at which a root is told from the ends of an interval
_EXTRA_FACTORS = 4  # how far beyond the degree of the slope products of the ends of the interval are tried


def unique_root(polynomial: str, low: Any, high: Any) -> dict[str, Any]:
    """Certificate that an increasing polynomial in x has exactly one root in (low, high).

    p(low) < 0 < p(high), and p' = sum_j k_j (x - low)^a_j (high - x)^b_j with k_j >= 0.

    Args:
        polynomial: text in x, such as "x**3 + x - 1"; negate a decreasing one.
        low, high: rational ends.

    Raises:
        CertificateError: no sign change from - to +, or no such form of the slope was found (it may exist at a higher
            degree, or on a smaller interval).
    """
    ends = (parse_rational(low, "low"), parse_rational(high, "high"))
    try:
        symbols = Symbols({})
        slope = symbols.polynomial(polynomial).derivative("x")
        values = [language.evaluate(polynomial, {"x": end}) for end in ends]
    except (language.Malformed, TypeError, ValueError) as error:
        raise CertificateError(f"{polynomial!r} is no polynomial in x alone: {error}") from None
    if not (ends[0] < ends[1] and values[0] < 0 < values[1]):
        raise CertificateError(f"{polynomial} does not change from - to + on [{ends[0]}, {ends[1]}]; move the ends")
    certificate: dict[str, Any] = {"kind": "unique_root", "polynomial": polynomial, "interval": [str(e) for e in ends]}
    known = {"low": (symbols["x"] - ends[0], ">="), "high": (Polynomial.of(ends[1]) - symbols["x"], ">=")}
    degree = max((exponent for monomial in slope for _, exponent in monomial), default=0)
    for most in range(max(degree, 1), degree + _EXTRA_FACTORS + 1):
        terms = products.find_posit((slope, ">="), known, degree=most)
        if terms is not None:
            certificate["monotone"] = {"terms": terms}
            kernel.check(certificate)
            return certificate
    raise CertificateError(
        f"no combination of products of the ends shows that {polynomial} increases on [{ends[0]}, {ends[1]}]; "
        "take a smaller interval"
    )


def real_roots(coefficients: Sequence[Any], digits: int = 30) -> list[flint.arb]:
    """The distinct real roots in increasing order, each a ball that holds exactly one.

    The polynomial is made square-free first; a root whose imaginary part is exactly 0 is real, every other ball is
    certainly off the real line.

    Args:
        coefficients: rationals, the constant one first; degree at most 200.
        digits: decimal digits to which each root is known, relative.

    Raises:
        InputError: the polynomial is constant or too long.
    """
    polynomial = _square_free(coefficients)
    with balls.precision(max(64, 4 * digits)):
        found = [flint.acb(root) for root, _ in polynomial.complex_roots()]
        return sorted((root.real for root in found if root.imag == 0), key=lambda root: root.mid())


def count_real_roots(coefficients: Sequence[Any], low: Any, high: Any) -> int:
    """Number of distinct real roots in the closed interval [low, high].

    Raises:
        InputError: the polynomial is constant or too long, or the interval is empty.
        PrecisionError: a root is too close to an end to tell.
    """
    ends = [parse_rational(low, "low"), parse_rational(high, "high")]
    if ends[0] > ends[1]:
        raise InputError(f"the interval [{ends[0]}, {ends[1]}] is empty; swap the ends")
    polynomial, at_ends = _square_free(coefficients), 0
    for end in {flint.fmpq(end.numerator, end.denominator) for end in ends}:
        if polynomial(end) == 0:
            polynomial, at_ends = polynomial // flint.fmpq_poly([-end, 1]), at_ends + 1
    rest = [Fraction(int(c.p), int(c.q)) for c in polynomial.coeffs()]
    for digits in _DIGITS:
        roots = real_roots(rest, digits) if len(rest) > 1 else []
        with balls.precision(4 * digits):
            below, above = (balls.ball(end) for end in ends)
            inside = [root for root in roots if below < root < above]
            outside = [root for root in roots if root < below or above < root]
        if len(inside) + len(outside) == len(roots):
            return at_ends + len(inside)
    raise PrecisionError(f"a root is closer to an end of the interval than {_DIGITS[-1]} digits; move that end")


def _square_free(coefficients: Sequence[Any]) -> flint.fmpq_poly:
    rationals = parse_rationals(coefficients, "coefficients")
    polynomial = flint.fmpq_poly([flint.fmpq(c.numerator, c.denominator) for c in rationals])
    if not 1 <= polynomial.degree() <= _LARGEST_DEGREE:
        raise InputError(f"the degree must be 1 to {_LARGEST_DEGREE}, got {polynomial.degree()}; change the polynomial")
    return polynomial // polynomial.gcd(polynomial.derivative())
