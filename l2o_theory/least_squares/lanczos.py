"""The Krylov space of a run: all that t steps of gradient descent depend on, whatever the step size.

H = X^T X/n, b = X^T y/n. From w_0 = 0 every w_t lies in span{b, H b, ..., H^(t-1) b}, and the residual y - X w_t =
(I - eta X X^T/n)^t y in span{y, ..., (X X^T)^t y}. k steps of Golub and Kahan's bidiagonalisation, started at y, give
bases U, V of the two with X V = U B, B lower bidiagonal of shape (k+1, k) [textbook]: Lanczos on H from b, without its
squared condition number. With B = F diag(s) G^T, f = ||y|| F^T e_1 and l_i = s_i^2/n

    ||y - X w_t||^2 = SUM_i f_i^2 (1 - eta l_i)^(2t) + f_null^2                 a sum of squares: nothing cancels
    w_t = V G z,   z_i = [1 - (1 - eta l_i)^t]/l_i * s_i f_i/n                 exact for t <= k         [derived here]

The products with X take most of the time. Three things save it.

- Few directions. Let M = max |1 - eta l| over the spectrum, and S_t a sum of t independent, symmetric steps from
  {-1, 0, 1}. The terms of (1 - eta l)^t of Chebyshev degree j and more add up to at most M^t P(|S_t| >= j) <= M^t
  `share(t, j)` (Chernoff), whatever eta, so no residual of t steps has more than that share of ||y|| along direction j
  of U [derived here]. About 7 sqrt(t) directions are enough: the rest have a share below `_NEGLIGIBLE`.
- Late products in float32, from the direction on whose share is below `_LIGHT`: an error in them counts by the share.
  Both together move a run by some 1e-9 M^t ||y|| at most, and by a tenth of that as a rule: the bounds are not tight.
- No re-orthogonalisation. Where rounding leaves X V = U B + E and X^T U = V B^T + E', a run of B, mapped by V, misses a
  step of descent on X by (eta/n) (E' q - X^T E z), q and z its residual and coordinates: it is the run on X up to
  rounding, whether or not V is orthonormal [derived here]. That ||q|| and ||z|| are the lengths of U q and V z then is
  due to Greenbaum: rounded B is what exact arithmetic finds for a spectrum within rounding of that of X [textbook].

All functions take a batch of tasks along the first axis, as numpy arrays or as torch tensors on any device.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Batch = Any
"""numpy array or torch tensor, one task per entry of the first axis."""

_LIGHT = 1e-2  # products for directions of a smaller share are in float32; 6e-8 of it is 6e-10
_NEGLIGIBLE = 2e-9  # directions of a smaller share are left out


@dataclass(frozen=True, eq=False)
class Krylov:
    """A batch of m runs in k Krylov coordinates.

    Attributes:
        eigenvalues: l_i, shape (m, k).
        residual: f_i, component of the labels along each direction, (m, k).
        remainder: f_null^2, what no step ever fits, (m,).
        gains: s_i/n, what a unit of residual adds to minus the gradient along each direction, (m, k).
    """

    eigenvalues: Batch
    residual: Batch
    remainder: Batch
    gains: Batch


@dataclass(frozen=True, eq=False)
class Directions:
    """k directions in weight space for each of m runs: w_t is SUM_i z_i direction_i.

    They are orthonormal only as far as rounding lets the bases be; nothing but this sum may be relied on.

    Attributes:
        rotation: shape (m, k, k), or None for the identity.
        rows: shape (m, k, d); the directions are rotation @ rows, a product that is seldom needed.
    """

    rotation: Batch | None
    rows: Batch

    def along(self, vectors: Batch) -> Batch:
        """<vector, direction>, shape (m, r, k), for vectors of shape (m, r, d) or (r, d)."""
        products = vectors @ cast(self.rows.swapaxes(-1, -2), vectors.dtype)
        return products if self.rotation is None else products @ cast(self.rotation.swapaxes(-1, -2), vectors.dtype)

    def matrix(self) -> Batch:
        """The directions as columns, shape (m, d, k)."""
        rows = self.rows if self.rotation is None else self.rotation @ self.rows
        return rows.swapaxes(-1, -2)


def project(features: Batch, labels: Batch, steps: int, samples: int | None = None) -> tuple[Krylov, Directions]:
    """Reduce a batch of tasks to what `steps` steps of gradient descent see of them.

    From two thirds of the rank on, a singular value decomposition is cheaper than that many directions, and is used.

    Args:
        features: X, shape (m, n, d); in float32 the products with X are float32 and the rest float64.
        labels: y, shape (m, n).
        steps: largest number of steps t_max that will be asked for.
        samples: the n of H = X^T X/n, if it is not the number of rows.

    """
    xp, size = namespace(features), first_direction(steps, _NEGLIGIBLE)
    if 3 * size >= 2 * min(features.shape[1:]):
        left, values, rows = xp.linalg.svd(cast(features, np.float64), full_matrices=False)
        directions, residual = Directions(None, rows), (labels[:, None, :] @ left)[:, 0]
        remainder = ((labels - (left @ residual[..., None])[..., 0]) ** 2).sum(-1)
    else:
        bidiagonal, rows = bidiagonalise(features, labels, size, first_direction(steps, _LIGHT))
        left, values, right = xp.linalg.svd(bidiagonal, full_matrices=True)
        components = xp.sqrt((labels * labels).sum(-1))[:, None] * left[:, 0, :]
        directions, residual, remainder = Directions(right, rows), components[:, :-1], components[:, -1] ** 2
    count = samples or features.shape[1]
    return Krylov(values * values / count, residual, remainder, values / count), directions


def bidiagonalise(features: Batch, labels: Batch, size: int, light: int | None = None) -> tuple[Batch, Batch]:
    """Golub-Kahan bidiagonalisation from y.

    If a space is exhausted early, the rest of the arrays is 0, which every formula above bears.

    Args:
        features: X, shape (m, n, d).
        labels: y, shape (m, n).
        size: k, number of directions.
        light: from this direction on products are in float32; None for never.

    Returns:
        B of shape (m, k+1, k), and V as rows, shape (m, k, d).
    """
    tasks, _, columns = features.shape
    right = zeros_beside(features, tasks, size, columns)
    bidiagonal = zeros_beside(features, tasks, size + 1, size)
    if tasks == 1 and isinstance(features, np.ndarray):
        _fill_one(features[0], labels[0], right[0], bidiagonal[0], light)
    else:
        _fill_all(features, labels, right, bidiagonal, light)
    return bidiagonal, right


def share(steps: int, direction: int) -> float:
    """2 exp(-t [(1+x) log(1+x) + (1-x) log(1-x)]/2) with x = j/t: a bound on P(|S_t| >= j) [textbook: Chernoff]."""
    x = direction / steps
    below = (1 - x) * math.log1p(-x) if x < 1 else 0.0
    return 2 * math.exp(-steps * ((1 + x) * math.log1p(x) + below) / 2)


def first_direction(steps: int, least: float) -> int:
    """The first direction whose share of any run of that many steps is below `least`; the number of steps if none."""
    return bisect_left(range(1, steps), True, key=lambda j: share(steps, j) < least) + 1


def _fill_one(features: Any, labels: Any, right: Any, bidiagonal: Any, light: int | None) -> None:
    """The recurrence for one task, in the fewest calls: beside two products with X, what a batch costs would show."""
    from scipy.linalg import get_blas_funcs  # imported here: it takes longer than the import of this package

    gemv, norm, scale = get_blas_funcs(("gemv", "nrm2", "scal"), (features,))
    column, row = labels.astype(features.dtype), right[0].astype(features.dtype)
    size, smallest, rounding = norm(column), 0.0, _rounding(features)
    scale(1 / size if size > 0 else 0.0, column)
    size = 0.0
    for step in range(len(right)):
        if step == light:
            features, column, row = (cast(array, np.float32) for array in (features, column, row))
            gemv, norm, scale = get_blas_funcs(("gemv", "nrm2", "scal"), (features,))
        row = gemv(1.0, features.T, column, -size, row)  # X^T u - beta v, X^T as the Fortran order of X
        size = norm(row)
        smallest = smallest or rounding * size
        size = size if size > smallest else 0.0
        scale(1 / size if size else 0.0, row)
        right[step], bidiagonal[step, step] = row, size
        column = gemv(1.0, features.T, row, -size, column, trans=1, overwrite_y=1)  # X v - alpha u
        size = norm(column)
        size = size if size > smallest else 0.0
        scale(1 / size if size else 0.0, column)
        bidiagonal[step + 1, step] = size


def _fill_all(features: Batch, labels: Batch, right: Batch, bidiagonal: Batch, light: int | None) -> None:
    """The recurrence for all tasks of a batch at once."""
    before, (vector, size) = right[:, :1] * 0, _normalise(labels[:, None, :], 0.0)
    rounding, smallest = _rounding(features), right[:, :1, :1] * 0
    for step in range(right.shape[1]):
        if step == light:
            features = cast(features, np.float32)
        image = cast(vector, features.dtype) @ features - size * before
        before, size = _normalise(image, smallest)
        if step == 0:
            smallest = rounding * size
        right[:, step], bidiagonal[:, step, step] = before[:, 0], size[:, 0, 0]
        image = (features @ cast(before.swapaxes(-1, -2), features.dtype)).swapaxes(-1, -2) - size * vector
        vector, size = _normalise(image, smallest)
        bidiagonal[:, step + 1, step] = size[:, 0, 0]


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
    """The array in another floating-point type, a numpy type or one of its own library; itself if it has that type."""
    if isinstance(array, np.ndarray):
        return array.astype(dtype, copy=False)
    torch = namespace(array)
    return array.to(dtype if isinstance(dtype, torch.dtype) else getattr(torch, np.dtype(dtype).name))


def zeros_beside(array: Batch, *shape: int) -> Batch:
    """float64 zeros where the array lives."""
    if isinstance(array, np.ndarray):
        return np.zeros(shape)
    return namespace(array).zeros(shape, dtype=namespace(array).float64, device=array.device)


def beside(array: Batch, values: Any) -> Batch:
    """`values` in float64 where the array lives."""
    if isinstance(array, np.ndarray):
        return np.asarray(values, dtype=np.float64)
    return namespace(array).as_tensor(values, dtype=namespace(array).float64, device=array.device)


def _normalise(vectors: Batch, smallest: Any) -> tuple[Batch, Batch]:
    """Unit vectors (m, 1, d) and their lengths (m, 1, 1); 0 and 0 where the length is not above `smallest`."""
    size = (vectors @ vectors.swapaxes(-1, -2)) ** 0.5
    kept = size > smallest
    return vectors * (kept / (size + ~kept)), size * kept
