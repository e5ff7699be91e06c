"""Meta-descent and its convergence certificate."""

# ruff: noqa: SIM300 - the rule takes the bounds B0..B3 and B for constants
from __future__ import annotations

import math

import numpy as np
import pytest
from slow_reference import reference

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic
from l2o_theory.quadratic.descent import _plain_slope


def plain_descent(eigenvalues: list, weights: list, start: float, steps: int, meta_steps: int) -> np.ndarray:
    """The recursion in plain Python floats, for a handful of eigenvalues and few inner steps."""
    path = [start]
    for k in range(1, meta_steps + 1):
        r = [1 - path[-1] * value for value in eigenvalues]
        pairs = list(zip(eigenvalues, weights, r, strict=True))
        top = sum(c * value**2 * s ** (2 * steps - 1) for value, c, s in pairs)
        bottom = sum(c * value * s ** (2 * steps) for value, c, s in pairs)
        path.append(max(0.0, path[-1] + 2 * top / bottom / math.sqrt(k)))
    return np.array(path)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("start", [0.0, 0.4, 3.0])
def test_meta_descent_follows_the_recursion(start: float, steps: int) -> None:
    eigenvalues, weights = [2.0, 1.0, 0.3], [0.2, 0.5, 0.3]
    path = Quadratic(eigenvalues, weights).meta_descent(start, steps, 30)
    # Early steps overshoot and magnify differences of 1e-16 by |1 - mu G''| each, by some 1e4 over these 30.
    np.testing.assert_allclose(path, plain_descent(eigenvalues, weights, start, steps, 30), rtol=1e-11)


def test_the_path_in_balls_encloses_the_path_in_floats() -> None:
    quadratic = Quadratic(["2", "1", "3/10"], ["1/5", "1/2", "3/10"])
    balls, floats = quadratic.meta_descent("2/5", 5, 30, digits=25), quadratic.meta_descent("2/5", 5, 30)
    assert balls.shape == floats.shape == (31,)
    assert all(ball.rel_accuracy_bits() >= 25 * 3.32 or ball == 0 for ball in balls)
    np.testing.assert_allclose(floats, [float(ball) for ball in balls], rtol=1e-12)


def test_schedule_and_reset_to_zero() -> None:
    quadratic = Quadratic([1.0, 0.5], [0.5, 0.5])
    path = quadratic.meta_descent(30.0, 10, 3, schedule=lambda k: 1000)
    assert path[1] == 0.0  # overshoots below zero, is reset, and 0 is a legal iterate
    assert path[2] > 0
    still = quadratic.meta_descent(0.5, 10, 3, schedule=lambda k: "0")
    assert still.tolist() == [0.5] * 4
    assert quadratic.meta_descent(0.5, 10, 0).tolist() == [0.5]


def test_a_schedule_may_be_a_sequence() -> None:
    quadratic = Quadratic([1.0, 0.5], [0.5, 0.5])
    rates = 1 / np.sqrt(np.arange(1, 13))
    wanted = quadratic.meta_descent(0.5, 10, 10)
    for schedule in (rates, rates.tolist(), tuple(rates), lambda k: rates[k - 1]):
        # 1/sqrt(k) of numpy and of math may differ in the last place
        np.testing.assert_allclose(quadratic.meta_descent(0.5, 10, 10, schedule), wanted, rtol=1e-13)


@pytest.mark.parametrize("steps", [1, 2, 40, 1000])
@pytest.mark.parametrize("eigenvalues", [[2.0, 1.0, 0.3], [1.001, 1.0, 1.0005], [50.0, 0.02], [3.0, 3.0, 1.0]])
def test_the_plain_slope_knows_its_error(eigenvalues: list, steps: int) -> None:
    weights = [0.2, 0.5, 0.3][: len(eigenvalues)]
    quadratic = Quadratic(eigenvalues, weights)
    slope_and_error = _plain_slope(quadratic.spectrum, steps)
    middle, best = 2 / (max(eigenvalues) + min(eigenvalues)), quadratic.optimal_step_size(steps)
    for eta in (0.0, 0.3, 1 / max(eigenvalues), middle, middle * (1 - 1e-9), best, best * (1 + 1e-6), 7.0):
        slope, error = slope_and_error(eta)
        exact = reference(eigenvalues, weights, eta, steps)["log_final"]
        assert abs(slope - exact) <= error
    # Planted fault: a bound that never comes near an error would send every slope down the slow route.
    assert slope_and_error(0.3)[1] < 1e-9 * abs(slope_and_error(0.3)[0])


def test_a_meta_step_is_right_where_the_plain_formula_is_not() -> None:
    quadratic, steps = Quadratic([1.0, 0.999], [0.5, 0.5]), 10**9
    start = 2 / 1.999
    slope, error = _plain_slope(quadratic.spectrum, steps)(start)
    exact = float(quadratic.meta_gradient(start, steps, "log_final", digits=20))
    assert abs(slope - exact) > 0.01 * abs(exact)  # the planted fault is real
    assert error > abs(slope - exact)
    path = quadratic.meta_descent(start, steps, 1, [0.01])
    assert path[1] == pytest.approx(start - 0.01 * exact, rel=1e-14)


def test_descent_stays_where_the_loss_is_zero() -> None:
    assert Quadratic([2.0], [1.0]).meta_descent(0.5, 3, 4).tolist() == [0.5] * 5
    assert [float(v) for v in Quadratic([2], [1]).meta_descent("1/2", 3, 2, digits=20)] == [0.5] * 3


