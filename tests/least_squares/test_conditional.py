from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares import Conditional, conditional, limit
from l2o_theory.quadratic import Quadratic

Matrix = list[list[Fraction]]


def product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [
        [sum((a * b for a, b in zip(row, column, strict=True)), start=Fraction(0)) for column in columns]
        for row in left
    ]


def square(matrix: Matrix) -> Fraction:
    return sum((entry**2 for row in matrix for entry in row), start=Fraction(0))


def rotated_task() -> tuple[Matrix, list[Fraction]]:
    """X = U diag(3, 1/2) V^T with rational rotations, n = 2 samples in d = 3: H has eigenvalues 9/2, 1/8 and 0."""
    c, s = Fraction(3, 5), Fraction(4, 5)
    u = [[c, -s], [s, c]]
    v = [[Fraction(5, 13), Fraction(12, 13), Fraction(0)], [-Fraction(12, 13) * c, Fraction(5, 13) * c, s]]
    scaled = [[Fraction(3) * entry for entry in v[0]], [Fraction(1, 2) * entry for entry in v[1]]]
    return product(u, scaled), [Fraction(9, 2), Fraction(1, 8)]


def enumerated(x: Matrix, variance: Fraction, eta: Fraction, steps: int) -> tuple[Fraction, Fraction, Fraction]:
    """R, T and E|w|^2 through the matrix A of w_t = A y: E over w* (covariance I/d) and noise, no eigenvalues."""
    n, d = len(x), len(x[0])
    transposed = [list(row) for row in zip(*x, strict=True)]
    a = [[Fraction(0)] * n for _ in range(d)]
    for _ in range(steps):
        xa = product(x, a)
        gradient = product(transposed, [[xa[i][j] - (i == j) for j in range(n)] for i in range(n)])
        a = [[a[i][j] - eta * gradient[i][j] / n for j in range(n)] for i in range(d)]
    ax = product(a, x)
    bias = [[ax[i][j] - (i == j) for j in range(d)] for i in range(d)]
    seen = product(x, bias)
    hat = product(x, a)
    residual = [[(i == j) - hat[i][j] for j in range(n)] for i in range(n)]
    risk = square(bias) / d + variance * square(a)
    loss = (square(seen) / d + variance * square(residual)) / (2 * n)
    return risk, loss, square(ax) / d + variance * square(a)


@pytest.mark.parametrize("eta", [Fraction(1, 7), Fraction(2, 9), Fraction(3, 7), Fraction(1, 2)])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_exact_values_equal_the_unrolled_matrices(eta: Fraction, steps: int) -> None:
    x, eigenvalues = rotated_task()
    noise = Fraction(2, 3)
    wanted = enumerated(x, noise**2, eta, steps)
    task = conditional([*eigenvalues, 0], 3, 2, noise, steps)
    exact = task.risk(eta), task.train_loss(eta), task.expected_norm2(eta)
    assert exact == wanted
    assert all(type(value) is Fraction for value in exact)
    assert task.validation_loss(eta) == (wanted[0] + noise**2) / 2
    floats = task.risk(float(eta)), task.train_loss(float(eta)), task.expected_norm2(float(eta))
    assert all(type(value) is float for value in floats)
    assert floats == pytest.approx([float(value) for value in wanted], rel=1e-12)
    planted = conditional(eigenvalues, 3, 3, noise, steps)  # one sample too many
    assert (planted.risk(eta), planted.train_loss(eta)) != wanted[:2]


def test_more_samples_than_dimensions_leave_a_floor() -> None:
    x, eigenvalues = rotated_task()
    tall = [[*row] for row in zip(*x, strict=True)]  # n = 3, d = 2
    values = [value * 2 / 3 for value in eigenvalues]
    task = conditional(values, 2, 3, "3/2", 4)
    wanted = enumerated(tall, Fraction(9, 4), Fraction(1, 5), 4)
    assert (task.risk("1/5"), task.train_loss("1/5"), task.expected_norm2("1/5")) == wanted
    assert task.train_loss("1/5") > Fraction(9, 4) / 6  # sigma^2 (n-r)/(2n)


