"""The reduced sampler against the plain one: means, second and cross moments, Kolmogorov-Smirnov, planted faults."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from l2o_theory.least_squares import bidiagonal
from l2o_theory.least_squares.bidiagonal import reduced_runs
from l2o_theory.least_squares.descent import Runs, runs_of
from l2o_theory.least_squares.lanczos import project
from l2o_theory.least_squares.tasks import Array, TaskDistribution

TASKS = 4000
SIZES = np.array([0.02, 0.25, 0.6])
# Each test looks at no more than 100 numbers; |z| > 5 has probability 6e-7, p < 1e-6 as it says. Seeds are fixed.
FAR, RARE = 5.0, 1e-6
SHAPES = [(12, 9, 3), (7, 14, 4), (5, 3, 4), (6, 6, 6), (1, 4, 2), (4, 1, 2)]  # (d, n, t), small ones truncate the law


@lru_cache
def plain(dimension: int, samples: int, steps: int, held_out: int = 0) -> dict[str, Array]:
    law, parts = TaskDistribution(dimension, 0.8), []
    for index in range(TASKS):
        task = law.task(samples + max(held_out, 1), seed=1, index=index)
        train, validation = task.split(samples, max(held_out, 1))
        parts.append(runs_of([train], steps, None, [validation] if held_out else []))
    return Runs.joined(parts).measure(SIZES, np.array([1, steps]), None)


def reduced(dimension: int, samples: int, steps: int, held_out: int = 0) -> dict[str, Array]:
    runs = reduced_runs(dimension, 0.8, samples, steps, None, seed=2, indices=range(TASKS), validation=held_out or None)
    return runs.measure(SIZES, np.array([1, steps]), None)


def distances(first: dict[str, Array], second: dict[str, Array]) -> tuple[float, float]:
    """Largest |z| over means, second and cross moments of the logarithms, and the smallest p over all quantities."""
    names = [name for name in first if name not in ("frozen", "diverges")]
    rows = [
        np.stack([part[name][:, i, j] for name in names for i in range(3) for j in range(2)])
        for part in (first, second)
    ]
    # logarithms: a loss beyond stability has so heavy a tail that its moments say nothing
    rows = [np.log(row) for row in rows]
    rows = [row - rows[0].mean(1, keepdims=True) for row in rows]
    moments = [np.concatenate([row, (row[:, None] * row[None]).reshape(-1, TASKS)]) for row in rows]
    error = np.sqrt(sum(part.var(1) for part in moments) / TASKS)
    far = np.abs(moments[0].mean(1) - moments[1].mean(1)) / error
    rare = min(ks_2samp(*pair).pvalue for pair in zip(*rows, strict=True))
    return float(far.max()), float(rare)


@pytest.mark.parametrize(("dimension", "samples", "steps"), SHAPES)
def test_training_loss_and_risk_have_the_same_law(dimension: int, samples: int, steps: int) -> None:
    far, rare = distances(plain(dimension, samples, steps), reduced(dimension, samples, steps))
    assert far < FAR
    assert rare > RARE


@pytest.mark.parametrize("held_out", [3, 30])
def test_the_validation_loss_has_the_same_law(held_out: int) -> None:
    far, rare = distances(plain(12, 9, 3, held_out), reduced(12, 9, 3, held_out))
    assert far < FAR
    assert rare > RARE


def fewer_on_the_diagonal(features: Array, labels: Array) -> None:
    features[[0, 1], [1, 2]] *= np.sqrt(10 / 11)  # about chi_(d-1-j) in place of chi_(d-j)


def fewer_below(features: Array, labels: Array) -> None:
    features[[2, 3], [1, 2]] *= np.sqrt(6 / 7)  # about chi_(n-2-j) in place of chi_(n-1-j)


def mean_forgotten(features: Array, labels: Array) -> None:
    features[0, 0] -= labels[0] / 1.64  # the column of w* drawn as if it knew nothing of y


def second_row_forgotten(features: Array, labels: Array) -> None:
    features[1, 0] = 0


@pytest.mark.parametrize("fault", [fewer_on_the_diagonal, fewer_below, mean_forgotten, second_row_forgotten])
def test_planted_faults_in_the_law_are_caught(
    fault: Callable[[Array, Array], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bidiagonal._corner

    def wrong(*arguments: Any) -> tuple[Array, Array]:
        features, labels = right(*arguments)
        fault(features, labels)
        return features, labels

    monkeypatch.setattr(bidiagonal, "_corner", wrong)
    far, rare = distances(plain(12, 9, 3), reduced(12, 9, 3))
    assert far > FAR or rare < RARE


def test_a_wrong_number_of_validation_samples_is_caught() -> None:
    far, _ = distances(plain(12, 9, 3, 8), reduced(12, 9, 3, 11))
    assert far > FAR


def test_values_on_the_frozen_sphere_have_their_law() -> None:
    law, radius = TaskDistribution(5, 0.8), 2.0
    pairs = [law.task(12, seed=1, index=k).split(4, 8) for k in range(TASKS)]
    first = Runs.joined([runs_of([train], 1, radius, [held_out]) for train, held_out in pairs]).frozen
    second, planted = (
        reduced_runs(5, 0.8, 4, 1, r, seed=2, indices=range(TASKS), validation=8).frozen for r in (radius, 2.2)
    )
    for name in ("train_loss", "validation_loss", "risk"):
        assert ks_2samp(first[name], second[name]).pvalue > RARE
        assert ks_2samp(first[name], planted[name]).pvalue < RARE


def test_the_corner_is_large_enough_and_no_larger() -> None:
    features, labels = bidiagonal._corner(np.random.default_rng(0), 40, 1.0, 30, 8)

    def cut(rows: int, columns: int) -> Array:
        krylov, _ = project(features[None, :rows, :columns], labels[None, :rows], 50, 30)
        return Runs(krylov, 30, {}, {}).measure(SIZES, np.array([1, 2, 3]), None)["train_loss"]

    wide = cut(11, 12)
    np.testing.assert_allclose(cut(7, 6), wide, rtol=1e-11)  # 2t+1 and 2t for t = 3
    assert not np.allclose(cut(6, 6), wide, rtol=1e-11)
    assert not np.allclose(cut(7, 5), wide, rtol=1e-11)
