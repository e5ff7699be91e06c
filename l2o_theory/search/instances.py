"""Instances: drawn where statements like to fail, in exact small rationals.

Uniform draws miss what matters: the boundary of a hypothesis, a tie of two terms, a weight of 10^-6. So each real is
one of: a simple rational of its range, a bound or landmark exactly, a bound or landmark moved by m/10^k of itself or of
the range, a log-uniform value, or (rarely) a value outside the range, since a range only says where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from numbers import Rational
from random import Random
from typing import Any, Protocol

from hypothesis import strategies as st

from l2o_theory.rigor.statement import Instance, Parameter, Statement, Value
from l2o_theory.search.scope import Scope, within

LADDER = (1, 2, 3, 5, 10, 40, 100, 1000)
"""Horizons worth trying."""

LONGEST = 4
"""Largest length of the vectors over i that is drawn."""

_DENOMINATORS = (1, 2, 3, 4, 5, 7, 8, 10)
_DIGITS = (1, 2, 5, 9)


class Choices(Protocol):
    """Where randomness comes from."""

    def pick(self, count: int) -> int:
        """An integer in [0, count), count a power of two; 0 is the simplest."""
        ...


class RandomChoices:
    """Choices from a seeded generator."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, count: int) -> int:
        """An integer in [0, count)."""
        return self._random.randrange(count)


