"""Losses on a moving minimum: against exact Lyapunov solutions, a dense solver, simulation and known numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton import TrackedQuadratic, frozen_loss, mode_covariance
from l2o_theory.quasi_newton.fluctuations import solve_exactly
from l2o_theory.quasi_newton.stationary import is_stable

F = Fraction
MODES = [(F(21, 100), F(2, 5)), (F(1), F(0)), (F(3, 4), F(1, 2)), (F(7, 2), F(9, 10)), (F(1, 3), F(-1, 2))]


def by_elimination(y: Fraction, mu: Fraction) -> list[Fraction]:
    """(Var b, Cov, Var v) from S = A S A^T + e e^T, written out entry by entry and solved in rationals."""
    A, noise = [[1 - y, mu], [-y, mu]], [F(1), F(0)]
    pairs = [(0, 0), (0, 1), (1, 1)]
    matrix, right = [], []
    for i, j in pairs:
        row = [F(0)] * 3
        row[pairs.index((i, j))] += 1
        for k, m in product(range(2), repeat=2):
            row[pairs.index((min(k, m), max(k, m)))] -= A[i][k] * A[j][m]
        matrix.append(row)
        right.append(noise[i] * noise[j])
    return solve_exactly(matrix, right)


@pytest.mark.parametrize(("y", "mu"), MODES)
def test_one_mode_solves_its_lyapunov_equation(y: Fraction, mu: Fraction) -> None:
    found = mode_covariance(y, mu)
    assert [found.position, found.cross, found.velocity] == by_elimination(y, mu)
    # planted fault: the loss of the other momentum convention, r (1-mu) instead of r, is another number
    assert mode_covariance(y * (1 - mu), mu).position != found.position or mu == 0


def test_the_numbers_of_an_independent_run() -> None:
    bowl = TrackedQuadratic.bowl()
    assert bowl.lower_bound() == pytest.approx(7.411847253913361, rel=1e-14)  # a sum of 100 floats
    assert bowl.sgd_loss(1.0) == pytest.approx(27.6097, abs=5e-5)  # as many digits as the reference gives
    r, loss = bowl.best_sgd()
    assert (r, loss) == (pytest.approx(1.75094, abs=1e-5), pytest.approx(19.08676, abs=1e-5))
    r, mu, loss = bowl.best_heavy_ball()
    assert (r, mu, loss) == tuple(pytest.approx(v, abs=2e-5) for v in (1.94290, 0.40384, 15.341881))
    assert bowl.learned_loss(0.195) == pytest.approx(7.7048, abs=5e-5)
    assert bowl.learned_loss(0.9) == pytest.approx(39.0097, abs=5e-5)


def test_the_best_are_minima() -> None:
    task = TrackedQuadratic([1.0, 0.3, 0.02])
    r, loss = task.best_sgd()
    assert all(task.sgd_loss(r * s) > loss for s in (0.99, 1.01))
    r, mu, loss = task.best_heavy_ball()
    assert all(task.heavy_ball_loss(r * s, mu * t) > loss for s, t in ((0.99, 1), (1.01, 1), (1, 0.99), (1, 1.01)))


def test_gains_are_the_matrix_they_stand_for() -> None:
    hessian, gains = np.diag([1.0, 0.5, 0.2]), [0.4, 1.1, 3.0]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    wanted = TrackedQuadratic(np.diag(hessian)).loss_of_gains(gains)
    turned = rotation @ hessian @ rotation.T
    found = frozen_loss(rotation @ np.diag(gains) @ rotation.T, turned)
    assert found == pytest.approx(wanted, rel=1e-12)  # two Lyapunov solutions of order 1
    assert frozen_loss(np.diag(gains) / 2, turned) != pytest.approx(wanted, rel=1e-2)  # planted fault: not turned


def test_a_learner_with_momentum_is_best_at_its_fixed_point_and_not_at_the_inverse() -> None:
    task, beta = TrackedQuadratic(["1", "1/2", "1/5"]), F(1, 2)
    inverse = [1 / h for h in task.eigenvalues]
    best = task.loss_of_gains([(1 + beta) * g for g in inverse], beta)
    assert best == task.learned_loss(beta)
    assert task.loss_of_gains(inverse, beta) == task.newton_loss(beta) > best
    assert all(task.loss_of_gains([c * g for g in inverse], beta) > best for c in (F(149, 100), F(151, 100)))


def test_simulation_of_a_heavy_ball() -> None:
    generator = np.random.default_rng(1)
    task, r, mu, copies = TrackedQuadratic([1.0, 0.4, 0.1]), 0.9, 0.5, 4000
    h = task.eigenvalues
    b, v = np.zeros((2, copies, 3))
    seen = []
    for step in range(400):
        v = mu * v - r * h * b
        b = b + v - generator.standard_normal(b.shape)
        if step >= 200:  # the slowest mode forgets its start at rate 0.8 or faster per 10 steps
            seen.append(0.5 * np.mean(b**2 @ h))
    # 4000 copies times a few tens of independent moments: a standard error of about 0.3 percent
    assert np.mean(seen) == pytest.approx(task.heavy_ball_loss(r, mu), rel=0.015)
    assert np.mean(seen) != pytest.approx(task.heavy_ball_loss(r, 0.4), rel=0.015)


@pytest.mark.parametrize(
    "call",
    [
        lambda: TrackedQuadratic([1.0, -0.1]),
        lambda: TrackedQuadratic([]),
        lambda: TrackedQuadratic([1.0, float("nan")]),
        lambda: TrackedQuadratic([[1.0]]),
        lambda: TrackedQuadratic([1.0], noise=0),
        lambda: TrackedQuadratic([1.0]).sgd_loss(2),
        lambda: TrackedQuadratic([1.0]).loss_of_gains([1.0, 1.0]),
        lambda: TrackedQuadratic([1.0]).learned_loss(1),
        lambda: frozen_loss(np.eye(2) * 3, np.eye(2)),
        lambda: frozen_loss(np.eye(3), np.eye(2)),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_stability_is_decided_exactly_at_its_edge() -> None:
    assert not is_stable("3", "1/2")
    assert is_stable("2999999999999999999999/1000000000000000000000", "1/2")
