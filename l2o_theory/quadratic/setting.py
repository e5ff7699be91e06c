r"""The quadratic setting as text: the parameters, hypotheses and sums that statements about it share.

One task: f(w) = 1/2 w^T H w with eigenvalues L > alpha > 0 at the ends and l_i between them, squared coefficients
w1 = c_1^2, wd = c_d^2 > 0 and w_i = c_i^2 >= 0 that sum to 1 (|w_0| = 1), t steps of gradient descent of size eta:

    F(eta) = 1/2 sum_k w_k l_k (1 - eta l_k)^(2t),   k over 1, d and the indices i between.

The vectors l_i, w_i may be empty (d = 2) and may repeat the ends, so this is every spectrum with L > alpha.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from l2o_theory.rigor.proof import Step
from l2o_theory.rigor.statement import Parameter

PAPER = "Wang, Yuan, Wu, Ge 2021"
"""Guarantees for Tuning the Step Size using a Learning-to-Learn Approach, ICML 2021, arXiv 2006.16495."""

SCOPE = "all L > alpha > 0, all weights with w1, wd > 0, all d >= 2, all t >= 1"

SMOOTHNESS = Parameter("L", low="0", landmarks=("1",), meaning="largest eigenvalue, L")
STRONG_CONVEXITY = Parameter(
    "alpha",
    low="0",
    high="L",
    landmarks=("L/2", "L*999/1000", "L/10", "L/1000"),
    meaning="smallest eigenvalue, alpha",
)
WEIGHTS = (
    Parameter("w1", "share", meaning="c_1^2, squared coefficient along the eigenvector of L"),
    Parameter("wd", "share", meaning="c_d^2, squared coefficient along the eigenvector of alpha"),
    Parameter("w_i", "share", meaning="c_i^2 of the eigenvalues between"),
)
BETWEEN = Parameter("l_i", low="alpha", high="L", landmarks=("alpha", "L"), meaning="eigenvalues between alpha and L")
STEPS = Parameter("t", "natural", meaning="number of inner steps")
STEP_LANDMARKS = ("0", "1/L", "2/L", "2/(L+alpha)", "1/alpha")
STEP_SIZE = Parameter("eta", landmarks=STEP_LANDMARKS, meaning="step size, in units of 1/eigenvalue")

SPECTRUM = (SMOOTHNESS, STRONG_CONVEXITY, *WEIGHTS, BETWEEN, STEPS)
"""Parameters of the task and the number of steps, in the order in which their ranges refer to each other."""

HYPOTHESES: Mapping[str, str] = MappingProxyType(
    {
        "order": "0 < alpha < L",
        "first": "w1 > 0",
        "last": "wd > 0",
        "weight": "w_i >= 0",
        "above": "l_i >= alpha",
        "below": "l_i <= L",
        "unit": "w1 + wd + sum(w_i) == 1",
        "steps": "t >= 1",
    }
)
"""Hypotheses of the setting; a chain named h is known to proofs as h.1, h.2, ..."""

WITNESS: Mapping[str, object] = MappingProxyType(
    {"L": "1", "alpha": "1/4", "w1": "1/4", "wd": "1/2", "w_i": ["1/4"], "l_i": ["1/2"], "t": "2"}
)
"""A member of the setting; add "eta"."""

POSITIVE = (
    Step("L_positive", "L > 0", using=("order.1", "order.2")),
    Step("t_positive", "t > 0", using=("steps",)),
    Step("l_positive", "l_i > 0", using=("order.1", "above")),
)
"""First steps of most proofs: L, t and l_i are positive."""

ODD_INCREASES = "odd powers are strictly increasing"
EVEN_NONNEGATIVE = "even powers are non-negative"
POWER_POSITIVE = "integer powers of positive numbers are positive"
POWER_OF_PRODUCT = "(x y)^n = x^n y^n"
ABSOLUTE_POWER = "|x^n| = |x|^n"
POWER_INCREASES = "powers are increasing on x >= 0"
EXPONENTS_ADD = "x^a x^b = x^(a+b) for x > 0"
HOELDER = "Hölder's inequality"
"""Names of the textbook facts that proofs in this setting quote."""

_PER_EIGENVALUE = re.compile(r"\b([lw]|[A-Z]_)(?![\w(])")


def total(term: str) -> str:
    """Sum of `term` over all eigenvalues: its l and w, and its atoms `X_`, take the indices 1, d and i.

    Example:
        >>> total("w*l")
        '(w1*L + wd*alpha + sum(w_i*l_i))'
        >>> total("w*P_")
        '(w1*P_1 + wd*P_d + sum(w_i*P_i))'
    """
    return f"({at('1', term)} + {at('d', term)} + sum({at('i', term)}))"


def at(index: str, term: str) -> str:
    """`term` at one index: "1" (l is L), "d" (l is alpha) or "i".

    Example:
        >>> at("d", "1 - eta*l")
        '1 - eta*alpha'
    """
    eigenvalue = {"1": "L", "d": "alpha", "i": "l_i"}[index]

    def name(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter == "l":
            return eigenvalue
        return {"1": "w1", "d": "wd", "i": "w_i"}[index] if letter == "w" else letter + index

    return _PER_EIGENVALUE.sub(name, term)


def everywhere(template: Mapping[str, str]) -> dict[str, str]:
    """One entry per index from templates with `X_` names: {"P_": "(1-eta*l)**3"} gives P_1, P_d and P_i."""
    return {at(index, name): at(index, text) for name, text in template.items() for index in ("1", "d", "i")}


def gradient(step_size: str = "eta", steps: str = "t") -> str:
    """F'(eta) = -t sum_k w_k l_k^2 (1 - eta l_k)^(2t-1) as text."""
    return f"-{steps}*{total(f'w*l**2*(1-{step_size}*l)**(2*{steps}-1)')}"


def loss(step_size: str = "eta", steps: str = "t") -> str:
    """F(eta) = 1/2 sum_k w_k l_k (1 - eta l_k)^(2t) as text."""
    return f"{total(f'w*l*(1-{step_size}*l)**(2*{steps})')}/2"
