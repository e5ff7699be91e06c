"""The Krylov space of a run: all that t steps of gradient descent depend on, whatever the step size.

H = X^T X/n, b = X^T y/n. From w_0 = 0 every w_t lies in span{b, H b, ..., H^(t-1) b}, and the residual y - X w_t =
(I - eta X X^T/n)^t y in span{y, ..., (X X^T)^t y}. k = t_max steps of Golub and Kahan's bidiagonalisation, started at
y, give orthonormal bases U, V of the two with X V = U B, B lower bidiagonal of shape (k+1, k) [textbook]: Lanczos on
H from b, without its squared condition number. With B = F diag(s) G^T, f = ||y|| F^T e_1 and l_i = s_i^2/n

    ||y - X w_t||^2 = SUM_i f_i^2 (1 - eta l_i)^(2t) + f_null^2                 a sum of squares: nothing cancels
    w_t = V G z,   z_i = [1 - (1 - eta l_i)^t]/l_i * s_i f_i/n                 exact for t <= k         [derived here]

All functions take a batch of tasks along the first axis, as numpy arrays or as torch tensors on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Batch = Any
"""numpy array or torch tensor, one task per entry of the first axis."""


@dataclass(frozen=True, eq=False)
class Krylov:
    """A batch of m runs in k Krylov coordinates.

    Attributes:
        eigenvalues: l_i, shape (m, k).
        residual: f_i, component of the labels along each direction, (m, k).
        remainder: f_null^2, what no step ever fits, (m,).
        slopes: s_i f_i/n, component of b along each direction, (m, k).
    """

    eigenvalues: Batch
    residual: Batch
    remainder: Batch
    slopes: Batch


def project(features: Batch, labels: Batch, steps: int, samples: int | None = None) -> tuple[Krylov, Batch]:
    """Reduce a batch of tasks to what `steps` steps of gradient descent see of them.

    From two thirds of the rank on, a singular value decomposition is cheaper than that many steps, and is used.

    Args:
        features: X, shape (m, n, d); in float32 the products with X are float32 and the rest float64.
        labels: y, shape (m, n).
        steps: largest number of steps t_max that will be asked for.
        samples: the n of H = X^T X/n, if it is not the number of rows.

    Returns:
        The runs, and the basis: orthonormal directions in weight space as rows, shape (m, k, d).
    """
    rank = min(features.shape[1:])
    xp = namespace(features)
    if 3 * steps >= 2 * rank:
        left, values, basis = xp.linalg.svd(cast(features, np.float64), full_matrices=False)
        residual = (labels[:, None, :] @ left)[:, 0]
        remainder = ((labels - (left @ residual[..., None])[..., 0]) ** 2).sum(-1)
    else:
        bidiagonal, basis = bidiagonalise(features, labels, steps)
        left, values, right = xp.linalg.svd(bidiagonal, full_matrices=True)
        components = xp.sqrt((labels * labels).sum(-1))[:, None] * left[:, 0, :]
        residual, remainder = components[:, :-1], components[:, -1] ** 2
        basis = right @ basis
    count = samples or features.shape[1]
    return Krylov(values * values / count, residual, remainder, values * residual / count), basis


def bidiagonalise(features: Batch, labels: Batch, steps: int) -> tuple[Batch, Batch]:
    """`steps` steps of Golub-Kahan bidiagonalisation from y, both bases re-orthogonalised.

    If a space is exhausted early, the rest of the arrays is 0, which every formula above bears.

    Args:
        features: X, shape (m, n, d).
        labels: y, shape (m, n).
        steps: k.

    Returns:
        B of shape (m, k+1, k), and V as rows, shape (m, k, d).
    """
    tasks, rows, columns = features.shape
    left = zeros_beside(features, tasks, steps + 1, rows)
    right = zeros_beside(features, tasks, steps, columns)
    bidiagonal = zeros_beside(features, tasks, steps + 1, steps)
    if tasks == 1 and isinstance(features, np.ndarray):
        _fill_one(features[0], labels[0], left[0], right[0], bidiagonal[0])
    else:
        _fill_all(features, labels, left, right, bidiagonal)
    return bidiagonal, right


def _fill_one(features: Any, labels: Any, left: Any, right: Any, bidiagonal: Any) -> None:
    """The recurrence for one task, in place: beside two products with X, what a batch costs per call would show."""
    left[0] = labels
    _unit(left[0], left[:0], 0.0)
    size, smallest = 0.0, 0.0
    for step, row in enumerate(right):
        row[:] = cast(left[step], features.dtype) @ features
        row -= size * right[step - 1]  # size is 0 in the first step
        size = bidiagonal[step, step] = _unit(row, right[:step], smallest)
        if step == 0:
            smallest = _rounding(features) * size
        column = left[step + 1]
        column[:] = features @ cast(row, features.dtype)
        column -= size * left[step]
        size = bidiagonal[step + 1, step] = _unit(column, left[: step + 1], smallest)


def _unit(vector: Any, basis: Any, smallest: float) -> float:
    """`_orthogonal` and `_normalise` in place, for one vector; its length."""
    vector -= (basis @ vector) @ basis
    size = math.sqrt(vector @ vector)
    if size <= smallest:
        vector[:] = 0.0
        return 0.0
    vector /= size
    return size


def _fill_all(features: Batch, labels: Batch, left: Batch, right: Batch, bidiagonal: Batch) -> None:
    """The recurrence for all tasks of a batch at once."""
    before, (vector, size) = right[:, :1] * 0, _normalise(labels[:, None, :], 0.0)
    left[:, 0] = vector[:, 0]
    smallest: Any = 0.0
    for step in range(right.shape[1]):
        image = cast(vector, features.dtype) @ features - size * before
        before, size = _normalise(_orthogonal(image, right[:, :step]), smallest)
        if step == 0:
            smallest = _rounding(features) * size
        right[:, step], bidiagonal[:, step, step] = before[:, 0], size[:, 0, 0]
        image = (features @ cast(before.swapaxes(-1, -2), features.dtype)).swapaxes(-1, -2) - size * vector
        vector, size = _normalise(_orthogonal(image, left[:, : step + 1]), smallest)
        left[:, step + 1], bidiagonal[:, step + 1, step] = vector[:, 0], size[:, 0, 0]


def _rounding(features: Batch) -> float:
    """What rounding alone can leave behind, relative to the first length, when a space is exhausted."""
    return float(max(features.shape[-2:]) * namespace(features).finfo(features.dtype).eps)


def join(parts: Sequence[Any]) -> Any:
    """One batch out of several of the same dataclass of arrays."""
    first = parts[0]
    xp = namespace(getattr(first, fields(first)[-1].name))
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(first)}
    joined = {name: None if entries[0] is None else xp.concatenate(entries) for name, entries in columns.items()}
    return type(first)(**joined)


def namespace(array: Batch) -> Any:
    """The module whose functions apply to the array: numpy or torch."""
    if isinstance(array, np.ndarray):
        return np
    import torch  # imported here: a torch tensor came in, so it is loaded already

    return torch


def cast(array: Batch, dtype: Any) -> Batch:
    """The array in another floating-point type, itself if it has that type."""
    if isinstance(array, np.ndarray):
        return array.astype(dtype, copy=False)
    return array.to(namespace(array).float64 if dtype is np.float64 else dtype)


def zeros_beside(array: Batch, *shape: int) -> Batch:
    """float64 zeros where the array lives."""
    if isinstance(array, np.ndarray):
        return np.zeros(shape)
    return namespace(array).zeros(shape, dtype=namespace(array).float64, device=array.device)


def _orthogonal(vectors: Batch, basis: Batch) -> Batch:
    """Rows (m, 1, d) without what rounding left of them in the span of orthonormal rows (m, k, d).

    One pass is enough only because the recurrence has taken away the large part before.
    """
    return vectors - (vectors @ basis.swapaxes(-1, -2)) @ basis


def _normalise(vectors: Batch, smallest: Any) -> tuple[Batch, Batch]:
    """Unit vectors (m, 1, d) and their lengths (m, 1, 1); 0 and 0 where the length is not above `smallest`."""
    size = (vectors @ vectors.swapaxes(-1, -2)) ** 0.5
    kept = size > smallest
    return vectors * (kept / (size + ~kept)), size * kept
