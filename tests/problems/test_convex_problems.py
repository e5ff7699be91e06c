"""Constants of the convex problems against scikit-learn, eigenvalues of autograd Hessians, optimality conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import linear_model
from torch import Tensor

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.problems import Dataset, Lasso, LeastSquares, LogisticRegression, RandomQuadratics, SoftmaxRegression
from l2o_theory.problems.newton import minimise


def data(samples: int = 30, dimension: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(samples, dimension, dtype=torch.float64, generator=generator)
    truth = torch.arange(dimension, dtype=torch.float64) - 1
    return features, features @ truth + 0.3 * torch.randn(samples, dtype=torch.float64, generator=generator)


def spectrum(loss: Any, at: Tensor) -> tuple[float, float]:
    eigenvalues = torch.linalg.eigvalsh(torch.func.jacrev(torch.func.grad(loss))(at))
    return float(eigenvalues[0]), float(eigenvalues[-1])


@pytest.mark.parametrize("l2", [0.0, 0.2])
def test_least_squares(l2: float) -> None:
    features, targets = data()
    problem = LeastSquares(features, targets, l2)
    known = problem.constants
    least, largest = spectrum(problem.loss, problem.init())
    assert known.strong_convexity == pytest.approx(least, rel=1e-12)
    assert known.smoothness == pytest.approx(largest, rel=1e-12)
    peer = linear_model.Ridge(alpha=l2 * len(features), fit_intercept=False, solver="cholesky", tol=1e-12)
    peer.fit(features.numpy(), targets.numpy())
    assert np.allclose(known.minimiser, peer.coef_, rtol=1e-10)
    assert problem.loss(torch.from_numpy(peer.coef_)).item() == pytest.approx(known.optimum, rel=1e-12)
    assert LeastSquares(features, targets, l2 + 1e-3).constants.optimum != pytest.approx(known.optimum, rel=1e-6)


def test_least_squares_with_fewer_samples_than_dimensions() -> None:
    features, targets = data(samples=3, dimension=5)
    known = LeastSquares(features, targets).constants
    assert known.strong_convexity == 0
    assert known.optimum == pytest.approx(0, abs=1e-28)  # squares of roundings
    expected, *_ = np.linalg.lstsq(features.numpy(), targets.numpy(), rcond=None)
    assert np.allclose(known.minimiser, expected, rtol=1e-10)  # of least norm


def test_random_quadratics() -> None:
    family = RandomQuadratics(5)
    tasks = family.sample(torch.Generator().manual_seed(3), tasks=4)
    losses = torch.func.vmap(family.loss, (None, 0))(torch.zeros(5, dtype=torch.float64), tasks)
    assert torch.allclose(losses, (tasks["target"] ** 2).sum(1), rtol=1e-14)
    task = {name: value[2] for name, value in tasks.items()}
    known = family.constants_of(task)
    least, largest = spectrum(lambda x: family.loss(x, task), torch.zeros(5, dtype=torch.float64))
    assert known.smoothness == pytest.approx(largest, rel=1e-12)
    assert known.strong_convexity == pytest.approx(least, rel=1e-8)  # least eigenvalue of W^T W, condition squared
    gradient = torch.func.grad(family.loss)(known.minimiser, task)
    assert float(gradient.abs().max()) < 1e-12
    again = family.sample(torch.Generator().manual_seed(3), tasks=4)
    assert torch.equal(again["matrix"], tasks["matrix"])
    assert not torch.equal(tasks["matrix"][0], tasks["matrix"][1])
    with pytest.raises(InputError, match="need a task"):
        family.loss(torch.zeros(5))


def test_lasso() -> None:
    features, targets = data()
    problem = Lasso(features, targets, 0.4)
    known = problem.constants
    peer = linear_model.Lasso(alpha=0.4, fit_intercept=False, tol=1e-14, max_iter=100000)
    peer.fit(features.numpy(), targets.numpy())
    assert np.allclose(known.minimiser, peer.coef_, atol=1e-10)
    assert isinstance(known.minimiser, Tensor)
    assert int((known.minimiser == 0).sum()) == int((peer.coef_ == 0).sum()) >= 1
    assert problem.stationarity(known.minimiser) < 1e-12
    assert problem.stationarity(known.minimiser + 1e-6) > 1e-8  # planted: a point beside it is told apart
    assert known.smoothness is None
    assert known.optimum == pytest.approx(float(problem.loss(torch.from_numpy(peer.coef_))), rel=1e-12)


def test_logistic_regression() -> None:
    features, scores = data()
    targets = (scores > 0).double()
    problem = LogisticRegression(features, targets, 0.05)
    known = problem.constants
    peer = linear_model.LogisticRegression(C=1 / (0.05 * len(features)), fit_intercept=False, tol=1e-12, max_iter=10000)
    peer.fit(features.numpy(), targets.numpy())
    assert np.allclose(known.minimiser, peer.coef_[0], rtol=1e-5)  # the peer's own tolerance, on a flat optimum
    assert isinstance(known.minimiser, Tensor)
    assert float(torch.func.grad(problem.loss)(known.minimiser).abs().max()) < 1e-13
    # at w = 0 every sigmoid' is 1/4: the bound L is attained there
    assert spectrum(problem.loss, problem.init())[1] == pytest.approx(known.smoothness, rel=1e-12)
    for place in (known.minimiser, 3 * torch.ones(4, dtype=torch.float64)):
        least, largest = spectrum(problem.loss, place)
        assert known.strong_convexity <= least
        assert largest <= known.smoothness * (1 + 1e-12)
    assert LogisticRegression(features, targets).constants.minimiser is None


def test_softmax_regression() -> None:
    features, scores = data(samples=40, dimension=3)
    labels = torch.bucketize(scores, torch.tensor([-1.0, 1.0], dtype=torch.float64))
    problem = SoftmaxRegression(Dataset(features, labels, 3), l2=0.1)
    known = problem.constants
    assert isinstance(known.minimiser, dict)
    slopes = torch.func.grad(problem.loss)(known.minimiser)
    assert max(float(slope.abs().max()) for slope in slopes.values()) < 1e-13
    extended = torch.cat([features, torch.ones(40, 1, dtype=torch.float64)], 1)  # the bias is penalised too
    peer = linear_model.LogisticRegression(C=1 / (0.1 * 40), fit_intercept=False, tol=1e-12, max_iter=10000)
    peer.fit(extended.numpy(), labels.numpy())
    found = torch.cat([known.minimiser["weight1"], known.minimiser["bias1"][None]])
    assert np.allclose(found, peer.coef_.T, atol=1e-5)  # the peer's own tolerance

    def flat(vector: Tensor) -> Tensor:
        table = vector.reshape(4, 3)
        return problem.loss({"weight1": table[:3], "bias1": table[3]})

    generator = torch.Generator().manual_seed(1)
    for scale in (0.0, 1.0):
        place = scale * torch.randn(12, dtype=torch.float64, generator=generator)
        least, largest = spectrum(flat, place)
        assert known.strong_convexity <= least * (1 + 1e-12)  # attained: adding a constant to all logits is flat
        assert largest <= known.smoothness
    assert spectrum(flat, torch.zeros(12, dtype=torch.float64))[1] > known.smoothness / 2  # L is no mere guess


def test_two_classes_attain_the_smoothness_of_softmax() -> None:
    """p = (1/2, 1/2): diag(p) - p p^T has the eigenvalue 1/2, and L = its bound."""
    features, scores = data(samples=40, dimension=3)
    problem = SoftmaxRegression(Dataset(features, (scores > 0).long(), 2))

    def flat(vector: Tensor) -> Tensor:
        table = vector.reshape(4, 2)
        return problem.loss({"weight1": table[:3], "bias1": table[3]})

    largest = spectrum(flat, torch.zeros(8, dtype=torch.float64))[1]
    assert problem.constants.smoothness == pytest.approx(largest, rel=1e-12)
    assert problem.constants.minimiser is None


def test_newton_says_when_there_is_no_minimiser() -> None:
    with pytest.raises(PrecisionError, match="did not converge"):
        minimise(lambda x: (-x).exp().sum(), torch.zeros(1, dtype=torch.float64))


def test_bad_input_is_refused() -> None:
    features, targets = data()
    with pytest.raises(InputError, match="one target per sample"):
        LeastSquares(features, targets[1:])
    with pytest.raises(InputError, match="l2 must be a finite number >= 0"):
        LeastSquares(features, targets, -1.0)
    with pytest.raises(InputError, match="l1 must be a finite number > 0"):
        Lasso(features, targets, 0.0)
    with pytest.raises(InputError, match="0 or 1"):
        LogisticRegression(features, targets)
    with pytest.raises(InputError, match="dimension"):
        RandomQuadratics(0)
