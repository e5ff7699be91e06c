from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares import averaged_sgd_moments, limit, sgd_limit, sgd_moments, sgd_recursion


def stepped(eigenvalues: np.ndarray, d: int, n: int, noise: float, steps: int, eta: float) -> tuple[float, float]:
    """R and T by the recursion itself, step by step."""
    m = 1 / d + noise**2 / (n * eigenvalues)
    floor = noise**2 * (n - eigenvalues.size) / n
    for _ in range(steps):
        total = np.sum(eigenvalues * m) + floor
        m = (1 - 2 * eta * eigenvalues) * m + eta**2 * eigenvalues * total
    part = noise**2 / (n * eigenvalues) * (1 - 2 * (1 - eta * eigenvalues) ** steps)
    return float((d - eigenvalues.size) / d + np.sum(part) + np.sum(m)), float(np.sum(eigenvalues * m) + floor) / 2


@pytest.mark.parametrize(("d", "n", "rank"), [(12, 6, 6), (5, 20, 5), (30, 30, 30), (7, 9, 3)])
@pytest.mark.parametrize("steps", [1, 2, 60, 1001])
def test_recursion_against_its_own_steps(d: int, n: int, rank: int, steps: int) -> None:
    eigenvalues = np.random.default_rng(d).uniform(0.05, 3, rank)
    sgd = sgd_recursion(eigenvalues, d, n, 0.7, steps)
    etas = sgd.stability_limit * np.array([0, 0.01, 0.3, 0.9, 1.05])
    wanted = np.array([stepped(eigenvalues, d, n, 0.7, steps, eta) for eta in etas])
    assert sgd.risk(etas) == pytest.approx(wanted[:, 0], rel=1e-9)  # an eigensolver's 1e-15, times k in the exponent
    assert sgd.train_loss(etas) == pytest.approx(wanted[:, 1], rel=1e-9)
    assert sgd.diverges(etas).tolist() == [False] * 4 + [True]
    assert sgd_recursion(eigenvalues, d, n, 0.701, steps).risk(etas[2]) != pytest.approx(wanted[2, 0], rel=1e-6)


def volterra(ratio: float, noise: float, time: float, scale: float, steps: int) -> float:
    """T of the limit by the renewal equation S = S_a + c^2 K * S: trapezoid rule in time, midpoints in the angle."""
    theta = (np.arange(1500) + 0.5) * math.pi / 1500
    x = 1 + ratio + 2 * math.sqrt(ratio) * np.cos(theta)
    semicircle = 2 * np.sin(theta) ** 2 / 1500
    decay = np.exp(-2 * scale * np.outer(np.linspace(0, time, steps + 1), x))
    start = decay @ (semicircle * (1 + noise**2 * ratio / x)) + noise**2 * max(0, 1 - ratio)
    kernel, h = scale**2 * time / steps * (decay @ (semicircle * x)), np.empty(steps + 1)
    for i in range(steps + 1):
        past = kernel[i] * h[0] / 2 + kernel[1:i][::-1] @ h[1:i] if i else 0.0
        h[i] = (start[i] + past) / (1 - kernel[0] / 2 if i else 1)
    return float(h[-1] / 2)


@pytest.mark.parametrize(("ratio", "noise", "epochs", "scale"), [(2, 1, 5, 1.1), (4, 0.5, 20, 0.3), (0.5, 2, 2, 1.7)])
def test_limit_against_the_renewal_equation(ratio: float, noise: float, epochs: float, scale: float) -> None:
    coarse, fine = (volterra(ratio, noise, epochs / ratio, scale, steps) for steps in (500, 1000))
    wanted = fine + (fine - coarse) / 3  # the trapezoid rule errs by h^2: extrapolated
    value = sgd_limit(ratio, noise, epochs).train_loss(scale)
    assert value == pytest.approx(wanted, rel=1e-5)
    assert sgd_limit(ratio, noise * 1.01, epochs).train_loss(scale) != pytest.approx(wanted, rel=1e-4)


def test_small_steps_are_gradient_flow() -> None:
    # c -> 0 at fixed c tau: the noise of single samples vanishes with c
    flow = limit(2, 1, 1)
    wanted = flow.gradient_flow_risk(0.3)
    errors = [abs(sgd_limit(2, 1, 0.3 / c * 2).risk(c) / wanted - 1) for c in (1e-2, 1e-3)]
    assert errors[1] < 3e-3
    assert errors[0] == pytest.approx(10 * errors[1], rel=0.1)
    assert sgd_limit(2, 1, 5).risk(0) == pytest.approx(1, rel=1e-12)
    assert sgd_limit(2, 1, 5).train_loss(0) == pytest.approx(1, rel=1e-12)


