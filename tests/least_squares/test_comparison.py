"""Predictions against a table of an earlier, independent computation, and the measurement against them."""

from __future__ import annotations

import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.comparison import halves, measure, predict, published_grid
from l2o_theory.least_squares.outcome import Protocol

# n, sigma; train-by-train: step size, train RMSE, test RMSE; train-by-validation: the same [derived here, d -> inf]
TABLE = [
    (500, 0.25, (0.3162, 0.0046, 0.7897), (0.03162, 0.1753, 0.7967)),
    (500, 0.5, (0.3162, 0.0067, 0.9973), (0.01, 0.4902, 0.9705)),
    (500, 1, (0.3162, 0.0117, 1.5742), (0.005623, 0.8909, 1.3406)),
    (500, 2, (0.3162, 0.0226, 2.9005), (0.001, 2.0544, 2.2226)),
    (500, 4, (0.3162, 0.0447, 5.6702), (0.0003162, 4.0184, 4.1207)),
    (1000, 1, (0.3162, 0.3369, 1.7332), (0.01, 0.9177, 1.2858)),
    (2000, 1, (0.5623, 0.7072, 1.4031), (0.01778, 0.9288, 1.2083)),
    (4000, 1, (0.5623, 0.8660, 1.1547), (0.03162, 0.9328, 1.1232)),
    (8000, 1, (0.5623, 0.9354, 1.0690), (0.05623, 0.9464, 1.0615)),
]


@pytest.mark.parametrize(("samples", "noise", "by_train", "by_validation"), TABLE)
def test_an_independent_table(samples: int, noise: float, by_train: tuple, by_validation: tuple) -> None:
    predicted = predict(Protocol(1000, samples, noise, 40, halves(samples)), published_grid())
    for choice, (step_size, train, test) in ((predicted.by_train, by_train), (predicted.by_validation, by_validation)):
        # four digits are printed
        assert choice.step_size == pytest.approx(step_size, rel=2e-4)
        assert choice.train == pytest.approx(train, abs=5.1e-5)
        assert choice.test == pytest.approx(test, abs=5.1e-5)
    # planted fault: one step fewer is another table
    other = predict(Protocol(1000, samples, noise, 39, halves(samples)), published_grid())
    assert other.by_validation.train != pytest.approx(by_validation[1], abs=5.1e-5)


def test_the_reduced_sampler_keeps_to_the_prediction_when_it_breaks_down_early() -> None:
    """n = 8 d: the Krylov space is exhausted, to rounding, well before 40 steps."""
    protocol = Protocol(200, 1600, 1.0, 40, (800, 800))
    (found,) = measure([protocol], published_grid(), tasks=30, tests=30, seed=0, sampler="reduced")
    predicted = predict(protocol, published_grid())
    # 1 percent: five standard errors of 30 tasks
    assert found.by_train.test == pytest.approx(predicted.by_train.test, rel=0.01)
    assert found.by_validation.test == pytest.approx(predicted.by_validation.test, rel=0.01)


def test_one_sweep_serves_all_horizons() -> None:
    protocols = [Protocol(30, 20, 1.0, steps, (10, 10)) for steps in (3, 8)]
    together = measure(protocols, (0.05, 0.2), tasks=4, tests=3, seed=2)
    for protocol, outcome in zip(protocols, together, strict=True):
        (alone,) = measure([protocol], (0.05, 0.2), tasks=4, tests=3, seed=2)
        # 1e-9: a longer Krylov space rounds differently
        assert alone.by_train.test == pytest.approx(outcome.by_train.test, rel=1e-9)
        assert alone.validation_curve == pytest.approx(outcome.validation_curve, rel=1e-9)
    with pytest.raises(InputError, match="nothing but steps"):
        measure([protocols[0], Protocol(30, 20, 2.0, 8, (10, 10))], (0.05,), tasks=2, tests=2, seed=0)
    with pytest.raises(InputError, match="nothing but steps"):
        measure([], (0.05,), tasks=2, tests=2, seed=0)


@pytest.mark.parametrize("grid", [(), (0.0, 0.1), (float("nan"),), (float("inf"),)])
def test_a_grid_of_positive_step_sizes_is_needed(grid: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="step sizes"):
        predict(Protocol(30, 20, 1.0, 3, (10, 10)), grid)
