r"""The constants of the one-step certificate D3 in ball arithmetic, from floats taken as the exact numbers they are.

With T = 1, r_1 = r_0 - M D(tau g_0) P(w) and J = -M D(tau g_0) D(p'(w)) G^T. Products and features are balls; a
spectral norm is bounded above by c where c^2 I - B^T B is positive definite, a smallest singular value below by s
where B B^T - s^2 I is, each shown by an LDL^T factorisation in balls whose pivots are all positive. Floating point only
proposes c and s. A sufficient condition must never use the wrong end, so each constant has two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import torch
from torch import Tensor

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.ntk.unroll import Unroll
from l2o_theory.rigor import balls

SLACK = 1e-6
"""Relative distance from the proposed value at which an enclosure is tried; a hundred times more on each failure."""


@dataclass(frozen=True)
class OneStep:
    """Rigorous ends: s0 from below, Kc, Lam and |r_1| at theta_0 from above; the other ends end in _below, _above."""

    s0: float
    s0_above: float
    bound: float
    bound_below: float
    lipschitz: float
    lipschitz_below: float
    residual: float
    residual_below: float
    bits: int


def one_step(run: Unroll, digits: int) -> OneStep:
    """The constants for a network of which only the last layer is trained.

    Raises:
        InputError: an activation other than ReLU, or fewer than one digit.
        PrecisionError: an upper bound that cannot be shown with these digits.
    """
    if run.network.activation != "relu":
        raise InputError("D3 in ball arithmetic is for ReLU features; for smooth ones use D2 with your constants")
    if digits < 1:
        raise InputError(f"digits must be >= 1, got {digits!r}")
    bits = 64 + int(3.33 * digits)
    with balls.precision(bits):
        return _constants([_instance(run, n) for n in range(len(run.matrices))], bits)


@dataclass(frozen=True)
class _Instance:
    """One instance in balls: |r_1|^2, columns of G, |tau g_0|, J row by row, and the ends of |M|."""

    residual: Any
    features: list[Any]
    steps: list[Any]
    jacobian: Any
    norm: tuple[float, float]


def _instance(run: Unroll, n: int) -> _Instance:
    m, x = matrix(run.matrices[n]), matrix(run.start[n][:, None])
    r = m * x - matrix(run.targets[n][:, None])
    g, tau = m.transpose() * r, run.step_size.expand_as(run.start)[n].tolist()
    features = [_features(run, x[i, 0], g[i, 0]) for i in range(x.nrows())]
    steps = [up(step) * g[i, 0] for i, step in enumerate(tau)]
    outer = matrix(run.network.weights[-1])
    sigmoids = [1 / (1 + (-(outer * column)[0, 0]).exp()) for column in features]
    last = r - m * flint.arb_mat([[2 * step * s] for step, s in zip(steps, sigmoids, strict=True)])
    gains = [2 * step * s * (1 - s) for step, s in zip(steps, sigmoids, strict=True)]
    rows = [[gain * entry for entry in entries(column)] for gain, column in zip(gains, features, strict=True)]
    sizes = [abs(step) for step in steps]
    return _Instance(squared(entries(last)), features, sizes, m * flint.arb_mat(rows), norm(m))


def _constants(instances: list[_Instance], bits: int) -> OneStep:
    features = [column for instance in instances for column in instance.features]
    gain = largest([size for instance in instances for size in instance.steps])
    top = largest([squared(entries(column)) for column in features]).sqrt()
    g_low, g_high = norm(flint.arb_mat([entries(column) for column in features]))  # G^T
    m_low, m_high = (max(ends) for ends in zip(*(instance.norm for instance in instances), strict=True))
    rows = [row for instance in instances for row in instance.jacobian.table()]
    s0, s0_above = smallest_singular_value(flint.arb_mat(rows))
    residual = sum((instance.residual for instance in instances), flint.arb(0)).sqrt()
    low, high = gain * up(m_low) * up(g_low), gain * up(m_high) * up(g_high)
    curvature = top / (3 * flint.arb(3).sqrt())
    return OneStep(
        s0=s0,
        s0_above=s0_above,
        bound=above(high / 2),
        bound_below=below(low / 2),
        lipschitz=above(high * curvature),
        lipschitz_below=below(low * curvature),
        residual=above(residual),
        residual_below=below(residual),
        bits=bits,
    )


def _features(run: Unroll, x: Any, g: Any) -> Any:
    """phi(z), a column of balls."""
    layer = flint.arb_mat([[x], [g]] if run.order == "xg" else [[g], [x]])
    for weight in run.network.weights[:-1]:
        layer = matrix(weight) * layer
        for i in range(layer.nrows()):
            value = layer[i, 0]
            layer[i, 0] = value.max(flint.arb(0))  # Lipschitz: an enclosure whatever the sign
    return layer


def matrix(values: Tensor) -> Any:
    """A matrix of exact floats."""
    return flint.arb_mat([[balls.ball(Fraction(entry)) for entry in row] for row in values.tolist()])


def up(value: float) -> Any:
    """A float as an exact ball."""
    return balls.ball(Fraction(value))


def above(value: Any) -> float:
    """A float that is certainly at least the value."""
    return math.nextafter(float(value.upper()), math.inf)


def below(value: Any) -> float:
    """A float that is certainly at most the value, and not negative."""
    return max(0.0, math.nextafter(float(value.lower()), -math.inf))


def entries(column: Any) -> list[Any]:
    """The entries of a matrix, row by row."""
    return [entry for row in column.table() for entry in row]


def squared(values: list[Any]) -> Any:
    """Sum of squares."""
    return sum((value**2 for value in values), flint.arb(0))


def largest(values: list[Any]) -> Any:
    """An enclosure of the maximum."""
    top = values[0]
    for value in values[1:]:
        top = top.max(value)
    return top


def midpoints(values: Any) -> Tensor:
    """Floats near the entries."""
    return torch.tensor([[float(entry.mid()) for entry in row] for row in values.table()], dtype=torch.float64)


def ratio(image: Any, vector: Any) -> Any:
    """|image|/|vector|: a lower bound on a norm, an upper bound on a smallest singular value."""
    return (squared(entries(image)) / squared(entries(vector))).sqrt()


def norm(values: Any) -> tuple[float, float]:
    """Ends of the spectral norm: from |B u|/|u| for one u, and from a definite difference."""
    guess = torch.linalg.svd(midpoints(values), full_matrices=False)
    if float(guess.S[0]) == 0:
        top = squared(entries(values)).sqrt()  # the Frobenius norm
        return 0.0, 0.0 if top == 0 else above(top)
    u = flint.arb_mat([[up(entry)] for entry in guess.Vh[0].tolist()])
    gram = values * values.transpose() if values.nrows() <= values.ncols() else values.transpose() * values
    top = proposed(lambda c: positive_definite(gram, up(c) ** 2, -1), float(guess.S[0]), 1)
    if top is None:
        raise PrecisionError("no upper bound on a spectral norm could be shown; raise digits")
    return below(ratio(values * u, u)), top


def smallest_singular_value(values: Any) -> tuple[float, float]:
    """Ends of sigma_min over the rows; (0, 0) if there are more rows than columns, 0 below if nothing can be shown."""
    if values.nrows() > values.ncols():
        return 0.0, 0.0
    guess = torch.linalg.svd(midpoints(values), full_matrices=False)
    gram = values * values.transpose()
    bottom = proposed(lambda s: positive_definite(gram, up(s) ** 2, 1), float(guess.S[-1]), -1)
    u = flint.arb_mat([[up(entry) for entry in guess.U[:, -1].tolist()]])
    return bottom or 0.0, above(ratio(u * values, u))


def proposed(accepts: Callable[[float], bool], value: float, sign: int) -> float | None:
    """The value moved outwards until it is accepted, at most by half of itself; None if it never is."""
    for slack in (SLACK, 100 * SLACK, 1e4 * SLACK, 0.5):
        candidate = value * (1 + sign * slack)
        if candidate > 0 and accepts(candidate):
            return candidate
    return None


def positive_definite(gram: Any, shift: Any, sign: int) -> bool:
    """Whether sign (gram - shift I) is certainly positive definite: LDL^T in balls has positive pivots only."""
    size = gram.nrows()
    rest = [[sign * (gram[i, j] - (shift if i == j else 0)) for j in range(i + 1)] for i in range(size)]
    for k in range(size):
        pivot = rest[k][k]
        if not pivot > 0:
            return False
        for i in range(k + 1, size):
            factor = rest[i][k] / pivot
            for j in range(k + 1, i + 1):
                rest[i][j] -= factor * rest[j][k]
    return True
