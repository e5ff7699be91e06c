from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import marchenko_pastur as reference
import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares import limit
from l2o_theory.least_squares.limit import nodes_of_descent, semicircle_rule

RATIOS = (0.01, 0.5, 0.999, 1, 1.05, 2, 20)


def near(value: Any, wanted: Any, relative: float = 1e-11) -> bool:
    """1e-11: a thousand times tighter than the promised 1e-8, a thousand times looser than the rounding seen."""
    return bool(abs(mpmath.mpf(value) - wanted) <= relative * abs(wanted))


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_risk_and_train_loss_against_adaptive_quadrature(ratio: float, steps: int) -> None:
    noise = 0.7
    case = limit(ratio, noise, steps)
    for fraction in (0.02, 0.5, 1.1, 1.95):  # of 1/b: both signs of 1 - eta x, up to the edge of stability
        eta = fraction / case.largest_eigenvalue
        with mpmath.workdps(45):  # the smallest value here is about 1e-24
            wanted_risk = reference.risk(ratio, noise, steps, mpmath.mpf(eta))
            wanted_loss = reference.train_loss(ratio, noise, steps, mpmath.mpf(eta))
        assert near(case.risk(eta), wanted_risk)
        assert near(case.train_loss(eta), wanted_loss)
        # planted: a little more noise, and at a small step size one step too many
        assert not near(limit(ratio, 0.701, steps).train_loss(eta), wanted_loss, 1e-6)
        assert fraction > 0.1 or not near(limit(ratio, noise, steps + 1).risk(eta), wanted_risk, 1e-6)
        assert case.validation_loss(eta) == pytest.approx((float(wanted_risk) + noise**2) / 2, rel=1e-11)
        assert case.test_rmse(eta) == pytest.approx(math.sqrt(float(wanted_risk) + noise**2), rel=1e-11)
        assert case.train_rmse(eta) == pytest.approx(math.sqrt(2 * float(wanted_loss)), rel=1e-11)


@pytest.mark.parametrize(("numerator", "denominator"), [(1, 2), (1, 1), (2, 1), (9, 4)])
@pytest.mark.parametrize("steps", [1, 2, 10, 40, 200])
def test_train_loss_without_noise_is_a_catalan_number(numerator: int, denominator: int, steps: int) -> None:
    g = Fraction(numerator, denominator)
    closed = (g / (1 + g) ** 2) ** steps * Fraction(math.comb(2 * steps, steps), steps + 1) / 2
    value = limit(g, 0, steps).train_loss(1 / (1 + g))
    # exact up to the rounding of 1 - eta x, amplified 2t times: at t = 200 about 1e-13
    assert value == pytest.approx(float(closed), abs=0, rel=2e-12)
    next_one = (g / (1 + g) ** 2) ** steps * Fraction(math.comb(2 * steps + 2, steps + 1), steps + 2) / 2
    assert value != pytest.approx(float(next_one), abs=0, rel=1e-3)


