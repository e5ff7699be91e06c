"""Shapes, grids by shared powers, and sweeps: the same numbers by another route."""

from __future__ import annotations

import numpy as np
import pytest
from slow_reference import call, reference

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic, sweep

HORIZONS = np.array([1, 2, 3, 7, 40, 200, 1000, 5000, 65536])
RNG = np.random.default_rng(3)
QUADRATICS = [Quadratic(10 ** RNG.uniform(-3, 0, d), RNG.random(d)) for d in (1, 2, 9, 60)]


def grid_of(quadratic: Quadratic) -> np.ndarray:
    best = quadratic.optimal_step_size(HORIZONS)
    largest = quadratic.smoothness
    return np.concatenate([best, best * (1 + 1e-7), np.array([0.0, -0.3, 0.5, 1.0, 2.0, 2.2, 9.0]) / largest])


@pytest.mark.parametrize("quantity", ["loss", "log_loss", "final", "log_final"])
@pytest.mark.parametrize("quadratic", QUADRATICS, ids=lambda quadratic: f"d={quadratic.eigenvalues.size}")
def test_a_grid_by_powers_equals_the_pairs_one_by_one(quadratic: Quadratic, quantity: str) -> None:
    etas = grid_of(quadratic)
    grid = call(quadratic, quantity, etas[:, None], HORIZONS)
    pairs = np.array([[call(quadratic, quantity, float(eta), int(t)) for t in HORIZONS] for eta in etas])
    # Each route promises 1e-10.
    np.testing.assert_allclose(grid, pairs, rtol=2e-10, atol=1e-300)


def test_the_grid_matches_the_reference_and_a_lost_square_would_not() -> None:
    quadratic, etas = QUADRATICS[2], np.array([0.4, 1.7, 2.3])
    grid = quadratic.meta_gradient(etas[:, None], HORIZONS[:7], "log_final")
    expected = np.array(
        [
            [float(reference(quadratic.eigenvalues, quadratic.weights, eta, int(t))["log_final"]) for t in HORIZONS[:7]]
            for eta in etas
        ]
    )
    np.testing.assert_allclose(grid, expected, rtol=1e-10)
    shifted = quadratic.meta_gradient(etas[:, None], HORIZONS[:7] + 1, "log_final")  # what one square too many gives
    assert np.max(np.abs(shifted / expected - 1)) > 1e-3


@pytest.mark.parametrize(
    ("sizes", "steps", "shape"),
    [
        (0.3, 5, ()),
        (np.full((4, 1), 0.3), [1, 2, 3], (4, 3)),
        ([0.1, 0.2, 0.3], [1, 2, 3], (3,)),
        (np.full((2, 1, 3), 0.1), np.array([[1], [2]]), (2, 2, 3)),
        (np.zeros(0), 5, (0,)),
        (["1/3", 0.5], [[5], [5], [4], [1], [9]], (5, 2)),
    ],
)
def test_shapes(sizes: object, steps: object, shape: tuple[int, ...]) -> None:
    for quantity in ("loss", "log_final", "log_curvature"):
        value = call(QUADRATICS[1], quantity, sizes, steps)
        assert np.shape(value) == shape
        assert isinstance(value, float if shape == () else np.ndarray)


def test_unsorted_and_repeated_horizons() -> None:
    horizons = [1000, 1, 40, 40, 7]
    values = QUADRATICS[2].log_loss(np.array([[0.7]]), horizons)[0]
    assert values == pytest.approx([QUADRATICS[2].log_loss(0.7, t) for t in horizons], rel=1e-12)


def test_integral_floats_and_numpy_integers_count_as_steps() -> None:
    quadratic = QUADRATICS[1]
    assert quadratic.loss(0.3, np.int32(7)) == quadratic.loss(0.3, 7.0) == quadratic.loss(0.3, 7)


def test_sweep_is_the_stack_of_the_methods() -> None:
    etas, horizons = np.linspace(0.1, 2.2, 5), [1, 2, 4, 8, 16]
    swept = sweep(QUADRATICS, etas, horizons, "meta_gradient", "log_final")
    assert swept.shape == (4, 5, 5)
    for index, quadratic in enumerate(QUADRATICS):
        for row, eta in enumerate(etas):
            single = [quadratic.meta_gradient(float(eta), t, "log_final") for t in horizons]
            np.testing.assert_allclose(swept[index, row], single, rtol=2e-10)
    assert sweep(QUADRATICS, ["1/3"], [5], "loss")[2, 0, 0] == pytest.approx(QUADRATICS[2].loss("1/3", 5), rel=1e-12)


def test_sweep_refuses_what_it_cannot_use() -> None:
    with pytest.raises(InputError, match="non-empty sequence"):
        sweep([], [0.1], [1])
    with pytest.raises(InputError, match="vectors"):
        sweep(QUADRATICS, 0.1, [1])
    with pytest.raises(InputError, match="name a method"):
        sweep(QUADRATICS, [0.1], [1], "gradient")  # type: ignore[arg-type]
