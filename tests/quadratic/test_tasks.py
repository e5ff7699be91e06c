"""Several tasks against mpmath sums over tasks, exact polynomial roots, and a counterexample to one minimum."""

from __future__ import annotations

import math
from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic.analyzer import Quadratic
from l2o_theory.quadratic.tasks import Tasks, minima_on_grid

HALF = Fraction(1, 2)
SPECTRA = [[Fraction(1), Fraction(9, 10)], [Fraction(3, 10), Fraction(1, 4)]]
NEAR = 1e-12  # sums of two tasks with two eigenvalues; cancellation below a factor 1000 at the points used


@pytest.fixture(scope="module")
def tasks() -> Tasks:
    return Tasks([(spectrum, [HALF, HALF]) for spectrum in SPECTRA])


def losses(step_size: mpmath.mpf, steps: int) -> list[mpmath.mpf]:
    return [
        sum(
            mpmath.mpf(v.numerator) / v.denominator * (1 - step_size * v.numerator / v.denominator) ** (2 * steps)
            for v in spectrum
        )
        / 4
        for spectrum in SPECTRA
    ]


OBJECTIVES = {
    "mean_loss": lambda eta, t: sum(losses(eta, t)) / 2,
    "log_of_mean": lambda eta, t: mpmath.log(sum(losses(eta, t)) / 2) / t,
    "mean_of_logs": lambda eta, t: sum(mpmath.log(loss) for loss in losses(eta, t)) / (2 * t),
}


@pytest.mark.parametrize("objective", list(OBJECTIVES))
@pytest.mark.parametrize(("eta", "steps"), [(0.5, 1), (1.3, 20), (3.1, 7), (-0.2, 3), (2.0, 300)])
def test_values_and_derivatives_agree_with_mpmath(tasks: Tasks, objective: str, eta: float, steps: int) -> None:
    with mpmath.workdps(80):

        def reference(step: mpmath.mpf) -> mpmath.mpf:
            return OBJECTIVES[objective](step, steps)

        point = mpmath.mpf(eta)
        wanted = [reference(point), mpmath.diff(reference, point), mpmath.diff(reference, point, 2)]
        balls = [
            getattr(tasks, objective)(eta, steps, digits=25),
            tasks.meta_gradient(eta, steps, objective, digits=25),  # type: ignore[arg-type]
            tasks.meta_curvature(eta, steps, objective, digits=25),  # type: ignore[arg-type]
        ]
        for ball, exact, digits in zip(balls, wanted, (25, 25, 18), strict=True):  # numerical f'' is good to 20 digits
            assert abs(mpmath.mpf(ball.mid().str(40, radius=False)) - exact) <= abs(exact) * mpmath.mpf(10) ** -digits
    found = [
        getattr(tasks, objective)(eta, steps),
        tasks.meta_gradient(eta, steps, objective),  # type: ignore[arg-type]
        tasks.meta_curvature(eta, steps, objective),  # type: ignore[arg-type]
    ]
    for value, exact in zip(found, wanted, strict=True):
        assert value == pytest.approx(float(exact), abs=0, rel=NEAR)
        assert value * (1 + 1e-10) != pytest.approx(float(exact), abs=0, rel=NEAR)


def test_the_logarithms_may_not_be_swapped(tasks: Tasks) -> None:
    # the planted fault the module exists for; Jensen: mean of logs < log of mean
    assert tasks.mean_of_logs(1.3, 5) < tasks.log_of_mean(1.3, 5)
    assert tasks.meta_gradient(2.5, 1, "mean_of_logs") < 0 < tasks.meta_gradient(2.5, 1, "log_of_mean")


@pytest.mark.parametrize(
    ("steps", "minima", "maximum", "optimum"),
    [(1, (1.04802, 3.53555), 2.35327, 1.10774), (20, (1.05251, 3.63373), 2.50004, None)],
)
def test_counterexample_to_one_minimum(
    tasks: Tasks, steps: int, minima: tuple[float, float], maximum: float, optimum: float | None
) -> None:
    assert tasks.local_minima(steps).round(5).tolist() == list(minima)
    assert tasks.local_maxima(steps).round(5).tolist() == [maximum]
    for objective in ("mean_loss", "log_of_mean"):
        found = tasks.local_minima(steps, objective)  # type: ignore[arg-type]
        assert found == pytest.approx([tasks.optimal_step_size(steps)], abs=0, rel=1e-12)
        assert tasks.local_maxima(steps, objective).size == 0  # type: ignore[arg-type]
    if optimum is not None:
        assert round(tasks.optimal_step_size(steps), 5) == optimum
        assert abs(tasks.optimal_step_size(steps, digits=20) - tasks.optimal_step_size(steps)) < 1e-15


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_all_stationary_points_by_isolating_polynomial_roots(tasks: Tasks, steps: int) -> None:
    # SUM_k S2_k/S1_k = 0 times the denominators is a polynomial; its roots are isolated exactly
    def sums(spectrum: list[Fraction], power: int, exponent: int) -> flint.fmpq_poly:
        total = flint.fmpq_poly([0])
        for v in spectrum:
            value = flint.fmpq(v.numerator, v.denominator)
            total += value**power * flint.fmpq_poly([1, -value]) ** exponent
        return total

    first, second = SPECTRA
    polynomial = sums(first, 2, 2 * steps - 1) * sums(second, 1, 2 * steps)
    polynomial += sums(second, 2, 2 * steps - 1) * sums(first, 1, 2 * steps)
    roots = flint.fmpz_poly([int(c) for c in (polynomial * polynomial.denom()).coeffs()]).complex_roots()
    real = sorted(float(root.real) for root, _ in roots if root.imag == 0)
    found = sorted([*tasks.local_minima(steps), *tasks.local_maxima(steps)])
    assert found == pytest.approx(real, abs=0, rel=1e-12)
    assert len(found) == 3


