"""The unit cube: instances as points of [0, 1]^n, for optimisers that need a continuous view.

A real's range is cut at its bounds and landmarks; each piece is stretched so that distances 10^-7..1 from either end
take equal room. Naturals and the vectors' length are discrete and fixed outside (see `Shape`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from l2o_theory.rigor.statement import Instance, Parameter, Statement
from l2o_theory.search.scope import Scope

DECADES = 7
"""How close to a bound or landmark the cube reaches: 10^-7 of the piece, then the end itself."""


@dataclass(frozen=True)
class Shape:
    """The discrete part of an instance: the length of the vectors and the value of each natural."""

    length: int = 0
    naturals: Mapping[str, int] = field(default_factory=dict)


def dimension(statement: Statement, shape: Shape) -> int:
    """Number of coordinates: one per real or share (length-many for a vector)."""
    return sum(shape.length if p.is_vector else 1 for p in statement.parameters if p.kind != "natural")


def from_unit(statement: Statement, u: Sequence[float], shape: Shape) -> dict[str, Any]:
    """The instance at `u` in [0, 1]^dimension, in floats; shares sum to 1 up to rounding.

    Args:
        statement: whose parameters are decoded, in order.
        u: coordinates; those of the shares are weights on a log scale, equal when all are below 1/5.
        shape: the discrete part.
    """
    scope, coordinates = Scope(statement, float), iter(u)
    raw: dict[str, list[float]] = {}
    for p in statement.parameters:
        if p.kind == "share":
            raw[p.name] = [_weight(float(next(coordinates)), p.is_vector) for _ in range(_count(p, shape))]
    total = sum(w for weights in raw.values() for w in weights) or 1.0
    for p in statement.parameters:
        scope.values[p.name] = _value(p, scope, shape, coordinates, [w / total for w in raw.get(p.name, [])])
    return scope.values


def exactly(statement: Statement, point: Mapping[str, Any]) -> Instance:
    """The point in the floats' exact rational values, the largest share mended so that all sum to 1."""
    exact: dict[str, Any] = {
        name: tuple(map(Fraction, v)) if isinstance(v, list | tuple) else Fraction(v) for name, v in point.items()
    }
    shares = [p.name for p in statement.parameters if p.kind == "share"]
    flat = [(name, i) for name in shares for i in range(len(_entries(exact[name])))]
    if not flat:
        return exact
    name, index = max(flat, key=lambda slot: _entries(exact[slot[0]])[slot[1]])
    entries = list(_entries(exact[name]))
    entries[index] += 1 - sum(sum(_entries(exact[other])) for other in shares)
    exact[name] = tuple(entries) if isinstance(exact[name], tuple) else entries[0]
    return exact


def _entries(value: Any) -> tuple[Fraction, ...]:
    return value if isinstance(value, tuple) else (value,)


def _count(parameter: Parameter, shape: Shape) -> int:
    return shape.length if parameter.is_vector else 1


def _value(p: Parameter, scope: Scope, shape: Shape, coordinates: Any, shares: list[float]) -> Any:
    if p.kind == "share":
        return shares if p.is_vector else shares[0]
    if p.kind == "natural":
        natural = shape.naturals[p.name]
        return [natural] * shape.length if p.is_vector else natural
    if not p.is_vector:
        return _real(p, scope, None, float(next(coordinates)))
    rows = [{name: v[i] for name, v in scope.values.items() if isinstance(v, list)} for i in range(shape.length)]
    return [_real(p, scope, row, float(next(coordinates))) for row in rows]


def _weight(u: float, may_vanish: bool) -> float:
    if may_vanish and u > 0.95:
        return 0.0
    return float(10.0 ** (-10 * max(0.0, u - 0.2)))


def _real(parameter: Parameter, scope: Scope, row: Mapping[str, Any] | None, u: float) -> float:
    low, high = scope.bounds(parameter, row)
    anchors = scope.anchors(parameter, row)
    if not anchors:
        size = _power(abs(4 * u - 2) - 1)
        return size if u >= 0.5 else -size
    pieces: list[tuple[float | None, float | None]] = list(pairwise(anchors))
    pieces = [(None, anchors[0])] * (low is None) + pieces + [(anchors[-1], None)] * (high is None)
    if not pieces:  # low == high
        return float(anchors[0])
    index = min(int(u * len(pieces)), len(pieces) - 1)
    return _stretched(*pieces[index], u * len(pieces) - index)


def _power(exponent: float) -> float:
    return float(10.0 ** (DECADES * exponent))


def _stretched(start: float | None, end: float | None, s: float) -> float:
    """Position s in [0, 1] of a piece; its finite ends are hit exactly in the outermost 2 percent."""
    if start is not None and s < 0.02:
        return start
    if end is not None and s > 0.98:
        return end
    if start is not None and end is not None:
        return start + (end - start) / (1 + _power(1 - 2 * s))
    if start is not None:
        return start + (abs(start) or 1.0) * _power(2 * s - 1)
    assert end is not None
    return end - (abs(end) or 1.0) * _power(1 - 2 * s)
