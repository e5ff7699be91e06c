"""Bounds on G': valid everywhere, sharp where a supremum is known, and violated when made 1 percent smaller."""

# ruff: noqa: SIM300 - the rule takes the bounds B0..B3 and B for constants
from __future__ import annotations

import math

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic


def problems() -> list[tuple[Quadratic, int]]:
    rng = np.random.default_rng(11)
    cases = []
    for steps in (1, 2, 5, 40, 1000):
        for _ in range(6):
            d = int(rng.integers(2, 7))
            eigenvalues = 10 ** rng.uniform(-3, 0, d) if rng.random() < 0.5 else rng.uniform(0.5, 1.5, d)
            weights = rng.random(d) + 1e-3
            # Bounds must hold for weights of any sum.
            cases.append((Quadratic(eigenvalues, weights * 10 ** rng.uniform(-3, 3)), steps))
    return cases


def slopes(quadratic: Quadratic, etas: np.ndarray, steps: int) -> np.ndarray:
    """|G'| by the renormalised sums of the definition, written again here."""
    r = 1 - etas[:, None] * quadratic.eigenvalues
    scaled = r / np.abs(r).max(axis=1, keepdims=True)
    top = (quadratic.weights * quadratic.eigenvalues**2 * scaled ** (2 * steps - 1)).sum(axis=1)
    bottom = (quadratic.weights * quadratic.eigenvalues * scaled ** (2 * steps)).sum(axis=1)
    return np.abs(2 * top / bottom / np.abs(r).max(axis=1))


def probes(quadratic: Quadratic) -> np.ndarray:
    largest, smallest = quadratic.smoothness, quadratic.strong_convexity
    tie = 2 / (largest + smallest)
    around = tie * (1 + np.linspace(-0.02, 0.02, 201))
    return np.concatenate([around, np.linspace(-1, 4, 101) / largest, 10 ** np.linspace(-3, 4, 50)])


@pytest.mark.parametrize(("quadratic", "steps"), problems())
def test_no_bound_is_violated(quadratic: Quadratic, steps: int) -> None:
    etas = probes(quadratic)
    seen, bounds = slopes(quadratic, etas, steps), quadratic.gradient_bounds(steps)
    slack = 1 + 1e-9  # rounding of the plain float route above, at t <= 1000
    assert seen.max() <= min(bounds.B0, bounds.B1, bounds.B2, bounds.B3) * slack
    assert bounds.best == min(bounds.B0, bounds.B1, bounds.B2, bounds.B3)
    assert np.all(seen <= bounds.local(etas) * slack)
    assert np.all(bounds.local(etas) <= bounds.B3 * slack)
    assert bounds.B1 <= bounds.B0 * slack
    explicit = np.array([bounds.local_explicit(float(eta)) for eta in etas[::25]])
    assert np.all(bounds.local(etas[::25]) <= explicit * slack)
    forward = etas[etas >= 0]
    assert np.max(forward * slopes(quadratic, forward, steps)) <= quadratic.log_step_bound(steps) * slack


def test_one_percent_less_is_violated() -> None:
    quadratic, steps = Quadratic([1.0, 0.5], [0.5, 0.5]), 1000
    etas = (2 / 1.5) * (1 + np.linspace(0, 0.02, 4001))
    seen, bounds = slopes(quadratic, etas, steps), quadratic.gradient_bounds(steps)
    assert 0.99 * bounds.B3 < seen.max() <= bounds.B3
    assert 0.99 * bounds.B2 < seen.max() <= bounds.B2
    assert np.any(0.99 * bounds.local(etas) < seen)


def test_sharpness_at_one_step() -> None:
    # Derived here: at t = 1 the supremum of |G'| is exactly B3 / 2.
    quadratic = Quadratic([3.0, 1.0], [0.3, 0.7])
    etas = np.linspace(0, 3, 200_001)
    assert slopes(quadratic, etas, 1).max() / quadratic.gradient_bounds(1).B3 == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 7, 60])