class _DrawnChoices:
    """Choices from Hypothesis, spelt in booleans: its integers also draw constants of whatever modules are loaded, so
    that one seed would not always mean one search."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, count: int) -> int:
        value = 0
        for _ in range(count.bit_length() - 1):
            value = 2 * value + self._draw(_COIN)
        return value


_COIN = st.booleans()


def instances(statement: Statement) -> st.SearchStrategy[Instance]:
    """Hypothesis strategy for instances of the statement; see `draw_instance`."""

    @st.composite
    def strategy(draw: st.DrawFn) -> Instance:
        return draw_instance(statement, _DrawnChoices(draw))

    return strategy()


def draw_instance(statement: Statement, choices: Choices) -> dict[str, Value]:
    """Draw exact values of all parameters, in order.

    Vectors share one length in 0..4; shares are non-negative and sum to exactly 1; naturals are at least 1. Hypotheses
    beyond that are not enforced here.
    """
    scope = Scope(statement, Fraction)
    length = draw_length(statement, choices)
    shares = _draw_shares(statement, length, choices)
    for parameter in statement.parameters:
        if parameter.kind == "share":
            value: Value = shares[parameter.name]
        elif parameter.is_vector:
            value = _draw_vector(parameter, scope, length, choices)
        elif parameter.kind == "natural":
            value = _draw_natural(parameter, scope, choices)
        else:
            value = _draw_real(parameter, scope, None, choices)
        scope.values[parameter.name] = list(value) if isinstance(value, tuple) else value
    return {p.name: _frozen(scope.values[p.name]) for p in statement.parameters}


def shortest(statement: Statement) -> int:
    """Least length of the vectors: 1 if the only shares are entries of a vector, else 0."""
    shares = [p for p in statement.parameters if p.kind == "share"]
    return 1 if shares and all(p.is_vector for p in shares) else 0


def draw_length(statement: Statement, choices: Choices) -> int:
    """A common length for the vectors: 0..4, short ones more often; 0 if there are none."""
    if not any(p.is_vector for p in statement.parameters):
        return 0
    return max(shortest(statement), (0, 0, 1, 1, 1, 2, 3, LONGEST)[choices.pick(8)])


def fits(statement: Statement, instance: Mapping[str, Any]) -> bool:
    """Whether the values fit their sorts: all named, naturals >= 1, shares >= 0 with sum 1, vectors of one length."""
    if set(instance) != {p.name for p in statement.parameters}:
        return False
    lengths, total, any_share = set(), Fraction(0), False
    for p in statement.parameters:
        value = instance[p.name]
        if isinstance(value, tuple) != p.is_vector:
            return False
        entries = value if isinstance(value, tuple) else (value,)
        if p.is_vector:
            lengths.add(len(entries))
        if not all(isinstance(v, Rational) for v in entries):
            return False
        if p.kind == "natural" and not all(v >= 1 and v.denominator == 1 for v in entries):
            return False
        if p.kind == "share":
            any_share, total = True, total + sum(entries)
            if any(v < 0 for v in entries):
                return False
    return len(lengths) <= 1 and (not any_share or total == 1)


def _frozen(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value


def _draw_vector(parameter: Parameter, scope: Scope, length: int, choices: Choices) -> tuple[Fraction, ...]:
    entries: list[Fraction] = []
    for index in range(length):
        row = {name: v[index] for name, v in scope.values.items() if isinstance(v, list)}
        if entries and choices.pick(4) == 3:
            entries.append(entries[-1])
        elif parameter.kind == "natural":
            entries.append(_draw_natural(parameter, scope, choices))
        else:
            entries.append(_draw_real(parameter, scope, row, choices))
    return tuple(entries)


def _draw_natural(parameter: Parameter, scope: Scope, choices: Choices) -> Fraction:
    value = Fraction(LADDER[choices.pick(8)] if choices.pick(2) else 1 + choices.pick(16))
    low, high = scope.bounds(parameter)
    if low is not None:
        value = max(value, Fraction(low.__ceil__()))
    return value if high is None else max(Fraction(1), min(value, Fraction(high.__floor__())))


def _draw_shares(statement: Statement, length: int, choices: Choices) -> dict[str, Value]:
    """Weights that are equal, small integers, or tiny; the tiny ones are kept, the others share what is left of 1."""
    weights: dict[str, list[Fraction]] = {}
    for p in statement.parameters:
        if p.kind == "share":
            weights[p.name] = [_weight(p.is_vector, choices) for _ in range(length if p.is_vector else 1)]
    flat = [w for entries in weights.values() for w in entries]
    tiny, large = sum((w for w in flat if w < 1), Fraction(0)), sum((w for w in flat if w >= 1), Fraction(0))
    if large == 0:  # nothing to take up the rest: all become equal
        weights, tiny, large = (
            {name: [Fraction(1)] * len(e) for name, e in weights.items()},
            Fraction(0),
            Fraction(len(flat)),
        )
    vectors = {p.name for p in statement.parameters if p.is_vector}
    parts = {name: tuple(w if w < 1 else w * (1 - tiny) / large for w in e) for name, e in weights.items()}
    return {name: part if name in vectors else part[0] for name, part in parts.items()}


def _weight(may_vanish: bool, choices: Choices) -> Fraction:
    match choices.pick(8):
        case 0 | 1 | 2:
            return Fraction(1)
        case 3 | 4:
            return Fraction(1 + choices.pick(8))
        case 5 if may_vanish:
            return Fraction(0)
        case _:
            return Fraction(_DIGITS[choices.pick(4)], 10 ** (1 + choices.pick(8)))


def _draw_real(parameter: Parameter, scope: Scope, row: Mapping[str, Any] | None, choices: Choices) -> Fraction:
    low, high = scope.bounds(parameter, row)
    anchors = scope.anchors(parameter, row)
    kind = choices.pick(16)
    if anchors and 4 <= kind <= 5:
        return _one_of(anchors, choices)
    if anchors and 6 <= kind <= 11:
        return _near(_one_of(anchors, choices), low, high, choices)
    if kind == 15:
        return _outside(low, high, choices)
    return _inside(low, high, _simple(choices) if kind < 12 else _log_uniform(choices), choices)


def _one_of(anchors: list[Fraction], choices: Choices) -> Fraction:
    return anchors[choices.pick(16) % len(anchors)]


def _simple(choices: Choices) -> Fraction:
    return Fraction(1 + choices.pick(8), _DENOMINATORS[choices.pick(8)])


def _log_uniform(choices: Choices) -> Fraction:
    return Fraction(_DIGITS[choices.pick(4)]) * Fraction(10) ** (choices.pick(16) - 8)


def _inside(low: Fraction | None, high: Fraction | None, size: Fraction, choices: Choices) -> Fraction:
    """A value of the range at `size` > 0 from its only end, or at size/(1 + size) of its width."""
    if low is not None and high is not None:
        return low + (high - low) * size / (1 + size)
    if low is not None:
        return low + size
    if high is not None:
        return high - size
    return size if choices.pick(2) == 0 else -size


def _near(anchor: Fraction, low: Fraction | None, high: Fraction | None, choices: Choices) -> Fraction:
    scale = abs(anchor) or Fraction(1)
    if low is not None and high is not None and high > low and choices.pick(2):
        scale = high - low
    step = scale * Fraction(_DIGITS[choices.pick(4)], 10 ** (1 + choices.pick(8)))
    step = step if choices.pick(2) == 0 else -step
    return anchor + step if within(anchor + step, low, high) else anchor - step


def _outside(low: Fraction | None, high: Fraction | None, choices: Choices) -> Fraction:
    size = _simple(choices)
    if low is not None and (high is None or choices.pick(2) == 0):
        return low - size
    return size if high is None else high + size
