"""ISTA and FISTA against the LASSO's minimiser, the textbook recursion, and their guarantees; LISTA-CPSS by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lista import ListaCpss, select_support
from l2o_theory.optimizers.proximal import FISTA, ISTA, soft_threshold
from l2o_theory.problems.lasso import Lasso
from l2o_theory.problems.quadratic_programs import formula_given

PROGRAMS = formula_given(2, 3, 4)


def lasso() -> Lasso:
    generator = np.random.default_rng(0)
    features = generator.standard_normal((20, 6))
    return Lasso(torch.tensor(features), torch.tensor(features @ [1.0, -2, 0, 0, 0.5, 0]), 0.3)


def smooth_gradient(problem: Lasso, w: torch.Tensor) -> torch.Tensor:
    features, targets = torch.as_tensor(problem.features), torch.as_tensor(problem.targets)
    return features.T @ (features @ w - targets) / len(features)


def test_soft_thresholding_is_the_proximal_map() -> None:
    grid = np.linspace(-3, 3, 60001)
    for v in (-1.7, -0.2, 0.0, 0.3, 0.31, 2.4):
        best = grid[np.argmin(0.5 * (grid - v) ** 2 + 0.3 * np.abs(grid))]
        found = float(soft_threshold(torch.tensor(v, dtype=torch.float64), 0.3))
        assert found == pytest.approx(best, abs=1e-4)  # the grid's spacing


@pytest.mark.parametrize("rule", [ISTA(), FISTA()])
def test_both_reach_the_minimiser_of_the_lasso_within_their_rates(rule: ISTA | FISTA) -> None:
    problem = lasso()
    features = torch.as_tensor(problem.features)
    smoothness = float(torch.linalg.matrix_norm(features, 2) ** 2) / len(features)
    constants = problem.constants
    start = torch.full((6,), 3.0, dtype=torch.float64)
    distance = float((start - constants.minimiser).square().sum())  # type: ignore[operator]
    y, state = start, rule.init(start)
    meta = rule.meta(1 / smoothness, l1=problem.l1)
    for k in range(1, 400):
        y, state = rule.update(y, smooth_gradient(problem, y), state, meta)
        x = state["iterate"] if isinstance(rule, FISTA) else y
        gap = float(problem.loss(x)) - constants.optimum  # type: ignore[operator]
        bound = 2 * smoothness * distance / (k + 1) ** 2 if isinstance(rule, FISTA) else smoothness * distance / (2 * k)
        assert gap <= bound + 1e-12
    torch.testing.assert_close(x, constants.minimiser, rtol=0, atol=1e-6)
    wrong = rule.meta(1 / smoothness, l1=0.9 * problem.l1)  # planted: another threshold ends elsewhere
    y, state = start, rule.init(start)
    for _ in range(400):
        y, state = rule.update(y, smooth_gradient(problem, y), state, wrong)
    assert float((y - constants.minimiser).abs().max()) > 1e-3  # type: ignore[operator]


def test_without_a_penalty_they_are_gradient_descent_and_nesterov() -> None:
    x = PROGRAMS.init()
    for rule in (ISTA(), FISTA()):
        y, state = x, rule.init(x)
        old, ahead, s = x, x, 1.0
        for _ in range(9):
            y, state = rule.update(y, PROGRAMS.gradient(y), state, {"step_size": PROGRAMS.step_sizes})
            new = ahead - PROGRAMS.step_sizes * PROGRAMS.gradient(ahead)
            following = (1 + math.sqrt(1 + 4 * s * s)) / 2
            ahead = new + ((s - 1) / following * (new - old) if isinstance(rule, FISTA) else 0)
            old, s = new, following
        torch.testing.assert_close(y, ahead, rtol=1e-12, atol=1e-13)


def test_lista_cpss_step_by_step() -> None:
    rule = ListaCpss(PROGRAMS, growth=0.3, most=0.5)
    generator = torch.Generator().manual_seed(0)
    shared = {
        "W": torch.randn(4, 3, dtype=torch.float64, generator=generator),
        "theta": torch.tensor(0.05, dtype=torch.float64),
    }
    own = {"W": torch.stack([shared["W"], 2 * shared["W"]]), "theta": torch.tensor([0.05, 0.1], dtype=torch.float64)}
    for meta in (shared, own):
        x, state = PROGRAMS.init(), rule.init(PROGRAMS.init())
        for k in range(3):
            moved, state = rule.update(x, x, state, meta)
            matrix = meta["W"] if meta is shared else meta["W"][min(k, 1)]
            theta = 0.05 if meta is shared else [0.05, 0.1, 0.1][k]
            for n in range(2):
                residual = PROGRAMS.targets[n].numpy() - PROGRAMS.matrices[n].numpy() @ x[n].numpy()
                v = x[n].numpy() + matrix.numpy() @ residual
                cut = np.quantile(np.abs(v), 1 - min(0.3 * (k + 1), 0.5))
                for i, value in enumerate(v):
                    kept = abs(value) >= cut and abs(value) > theta
                    expected = value if kept else np.sign(value) * max(abs(value) - theta, 0)
                    assert float(moved[n, i]) == pytest.approx(expected, rel=1e-12, abs=1e-14)
            x = moved
    assert state == 3


def test_the_start_of_lista_is_the_mean_of_the_scaled_transposes_and_gradient_descent_on_one_instance() -> None:
    meta = ListaCpss(PROGRAMS).meta()
    mean = sum(PROGRAMS.step_sizes[n] * PROGRAMS.matrices[n].T for n in range(2)) / 2
    torch.testing.assert_close(meta["W"], mean, rtol=1e-14, atol=0)
    own = ListaCpss(PROGRAMS).meta(5, theta=0.4)
    assert own["W"].shape == (5, 4, 3)
    assert own["theta"].tolist() == [0.4] * 5
    single = formula_given(1, 3, 4)
    rule, x = ListaCpss(single), single.init()
    moved, _ = rule.update(x, x, 0, rule.meta())
    torch.testing.assert_close(moved, x - single.step_sizes * single.gradient(x), rtol=1e-13, atol=1e-14)


def test_trusted_entries_pass_unshrunk() -> None:
    v = torch.tensor([3.0, -2.0, 1.0, 0.1])
    assert select_support(v, torch.tensor(0.5), 0.25).tolist() == [3.0, -1.5, 0.5, 0.0]
    assert select_support(v, torch.tensor(0.5), 0.0).tolist() == [
        3.0,
        -1.5,
        0.5,
        0.0,
    ]  # the largest is its own quantile
    assert select_support(v, torch.tensor(5.0), 0.25).tolist() == [0.0] * 4


def test_bad_input_to_lista_is_refused() -> None:
    rule = ListaCpss(PROGRAMS)
    with pytest.raises(InputError, match="steps >= 1"):
        rule.meta(0)
    with pytest.raises(InputError, match="theta >= 0"):
        rule.meta(theta=float("nan"))
    with pytest.raises(InputError, match="meta"):
        rule.update(PROGRAMS.init(), PROGRAMS.init(), 0, {})
