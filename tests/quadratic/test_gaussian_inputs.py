"""SGD with Gaussian inputs against the plain recursion in rationals, full matrices, Monte Carlo and enumeration."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic import GaussianInputSGD

EIGENVALUES = [Fraction(1), Fraction(1, 2), Fraction(1, 10)]
MOMENTS = [Fraction(1), Fraction(0), Fraction(3)]
NEAR = 1e-13  # t <= 40 with positive terms only: a few dozen roundings
CONFIGURATIONS = [(Fraction(1, 4), 1), (Fraction(0), 3), (Fraction(2), 8)]


def gaussian_recursion(eta: Fraction, steps: int, label_noise: Fraction, batch_size: int) -> Fraction:
    moments = list(MOMENTS)
    for _ in range(steps):
        excess = sum((v * m for v, m in zip(EIGENVALUES, moments, strict=True)), start=Fraction(0))
        moments = [
            (1 - eta * v) ** 2 * m + eta**2 / batch_size * (v**2 * m + v * excess + label_noise * v)
            for v, m in zip(EIGENVALUES, moments, strict=True)
        ]
    return sum((v * m for v, m in zip(EIGENVALUES, moments, strict=True)), start=Fraction(0)) / 2


def near(found: float, exact: Fraction | float, tolerance: float = NEAR) -> bool:
    return abs(float(found) - float(exact)) <= tolerance * abs(float(exact))


def in_ball(ball: object, exact: Fraction, digits: int) -> bool:
    with mpmath.workdps(digits + 20):
        wanted = mpmath.mpf(exact.numerator) / exact.denominator
        found = mpmath.mpf(ball.mid().str(digits + 10, radius=False))  # type: ignore[attr-defined]
        return bool(abs(found - wanted) <= abs(wanted) * mpmath.mpf(10) ** -digits)


@pytest.mark.parametrize(("label_noise", "batch_size"), CONFIGURATIONS)
@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_gaussian_loss_agrees_with_the_recursion(label_noise: Fraction, batch_size: int, steps: int) -> None:
    sgd = GaussianInputSGD(EIGENVALUES, MOMENTS, label_noise, batch_size)
    for eta in (Fraction(0), Fraction(1, 3), Fraction(1), Fraction(3), Fraction(-1, 2)):
        wanted = gaussian_recursion(eta, steps, label_noise, batch_size)
        assert near(sgd.loss(eta, steps), wanted)
        assert in_ball(sgd.loss(eta, steps, digits=20), wanted, 20)
        if eta:
            assert not near(sgd.loss(eta, steps), gaussian_recursion(eta, steps, label_noise, batch_size + 1))


def test_gaussian_moments_against_enumerated_wick_contractions() -> None:
    # E[(x x^T) M (x x^T)] = 2 Sigma M Sigma + tr(Sigma M) Sigma: the full matrix recursion, not only its diagonal
    rng = np.random.default_rng(2)
    values, eta, batch_size, label_noise = np.array([1.0, 0.4, 0.2]), 0.3, 2, 0.5
    start = rng.standard_normal(3)
    second, covariance = np.outer(start, start), np.diag(values)
    sgd = GaussianInputSGD(values, start**2, label_noise, batch_size)
    for steps in range(1, 8):
        one = 2 * covariance @ second @ covariance + np.trace(covariance @ second) * covariance
        many = one / batch_size + (1 - 1 / batch_size) * covariance @ second @ covariance
        second = second - eta * (covariance @ second + second @ covariance) + eta**2 * many
        second += eta**2 / batch_size * label_noise * covariance
        assert near(sgd.loss(eta, steps), 0.5 * np.trace(covariance @ second), 1e-12)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_monte_carlo_of_gaussian_inputs(batch_size: int) -> None:
    rng = np.random.default_rng(29 + batch_size)
    values, paths, steps, eta, sigma = np.array([1.0, 0.5, 0.1]), 20_000, 6, 0.25, 0.5
    w = np.ones((paths, 3))
    for _ in range(steps):
        x = rng.standard_normal((paths, batch_size, 3)) * np.sqrt(values)
        residual = np.einsum("pbi,pi->pb", x, w) + sigma * rng.standard_normal((paths, batch_size))
        w = w - eta * np.einsum("pb,pbi->pi", residual, x) / batch_size
    sample = 0.5 * (w**2) @ values
    error = sample.std(ddof=1) / math.sqrt(paths)
    predicted = GaussianInputSGD(values, [1, 1, 1], sigma**2, batch_size).loss(eta, steps)
    assert abs(sample.mean() - predicted) < 4 * error  # as above: fixed seed, 4 standard errors
    planted = GaussianInputSGD(values, [1, 1, 1], sigma, batch_size).loss(eta, steps)  # sigma for sigma^2
    assert abs(sample.mean() - planted) > 4 * error


def test_gaussian_stability_is_the_spectral_radius() -> None:
    values, verdicts = np.array([1.0, 0.7, 0.2]), []
    for batch_size in (1, 2, 10):
        sgd = GaussianInputSGD(values, [1, 1, 1], 1, batch_size)
        for eta in np.linspace(-0.2, 2.2, 61):
            batch = eta**2 / batch_size
            matrix = np.diag((1 - eta * values) ** 2 + batch * values**2) + batch * np.outer(values, values)
            radius = np.max(np.abs(np.linalg.eigvalsh(matrix)))
            if abs(radius - 1) > 1e-9:
                verdicts.append(sgd.is_stable(float(eta)))
                assert verdicts[-1] == (radius < 1)
    assert 20 < sum(verdicts) < len(verdicts) - 20
    # exactly at kappa = 1: l = (1, 1), B = 1, eta = 1/2
    assert not GaussianInputSGD([1, 1], [1, 1], 1, 1).is_stable("1/2")
    assert GaussianInputSGD([1, 1], [1, 1], 1, 1).is_stable("499999999999999999999/1000000000000000000000")


def test_gaussian_limit_is_the_stationary_excess() -> None:
    sgd = GaussianInputSGD(EIGENVALUES, MOMENTS, "1/4", 4)
    assert 2 * sgd.loss(0.5, 10**9) == pytest.approx(sgd.stationary_excess(0.5), abs=0, rel=1e-13)
    # the fixed point itself, m_i = (eta/B)(S + sigma^2)/(2 - eta l_i (1 + 1/B)), is reproduced by one step
    eta, excess = Fraction(1, 2), Fraction(0)
    kappa = sum(eta * v / 4 / (2 - eta * v * Fraction(5, 4)) for v in EIGENVALUES)
    excess = Fraction(1, 4) * kappa / (1 - kappa)
    moments = [eta / 4 * (excess + Fraction(1, 4)) / (2 - eta * v * Fraction(5, 4)) for v in EIGENVALUES]
    assert sum(v * m for v, m in zip(EIGENVALUES, moments, strict=True)) == excess
    fixed = GaussianInputSGD(EIGENVALUES, moments, "1/4", 4)
    assert in_ball(fixed.loss("1/2", 1, digits=20), excess / 2, 20)
    assert in_ball(sgd.stationary_excess("1/2", digits=20), Fraction(excess), 20)
    assert sgd.stationary_excess("1/3") != pytest.approx(float(excess), abs=0, rel=1e-3)


def test_gaussian_overflow_is_infinite_and_never_nan() -> None:
    sgd = GaussianInputSGD([1, 0.5], [0, 1], 0, 1)
    assert sgd.loss(5, 10**8) == math.inf
    assert sgd.loss(0, 10**8) == 0.25
    assert GaussianInputSGD([1], [1], 0, 10**6).loss("1/2", 10**6) == 0.0
    assert sgd.loss(np.array([[0.1], [0.2]]), [1, 2, 3]).shape == (2, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: GaussianInputSGD([1], [1], -1, 1),
        lambda: GaussianInputSGD([1], [1], 1, 0),
        lambda: GaussianInputSGD([1], [1], 1, 1.5),  # type: ignore[arg-type]
        lambda: GaussianInputSGD([1], [1], 1, 1).stationary_excess(3),
        lambda: GaussianInputSGD([1], [1], 1, 1).loss([0.1, 0.2], [1, 2, 3]),
        lambda: GaussianInputSGD([1], [1], 1, 1).loss(0.1, 5, digits=0),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
