"""Bidiagonalisation: its defining identities, early breakdown, and the two routes to the same runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from l2o_theory.least_squares.lanczos import Krylov, bidiagonalise, join, project


def draw(seed: int, tasks: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((tasks, rows, columns)), rng.standard_normal((tasks, rows))


@pytest.mark.parametrize(("rows", "columns", "steps"), [(30, 50, 9), (50, 20, 12), (40, 40, 25)])
def test_the_factorisation_holds(rows: int, columns: int, steps: int) -> None:
    features, labels = draw(1, 3, rows, columns)
    bidiagonal, right = bidiagonalise(features, labels, steps)
    np.testing.assert_allclose(right @ right.swapaxes(1, 2), np.tile(np.eye(steps), (3, 1, 1)), atol=1e-13)
    # U from its own recursion, then X V = U B and U orthonormal: eps times norms below 20
    for k in range(3):
        left = [labels[k] / np.linalg.norm(labels[k])]
        for j in range(steps):
            rest = features[k] @ right[k, j] - bidiagonal[k, j, j] * left[j]
            assert np.linalg.norm(rest) == pytest.approx(bidiagonal[k, j + 1, j], rel=1e-11)
            left.append(rest / bidiagonal[k, j + 1, j])
        stacked = np.stack(left)
        np.testing.assert_allclose(stacked @ stacked.T, np.eye(steps + 1), atol=1e-11)
        np.testing.assert_allclose(features[k] @ right[k].T, stacked.T @ bidiagonal[k], atol=1e-11)
    below = np.tril(bidiagonal, -2), np.triu(bidiagonal, 1)
    assert all((part == 0).all() for part in below)


def test_without_reorthogonalisation_the_basis_is_lost() -> None:
    # the planted fault: a spectrum that makes the plain recurrence lose its orthogonality in 20 steps
    rng = np.random.default_rng(0)
    features = np.diag(np.geomspace(1, 1e-4, 40)) @ np.linalg.qr(rng.standard_normal((40, 40)))[0]
    labels = rng.standard_normal(40)
    left, size, right = labels / np.linalg.norm(labels), 0.0, np.zeros((26, 40))
    for j in range(25):
        new = features.T @ left - size * right[j - 1]
        right[j] = new / np.linalg.norm(new)
        rest = features @ right[j] - np.linalg.norm(new) * left
        size = float(np.linalg.norm(rest))
        left = rest / size
    assert np.abs(right[:25] @ right[:25].T - np.eye(25)).max() > 0.1
    _, ours = bidiagonalise(features[None], labels[None], 25)
    assert np.abs(ours[0] @ ours[0].T - np.eye(25)).max() < 1e-10


@pytest.mark.parametrize("copies", [1, 2])  # one task and a batch have a route each
def test_reorthogonalisation_does_not_replace_the_recurrence(copies: int) -> None:
    features, labels = draw(0, 1, 1200, 60)
    labels = labels + features[:, :, 0]
    _, right = bidiagonalise(features.repeat(copies, 0), labels.repeat(copies, 0), 38)
    assert np.abs(right @ right.swapaxes(1, 2) - np.eye(38)).max() < 1e-13
    # the planted fault: the same vectors by one pass of projection each, without the recurrence's own subtraction
    left, once = [labels[0] / np.linalg.norm(labels[0])], np.zeros((38, 60))
    for j in range(38):
        new = features[0].T @ left[j]
        new = new - once[:j].T @ (once[:j] @ new)
        once[j] = new / np.linalg.norm(new)
        rest = features[0] @ once[j]
        rest = rest - np.stack(left).T @ (np.stack(left) @ rest)
        left.append(rest / np.linalg.norm(rest))
    assert np.abs(once @ once.T - np.eye(38)).max() > 1e-10


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
    if (
        case == "orthogonal labels"
    ):  # rounding leaves X^T y near 1e-15: what is built on that direction carries no weight
        assert bidiagonal[0, 0, 0] < 1e-13
        assert np.abs(project(features[None], labels[None], 12)[0].slopes).max() < 1e-13
        return
    np.testing.assert_allclose(right[0, :kept] @ right[0, :kept].T, np.eye(kept), atol=1e-12)
    # after the last true direction the coupling is rounding: nothing of y reaches further
    assert abs(bidiagonal[0, kept, kept]) <= 1e-12 * max(coupled, 1)
    assert np.isfinite(right).all()


@pytest.mark.parametrize(("rows", "columns"), [(60, 80), (80, 50)])
def test_both_routes_give_the_same_moments(rows: int, columns: int) -> None:
    features, labels = draw(3, 2, rows, columns)
    krylov, basis = project(features, labels, 8)
    whole, everything = project(features, labels, 200)
    assert basis.shape[1] == 8
    assert everything.shape[1] == min(rows, columns)
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
    # b = X^T y/n is the first Krylov vector: its coordinates are the slopes
    np.testing.assert_allclose(
        (krylov.slopes[:, None] @ basis)[:, 0], (labels[:, None] @ features)[:, 0] / rows, atol=1e-13
    )


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
        theirs, tensor = project(torch.from_numpy(features), torch.from_numpy(labels), steps)
        assert isinstance(theirs.eigenvalues, torch.Tensor)
        np.testing.assert_allclose(theirs.eigenvalues.numpy(), ours.eigenvalues, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            (theirs.slopes[:, None] @ tensor).numpy(), ours.slopes[:, None] @ basis, atol=1e-12
        )  # b again, free of the signs of singular vectors


def test_batches_join() -> None:
    features, labels = draw(5, 4, 10, 12)
    whole, _ = project(features, labels, 3)
    parts = [project(features[k : k + 1], labels[k : k + 1], 3)[0] for k in range(4)]
    joined = join(parts)
    assert isinstance(joined, Krylov)
    np.testing.assert_allclose(joined.eigenvalues, whole.eigenvalues, rtol=1e-12)
    np.testing.assert_allclose(joined.remainder, whole.remainder, rtol=1e-10)
