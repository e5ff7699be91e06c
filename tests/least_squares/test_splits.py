"""Random splits of a user's rows: measured by a loop, predicted by Monte Carlo over w* and the noise."""

from __future__ import annotations

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.outcome import Protocol
from l2o_theory.least_squares.regression import Regression
from l2o_theory.least_squares.splits import compare_splits

GRID = (0.02, 0.1, 0.3)


def data(rows: int = 40, dimension: int = 6, noise: float = 0.8, signal: float = 3.0) -> Regression:
    """Correlated columns, one of them a combination of two others, so that H has a null space."""
    random = np.random.default_rng(4)
    X = random.standard_normal((rows, dimension)) @ random.standard_normal((dimension, dimension)) / 2
    X[:, 2] = X[:, 0] - X[:, 1]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    w = random.standard_normal(dimension)
    y = X @ (w / np.linalg.norm(w)) + noise * random.standard_normal(rows)
    names = tuple(f"x{k}" for k in range(dimension))
    return Regression(X, y, signal, noise, "given", names, "y")


def descend(X, y, step_size, steps):
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        w = w + step_size * X.T @ (y - X @ w) / len(y)
    return w


def test_measured_is_what_a_loop_over_the_same_splits_gives() -> None:
    regression, tasks = data(), 3
    protocol = Protocol(6, 20, 0.8, 7, (12, 6))
    ((_, found),) = compare_splits(regression, [protocol], GRID, tasks=tasks, seed=5)
    train, held = np.zeros((tasks, 3)), np.zeros((tasks, 3))
    test = np.zeros((tasks, 3))
    for task in range(tasks):
        order = np.random.default_rng([5, task]).permutation(40)
        X, y = regression.X[order], 3.0 * regression.y[order]
        for place, eta in enumerate(GRID):
            w, v = descend(X[:20], y[:20], eta, 7), descend(X[:12], y[:12], eta, 7)
            train[task, place] = np.mean((y[:20] - X[:20] @ w) ** 2)
            held[task, place] = np.mean((y[12:18] - X[12:18] @ v) ** 2)
            test[task, place] = np.mean((y[20:] - X[20:] @ w) ** 2)
    # 1e-9: rounding; the code goes through singular vectors instead of steps
    assert found.train_curve == pytest.approx(train.mean(axis=0) / 2, rel=1e-9)
    assert found.validation_curve == pytest.approx(held.mean(axis=0) / 2, rel=1e-9)
    for choice, curve in ((found.by_train, train), (found.by_validation, held)):
        place = int(np.argmin(curve.mean(axis=0)))
        assert choice.step_size == GRID[place]
        assert choice.test == pytest.approx(np.sqrt(test[:, place].mean()), rel=1e-9)
        assert choice.train == pytest.approx(np.sqrt(train[:, place].mean()), rel=1e-9)
        error = np.std(test[:, place], ddof=1) / np.sqrt(tasks) / (2 * choice.test)
        assert choice.test_error == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("samples", [20, 5])
def test_predicted_is_the_mean_over_directions_and_noise(samples: int) -> None:
    """5 rows are fewer than columns: what cannot be learned stays. 4 standard errors of 4000 draws."""
    regression, draws, steps = data(), 4000, 7
    protocol = Protocol(6, samples, 0.8, steps, (samples - 2, 2))
    ((predicted, _),) = compare_splits(regression, [protocol], GRID, tasks=1, seed=5)
    order = np.random.default_rng([5, 0]).permutation(40)
    X = regression.X[order]
    random = np.random.default_rng(0)
    stars = random.standard_normal((draws, 6))
    stars /= np.linalg.norm(stars, axis=1, keepdims=True)
    labels = stars @ X.T + 0.8 * random.standard_normal((draws, 40))
    for choice in (predicted.by_train, predicted.by_validation):
        # w_t is linear in the labels: one matrix for all draws
        H = X[:samples].T @ X[:samples] / samples
        power = np.eye(6)
        reached = np.zeros((6, 6))
        for _ in range(steps):
            reached = reached + choice.step_size * power
            power = power @ (np.eye(6) - choice.step_size * H)
        w = labels[:, :samples] @ X[:samples] / samples @ reached.T
        test = np.mean((labels[:, samples:] - w @ X[samples:].T) ** 2, axis=1) * 9
        train = np.mean((labels[:, :samples] - w @ X[:samples].T) ** 2, axis=1) * 9
        for squares, value in ((test, choice.test), (train, choice.train)):
            error = np.std(squares) / np.sqrt(draws)
            assert abs(squares.mean() - value**2) < 4 * error
            assert abs(squares.mean() - 9 * 0.8**2 - value**2) > 4 * error  # planted: the noise forgotten once


def test_a_covariance_that_is_the_identity_gives_the_risk_of_the_theory() -> None:
    """S = I: whitened rows on the tested side; compare with its formula written out."""
    from l2o_theory.least_squares.splits import _spectrum, expected_error

    regression = data()
    rows = np.arange(15)
    spectrum = _spectrum(regression, rows)
    protocol = Protocol(6, 15, 0.8, 7, (10, 5))
    identity = np.sqrt(6) * np.eye(6)  # six rows whose second moments are I
    eigenvalues = np.linalg.eigvalsh(regression.X[rows].T @ regression.X[rows] / 15)
    positive = eigenvalues[eigenvalues > 1e-9]
    assert len(positive) == 5  # the null space is there
    found = expected_error(spectrum, identity, np.array(GRID), protocol, 15)
    for eta, value in zip(GRID, found, strict=True):
        left = (1 - eta * positive) ** 7
        risk = (1 + np.sum(left**2)) / 6 + 0.64 / 15 * np.sum((1 - left) ** 2 / positive)
        assert value == pytest.approx(risk + 0.64, rel=1e-10)
        # planted: without the direction that is never learned
        assert value != pytest.approx(risk - 1 / 6 + 0.64, rel=1e-3)


def test_divergence_is_told() -> None:
    ((predicted, found),) = compare_splits(data(), [Protocol(6, 20, 0.8, 500, (12, 6))], (50.0,), tasks=2, seed=0)
    assert predicted.by_train.diverges
    assert found.by_train.diverges
    assert found.winner is None


def test_rows_to_test_on_are_needed() -> None:
    for samples in (40, 41):
        with pytest.raises(InputError, match="below the 40 rows"):
            compare_splits(data(), [Protocol(6, samples, 0.8, 7, (10, 5))], GRID, tasks=1, seed=0)
    with pytest.raises(InputError, match="tasks"):
        compare_splits(data(), [Protocol(6, 20, 0.8, 7, (10, 5))], GRID, tasks=0, seed=0)
