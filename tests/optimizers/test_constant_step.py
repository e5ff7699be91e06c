"""The best constant step and the one-step floor: simulation, brute force, exact fractions, the published sizes."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers.constant_step import best_constant_step, constant_step_loss, one_step_floor
from l2o_theory.problems.quadratic_programs import QuadraticPrograms, formula_given, least_squares_programs, program_law


def simulated(programs: QuadraticPrograms, steps: int, factor: float) -> float:
    x = programs.init()
    for _ in range(steps):
        x = x - factor * programs.step_sizes * programs.gradient(x)
    return float(programs.loss(x))


@pytest.mark.parametrize("sizes", [(2, 3, 4), (3, 4, 4), (2, 6, 3)])
def test_the_spectral_loss_is_that_of_the_iteration(sizes: tuple[int, int, int]) -> None:
    programs = formula_given(*sizes)
    for steps, factor in ((1, 1.0), (7, 1.3), (40, 1.9)):
        assert constant_step_loss(programs, steps, factor) == pytest.approx(
            simulated(programs, steps, factor), rel=1e-10
        )
    assert constant_step_loss(programs, 7, 1.3) != pytest.approx(simulated(programs, 8, 1.3), rel=1e-3)  # planted


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_the_best_step_beats_a_grid(steps: int) -> None:
    programs = formula_given(2, 3, 4)
    best = best_constant_step(programs, steps)
    grid = [simulated(programs, steps, p) for p in np.linspace(0.01, 2, 400)]
    assert best.loss <= min(grid) * (1 + 1e-12)
    assert best.loss == pytest.approx(min(grid), rel=1e-2)  # the grid's nearest point is off by at most 0.0025 in p
    assert best.loss < simulated(programs, steps, 1.0)


def test_a_step_that_would_like_to_be_longer_than_two_stops_there() -> None:
    programs = least_squares_programs(torch.eye(2).double()[None], torch.ones(1, 2).double()).with_steps(0.25)
    assert best_constant_step(programs, 1).factor == 2.0


def test_the_published_sizes_have_the_recorded_baselines() -> None:
    """An earlier, independent run over a grid: 50.3, 55.6, 59.5, 72.1, 82.1 percent."""
    programs = program_law(32, 25, 32)
    for steps, gain, factor in (
        (5, 50.3, 1.643),
        (10, 55.6, 1.739),
        (20, 59.5, 1.825),
        (50, 72.1, None),
        (100, 82.1, 1.941),
    ):
        best = best_constant_step(programs, steps)
        assert 100 * (1 - best.loss / constant_step_loss(programs, steps, 1.0)) == pytest.approx(gain, abs=0.051)
        assert factor is None or best.factor == pytest.approx(factor, abs=6e-4)


def test_the_floor_of_one_step_by_enumeration_of_active_sets() -> None:
    """Exact fractions: fix every p_i to 0, to 2 or leave it free, solve the normal equations, keep what is feasible."""
    programs = formula_given(1, 2, 3)
    matrix = [[Fraction(float(v)) for v in row] for row in programs.matrices[0]]
    tau = Fraction(float(programs.step_sizes[0, 0]))
    x = [Fraction(float(v)) for v in programs.start[0]]
    y = [Fraction(float(v)) for v in programs.targets[0]]
    r = [sum(m * v for m, v in zip(row, x, strict=True)) - t for row, t in zip(matrix, y, strict=True)]
    g = [sum(matrix[i][j] * r[i] for i in range(2)) for j in range(3)]
    columns = [[matrix[i][j] * tau * g[j] for i in range(2)] for j in range(3)]
    best = None
    for fixed in product((Fraction(0), Fraction(2), None), repeat=3):
        rest = [r[i] - sum(p * columns[j][i] for j, p in enumerate(fixed) if p is not None) for i in range(2)]
        free = [j for j, p in enumerate(fixed) if p is None]
        if len(free) > 1:
            continue  # two free of three in the plane: the optimum has an active set of at least one more, or is 0
        if free:
            c = columns[free[0]]
            p = sum(a * b for a, b in zip(c, rest, strict=True)) / sum(a * a for a in c)
            if not 0 <= p <= 2:
                continue
            rest = [a - p * b for a, b in zip(rest, c, strict=True)]
        value = sum(v * v for v in rest) / 2
        best = value if best is None else min(best, value)
    found = one_step_floor(programs)
    assert found <= float(best) * (1 + 1e-9)  # type: ignore[arg-type]
    random = np.random.default_rng(0).uniform(0, 2, (20000, 3))
    values = 0.5 * ((np.array(r, float) - random @ np.array(columns, float)) ** 2).sum(1)
    assert found <= values.min() * (1 + 1e-9)
    assert found == pytest.approx(values.min(), rel=0.05)  # 20000 points in a box of three dimensions


def test_the_floor_at_the_published_size() -> None:
    """An earlier, independent run: 42.638 of 145.159 at 32 x 25."""
    programs = program_law(32, 25, 32)
    assert one_step_floor(programs) == pytest.approx(42.638, abs=6e-4)
    assert constant_step_loss(programs, 1, 1.0) == pytest.approx(145.159, abs=6e-4)


def test_no_steps_are_refused() -> None:
    for call in (best_constant_step, lambda programs, steps: constant_step_loss(programs, steps, 1.0)):
        with pytest.raises(InputError, match="T >= 1"):
            call(formula_given(2, 3, 4), 0)
