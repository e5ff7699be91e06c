"""Climbing: moves from the closest calls so far, onto boundaries exactly or by small random steps."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from l2o_theory.rigor.statement import Instance, Statement
from l2o_theory.search.scope import Scope
from l2o_theory.search.scout import Scout


def snap(scout: Scout) -> None:
    """Put each real of the closest calls on each of its bounds and landmarks: some claims fail only there."""
    for instance in scout.closest:
        for snapped in _snapped(scout.statement, instance):
            scout.look(snapped, "snap")


def _snapped(statement: Statement, instance: Instance) -> list[Instance]:
    scope, found = Scope(statement, Fraction), list[Instance]()
    for p in statement.parameters:
        value = instance[p.name]
        if p.kind == "real" and isinstance(value, tuple):
            for i in range(len(value)):
                row = {name: v[i] for name, v in scope.values.items() if isinstance(v, list)}
                anchors = scope.anchors(p, row)
                found += [{**instance, p.name: (*value[:i], anchor, *value[i + 1 :])} for anchor in anchors]
        elif p.kind == "real":
            found += [{**instance, p.name: anchor} for anchor in scope.anchors(p)]
        scope.values[p.name] = list(value) if isinstance(value, tuple) else value
    return [candidate for candidate in found if candidate != instance]


def climb(scout: Scout, random: Random, count: int) -> None:
    """Perturb the closest calls by relative steps m/10^k, k = 1..7, keeping what is closer."""
    for i in range(count if scout.closest else 0):
        closest = scout.closest
        scout.look(_perturbed(scout.statement, closest[i % len(closest)], random), "climb")


def _perturbed(statement: Statement, instance: Instance, random: Random) -> Instance:
    """The instance with one or two reals moved, or one share's weight moved to another share."""
    new: dict[str, Any] = {name: list(v) if isinstance(v, tuple) else [v] for name, v in instance.items()}
    for p in random.choices(statement.parameters, k=random.randint(1, 2)) if statement.parameters else ():
        entries = new[p.name]
        if not entries:
            continue
        i, size = random.randrange(len(entries)), Fraction(random.randint(-9, 9), 10 ** random.randint(1, 7))
        if p.kind == "real":
            entries[i] += size * (abs(entries[i]) or 1)
        elif p.kind == "natural":
            entries[i] = max(Fraction(1), entries[i] + round(size * entries[i]))
        else:
            _reweigh(statement, new, entries, i, size)
    return {n: tuple(v) if isinstance(instance[n], tuple) else v[0] for n, v in new.items()}


def _reweigh(statement: Statement, new: dict[str, Any], entries: list[Fraction], i: int, size: Fraction) -> None:
    moved = entries[i] * size
    others = [(new[p.name], j) for p in statement.parameters if p.kind == "share" for j in range(len(new[p.name]))]
    takers = [(v, j) for v, j in others if (v is not entries or j != i) and v[j] >= moved]
    if takers:
        values, j = max(takers, key=lambda slot: slot[0][slot[1]])
        values[j] -= moved
        entries[i] += moved
