"""Truncated meta-gradients: closed forms and floats against the recursion in Fractions, and an independent run."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unrolled_reference import unrolled, unrolled_loss

from l2o_theory.errors import InputError
from l2o_theory.quadratic import (
    TruncatedDescent,
    exploding_ratio,
    frozen_relative_bias,
    kept_steps,
    limiting_relative_bias,
    ramp_sum,
)

F = Fraction
# eigenvalues, start, step size: convergent, overshooting, with a residual of 0, of -1, of +1 (eta = 0), and divergent
INSTANCES = [
    ([F(1), F(1, 10)], [F(1), F(2)], F(1, 2)),
    ([F(2), F(1, 3), F(1, 7)], [F(1, 2), F(1), F(-2)], F(3, 4)),
    ([F(1), F(1, 4), F(1, 100)], [F(1), F(-1), F(3)], F(1)),
    ([F(2), F(1, 5)], [F(3, 2), F(1)], F(1)),
    ([F(1), F(1, 3)], [F(1), F(1)], F(0)),
    ([F(1), F(1, 50)], [F(1), F(1)], F(21, 10)),
]
HORIZONS = [(1, 1), (5, 2), (12, 1), (12, 5), (13, 4), (12, 12)]  # N, K: K divides N or not
NEAR = 1e-13  # float64: a dozen powers and a sum of 12 terms, cancellation below 10 in these instances


def squares(start: list[Fraction]) -> list[Fraction]:
    return [x * x for x in start]


@pytest.mark.parametrize(("eigenvalues", "start", "eta"), INSTANCES)
@pytest.mark.parametrize(("horizon", "window"), HORIZONS)
def test_all_routes_equal_the_recursion(
    eigenvalues: list[Fraction], start: list[Fraction], eta: Fraction, horizon: int, window: int
) -> None:
    descent = TruncatedDescent(eigenvalues, squares(start))
    full = unrolled(eigenvalues, start, eta, horizon, horizon)
    kept = unrolled(eigenvalues, start, eta, horizon, window)
    detached = unrolled(eigenvalues, start, eta, horizon, window, first_order=True)
    assert descent.meta_gradient(eta, horizon, digits="exact") == full
    assert descent.meta_gradient(eta, horizon, window, digits="exact") == kept
    assert descent.bias(eta, horizon, window, digits="exact") == full - kept
    assert descent.first_order(eta, horizon, window, digits="exact") == detached
    assert descent.relative_bias(eta, horizon, window, digits="exact") == 1 - kept / full
    assert descent.meta_loss(eta, horizon, digits="exact") == unrolled_loss(eigenvalues, start, eta, horizon)
    pairs = [
        (descent.meta_gradient(eta, horizon, window), kept),
        (descent.bias(eta, horizon, window), full - kept),
        (descent.first_order(eta, horizon, window), detached),
        (descent.relative_bias(eta, horizon, window), 1 - kept / full),
        (descent.meta_loss(eta, horizon), unrolled_loss(eigenvalues, start, eta, horizon)),
    ]
    for found, wanted in pairs:
        assert abs(F(found) - wanted) <= F(NEAR) * max(abs(wanted), abs(full) * (wanted == kept), F(1, 10**30))
    balls = [
        (descent.meta_gradient(eta, horizon, window, digits=25), kept),
        (descent.bias(eta, horizon, window, digits=25), full - kept),
        (descent.first_order(eta, horizon, window, digits=25), detached),
    ]
    for ball, wanted in balls:
        assert abs(midpoint(ball) - wanted) <= abs(wanted) / 10**25


def midpoint(ball: Any) -> Fraction:
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    return mantissa * F(2) ** exponent


@pytest.mark.parametrize("loss_weights", ["final", [F(0), F(3), F(1, 2), F(1), F(5)]])
def test_loss_weights_weigh_the_steps(loss_weights: object) -> None:
    eigenvalues, start, eta = INSTANCES[1]
    descent = TruncatedDescent(eigenvalues, squares(start), loss_weights)  # type: ignore[arg-type]
    weights = [F(0)] * 4 + [F(1)] if loss_weights == "final" else loss_weights
    for window in (1, 2, 3, 5):
        wanted = unrolled(eigenvalues, start, eta, 5, window, lambda t: weights[t - 1])  # type: ignore[index]
        assert descent.meta_gradient(eta, 5, window, digits="exact") == wanted
        assert descent.meta_gradient(eta, 5, window) == pytest.approx(float(wanted), rel=NEAR)
        detached = unrolled(eigenvalues, start, eta, 5, window, lambda t: weights[t - 1], True)  # type: ignore[index]
        assert descent.first_order(eta, 5, window, digits="exact") == detached


def test_the_comparison_catches_planted_faults() -> None:
    eigenvalues, start, eta = INSTANCES[1]
    descent, wanted = TruncatedDescent(eigenvalues, squares(start)), unrolled(eigenvalues, start, eta, 13, 4)
    assert descent.meta_gradient(eta, 13, 3, digits="exact") != wanted  # one step less
    assert descent.meta_gradient(eta, 12, 4, digits="exact") != wanted  # the incomplete last window dropped
    assert unrolled(eigenvalues, start, eta, 13, 4, first_order=True) != wanted  # gradients detached
    assert TruncatedDescent(eigenvalues, [*start[:2], F(2)]).meta_gradient(eta, 13, 4, digits="exact") != wanted
    assert abs(descent.meta_gradient(eta, 13, 4) * (1 + 1e-12) / float(wanted) - 1) > NEAR


def test_windows_and_steps_that_survive() -> None:
    assert [kept_steps(t, 3) for t in range(1, 8)] == [1, 2, 3, 1, 2, 3, 1]
    assert kept_steps(np.arange(1, 5)[:, None], [1, 4]).tolist() == [[1, 1], [1, 2], [1, 3], [1, 4]]
    for q in (F(1, 3), F(1), F(-2), F(3, 2)):
        assert ramp_sum(q, 6) == sum(r * q**r for r in range(1, 7))
        assert ramp_sum(float(q), 6) == pytest.approx(float(ramp_sum(q, 6)), rel=1e-15)  # six terms


# Those numbers have five or more digits, cut or rounded: one unit of the last place is allowed.
def test_printed_relative_biases() -> None:
    descent = TruncatedDescent([1], [1])
    assert descent.meta_gradient("1/10", 20) == pytest.approx(-23.16195528, abs=1e-8)
    printed = {1: 0.79851, 2: 0.70834, 5: 0.47886, 10: 0.21840, 15: 0.08469, 16: 0.06399, 19: 0.01347, 20: 0}
    assert descent.relative_bias("1/10", 20, list(printed)) == pytest.approx(list(printed.values()), abs=1e-5)
    descent = TruncatedDescent([1, "1/10"], [1, 4])
    assert descent.meta_gradient("1/2", 60) == pytest.approx(-4.828142791, abs=1e-9)
    printed = {1: 0.78136, 5: 0.59136, 10: 0.43985, 20: 0.22728, 30: 0.10642}
    assert descent.relative_bias("1/2", 60, list(printed)) == pytest.approx(list(printed.values()), abs=1e-5)


def test_printed_counterexamples_to_monotone_bias() -> None:
    final = TruncatedDescent([1], [1], "final")
    gradients = final.meta_gradient("1/10", 100, [50, 51, 99, 100])
    assert gradients[:3] / gradients[3] == pytest.approx([0.50, 0.49, 0.01], rel=1e-12)  # exact ratios
    wrong_sign = TruncatedDescent([2, "1/3", "1/7"], ["1/4", 1, 4]).relative_bias("3/4", 30, [1, 2])
    assert wrong_sign == pytest.approx([1.0898, 1.0174], abs=1e-4)
    divergent = TruncatedDescent([1, "1/50"], [1, 1]).relative_bias("21/10", 40, [10, 12])
    assert divergent == pytest.approx([0.8019, 0.8449], abs=1e-4)


TABLES = [
    (
        ([1, "1/50"], [1, 1], 100),
        {
            1: (1.00963, 1.0769),
            5: (1.02760, 1.0603),
            10: (1.04772, 1.0441),
            20: (1.08083, 1.0229),
            50: (1.13791, 1.0025),
        },
        {
            1: (1.00039, 1.0862),
            5: (1.00528, 1.0812),
            10: (1.01692, 1.0699),
            20: (1.04888, 1.0433),
            50: (1.12748, 1.0047),
        },
        (1.16538, 1.29865, 1.0629),
    ),
    (
        ([1, "1/50"], [1, 9], 200),
        {
            1: (1.08172, 1.2611),
            5: (1.19865, 1.1451),
            10: (1.29177, 1.0767),
            20: (1.39365, 1.0254),
            50: (1.49264, 1.0013),
        },
        {
            1: (1.00352, 1.3602),
            5: (1.04708, 1.3027),
            10: (1.14173, 1.1971),
            20: (1.31482, 1.0629),
            50: (1.48378, 1.0022),
        },
        (1.51944, 1.81521, 1.3532),
    ),
]


@pytest.mark.parametrize(("task", "windows", "horizons", "last"), TABLES)
def test_printed_tables_of_stationary_steps(
    task: tuple[list[object], list[int], int],
    windows: dict[int, tuple[float, float]],
    horizons: dict[int, tuple[float, float]],
    last: tuple[float, float, float],
) -> None:
    eigenvalues, weights, horizon = task
    descent = TruncatedDescent(eigenvalues, weights)  # type: ignore[arg-type]
    for size, (step, regret) in windows.items():
        found = descent.optimal_step_size(horizon, size)
        assert (found, descent.regret(found, horizon)) == (
            pytest.approx(step, abs=1e-5),
            pytest.approx(regret, abs=1e-4),
        )
    for size, (step, regret) in horizons.items():
        found = descent.optimal_step_size(size)
        assert (found, descent.regret(found, horizon)) == (
            pytest.approx(step, abs=1e-5),
            pytest.approx(regret, abs=1e-4),
        )
    assert descent.optimal_step_size(horizon) == pytest.approx(last[0], abs=1e-5)
    detached = descent.optimal_step_size(horizon, first_order=True)
    assert (detached, descent.regret(detached, horizon)) == (
        pytest.approx(last[1], abs=1e-5),
        pytest.approx(last[2], abs=1e-4),
    )


def test_the_bracket_of_a_root_has_certain_signs() -> None:
    descent = TruncatedDescent([1, "1/50"], [1, 1])
    low, high = descent.step_size_bracket(30, 7, digits=25)
    assert 0 < high - low <= high / 10**25
    assert (
        unrolled([F(1), F(1, 50)], [F(1), F(1)], low, 30, 7)
        < 0
        <= unrolled([F(1), F(1, 50)], [F(1), F(1)], high, 30, 7)
    )
    assert unrolled([F(1), F(1, 50)], [F(1), F(1)], high, 30, 8) < 0  # another window has another root
    assert TruncatedDescent([4], [1]).step_size_bracket(5) == (F(1, 4), F(1, 4))


def test_first_order_may_have_the_opposite_sign() -> None:
    descent = TruncatedDescent([1, "1/4", "1/100"], [1, 1, 9])
    assert descent.meta_gradient("3/2", 48) == pytest.approx(0.35302, abs=1e-5)
    assert descent.first_order("3/2", 48) == pytest.approx(-0.26221, abs=1e-5)


def test_long_and_divergent_runs_stay_relative() -> None:
    descent = TruncatedDescent([1, "1/50"], [1, 1])
    assert descent.meta_gradient("21/10", 8000) == np.inf
    # so large a horizon that only the growing coordinate counts: N (1 - relative bias) tends to the exploding ratio
    kept = 8000 * (1 - descent.relative_bias("21/10", 8000, 8))
    assert kept == pytest.approx(float(exploding_ratio(F(121, 100), 8)), rel=1e-3)  # N/(N - 1/(q-1)) = 1 + 6e-4
    assert float(descent.relative_bias("21/10", 2000, 8, digits=12)) == pytest.approx(
        descent.relative_bias("21/10", 2000, 8),
        rel=1e-11,  # 4000 roundings of the scale
    )
    tiny = TruncatedDescent([1], [1]).relative_bias("1/100000000", 50, 7)
    assert tiny == pytest.approx(float(frozen_relative_bias(50, 7)), abs=1e-6)  # q = 1 - 2e-8


def test_limits_of_the_relative_bias() -> None:
    q, root = F(4, 9), F(2, 3)
    for window in (1, 2, 5):
        exact = limiting_relative_bias(q, window)
        horizon = 60 * window
        near = TruncatedDescent([1], [1]).relative_bias(1 - root, horizon, window, digits="exact")
        assert abs(near - exact) < F(1, 10**9) * exact  # N q^N is left out: 60 (4/9)^60 = 4e-20
        assert limiting_relative_bias(float(q), [window])[0] == pytest.approx(float(exact), rel=1e-14)
    assert limiting_relative_bias(q, 1) == q
    assert frozen_relative_bias(12, 4) == 1 - F(5, 13)
    assert frozen_relative_bias(12, 5) == 1 - F(2 * 30 + 6, 156)
    assert frozen_relative_bias([12, 12], [4, 5]) == pytest.approx([1 - 5 / 13, 1 - 66 / 156], rel=1e-15)
    ratio = exploding_ratio(F(2), 30)
    assert ratio - (30 - 1) == pytest.approx(30 / (2**30 - 1), rel=1e-9)  # K - 1/(q-1) plus K/(q^K - 1), exactly


small = st.fractions(F(1, 20), F(1), max_denominator=20)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    pairs=st.lists(st.tuples(small, small), min_size=1, max_size=3),
    share=st.fractions(F(1, 50), F(49, 50), max_denominator=50),
    horizon=st.integers(1, 12),
)
def test_in_the_class_the_bias_falls_with_the_window(
    pairs: list[tuple[Fraction, Fraction]], share: Fraction, horizon: int
) -> None:
    eta = share / max(value for value, _ in pairs)
    descent = TruncatedDescent(*zip(*pairs, strict=True))
    biases = [descent.relative_bias(eta, horizon, window, digits="exact") for window in range(1, horizon + 1)]
    assert biases[-1] == 0
    assert all(0 <= after <= before < 1 for before, after in pairwise(biases))


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    pairs=st.lists(st.tuples(small, small), min_size=1, max_size=4),
    eta=st.fractions(F(1, 50), F(5), max_denominator=50),
    horizon=st.integers(1, 40),
    data=st.data(),
)
def test_floats_have_the_accuracy_of_their_terms(
    pairs: list[tuple[Fraction, Fraction]], eta: Fraction, horizon: int, data: st.DataObject
) -> None:
    window = data.draw(st.integers(1, horizon))
    descent = TruncatedDescent(*zip(*pairs, strict=True))
    exact = descent.meta_gradient(eta, horizon, window, digits="exact")
    size = sum(
        kept_steps(t, window) * value**2 * weight * abs(1 - eta * value) ** (2 * t - 1)
        for value, weight in pairs
        for t in range(1, horizon + 1)
    )
    # each term has a dozen roundings; where terms of both signs cancel, the error is that of the terms
    assert abs(F(descent.meta_gradient(eta, horizon, window)) - exact) <= F(1, 10**14) * size


def test_arguments_broadcast() -> None:
    descent = TruncatedDescent([1, "1/10"], [1, 4])
    table = descent.relative_bias(np.array([0.1, 0.5, 1.5])[:, None, None], np.array([20, 60])[:, None], [1, 5, 20])
    assert table.shape == (3, 2, 3)
    assert table[1, 1, 1] == descent.relative_bias(0.5, 60, 5)
    assert isinstance(descent.meta_gradient(0.5, 60), float)


@pytest.mark.parametrize(
    "call",
    [
        lambda: TruncatedDescent([1, 0], [1, 1]),
        lambda: TruncatedDescent([1], [1, 2]),
        lambda: TruncatedDescent([1], [1], "last"),
        lambda: TruncatedDescent([1], [1], [0, 0]),
        lambda: TruncatedDescent([1], [1]).meta_gradient(0.1, 5, 6),
        lambda: TruncatedDescent([1], [1]).meta_gradient(0.1, 5, 0),
        lambda: TruncatedDescent([1], [1]).meta_gradient(0.1, 5, 1.5),
        lambda: TruncatedDescent([1], [1]).meta_gradient(float("nan"), 5, 2),
        lambda: TruncatedDescent([1], [1]).meta_gradient("1/10", 5, 6, digits=10),
        lambda: TruncatedDescent([1], [1]).meta_gradient([0.1, 0.2], [5, 6, 7], 1),
        lambda: TruncatedDescent([1], [1]).meta_gradient(0.1, [5, 6], [1, 1, 1]),
        lambda: TruncatedDescent([1], [1], [1, 2]).meta_gradient(0.1, 3),
        lambda: TruncatedDescent([1, 2], [1, 1], [1, -2]).optimal_step_size(2),
        lambda: limiting_relative_bias(1, 3),
        lambda: exploding_ratio(F(1, 2), 3),
        lambda: frozen_relative_bias(3, 4),
        lambda: kept_steps(0, 4),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)


def test_a_first_order_root_lies_between_certain_signs() -> None:
    descent, task = TruncatedDescent([1, "1/50"], [1, 1]), ([F(1), F(1, 50)], [F(1), F(1)])
    low, high = descent.step_size_bracket(25, 7, first_order=True, digits=12)
    assert unrolled(*task, low, 25, 7, first_order=True) < 0 <= unrolled(*task, high, 25, 7, first_order=True)
    assert high != descent.step_size_bracket(25, 7, digits=12)[1]  # the exact order has another root
