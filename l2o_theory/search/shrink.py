"""Shrinking: from a violation to a simpler one, by shorter vectors, smaller naturals and shorter rationals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, Protocol

from l2o_theory.rigor.statement import Instance, Parameter, Statement, Value
from l2o_theory.search.instances import shortest
from l2o_theory.search.scope import Scope

_DENOMINATORS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**4, 10**5, 10**6, 10**8)
_NATURALS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500, 1000, 10**4, 10**6)
_POSITIVE = tuple(map(Fraction, ("1", "1/2", "2", "3", "1/3", "4", "1/4", "5", "10", "1/10", "100", "1/100")))
_PLAIN = {Fraction(0), *_POSITIVE, *(-value for value in _POSITIVE)}

Slot = tuple[str, int]
"""A parameter and, for vectors, which entry (else 0)."""


_Move = Callable[[Instance], Iterator[Instance]]
"""From an instance to simpler ones, the simplest first."""


class Judge(Protocol):
    """Decides what counts as a violation, and counts its own costly decisions."""

    decisions: int

    def is_violation(self, instance: Instance) -> bool:
        """Whether the instance certainly violates the statement."""
        ...


def shrunk(statement: Statement, instance: Instance, judge: Judge, decisions: int) -> Instance:
    """A violation from which no single move leads to a simpler one, or the best within that many decisions.

    Moves: drop an index of all vectors; lower a natural; shorten one rational; shorten one and let later parameters
    keep their places between their bounds and landmarks.
    """
    limit = judge.decisions + decisions
    before = None
    while instance != before:
        before = instance
        for move in _moves(statement, instance):
            for candidate in move(instance):
                if judge.decisions >= limit:
                    return instance
                if complexity(candidate) < complexity(instance) and judge.is_violation(candidate):
                    instance = candidate
                    break
    return instance


def complexity(instance: Instance) -> int:
    """What shrinking reduces: bits of all numerators and denominators, with a toll per number and per minus sign."""
    return sum(
        8 + v.numerator.bit_length() + v.denominator.bit_length() + (v < 0)
        for value in instance.values()
        for v in _entries(value)
    )


def rounded(value: Fraction, denominator: int) -> Fraction:
    """A rational near `value` with a denominator up to the given one; below that, one over a round number."""
    if 0 < abs(value) * denominator < 1:
        inverse = 1 / value
        power = 10 ** (len(str(int(abs(inverse)))) - 1)
        return 1 / Fraction(round(inverse / power) * power)
    return value.limit_denominator(denominator)


def slots(instance: Instance) -> dict[Slot, Fraction]:
    """All numbers of the instance."""
    return {(name, i): v for name, value in instance.items() for i, v in enumerate(_entries(value))}


def refilled(
    statement: Statement, instance: Instance, values: Mapping[Slot, Fraction], kept: Slot | None = None
) -> Instance:
    """The instance with new numbers; the share that was largest, other than `kept`, takes up the rest to 1."""
    values = dict(values)
    names = {p.name for p in statement.parameters if p.kind == "share"}
    shares = [slot for slot in values if slot[0] in names]
    if takers := [slot for slot in shares if slot != kept]:
        largest = max(takers, key=lambda slot: _entries(instance[slot[0]])[slot[1]])
        values[largest] = 1 - sum((values[slot] for slot in shares if slot != largest), Fraction(0))
    return {
        name: tuple(values[name, i] for i in range(len(old))) if isinstance(old, tuple) else values[name, 0]
        for name, old in instance.items()
    }


def _entries(value: Value) -> tuple[Fraction, ...]:
    return value if isinstance(value, tuple) else (value,)


def _moves(statement: Statement, instance: Instance) -> Iterator[_Move]:
    """What to try in each round; naturals last, since a large horizon often is what leaves room for round numbers."""
    for k in reversed(range(max((len(v) for v in instance.values() if isinstance(v, tuple)), default=0))):
        yield partial(_without, statement, k)
    for p in statement.parameters:
        if p.kind == "real" and not p.is_vector:
            yield partial(_following, statement, p)
    for p in sorted(statement.parameters, key=lambda p: p.kind == "natural"):
        for i in range(len(_entries(instance[p.name]))):
            yield partial(_shortened, statement, p, i)


def _without(statement: Statement, k: int, instance: Instance) -> Iterator[Instance]:
    """Without index k; its shares go to the largest share that remains."""
    lengths = {len(v) for v in instance.values() if isinstance(v, tuple)}
    if shortest(statement) < max(lengths):
        left = {name: v[:k] + v[k + 1 :] if isinstance(v, tuple) else v for name, v in instance.items()}
        yield refilled(statement, left, slots(left))


def _shortened(statement: Statement, p: Parameter, i: int, instance: Instance) -> Iterator[Instance]:
    numbers = slots(instance)
    for simpler in _simpler(p, numbers.get((p.name, i), Fraction(0))):
        yield refilled(statement, instance, {**numbers, (p.name, i): simpler}, (p.name, i))


def _simpler(parameter: Parameter, value: Fraction) -> list[Fraction]:
    """Shorter rationals to try in place of `value`, the shortest first."""
    if parameter.kind == "natural":
        return [Fraction(n) for n in _NATURALS if n < value]
    near = {rounded(value, denominator) for denominator in _DENOMINATORS}
    near |= {
        1 / rounded(1 / value, denominator)
        for denominator in _DENOMINATORS[:8]
        if value and rounded(1 / value, denominator)
    }
    near |= {round(value) + sign * Fraction(1, 10**k) for k in range(1, 5) for sign in (-1, 1)}
    return [v for v in sorted(near | _PLAIN, key=_bits) if _bits(v) < _bits(value)]


def _bits(value: Fraction) -> tuple[int, Fraction]:
    return value.numerator.bit_length() + value.denominator.bit_length() + (value < 0), value


def _following(statement: Statement, parameter: Parameter, instance: Instance) -> Iterator[Instance]:
    """One real made simpler, the later ones kept at their places between bounds and landmarks, then rounded."""
    later = False
    followers = set()
    for p in statement.parameters:
        if later and p.kind == "real":
            followers.add(p.name)
        later |= p.name == parameter.name
    for simpler in _simpler(parameter, _entries(instance[parameter.name])[0]):
        moved = slots(_moved(statement, parameter.name, simpler, instance))
        for denominator in _DENOMINATORS[4::3] if followers else ():
            values = {s: rounded(v, denominator) if s[0] in followers else v for s, v in moved.items()}
            yield refilled(statement, instance, values)


def _moved(statement: Statement, name: str, value: Fraction, instance: Instance) -> Instance:
    old, new = Scope(statement, Fraction), Scope(statement, Fraction)
    for p in statement.parameters:
        before = instance[p.name]
        after: Any = value if p.name == name else before
        if p.kind == "real" and p.name != name:
            rows = list(range(len(before))) if isinstance(before, tuple) else [None]
            placed = [_placed(p, v, old, new, row) for v, row in zip(_entries(before), rows, strict=True)]
            after = tuple(placed) if p.is_vector else placed[0]
        old.values[p.name] = list(before) if isinstance(before, tuple) else before
        new.values[p.name] = list(after) if isinstance(after, tuple) else after
    return {n: tuple(v) if isinstance(v, list) else v for n, v in new.values.items()}


def _placed(p: Parameter, value: Fraction, old: Scope, new: Scope, index: int | None) -> Fraction:
    before, after = old.anchors(p, _row(old, index)), new.anchors(p, _row(new, index))
    if before == after or len(before) != len(after):
        return value
    at = sum(anchor < value for anchor in before)
    if at < len(before) and before[at] == value:
        return Fraction(after[at])
    if 0 < at < len(before):
        place = (value - before[at - 1]) / (before[at] - before[at - 1])
        return Fraction(after[at - 1] + place * (after[at] - after[at - 1]))
    edge = min(at, len(before) - 1)
    return Fraction(after[edge] * value / before[edge]) if before[edge] else value


def _row(scope: Scope, index: int | None) -> dict[str, Any]:
    if index is None:
        return {}
    return {name: v[index] for name, v in scope.values.items() if isinstance(v, list)}
