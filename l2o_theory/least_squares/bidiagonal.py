"""The reduced sampler: the law of what t steps of gradient descent see of a task, drawn without drawing the task.

X of shape n x d standard normal, y = X w* + sigma xi, |w*| = 1. Given y, the column X w* is normal with mean
y/(1 + sigma^2) and variance s^2 = sigma^2/(1 + sigma^2). Rotate the samples so that y = Y e_1, and w* to the first
coordinate; then, by turns, the remaining features and the remaining samples, Householder's way. What is left is
X = [c, B], all entries independent (j counts from 1):

    Y^2 ~ (1 + sigma^2) chi^2_n        c = (Y/(1+sigma^2) + s g) e_1 + s chi_(n-1) e_2,   g ~ N(0, 1)
    B_jj ~ chi_(d-j)                   B_(j+1),j ~ N(0, 1)                                B_(j+2),j ~ chi_(n-1-j)

t steps touch the leading min(n, 2t+1) rows and min(d, 2t) columns of X: X X^T raises the last row in use by two. A chi
variable without degrees of freedom is 0, so the law holds for every n and d.                          [derived here]

Validation samples are new, so only their image of span{w_t - w*} and their noise matter: a normal matrix, of which
the losses need the triangular factor (chi on the diagonal, N(0, 1) above) [textbook: Bartlett].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from l2o_theory.least_squares.descent import Form, Runs, risk_form
from l2o_theory.least_squares.lanczos import project
from l2o_theory.least_squares.tasks import Array, stream

Streams = Sequence[np.random.Generator]


def reduced_runs(
    dimension: int,
    noise: float,
    samples: int,
    steps: int,
    radius: float | None,
    *,
    seed: int,
    indices: Sequence[int],
    validation: int | None = None,
) -> Runs:
    """Draw the runs of tasks number `indices`, one stream for each task and training size.

    Same law as `runs_of` on plain tasks with identity covariance, quantity by quantity and jointly, with one exception:
    the values on the sphere of the freeze rule have their own law, independent of the rest of the task.

    Args:
        dimension: d of the features.
        noise: sigma.
        samples: n, samples trained on.
        steps: largest horizon that will be measured.
        radius: norm of the freeze rule, or None.
        seed: of the run.
        indices: numbers of the tasks.
        validation: n2, samples held out, or None.
    """
    streams = [stream(f"reduced {samples} {validation}", seed, index) for index in indices]
    corner = [_corner(generator, dimension, noise, samples, steps) for generator in streams]
    krylov, directions = project(
        np.stack([features for features, _ in corner]), np.stack([labels for _, labels in corner]), steps, samples
    )
    w_star = np.eye(1, directions.rows.shape[2]) + np.zeros((len(indices), 1))  # the first coordinate
    along = directions.along(w_star[:, None, :])[:, 0]
    outside = np.maximum(1 - (along * along).sum(-1), 0)
    forms = {"risk": risk_form(directions, w_star, None, may_vanish=samples >= dimension)}
    frozen = _frozen_values(streams, dimension, noise, {"train_loss": samples, "validation_loss": validation}, radius)
    if validation is not None:
        forms["validation_loss"] = _validation_form(streams, along, outside, noise, validation)
    return Runs(krylov, samples, forms, frozen)


def _corner(
    generator: np.random.Generator, dimension: int, noise: float, samples: int, steps: int
) -> tuple[Array, Array]:
    """The leading corner [c, B] of the features, and the labels Y e_1."""
    rows, columns = min(samples, 2 * steps + 1), min(dimension, 2 * steps)
    features, labels = np.zeros((rows, columns)), np.zeros(rows)
    spread, variance = noise / np.hypot(1, noise), 1 + noise * noise
    labels[0] = np.sqrt(variance) * _chi(generator, samples)
    features[0, 0] = labels[0] / variance + spread * generator.standard_normal()
    if rows > 1:
        features[1, 0] = spread * _chi(generator, samples - 1)
    j = np.arange(1, columns)  # the column of B is that of the features, which begin with c
    diagonal, below = j[j <= rows], j[j + 1 <= rows]
    features[diagonal - 1, diagonal] = _chi(generator, dimension - diagonal)
    features[below, below] = generator.standard_normal(len(below))
    second = j[j + 2 <= rows]
    features[second + 1, second] = _chi(generator, samples - 1 - second)
    return features, labels


def _validation_form(streams: Streams, along: Array, outside: Array, noise: float, samples: int) -> Form:
    """(1/2n2) ||N [z - along; sqrt(outside); sigma]||^2 with N the triangular factor of an n2 x (k+2) normal matrix."""
    rank = along.shape[1]
    triangles = np.stack([_bartlett(generator, samples, rank + 2) for generator in streams])
    factor, tail = triangles[:, :, :rank], triangles[:, :, rank:]
    fixed = np.stack([np.sqrt(outside), np.full_like(outside, noise)], -1)
    target = factor @ along[..., None] - tail @ fixed[..., None]
    return Form(factor, target[..., 0], np.full(len(streams), 1 / (2 * samples)))


def _bartlett(generator: np.random.Generator, rows: int, columns: int) -> Array:
    """The triangular factor of a rows x columns standard normal matrix: shape (min(rows, columns), columns)."""
    height = min(rows, columns)
    triangle = np.triu(generator.standard_normal((height, columns)), 1)
    np.fill_diagonal(triangle, _chi(generator, rows - np.arange(height)))
    return triangle


def _frozen_values(
    streams: Streams, dimension: int, noise: float, sizes: dict[str, int | None], radius: float | None
) -> dict[str, Array]:
    """Losses and risk at radius * u, u uniform on the sphere: y - <radius u, x> is normal given u."""
    length = radius or 0.0
    first = np.array([_first_coordinate(generator, dimension) for generator in streams])
    risk = 1 + length * length - 2 * length * first
    values = {"risk": risk}
    for name, samples in sizes.items():
        if samples is not None:
            squares = np.array([_chi(generator, samples) for generator in streams]) ** 2
            values[name] = (risk + noise * noise) * squares / (2 * samples)
    return values


def _first_coordinate(generator: np.random.Generator, dimension: int) -> float:
    """The first coordinate of a uniform unit vector."""
    head, rest = generator.standard_normal(), _chi(generator, dimension - 1)
    return float(head / np.hypot(head, rest))


def _chi(generator: np.random.Generator, freedom: Any) -> Any:
    """Chi variables with these degrees of freedom; 0 for none."""
    return np.sqrt(2 * generator.standard_gamma(np.asarray(freedom) / 2))