def test_the_two_minima_are_certified_by_signs(tasks: Tasks) -> None:
    for steps, points in ((1, ("1", "3/2", "3", "4")), (20, ("1", "3/2", "3", "4"))):
        slopes = [tasks.meta_gradient(point, steps, "mean_of_logs", digits=5) for point in points]
        assert slopes[0] < 0 < slopes[1]
        assert slopes[2] < 0 < slopes[3]


def test_bounds_restrict_the_search(tasks: Tasks) -> None:
    assert tasks.local_minima(1, bounds=(0.1, 2.0)).round(5).tolist() == [1.04802]
    assert tasks.local_minima(1, bounds=(0.1, 50.0)).size == 2  # nothing outside the tasks' own optima
    assert tasks.local_minima(1, bounds=(5.0, 6.0)).size == 0


def test_one_task_is_the_analyzer() -> None:
    quadratic = Quadratic([1, 0.3], [0.2, 0.8])
    alone = Tasks([quadratic])
    assert alone.mean_loss(0.7, 9) == pytest.approx(quadratic.loss(0.7, 9), abs=0, rel=1e-14)
    assert alone.mean_of_logs(0.7, 9) == alone.log_of_mean(0.7, 9) == quadratic.log_loss(0.7, 9) / 9
    assert alone.local_minima(9) == pytest.approx([quadratic.optimal_step_size(9)], abs=0, rel=1e-12)


def test_a_task_solved_in_one_step_has_its_minimum_at_minus_infinity() -> None:
    # single eigenvalues: F_k = 0 at 1/l_k, where the mean of logarithms has a pole
    tasks = Tasks([([2], [1]), ([0.5], [1])])
    assert tasks.local_minima(3) == pytest.approx([0.5, 2.0], abs=0, rel=1e-9)
    assert tasks.mean_of_logs(0.5, 3) == -math.inf
    assert tasks.mean_of_logs("1/2", 3, digits=10) < -1e300
    assert math.isnan(tasks.meta_gradient(0.5, 3, "mean_of_logs"))
    assert math.isfinite(tasks.log_of_mean(0.5, 3))


def test_huge_horizons_stay_finite(tasks: Tasks) -> None:
    steps = 10**6
    assert tasks.mean_loss(1.3, steps) == 0.0
    assert tasks.local_minima(steps, "mean_loss") == pytest.approx([tasks.optimal_step_size(steps)], abs=0, rel=1e-9)
    # t -> inf: (1/t) log F_k -> 2 log max_i |1 - eta l_i|
    limit = sum(2 * math.log(max(abs(1 - 1.3 * v) for v in spectrum)) for spectrum in SPECTRA) / 2
    assert tasks.mean_of_logs(1.3, steps) == pytest.approx(limit, abs=1e-5)
    # and the minima go to the kinks 2/(L + alpha) of the two tasks
    assert tasks.local_minima(steps) == pytest.approx([2 / 1.9, 2 / 0.55], abs=0, rel=1e-5)


def test_arguments_broadcast(tasks: Tasks) -> None:
    etas, horizons = np.array([[0.5], [1.0], [2.0]]), np.array([1, 10])
    for name in ("mean_loss", "log_of_mean", "mean_of_logs"):
        values = getattr(tasks, name)(etas, horizons)
        assert values.shape == (3, 2)
        assert values[2, 1] == pytest.approx(getattr(tasks, name)(2.0, 10), abs=0, rel=1e-14)
    assert tasks.meta_gradient(etas, horizons, "mean_of_logs").shape == (3, 2)


def test_minima_on_a_grid_finds_turns_and_nothing_else() -> None:
    grid = np.linspace(0.1, 10, 50)
    assert minima_on_grid(np.cos, grid) == pytest.approx([1.5 * math.pi], abs=0, rel=1e-12)
    assert minima_on_grid(lambda x: -np.cos(x), grid) == pytest.approx([math.pi / 2, 2.5 * math.pi], abs=0, rel=1e-12)
    assert minima_on_grid(lambda x: x - 1.0, np.array([0.5, 1.0, 2.0])) == pytest.approx([1.0])  # a zero on the grid
    assert minima_on_grid(lambda x: x, grid).size == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: Tasks([]),
        lambda: Tasks(Quadratic([1], [1])),  # type: ignore[arg-type]
        lambda: Tasks("12"),  # type: ignore[arg-type]
        lambda: Tasks([([1],)]),  # type: ignore[list-item]
        lambda: Tasks([([1, 2], [1])]),
        lambda: Tasks([([1], [1])]).mean_loss(float("nan"), 1),
        lambda: Tasks([([1], [1])]).mean_of_logs(0.1, 0),
        lambda: Tasks([([1], [1])]).meta_gradient(0.1, 1, "final"),  # type: ignore[arg-type]
        lambda: Tasks([([1], [1])]).local_minima(1, bounds=(2.0, 1.0)),
        lambda: Tasks([([1], [1])]).local_minima(1, "mean"),  # type: ignore[arg-type]
        lambda: Tasks([([1], [1])]).log_of_mean(0.1, 2, digits=0),
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