@pytest.mark.parametrize("steps", [1000, 30_000])
def test_long_runs_need_few_nodes(steps: int) -> None:
    g = 1.0  # beta = 1: the Catalan form does not underflow
    nodes = nodes_of_descent(steps)
    assert nodes < steps
    with mpmath.workdps(40):
        wanted = mpmath.mpf(4) ** -steps * mpmath.binomial(2 * steps, steps) / (steps + 1) / 2
    assert near(limit(g, 0, steps).train_loss(0.5), wanted, 1e-9)  # 2t roundings: 6e4 * 1e-16 and some slack
    atoms, masses, _ = semicircle_rule(np.array([g]), nodes // 3)  # planted: a third of the nodes
    assert not near(0.5 * np.sum(masses * atoms * (1 - 0.5 * atoms) ** (2 * steps)), wanted, 1e-6)


@pytest.mark.parametrize("ratio", RATIOS)
def test_rule_has_the_moments_and_the_mass_of_the_law(ratio: float) -> None:
    atoms, masses, defect = semicircle_rule(np.array([float(ratio)]), 9)
    assert np.sum(masses) + defect[0] == pytest.approx(min(1, 1 / ratio), rel=1e-14)
    assert np.sum(masses * atoms) == pytest.approx(1, rel=1e-14)
    assert np.sum(masses * atoms**2) == pytest.approx(1 + ratio, rel=1e-14)
    assert np.all(defect >= 0)
    if 0.5 <= ratio <= 2:  # planted: without the atom at 0 the mass is visibly short
        assert np.sum(masses) != pytest.approx(min(1, 1 / ratio), rel=1e-6)


def test_train_step_sizes_of_an_independent_computation() -> None:
    noises = [0.5, 1, 2]
    assert limit(2, noises, 40).best_train_step_size() == pytest.approx([0.32917, 0.33091, 0.33233], abs=5e-6)
    assert limit(2, noises, 1).best_train_step_size() == pytest.approx([0.28, 5 / 17, 11 / 35], rel=1e-13)
    longest = limit([0.3, 1, 2, 7], 1, 10**6).best_train_step_size()
    assert longest == pytest.approx(1 / (1 + np.array([0.3, 1, 2, 7])), rel=1e-4)  # distance O(1/t)


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1, 2, 20])
@pytest.mark.parametrize("steps", [1, 4, 40])
def test_train_step_size_is_the_zero_of_the_slope(ratio: float, steps: int) -> None:
    eta, kappa = limit(ratio, 0.7, steps).best_train_step_size(), mpmath.mpf(0.7) ** 2 * ratio

    def slope(place: float) -> Any:
        place = mpmath.mpf(place)
        return reference.integral(lambda x: -x * (x + kappa) * (1 - place * x) ** (2 * steps - 1), ratio)

    with mpmath.workdps(75):  # at d/n = 0.01 and t = 40 the slope is about 1e-60
        assert slope(eta * (1 - 1e-11)) < 0 < slope(eta * (1 + 1e-11))


def test_single_step_closed_forms() -> None:
    ratio, noise = np.array([[0.5], [2], [4]]), np.array([2.5, 4])
    kappa = ratio * noise**2
    case = limit(ratio, noise, 1)
    # moments of dmu: 1, 1 + g, 1 + 3g + g^2
    wanted = (1 + ratio + kappa) / (1 + 3 * ratio + ratio**2 + kappa * (1 + ratio))
    assert case.best_train_step_size() == pytest.approx(wanted, rel=1e-13)
    assert case.best_risk_step_size() == pytest.approx(1 / (1 + ratio + kappa), rel=1e-12)
    assert np.all(case.best_risk().is_interior)


def test_edge_minimum_is_reported() -> None:
    case = limit(0.5, 0.5, 1)  # the parabola's vertex 1/(1 + g + kappa) = 0.615 lies beyond 1/b = 0.343
    best = case.best_risk()
    assert not best.is_interior
    assert best.step_size == pytest.approx(1 / case.largest_eigenvalue, rel=1e-15)
    assert best.risk == case.risk(best.step_size) < case.risk(best.step_size * 0.999)
    assert limit(2, 0, 40).best_risk().is_interior is False  # no noise: early stopping never pays
    mixed = limit(0.5, [0.5, 3], 1).best_risk()
    assert mixed.is_interior.tolist() == [False, True]


def test_second_minimum_for_even_steps_is_not_taken() -> None:
    case = limit(0.01, 3, 2)
    best = case.best_risk()
    assert best.step_size == pytest.approx(0.7313, abs=5e-5)
    assert best.risk == pytest.approx(0.0844, abs=5e-5)
    places = np.linspace(0.5, 1.4, 9001)
    values = case.risk(places)
    minima = places[1:-1][(values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])]
    assert minima == pytest.approx([0.7313, 1.1790], abs=1e-4)
    assert case.risk(1.1790) == pytest.approx(0.0879, abs=5e-5)
    odd = limit(0.01, 3, 3).risk(places)
    assert np.sum((odd[1:-1] < odd[:-2]) & (odd[1:-1] < odd[2:])) == 1


