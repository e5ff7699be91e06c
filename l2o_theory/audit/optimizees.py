"""Optimizees of an examination: small problems by name, each with a start and its minibatches, in any dtype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from l2o_theory.audit.subject import load_object
from l2o_theory.errors import InputError
from l2o_theory.problems import (
    MLP,
    Batch,
    Classification,
    Dataset,
    DoubleWell,
    LeastSquares,
    Params,
    Problem,
    Quadratic,
    RandomQuadratics,
    Rosenbrock,
    SoftmaxRegression,
    load_digits,
)
from l2o_theory.problems.trees import mapped, tensors

_BATCH = 64


@dataclass(frozen=True)
class Optimizee:
    """A problem with everything a run on it needs.

    Attributes:
        name: as asked for.
        problem: the loss.
        start: x_0.
        batches: t -> batch, or None.
    """

    name: str
    problem: Problem
    start: Params
    batches: Callable[[int], Batch] | None = None

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return sum(leaf.numel() for leaf in tensors(self.start))


def load_optimizee(text: str, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Optimizee:
    """A problem by name (`OPTIMIZEES`), or the user's own FILE.py:NAME. The same numbers in every dtype, rounded.

    Raises:
        InputError: nothing there, or no problem.
        ClaimError: the file is missing or fails on import.
    """
    if ":" not in text:
        build = load_object(text, "problem", OPTIMIZEES)
        problem, batches = build(dtype, seed)
    else:
        problem, batches = load_object(text, "problem", {}), None
        problem = problem() if isinstance(problem, type) else problem
        lacking = [method for method in ("init", "loss") if not callable(getattr(problem, method, None))]
        if lacking:
            raise InputError(
                f"{text} is no problem: no method {lacking[0]}; wanted init(generator) and loss(params, batch)"
            )
    start = problem.init(torch.Generator().manual_seed(seed))
    if ":" not in text and dtype != torch.float64:
        start = OPTIMIZEES[text](torch.float64, seed)[0].init(torch.Generator().manual_seed(seed))
    return Optimizee(text, problem, mapped(lambda leaf: leaf.to(dtype), start), batches)


Built = tuple[Any, Callable[[int], Batch] | None]


def _quadratic(dtype: torch.dtype, seed: int) -> Built:
    """The last coordinate starts at its minimum: its gradient is exactly 0, as at a pixel that is always black."""
    values = [1.0, 0.3, 0.1, 0.03], [1.0, -1.0, 2.0, 0.0]
    return Quadratic(*(torch.tensor(value, dtype=dtype) for value in values)), None


def _random_quadratic(dtype: torch.dtype, seed: int) -> Built:
    family = RandomQuadratics(10)
    task = mapped(lambda leaf: leaf.to(dtype), family.sample(torch.Generator().manual_seed(seed)))
    return family, lambda step: task


def _least_squares(dtype: torch.dtype, seed: int) -> Built:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    targets = features.sum(1) + 0.5 * torch.randn(40, generator=generator, dtype=torch.float64)
    return LeastSquares(features.to(dtype), targets.to(dtype)), None


def _minibatches(data: Dataset, seed: int) -> Callable[[int], Batch]:
    @lru_cache(maxsize=4096)
    def batch(step: int) -> Batch:
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        return {name: value[0] for name, value in data.minibatches(1, _BATCH, generator).items()}

    return batch


def _softmax(dtype: torch.dtype, seed: int) -> Built:
    data = load_digits(pool=2, dtype=dtype)
    return SoftmaxRegression(data, std=0.01), _minibatches(data, seed)


def _mlp(dtype: torch.dtype, seed: int) -> Built:
    data = load_digits(pool=2, dtype=dtype)
    return Classification(MLP((16, 10, 10)), data), _minibatches(data, seed)


OPTIMIZEES: dict[str, Callable[[torch.dtype, int], Built]] = {
    "quadratic": _quadratic,
    "random_quadratic": _random_quadratic,
    "least_squares": _least_squares,
    "rosenbrock": lambda dtype, seed: (Rosenbrock(dtype=dtype), None),
    "double_well": lambda dtype, seed: (DoubleWell(dtype=dtype), None),
    "softmax": _softmax,
    "mlp": _mlp,
}
"""Named problems: quadratic with a coordinate whose gradient is 0; |Wx - y|^2; least squares; Rosenbrock; the chaotic
double well; softmax regression and a perceptron of 280 weights on handwritten digits, in minibatches of 64."""
