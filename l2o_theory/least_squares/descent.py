"""Gradient descent in Krylov coordinates: every step size and every horizon of a batch of runs at once.

With r = 1 - eta l and g the gains the residual is q_t = r^t f, the coordinates are z_t = y_t f, y_t = [1 - r^t]/l * g.
From one horizon to the next, a steps later,

    q_(t+a) = r^a q_t,      z_(t+a) = z_t + y_a q_t,      y_2a = y_a (1 + r^a),      y_1 = eta g

so that nothing is divided by an eigenvalue, however small, and nothing cancels for eta l <= 1.          [derived here]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2o_theory.least_squares.lanczos import (
    Batch,
    Directions,
    Krylov,
    beside,
    cast,
    join,
    namespace,
    project,
    zeros_beside,
)
from l2o_theory.least_squares.tasks import Array, Task

_BLOCK = 2**16  # entries of a work array, so that a handful of them stay in a processor's cache


@dataclass(frozen=True, eq=False)
class Form:
    """scale * ||factor z - target||^2 for a batch of m runs with Krylov coordinates z: nothing cancels.

    Attributes:
        factor: shape (m, r, k).
        target: shape (m, r).
        scale: shape (m,).
    """

    factor: Batch
    target: Batch
    scale: Batch

    def values(self, coordinates: Batch, squares: Batch) -> Batch:
        """For coordinates of shape (m, p, k) the values, shape (m, p); `squares` is for `Distance`."""
        image = coordinates @ self.factor.swapaxes(-1, -2)
        image -= self.target[:, None, :]
        return self.scale[:, None] * _squared_norms(image)


@dataclass(frozen=True, eq=False)
class Distance:
    """||w - w*||^2 = ||z||^2 - 2 <z, target> + size: cheap, and good to rounding relative to `size`.

    Attributes:
        target: <w*, direction> for each direction, shape (m, k).
        size: ||w*||^2, shape (m,).
    """

    target: Batch
    size: Batch

    def values(self, coordinates: Batch, squares: Batch) -> Batch:
        """For coordinates of shape (m, p, k) and their squared lengths (m, p) the values, shape (m, p)."""
        along = (coordinates @ self.target[..., None])[..., 0]
        return (squares - 2 * along + self.size[:, None]).clip(0.0)  # rounding may go below


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
    forms: Mapping[str, Form | Distance]
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
        sizes = beside(krylov.residual, step_sizes)
        decay = 1 - sizes[:, None] * krylov.eigenvalues[:, None, :]
        first = sizes[:, None] * krylov.gains[:, None, :]
        residual = xp.broadcast_to(krylov.residual[:, None, :], decay.shape) + 0.0
        stopped = zeros_beside(decay, *decay.shape[:2]) > 0
        wanted = set(steps.tolist())
        columns: dict[str, list[Any]] = {name: [] for name in ("train_loss", "frozen", *self.forms)}
        with np.errstate(over="ignore", invalid="ignore"):  # diverging runs leave the float range; that is reported
            for step, rest, coordinates in _walk(residual, decay, first, steps, one_by_one=radius is not None):
                squares = _squared_norms(coordinates)
                if radius is not None:
                    stopped = stopped | ~(squares < radius**2)  # so that NaN, from inf - inf, counts as far away
                if step not in wanted:
                    continue
                columns["train_loss"].append((_squared_norms(rest) + krylov.remainder[:, None]) / (2 * self.samples))
                for name, form in self.forms.items():
                    columns[name].append(form.values(coordinates, squares))
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
    krylov, directions = project(_gather(tasks, "features", device), _gather(tasks, "labels", device), steps)
    w_star, direction = (_gather(tasks, name, device) for name in ("w_star", "direction"))
    place = (radius or 0.0) * direction
    root = None if tasks[0].root is None else _placed(tasks[0].root, device)
    error = place - w_star if root is None else (place - w_star) @ root
    forms = {"risk": risk_form(directions, w_star, root, may_vanish=tasks[0].samples >= tasks[0].dimension)}
    frozen = {"train_loss": _half_mean_square(tasks, place, device), "risk": (error * error).sum(-1)}
    if held_out:
        features = _gather(held_out, "features", device)
        labels, scale = _gather(held_out, "labels", device), 1 / (2 * held_out[0].samples)
        forms["validation_loss"] = triangular_form(directions.along(features), labels, scale)
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
    return Form(triangle[..., :-1], triangle[..., -1], zeros_beside(vector, len(vector)) + scale)


def risk_form(directions: Directions, w_star: Batch, root: Batch | None, *, may_vanish: bool) -> Form | Distance:
    """The excess risk ||root (w - w*)||^2 of w = SUM_i z_i direction_i.

    Args:
        directions: k of them.
        w_star: shape (m, d).
        root: of the covariance, shape (d, d), or None for the identity.
        may_vanish: whether a run can learn all of w*; its distance to w* must not come out of a difference then.
    """
    if root is not None:
        return triangular_form(directions.along(root), w_star @ root, 1.0)
    if may_vanish:
        return triangular_form(directions.matrix(), w_star, 1.0)
    return Distance(directions.along(w_star[:, None, :])[:, 0], (w_star * w_star).sum(-1))


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


def _squared_norms(vectors: Batch) -> Batch:
    return namespace(vectors).einsum("mpk,mpk->mp", vectors, vectors)  # no array of squares in between


def _walk(
    residual: Batch, decay: Batch, first: Batch, steps: Array, *, one_by_one: bool
) -> Iterator[tuple[int, Batch, Batch]]:
    """(t, q_t, z_t) for each of the horizons, or for every t up to the last; `residual` is q_0, `first` is y_1.

    The arrays yielded are changed in place by the next step: new ones would be driven through the processor's cache.
    """
    coordinates, change = decay * 0, decay * 0
    done, gap, stride = 0, 1, (decay, first)
    for horizon in range(1, int(steps[-1]) + 1) if one_by_one else steps.tolist():
        if horizon - done != gap:
            gap = horizon - done
            stride = _stride(decay, first, gap)
        coordinates += namespace(decay).multiply(residual, stride[1], out=change)
        residual *= stride[0]
        done = horizon
        yield horizon, residual, coordinates


def _stride(decay: Batch, first: Batch, gap: int) -> tuple[Batch, Batch]:
    """r^gap and y_gap by squaring, from the highest binary digit down."""
    power, total = decay, first
    for digit in bin(gap)[3:]:
        power, total = power * power, total * (1 + power)
        if digit == "1":
            power, total = power * decay, total + power * first
    return power, total


def _to_numpy(array: Batch) -> Array:
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu().numpy())
