"""Gradient descent in Krylov coordinates: every step size and every horizon of a batch of runs at once.

With r = 1 - eta l the coordinates are z_t = [1 - r^t]/l * h, where h are the slopes. From one horizon to the next, a
steps later,

    r^(t+a) = r^t r^a,      z_(t+a) = z_t + r^t z_a,      z_2a = z_a (1 + r^a),      z_1 = eta h

so that nothing is divided by an eigenvalue, however small, and nothing cancels for eta l <= 1.          [derived here]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2o_theory.least_squares.lanczos import Batch, Krylov, cast, join, namespace, project, zeros_beside
from l2o_theory.least_squares.tasks import Array, Task

_BLOCK = 2**16  # entries of a work array, so that a handful of them stay in a processor's cache


@dataclass(frozen=True, eq=False)
class Form:
    """The quadratic form scale * (||factor z - target||^2 + rest) of Krylov coordinates z, for a batch of m runs.

    Attributes:
        factor: shape (m, r, k), or None for the identity.
        target: shape (m, r).
        rest: shape (m,).
        scale: shape (m,).
    """

    factor: Batch | None
    target: Batch
    rest: Batch
    scale: Batch

    def over(self, count: int) -> Callable[[Batch], Batch]:
        """The function that maps coordinates of shape (m, p, k) to values of shape (m, p), for p = `count`."""
        target = _spread(self.target, count)

        def values(coordinates: Batch) -> Batch:
            image = coordinates if self.factor is None else coordinates @ self.factor.swapaxes(-1, -2)
            return self.scale[:, None] * (_squared_norms(image - target) + self.rest[:, None])

        return values


@dataclass(frozen=True, eq=False)
class Runs:
    """A batch of m runs, one for each task: what gradient descent sees, and what is measured of it.

    Attributes:
        krylov: the runs in their Krylov coordinates.
        samples: n, number of training samples.
        forms: quantities measured besides the training loss, by name.
        frozen: value, of shape (m,), of each quantity on the sphere where frozen runs are put.
    """

    krylov: Krylov
    samples: int
    forms: Mapping[str, Form]
    frozen: Mapping[str, Batch]

    @classmethod
    def joined(cls, parts: list[Runs]) -> Runs:
        """The runs of all parts as one batch."""
        first = parts[0]
        xp = namespace(first.krylov.residual)
        return cls(
            join([part.krylov for part in parts]),
            first.samples,
            {name: join([part.forms[name] for part in parts]) for name in first.forms},
            {name: xp.concatenate([part.frozen[name] for part in parts]) for name in first.frozen},
        )

    def measure(self, step_sizes: Array, steps: Array, radius: float | None) -> dict[str, Array]:
        """The training loss and all forms at p step sizes and q horizons.

        Args:
            step_sizes: shape (p,).
            steps: rising horizons, shape (q,); all steps up to the last are walked if the freeze rule is on, and
                log2 of each gap otherwise.
            radius: norm at which a run is frozen; None for never.

        Returns:
            float64 arrays of shape (m, p, q) by name, "train_loss" among them, and the booleans "frozen" (m, p, q)
            and "diverges" (m, p). Beyond the float range a value is inf.
        """
        tasks, rank = self.krylov.eigenvalues.shape
        block = max(1, _BLOCK // (tasks * rank))
        parts = [
            self._block(step_sizes[begin : begin + block], steps, radius) for begin in range(0, len(step_sizes), block)
        ]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def _block(self, step_sizes: Array, steps: Array, radius: float | None) -> dict[str, Array]:
        krylov, xp = self.krylov, namespace(self.krylov.residual)
        sizes = zeros_beside(krylov.residual, len(step_sizes)) + xp.asarray(step_sizes).reshape(-1)
        decay = 1 - sizes[:, None] * krylov.eigenvalues[:, None, :]
        first = sizes[:, None] * krylov.slopes[:, None, :]
        squares, constant = (krylov.residual**2)[..., None], krylov.remainder[:, None]
        stopped = zeros_beside(decay, *decay.shape[:2]) > 0
        wanted = set(steps.tolist())
        forms = {name: form.over(len(step_sizes)) for name, form in self.forms.items()}
        columns: dict[str, list[Any]] = {name: [] for name in ("train_loss", "frozen", *self.forms)}
        with np.errstate(over="ignore", invalid="ignore"):  # diverging runs leave the float range; that is reported
            for step, power, coordinates in _walk(decay, first, steps, one_by_one=radius is not None):
                if radius is not None:
                    # written so that NaN, from inf - inf, counts as far away
                    stopped = stopped | ~(_squared_norms(coordinates) < radius**2)
                if step not in wanted:
                    continue
                loss = (((power * power) @ squares)[..., 0] + constant) / (2 * self.samples)
                columns["train_loss"].append(loss)
                for name, values in forms.items():
                    columns[name].append(values(coordinates))
                columns["frozen"].append(stopped)
        found = {name: xp.stack(entries, -1) for name, entries in columns.items()}
        for name in ("train_loss", *self.forms):
            found[name] = xp.nan_to_num(found[name], nan=math.inf, posinf=math.inf)
            if radius is not None:
                found[name] = xp.where(found["frozen"], self.frozen[name][:, None, None], found[name])
        found["diverges"] = (decay < -1).any(-1)
        return {name: _to_numpy(array) for name, array in found.items()}


def runs_of(
    tasks: Sequence[Task], steps: int, radius: float | None, held_out: Sequence[Task] = (), device: str = "cpu"
) -> Runs:
    """The runs on a batch of tasks, with their excess risk and, if samples are held out, the loss on those.

    Args:
        tasks: the training samples; all of one shape.
        steps: largest horizon that will be measured.
        radius: norm of the freeze rule, or None.
        held_out: for each task the validation samples, or nothing.
        device: "cpu" for numpy arrays, else the torch device that holds the tensors.
    """
    krylov, basis = project(_gather(tasks, "features", device), _gather(tasks, "labels", device), steps)
    w_star, direction = (_gather(tasks, name, device) for name in ("w_star", "direction"))
    place = (radius or 0.0) * direction
    root = None if tasks[0].root is None else _placed(tasks[0].root, device)
    risk = _risk_form(basis, w_star, root)
    error = place - w_star if root is None else (place - w_star) @ root
    forms = {"risk": risk}
    frozen = {"train_loss": _half_mean_square(tasks, place, device), "risk": (error * error).sum(-1)}
    if held_out:
        features = _gather(held_out, "features", device)
        image = features @ cast(basis.swapaxes(-1, -2), features.dtype)
        forms["validation_loss"] = triangular_form(
            image, _gather(held_out, "labels", device), 1 / (2 * held_out[0].samples)
        )
        frozen["validation_loss"] = _half_mean_square(held_out, place, device)
    return Runs(krylov, tasks[0].samples, forms, frozen)


def triangular_form(matrix: Batch, vector: Batch, scale: float) -> Form:
    """scale * ||A z - c||^2 from the triangular factor of [A, c]: no moments are formed, so no digits are lost.

    Args:
        matrix: A, shape (m, r, k).
        vector: c, shape (m, r).
        scale: a positive number.
    """
    xp = namespace(vector)
    triangle = xp.linalg.qr(xp.concatenate([cast(matrix, np.float64), vector[..., None]], -1), mode="r")
    triangle = triangle if isinstance(triangle, np.ndarray) else triangle[1]  # torch returns an empty Q with it
    nothing = zeros_beside(vector, len(vector))
    return Form(triangle[..., :-1], triangle[..., -1], nothing, nothing + scale)


def _risk_form(basis: Batch, w_star: Batch, root: Batch | None) -> Form:
    if root is not None:
        return triangular_form(root @ basis.swapaxes(-1, -2), w_star @ root, 1.0)
    target = (basis @ w_star[..., None])[..., 0]
    outside = w_star - (target[:, None, :] @ basis)[:, 0]
    return Form(None, target, (outside * outside).sum(-1), zeros_beside(basis, len(basis)) + 1)


def _half_mean_square(tasks: Sequence[Task], weights: Batch, device: str) -> Batch:
    features = _gather(tasks, "features", device)
    error = _gather(tasks, "labels", device) - (features @ cast(weights[..., None], features.dtype))[..., 0]
    return (error * error).mean(-1) / 2


def _gather(tasks: Sequence[Task], name: str, device: str) -> Batch:
    arrays = [getattr(task, name) for task in tasks]
    return _placed(arrays[0][None] if len(arrays) == 1 else np.stack(arrays), device)  # [None] does not copy


def _placed(array: Array, device: str) -> Batch:
    if device == "cpu":
        return array
    import torch  # imported here: only a device other than the processor needs it

    return torch.as_tensor(array, device=device)


def _spread(vectors: Batch, count: int) -> Batch:
    """Rows (m, k) repeated to the shape (m, count, k): arrays of one shape are combined three times as fast."""
    return namespace(vectors).broadcast_to(vectors[:, None, :], (len(vectors), count, vectors.shape[1])) + 0.0


def _squared_norms(vectors: Batch) -> Batch:
    return namespace(vectors).einsum("mpk,mpk->mp", vectors, vectors)  # no array of squares in between


def _walk(decay: Batch, first: Batch, steps: Array, *, one_by_one: bool) -> Iterator[tuple[int, Batch, Batch]]:
    """(t, r^t, z_t) for each of the horizons, or for every t up to the last; `first` is z_1.

    The arrays yielded are changed in place by the next step: new ones would be driven through the processor's cache.
    """
    power, coordinates, change = decay * 0 + 1, decay * 0, decay * 0
    done, gap, stride = 0, 1, (decay, first)
    for horizon in range(1, int(steps[-1]) + 1) if one_by_one else steps.tolist():
        if horizon - done != gap:
            gap = horizon - done
            stride = _stride(decay, first, gap)
        coordinates += namespace(decay).multiply(power, stride[1], out=change)
        power *= stride[0]
        done = horizon
        yield horizon, power, coordinates


def _stride(decay: Batch, first: Batch, gap: int) -> tuple[Batch, Batch]:
    """r^gap and z_gap by squaring, from the highest binary digit down."""
    power, total = decay, first
    for digit in bin(gap)[3:]:
        power, total = power * power, total * (1 + power)
        if digit == "1":
            power, total = power * decay, total + power * first
    return power, total


def _to_numpy(array: Batch) -> Array:
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu().numpy())