def test_recursion_approaches_the_limit() -> None:
    d, n = 240, 120
    x, scales = np.random.default_rng(2).standard_normal((n, d)), np.array([0.2, 1, 1.5])
    recursion, law = sgd_recursion(np.linalg.eigvalsh(x @ x.T / n), d, n, 1, 5 * n), sgd_limit(2, 1, 5)
    assert recursion.risk(scales / d) == pytest.approx(law.risk(scales), rel=0.03)  # fluctuations of order 1/d
    assert recursion.risk(scales / d) != pytest.approx(sgd_limit(3, 1, 5).risk(scales), rel=0.03)


def test_choices_of_the_two_objectives() -> None:
    for epochs, wanted in ((5, 1.10), (20, 1.47), (80, 1.68)):
        chosen = [sgd_limit(2, noise, epochs).best_train_step_size() for noise in (1, 3)]
        assert chosen == pytest.approx([wanted] * 2, abs=0.01)  # nearly independent of sigma
    for epochs in (20, 80):
        sgd = sgd_limit(4, 1, epochs)
        best = sgd.best_risk_step_size()
        assert best * epochs / 4 == pytest.approx(0.17, abs=0.005)  # eta*_valid = Theta(1/t)
        assert sgd.risk(best) < 1 < sgd_limit(2, 1, epochs).risk(1.5)
    assert sgd_limit(2, 3, 80).risk(1.68) == pytest.approx(0.5 + 9, rel=1e-3)  # the least-squares solution


@pytest.mark.parametrize(("ratio", "noise", "epochs"), [(2, 1, 20), (0.5, 0.1, 5), (4, 3, 0.5)])
def test_best_step_sizes_are_those_of_a_scan(ratio: float, noise: float, epochs: float) -> None:
    sgd = sgd_limit(ratio, noise, epochs)
    scan = np.geomspace(1e-5, 1.999, 600)
    for values, best, value in (
        (sgd.risk(scan), sgd.best_risk_step_size(), sgd.risk),
        (sgd.train_loss(scan), sgd.best_train_step_size(), sgd.train_loss),
    ):
        assert value(best) <= np.min(values)
        assert best == pytest.approx(scan[np.argmin(values)], rel=0.03)  # the scan's spacing is 2 percent


X = [[Fraction(1), Fraction(2)], [Fraction(-1), Fraction(1, 2)], [Fraction(1, 3), Fraction(1)]]
Y, TARGET = [Fraction(1), Fraction(-2), Fraction(1, 2)], [Fraction(3, 5), Fraction(-4, 5)]


def enumerated(eta: Fraction, steps: int) -> tuple[Fraction, Fraction]:
    """Mean R and T over all 3^k sequences of samples."""
    risk = loss = Fraction(0)
    for sequence in itertools.product(range(3), repeat=steps):
        w = [Fraction(0), Fraction(0)]
        for i in sequence:
            error = X[i][0] * w[0] + X[i][1] * w[1] - Y[i]
            w = [w[j] - eta * error * X[i][j] for j in range(2)]
        risk += sum((w[j] - TARGET[j]) ** 2 for j in range(2))
        loss += sum((Y[i] - X[i][0] * w[0] - X[i][1] * w[1]) ** 2 for i in range(3)) / 6
    return risk / 3**steps, loss / 3**steps


