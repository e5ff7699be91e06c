"""Heavy ball against the plain recursion in rationals, Chebyshev polynomials of the second kind, and plain descent."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.quadratic.analyzer import Quadratic
from l2o_theory.quadratic.heavy_ball import HeavyBall

EIGENVALUES = [Fraction(1), Fraction(3, 10), Fraction(1, 100)]
WEIGHTS = [Fraction(1, 5), Fraction(3, 10), Fraction(1, 2)]
CASES = [
    (Fraction(3, 10), Fraction(1, 2), 1),
    (Fraction(1, 2), Fraction(1, 2), 2),
    (Fraction(9, 10), Fraction(9, 10), 37),
    (Fraction(19, 10), Fraction(1, 10), 60),
    (Fraction(37, 10), Fraction(19, 20), 50),
    (Fraction(5), Fraction(3, 10), 40),  # diverging
    (Fraction(1, 100), Fraction(0), 25),
    (Fraction(1), Fraction(0), 9),  # 1 - eta l = 0 exactly
    (Fraction(1, 4), Fraction(1, 4), 30),  # double root at eigenvalue 1: (1+b-eta l)^2 = 4b
    (Fraction(1, 2), Fraction(-1, 3), 12),
    (Fraction(-1, 5), Fraction(2), 8),
]
NEAR = 1e-12  # t <= 60 steps, a few roundings each, cancellation near a root of p_t below a factor 100 in these cases


def recursion(eta: Fraction, b: Fraction, steps: int) -> tuple[Fraction, Fraction, Fraction]:
    """F, dF/deta, dF/db by the iteration of the module docstring and its tangents, in rationals."""
    loss = in_eta = in_b = Fraction(0)
    for eigenvalue, weight in zip(EIGENVALUES, WEIGHTS, strict=True):
        old = now = Fraction(1)
        old_eta = now_eta = old_b = now_b = Fraction(0)
        for _ in range(steps):
            a = 1 + b - eta * eigenvalue
            tangents = a * now_eta - b * old_eta - eigenvalue * now, a * now_b - b * old_b + now - old
            old, now = now, a * now - b * old
            old_eta, now_eta, old_b, now_b = now_eta, tangents[0], now_b, tangents[1]
        loss += weight * eigenvalue * now**2 / 2
        in_eta += weight * eigenvalue * now * now_eta
        in_b += weight * eigenvalue * now * now_b
    return loss, in_eta, in_b


def near(found: float, exact: Fraction) -> bool:
    return abs(Fraction(float(found)) - exact) <= NEAR * abs(exact)


@pytest.fixture(scope="module")
def heavy_ball() -> HeavyBall:
    return HeavyBall(EIGENVALUES, WEIGHTS)


@pytest.mark.parametrize(("eta", "b", "steps"), CASES)
def test_floats_agree_with_the_recursion(heavy_ball: HeavyBall, eta: Fraction, b: Fraction, steps: int) -> None:
    # the floats nearest to the inputs differ from them: the reference takes the very same floats
    eta, b = Fraction(float(eta)), Fraction(float(b))
    loss, in_eta, in_b = recursion(eta, b, steps)
    assert near(heavy_ball.loss(float(eta), float(b), steps), loss)
    assert near(heavy_ball.gradient(float(eta), float(b), steps)[0], in_eta)
    assert near(heavy_ball.gradient(float(eta), float(b), steps)[1], in_b)
    if loss:
        assert heavy_ball.log_loss(float(eta), float(b), steps) == pytest.approx(math.log(loss), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("eta", "b", "steps"), CASES)
def test_balls_agree_with_the_recursion(heavy_ball: HeavyBall, eta: Fraction, b: Fraction, steps: int) -> None:
    found = heavy_ball.loss(eta, b, steps, digits=30), *heavy_ball.gradient(eta, b, steps, digits=30)
    with mpmath.workdps(50):
        for ball, exact in zip(found, recursion(eta, b, steps), strict=True):
            wanted = mpmath.mpf(exact.numerator) / exact.denominator
            value = mpmath.mpf(ball.mid().str(45, radius=False))
            assert abs(value - wanted) <= abs(wanted) * mpmath.mpf(10) ** -30


def test_the_comparison_catches_planted_faults(heavy_ball: HeavyBall) -> None:
    eta, b, steps = CASES[2]
    loss, in_eta, in_b = recursion(Fraction(float(eta)), Fraction(float(b)), steps)
    found = heavy_ball.gradient(float(eta), float(b), steps)
    assert not near(found[1], in_eta)
    assert not near(-found[1], in_b)
    assert not near(found[0] * (1 + 1e-10), in_eta)
    assert not near(heavy_ball.loss(float(eta), float(b), steps + 1), loss)
    # w_{-1} = 0 instead of w_{-1} = w_0, the other convention, is another number
    other = Fraction(0)
    for eigenvalue, weight in zip(EIGENVALUES, WEIGHTS, strict=True):
        old, now = Fraction(0), Fraction(1)
        for _ in range(steps):
            old, now = now, (1 + b - eta * eigenvalue) * now - b * old
        other += weight * eigenvalue * now**2 / 2
    assert not near(heavy_ball.loss(float(eta), float(b), steps), other)


@pytest.mark.parametrize(("eta", "b", "steps"), [("3/10", "1/2", 7), ("7/2", "9/10", 64), ("1/50", "4/5", 300)])
def test_closed_form_in_chebyshev_polynomials(heavy_ball: HeavyBall, eta: str, b: str, steps: int) -> None:
    # p_t = b^(t/2) [U_t(z) - sqrt(b) U_{t-1}(z)], z = (1+b-eta l)/(2 sqrt b)
    with mpmath.workdps(60):
        step, momentum = (mpmath.mpf(Fraction(v).numerator) / Fraction(v).denominator for v in (eta, b))
        root = mpmath.sqrt(momentum)
        wanted = mpmath.mpf(0)
        for value, weight in zip(EIGENVALUES, WEIGHTS, strict=True):
            eigenvalue = mpmath.mpf(value.numerator) / value.denominator
            z = (1 + momentum - step * eigenvalue) / (2 * root)
            p = root**steps * (mpmath.chebyu(steps, z) - root * mpmath.chebyu(steps - 1, z))
            wanted += mpmath.mpf(weight.numerator) / weight.denominator * eigenvalue * p**2 / 2
        ball = heavy_ball.loss(eta, b, steps, digits=30)
        assert abs(mpmath.mpf(ball.mid().str(40, radius=False)) - wanted) < wanted * mpmath.mpf(10) ** -28


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0, 2.5, -0.3])
@pytest.mark.parametrize("steps", [1, 2, 11, 200])
def test_without_momentum_it_is_plain_descent(heavy_ball: HeavyBall, eta: float, steps: int) -> None:
    plain = Quadratic(EIGENVALUES, WEIGHTS)
    # one rounding of r, doubled with every squaring: 2 t u
    room = 10 * steps * 2.3e-16
    assert heavy_ball.loss(eta, 0, steps) == pytest.approx(plain.loss(eta, steps), abs=0, rel=room)
    assert heavy_ball.gradient(eta, 0, steps)[0] == pytest.approx(plain.meta_gradient(eta, steps), abs=0, rel=room * 10)
    assert heavy_ball.loss(eta, 0.01, steps) != plain.loss(eta, steps) or (steps == 1 or eta == 0)


def test_first_step_does_not_feel_the_momentum(heavy_ball: HeavyBall) -> None:
    # w_{-1} = w_0: the first momentum term vanishes
    assert heavy_ball.loss(0.4, 0.9, 1) == pytest.approx(heavy_ball.loss(0.4, 0.0, 1), abs=0, rel=1e-15)
    assert abs(heavy_ball.gradient(0.4, 0.9, 1)[1]) < 1e-16
    assert heavy_ball.gradient("2/5", "9/10", 1, digits=10)[1] == 0


def test_a_billion_steps_against_the_roots_of_the_characteristic_polynomial() -> None:
    steps = 10**9
    for eta, b in [("1/10", "9/10"), ("1/1000", "1/2"), ("39/10", "99/100")]:
        ball = HeavyBall([1], [1]).log_loss(eta, b, steps, digits=20)
        with mpmath.workdps(60):
            step, momentum = (mpmath.mpf(Fraction(v).numerator) / Fraction(v).denominator for v in (eta, b))
            half = (1 + momentum - step) / 2
            root = mpmath.sqrt(mpmath.mpc(half * half - momentum))
            first, second = half + root, half - root
            # p_t = A first^t + B second^t with p_0 = p_{-1} = 1
            a = first * (1 - second) / (first - second)
            rest = 1 - a
            log_p = steps * mpmath.log(first) + mpmath.log(a + rest * mpmath.exp(steps * mpmath.log(second / first)))
            wanted = 2 * mpmath.re(log_p) - mpmath.log(2)
            assert abs(mpmath.mpf(ball.mid().str(40, radius=False)) - wanted) < abs(wanted) * mpmath.mpf(10) ** -20
        # floats: t roundings of a, relative to t log|root| the error is u / |log|root||
        assert HeavyBall([1], [1]).log_loss(eta, b, steps) == pytest.approx(float(wanted), abs=0, rel=1e-12)


def test_beyond_the_float_range_values_are_infinite_or_zero_with_the_right_sign(heavy_ball: HeavyBall) -> None:
    assert heavy_ball.loss(7.0, 0.9, 10**9) == math.inf
    assert heavy_ball.gradient(7.0, 0.9, 10**9)[0] == math.inf
    assert heavy_ball.gradient(7.0, 0.9, 10**9)[1] == -math.inf
    assert heavy_ball.loss(0.5, 0.5, 10**6) == 0.0
    assert math.isfinite(heavy_ball.log_loss(7.0, 0.9, 10**9))


def test_two_global_minimisers_of_the_smallest_example() -> None:
    single = HeavyBall([1], [1])
    for eta in ("1/2", "2"):
        assert single.loss(eta, "1/2", 2, digits=10) == 0
        assert single.gradient(eta, "1/2", 2, digits=10)[0] == 0
    assert np.array_equal(single.loss([0.5, 2.0], 0.5, 2), [0.0, 0.0])
    # between two zeros the loss is positive: not convex, unlike plain descent (b = 0, planted as the contrast)
    assert single.loss("5/4", "1/2", 2, digits=10) > 0
    middle, ends = single.loss(1.25, 0.5, 2), single.loss(np.array([0.5, 2.0]), 0.5, 2)
    assert middle > ends.mean()
    assert single.loss(1.25, 0.0, 2) <= single.loss(np.array([0.5, 2.0]), 0.0, 2).mean()


def test_zeros_at_a_non_dyadic_root_are_exact() -> None:
    # eigenvalue 1/3: the roots of p_2 move to 3/2 and 6, which balls alone cannot show to be zeros
    single = HeavyBall(["1/3"], ["1/7"])
    assert single.loss("3/2", "1/2", 2, digits=10) == 0
    assert single.log_loss(6, "1/2", 2, digits=10) < -1e300
    assert single.loss("3/2", "51/100", 2, digits=10) > 0


def minima_of(losses: np.ndarray) -> int:
    return int(np.sum((losses[1:-1] < losses[:-2]) & (losses[1:-1] < losses[2:])))


def test_five_local_minima() -> None:
    spectrum = ["1", "1/10"], ["1/2", "1/2"]
    etas = np.linspace(0.001, 30, 60001)
    momentum, plain = (HeavyBall(*spectrum).loss(etas, b, 5) for b in (0.5, 0.0))
    assert minima_of(momentum) == 5
    assert minima_of(plain) == 1
    # the derivative changes sign from - to + exactly as often
    slopes = np.sign(HeavyBall(*spectrum).gradient(etas, 0.5, 5)[0])
    assert int(np.sum((slopes[:-1] < 0) & (slopes[1:] > 0))) == 5


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_t_steps_have_t_zeros(steps: int) -> None:
    # p_t has degree t in eta; its zeros are simple and positive for one eigenvalue and b = 1/2
    etas = np.linspace(0.0, 3.2, 32002)
    losses = HeavyBall([1], [2]).loss(etas, 0.5, steps)
    assert minima_of(losses) == steps


def test_stability_is_the_spectral_radius_of_the_block() -> None:
    rng = np.random.default_rng(5)
    verdicts = []
    for _ in range(300):
        eta, b = rng.uniform(-0.5, 5), rng.uniform(-1.2, 1.2)
        radius = max(
            max(abs(np.linalg.eigvals(np.array([[1 + b - eta * value, -b], [1, 0]])))) for value in (1.0, 0.25)
        )
        if abs(radius - 1) > 1e-9:
            verdicts.append(HeavyBall([1, 0.25], [1, 1]).is_stable(eta, b))
            assert verdicts[-1] == (radius < 1)
    assert 30 < sum(verdicts) < 270  # both answers occur


def test_stability_at_the_edge_is_decided_exactly() -> None:
    single = HeavyBall([1], [1])
    assert not single.is_stable(3, "1/2")
    assert single.is_stable("2999999999999999999/1000000000000000000", "1/2")
    assert not single.is_stable(0, "1/2")
    assert not single.is_stable(1, 1)
    # an eigenvalue without weight does not count
    assert HeavyBall([100, 1], [0, 1]).is_stable(1, "1/2")


def test_arguments_broadcast(heavy_ball: HeavyBall) -> None:
    etas, momenta = np.array([0.1, 0.5, 1.0])[:, None], np.array([0.0, 0.9])
    losses, gradient = heavy_ball.loss(etas, momenta, 13), heavy_ball.gradient(etas, momenta, 13)
    assert losses.shape == gradient[0].shape == gradient[1].shape == (3, 2)
    assert losses[2, 1] == heavy_ball.loss(1.0, 0.9, 13)
    assert gradient[1][1, 0] == heavy_ball.gradient(0.5, 0.0, 13)[1]
    assert isinstance(heavy_ball.loss(0.5, 0.5, 3), float)


def test_a_hidden_zero_at_a_huge_horizon_is_reported_not_invented() -> None:
    # eta = 0 keeps w_t = w_0 for ever, so dF/db is exactly 0; at t = 10^9 no exact route is affordable
    with pytest.raises(PrecisionError):
        HeavyBall(["1/3"], [1]).gradient(0, "1/3", 10**9, digits=5)
    assert HeavyBall(["1/3"], [1]).gradient(0, "1/3", 100, digits=5)[1] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: HeavyBall([], []),
        lambda: HeavyBall([1, -2], [1, 1]),
        lambda: HeavyBall([1], [1]).loss(0.1, float("inf"), 3),
        lambda: HeavyBall([1], [1]).loss(float("nan"), 0.5, 3),
        lambda: HeavyBall([1], [1]).loss(0.1, "half", 3),
        lambda: HeavyBall([1], [1]).loss(0.1, 0.5, 0),
        lambda: HeavyBall([1], [1]).gradient(0.1, 0.5, 2.5),  # type: ignore[arg-type]
        lambda: HeavyBall([1], [1]).gradient(0.1, 0.5, 2, digits=-1),
        lambda: HeavyBall([1], [1]).loss([0.1, 0.2], [0.1, 0.2, 0.3], 2),
        lambda: HeavyBall([1], [1]).is_stable("x", 0),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
