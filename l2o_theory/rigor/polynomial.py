"""Polynomials with rational coefficients; standard library only, part of the trusted base."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

Monomial = tuple[tuple[str, int], ...]
_LARGEST_POWER = 64  # a certificate needs small powers; symbolic t never reaches the polynomials
_MOST_PRODUCTS = 50_000  # of monomials in one multiplication; a certificate needs a few hundred


class Polynomial(dict[Monomial, Fraction]):
    """{((name, exponent), ...): coefficient} with names sorted and no zero coefficient; falsy when zero.

    Example:
        >>> x = Polynomial.variable("x")
        >>> (x + 1) * (x - 1) == x**2 - 1
        True
    """

    @classmethod
    def variable(cls, name: str) -> Polynomial:
        """The polynomial that is one variable."""
        return cls({((name, 1),): Fraction(1)})

    @classmethod
    def of(cls, value: Any) -> Polynomial:
        """`value` itself if it is a polynomial, else the constant; a truth value is no number."""
        if isinstance(value, bool):
            raise TypeError("a relation stands where a polynomial is wanted")
        return value if isinstance(value, Polynomial) else cls({(): Fraction(value)} if value else {})

    def names(self) -> set[str]:
        """The variables that occur."""
        return {name for monomial in self for name, _ in monomial}

    def __add__(self, other: Any) -> Polynomial:
        total = dict(self)
        for monomial, coefficient in Polynomial.of(other).items():
            total[monomial] = total.get(monomial, Fraction(0)) + coefficient
        return Polynomial({monomial: coefficient for monomial, coefficient in total.items() if coefficient})

    def __mul__(self, other: Any) -> Polynomial:
        other, total = Polynomial.of(other), dict[Monomial, Fraction]()
        if len(self) * len(other) > _MOST_PRODUCTS:
            raise ValueError(f"a product of {len(self)} by {len(other)} terms is too large")
        for left, a in self.items():
            for right, b in other.items():
                powers = dict(left)
                for name, exponent in right:
                    powers[name] = powers.get(name, 0) + exponent
                monomial = tuple(sorted(powers.items()))
                total[monomial] = total.get(monomial, Fraction(0)) + a * b
        return Polynomial({monomial: coefficient for monomial, coefficient in total.items() if coefficient})

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Polynomial:
        return self * -1

    def __sub__(self, other: Any) -> Polynomial:
        return self + -Polynomial.of(other)

    def __rsub__(self, other: Any) -> Polynomial:
        return Polynomial.of(other) + -self

    def __truediv__(self, other: Any) -> Polynomial:
        if not isinstance(other, Fraction):
            raise TypeError("a polynomial can be divided by a rational constant only")
        return self * (1 / other)

    def __pow__(self, exponent: int) -> Polynomial:
        if not 0 <= exponent <= _LARGEST_POWER:
            raise ValueError(f"the power of a polynomial must lie in 0..{_LARGEST_POWER}, got {exponent}")
        power: Polynomial = Polynomial.of(1)
        for _ in range(exponent):
            power = self * power
        return power

    def summed(self) -> Polynomial:
        """Sum over i by linearity: the `..._i` part of each monomial becomes one variable named "sum(...)"."""
        total = Polynomial()
        for monomial, coefficient in self.items():
            inner = "*".join(f"{name}**{exponent}" for name, exponent in monomial if name.endswith("_i"))
            outer = tuple(factor for factor in monomial if not factor[0].endswith("_i"))
            total += Polynomial({outer: coefficient}) * Polynomial.variable(f"sum({inner})")
        return total

    def derivative(self, name: str) -> Polynomial:
        """Partial derivative in one variable."""
        total = Polynomial()
        for monomial, coefficient in self.items():
            exponent = dict(monomial).get(name, 0)
            if exponent:
                lowered = {**dict(monomial), name: exponent - 1}
                total += Polynomial({tuple(sorted((n, e) for n, e in lowered.items() if e)): coefficient * exponent})
        return total
