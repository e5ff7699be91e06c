"""Trajectories against exact rational arithmetic, and the freeze rule."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.tasks import Task, TaskDistribution, stream
from l2o_theory.least_squares.trajectories import gradient_descent, stochastic_gradient_descent

FEATURES = [[1, 2], [Fraction(-1, 2), 1], [3, Fraction(1, 4)]]
LABELS = [1, Fraction(-3, 2), 2]


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(
        np.array(FEATURES, dtype=float), np.array(LABELS, dtype=float), np.array([0.6, 0.8]), 1.0, np.array([0.8, 0.6])
    )


def exact_step(weights: list[Fraction], rows: list[int], eta: Fraction, share: Fraction) -> list[Fraction]:
    errors = [LABELS[i] - sum(x * w for x, w in zip(FEATURES[i], weights, strict=True)) for i in rows]
    moves = [share * sum(e * FEATURES[i][j] for e, i in zip(errors, rows, strict=True)) for j in range(2)]
    return [w + eta * move for w, move in zip(weights, moves, strict=True)]


def test_gradient_descent_is_exact_up_to_rounding(task: Task) -> None:
    weights, eta = [Fraction(0), Fraction(0)], Fraction(1, 8)
    found = gradient_descent(task, 0.125, 6).weights
    for row in found[1:]:
        weights = exact_step(weights, [0, 1, 2], eta, Fraction(1, 3))
        np.testing.assert_allclose(row, [float(w) for w in weights], rtol=1e-14)  # 6 steps of a few roundings each
    forgotten = exact_step([Fraction(0)] * 2, [0, 1, 2], eta, Fraction(1))  # the planted fault: a sum for a mean
    assert not np.allclose(found[1], [float(w) for w in forgotten])


def test_stochastic_gradient_descent_follows_its_stream(task: Task) -> None:
    rows = stream("sgd", 5, 2).integers(3, size=7).tolist()
    assert len(set(rows)) > 1
    weights, eta = [Fraction(0), Fraction(0)], Fraction(1, 8)
    found = stochastic_gradient_descent(task, 0.125, 7, seed=5, index=2).weights
    for step, row in enumerate(rows):
        weights = exact_step(weights, [row], eta, Fraction(1))
        np.testing.assert_allclose(found[step + 1], [float(w) for w in weights], rtol=1e-13)  # 7 steps
    assert not np.allclose(found, stochastic_gradient_descent(task, 0.125, 7, seed=5, index=3).weights)


def test_samples_are_drawn_with_replacement_and_evenly() -> None:
    task = TaskDistribution(2, 1.0).task(4)
    rows = stream("sgd", 0, 0).integers(task.samples, size=4000)
    counts = np.bincount(rows, minlength=4)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(4000 * 3 / 16)  # 5 standard errors of a binomial count


def test_the_freeze_rule() -> None:
    task = TaskDistribution(10, 0.01).task(5, seed=1)  # radius 0.4: reached by a run that is harmless
    free = gradient_descent(task, 0.3, 30, freeze=None)
    norms = np.linalg.norm(free.weights, axis=1)
    first = int(np.argmax(norms >= 0.4))
    assert 1 < first < 30
    frozen = gradient_descent(task, 0.3, 30)
    assert frozen.frozen_at == first
    np.testing.assert_array_equal(frozen.weights[:first], free.weights[:first])
    np.testing.assert_array_equal(frozen.weights[first:], np.tile(0.4 * task.direction, (31 - first, 1)))
    assert free.frozen_at is None
    assert gradient_descent(task, 0.3, first - 1).frozen_at is None


def test_divergence_is_said() -> None:
    task = TaskDistribution(3, 1.0).task(6, seed=1)
    assert gradient_descent(task, 1e6, 100, freeze=None).diverged
    assert not gradient_descent(task, 1e6, 100).diverged
    assert gradient_descent(task, 1e6, 100).frozen_at == 1
    assert not gradient_descent(task, 0.1, 100, freeze=None).diverged


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step_size": 0.0}, "step_size must be a positive finite number, got 0.0"),
        ({"step_size": float("nan")}, "step_size must be"),
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"freeze": -1.0}, "freeze must be a positive number or None"),
        ({"freeze": float("nan")}, "freeze must be a positive number or None"),
    ],
)
@pytest.mark.parametrize("run", [gradient_descent, stochastic_gradient_descent])
def test_bad_input_is_refused(run: object, options: dict[str, float], words: str) -> None:
    task = TaskDistribution(3, 1.0).task(6)
    with pytest.raises(InputError, match=words):
        run(task, **({"step_size": 0.1, "steps": 3} | options))  # type: ignore[operator]


def test_the_freeze_rule_needs_noise() -> None:
    task = TaskDistribution(3, 0.0).task(6)
    with pytest.raises(InputError, match="switch it off with freeze=None"):
        gradient_descent(task, 0.1, 3)
    assert gradient_descent(task, 0.1, 3, freeze=None).frozen_at is None
