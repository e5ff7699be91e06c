"""The three small models: a linear state, random curvature by enumeration of paths, the double well by recursion."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from math import comb, prod

import mpmath
import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.quadratic import (
    DoubleWellDescent,
    RandomCurvature,
    TruncatedDescent,
    last_steps_bias,
    last_steps_gradient,
    truncated_gradient_bound,
    truncation_bias_bound,
)

F = Fraction


@pytest.mark.parametrize("rate", [F(1, 2), F(0), F(1), F(3, 2), F(-2), F(99, 100)])
@pytest.mark.parametrize(("horizon", "window"), [(1, 1), (6, 1), (6, 4), (6, 6), (25, 7)])
def test_linear_state_by_its_recursion(rate: Fraction, horizon: int, window: int) -> None:
    def through(steps: int) -> Fraction:
        tangent = F(0)
        for _ in range(steps):
            tangent = rate * tangent + 1
        return tangent

    assert last_steps_gradient(rate, window) == through(window)
    assert last_steps_bias(rate, horizon, window) == through(horizon) - through(window)
    # float64: powers and one quotient; 1 - rate is exact or has one rounding
    assert last_steps_gradient(float(rate), window) == pytest.approx(float(through(window)), rel=1e-14)
    wanted = float(through(horizon) - through(window))
    assert last_steps_bias(float(rate), horizon, [window])[0] == pytest.approx(wanted, rel=1e-13, abs=0)
    if rate >= 0:
        assert truncation_bias_bound(rate, horizon, window, loss_slope=3, meta_slope="1/2") == F(3, 2) * (
            through(horizon) - through(window)
        )
        assert truncated_gradient_bound(rate, window, loss_slope=2) == 2 * through(window)
    assert last_steps_gradient(rate, window + 1) != through(window) or rate == 0


LAW = ([F(1, 10), F(1), F(2)], [F(1, 3)] * 3, F(4, 5))
SKEWED = ([F(1, 2), F(3)], [F(3, 4), F(1, 4)], F(1, 2))


def enumerated(
    law: tuple[list[Fraction], list[Fraction], Fraction], horizon: int, window: int
) -> tuple[Fraction, Fraction]:
    """E g and E g^2 over all paths, every path run as a recursion with its tangent (x_0 = 1)."""
    values, shares, eta = law
    first = second = F(0)
    for path in product(range(len(values)), repeat=horizon):
        x, tangent = F(1), F(0)
        for t, k in enumerate(path):
            tangent = F(0) if t == horizon - window else tangent
            tangent = tangent - values[k] * x - eta * values[k] * tangent
            x -= eta * values[k] * x
        probability = prod((shares[k] for k in path), start=F(1))
        first += probability * x * tangent
        second += probability * (x * tangent) ** 2
    return first, second


@pytest.mark.parametrize("law", [LAW, SKEWED])
@pytest.mark.parametrize(("horizon", "window"), [(1, 1), (2, 1), (2, 2), (3, 2), (5, 5), (5, 2)])
def test_random_curvature_by_enumeration(
    law: tuple[list[Fraction], list[Fraction], Fraction], horizon: int, window: int
) -> None:
    values, shares, eta = law
    closed = RandomCurvature(values, shares, step_size=eta)
    first, second = enumerated(law, horizon, window)
    assert closed.mean(horizon, window) == first
    assert closed.second_moment(horizon, window) == second
    assert closed.relative_variance(horizon, window) == second / first**2 - 1
    other = RandomCurvature(values, shares, step_size=eta, start=3)
    assert other.mean(horizon, window) == 3 * first
    assert other.second_moment(horizon, window) == 9 * second
    if horizon > window:  # planted fault: the full moments for the truncated ones
        assert closed.second_moment(horizon) != second


def test_printed_relative_variances() -> None:
    law = RandomCurvature(LAW[0], step_size=LAW[2])
    assert float(law.growth) == pytest.approx(1.6367928, abs=1e-7)
    printed = {1: 4.4161, 2: 3.8535, 3: 4.7554, 5: 9.7282, 8: 34.473, 10: 83.703, 20: 8837.19, 40: 1.412e8}
    # four digits or more are printed
    assert law.relative_variance(list(printed)) == pytest.approx(list(printed.values()), rel=1e-4, abs=0)
    ratios = law.relative_variance([400, 401]) / float(law.growth) ** np.array([400, 401])
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-4)  # c/(N ...) is left out: about 1/N^2 relative per step
    assert RandomCurvature([1, 1], step_size="1/2").growth == 1


def recursion(theta: mpmath.mpf, horizon: int, window: int) -> mpmath.mpf:
    """df(x_N)/deta at eta = 2 by running x and its tangent; f' = 2 x^3 - x, f'' = 6 x^2 - 1."""
    x, tangent = mpmath.cos(theta), mpmath.mpf(0)
    for t in range(horizon):
        tangent = mpmath.mpf(0) if t == horizon - window else tangent
        slope = 2 * x**3 - x
        tangent = tangent - slope - 2 * (6 * x**2 - 1) * tangent
        x = x - 2 * slope
    return (2 * x**3 - x) * tangent