@pytest.mark.parametrize("ratio", [0.01, 0.5, 1, 1.3, 4, 50])
@pytest.mark.parametrize("steps", [1, 2, 3, 40])
def test_best_risk_is_the_global_minimum_of_a_dense_scan(ratio: float, steps: int) -> None:
    for noise in (0.01, 0.5, 3, 30):
        case = limit(ratio, noise, steps)
        best, edge = case.best_risk(), 1 / case.largest_eigenvalue
        scan = edge * np.geomspace(1e-6, 1, 4001)
        assert best.risk <= np.min(case.risk(scan)) * (1 + 1e-14)
        assert 0 < best.step_size <= edge * (1 + 1e-15)
        assert case.risk(best.step_size * 0.99) > best.risk


def test_gradient_flow_optima_of_an_independent_computation() -> None:
    noises = [0.5, 1, 2, 4]
    wanted = {
        2: [1.11858, 0.348255, 0.107992, 0.029914],
        4: [0.486799, 0.174357, 0.054883, 0.015056],
        Fraction(4, 3): [1.81098, 0.518077, 0.159380, 0.044579],
        0.5: [4.00437, 1.23705, 0.392542, 0.115163],
    }
    for ratio, times in wanted.items():
        case = limit(ratio, noises, 1)
        best = case.gradient_flow_optimum()
        assert best == pytest.approx(times, rel=2e-5)
        kappa, low, high = float(ratio) * np.array(noises) ** 2, case.smallest_eigenvalue, case.largest_eigenvalue
        assert np.all(np.log1p(high / kappa) / high <= best)
        assert np.all(best <= np.log1p(low / kappa) / low)
    assert math.isinf(limit(2, 0, 1).gradient_flow_optimum())


@pytest.mark.parametrize(("ratio", "noise"), [(1, 0.1), (2, 1), (0.3, 0.2)])
def test_gradient_flow_risk_against_adaptive_quadrature(ratio: float, noise: float) -> None:
    case = limit(ratio, noise, 1)
    best = case.gradient_flow_optimum()
    for time in (0.3 * best, best, 2.0 * best):
        assert near(case.gradient_flow_risk(time), reference.flow_risk(ratio, noise, mpmath.mpf(time)))
    assert case.gradient_flow_risk(best) < min(case.gradient_flow_risk(best * np.array([0.999, 1.001])))


def test_validation_step_size_times_steps_rises_to_the_flow() -> None:
    case = limit(2, 1, [10, 40, 400])
    scaled = case.best_risk_step_size() * case.steps
    assert scaled == pytest.approx([0.33384, 0.34464, 0.34789], abs=5e-6)
    assert np.all(np.diff(scaled) > 0)
    assert scaled[-1] < limit(2, 1, 1).gradient_flow_optimum()


def test_erm_and_ridge_risks() -> None:
    assert limit([2, 4], 1.5, 1).erm_risk() == pytest.approx([1 - 0.5 + 2.25, 1 - 0.25 + 2.25 / 3], rel=1e-14)
    assert limit(0.5, 1.5, 1).erm_risk() == pytest.approx(2.25, rel=1e-14)
    assert math.isinf(limit(1, 0.1, 1).erm_risk())
    assert limit([0.5, 1, 2], 0, 1).erm_risk().tolist() == [0, 0, 0.5]
    assert limit(2, 1, 40).risk(limit(2, 1, 40).best_train_step_size()) == pytest.approx(1.5, abs=0.05)
    assert limit(2, 1, 4000).risk(1 / 3) == pytest.approx(1.5, rel=1e-12)
    assert math.isfinite(limit(1, 1, 40).best_risk().risk)
    for ratio in (0.5, 1, 2, 20):
        for noise in (0.1, 1, 5):
            kappa = mpmath.mpf(noise) ** 2 * ratio
            wanted = reference.integral(lambda x, kappa=kappa: kappa / (kappa + x), ratio)
            case = limit(ratio, noise, 40)
            assert near(case.ridge_risk(), wanted)
            assert case.ridge_risk() < case.best_risk().risk
    assert limit([0.5, 2], 0, 1).ridge_risk() == pytest.approx([0, 0.5], abs=1e-15)


def test_early_stopping_is_close_to_ridge() -> None:
    ratios, noises = np.array([[0.5], [4 / 3], [2], [4]]), [0.5, 1, 2, 4]
    case = limit(ratios, noises, 1)
    gap = case.gradient_flow_risk(case.gradient_flow_optimum()) - case.ridge_risk()
    assert np.all(gap > 0)
    expected = np.ones(gap.shape, dtype=bool)
    expected[0, 1] = False  # g = 1/2, sigma = 1: the one exception, .4232 against .4142
    assert (gap < 0.008).tolist() == expected.tolist()
    assert case.ridge_risk()[0, 1] == pytest.approx(0.4142, abs=5e-5)
    assert case.ridge_risk()[0, 1] + gap[0, 1] == pytest.approx(0.4232, abs=5e-5)


