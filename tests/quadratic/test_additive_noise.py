"""SGD with additive noise against the plain recursion in rationals, Monte Carlo and an earlier, independent run."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic import AdditiveNoiseSGD, Quadratic

EIGENVALUES = [Fraction(1), Fraction(1, 2), Fraction(1, 10)]
MOMENTS = [Fraction(1), Fraction(0), Fraction(3)]
NOISE = [Fraction(1, 4), Fraction(1, 3), Fraction(0)]
STEP_SIZES = [Fraction(0), Fraction(1, 3), Fraction(1), Fraction(2), Fraction(19, 10), Fraction(4), Fraction(-1, 7)]
NEAR = 1e-13  # t <= 40 with positive terms only: a few dozen roundings


def additive_recursion(step_sizes: Iterable[Fraction]) -> Fraction:
    moments = list(MOMENTS)
    for eta in step_sizes:
        moments = [
            (1 - eta * value) ** 2 * moment + eta**2 * variance
            for value, moment, variance in zip(EIGENVALUES, moments, NOISE, strict=True)
        ]
    return sum((value * moment for value, moment in zip(EIGENVALUES, moments, strict=True)), start=Fraction(0)) / 2


def near(found: float, exact: Fraction | float, tolerance: float = NEAR) -> bool:
    return abs(float(found) - float(exact)) <= tolerance * abs(float(exact))


def in_ball(ball: object, exact: Fraction, digits: int) -> bool:
    with mpmath.workdps(digits + 20):
        wanted = mpmath.mpf(exact.numerator) / exact.denominator
        found = mpmath.mpf(ball.mid().str(digits + 10, radius=False))  # type: ignore[attr-defined]
        return bool(abs(found - wanted) <= abs(wanted) * mpmath.mpf(10) ** -digits)


@pytest.fixture(scope="module")
def additive() -> AdditiveNoiseSGD:
    return AdditiveNoiseSGD(EIGENVALUES, MOMENTS, NOISE)


@pytest.mark.parametrize("eta", STEP_SIZES)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_additive_loss_agrees_with_the_recursion(additive: AdditiveNoiseSGD, eta: Fraction, steps: int) -> None:
    # eta l = 0 and eta l = 2, where the geometric sum has its limits, are among the step sizes
    wanted = additive_recursion([eta] * steps)
    assert near(additive.loss(eta, steps), wanted)
    assert in_ball(additive.loss(eta, steps, digits=25), wanted, 25)
    assert near(additive.loss_of_schedule([eta] * steps), wanted)


def test_the_comparison_catches_planted_faults(additive: AdditiveNoiseSGD) -> None:
    eta, steps = Fraction(1, 3), 7
    wanted = additive_recursion([eta] * steps)
    assert not near(additive.loss(eta, steps + 1), wanted)
    assert not near(additive.loss(eta, steps) * (1 + 1e-11), wanted)
    doubled = AdditiveNoiseSGD(EIGENVALUES, MOMENTS, [2 * variance for variance in NOISE])
    assert not near(doubled.loss(eta, steps), wanted)
    # the limit at eta l = 2 is eta^2 s t: one step less there is another number
    assert not near(additive.loss(2, 6), additive_recursion([Fraction(2)] * 7))


def test_additive_meta_gradient_agrees_with_differences(additive: AdditiveNoiseSGD) -> None:
    for steps in (1, 3, 20):
        for eta in STEP_SIZES:
            with mpmath.workdps(60):  # difference quotient of exact values: error of order width^2 = 1e-40
                width = Fraction(1, 10**20)
                quotient = (additive_recursion([eta + width] * steps) - additive_recursion([eta - width] * steps)) / (
                    2 * width
                )
            # eta l = 2 uses a limit good to 1e-6 of that one term; elsewhere cancellation loses two or three digits
            tolerance = 1e-6 if any(eta * value == 2 for value in EIGENVALUES) else 1e-11
            assert near(additive.meta_gradient(eta, steps), float(quotient), tolerance)
            assert near(float(additive.meta_gradient(eta, steps, digits=15)), float(quotient), 1e-14)
    assert not near(-additive.meta_gradient(1 / 3, 3), additive.meta_gradient("1/3", 3, digits=15), 1e-6)


def test_a_schedule_agrees_with_the_recursion(additive: AdditiveNoiseSGD) -> None:
    schedule = [Fraction(1, 3), Fraction(2), Fraction(1, 2), Fraction(0)]
    losses = additive.losses(schedule)
    assert losses.shape == (5,)
    for k in range(5):
        assert near(losses[k], additive_recursion(schedule[:k]))
    assert in_ball(additive.loss_of_schedule(schedule, digits=20), additive_recursion(schedule), 20)
    assert not near(additive.loss_of_schedule(schedule[::-1]), additive_recursion(schedule))  # the order matters here


def test_a_billion_steps_sit_on_the_noise_floor(additive: AdditiveNoiseSGD) -> None:
    # m -> eta s/(l (2 - eta l))
    eta = Fraction(1, 2)
    floor = sum(eta * s / (v * (2 - eta * v)) * v for v, s in zip(EIGENVALUES, NOISE, strict=True)) / 2
    assert near(additive.loss(0.5, 10**9), floor)
    assert in_ball(additive.loss("1/2", 10**9, digits=20), Fraction(floor), 20)
    assert additive.loss(5, 10**9) == math.inf
    assert additive.loss("1e-9", 10**9) == pytest.approx(
        float(additive.loss("1e-9", 10**9, digits=15)), abs=0, rel=1e-14
    )
    # without noise and initial error along the growing eigenvalue nothing overflows
    calm = AdditiveNoiseSGD([1, "1/100"], [0, 1], [0, 1])
    assert math.isfinite(calm.loss(50, 10**6))


def test_additive_loss_broadcasts(additive: AdditiveNoiseSGD) -> None:
    losses = additive.loss(np.array([[0.1], [0.2], [2.0]]), np.array([1, 5]))
    assert losses.shape == (3, 2)
    assert losses[2, 1] == additive.loss(2.0, 5)
    assert isinstance(additive.loss(0.1, 3), float)


def test_monte_carlo_of_additive_noise() -> None:
    rng = np.random.default_rng(11)
    values, moments, noise = (np.array(v, dtype=float) for v in (EIGENVALUES, MOMENTS, NOISE))
    paths, steps, eta = 20_000, 12, 0.7
    w = np.sqrt(moments) * rng.standard_normal((paths, 3))
    for _ in range(steps):
        w = w - eta * (values * w + np.sqrt(noise) * rng.standard_normal((paths, 3)))
    sample = 0.5 * (w**2) @ values
    error = sample.std(ddof=1) / math.sqrt(paths)
    score = (sample.mean() - AdditiveNoiseSGD(EIGENVALUES, MOMENTS, NOISE).loss(eta, steps)) / error
    assert abs(score) < 4  # 4 standard errors: one seed in 16 000 would fail by chance; this one is fixed
    planted = AdditiveNoiseSGD(EIGENVALUES, MOMENTS, [1.1 * v for v in NOISE]).loss(eta, steps)
    assert abs(sample.mean() - planted) / error > 4


def test_greedy_steps_minimise_the_next_loss(additive: AdditiveNoiseSGD) -> None:
    schedule = additive.greedy_step_sizes(4)
    for k in range(4):
        best = additive.losses(schedule[: k + 1])[-1]
        for shift in (-1e-3, 1e-3):
            moved = [*schedule[:k], schedule[k] + shift]
            assert additive.loss_of_schedule(moved) > best
    # the formula of the first step: SUM l^2 m / SUM (l^3 m + l s)
    top = sum(v**2 * m for v, m in zip(EIGENVALUES, MOMENTS, strict=True))
    bottom = sum(v**3 * m + v * s for v, m, s in zip(EIGENVALUES, MOMENTS, NOISE, strict=True))
    assert near(schedule[0], top / bottom)
    assert near(AdditiveNoiseSGD([2], [1], [0]).greedy_step_sizes(3)[0], 0.5)
    assert AdditiveNoiseSGD([2], [1], [0]).greedy_step_sizes(3)[2] == 0.0  # solved in one step


def test_short_horizon_numbers_of_an_independent_computation() -> None:
    sgd = AdditiveNoiseSGD(["1", "1/10"], [1, 1], ["1/4", "1/40"])
    wanted = {1: 0.806, 2: 0.604, 5: 0.381, 10: 0.265, 30: 0.211, 100: 0.127, 1000: 0.0248, 10000: 0.00364}
    for steps, optimum in wanted.items():
        assert float(f"{sgd.optimal_step_size(steps):.3g}") == optimum
    assert sgd.optimal_step_size(1) == pytest.approx(sgd.greedy_step_sizes(1)[0], abs=0, rel=1e-12)


def test_greedy_bias_of_an_independent_computation() -> None:
    sgd = AdditiveNoiseSGD(["1", "1/100"], [1, 100], ["1", "1/100"])
    greedy = sgd.greedy_step_sizes(1000)
    assert sgd.losses(greedy)[1000] == pytest.approx(0.3425, abs=5e-5)
    assert greedy[-1] == pytest.approx(0.0136, abs=5e-5)
    best = sgd.optimal_step_size(1000)
    assert best == pytest.approx(0.176, abs=2e-3)  # flat minimum: 0.176, the reference, has the same loss to 4 digits
    assert sgd.loss(best, 1000) == pytest.approx(0.0634, abs=5e-5)
    assert sgd.losses(greedy)[10] == pytest.approx(0.525, abs=5e-4)
    assert sgd.loss(sgd.optimal_step_size(10), 10) == pytest.approx(0.540, abs=5e-4)


def test_optimum_is_the_global_minimum_of_a_dense_scan() -> None:
    rng = np.random.default_rng(3)
    for steps in (1, 4, 50, 2000):
        for _ in range(5):
            sgd = AdditiveNoiseSGD(
                10 ** rng.uniform(-3, 0, 3), 10 ** rng.uniform(-3, 3, 3), 10 ** rng.uniform(-4, 1, 3)
            )
            optimum = sgd.optimal_step_size(steps)
            scan = np.geomspace(1e-9, 2e3, 30_011)
            assert sgd.loss(optimum, steps) <= np.min(sgd.loss(scan, steps)) * (1 + 1e-12)
            assert sgd.loss(optimum * 1.01, steps) > sgd.loss(optimum, steps) < sgd.loss(optimum * 0.99, steps)


@pytest.mark.parametrize(("moment", "deepest"), [(5500, 0.0130), (5600, 0.1005)])
def test_noise_can_leave_two_minima_and_the_deeper_one_is_returned(moment: int, deepest: float) -> None:
    # eigenvalue 1 starts solved and only collects noise: dF/deta of it overshoots its limit s/4 by 13 percent near
    # eta t = 1; the slow descent along eigenvalue 1/1000 lies between the two slopes [derived here]
    values, moments, noise = (
        [Fraction(1), Fraction(1, 1000)],
        [Fraction(0), Fraction(moment)],
        [Fraction(1), Fraction(0)],
    )

    def plain(eta: Fraction) -> Fraction:
        current = moments
        for _ in range(50):
            current = [(1 - eta * v) ** 2 * m + eta**2 * s for v, m, s in zip(values, current, noise, strict=True)]
        return sum((v * m for v, m in zip(values, current, strict=True)), start=Fraction(0)) / 2

    first, between, second, far = (plain(Fraction(n, 1000)) for n in (13, 40, 95, 200))
    assert first < between > second < far  # exact: two valleys with a ridge between them
    sgd = AdditiveNoiseSGD(values, moments, noise)
    assert sgd.optimal_step_size(50) == pytest.approx(deepest, abs=0, rel=5e-3)
    # without the noise there is one valley (the planted contrast: the same scan sees no ridge)
    silent = AdditiveNoiseSGD(values, [1, moment], [0, 0])
    assert np.all(np.diff(silent.loss(np.array([0.013, 0.04, 0.095, 0.2]), 50)) < 0)


def test_optimum_without_noise_is_the_analyzers_and_without_error_is_zero() -> None:
    plain = Quadratic(EIGENVALUES, MOMENTS)
    silent = AdditiveNoiseSGD(EIGENVALUES, MOMENTS, [0, 0, 0])
    assert silent.optimal_step_size(30) == pytest.approx(plain.optimal_step_size(30), abs=0, rel=1e-12)
    assert silent.loss(0.3, 30) == pytest.approx(plain.loss(0.3, 30), abs=0, rel=1e-13)
    assert silent.loss(0.3, 10**5) == pytest.approx(plain.loss(0.3, 10**5), abs=0, rel=1e-11)
    assert AdditiveNoiseSGD([1], [0], [1]).optimal_step_size(5) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: AdditiveNoiseSGD([1, 0], [1, 1], [1, 1]),
        lambda: AdditiveNoiseSGD([1], [1, 1], [1]),
        lambda: AdditiveNoiseSGD([1], [-1], [1]),
        lambda: AdditiveNoiseSGD([1], [1], [float("nan")]),
        lambda: AdditiveNoiseSGD([1], [0], [0]),
        lambda: AdditiveNoiseSGD([1], [1], [1]).loss(float("inf"), 1),
        lambda: AdditiveNoiseSGD([1], [1], [1]).loss(0.1, 0),
        lambda: AdditiveNoiseSGD([1], [1], [1]).loss([0.1, 0.2], [1, 2, 3]),
        lambda: AdditiveNoiseSGD([1], [1], [1]).optimal_step_size(1.5),  # type: ignore[arg-type]
        lambda: AdditiveNoiseSGD([1], [1], [1]).greedy_step_sizes(0),
        lambda: AdditiveNoiseSGD([1], [1], [1]).losses(["x"]),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