def test_exact_arrays_and_floats() -> None:
    task = conditional(["1", "1/2"], 3, 2, "1/2", 2)
    values = task.risk(["1/2", Fraction(1, 3)])
    assert values.dtype == object
    assert values[0] == Fraction(1775, 3072)
    assert task.risk(np.array([0.5])).dtype == np.float64
    assert isinstance(conditional([1.0, 0.5], 3, 2, "1/2", 2).risk("1/2"), float)
    assert isinstance(conditional(["1", "1/2"], 3, 2, 0.5, 2).risk("1/2"), float)
    assert isinstance(task.test_rmse("1/2"), float)
    assert task.test_rmse("1/2") == pytest.approx(math.sqrt(1775 / 3072 + 0.25), rel=1e-14)
    assert task.train_rmse("1/2") == pytest.approx(math.sqrt(2 * 743 / 12288), rel=1e-14)


def gram(seed: int, dimension: int, samples: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((samples, dimension))
    return np.linalg.eigvalsh(x.T @ x / samples)


def random_tasks() -> list[Conditional]:
    rng = np.random.default_rng(5)
    tasks = []
    for _ in range(60):
        d, n, t = (int(rng.integers(2, 9)), int(rng.integers(2, 9)), int(rng.choice([1, 2, 3, 10, 100])))
        rank = min(d, n)
        spectrum = 10 ** rng.uniform(-3, 1, rank) if rng.random() < 0.5 else rng.uniform(0.5, 1.5, rank)
        tasks.append(conditional(spectrum, d, n, 10 ** rng.uniform(-1.5, 1), t))
    return tasks


def test_train_step_size_agrees_with_the_quadratic_analyzer_and_its_bracket() -> None:
    for task in random_tasks():
        weights = 1 / task.dimension + task.noise**2 / (task.samples * task.eigenvalues)
        wanted = Quadratic(task.eigenvalues, weights).optimal_step_size(int(task.steps))
        found, (low, high) = task.best_train_step_size(), task.train_step_size_bracket()
        assert found == pytest.approx(wanted, rel=1e-11)
        assert low * (1 - 1e-13) <= found <= high * (1 + 1e-13)
        assert 1 / task.largest_eigenvalue <= high <= (1 + 1e-13) / task.smallest_eigenvalue
        unweighted = Quadratic(task.eigenvalues, np.ones(task.rank)).optimal_step_size(int(task.steps))
        assert task.train_loss(found) <= task.train_loss(unweighted)


def test_risk_step_size_lies_in_its_bracket_and_is_the_global_minimum() -> None:
    narrowed = 0
    for task in random_tasks():
        best, (low, high) = task.best_risk(), task.risk_step_size_bracket()
        edge = 1 / task.largest_eigenvalue
        scan = edge * np.geomspace(1e-5, 1, 4000)
        values = task.risk(scan)
        assert best.risk <= np.min(values) * (1 + 1e-13)
        lowest = scan[np.argmin(values)]
        assert low * (1 - 3e-3) <= lowest <= high * (1 + 3e-3)  # the scan's own spacing
        assert low * (1 - 1e-13) <= best.step_size <= high * (1 + 1e-13)
        assert high <= edge * (1 + 1e-15)
        assert best.is_interior == (best.step_size < edge * (1 - 1e-14))
        kappa = float(task.penalty) * 2  # planted: twice the noise variance
        narrow = min(
            -math.expm1(-math.log1p(task.smallest_eigenvalue / kappa) / int(task.steps)) / task.smallest_eigenvalue,
            edge,
        )
        narrowed += best.step_size > narrow * 1.001
    assert narrowed > 5


def test_two_valleys_are_both_looked_at() -> None:
    # kappa = 1e-4: eigenvalue 1 is best at s = 9, eigenvalue 0.01 (one of many) at s = 460; t large is gradient flow
    copies, deepest = 2000, []
    for extra in (0, 1, 40):
        values = [1.0] * (copies - extra) + [0.01] * extra
        task = conditional(values, copies, copies, 0.01, 100_000)
        best = task.best_risk_step_size()
        scan = np.geomspace(*task.risk_step_size_bracket(), 5000)
        assert task.risk(best) <= np.min(task.risk(scan)) * (1 + 1e-12)
        deepest.append(best * 100_000)
    assert deepest[0] < 10 < 100 < deepest[2]


def test_brackets_give_theta_of_the_flow() -> None:
    task = conditional(gram(1, 40, 20), 40, 20, 1, [100, 10**4, 10**6])
    low, high = task.risk_step_size_bracket()
    kappa = 2.0
    ends = (
        np.log1p(task.largest_eigenvalue / kappa) / task.largest_eigenvalue,
        np.log1p(task.smallest_eigenvalue / kappa) / task.smallest_eigenvalue,
    )
    assert low * task.steps == pytest.approx(np.full(3, ends[0]), rel=0.02)
    assert (high * task.steps)[1:] == pytest.approx(np.full(2, ends[1]), rel=1e-3)
    time = conditional(gram(1, 40, 20), 40, 20, 1, 1).gradient_flow_optimum()
    assert task.best_risk_step_size()[2] * 10**6 == pytest.approx(time, rel=1e-5)
    assert ends[0] <= time <= ends[1]


def test_train_step_size_tends_to_the_middle_of_the_spectrum() -> None:
    values = gram(2, 30, 15)
    task = conditional(values, 30, 15, 1, [10, 10**6])
    middle = 2 / (task.largest_eigenvalue + task.smallest_eigenvalue)
    assert task.best_train_step_size()[1] == pytest.approx(middle, rel=1e-5)
    assert abs(task.best_train_step_size()[0] - middle) > 1e-3 * middle
    low, high = task.train_step_size_bracket()
    assert low.shape == (2,)
    assert np.all((low < task.best_train_step_size()) & (task.best_train_step_size() < high))


def test_monte_carlo_over_targets_and_noise() -> None:
    rng = np.random.default_rng(17)
    n, d, t, eta, sigma, runs = 6, 9, 5, 0.2, 0.8, 4000
    x = rng.standard_normal((n, d))
    target = rng.standard_normal((runs, d))
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    y = target @ x.T + sigma * rng.standard_normal((runs, n))
    w = np.zeros((runs, d))
    for _ in range(t):
        w -= eta * (w @ x.T - y) @ x / n
    task = conditional(np.linalg.eigvalsh(x.T @ x / n), d, n, sigma, t)
    for sample, value in (
        (np.sum((w - target) ** 2, axis=1), task.risk(eta)),
        (0.5 * np.mean((w @ x.T - y) ** 2, axis=1), task.train_loss(eta)),
        (np.sum(w**2, axis=1), task.expected_norm2(eta)),
    ):
        error = np.std(sample, ddof=1) / math.sqrt(runs)
        assert abs(np.mean(sample) - value) < 4 * error  # fixed seed; 4 standard errors
        assert abs(np.mean(sample) - 1.2 * value) > 4 * error  # planted: a fifth too much


def test_rounding_noise_of_an_eigensolver_is_the_null_space() -> None:
    values = gram(3, 12, 5)  # eigvalsh of a rank-5 matrix: seven values near 1e-16, some negative
    assert values.size == 12
    assert np.min(values) < 1e-14
    task = conditional(values, 12, 5, 1, 10)
    assert task.rank == 5
    clean = conditional(values[-5:], 12, 5, 1, 10)
    assert task.risk(0.1) == clean.risk(0.1)
    assert conditional([1, 0, 0], 3, 2, 0, 10**6).risk("1/2") == pytest.approx(2 / 3, rel=1e-14)  # the bias stays


def test_single_eigenvalue_and_tiny_eigenvalue() -> None:
    single = conditional(["3/2", "3/2"], 2, 2, 1, 7)
    assert single.best_train_step_size() == pytest.approx(2 / 3, rel=1e-15)
    assert single.risk_step_size_bracket()[1] == pytest.approx(single.best_risk_step_size(), rel=1e-12)
    tiny = conditional(["1", "1/1000000000000000000"], 2, 2, 1, 3)
    exact = tiny.risk("1/2")
    assert tiny.risk(0.5) == pytest.approx(float(exact), rel=1e-14)  # (1-R^t)^2/l with l = 1e-18
    assert conditional([1.0, 0.5], 2, 2, 0, 5).risk_step_size_bracket() == pytest.approx((1, 1), rel=1e-15)


def test_erm_and_ridge() -> None:
    task = conditional(["2", "1/2"], 3, 4, "1/2", 10**6)
    wanted = Fraction(1, 3) + Fraction(1, 16) * (Fraction(1, 2) + 2)
    assert task.erm_risk() == pytest.approx(float(wanted), rel=1e-14)
    assert task.risk(0.7) == pytest.approx(float(wanted), rel=1e-12)
    kappa = Fraction(3, 16)
    ridge = (1 + kappa / (kappa + 2) + kappa / (kappa + Fraction(1, 2))) / 3
    assert task.ridge_risk() == pytest.approx(float(ridge), rel=1e-14)
    assert conditional(["2", "1/2"], 3, 4, ["1/2", 1], 5).ridge_risk().shape == (2,)
    # the best penalty, searched: R = SUM (lambda^2/d + sigma^2 l/n)/(l + lambda)^2
    penalties = np.geomspace(1e-3, 1e2, 20_001)
    values = np.array([2, 0.5])[:, None]
    scanned = 1 / 3 + np.sum((penalties**2 / 3 + values / 16) / (values + penalties) ** 2, axis=0)
    assert np.min(scanned) == pytest.approx(float(ridge), rel=1e-7)
    assert np.min(scanned) >= float(ridge)


def test_large_spectra_approach_the_limit() -> None:
    values = gram(4, 300, 150)
    task, law = conditional(values, 300, 150, [0.5, 1, 2], 40), limit(2, [0.5, 1, 2], 40)
    assert task.risk(0.02) == pytest.approx(law.risk(0.02), rel=0.01)  # fluctuations of order 1/d
    assert task.risk(0.02) != pytest.approx(limit(2.2, [0.5, 1, 2], 40).risk(0.02), rel=0.01)


def test_divergence() -> None:
    task = conditional([4, 1], 2, 2, 1, 2000)
    assert task.diverges([0.49, 0.51]).tolist() == [False, True]
    assert task.risk(3.0) == math.inf
    assert task.risk(["1/2"])[0] < task.risk(["51/100"])[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: conditional([], 3, 2, 1, 1),
        lambda: conditional([0, 0], 3, 2, 1, 1),
        lambda: conditional([1, -1], 3, 2, 1, 1),
        lambda: conditional([1.0, float("nan")], 3, 2, 1, 1),
        lambda: conditional([1, 1, 1], 3, 2, 1, 1),
        lambda: conditional(1.0, 3, 2, 1, 1),
        lambda: conditional([1], 0, 2, 1, 1),
        lambda: conditional([1], 3, 2.5, 1, 1),
        lambda: conditional([1], True, 2, 1, 1),
        lambda: conditional([1], 3, 2, -1, 1),
        lambda: conditional([1], 3, 2, 1, 0),
        lambda: conditional([1], 3, 2, [1, 2], [1, 2, 3]),
        lambda: conditional([1], 3, 2, 1, 1).risk("-1/2"),
        lambda: conditional([1], 3, 2, 1, 1).risk(-0.5),
        lambda: conditional([1], 3, 2, 1, 1).train_loss("x"),
        lambda: conditional([[1, 2]], 3, 2, 1, 1),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any) -> None:
    with pytest.raises(InputError) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_order_of_the_eigenvalues_does_not_matter() -> None:
    for order in itertools.permutations(["2", "1/2", "1/3"]):
        assert conditional(order, 3, 3, 1, 3).risk("1/4") == conditional(["2", "1/2", "1/3"], 3, 3, 1, 3).risk("1/4")


def test_gradient_flow_risk_is_the_sum_of_its_terms() -> None:
    task, time = conditional(["2", "1/2"], 3, 4, "1/2", 9), 0.8
    bias = (1 + math.exp(-4 * time) + math.exp(-time)) / 3
    variance = ((1 - math.exp(-2 * time)) ** 2 / 2 + (1 - math.exp(-time / 2)) ** 2 * 2) / 16
    assert task.gradient_flow_risk(time) == pytest.approx(bias + variance, rel=1e-14)
    best = task.gradient_flow_optimum()
    assert task.gradient_flow_risk(best) < min(task.gradient_flow_risk([best * 0.999, best * 1.001]))