@pytest.mark.parametrize(("theta", "horizon"), [("1", 24), ("7/3", 40), ("1/5", 13)])
def test_double_well_against_its_recursion_to_40_digits(theta: str, horizon: int) -> None:
    well = DoubleWellDescent(theta)
    with mpmath.workdps(40 + 2 * horizon):  # log10(27) < 2 digits are lost per step at most
        angle = mpmath.mpf(F(theta).numerator) / F(theta).denominator
        for window in (1, 2, 5, horizon):
            found = mpmath.mpf(well.meta_gradient(horizon, window, digits=40).mid().str(60, radius=False))
            wanted = recursion(angle, horizon, window)
            assert abs(found - wanted) <= abs(wanted) * mpmath.mpf(10) ** -40
        x, chain = mpmath.cos(angle), mpmath.mpf(1)
        for t in range(horizon):
            if t >= 3:
                chain *= 3 - 12 * x**2
            x = 3 * x - 4 * x**3
            assert abs(x) <= 1
        for ball, value in ((well.position(horizon, digits=40), x), (well.derivative(3, horizon, digits=40), chain)):
            assert abs(mpmath.mpf(ball.mid().str(60, radius=False)) - value) <= abs(value) * mpmath.mpf(10) ** -40


def test_printed_gradients_of_the_double_well() -> None:
    printed = {1: 0.05124, 2: 0.09084, 3: 0.12957, 4: -1.2798, 6: -5.057, 8: -204.2, 12: -36397, 24: -2.898e10}
    found = DoubleWellDescent(1).meta_gradient(24, list(printed), digits=10)
    assert [float(ball) for ball in found] == pytest.approx(list(printed.values()), rel=2e-4, abs=0)  # four digits
    # in float64 the recursion itself is lost: x_t is wrong in its first digit soon after 30 steps
    x, lost = math.cos(1.0), None
    for t in range(1, 60):
        x = 3 * x - 4 * x**3
        if lost is None and abs(x - float(DoubleWellDescent(1).position(t))) > 0.1:
            lost = t
    assert lost is not None
    assert 28 <= lost <= 40  # eps 3^t = 1 at t = 33


def test_second_moment_of_the_derivative_is_a_power_of_27() -> None:
    """E over the invariant law from the chain rule and the moments E cos^(2k) = C(2k,k)/4^k: no trigonometry."""
    x, derivative = [F(0), F(1)], [F(1)]
    for power in range(1, 5):
        square = _times(x, x)
        derivative = _times(derivative, _minus([F(3)], [12 * c for c in square]))
        x = _minus([3 * c for c in x], [4 * c for c in _times(square, x)])
        moments = [F(comb(k, k // 2), 2**k) if k % 2 == 0 else F(0) for k in range(2 * len(derivative))]
        mean = sum((c * moments[k] for k, c in enumerate(_times(derivative, derivative))), F(0))
        assert mean == 27**power
        assert mean != 28**power


def _times(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    out = [F(0)] * (len(a) + len(b) - 1)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            out[i + j] += u * v
    return out


def _minus(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    size = max(len(a), len(b))
    return [(a[k] if k < len(a) else F(0)) - (b[k] if k < len(b) else F(0)) for k in range(size)]


@pytest.mark.parametrize(("horizon", "window"), [(12, 12), (12, 5), (7, 3)])
def test_autograd_agrees(horizon: int, window: int) -> None:
    """torch on the quadratic and on the double well, x detached at the window's ends."""

    def differentiated(slope: object, loss: object, x: torch.Tensor, eta: float, final: bool) -> float:
        step = torch.tensor(eta, dtype=torch.float64, requires_grad=True)
        total = torch.zeros((), dtype=torch.float64)
        for t in range(horizon):
            if (t == horizon - window) if final else (t % window == 0):
                x = x.detach()
            x = x - step * slope(x)  # type: ignore[operator]
            total = loss(x) if final else total + loss(x)  # type: ignore[operator]
        return float(torch.autograd.grad(total, step)[0])

    lam = torch.tensor([1.0, 0.1], dtype=torch.float64)
    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    found = differentiated(lambda x: lam * x, lambda x: 0.5 * (lam * x * x).sum(), start, 0.7, False)
    assert found == pytest.approx(TruncatedDescent([1, 0.1], [1, 4]).meta_gradient(0.7, horizon, window), rel=1e-12)
    well = torch.tensor(math.cos(1.0), dtype=torch.float64)
    found = differentiated(lambda x: 2 * x**3 - x, lambda x: x**4 / 2 - x**2 / 2, well, 2.0, True)
    # rounding grows at most 9-fold per step, 3-fold typically: 3^12 eps = 1e-10
    assert found == pytest.approx(float(DoubleWellDescent(1).meta_gradient(horizon, window)), rel=1e-8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: last_steps_bias(2, 3, 4),
        lambda: last_steps_gradient(float("nan"), 4),
        lambda: truncation_bias_bound(-1, 3, 2),
        lambda: truncated_gradient_bound(1, 3, loss_slope=-1),
        lambda: RandomCurvature([], step_size=1),
        lambda: RandomCurvature([1, 2], [1], step_size=1),
        lambda: RandomCurvature([1, 2], [0.3, 0.3], step_size=1),
        lambda: RandomCurvature([1, 2], step_size=1, start=0),
        lambda: RandomCurvature([1], step_size=1).growth,
        lambda: RandomCurvature([1], step_size=1).relative_variance(3),
        lambda: RandomCurvature([1], step_size="1/2").mean(3, 4),
        lambda: DoubleWellDescent("pi"),
        lambda: DoubleWellDescent(1).meta_gradient(4, 5),
        lambda: DoubleWellDescent(1).derivative(5, 4),
        lambda: DoubleWellDescent(1).position(-1),
    ],
)
def test_bad_input_to_the_models_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
