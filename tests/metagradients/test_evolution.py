"""Evolution strategies: exact moments by two routes, sample means within four standard errors of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction as F
from typing import Any

import numpy as np
import pytest
import torch
from tiny_rules import Descent, Diagonal, HeavyBall, Instance

from l2o_theory.errors import InputError
from l2o_theory.metagradients import MetaObjective, antithetic_es, es, pes, reverse
from l2o_theory.metagradients.gaussian_moments import evolution_moments

CASE = Instance((F(1), F(1, 3)), (F(1), F(-2)), F(2, 5), 6)
SIGMA = F(1, 10)
NODES, MASSES = np.polynomial.hermite_e.hermegauss(
    20
)  # exact up to degree 39; two losses of degree 12 and two more: 26
MASSES = MASSES / MASSES.sum()


def losses(perturbations: list[float], window: int) -> list[float]:
    """f(x_1), ..., f(x_N) of descent with a step size per window, in floats."""
    x, found = np.array([float(v) for v in CASE.start]), []
    lam = np.array([float(v) for v in CASE.eigenvalues])
    for t in range(CASE.steps):
        x = (1 - (float(CASE.alpha) + float(SIGMA) * perturbations[t // window]) * lam) * x
        found.append(0.5 * float(lam @ x**2))
    return found


def by_quadrature(window: int, antithetic: bool, persistent: bool = True) -> tuple[float, float]:
    """Mean and variance by Gauss-Hermite quadrature, exact for these polynomials up to rounding."""
    windows = -(-CASE.steps // window)

    def sample(eps: list[float]) -> float:
        run, xi = losses(eps, window), np.cumsum(eps) if persistent else np.array(eps)
        return sum(xi[t // window] * run[t] for t in range(CASE.steps)) / float(SIGMA)

    first = second = 0.0
    for index in itertools.product(range(len(NODES)), repeat=windows):
        eps, mass = [float(NODES[k]) for k in index], float(np.prod([MASSES[k] for k in index]))
        value = (sample(eps) + sample([-e for e in eps])) / 2 if antithetic else sample(eps)
        first, second = first + mass * value, second + mass * value**2
    return first, second - first**2


def exact(window: int | None = None, antithetic: bool = False) -> Any:
    return evolution_moments(
        CASE.eigenvalues, CASE.start, CASE.alpha, CASE.steps, sigma=SIGMA, window=window, antithetic=antithetic
    )


@pytest.mark.parametrize("antithetic", [False, True])
@pytest.mark.parametrize("window", [6, 4, 3])
def test_moments_in_rationals_equal_quadrature(window: int, antithetic: bool) -> None:
    mean, variance = by_quadrature(window, antithetic)
    found = exact(window, antithetic)
    assert float(found.mean) == pytest.approx(mean, rel=1e-12)
    assert float(found.variance) == pytest.approx(variance, rel=1e-11)  # a difference of squares loses a digit


def test_the_mean_is_the_gradient_of_the_smoothed_objective() -> None:
    """Stein's identity, exactly: E[L(alpha + sigma eps) eps]/sigma = E L'(alpha + sigma eps), L' by (A1)."""
    mean = sum(
        mass * float(Instance(CASE.eigenvalues, CASE.start, CASE.alpha + SIGMA * F(float(node)), 6).gradient())
        for node, mass in zip(NODES, MASSES, strict=True)
    )
    assert float(exact().mean) == pytest.approx(mean, rel=1e-12)
    assert exact().mean == exact(antithetic=True).mean
    assert abs(float(exact().mean / CASE.gradient()) - 1) > 1e-3  # planted: smoothing does move the gradient
    # and the persistent mean is the sum of the derivatives in each window's own step size
    windows, step = 2, 1e-5
    slopes = 0.0
    for index in itertools.product(range(len(NODES)), repeat=windows):
        eps, mass = np.array([NODES[k] for k in index]), float(np.prod([MASSES[k] for k in index]))
        shift = step / float(SIGMA)
        slopes += mass * (sum(losses(list(eps + shift), 3)) - sum(losses(list(eps - shift), 3))) / (2 * step)
    assert float(exact(3).mean) == pytest.approx(slopes, rel=1e-8)  # central differences


def test_antithetic_pairs_have_less_variance() -> None:
    # a pair costs two runs, so half of the variance would be a draw
    assert exact(antithetic=True).variance < exact().variance / 8


SAMPLERS: list[tuple[str, Callable[..., Any], dict[str, Any], int | None, bool]] = [
    ("es", es, {}, None, False),
    ("antithetic", antithetic_es, {}, None, True),
    ("pes", pes, {"window": 2}, 2, True),
    ("pes, K does not divide N", pes, {"window": 4}, 4, True),
    ("pes, no pairs", pes, {"window": 3, "antithetic": False}, 3, False),
]


