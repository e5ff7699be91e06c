"""The constructor's door, and laws that any correct analyzer obeys."""

# ruff: noqa: SIM300 - the rule takes the bounds B0..B3 and B for constants
from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from slow_reference import QUANTITIES, call

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic

EIGENVALUES, WEIGHTS = np.array([2.0, 1.25, 0.5]), np.array([0.25, 0.5, 0.125])
ETAS, STEPS = np.array([-0.3, 0.25, 0.75, 0.8, 1.5]), np.array([[1], [4], [300]])


@pytest.mark.parametrize(
    ("eigenvalues", "weights", "message"),
    [
        ([1.0, -2.0], [0.5, 0.5], r"eigenvalues\[1\] must be > 0, got -2.0"),
        ([1.0, 0.0], [0.5, 0.5], r"eigenvalues\[1\] must be > 0"),
        ([1.0, math.nan], [0.5, 0.5], r"eigenvalues\[1\] must be finite"),
        (np.array([1.0, math.inf]), [0.5, 0.5], r"eigenvalues\[1\] must be finite"),
        ([1.0, 2.0], [0.5, -0.5], r"weights\[1\] must be >= 0"),
        ([1.0, 2.0], np.array([0.5, math.nan]), r"weights\[1\] must be finite"),
        ([1.0, 2.0], [0.0, 0.0], "weights must not all be zero"),
        ([1.0, 2.0], [1.0], "equal length, got 2 and 1"),
        ([], [], "eigenvalues must not be empty"),
        (["1", "two"], [0.5, 0.5], r"eigenvalues\[1\] must be a rational"),
        (["1", "1/0"], [0.5, 0.5], r"eigenvalues\[1\] must be a rational"),
        ([1.0, True], [0.5, 0.5], r"eigenvalues\[1\] must be a number"),
        (np.array([True, True]), [0.5, 0.5], r"eigenvalues\[0\] must be a number"),
        ("12", [0.5, 0.5], "eigenvalues must be a sequence"),
        (3.0, [0.5], "eigenvalues must be a sequence"),
        (np.eye(2), [0.5, 0.5], "eigenvalues must be a vector"),
        (["1e400", "1"], [0.5, 0.5], r"eigenvalues\[0\] must lie in the range of float64"),
        (["1e-400", "1"], [0.5, 0.5], r"eigenvalues\[0\] must lie in the range of float64"),
    ],
)
def test_bad_spectra_are_refused(eigenvalues: object, weights: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Quadratic(eigenvalues, weights)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("steps", [0, -1, 1.5, math.nan, math.inf, True, "3", None, 2**60, [3, 0], [[1], [2, 3]]])
def test_bad_steps_are_refused(steps: object) -> None:
    quadratic = Quadratic(EIGENVALUES, WEIGHTS)
    for ask in (quadratic.loss, quadratic.meta_gradient, quadratic.log_abs_meta_gradient):
        with pytest.raises(InputError, match="steps must be"):
            ask(0.1, steps)
    with pytest.raises(InputError, match="steps must be"):
        quadratic.optimal_step_size(steps)
    with pytest.raises(InputError, match="steps must be"):
        quadratic.gradient_bounds(steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("eigenvalues", [{1, 2}, {1: 2}])
def test_unordered_collections_are_refused(eigenvalues: object) -> None:
    with pytest.raises(InputError, match="ordered sequence"):
        Quadratic(eigenvalues, [1, 1])


@pytest.mark.parametrize("step_size", [math.nan, math.inf, np.array([0.1, math.nan]), "x", True, None, [[0.1], []]])
def test_bad_step_sizes_are_refused(step_size: object) -> None:
    with pytest.raises(InputError, match="step_size must be"):
        Quadratic(EIGENVALUES, WEIGHTS).loss(step_size, 3)  # type: ignore[arg-type]


def test_other_bad_arguments_are_refused() -> None:
    quadratic = Quadratic(EIGENVALUES, WEIGHTS)
    with pytest.raises(InputError, match='"final" or "log_final"'):
        quadratic.meta_gradient(0.1, 3, "sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match='"final" or "log_final"'):
        quadratic.meta_curvature(0.1, 3, "sum")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must broadcast"):
        quadratic.loss([0.1, 0.2], [1, 2, 3])
    with pytest.raises(InputError, match="rescale"):
        quadratic.loss(1e300, 3)


@pytest.mark.parametrize(
    ("matrix", "start", "message"),
    [
        (np.ones((2, 3)), [1, 1], "square"),
        (np.eye(2), [1, 1, 1], "shape"),
        ([[1.0, 0.5], [0.4, 1.0]], [1, 1], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], [1, 1], "positive definite"),
        ([[1.0, 1.0], [1.0, 1.0]], [1, 1], "positive definite"),
        ([[1.0, math.nan], [math.nan, 1.0]], [1, 1], "finite"),
        (np.eye(2), [0, 0], "all be zero"),
        ([["a"]], [1], "arrays of real numbers"),
        ([[1j]], [1], "arrays of real numbers"),
    ],
)
def test_bad_matrices_are_refused(matrix: object, start: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Quadratic.from_matrix(matrix, start)


@pytest.mark.parametrize(
    "same",
    [
        lambda: Quadratic([2, "5/4", 0.5], [Fraction(1, 4), "0.5", 0.125]),
        lambda: Quadratic(EIGENVALUES[::-1], WEIGHTS[::-1]),
        lambda: Quadratic([2.0, 1.25, 0.5, 2.0], [0.125, 0.5, 0.125, 0.125]),
        lambda: Quadratic([9.0, 2.0, 1.25, 0.5, 1e-3], [0.0, 0.25, 0.5, 0.125, 0.0]),
        lambda: Quadratic(EIGENVALUES.astype(np.float32), WEIGHTS.tolist()),
    ],
    ids=["other number types", "permuted", "split eigenvalue", "inactive extremes", "float32"],
)
def test_the_same_problem_said_differently(same: Callable[[], Quadratic]) -> None:
    quadratic, other = Quadratic(EIGENVALUES, WEIGHTS), same()
    assert quadratic == other
    assert hash(quadratic) == hash(other)
    assert (other.smoothness, other.strong_convexity) == (2.0, 0.5)
    for quantity in QUANTITIES:
        np.testing.assert_allclose(
            call(other, quantity, ETAS, STEPS), call(quadratic, quantity, ETAS, STEPS), rtol=1e-12
        )
    assert other.optimal_step_size(7) == pytest.approx(quadratic.optimal_step_size(7), rel=1e-14)
    assert other.gradient_bounds(7).B3 == pytest.approx(quadratic.gradient_bounds(7).B3, rel=1e-14)


@pytest.mark.parametrize("scale", [4.0, 0.3])
def test_scaling_laws(scale: float) -> None:
    """With l -> s l and eta -> eta / s: F scales by s, F' by s^2, F'' by s^3, G' by s, G'' by s^2."""
    quadratic, scaled = Quadratic(EIGENVALUES, WEIGHTS), Quadratic(scale * EIGENVALUES, WEIGHTS)
    powers = {"loss": 1, "final": 2, "curvature": 3, "log_final": 1, "log_curvature": 2}
    for quantity, power in powers.items():
        here, there = call(quadratic, quantity, ETAS, STEPS), call(scaled, quantity, ETAS / scale, STEPS)
        # Rounding eta / s moves the value by t u, and near eta* and zeros of G'' by more.
        np.testing.assert_allclose(there, scale**power * here, rtol=1e-10)
        assert not np.allclose(there, scale ** (power + 1) * here, rtol=1e-3)
    assert scaled.optimal_step_size(9) == pytest.approx(quadratic.optimal_step_size(9) / scale, rel=1e-14)
    assert scaled.gradient_bounds(9).B2 == pytest.approx(scale * quadratic.gradient_bounds(9).B2, rel=1e-13)
    assert scaled.log_step_bound(9) == pytest.approx(quadratic.log_step_bound(9), rel=1e-13)


def test_scaling_weights_shifts_the_logarithm_only() -> None:
    quadratic, heavier = Quadratic(EIGENVALUES, WEIGHTS), Quadratic(EIGENVALUES, 8 * WEIGHTS)
    shift = heavier.log_loss(ETAS, STEPS) - quadratic.log_loss(ETAS, STEPS)
    np.testing.assert_allclose(shift, math.log(8), rtol=1e-11)
    for quantity in ("log_final", "log_curvature"):
        np.testing.assert_allclose(call(heavier, quantity, ETAS, STEPS), call(quadratic, quantity, ETAS, STEPS), 1e-12)


def test_from_matrix_agrees_with_its_spectrum_and_forgets_rotations() -> None:
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix = basis @ np.diag(EIGENVALUES) @ basis.T
    quadratic = Quadratic.from_matrix((matrix + matrix.T) / 2, basis @ np.sqrt(WEIGHTS))
    np.testing.assert_allclose(
        quadratic.loss(ETAS, STEPS), Quadratic(EIGENVALUES, WEIGHTS).loss(ETAS, STEPS), rtol=1e-9
    )


def test_from_matrix_does_not_make_noise_an_active_eigenvalue() -> None:
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    matrix = basis @ np.diag([5.0, 4.0, 3.0, 2.0, 1.0, 0.5]) @ basis.T
    quadratic = Quadratic.from_matrix((matrix + matrix.T) / 2, basis[:, 1] + basis[:, 3])
    assert len(quadratic.active) == 2
    # eigh is accurate to a few dozen roundings; with noise of 1e-31 kept at eigenvalue 5 the optimum would be 0.363
    assert quadratic.optimal_step_size(1000) == pytest.approx(
        Quadratic([4, 2], [1, 1]).optimal_step_size(1000), rel=1e-13
    )
    assert Quadratic.from_matrix(np.diag([2.0, 1.0]), [1e-100, 1.0]).smoothness == 2.0  # a diagonal is read exactly


def test_values_are_frozen_and_the_caller_keeps_his_arrays() -> None:
    eigenvalues = EIGENVALUES.copy()
    quadratic = Quadratic(eigenvalues, WEIGHTS)
    eigenvalues[0] = 99.0
    assert quadratic.smoothness == 2.0
    with pytest.raises(ValueError, match="read-only"):
        quadratic.eigenvalues[0] = 5.0
    with pytest.raises(AttributeError):
        quadratic.spectrum = None  # type: ignore[assignment,misc]
    assert repr(Quadratic([1], [2])) == "Quadratic(eigenvalues=[1.0], weights=[2.0])"