def test_formulas_for_weights_of_any_sum(steps: int) -> None:
    eigenvalues, weights = np.array([4.0, 2.0, 1.0]), np.array([0.5, 3.0, 2.0])
    quadratic, total = Quadratic(eigenvalues, weights), 5.5
    bounds = quadratic.gradient_bounds(steps)
    least, beta = 0.5, 3 / 5
    norm = float((weights * eigenvalues ** (2 * steps + 1)).sum() ** (1 / (2 * steps)))
    best = quadratic.optimal_step_size(steps)
    h = float(((weights * eigenvalues * (1 - best * eigenvalues) ** (2 * steps)).sum()) ** (1 / (2 * steps)))
    assert bounds.B0 == pytest.approx(4 * 64 * total / (least * 1 * 3), rel=1e-12)
    assert bounds.B1 == pytest.approx(
        2 * (weights * eigenvalues**2).sum() / beta * max(1 / 2.0, 1 / (0.5 * 4)), rel=1e-12
    )
    assert bounds.B2 == pytest.approx(2 * 4 / beta * (4 * total / least) ** (1 / (2 * steps)), rel=1e-12)
    assert bounds.B3 == pytest.approx(2 * norm / h, rel=1e-10)
    assert quadratic.log_step_bound(steps) == pytest.approx(4 * 4 / 3 * (4 * total / least) ** (1 / (2 * steps)), 1e-12)


def test_scaling_all_weights_changes_no_bound() -> None:
    first = Quadratic(["3", "1"], ["1/4", "3/4"]).gradient_bounds(10, digits=30)
    second = Quadratic(["3", "1"], ["7", "21"]).gradient_bounds(10, digits=30)
    for name in ("B0", "B1", "B2", "B3"):
        assert getattr(first, name).overlaps(getattr(second, name))


def test_balls_and_floats_agree_and_floats_are_rounded_up() -> None:
    quadratic = Quadratic(["10", "7", "3", "1", "1/10"], [1] * 5)
    for steps in (1, 100, 10**9):
        floats, balls = quadratic.gradient_bounds(steps), quadratic.gradient_bounds(steps, digits=40)
        for name in ("B0", "B1", "B2", "B3", "best"):
            assert getattr(balls, name) <= getattr(floats, name)
            assert getattr(balls, name).rel_accuracy_bits() >= 40 * 3.32
            assert getattr(floats, name) == pytest.approx(float(getattr(balls, name)), rel=1e-15)
        local = balls.local("1/5")
        assert local <= floats.local("1/5")
        assert float(local) == pytest.approx(floats.local("1/5"), rel=1e-11)
        assert quadratic.log_step_bound(steps, digits=30) <= quadratic.log_step_bound(steps)


def test_the_limit_for_many_steps_loses_the_weights() -> None:
    quadratic = Quadratic([10.0, 1.0], [1e-6, 1.0])
    limit = 2 * 10 * 11 / 9
    assert quadratic.gradient_bounds(10**9).B2 == pytest.approx(limit, rel=1e-7)
    assert quadratic.gradient_bounds(10**9).B0 > 1e6 * limit


def test_one_active_eigenvalue_has_no_bound() -> None:
    quadratic = Quadratic([2.0, 2.0, 5.0], [1.0, 1.0, 0.0])
    for ask in (
        lambda: quadratic.gradient_bounds(3),
        lambda: quadratic.log_step_bound(3),
        lambda: quadratic.convergence_certificate(1.0, 0.1, 3),
    ):
        with pytest.raises(InputError, match="two distinct active eigenvalues"):
            ask()


def test_local_is_infinite_nowhere_near_the_optimum() -> None:
    quadratic = Quadratic([2.0, 1.0], [0.5, 0.5])
    bounds = quadratic.gradient_bounds(50)
    assert math.isclose(bounds.local(quadratic.optimal_step_size(50)), bounds.B3, rel_tol=1e-10)
