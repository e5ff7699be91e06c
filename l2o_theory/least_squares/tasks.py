"""Tasks: noisy linear regression problems, drawn from named random streams.

    w* uniform on the unit sphere of R^d,   x ~ N(0, I) or N(0, C),   y = <w*, x> + sigma xi,  xi ~ N(0, 1)

[paper: section 4]. The feature matrix, the noise, w* and the freeze direction of task number `index` each have a
stream of their own, derived from (seed, name, index): a task of 250 samples is the first half of the task of 500, and
the draw does not depend on how many tasks are drawn, or where.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from l2o_theory.errors import InputError
from l2o_theory.least_squares.settings import parse_count

Array = npt.NDArray[Any]
"""Floating-point array, float64 unless float32 was asked for."""


@dataclass(frozen=True, eq=False)
class Task:
    """One regression problem.

    Attributes:
        features: X, shape (n, d).
        labels: y, shape (n,).
        w_star: the weights that made the labels, shape (d,).
        noise: sigma, standard deviation of the label noise.
        direction: unit vector of shape (d,), on which a run that the freeze rule stops is put.
        root: symmetric square root of the covariance C of the features, shape (d, d), or None for the identity.
    """

    features: Array
    labels: Array
    w_star: Array
    noise: float
    direction: Array
    root: Array | None = None

    @property
    def samples(self) -> int:
        """Number of samples n."""
        return int(self.features.shape[0])

    @property
    def dimension(self) -> int:
        """Number of features d."""
        return int(self.features.shape[1])

    def head(self, samples: int) -> Task:
        """The task with its first `samples` samples only.

        Raises:
            InputError: more samples than there are, or none.
        """
        return self._rows(0, parse_count(samples, "samples"))

    def split(self, train: int, validation: int) -> tuple[Task, Task]:
        """The first n1 samples to train on and the next n2 to validate on; independent samples need no shuffling.

        Raises:
            InputError: n1 + n2 exceeds the number of samples, or one of them is below 1.
        """
        first, second = parse_split((train, validation), self.samples)
        return self._rows(0, first), self._rows(first, first + second)

    def risk(self, weights: Array) -> Array:
        """Excess risk (w - w*)^T C (w - w*) of weights of shape (..., d): test RMSE^2 is risk + sigma^2."""
        error = weights - self.w_star
        spread = error if self.root is None else error @ self.root
        return np.asarray((spread * spread).sum(-1))

    def _rows(self, begin: int, end: int) -> Task:
        if end > self.samples:
            raise InputError(f"samples must be at most the {self.samples} of the task, got {end}; draw a larger task")
        return replace(self, features=self.features[begin:end], labels=self.labels[begin:end])


@dataclass(frozen=True, eq=False)
class TaskDistribution:
    """The law of the tasks.

    Args:
        dimension: d >= 1.
        noise: sigma >= 0.
        covariance: C of the features, symmetric positive semidefinite of shape (d, d); None for the identity.

    Raises:
        InputError: a dimension below 1, negative or infinite noise, or a covariance that is not one.

    Example:
        >>> TaskDistribution(dimension=20, noise=1.0).task(10, seed=3, index=7).features.shape
        (10, 20)
    """

    dimension: int
    noise: float
    covariance: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", parse_count(self.dimension, "dimension"))
        noise = self.noise
        if isinstance(noise, bool) or not isinstance(noise, int | float | np.floating) or not 0 <= noise < math.inf:
            raise InputError(f"noise must be a finite number of at least 0, got {noise!r}; pass a standard deviation")
        object.__setattr__(self, "noise", float(noise))
        if self.covariance is not None:
            object.__setattr__(self, "covariance", _parse_covariance(self.covariance, self.dimension))

    @cached_property
    def root(self) -> Array | None:
        """Symmetric square root of the covariance, or None for the identity."""
        if self.covariance is None:
            return None
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)

    def task(self, samples: int, *, seed: int = 0, index: int = 0, dtype: str = "float64") -> Task:
        """Draw task number `index` of the run with this seed.

        Args:
            samples: n >= 1.
            seed: seed of the run, >= 0.
            index: number of the task within the run, >= 0.
            dtype: "float64", or "float32" for features of half the size (a different draw).

        Raises:
            InputError: samples below 1, a negative seed or index, or another dtype.
        """
        samples = parse_count(samples, "samples")
        kind = parse_dtype(dtype)
        features = stream("features", seed, index).standard_normal((samples, self.dimension), dtype=kind)
        if self.root is not None:
            features = (features @ self.root).astype(kind)
        w_star = unit_vector(stream("w_star", seed, index), self.dimension)
        labels = features @ w_star + self.noise * stream("noise", seed, index).standard_normal(samples)
        direction = unit_vector(stream("freeze", seed, index), self.dimension)
        return Task(features, labels, w_star, self.noise, direction, self.root)

    def tasks(self, samples: int, count: int, *, seed: int = 0, first: int = 0) -> Iterator[Task]:
        """Draw `count` tasks one by one, from number `first` on."""
        return (self.task(samples, seed=seed, index=first + k) for k in range(parse_count(count, "count")))


def stream(name: str, seed: int, index: int) -> np.random.Generator:
    """The random stream of that name for task number `index` of a run with that seed.

    Raises:
        InputError: a seed or index that is not an integer of at least 0.
    """
    for label, value in (("seed", seed), ("index", index)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(f"{label} must be an integer of at least 0, got {value!r}; pass 0 for the first")
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=(zlib.crc32(name.encode()), int(index))))


def unit_vector(generator: np.random.Generator, dimension: int) -> Array:
    """Uniform on the unit sphere."""
    vector = generator.standard_normal(dimension)
    return np.asarray(vector / np.linalg.norm(vector))


def parse_split(split: Any, samples: int) -> tuple[int, int]:
    """A pair (n1, n2) of counts that together fit into the samples.

    Raises:
        InputError: not a pair, a count below 1, or n1 + n2 > n.
    """
    if not isinstance(split, tuple | list) or len(split) != 2:
        raise InputError(f"split must be a pair (n1, n2), got {split!r}; pass training and validation sizes")
    first, second = parse_count(split[0], "n1"), parse_count(split[1], "n2")
    if first + second > samples:
        raise InputError(
            f"split n1 + n2 must be at most the {samples} samples, got {first} + {second}; lower one of them"
        )
    return first, second


def parse_dtype(dtype: Any) -> Any:
    """The numpy type of that name.

    Raises:
        InputError: neither float64 nor float32.
    """
    if dtype not in ("float64", "float32"):
        raise InputError(f'dtype must be "float64" or "float32", got {dtype!r}; pick one')
    return np.float64 if dtype == "float64" else np.float32


def _parse_covariance(covariance: Any, dimension: int) -> Array:
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (dimension, dimension):
        raise InputError(f"covariance must have shape {(dimension, dimension)}, got {matrix.shape}; match dimension")
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        raise InputError("covariance must be finite and symmetric, got one that is not; symmetrise it first")
    lowest = float(np.linalg.eigvalsh(matrix)[0])
    if lowest < -1e-10 * max(1.0, float(np.abs(matrix).max())):  # rounding of a semidefinite matrix stays above this
        raise InputError(f"covariance must be positive semidefinite, got an eigenvalue {lowest:g}; clip it")
    return matrix