@pytest.mark.parametrize(("name", "estimator", "own", "window", "antithetic"), SAMPLERS, ids=[s[0] for s in SAMPLERS])
def test_sample_means_and_variances(name: str, estimator: Any, own: Any, window: int | None, antithetic: bool) -> None:
    problem, start, alpha = CASE.tensors()
    samples, moments = 20_000, exact(window, antithetic)
    found = estimator(
        Descent(), problem, alpha, CASE.steps, start=start, sigma=float(SIGMA), samples=samples,
        generator=torch.Generator().manual_seed(11), **own,
    )  # fmt: skip
    error = (float(moments.variance) / samples) ** 0.5
    assert abs(found.gradient.item() - float(moments.mean)) < 4 * error  # fixed seed; chance of a miss 6e-5
    # kurtosis is at most 31 here (by quadrature), so a standard error is itself known to sqrt(30/20000)/2 = 2 %
    assert found.standard_error.item() == pytest.approx(error, rel=0.1)
    assert abs(found.gradient.item() - 1.2 * float(moments.mean)) > 4 * error  # planted: 20 % off


def test_planted_windows_without_persistence_are_biased() -> None:
    """Weighing each window by its own perturbation alone drops what earlier windows did: truncation bias again."""
    persistent, _ = by_quadrature(3, True)
    local, _ = by_quadrature(3, True, persistent=False)
    assert persistent == pytest.approx(float(exact(3, True).mean), rel=1e-12)
    assert abs(local / persistent - 1) > 0.2


def test_final_losses_dicts_chunks_and_reproducibility() -> None:
    problem = Diagonal(torch.tensor([1.0, 0.1], dtype=torch.float64))
    meta = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.5, dtype=torch.float64)}
    start, objective = torch.ones(2, dtype=torch.float64), MetaObjective("final")
    common: dict[str, Any] = {"start": start, "sigma": 1e-3, "samples": 400, "objective": objective}
    target = reverse(HeavyBall(), problem, meta, 8, start=start, objective=objective)
    for estimator, own in ((antithetic_es, {}), (pes, {"window": 3})):
        runs = [
            estimator(HeavyBall(), problem, meta, 8, generator=torch.Generator().manual_seed(2), chunk_size=c, **own,
                      **common)
            for c in (None, 64)
        ]  # fmt: skip
        for name in meta:
            assert torch.allclose(runs[0].gradient[name], runs[1].gradient[name], rtol=1e-10, atol=1e-14)
            # smoothing over 1e-3 moves the gradient by about 1e-6 of itself, far below the noise
            assert abs(runs[0].gradient[name] - target.gradient[name]) < 4 * runs[0].standard_error[name]  # type: ignore[index]
        assert runs[0].value.item() == pytest.approx(target.value.item(), rel=1e-3)


def test_vmap_over_tasks_with_shared_and_with_own_noise() -> None:
    problem, start, alpha = CASE.tensors()

    def one(start: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        found = pes(Descent(), problem, alpha, 6, window=4, start=start, sigma=0.1, samples=5, generator=generator)
        return found.gradient  # type: ignore[return-value]

    tasks = torch.stack([start, start, 2 * start])
    shared = torch.func.vmap(one, randomness="same")(tasks)
    torch.testing.assert_close(shared, torch.stack([one(task) for task in tasks]), rtol=1e-11, atol=0)
    own = torch.func.vmap(one, randomness="different")(tasks)
    assert own[0] != own[1]  # planted: shared noise where each task should have its own
    assert shared[0] == shared[1]


def test_bad_samplers() -> None:
    problem, start, alpha = CASE.tensors()
    good: dict[str, Any] = {"start": start, "sigma": 0.1, "samples": 4, "generator": torch.Generator()}
    for change, message in [
        ({"sigma": 0.0}, "sigma must be"),
        ({"sigma": float("nan")}, "sigma must be"),
        ({"samples": 1}, "standard error"),
        ({"samples": 0}, "samples must be"),
    ]:
        for estimator in (es, antithetic_es):
            with pytest.raises(InputError, match=message):
                estimator(Descent(), problem, alpha, 6, **{**good, **change})
    with pytest.raises(InputError, match="window must be"):
        pes(Descent(), problem, alpha, 6, window=7, **good)
    with pytest.raises(InputError, match="window between"):
        evolution_moments([F(1)], [F(1)], F(1, 2), 3, sigma=F(1), window=4)
    with pytest.raises(InputError, match="sigma must be"):
        evolution_moments([F(1)], [F(1)], F(1, 2), 3, sigma=F(0))
    with pytest.raises(InputError, match="one length"):
        evolution_moments([F(1)], [F(1), F(2)], F(1, 2), 3, sigma=F(1))
