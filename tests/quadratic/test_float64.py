"""Float64 values against 60-digit references, in every regime where floats are known to go wrong."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from slow_reference import QUANTITIES, call, reference

from l2o_theory.quadratic import Quadratic

WIDE = (10.0 ** np.array([0.0, -0.5, -1.3, -2.2, -3.1, -4.0]), np.array([1e-6, 0.1, 0.2, 0.3, 0.2, 0.2]))
SPECTRA = {
    "wide": WIDE,
    "clustered": (np.array([1.5, 1.2, 1.0, 0.9, 0.5]), np.array([0.3, 0.1, 0.2, 0.3, 0.1])),
    "nearly equal": (np.array([1.0, 0.999]), np.array([0.5, 0.5])),
    "repeated and inactive": (np.array([7.0, 2.0, 2.0, 1.0, 0.3]), np.array([0.0, 0.25, 0.25, 0.5, 0.0])),
    "unbalanced": (np.array([5.0, 1.0]), np.array([1e-6, 1 - 1e-6])),
    "close pair below": (np.array([110.0, 1.746e-3, 1.652e-3, 1.652e-3 * (1 + 1e-9)]), np.array([0.65, 0.5, 0.1, 0.3])),
    "large": (np.array([6.2e7, 3.1e4, 2.0]), np.array([40.0, 2.0, 1e3])),
}
# The promise is 1e-10: 1e-14 times a cancellation of up to 1e4, beyond which balls take over.
PROMISED = 1e-10


def step_sizes(eigenvalues: np.ndarray, weights: np.ndarray, steps: int) -> np.ndarray:
    """Both sides of 2/L, every kink, the tie of the two extreme exponents, the optimum, negative and huge."""
    active = eigenvalues[weights > 0]
    largest, smallest = active.max(), active.min()
    tie, best = 2 / (largest + smallest), Quadratic(eigenvalues, weights).optimal_step_size(steps)
    special = [tie, tie * (1 + 1e-9), 2 / largest, 1.999 / largest, 2.1 / largest, 50 / largest, 1e-9 / largest]
    special += [0.0, -0.3 / largest, best, best * (1 - 1e-12), best * (1 + 1e-5), *(1 / active)]
    return np.array(special)


def worst_error(values: np.ndarray, references: list) -> float:
    """Largest relative error, over entries whose reference lies inside the float range."""
    errors = [
        float(abs((value - expected) / expected)) if expected else float(value != 0)
        for value, expected in zip(values.tolist(), references, strict=True)
        if expected == 0 or 1e-290 < abs(expected) < 1e290
    ]
    return max(errors, default=0.0)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 200, 1000, 10**6, 10**9])
def test_every_quantity_matches_the_60_digit_reference(name: str, steps: int) -> None:
    eigenvalues, weights = SPECTRA[name]
    quadratic, etas = Quadratic(eigenvalues, weights), step_sizes(eigenvalues, weights, steps)
    expected = [reference(eigenvalues, weights, eta, steps) for eta in etas]
    for quantity in QUANTITIES:
        values = call(quadratic, quantity, etas, steps)
        assert worst_error(values, [entry[quantity] for entry in expected]) < PROMISED, quantity


@pytest.mark.parametrize(
    "fault", ["dropped sign of the odd power", "exponent 2t instead of 2t-1", "one eigenvalue lost"]
)
def test_the_comparison_catches_planted_faults(fault: str) -> None:
    eigenvalues, weights, steps = *SPECTRA["nearly equal"], 1000
    etas = np.array([2 / 1.999, 0.7, 2.1])
    r = 1 - etas[:, None] * eigenvalues
    faulty = {
        "dropped sign of the odd power": np.abs(r) ** (2 * steps - 1),
        "exponent 2t instead of 2t-1": r ** (2 * steps),
        "one eigenvalue lost": r ** (2 * steps - 1) * [1, 0],
    }[fault]
    values = -steps * (faulty * weights * eigenvalues**2).sum(axis=1)
    expected = [reference(eigenvalues, weights, eta, steps)["final"] for eta in etas]
    assert worst_error(values, expected) > PROMISED


@pytest.mark.parametrize("seed", range(12))
def test_random_problems(seed: int) -> None:
    rng = np.random.default_rng(seed)
    eigenvalues, weights = 10 ** rng.uniform(-4, 0, 6), 10 ** rng.uniform(-8, 0, 6)
    steps = int(rng.choice([1, 5, 40, 1000]))
    largest = eigenvalues.max()
    etas = np.concatenate([rng.uniform(-1, 4, 6) / largest, 1 / eigenvalues * (1 + 1e-3 * rng.normal(size=6))])
    expected = [reference(eigenvalues, weights, eta, steps) for eta in etas]
    for quantity in QUANTITIES:
        values = call(Quadratic(eigenvalues, weights), quantity, etas, steps)
        assert worst_error(values, [entry[quantity] for entry in expected]) < PROMISED, quantity


def test_logarithms_stay_finite_where_values_leave_the_float_range() -> None:
    quadratic = Quadratic([1.0, 0.999], [0.5, 0.5])
    for eta, value in ((2 / 1.999, 0.0), (2.5, math.inf)):
        expected = reference([1.0, 0.999], [0.5, 0.5], eta, 10**9)
        assert quadratic.loss(eta, 10**9) == value
        assert abs(quadratic.meta_gradient(eta, 10**9)) == value
        sign, size = quadratic.log_abs_meta_gradient(eta, 10**9)
        assert sign == float(np.sign(float(expected["log_final"])))
        assert size == pytest.approx(float(mpmath.log(abs(expected["final"]))), rel=1e-13)
        assert quadratic.log_loss(eta, 10**9) == pytest.approx(float(expected["log_loss"]), rel=1e-13)


def test_overflow_keeps_the_sign() -> None:
    quadratic = Quadratic([1.0, 0.5], [0.5, 0.5])
    assert quadratic.meta_gradient(-3.0, 10**6) == -math.inf
    assert quadratic.meta_gradient(9.0, 10**6) == math.inf


def test_one_eigenvalue_hit_exactly_leaves_nothing() -> None:
    quadratic = Quadratic([2.0, 2.0, 9.0], [0.5, 0.5, 0.0])
    assert quadratic.loss(0.5, 3) == 0
    assert quadratic.log_loss(0.5, [1, 7]).tolist() == [-math.inf, -math.inf]
    assert quadratic.meta_gradient(0.5, 3) == 0
    assert math.isnan(quadratic.meta_gradient(0.5, 3, "log_final"))
    assert math.isnan(quadratic.meta_curvature(0.5, 1, "log_final"))
    # 0^0 = 1 at t = 1: F'' = sum c^2 l^3
    assert quadratic.meta_curvature(0.5, [1, 2, 10**9]) == pytest.approx([8.0, 0.0, 0.0], rel=1e-14, abs=0)
    assert quadratic.log_abs_meta_gradient(0.5, 3) == (0.0, -math.inf)


def test_meta_gradient_at_zero_does_not_depend_on_steps() -> None:
    quadratic = Quadratic([3.0, 1.0], [0.25, 0.75])
    expected = -2 * (0.25 * 9 + 0.75) / (0.25 * 3 + 0.75)
    assert quadratic.meta_gradient(0.0, [1, 10, 10**9], "log_final") == pytest.approx([expected] * 3, rel=1e-14)


def test_eta_times_slope_tends_to_two() -> None:
    assert 1e12 * Quadratic([3.0, 1.0], [0.25, 0.75]).meta_gradient(1e12, 10**9, "log_final") == pytest.approx(2, 1e-11)


def test_text_is_exact_where_its_rounding_would_matter() -> None:
    # At the tie of the exponents of (1, 0.999) and t = 10^9, G' from the rounded 0.999 is off by a factor of two.
    exact = Quadratic(["1", "0.999"], ["1/2", "1/2"]).meta_gradient("2000/1999", 10**9, "log_final")
    assert exact == pytest.approx(3.998, rel=1e-13)
    rounded = Quadratic([1.0, 0.999], [0.5, 0.5]).meta_gradient(2000 / 1999, 10**9, "log_final")
    assert abs(rounded / exact - 1) > 0.2


@pytest.mark.parametrize(
    ("eigenvalues", "weights"),
    [
        ([1e80, 1.0, 1e-80], [1e-300, 1.0, 1e250]),
        ([4e128, 4e-57], [0.2, 0.02]),
        ([1.0, 0.5, 0.2], [1e-140, 1.0, 1.0]),
        ([1e15, 1.0, 1e-14], [1e-70, 1.0, 1e40]),  # the widest that the float route keeps to itself
    ],
)
@pytest.mark.parametrize("steps", [2, 10**6])
def test_weights_and_eigenvalues_over_hundreds_of_decades(eigenvalues: list, weights: list, steps: int) -> None:
    etas = np.array([1 / eigenvalues[0], 0.7, 2 / sum(eigenvalues), 1 / eigenvalues[-1]])
    expected = [reference(eigenvalues, weights, eta, steps) for eta in etas]
    for quantity in QUANTITIES:
        values = call(Quadratic(eigenvalues, weights), quantity, etas, steps)
        assert worst_error(values, [entry[quantity] for entry in expected]) < PROMISED, quantity