@pytest.mark.parametrize("eta", [Fraction(1, 10), Fraction(1, 3), Fraction(3, 2)])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_moments_against_all_sequences(eta: Fraction, steps: int) -> None:
    wanted = enumerated(eta, steps)
    moments = sgd_moments([[float(v) for v in row] for row in X], [float(v) for v in Y], [float(v) for v in TARGET])
    assert moments.risk(eta, steps) == pytest.approx(float(wanted[0]), rel=1e-12)
    assert moments.train_loss(eta, steps) == pytest.approx(float(wanted[1]), rel=1e-12)
    flipped = sgd_moments([[float(v) for v in row] for row in X], [1, 2, 0.5], [float(v) for v in TARGET])
    assert flipped.risk(eta, steps) != pytest.approx(float(wanted[0]), rel=1e-6)  # planted: one label's sign


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_averaged_moments_are_means_over_targets_and_noise(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    n, d = shape
    x, noise, eta, steps = rng.standard_normal(shape), 0.6, 0.15, 4
    averaged = averaged_sgd_moments(x, noise)
    # the moments are quadratic in (w*, xi): their mean is exact over +- each axis, w* = +-e_j and xi = +-sqrt(n) e_i
    risks, losses = [], []
    for j, i, a, b in itertools.product(range(d), range(n), (-1, 1), (-1, 1)):
        target = a * np.eye(d)[j]
        labels = x @ target + b * noise * math.sqrt(n) * np.eye(n)[i]
        one = sgd_moments(x, labels, target)
        risks.append(one.risk(eta, steps))
        losses.append(one.train_loss(eta, steps))
    assert averaged.risk(eta, steps) == pytest.approx(np.mean(risks), rel=1e-11)
    assert averaged.train_loss(eta, steps) == pytest.approx(np.mean(losses), rel=1e-11)
    assert averaged_sgd_moments(x, noise * 1.01).risk(eta, steps) != pytest.approx(np.mean(risks), rel=1e-6)


def test_averaged_moments_against_simulation() -> None:
    rng = np.random.default_rng(23)
    n, d, noise, eta, steps, runs = 8, 12, 0.7, 0.05, 20, 20_000
    x = rng.standard_normal((n, d))
    target = rng.standard_normal((runs, d))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    y = target @ x.T + noise * rng.standard_normal((runs, n))
    w = np.zeros((runs, d))
    for _ in range(steps):
        index = rng.integers(n, size=runs)
        rows = x[index]
        w -= eta * (np.sum(rows * w, axis=1) - y[np.arange(runs), index])[:, None] * rows
    moments = averaged_sgd_moments(x, noise)
    for sample, value in (
        (np.sum((w - target) ** 2, axis=1), moments.risk(eta, steps)),
        (0.5 * np.mean((w @ x.T - y) ** 2, axis=1), moments.train_loss(eta, steps)),
    ):
        error = np.std(sample, ddof=1) / math.sqrt(runs)
        assert abs(np.mean(sample) - value) < 4 * error  # fixed seed; 4 standard errors
        assert abs(np.mean(sample) - 1.1 * value) > 4 * error


def test_recursion_is_within_its_stated_accuracy_of_the_exact_moments() -> None:
    n, d = 30, 60
    x = np.random.default_rng(4).standard_normal((n, d))
    recursion = sgd_recursion(np.linalg.eigvalsh(x @ x.T / n), d, n, 1, 3 * n)
    exact, scales = averaged_sgd_moments(x, 1), np.array([0.1, 0.5, 1])
    assert recursion.risk(scales / d) == pytest.approx(exact.risk(scales / d, 3 * n), rel=0.02)
    # not exact: the difference is real and grows with c
    gaps = np.abs(recursion.train_loss(scales / d) / exact.train_loss(scales / d, 3 * n) - 1)
    assert np.all(gaps > 1e-5)
    assert gaps[2] > gaps[0]


def test_best_step_sizes_of_the_exact_moments() -> None:
    x = np.random.default_rng(6).standard_normal((5, 4))
    moments = averaged_sgd_moments(x, 0.5)
    scan = np.geomspace(1e-4, 2 / np.mean(np.sum(x**2, axis=1)), 2000)
    for best, values in (
        (moments.best_risk_step_size(10), moments.risk(scan, 10)),
        (moments.best_train_step_size(10), moments.train_loss(scan, 10)),
    ):
        assert best == pytest.approx(scan[np.argmin(values)], rel=0.01)
    assert moments.best_train_step_size(10) != pytest.approx(moments.best_risk_step_size(10), rel=0.01)


def test_overflow_is_infinite_and_flagged() -> None:
    assert sgd_limit(2, 1, 5000).risk(4.0) == math.inf
    assert sgd_limit(2, 1, 5000).diverges(4.0) is True
    assert averaged_sgd_moments(np.eye(3) * 2, 1).risk(50, 200) == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: sgd_limit(0, 1, 1),
        lambda: sgd_limit(2, -1, 1),
        lambda: sgd_limit(2, 1, 0),
        lambda: sgd_limit(2, [1, 2], 1),  # type: ignore[arg-type]
        lambda: sgd_limit(2, 1, 1).risk(-1),
        lambda: sgd_limit(2, 1, 1).diverges(float("nan")),
        lambda: sgd_recursion([1, -1], 3, 3, 1, 5),
        lambda: sgd_recursion([1], 3, 3, 1, 0),
        lambda: sgd_recursion([1], 3, 3, [1, 2], 5),  # type: ignore[arg-type]
        lambda: averaged_sgd_moments([[1, float("nan")]], 1),
        lambda: averaged_sgd_moments([1, 2], 1),
        lambda: averaged_sgd_moments([["a"]], 1),
        lambda: averaged_sgd_moments([[1.0]], [1, 2]),  # type: ignore[arg-type]
        lambda: sgd_moments([[1, 2]], [1, 2], [1, 2]),
        lambda: sgd_moments([[1, 2]], [1], [1]),
        lambda: averaged_sgd_moments([[1, 2]], 1).risk(0.1, 0),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any) -> None:
    with pytest.raises(InputError) as refusal:
        call()
    assert "\n" not in str(refusal.value)
