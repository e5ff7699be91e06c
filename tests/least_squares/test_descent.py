"""The runs in Krylov coordinates against plain gradient descent, exact rationals and the eigendecomposition."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.least_squares import descent
from l2o_theory.least_squares.descent import Runs, runs_of
from l2o_theory.least_squares.tasks import Array, Task, TaskDistribution
from l2o_theory.least_squares.trajectories import freeze_radius, gradient_descent

SIZES = np.array([1e-3, 0.03, 0.1, 0.3, 0.8, 3.0])  # the last two or three are beyond stability
NEAR = 1e-9  # the bar; plain GD itself rounds at each of its steps


def walk(
    train: Task, held_out: Task | None, eta: float, steps: list[int], freeze: float | None
) -> dict[str, list[Any]]:
    """The slow route: every iterate."""
    run = gradient_descent(train, eta, steps[-1], freeze=freeze)
    found: dict[str, list[Any]] = {"train_loss": [], "risk": [], "frozen": [], "validation_loss": []}
    for step in steps:
        w = run.weights[step]
        found["train_loss"].append(((train.labels - train.features @ w) ** 2).mean() / 2)
        found["risk"].append(train.risk(w))
        found["frozen"].append(run.frozen_at is not None and run.frozen_at <= step)
        if held_out is not None:
            found["validation_loss"].append(((held_out.labels - held_out.features @ w) ** 2).mean() / 2)
    return found


def compare(runs: Runs, train: Task, held_out: Task | None, steps: list[int], freeze: float | None) -> dict[str, Array]:
    found = runs.measure(SIZES, np.array(steps), freeze_radius(freeze, train.noise))
    for i, eta in enumerate(SIZES):
        for name, values in walk(train, held_out, float(eta), steps, freeze).items():
            if values:
                np.testing.assert_allclose(found[name][0, i], values, rtol=NEAR, atol=1e-28, err_msg=f"{name} {eta}")
    return found


@pytest.mark.parametrize("freeze", [40.0, None])
@pytest.mark.parametrize("noise", [0.1, 1.0, 3.0])
@pytest.mark.parametrize(
    ("dimension", "samples", "last"), [(50, 30, 9), (20, 60, 7), (30, 30, 18), (12, 8, 40), (50, 46, 35)]
)
def test_all_step_sizes_and_horizons_match_plain_descent(
    dimension: int, samples: int, last: int, noise: float, freeze: float | None
) -> None:
    task = TaskDistribution(dimension, noise).task(samples, seed=1, index=2)
    train, held_out = task.split(samples // 2, samples // 2)
    steps = [1, 2, 3, 6, last]
    radius = freeze_radius(freeze, noise)
    whole = compare(runs_of([task], last, radius), task, None, steps, freeze)
    split = compare(runs_of([train], last, radius, [held_out]), train, held_out, steps, freeze)
    assert whole["train_loss"].shape == split["validation_loss"].shape == (1, 6, 5)
    assert whole["frozen"].any() == (freeze is not None)
    top = np.linalg.eigvalsh(task.features.T @ task.features / samples)[-1]
    # a Ritz value is at most the eigenvalue, so what is said to diverge does
    assert not (whole["diverges"][0] & (SIZES * top <= 2)).any()
    assert whole["diverges"][0, -1]


def test_the_planted_faults_are_seen() -> None:
    task = TaskDistribution(50, 1.0).task(30, seed=1)
    runs, steps = runs_of([task], 9, None), np.array([9])
    right = runs.measure(SIZES, steps, None)["train_loss"]
    short = runs_of([task], 8, None).measure(SIZES, steps, None)["train_loss"]  # a Krylov space one step too small
    late = runs.measure(SIZES, np.array([10]), None)["train_loss"]
    wanted = [walk(task, None, float(eta), [9], None)["train_loss"][0] for eta in SIZES]
    np.testing.assert_allclose(right[0, :, 0], wanted, rtol=NEAR)
    assert not np.allclose(short[0, -1, 0], wanted[-1], rtol=NEAR)
    assert not np.allclose(late[0, :, 0], wanted, rtol=NEAR)


def test_exact_rationals() -> None:
    features = [[1, 2, 0], [Fraction(-1, 2), 1, 1], [3, Fraction(1, 4), -1], [0, 1, 2]]
    labels, star = [1, Fraction(-3, 2), 2, 1], [Fraction(2, 3), Fraction(1, 3), Fraction(2, 3)]
    task = Task(*(np.array(part, dtype=float) for part in (features, labels, star)), 1.0, np.eye(3)[0])
    for eta in (Fraction(1, 8), Fraction(3, 4)):
        weights = [Fraction(0)] * 3
        found = runs_of([task], 12, None).measure(np.array([float(eta)]), np.arange(1, 13), None)
        for step in range(12):
            errors = [
                y - sum(a * w for a, w in zip(x, weights, strict=True)) for x, y in zip(features, labels, strict=True)
            ]
            moves = [sum(e * x[j] for e, x in zip(errors, features, strict=True)) / 4 for j in range(3)]
            weights = [w + eta * move for w, move in zip(weights, moves, strict=True)]
            rest = [
                y - sum(a * w for a, w in zip(x, weights, strict=True)) for x, y in zip(features, labels, strict=True)
            ]
            loss = sum(r * r for r in rest) / 8
            risk = sum((w - s) ** 2 for w, s in zip(weights, star, strict=True))
            assert found["train_loss"][0, 0, step] == pytest.approx(float(loss), rel=1e-12)
            assert found["risk"][0, 0, step] == pytest.approx(float(risk), rel=1e-12)


def test_the_eigendecomposition_route_is_the_same() -> None:
    task = TaskDistribution(40, 0.5).task(30, seed=4)
    values, vectors = np.linalg.eigh(task.features.T @ task.features / 30)
    slopes = vectors.T @ (task.features.T @ task.labels) / 30
    steps = np.array([1, 5, 12])
    krylov = runs_of([task], 12, None).measure(SIZES, steps, None)
    dense = runs_of([task], 400, None).measure(SIZES, steps, None)
    for i, eta in enumerate(SIZES):
        for j, t in enumerate(steps):
            factor = np.where(values > 1e-12, (1 - (1 - eta * values) ** t) / np.maximum(values, 1e-12), eta * t)
            weights = vectors @ (factor * slopes)
            loss = ((task.labels - task.features @ weights) ** 2).mean() / 2
            for route in (krylov, dense):
                assert route["train_loss"][0, i, j] == pytest.approx(loss, rel=NEAR)
                assert route["risk"][0, i, j] == pytest.approx(float(task.risk(weights)), rel=NEAR)


def test_far_horizons_by_squaring() -> None:
    task = TaskDistribution(12, 1.0).task(30, seed=4)
    runs = runs_of([task], 100_003, None)
    sparse = runs.measure(np.array([0.01, 0.3]), np.array([7, 1000, 100_003]), None)
    fit = np.linalg.lstsq(task.features, task.labels, rcond=None)[0]
    # slowest eigenvalue above 0.1, so (1 - 0.001)^100003 is below 1e-43: the run has arrived at the least squares fit
    np.testing.assert_allclose(sparse["risk"][0, :, 2], task.risk(fit), rtol=NEAR)
    wanted = walk(task, None, 0.01, [7, 1000], None)
    np.testing.assert_allclose(sparse["train_loss"][0, 0, :2], wanted["train_loss"], rtol=NEAR)


def test_a_covariance_measures_the_risk_in_its_own_norm() -> None:
    covariance = np.diag([4.0, 1.0, 0.25, 0.0])
    task = TaskDistribution(4, 1.0, covariance).task(20, seed=4)
    steps = [1, 2, 9]
    found = compare(runs_of([task], 9, None), task, None, steps, None)
    plain = gradient_descent(task, 0.1, 9, freeze=None).weights[9] - task.w_star
    assert found["risk"][0, 2, 2] != pytest.approx(float(plain @ plain), rel=1e-3)  # the planted fault: no covariance


def test_values_beyond_the_float_range_are_inf() -> None:
    task = TaskDistribution(12, 1.0).task(30, seed=4)
    found = runs_of([task], 400, None, [task]).measure(np.array([0.1, 1e3]), np.array([1, 400]), None)
    for name in ("train_loss", "risk", "validation_loss"):
        assert np.isfinite(found[name][0, 0]).all()
        assert np.isfinite(found[name][0, 1, 0])
        assert found[name][0, 1, 1] == np.inf
    np.testing.assert_array_equal(found["diverges"], [[False, True]])


def test_batches_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [TaskDistribution(20, 1.0).task(15, seed=4, index=k) for k in range(3)]
    alone = [runs_of([task], 6, 40.0) for task in tasks]
    steps = np.arange(1, 7)
    joined = Runs.joined(alone).measure(SIZES, steps, 40.0)
    together = runs_of(tasks, 6, 40.0).measure(SIZES, steps, 40.0)
    monkeypatch.setattr("l2o_theory.least_squares.descent._BLOCK", 1)
    blocked = Runs.joined(alone).measure(SIZES, steps, 40.0)
    for name, values in joined.items():
        np.testing.assert_allclose(together[name], values, rtol=NEAR)
        # another block is another shape of matrix product, which may sum in another order
        np.testing.assert_allclose(blocked[name], values, rtol=1e-12)


def test_torch_gives_the_same_numbers() -> None:
    task = TaskDistribution(20, 1.0, np.diag(np.linspace(0, 2, 20))).task(20, seed=4)
    train, held_out = task.split(10, 10)
    steps = np.array([1, 2, 5])
    wanted = runs_of([train], 5, 40.0, [held_out]).measure(SIZES, steps, 40.0)
    place = torch.device("cpu")  # a torch device object: the same calls as on a GPU
    runs = runs_of([train], 5, 40.0, [held_out], device=place)  # type: ignore[arg-type]
    assert isinstance(runs.krylov.residual, torch.Tensor)
    found = runs.measure(SIZES, steps, 40.0)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=NEAR)


@pytest.mark.parametrize("shape", ["wide", "tall", "covariance"])
@pytest.mark.parametrize("last", [5, 40])
def test_every_tensor_lives_on_the_device(shape: str, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # "meta" tensors have a place and no numbers, and refuse company from another place, as those on a GPU do
    monkeypatch.setattr(descent, "_to_numpy", lambda tensor: tensor)
    law = TaskDistribution(10 if shape == "tall" else 60, 1.0, np.eye(60) if shape == "covariance" else None)
    trained, held_out = zip(*[law.task(40, seed=4, index=k).split(20, 20) for k in range(3)], strict=True)
    runs = runs_of(trained, last, 40.0, held_out, device="meta")
    for radius in (40.0, None):
        found = runs._block(SIZES, np.array([1, 5]), radius)
        assert {tensor.device.type for tensor in found.values()} == {"meta"}
        assert found["validation_loss"].shape == (3, 6, 2)
    monkeypatch.setattr(descent, "beside", lambda _, values: torch.as_tensor(values))  # the planted fault
    with pytest.raises(RuntimeError, match="device"):
        runs._block(SIZES, np.array([1, 5]), None)


@pytest.mark.gpu
def test_cuda_gives_the_same_numbers() -> None:
    tasks = [TaskDistribution(20, 1.0).task(20, seed=4, index=k) for k in range(3)]
    steps = np.array([1, 2, 5])
    wanted = runs_of(tasks, 5, 40.0).measure(SIZES, steps, 40.0)
    found = runs_of(tasks, 5, 40.0, device="cuda").measure(SIZES, steps, 40.0)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=NEAR)


def test_a_radius_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="switch it off"):
        freeze_radius(40.0, 0.0)
