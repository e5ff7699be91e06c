"""Per-step sizes against exact differences of the plain recursion."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic, ScheduledDescent

EIGENVALUES = [Fraction(1), Fraction(1, 2), Fraction(1, 10)]
WEIGHTS = [Fraction(3, 10), Fraction(3, 10), Fraction(2, 5)]
SCHEDULES = [
    [Fraction(2, 3)],
    [Fraction(1, 2), Fraction(6, 5), Fraction(2), Fraction(-1, 3)],
    [Fraction(1), Fraction(7, 4), Fraction(2), Fraction(1)],  # r = 0 twice at eigenvalue 1, once at 1/2
    [Fraction(1), Fraction(2), Fraction(10)],  # every eigenvalue annihilated
]
NEAR = 1e-13  # a few dozen roundings of 1.1e-16 each; no cancellation beyond a factor 10 in these cases


def exact_loss(step_sizes: list[Fraction]) -> Fraction:
    """The iteration itself, coordinate by coordinate."""
    total = Fraction(0)
    for eigenvalue, weight in zip(EIGENVALUES, WEIGHTS, strict=True):
        factor = Fraction(1)
        for eta in step_sizes:
            factor -= eta * eigenvalue * factor
        total += weight * eigenvalue * factor**2 / 2
    return total


def exact_gradient(step_sizes: list[Fraction]) -> list[Fraction]:
    """Central differences, exact because F is quadratic in each single step size."""

    def moved(place: int, by: int) -> list[Fraction]:
        return [eta + by * (k == place) for k, eta in enumerate(step_sizes)]

    return [(exact_loss(moved(j, 1)) - exact_loss(moved(j, -1))) / 2 for j in range(len(step_sizes))]


def exact_hessian(step_sizes: list[Fraction]) -> list[list[Fraction]]:
    steps = range(len(step_sizes))
    rows = []
    for j in steps:
        up = exact_gradient([eta + (k == j) for k, eta in enumerate(step_sizes)])
        down = exact_gradient([eta - (k == j) for k, eta in enumerate(step_sizes)])
        # on the diagonal the gradient is linear in the step size, so this difference is exact too
        rows.append([(up[k] - down[k]) / 2 for k in steps])
    return rows


def agree(found: object, expected: object) -> bool:
    wanted = np.array(expected, dtype=float)
    scale = np.max(np.abs(wanted)) or 1.0
    return bool(np.all(np.abs(np.asarray(found, dtype=float) - wanted) <= NEAR * scale))


@pytest.fixture(scope="module")
def descent() -> ScheduledDescent:
    return ScheduledDescent(EIGENVALUES, WEIGHTS)


@pytest.mark.parametrize("step_sizes", SCHEDULES)
def test_floats_agree_with_exact_differences(descent: ScheduledDescent, step_sizes: list[Fraction]) -> None:
    assert agree(descent.loss(step_sizes), exact_loss(step_sizes))
    assert agree(descent.gradient(step_sizes), exact_gradient(step_sizes))
    assert agree(descent.hessian(step_sizes), exact_hessian(step_sizes))


@pytest.mark.parametrize("step_sizes", SCHEDULES)
def test_balls_agree_with_exact_differences(descent: ScheduledDescent, step_sizes: list[Fraction]) -> None:
    gradient, hessian = descent.gradient(step_sizes, digits=25), descent.hessian(step_sizes, digits=25)
    with mpmath.workdps(40):
        pairs = [(descent.loss(step_sizes, digits=25), exact_loss(step_sizes))]
        pairs += zip(gradient, exact_gradient(step_sizes), strict=True)
        for row, wanted in zip(hessian, exact_hessian(step_sizes), strict=True):
            pairs += zip(row, wanted, strict=True)
        for ball, exact in pairs:
            value = mpmath.mpf(exact.numerator) / exact.denominator
            found = mpmath.mpf(ball.mid().str(40, radius=False))
            assert abs(found - value) <= abs(value) * mpmath.mpf(10) ** -25


def test_the_comparison_catches_planted_faults(descent: ScheduledDescent) -> None:
    step_sizes = SCHEDULES[1]
    gradient, hessian = exact_gradient(step_sizes), exact_hessian(step_sizes)
    assert not agree(-descent.gradient(step_sizes), gradient)
    assert not agree(descent.gradient(step_sizes)[::-1], gradient)
    assert not agree(descent.gradient(step_sizes) * (1 + 1e-11), gradient)
    assert not agree(descent.hessian(step_sizes) / 2, hessian)
    # forgetting the factor 2 off the diagonal alone
    halved = descent.hessian(step_sizes) * (0.5 + 0.5 * np.eye(4))
    assert not agree(halved, hessian)
    # dividing a factor out, the classical shortcut, fails exactly where r = 0
    r = 1 - np.outer(np.array(SCHEDULES[2], dtype=float), np.array(EIGENVALUES, dtype=float))
    x = np.array([float(w * v) for w, v in zip(WEIGHTS, EIGENVALUES, strict=True)])
    with np.errstate(all="ignore"):
        shortcut = -np.sum(x * np.array(EIGENVALUES, dtype=float) * np.prod(r, axis=0) ** 2 / r, axis=1)
    assert not agree(shortcut, exact_gradient(SCHEDULES[2]))


def test_a_stationary_schedule_has_an_exactly_zero_gradient() -> None:
    # (1, weight 1), (2, weight 1/2) at t = 1: F = (1-e)^2/2 + (1-2e)^2/2, minimal at 3/5; balls alone never show a 0
    descent = ScheduledDescent([1, 2], [1, "1/2"])
    assert descent.gradient(["3/5"], digits=12)[0] == 0
    assert descent.gradient(["3/5"], digits=12)[0].is_exact()
    assert descent.gradient(["2/3"], digits=12)[0] > 0


def test_one_eigenvalue_per_step_ends_at_zero(descent: ScheduledDescent) -> None:
    step_sizes = [1 / value for value in EIGENVALUES]
    assert descent.loss(step_sizes, digits=10) == 0
    assert descent.log_loss(step_sizes, digits=10) < -1e300
    assert ScheduledDescent([4, 2], [1, 1]).loss([0.25, 0.5]) == 0
    assert ScheduledDescent([4, 2], [1, 1]).log_loss([0.25, 0.5]) == -math.inf
    assert descent.loss(step_sizes[:2], digits=10) > 0


def test_the_order_of_the_steps_does_not_matter(descent: ScheduledDescent) -> None:
    losses = {descent.loss(list(order), digits=20).str(15) for order in permutations(SCHEDULES[1])}
    assert len(losses) == 1
    assert descent.loss([0.5, 1.2]) != descent.loss([0.5, 1.3])


@pytest.mark.parametrize(("eta", "steps"), [(0.3, 1), (1.1, 7), (2.5, 40)])
def test_equal_steps_give_the_constant_step_meta_gradient(descent: ScheduledDescent, eta: float, steps: int) -> None:
    constant = Quadratic(EIGENVALUES, WEIGHTS)
    total = descent.gradient([eta] * steps).sum()
    wanted = constant.meta_gradient(eta, steps)
    # the factors are rounded once each: t roundings, times the cancellation between eigenvalues (below 10 here)
    assert abs(total - wanted) <= 10 * 2 * steps * 2.3e-16 * abs(wanted)
    assert abs(descent.hessian([eta] * steps).sum() - constant.meta_curvature(eta, steps)) <= 1e-12 * abs(
        constant.meta_curvature(eta, steps)
    )


def test_arrays_of_schedules_broadcast(descent: ScheduledDescent) -> None:
    batch = np.array([[[0.5, 1.2], [0.1, 0.2]], [[1.0, 2.0], [3.0, -1.0]], [[0.0, 0.0], [4.0, 4.0]]])
    assert descent.loss(batch).shape == (3, 2)
    assert descent.gradient(batch).shape == (3, 2, 2)
    assert descent.hessian(batch).shape == (3, 2, 2, 2)
    assert descent.loss(batch)[1, 1] == descent.loss(batch[1, 1])
    assert np.array_equal(descent.gradient(batch)[0, 1], descent.gradient(batch[0, 1]))
    assert np.array_equal(descent.hessian(batch)[2, 1], descent.hessian(batch[2, 1]))


def test_a_long_schedule_stays_inside_the_float_range(descent: ScheduledDescent) -> None:
    down, up = [0.5] * 3000, [40.0] * 1500
    with mpmath.workdps(40):
        pairs = [
            (mpmath.mpf(v.numerator) / v.denominator, mpmath.mpf(w.numerator) / w.denominator)
            for v, w in zip(EIGENVALUES, WEIGHTS, strict=True)
        ]
        terms = [w * v * (1 - v / 2) ** 6000 * (1 - 40 * v) ** 3000 / 2 for v, w in pairs]
        wanted = mpmath.log(sum(terms))
    assert descent.log_loss(up + down) == pytest.approx(float(wanted), abs=0, rel=1e-14)
    assert descent.log_loss(down + up) == pytest.approx(float(wanted), abs=0, rel=1e-14)
    assert ScheduledDescent([1], [1]).loss([0.5] * 8000) == 0.0
    assert descent.loss(up) == math.inf
    # the finite gradient of a schedule whose prefixes alone overflow
    mixed = [1000.0] * 150 + [0.99] * 230
    assert np.all(np.isfinite(ScheduledDescent([1], [1]).gradient(mixed)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: ScheduledDescent([1, 0], [1, 1]),
        lambda: ScheduledDescent([1, 2], [1]),
        lambda: ScheduledDescent([1, 2], [1, -1]),
        lambda: ScheduledDescent([1, 2], [0, 0]),
        lambda: ScheduledDescent([1], [1]).loss([]),
        lambda: ScheduledDescent([1], [1]).loss(0.5),
        lambda: ScheduledDescent([1], [1]).gradient([0.1, float("nan")]),
        lambda: ScheduledDescent([1], [1]).loss(["one"]),
        lambda: ScheduledDescent([1], [1]).loss([[0.1], [0.2]], digits=10),
        lambda: ScheduledDescent([1], [1]).loss([0.1], digits=0),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
