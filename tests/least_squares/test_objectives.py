"""Meta-objectives against loops over plain gradient descent, and the searches for their minimisers."""

from __future__ import annotations

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.objectives import (
    best_step_size,
    minimising_step_size,
    train_by_train,
    train_by_validation,
)
from l2o_theory.least_squares.tasks import Task, TaskDistribution
from l2o_theory.least_squares.trajectories import gradient_descent

GRID = np.geomspace(1e-3, 1, 13)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return list(TaskDistribution(30, 1.0).tasks(20, 4, seed=6))


def by_hand(tasks: list[Task], train: slice, measured: slice, eta: float, steps: int) -> float:
    losses = []
    for task in tasks:
        part = Task(task.features[train], task.labels[train], task.w_star, task.noise, task.direction)
        w = gradient_descent(part, eta, steps).weights[steps]
        losses.append(np.mean((task.labels[measured] - task.features[measured] @ w) ** 2) / 2)
    return float(np.mean(losses))


def test_both_objectives_match_a_loop(tasks: list[Task]) -> None:
    for objective, train, measured in (
        (train_by_train(20), slice(0, 20), slice(0, 20)),
        (train_by_train(15), slice(0, 15), slice(0, 15)),
        (train_by_validation(12, 8), slice(0, 12), slice(12, 20)),
    ):
        means = objective.mean(tasks, GRID, [1, 6])
        assert objective.losses(tasks, GRID, [1, 6]).shape == (4, 13, 2)
        for i in (0, 6, 12):
            for j, steps in enumerate((1, 6)):
                assert means[i, j] == pytest.approx(by_hand(tasks, train, measured, GRID[i], steps), rel=1e-9)
    # the planted fault: validating on the samples trained on
    assert not np.allclose(means[6, 1], by_hand(tasks, slice(0, 12), slice(0, 12), GRID[6], 6), rtol=1e-3)


def test_the_best_step_size_of_a_grid(tasks: list[Task]) -> None:
    means = [by_hand(tasks, slice(0, 20), slice(0, 20), eta, 6) for eta in GRID]
    found = best_step_size(lambda sizes: train_by_train(20).mean(tasks, sizes, [6])[:, 0], GRID)
    assert found == GRID[int(np.argmin(means))]
    assert best_step_size(lambda sizes: np.zeros(len(sizes)), [0.3, 0.1, 0.2]) == 0.3
    assert best_step_size(lambda sizes: np.where(sizes > 0.2, np.nan, -sizes), [0.1, 0.2, 0.3]) == 0.2


def test_continuous_minimisation(tasks: list[Task]) -> None:
    def objective(sizes: np.ndarray) -> np.ndarray:
        return train_by_validation(12, 8).mean(tasks, sizes, [6])[:, 0]

    found = minimising_step_size(objective, GRID)
    fine = found * (1 + np.linspace(-1e-3, 1e-3, 2001))
    # an eps relative error of the value is a sqrt(eps) error of its minimiser
    assert found == pytest.approx(fine[int(np.argmin(objective(fine)))], rel=2e-6)
    assert minimising_step_size(lambda s: (np.log(s) - np.log(0.0123)) ** 2, GRID) == pytest.approx(0.0123, rel=1e-7)
    assert minimising_step_size(lambda s: s, GRID) == pytest.approx(GRID[0], rel=1e-6)  # stays inside at an end


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda t: train_by_train(0), "samples must be a whole number >= 1"),
        (lambda t: train_by_validation(3, 0), "n2 must be a whole number >= 1"),
        (lambda t: train_by_train(21).mean(t, GRID, [1]), "at most the 20 of the task, got 21"),
        (lambda t: train_by_validation(12, 9).mean(t, GRID, [1]), r"at most the 20 samples, got 12 \+ 9"),
        (lambda t: train_by_train(20).mean([], GRID, [1]), "tasks must hold at least one task"),
        (lambda t: train_by_train(20).mean(t, [], [1]), "step_sizes must be a non-empty vector"),
        (lambda t: train_by_train(20).mean(t, [0.1, -0.2], [1]), "positive and finite, got -0.2"),
        (lambda t: train_by_train(20).mean(t, [float("nan")], [1]), "positive and finite, got nan"),
        (lambda t: train_by_train(20).mean(t, GRID, [0, 1]), r"at least 1 and rising, got \[0, 1\]"),
        (lambda t: train_by_train(20).mean(t, GRID, [2, 1]), r"at least 1 and rising, got \[2, 1\]"),
        (lambda t: train_by_train(20).mean(t, GRID, [1.5]), "vector of integers"),
        (lambda t: train_by_train(20).mean(t, GRID, [1], freeze=0), "freeze must be a positive number"),
        (lambda t: best_step_size(lambda s: np.full(len(s), np.inf), GRID), "every step size of the grid diverges"),
        (lambda t: minimising_step_size(lambda s: s, [0.1, 0.2]), "at least 3 different step sizes, got 2"),
    ],
)
def test_bad_input_is_refused_in_one_line(tasks: list[Task], act: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        act(tasks)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