@pytest.mark.parametrize(("start", "steps"), [(0.0, 1), (2.0, 1), (1.0, 4), (5.0, 40)])
def test_it_never_moves_away_by_more_than_the_bound(start: float, steps: int) -> None:
    quadratic = Quadratic([3.0, 1.0, 0.4], [0.2, 0.3, 0.5])
    path = quadratic.meta_descent(start, steps, 300)
    distance = np.abs(path - quadratic.optimal_step_size(steps))
    rates = quadratic.gradient_bounds(steps).best / np.sqrt(np.arange(1, 301))
    assert np.all(distance[1:] <= np.maximum(distance[:-1], rates) * (1 + 1e-12))
    # Planted fault: with a hundredth of the bound the statement is false.
    assert not np.all(distance[1:] <= np.maximum(distance[:-1], rates / 100))


def test_certificate_follows_its_formulas() -> None:
    eigenvalues, weights, steps, eps = np.array([4.0, 2.0, 1.0]), np.array([0.25, 0.25, 0.5]), 3, 0.1
    quadratic = Quadratic(eigenvalues, weights)
    certificate = quadratic.convergence_certificate(5.0, eps, steps)
    bound, best = quadratic.gradient_bounds(steps).best, quadratic.optimal_step_size(steps)
    q, beta, least = float((weights * eigenvalues).sum()), 3 / 5, 0.25
    distance = max(abs(5.0 - best), bound)
    eps0 = min(eps, beta / (2 * steps * 4))
    growth = (q / (least * 1.0)) ** (1 / (2 * steps))
    g = 2 * eps0 * (2 * steps - 1) * least / (math.e * q * beta**2) / (1 + growth * 4 * distance / beta)
    assert certificate.B == pytest.approx(bound, rel=1e-14)
    assert certificate.optimum == pytest.approx(best, rel=1e-14)
    assert certificate.D == pytest.approx(distance, rel=1e-13)
    assert certificate.eps0 == pytest.approx(eps0, rel=1e-14)
    assert certificate.g == pytest.approx(g, rel=1e-12)
    assert certificate.k1 == math.ceil((bound / eps) ** 2)
    assert certificate.k_prime == pytest.approx((math.sqrt(certificate.k1) + distance / (2 * g)) ** 2, rel=1e-12)
    assert certificate.meta_steps >= certificate.k_prime
    balls = quadratic.convergence_certificate("5", "0.1", steps, digits=30)
    for name in ("B", "D", "eps0", "g", "k_prime", "optimum"):
        assert float(getattr(balls, name)) == pytest.approx(getattr(certificate, name), rel=1e-14)
    assert balls.meta_steps == pytest.approx(certificate.meta_steps, rel=1e-14)


def test_slope_is_at_least_g_outside_the_tolerance() -> None:
    quadratic, steps, eps = Quadratic([2.0, 1.0, 0.5], [0.3, 0.3, 0.4]), 5, 0.05
    certificate = quadratic.convergence_certificate(4.0, eps, steps)
    offsets = np.linspace(eps, certificate.D, 400)
    etas = np.concatenate([certificate.optimum - offsets, certificate.optimum + offsets])
    slopes = np.abs(quadratic.meta_gradient(etas, steps, "log_final"))
    assert slopes.min() >= certificate.g
    assert slopes.min() < 1e4 * certificate.g  # planted fault: a lower bound of nearly anything would not be one


def test_after_k_prime_steps_it_stays_within_the_tolerance() -> None:
    eigenvalues, weights, eps = [1.0, 0.7], [0.5, 0.5], 0.6
    certificate = Quadratic(eigenvalues, weights).convergence_certificate(0.0, eps, 1)
    assert certificate.meta_steps < 2_000_000
    path = plain_descent(eigenvalues, weights, 0.0, 1, 60_000)
    outside = np.flatnonzero(np.abs(path - certificate.optimum) > eps)
    assert outside.size  # it does leave the tolerance at first
    assert outside.max() < certificate.meta_steps
    assert outside.max() < certificate.k1 + 1  # and in practice is back long before k'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.1, 3), "start must be >= 0"),
        ((1.0, 0.0, 3), "tolerance must be > 0"),
        ((1.0, math.nan, 3), "tolerance must be finite"),
        ((1.0, 0.1, [3, 4]), "single integer"),
    ],
)
def test_certificate_refuses(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Quadratic([2.0, 1.0], [0.5, 0.5]).convergence_certificate(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -0.1}, "start must be >= 0"),
        ({"meta_steps": -1}, "meta_steps must be an integer"),
        ({"meta_steps": 1.5}, "meta_steps must be an integer"),
        ({"schedule": lambda k: -1.0}, r"schedule\(1\) must be >= 0"),
        ({"schedule": lambda k: math.nan}, r"schedule\(1\) must be finite"),
        ({"schedule": "1/sqrt(k)"}, "schedule must be a function of k or a sequence of at least 2"),
        ({"schedule": 0.1}, "schedule must be a function of k or a sequence of at least 2"),
        ({"schedule": [0.1]}, "schedule must be a function of k or a sequence of at least 2"),
        ({"schedule": [0.1, "x"]}, r"schedule\(2\) must be a rational"),
    ],
)
def test_descent_refuses(options: dict, message: str) -> None:
    arguments = {"start": 0.1, "steps": 3, "meta_steps": 2, **options}
    with pytest.raises(InputError, match=message):
        Quadratic([2.0, 1.0], [0.5, 0.5]).meta_descent(**arguments)
