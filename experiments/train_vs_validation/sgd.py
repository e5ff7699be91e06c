"""Figure 3 with SGD: one sample per step, drawn with replacement, the same number of epochs at either training size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.figures.comparison import choices, draw_along
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.least_squares.comparison import halves
from l2o_theory.least_squares.outcome import Choice, Compared, Outcome, Protocol, least, measured
from l2o_theory.least_squares.sgd import sgd_limit
from l2o_theory.least_squares.tasks import TaskDistribution, stream

Array = NDArray[np.float64]
_FINE = 61  # predictions along the axis


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Run SGD for every noise, draw sgd.{pdf,png,csv}."""
    cells = []
    for place, noise in enumerate(config["sgd.values"], start=1):
        parameters = {name: _plain(config[name]) for name in config if name.startswith("sgd.") and name != "sgd.values"}
        squares = pieces.get(
            "sgd", {**parameters, "noise": noise, "seed": config["seed"]}, lambda sigma=noise: _measure(config, sigma)
        )
        cells.append(_compared(config, noise, {name: np.array(values) for name, values in squares.items()}))
        progress("Figure 3 with SGD", place, len(config["sgd.values"]))
    return Measurements(_numbers(config, cells), _draw(config, out, cells))


def final_weights(features: Array, labels: Array, rows: NDArray[np.int64], step_sizes: Array) -> Array:
    """Final weights of SGD from 0 for many tasks and step sizes at once, shape (tasks, step sizes, dimension).

    Args:
        features: shape (tasks, n, dimension).
        labels: shape (tasks, n).
        rows: the sample of every step, shape (tasks, steps).
        step_sizes: shape (step sizes,).
    """
    tasks, _, dimension = features.shape
    weights = np.zeros((tasks, len(step_sizes), dimension))
    every = np.arange(tasks)
    for chosen in rows.T:
        x = features[every, chosen]
        residual = labels[every, chosen][:, None] - np.einsum("mpd,md->mp", weights, x)
        weights += (step_sizes * residual)[:, :, None] * x[:, None, :]
    return weights


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _grid(config: Configuration) -> Array:
    """c = eta d."""
    ends = config["sgd.scaled_grid"]
    if len(ends) != 3 or not 0 < ends[0] < ends[1] < 2:
        raise InputError(f"sgd.scaled_grid must be low, high, number with high < 2 (stability), got {list(ends)}")
    return np.geomspace(ends[0], ends[1], round(ends[2]))


def _measure(config: Configuration, noise: float) -> dict[str, list[list[float]]]:
    """Squared errors, shape (tasks, step sizes): either meta-objective of the first tasks, the errors of the others."""
    d, n, tune, test = (config[f"sgd.{name}"] for name in ("dimension", "samples", "tune", "test"))
    (n1, n2), step_sizes = halves(n), _grid(config) / d
    tasks = list(TaskDistribution(d, noise).tasks(n, tune + test, seed=config["seed"]))
    X, y = np.stack([task.features for task in tasks]), np.stack([task.labels for task in tasks])
    stars = np.stack([task.w_star for task in tasks])[:, None, :]

    def rows(samples: int, name: str) -> NDArray[np.int64]:
        steps = config["sgd.epochs"] * samples
        drawn = [stream(name, config["seed"], index).integers(samples, size=steps) for index in range(len(tasks))]
        return np.stack(drawn)

    whole = final_weights(X, y, rows(n, "sgd on all"), step_sizes)
    part = final_weights(X[:tune, :n1], y[:tune, :n1], rows(n1, "sgd on a part")[:tune], step_sizes)
    seen = np.mean((y[:, None, :] - np.einsum("mpd,mnd->mpn", whole, X)) ** 2, axis=-1)
    held = slice(n1, n1 + n2)
    unseen = np.mean((y[:tune, None, held] - np.einsum("mpd,mnd->mpn", part, X[:tune, held])) ** 2, axis=-1)
    new = np.sum((whole - stars) ** 2, axis=-1) + noise**2
    return {
        "train_objective": (seen[:tune] / 2).tolist(),
        "validation_objective": (unseen / 2).tolist(),
        "train": seen[tune:].tolist(),
        "test": new[tune:].tolist(),
    }


def _protocol(config: Configuration, noise: float) -> Protocol:
    n = config["sgd.samples"]
    return Protocol(config["sgd.dimension"], n, noise, config["sgd.epochs"] * n, halves(n))


def _compared(config: Configuration, noise: float, squares: dict[str, Array]) -> Compared:
    grid = (_grid(config) / config["sgd.dimension"]).tolist()
    curves = squares["train_objective"].mean(axis=0), squares["validation_objective"].mean(axis=0)
    i, j = (least(curve) for curve in curves)
    train, test = squares["train"], squares["test"]
    protocol = _protocol(config, noise)
    found = measured(
        grid, curves, train=(train[:, i], train[:, j]), test=(test[:, i], test[:, j]), bound=protocol.bound
    )
    return Compared(protocol, _predict(config, noise), found)


def _predict(config: Configuration, noise: float) -> Outcome:
    """The limit d -> inf at fixed epochs, with either choice from the same grid."""
    d, n = config["sgd.dimension"], config["sgd.samples"]
    scaled = _grid(config)
    whole = sgd_limit(d / n, noise, config["sgd.epochs"])
    part = sgd_limit(d / halves(n)[0], noise, config["sgd.epochs"])
    train, risk = whole.train_loss(scaled), whole.risk(scaled)
    validation = (part.risk(scaled) + noise**2) / 2
    picked = [
        Choice(float(scaled[k] / d), float(np.sqrt(2 * train[k])), float(np.sqrt(risk[k] + noise**2)))
        for k in (least(train), least(validation))
    ]
    return Outcome(picked[0], picked[1], train, validation)


def _numbers(config: Configuration, cells: list[Compared]) -> dict[str, float]:
    grid = (_grid(config) / config["sgd.dimension"]).tolist()
    relative, apart = [], []
    for cell in cells:
        for (_, predicted), (_, seen) in zip(choices(cell.predicted), choices(cell.measured), strict=True):
            relative.append(abs(seen.test / predicted.test - 1))
            apart.append(abs(grid.index(predicted.step_size) - grid.index(seen.step_size)))
    agree = [cell.predicted.winner == cell.measured.winner for cell in cells]
    loud = cells[-1].measured
    return {
        "sgd.test_error_percent": 100 * max(relative),
        "sgd.grid_points_away": float(max(apart)),
        "sgd.winners_as_predicted": float(np.mean(agree)),
        "sgd.train_by_train_scaled_step": loud.by_train.step_size * config["sgd.dimension"],
    }


def _draw(config: Configuration, out: Path, cells: list[Compared]) -> tuple[Path, ...]:
    values = config["sgd.values"]
    fine = [float(noise) for noise in np.geomspace(values[0], values[-1], _FINE)[1:-1]]
    d, n, epochs = (config[f"sgd.{name}"] for name in ("dimension", "samples", "epochs"))
    caption = [
        f"SGD, one sample per step with replacement, {epochs} epochs, d = {d}, n = {n}, half train and half validate; "
        f"{config['sgd.tune']} tasks tune the step size,",
        f"{config['sgd.test']} fresh ones measure the errors of training on all n samples. Band: two standard errors. "
        "Dashed: limit of large d, same epochs.",
    ]
    return draw_along(
        out,
        "sgd",
        cells,
        "noise",
        caption=caption,
        seed=config["seed"],
        between=[(_protocol(config, noise), _predict(config, noise)) for noise in fine],
    )