def test_guaranteed_gain_holds_and_is_not_vacuous() -> None:
    ratio, noise = np.array([0.01, 0.5, 1, 2, 50])[:, None, None], np.array([0, 0.1, 1, 5, 100])[:, None]
    case = limit(ratio, noise, [1, 2, 3, 40, 1000])
    bound = case.guaranteed_risk()
    reached = case.risk(case.guaranteed_step_size())
    assert np.all(reached <= bound * (1 + 1e-14))
    assert np.all(case.best_risk().risk <= reached * (1 + 1e-14))
    gain = 1 - bound  # planted: four times the gain is more than gradient descent can give somewhere
    assert np.any(case.best_risk().risk > 1 - 4 * gain)


def test_train_loss_has_a_floor_when_samples_outnumber_dimensions() -> None:
    case = limit(0.25, 2, 400)
    assert case.train_loss(case.best_train_step_size()) == pytest.approx(2**2 * 0.75 / 2, rel=1e-12)
    assert limit(4, 2, 4000).train_loss(1 / 5) < 1e-300


def test_risk_keeps_its_digits_near_ratio_one() -> None:
    values = limit(1 + np.array([-1e-9, 0, 1e-9]), 0.7, 40).risk(0.1)
    slope = (limit(1.001, 0.7, 40).risk(0.1) - limit(0.999, 0.7, 40).risk(0.1)) / 0.002
    assert values[2] - values[0] == pytest.approx(2e-9 * slope, rel=1e-4)  # 1e-16/2e-9 of rounding, and curvature


def test_norm_stays_far_from_the_freeze_rule() -> None:
    case = limit([[4 / 3], [2], [4]], [1, 4], 40)
    for eta in (case.best_train_step_size(), case.best_risk_step_size()):
        assert np.all(case.expected_norm2(eta) <= 1 + case.noise**2 / (case.ratio - 1))
        assert np.all(case.expected_norm2(eta) < 1600 * case.noise**2 / 100)
    with mpmath.workdps(30):
        wanted = reference.integral(lambda x: (1 - (1 - x / 10) ** 40) ** 2 * (1 + 2 / x) if x else mpmath.mpf(0), 2)
    assert near(limit(2, 1, 40).expected_norm2(0.1), wanted)


def test_published_table() -> None:
    rows = {
        (500, 0.25): (0.3162, 0.0046, 0.7897, 0.03162, 0.1753, 0.7967),
        (500, 0.5): (0.3162, 0.0067, 0.9973, 0.01, 0.4902, 0.9705),
        (500, 1): (0.3162, 0.0117, 1.5742, 0.005623, 0.8909, 1.3406),
        (500, 2): (0.3162, 0.0226, 2.9005, 0.001, 2.0544, 2.2226),
        (500, 4): (0.3162, 0.0447, 5.6702, 0.0003162, 4.0184, 4.1207),
        (1000, 1): (0.3162, 0.3369, 1.7332, 0.01, 0.9177, 1.2858),
        (2000, 1): (0.5623, 0.7072, 1.4031, 0.01778, 0.9288, 1.2083),
        (4000, 1): (0.5623, 0.8660, 1.1547, 0.03162, 0.9328, 1.1232),
        (8000, 1): (0.5623, 0.9354, 1.0690, 0.05623, 0.9464, 1.0615),
    }
    grid = 10.0 ** (-6 + np.arange(25) / 4)
    for (samples, noise), row in rows.items():
        whole, part = limit(1000 / samples, noise, 40), limit(2000 / samples, noise, 40)
        train, validation = grid[np.argmin(whole.train_loss(grid))], grid[np.argmin(part.validation_loss(grid))]
        found = [f(eta) for eta in (train, validation) for f in (lambda e: e, whole.train_rmse, whole.test_rmse)]
        assert found[0::3] == pytest.approx(row[0::3], rel=2e-4)
        assert found[1:3] + found[4:6] == pytest.approx(row[1:3] + row[4:6], abs=5.1e-5)  # printed to 4 decimals
        assert whole.test_rmse(train) != pytest.approx(part.test_rmse(train), abs=5e-4)  # planted: half the samples


