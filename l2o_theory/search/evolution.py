"""Evolution: differential evolution over the unit cube, shape by shape, then a simplex polish of the best."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, differential_evolution, minimize

from l2o_theory.rigor.statement import Statement
from l2o_theory.search.cube import Shape, dimension, from_unit
from l2o_theory.search.instances import shortest
from l2o_theory.search.scout import Scout

STRATEGY = "evolution"
HORIZONS = (1, 2, 3, 10, 100, 1000)
"""Values of the naturals that are combined with each other."""

_LENGTHS = (0, 1, 2, 3)
_POPULATION = 16
_FINALISTS = 3
_MOST_SHAPES = 24


@dataclass(frozen=True)
class _Best:
    value: float
    shape: Shape
    u: NDArray[np.float64]
    population: NDArray[np.float64]


def shapes(statement: Statement, generator: np.random.Generator) -> list[Shape]:
    """Every length 0..3 with every combination of horizons; a random selection if there are many."""
    naturals = [p.name for p in statement.parameters if p.kind == "natural"]
    vectors = any(p.is_vector for p in statement.parameters)
    lengths = [n for n in _LENGTHS if n >= shortest(statement)] if vectors else [0]
    pairs = list(itertools.product(lengths, itertools.product(HORIZONS, repeat=len(naturals))))
    if len(pairs) > _MOST_SHAPES:
        pairs = [pairs[i] for i in sorted(generator.choice(len(pairs), _MOST_SHAPES, replace=False))]
    return [Shape(length, dict(zip(naturals, values, strict=True))) for length, values in pairs]


def evolve(scout: Scout, *, seed: int, evaluations: int) -> None:
    """Look for small margins by evolution: a short run for each shape, longer ones for the best, then a polish.

    Args:
        scout: evaluates and remembers; it raises Stop when the search is over.
        seed: of the random stream; the same seed gives the same points.
        evaluations: about how many points in all; half of them for the short runs.
    """
    generator = np.random.default_rng(seed)
    options = [s for s in shapes(scout.statement, generator) if dimension(scout.statement, s) > 0]
    if not options or evaluations == 0:
        return
    each = max(4, evaluations // (2 * _POPULATION * len(options)))
    bests = sorted((_run(scout, s, generator, each) for s in options), key=lambda best: best.value)
    generations = evaluations // (6 * _POPULATION)
    longer = [_run(scout, best.shape, generator, generations, best.population) for best in bests[:_FINALISTS]]
    for best in sorted(longer, key=lambda best: best.value)[:2]:
        _polish(scout, best, evaluations // 16)


def _run(
    scout: Scout, shape: Shape, generator: np.random.Generator, generations: int, start: Any = "latinhypercube"
) -> _Best:
    statement, size = scout.statement, dimension(scout.statement, shape)

    def value(u: NDArray[np.float64], /) -> float:
        return scout.look(from_unit(statement, u.tolist(), shape), STRATEGY)

    result = differential_evolution(
        value,
        Bounds(np.zeros(size), np.ones(size)),
        maxiter=max(1, generations - 1),
        popsize=max(1, -(-_POPULATION // size)),
        init=start,
        rng=generator,
        tol=0,
        polish=False,
        mutation=(0.4, 0.9),
        recombination=0.8,
    )
    return _Best(float(result.fun), shape, np.asarray(result.x), np.asarray(result.population))


def _polish(scout: Scout, best: _Best, evaluations: int) -> None:
    def value(u: NDArray[np.float64]) -> float:
        return scout.look(from_unit(scout.statement, np.clip(u, 0, 1).tolist(), best.shape), STRATEGY)

    minimize(value, best.u, method="Nelder-Mead", options={"maxfev": evaluations, "xatol": 1e-9, "fatol": 1e-15})
