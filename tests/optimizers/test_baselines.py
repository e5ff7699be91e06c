"""The baselines' curves against closed forms and the last points known from elsewhere."""

from __future__ import annotations

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers.baselines import CONSTANT_STEP, GRADIENT_DESCENT, NESTEROV, baseline_losses
from l2o_theory.optimizers.constant_step import best_constant_step, constant_step_loss
from l2o_theory.problems.quadratic_programs import formula_given, program_law


def test_the_curves_end_where_the_spectral_formula_says() -> None:
    programs = formula_given(2, 3, 4)
    found = baseline_losses(programs, 6)
    best = best_constant_step(programs, 6)
    for t in range(1, 7):
        assert found[GRADIENT_DESCENT][t] == pytest.approx(constant_step_loss(programs, t, 1.0), rel=1e-10)
        assert found[CONSTANT_STEP][t] == pytest.approx(constant_step_loss(programs, t, best.factor), rel=1e-9)
    assert {len(curve) for curve in found.values()} == {7}
    other = baseline_losses(programs, 6, factor=0.5)
    assert other[CONSTANT_STEP][6] == pytest.approx(constant_step_loss(programs, 6, 0.5), rel=1e-10)
    assert other[CONSTANT_STEP][6] > found[CONSTANT_STEP][6]


def test_nesterov_at_the_published_size() -> None:
    """An earlier, independent run: a gain of 88.1 percent at 32 x 25 and T = 20."""
    found = baseline_losses(program_law(32, 25, 32, dtype=torch.float64), 20)
    assert 100 * (1 - found[NESTEROV][-1] / found[GRADIENT_DESCENT][-1]) == pytest.approx(88.1, abs=0.051)


def test_no_steps_are_refused() -> None:
    with pytest.raises(InputError, match="T >= 1"):
        baseline_losses(formula_given(2, 3, 4), 0)
