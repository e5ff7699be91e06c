"""Exact mean and variance of evolution strategies for the step size of gradient descent on a quadratic.

On f(x) = 1/2 sum_i lam_i x_i^2 every loss is a polynomial in the perturbations, and products over windows factorise, so
Gaussian moments E eps^(2m) = (2m-1)!! give both moments in exact rationals.   [derived here]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from l2o_theory.errors import InputError

Polynomial = list[Fraction]


@dataclass(frozen=True)
class Moments:
    """Mean and variance of one sample (one pair, if antithetic); n samples have variance / n."""

    mean: Fraction
    variance: Fraction


@dataclass(frozen=True)
class _Term:
    """c * prod_v P_v(eps_v): what coordinate i at step t adds to the objective; it is read in window `last`."""

    coefficient: Fraction
    factors: list[Polynomial]
    last: int


def evolution_moments(
    eigenvalues: Sequence[Fraction],
    start: Sequence[Fraction],
    step_size: Fraction,
    steps: int,
    *,
    sigma: Fraction,
    window: int | None = None,
    antithetic: bool = False,
    weights: Sequence[Fraction] | None = None,
) -> Moments:
    """Moments of g = (1/sigma) sum_w xi_w L_w with xi_w = eps_1 + ... + eps_w, L = sum_t w_t f(x_t).

    With independent eps_v ~ N(0, 1) and x_t = prod_{s<t} (1 - (alpha + sigma eps_{v(s)}) lam) x_0, s in window v(s),

        E g = (1/sigma) sum_w E[xi_w L_w],    Var g = (1/sigma^2) sum_{w,w'} E[xi_w xi_w' L_w L_w'] - (E g)^2,

    and for antithetic pairs (g(eps) + g(-eps))/2, whose second moment is (E g^2 + E g(eps) g(-eps))/2.

    Args:
        eigenvalues: lam_i.
        start: x_0.
        step_size: alpha.
        steps: N.
        sigma: standard deviation of the perturbation.
        window: K of `pes`; None: one perturbation for the whole run, `es`.
        antithetic: pairs.
        weights: w_1, ..., w_N; one each where None.

    Raises:
        InputError: sigma <= 0, a window outside 1..N, or lengths that differ.
    """
    length = steps if window is None else window
    if steps < 1 or not 1 <= length <= steps:
        raise InputError(f"steps must be >= 1 and window between 1 and steps, got {steps} and {window}")
    if not sigma > 0:
        raise InputError(f"sigma must be > 0, got {sigma}")
    if len(eigenvalues) != len(start) or len(weights or [Fraction(1)] * steps) != steps:
        raise InputError("eigenvalues and start must have one length, and weights one entry per step")
    terms = _terms(eigenvalues, start, step_size, steps, sigma, length, weights or [Fraction(1)] * steps)
    mean = sum((term.coefficient * _weighted([term.factors], [term.last]) for term in terms), Fraction(0)) / sigma
    second = _second(terms, 1)
    if antithetic:
        # xi changes sign with eps
        second = (second - _second(terms, -1)) / 2
    return Moments(mean, second / sigma**2 - mean**2)


def _second(terms: list[_Term], sign: int) -> Fraction:
    """sum over pairs of E[xi_w(eps) xi_w'(eps) term(eps) term'(sign eps)]."""
    total = Fraction(0)
    for left, right in product(terms, terms):
        mirrored = [[c * sign**k for k, c in enumerate(factor)] for factor in right.factors]
        total += left.coefficient * right.coefficient * _weighted([left.factors, mirrored], [left.last, right.last])
    return total


def _terms(
    eigenvalues: Sequence[Fraction],
    start: Sequence[Fraction],
    step_size: Fraction,
    steps: int,
    sigma: Fraction,
    length: int,
    weights: Sequence[Fraction],
) -> list[_Term]:
    windows = -(-steps // length)
    terms = []
    for lam, x in zip(eigenvalues, start, strict=True):
        square = _multiplied([1 - step_size * lam, -sigma * lam], [1 - step_size * lam, -sigma * lam])
        factors: list[Polynomial] = [[Fraction(1)]] * windows
        for t in range(1, steps + 1):
            at = (t - 1) // length
            factors = [*factors[:at], _multiplied(factors[at], square), *factors[at + 1 :]]
            if weights[t - 1] != 0:
                terms.append(_Term(weights[t - 1] * lam * x**2 / 2, factors, at))
    return terms


def _weighted(groups: list[list[Polynomial]], last: list[int]) -> Fraction:
    """E[prod_g xi_{last_g} * prod_v prod_g P_{g,v}(eps_v)], one or two groups."""
    joined = groups[0] if len(groups) == 1 else [_multiplied(a, b) for a, b in zip(*groups, strict=True)]
    moments = [[_expected(polynomial, power) for power in range(len(groups) + 1)] for polynomial in joined]
    total = Fraction(0)
    for chosen in product(*(range(end + 1) for end in last)):
        part = Fraction(1)
        for v, moment in enumerate(moments):
            part *= moment[chosen.count(v)]
        total += part
    return total


def _multiplied(left: Polynomial, right: Polynomial) -> Polynomial:
    found = [Fraction(0)] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            found[i + j] += a * b
    return found


def _expected(polynomial: Polynomial, power: int) -> Fraction:
    """E[eps^power P(eps)] by E eps^(2m) = (2m-1)!!."""
    total, moment = Fraction(0), 1
    for degree in range(len(polynomial) + power):
        if degree % 2 == 0:
            moment *= max(degree - 1, 1)
            if degree >= power:
                total += polynomial[degree - power] * moment
    return total
