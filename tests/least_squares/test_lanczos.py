"""Bidiagonalisation: its defining identities, how little of it is enough, early breakdown, both routes to the runs."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from l2o_theory.least_squares import lanczos
from l2o_theory.least_squares.descent import runs_of
from l2o_theory.least_squares.lanczos import (
    Directions,
    Krylov,
    bidiagonalise,
    first_direction,
    join,
    project,
    share,
)
from l2o_theory.least_squares.tasks import Array, Task, TaskDistribution


def draw(seed: int, tasks: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((tasks, rows, columns)), rng.standard_normal((tasks, rows))


def recurrence(features: Array, labels: Array, right: Array, bidiagonal: Array) -> Array:
    """U as columns, from its own recursion."""
    left = [labels / np.linalg.norm(labels)]
    for j in range(len(right)):
        rest = features @ right[j] - bidiagonal[j, j] * left[j]
        assert np.linalg.norm(rest) == pytest.approx(bidiagonal[j + 1, j], rel=1e-11)
        left.append(rest / bidiagonal[j + 1, j])
    return np.stack(left, 1)


@pytest.mark.parametrize(("rows", "columns", "size"), [(30, 50, 9), (50, 20, 12), (40, 40, 25)])
def test_the_factorisation_holds(rows: int, columns: int, size: int) -> None:
    features, labels = draw(1, 3, rows, columns)
    bidiagonal, right = bidiagonalise(features, labels, size)
    for X, y, B, V in zip(features, labels, bidiagonal, right, strict=True):
        U = recurrence(X, y, V, B)
        np.testing.assert_allclose(X @ V.T, U @ B, atol=1e-13 * 20)  # eps times norms below 20
        np.testing.assert_allclose((X.T @ U)[:, :-1], (V.T @ B.T)[:, :-1], atol=1e-13 * 20)
        np.testing.assert_allclose(np.linalg.norm(V, axis=1), 1, rtol=1e-14)
        assert (np.tril(B, -2) == 0).all()
        assert (np.triu(B, 1) == 0).all()
        assert not np.allclose(X @ V.T, U @ (B * 1.0000001), rtol=0, atol=1e-13 * 20)  # the planted fault
    np.testing.assert_allclose(right[:, :9] @ right[:, :9].swapaxes(1, 2), np.tile(np.eye(9), (3, 1, 1)), atol=1e-12)


def hard(case: str, seed: int = 0) -> tuple[Task, Array]:
    """A task on which the plain recurrence loses all orthogonality, or ends early; and its eigenvalues."""
    rng = np.random.default_rng(seed)
    rows, columns = 150, 200
    values = {
        "outliers": np.r_[1000, 100, 50, 20, np.linspace(0.2, 4, rows - 4)],
        "repeated": np.repeat([10.0, 5.0, 2.0, 1.0, 0.5], 30),
        "clusters": np.repeat([10.0, 1.0, 0.1], 50) * (1 + 1e-9 * rng.standard_normal(rows)),
        "geometric": np.geomspace(1, 1e-8, rows),
        "rank 5": np.r_[np.geomspace(10, 1, 5), np.zeros(rows - 5)],
        "rank 30": np.r_[np.linspace(4, 0.2, 30), np.zeros(rows - 30)],
    }[case]
    left, right = (np.linalg.qr(rng.standard_normal((size, rows)))[0] for size in (rows, columns))
    features = (left * np.sqrt(rows * values)) @ right.T
    star, direction = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, columns)))
    return Task(features, features @ star + rng.standard_normal(rows), star, 1.0, direction), values


def plain_descent(task: Task, eta: float, steps: int) -> Array:
    """Training loss and distance to w* by the definition, shape (2, steps)."""
    weights, found = np.zeros(task.dimension), []
    for _ in range(steps):
        weights = weights + eta / task.samples * (task.labels - task.features @ weights) @ task.features
        loss = np.mean((task.labels - task.features @ weights) ** 2) / 2
        found.append((loss, np.sum((weights - task.w_star) ** 2)))
    return np.array(found).T


def worst(task: Task, values: Array, steps: int) -> float:
    """The largest relative error at stable, best and slightly unstable step sizes."""
    low, high = values[values > 1e-12].min(), values.max()
    etas = np.array([0.01 / high, 1 / high, 1.9 / high, 2 / (high + low), 2.05 / high])
    found = runs_of([task], steps, None).measure(etas, np.arange(1, steps + 1), None)
    wanted = np.stack([plain_descent(task, float(eta), steps) for eta in etas])
    return float(max(np.abs(found[name][0] / wanted[:, i] - 1).max() for i, name in enumerate(("train_loss", "risk"))))


HARD = ["outliers", "repeated", "clusters", "geometric", "rank 5", "rank 30"]


@pytest.mark.parametrize("case", HARD)
def test_no_orthogonality_is_needed(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task, values = hard(case)
    assert worst(task, values, 40) < 1e-10  # float32 and missing directions
    monkeypatch.setattr(lanczos, "_NEGLIGIBLE", 0.0)
    monkeypatch.setattr(lanczos, "_LIGHT", 0.0)
    assert worst(task, values, 40) < 1e-11  # rounding of 40 steps that grow up to 2.05/high


def test_the_bases_are_lost_indeed() -> None:
    # so that the test above says something; and the planted fault: lengths that trust the basis
    task, _ = hard("outliers")
    bidiagonal, right = bidiagonalise(task.features[None], task.labels[None], 38)
    assert np.abs(right[0] @ right[0].T - np.eye(38)).max() > 0.5
    directions = Directions(None, right)
    along = directions.along(task.w_star[None, None])[0, 0]
    outside = task.w_star - along @ right[0]
    assert abs(outside @ outside + along @ along - 1) > 1e-3
    assert bidiagonal.shape == (1, 39, 38)


@pytest.mark.parametrize(("name", "value"), [("_LIGHT", 0.9), ("_NEGLIGIBLE", 1e-4)])
@pytest.mark.parametrize("copies", [1, 2])  # one task and a batch have a route each
def test_the_limits_are_needed(name: str, value: float, copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    task = TaskDistribution(120, 1.0).task(100, seed=1)
    low, high = np.linalg.svd(task.features, compute_uv=False)[[-1, 0]] ** 2 / 100
    etas, steps = np.array([2 / (low + high)]), np.arange(1, 41)

    def error() -> float:
        found = runs_of([task] * copies, 40, None).measure(etas, steps, None)
        wanted = plain_descent(task, float(etas[0]), 40)
        return float(np.abs(found["risk"][-1, 0] / wanted[1] - 1).max())

    assert error() < 1e-10
    monkeypatch.setattr(lanczos, name, value)
    assert error() > 1e-9


@pytest.mark.parametrize("rest", [Fraction(0), Fraction(1, 3), Fraction(4, 5)])
def test_the_share_bounds_the_tail_of_a_walk(rest: Fraction) -> None:
    law = {0: Fraction(1)}
    for steps in range(1, 41):
        new: dict[int, Fraction] = {}
        for place, mass in law.items():
            for move, weight in ((0, rest), (-1, (1 - rest) / 2), (1, (1 - rest) / 2)):
                new[place + move] = new.get(place + move, Fraction(0)) + mass * weight
        law = new
        for j in range(1, steps + 1):
            tail = sum(mass for place, mass in law.items() if abs(place) >= j)
            assert tail <= share(steps, j) * (1 + 1e-12)  # rounding of the bound
            if rest == 0 and j == steps:
                assert tail > share(steps, j) * 0.999  # the planted fault: a bound 0.1 percent smaller is none


@given(
    values=st.lists(st.floats(0, 1), min_size=1, max_size=60),
    eta=st.floats(0.01, 3),
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 30),
)
@example(values=[(1 - math.cos(math.pi * (i + 0.5) / 60)) / 2 for i in range(60)], eta=2.0, seed=0, steps=30)
def test_no_run_has_more_than_its_share(values: list[float], eta: float, seed: int, steps: int) -> None:
    features = np.diag(np.sqrt(values))
    labels = np.random.default_rng(seed).standard_normal(len(values))
    bidiagonal, _ = bidiagonalise(features[None], labels[None], steps)
    residual, matrix = np.eye(steps + 1)[0], bidiagonal[0] @ bidiagonal[0].T
    growth = max(abs(1 - eta * value) for value in [0.0, *values])
    for t in range(1, steps + 1):
        residual = residual - eta * matrix @ residual
        bounds = [growth**t * share(t, j) if j <= t else 0.0 for j in range(1, steps + 1)]
        assert (np.abs(residual[1:]) <= np.array(bounds) + 1e-12 * growth**t).all()  # rounding


def test_the_first_direction_of_a_small_share() -> None:
    for steps in (1, 2, 7, 40, 1000):
        found = first_direction(steps, 1e-6)
        assert found == steps or share(steps, found) < 1e-6
        assert found == 1 or share(steps, found - 1) >= 1e-6
    assert first_direction(10**12, 1e-6) < 10**7  # found by bisection


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("case", ["rank", "eigenvector", "zero labels", "orthogonal labels"])
def test_early_breakdown_leaves_zeros(case: str, copies: int) -> None:
    rng = np.random.default_rng(2)
    basis, _ = np.linalg.qr(rng.standard_normal((30, 3)))
    features = basis @ rng.standard_normal((3, 40))
    labels = rng.standard_normal(30)
    if case == "eigenvector":
        labels = np.linalg.svd(features)[0][:, 0]
    elif case == "zero labels":
        labels = np.zeros(30)
    elif case == "orthogonal labels":
        labels = labels - basis @ (basis.T @ labels)
    bidiagonal, right = bidiagonalise(features[None].repeat(copies, 0), labels[None].repeat(copies, 0), 12)
    kept = {"rank": 3, "eigenvector": 1, "zero labels": 0, "orthogonal labels": 0}[case]
    coupled = np.abs(bidiagonal[0]).max()
    if case == "orthogonal labels":  # rounding leaves X^T y near 1e-15: a direction that carries no weight
        assert bidiagonal[0, 0, 0] < 1e-13
        krylov, _ = project(features[None], labels[None], 12)
        assert np.abs(krylov.gains * krylov.residual).max() < 1e-13
        return
    np.testing.assert_allclose(right[0, :kept] @ right[0, :kept].T, np.eye(kept), atol=1e-12)
    # after the last true direction the coupling is rounding: nothing of y reaches further
    assert abs(bidiagonal[0, kept, kept]) <= 1e-12 * max(coupled, 1)
    assert np.isfinite(right).all()


@pytest.mark.parametrize(("rows", "columns"), [(60, 80), (80, 50)])
def test_both_routes_give_the_same_moments(rows: int, columns: int) -> None:
    features, labels = draw(3, 2, rows, columns)
    krylov, directions = project(features, labels, 8)
    whole, everything = project(features, labels, 10_000)
    assert directions.rows.shape[1] == 8
    assert everything.rows.shape[1] == min(rows, columns)
    # y^T K^j y for j <= 2k: what k steps know; K has norm about 5, so powers up to 5^16 lose nothing relative
    for power in range(17):
        moments = [
            (part.residual**2 * part.eigenvalues**power).sum(1) + (part.remainder if power == 0 else 0)
            for part in (krylov, whole)
        ]
        gram = features @ features.swapaxes(1, 2) / rows
        exact = [y @ np.linalg.matrix_power(k, power) @ y for y, k in zip(labels, gram, strict=True)]
        np.testing.assert_allclose(moments[0], exact, rtol=1e-11)
        np.testing.assert_allclose(moments[1], exact, rtol=1e-11)
    # the planted fault: one step fewer does not know the highest moments
    short, _ = project(features, labels, 7)
    assert not np.allclose((short.residual**2 * short.eigenvalues**16).sum(1), exact, rtol=1e-11)
    for part, matrix in ((krylov, directions.matrix()), (whole, everything.matrix())):
        np.testing.assert_allclose(gradient(part, matrix), (labels[:, None] @ features)[:, 0] / rows, atol=1e-13)


def test_one_task_and_a_batch_are_bidiagonalised_alike() -> None:
    features, labels = draw(6, 2, 40, 60)
    together = bidiagonalise(features, labels, 12)
    for k in range(2):
        alone = bidiagonalise(features[k : k + 1], labels[k : k + 1], 12)
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_[k], rtol=0, atol=1e-12)  # another order of sums, norms below 15
        assert not np.allclose(alone[0][0], together[0][1 - k])  # the planted fault: the other task


def test_torch_tensors_take_the_same_route() -> None:
    features, labels = draw(4, 3, 30, 40)
    for steps in (6, 40):
        ours, basis = project(features, labels, steps)
        theirs, tensors = project(torch.from_numpy(features), torch.from_numpy(labels), steps)
        assert isinstance(theirs.eigenvalues, torch.Tensor)
        np.testing.assert_allclose(theirs.eigenvalues.numpy(), ours.eigenvalues, rtol=1e-10, atol=1e-12)
        found, wanted = gradient(theirs, tensors.matrix()).numpy(), gradient(ours, basis.matrix())
        np.testing.assert_allclose(found, wanted, atol=1e-12)  # free of the signs of singular vectors


def gradient(krylov: Krylov, directions: Any) -> Any:
    """b = X^T y/n from its coordinates."""
    return (directions @ (krylov.gains * krylov.residual)[..., None])[..., 0]


def test_batches_join() -> None:
    features, labels = draw(5, 4, 10, 12)
    whole, _ = project(features, labels, 3)
    parts = [project(features[k : k + 1], labels[k : k + 1], 3)[0] for k in range(4)]
    joined = join(parts)
    assert isinstance(joined, Krylov)
    np.testing.assert_allclose(joined.eigenvalues, whole.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(joined.remainder, whole.remainder, rtol=1e-10)
