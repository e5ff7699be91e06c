"""Train-by-train against train-by-validation on a user's own rows: random splits, measured and predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.least_squares.conditional import conditional
from l2o_theory.least_squares.outcome import Array, Outcome, Protocol, choice, least, measured
from l2o_theory.least_squares.regression import Regression

_RANK = 1e-10  # eigenvalues below this share of the largest are zero up to rounding


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """X^T X/n of some rows: positive eigenvalues (r,), eigenvectors (dimension, r), coordinates of X^T y/n."""

    eigenvalues: Array
    vectors: Array
    gradient: Array

    def iterates(self, step_sizes: Array, steps: int) -> Array:
        """Coordinates of w_t from w_0 = 0, shape (step sizes, r): (1 - (1 - eta l)^t)/l times those of X^T y/n."""
        return _risen(step_sizes, self.eigenvalues, steps) / self.eigenvalues * self.gradient


def compare_splits(
    data: Regression,
    protocols: Sequence[Protocol],
    grid: Sequence[float],
    *,
    tasks: int,
    seed: int,
    progress: Callable[[int], None] = lambda tasks: None,
) -> list[tuple[Outcome, Outcome]]:
    r"""Tune on random splits of the rows and test on the rows left over; return (predicted, measured) per protocol.

    Each task draws n rows for training, n1 and n2 of them for train-by-validation, and tests on all others. The
    prediction averages, over the same splits, the conditional expectation over w* (uniform direction, |w*| = 1) and
    the noise, given the rows [derived here]. With H = X^T X/n of the training rows, P = I - eta H and S the second
    moments of the rows tested on,

        E error = (1/d) tr(P^t S P^t) + (sigma^2/n) SUM_i (1 - R_i^t)^2/l_i <u_i, S u_i> + sigma^2,

    which is R + sigma^2 of `conditional` when S = I.

    Args:
        data: standardised data.
        protocols: cells, all with the dimension and the noise of the data.
        grid: step sizes.
        tasks: number of random splits; their test rows overlap, so that standard errors are on the small side.
        seed: of the splits.
        progress: called with the number of tasks just finished.

    Returns:
        Errors in the units of the file's target: those of the theory times `data.signal`.

    Raises:
        InputError: a protocol asks for as many rows as there are, or more; fewer than one task.
    """
    if tasks < 1:
        raise InputError(f"tasks must be >= 1, got {tasks}; raise it")
    refuse_without_test_rows(data, protocols)
    etas = np.asarray(grid, dtype=np.float64)
    drawn: list[list[tuple[Array, Array]]] = [[] for _ in protocols]
    for task in range(tasks):
        order = np.random.default_rng([seed, task]).permutation(data.rows)
        for protocol, kept in zip(protocols, drawn, strict=True):
            kept.append(_task(data, protocol, etas, order))
        progress(1)
    return [_outcomes(grid, kept, data.signal, protocol.bound) for protocol, kept in zip(protocols, drawn, strict=True)]


def refuse_without_test_rows(data: Regression, protocols: Sequence[Protocol]) -> None:
    """See that every protocol leaves rows to test on.

    Raises:
        InputError: one does not.
    """
    for protocol in protocols:
        if protocol.samples >= data.rows:
            raise InputError(
                f"samples must be below the {data.rows} rows of the data, got {protocol.samples}; "
                "the rows that are left over test the outcome"
            )


def _task(data: Regression, protocol: Protocol, etas: Array, order: NDArray[np.int64]) -> tuple[Array, Array]:
    """Predicted and measured (training, validation, test) mean squared errors of one split, shape (3, grid) each."""
    n, n1, n2 = protocol.samples, *protocol.split
    train, rest = order[:n], order[n:]
    inner, outer = order[:n1], order[n1 : n1 + n2]
    with np.errstate(over="ignore", invalid="ignore"):  # divergent step sizes end in inf, which is reported as such
        everything, part = _spectrum(data, train), _spectrum(data, inner)
        w, v = everything.iterates(etas, protocol.steps), part.iterates(etas, protocol.steps)
        seen = np.stack(
            [_error(data, everything, w, train), _error(data, part, v, outer), _error(data, everything, w, rest)]
        )
        training = conditional(everything.eigenvalues, protocol.dimension, n, protocol.noise, protocol.steps)
        expected = np.stack(
            [
                2 * np.asarray(training.train_loss(etas), dtype=np.float64),
                expected_error(part, data.X[outer], etas, protocol, n1),
                expected_error(everything, data.X[rest], etas, protocol, n),
            ]
        )
    return expected, seen


def _spectrum(data: Regression, rows: NDArray[np.int64]) -> _Spectrum:
    X, y = data.X[rows], data.y[rows]
    left, singular, right = np.linalg.svd(X, full_matrices=False)
    eigenvalues = singular**2 / len(rows)
    kept = eigenvalues > _RANK * eigenvalues[0]
    gradient = singular * (left.T @ y) / len(rows)
    return _Spectrum(eigenvalues[kept], right[kept].T, gradient[kept])


def _error(data: Regression, spectrum: _Spectrum, coordinates: Array, rows: NDArray[np.int64]) -> Array:
    residual = data.y[rows] - coordinates @ (data.X[rows] @ spectrum.vectors).T
    return np.asarray(np.mean(residual**2, axis=1))


def expected_error(spectrum: _Spectrum, tested: Array, etas: Array, protocol: Protocol, samples: int) -> Array:
    """The formula of `compare_splits`, shape (grid,)."""
    along = np.mean((tested @ spectrum.vectors) ** 2, axis=0)  # <u_i, S u_i>
    across = max(float(np.mean(np.sum(tested**2, axis=1)) - along.sum()), 0.0)  # trace of S off the row space
    risen = _risen(etas, spectrum.eigenvalues, protocol.steps)
    bias = (across + (1 - risen) ** 2 @ along) / protocol.dimension
    variance = protocol.noise**2 / samples * (risen**2 @ (along / spectrum.eigenvalues))
    return np.asarray(bias + variance + protocol.noise**2)


def _risen(etas: Array, eigenvalues: Array, steps: int) -> Array:
    """1 - (1 - eta l)^t, accurate where eta l is tiny; shape (grid, r)."""
    product = np.multiply.outer(etas, eigenvalues)
    near = np.minimum(product, 0.5)
    return np.where(product < 0.5, -np.expm1(steps * np.log1p(-near)), 1 - (1 - product) ** steps)


def _outcomes(
    grid: Sequence[float], kept: list[tuple[Array, Array]], unit: float, bound: float
) -> tuple[Outcome, Outcome]:
    expected = unit**2 * np.mean([pair[0] for pair in kept], axis=0)
    seen = unit**2 * np.stack([pair[1] for pair in kept])  # (tasks, 3, grid)
    first, second = least(expected[0]), least(expected[1])
    choices = [choice(grid[i], expected[0, i] ** 0.5, expected[2, i] ** 0.5, unit * bound) for i in (first, second)]
    predicted = Outcome(choices[0], choices[1], expected[0] / 2, expected[1] / 2)
    curves = (seen[:, 0].mean(axis=0) / 2, seen[:, 1].mean(axis=0) / 2)
    i, j = least(curves[0]), least(curves[1])
    return predicted, measured(
        grid, curves, train=(seen[:, 0, i], seen[:, 0, j]), test=(seen[:, 2, i], seen[:, 2, j]), bound=unit * bound
    )