def test_divergence_is_flagged_and_overflow_is_infinite() -> None:
    case = limit(2, 1, 40)
    edge = 2 / case.largest_eigenvalue
    assert case.diverges([edge * 0.999, edge * 1.001]).tolist() == [False, True]
    assert case.diverges(0.1) is False
    assert limit(2, 1, 10**4).risk(1.0) == math.inf == limit(2, 1, 10**4).train_loss(1.0)
    assert np.all(np.diff(limit(2, 1, [40, 80, 160]).risk(edge * 1.01)) > 0)


def test_zero_step_size_learns_nothing() -> None:
    case = limit([0.5, 2], 1.5, 7)
    assert case.risk(0) == pytest.approx([1, 1], rel=1e-14)
    assert case.train_loss(0) == pytest.approx([(1 + 2.25) / 2] * 2, rel=1e-14)
    assert case.expected_norm2(0).tolist() == [0, 0]


def test_arguments_broadcast() -> None:
    case = limit(np.array([0.5, 1, 2])[:, None, None], np.array([0.5, 2])[:, None], [1, 40])
    values = case.risk(0.1)
    assert values.shape == (3, 2, 2) == case.best_risk_step_size().shape == case.gradient_flow_optimum().shape
    for place in np.ndindex(3, 2, 2):
        alone = limit([0.5, 1, 2][place[0]], [0.5, 2][place[1]], [1, 40][place[2]])
        assert alone.risk(0.1) == pytest.approx(values[place], rel=1e-13)  # other numbers of nodes: other rounding
        assert alone.best_train_step_size() == pytest.approx(case.best_train_step_size()[place], rel=1e-12)
    curve = case.risk(np.geomspace(1e-3, 0.3, 5)[:, None, None, None])
    assert curve.shape == (5, 3, 2, 2)
    assert isinstance(limit(2, 1, 40).risk(0.1), float)
    assert limit("2", Fraction(1, 2), 40).risk("1/10") == limit(2, 0.5, 40).risk(0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: limit(0, 1, 40),
        lambda: limit(-1, 1, 40),
        lambda: limit(float("nan"), 1, 40),
        lambda: limit(np.array([1.0, np.inf]), 1, 40),
        lambda: limit(2, -1, 40),
        lambda: limit(2, "one", 40),
        lambda: limit(2, [[1], [2, 3]], 40),
        lambda: limit(2, True, 40),
        lambda: limit(2, 1, 0),
        lambda: limit(2, 1, 1.5),
        lambda: limit([1, 2], [1, 2, 3], 40),
        lambda: limit(2, 1, 40).risk(-0.1),
        lambda: limit(2, 1, 40).risk(float("nan")),
        lambda: limit(2, [1, 2], 40).risk([0.1, 0.2, 0.3]),
        lambda: limit(2, 1, 40).diverges(-1),
        lambda: limit(2, 1, 40).gradient_flow_risk(-1),
        lambda: limit("1e400", 1, 1),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any) -> None:
    with pytest.raises(InputError) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_long_flows_have_nodes_enough() -> None:
    # d/n = 1: INT exp(-2sx) dmu -> 1/sqrt(2 pi s), from the density x^(-1/2)/pi at 0
    case = limit(1, 0, 1)
    for time in (1e4, 1e6):
        assert case.gradient_flow_risk(time) == pytest.approx(1 / math.sqrt(2 * math.pi * time), rel=1 / time)
    times = limit([1, 1, 2], [0, 0.01, 0.01], 1).gradient_flow_optimum()
    assert times[0] == math.inf
    assert times[1:] == pytest.approx([limit(g, 0.01, 1).gradient_flow_optimum() for g in (1, 2)], rel=1e-14)
    with pytest.raises(InputError, match="time"):
        case.gradient_flow_risk(1e12)
    with pytest.raises(InputError, match="noise"):
        limit(1, 1e-6, 1).gradient_flow_optimum()
