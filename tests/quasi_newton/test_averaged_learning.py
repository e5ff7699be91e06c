"""Averaged dynamics: the closed form against an integrator, the Lyapunov inequality, and simulated learners."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton import TrackedQuadratic
from l2o_theory.quasi_newton.averaged import additive_noise_gain, drift, losses, lyapunov, residuals

TASK = TrackedQuadratic([1.0, 0.5, 0.2])
TIMES = np.array([0.0, 200.0, 1000.0, 5000.0, 20000.0])


def test_the_closed_form_solves_the_matrix_equation() -> None:
    hessian, rate, start = np.diag(TASK.eigenvalues), 0.004, 0.3
    first = np.linalg.inv(hessian) - start * np.eye(3)
    run = solve_ivp(
        lambda t, d: drift(d.reshape(3, 3), hessian, rate).ravel(),
        (0, TIMES[-1]),
        first.ravel(),
        method="LSODA",
        t_eval=TIMES,
        rtol=1e-10,
        atol=1e-12,
    )
    found = np.array([np.diag(d.reshape(3, 3) @ hessian) for d in run.y.T])
    wanted = residuals(TASK, start, rate, TIMES)
    assert np.abs(found - wanted).max() < 1e-8  # the integrator's tolerance over some hundred steps
    assert np.abs(found - residuals(TASK, start, 1.01 * rate, TIMES)).max() > 1e-4
    assert losses(TASK, start, rate, [0.0])[0] == pytest.approx(TASK.sgd_loss(start), rel=1e-12)
    assert losses(TASK, start, rate, [1e9])[0] == pytest.approx(TASK.lower_bound(), rel=1e-9)


def test_the_lyapunov_function_falls_at_the_rate_stated() -> None:
    generator, rate, noise = np.random.default_rng(0), 0.01, 0.7
    for _ in range(200):
        n = int(generator.integers(2, 5))
        q = np.linalg.qr(generator.standard_normal((n, n)))[0]
        h = generator.uniform(0.05, 1, n)
        hessian = q @ np.diag(h) @ q.T
        error = generator.standard_normal((n, n))
        error *= generator.uniform(0.1, 0.95) / np.abs(np.linalg.eigvals(error @ hessian)).max()
        slope = float(np.sum(np.linalg.solve(hessian, error) * drift(error, hessian, rate, noise)))
        bound = -2 * rate * noise**2 * h.min() ** 3 * lyapunov(error, hessian)
        assert slope <= bound * (1 - 1e-9)  # both negative; the inequality is strict unless K is a multiple of I
        assert slope < 0


def test_a_simulated_learner_follows_the_curve() -> None:
    rate, start, copies = 0.004, 0.3, 200
    generator = np.random.default_rng(2)
    h = TASK.eigenvalues
    gain = np.tile(start * np.eye(3), (copies, 1, 1))
    b = np.zeros((copies, 3))
    seen = {}
    for step in range(1001):
        if step in (200, 1000):
            seen[step] = 1 - np.mean(np.diagonal(gain, axis1=1, axis2=2), axis=0) * h
        g = h * b
        b = b - np.einsum("cij,cj->ci", gain, g) - generator.standard_normal(b.shape)
        gain = gain + rate * np.einsum("ci,cj->cij", h * b, g)
    for step, found in seen.items():
        wanted = residuals(TASK, start, rate, [step])[0]
        # 0.01: averaging error O(a) and 200 copies; the fastest mode is left out, it learns before it is stationary
        assert np.abs(found - wanted)[1:].max() < 0.01
        assert np.abs(found - residuals(TASK, start, 2 * rate, [step])[0])[1:].max() > 0.01


def test_additive_noise_at_a_fixed_minimum_takes_the_gain_to_zero() -> None:
    times = np.arange(0, 2401, 400.0)
    wanted = [0.500, 0.304, 0.193, 0.125, 0.082, 0.054, 0.036]  # an earlier, independent integration
    assert additive_noise_gain(0.5, 1, 1, 0.002, times) == pytest.approx(wanted, abs=6e-4)
    run = solve_ivp(lambda t, u: -0.03 * 2 * 0.5 * u / (2 - u), (0, 300), [1.9], rtol=1e-10, atol=1e-12, t_eval=[300])
    assert additive_noise_gain(1.9, 2, 0.5, 0.03, [300])[0] == pytest.approx(run.y[0, -1], rel=1e-7)


def test_bad_input_is_refused() -> None:
    for call in (
        lambda: residuals(TASK, 2.0, 0.1, [0]),
        lambda: residuals(TASK, 0.5, 0.0, [0]),
        lambda: additive_noise_gain(2, 1, 1, 1, [0]),
        lambda: drift(np.eye(2) * 2, np.eye(2), 0.1),
    ):
        with pytest.raises(InputError):
            call()
