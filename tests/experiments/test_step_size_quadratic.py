"""The built-in experiment: a quick run meets its predictions, repeats to the byte; each number has a second route."""

from __future__ import annotations

import math
import shutil
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.table import read_table

SOURCE = list_experiments()["step_size_quadratic"]
SPECTRUM = (Fraction(1), Fraction(1, 2))
COEFFICIENTS = (Fraction(3, 5), Fraction(4, 5))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return reproduce("step_size_quadratic", out=tmp_path_factory.mktemp("out"), quick=True)


@pytest.fixture(scope="module")
def breakdown() -> ModuleType:
    return load_plugin(SOURCE / "breakdown.py")


def _file(result: ExperimentResult, name: str) -> dict[str, list[str]]:
    return read_table(result.folder / name)


def test_the_quick_run_meets_every_prediction_that_applies(quick: ExperimentResult) -> None:
    assert [c.expectation.quantity for c in quick.comparisons if c.outcome == "not met"] == []
    assert sum(c.outcome == "met" for c in quick.comparisons) >= 15
    assert quick.outcome == "met"


@pytest.mark.slow
def test_the_full_run_meets_every_prediction(tmp_path: Path) -> None:
    result = reproduce("step_size_quadratic", out=tmp_path)
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}


def test_every_figure_comes_as_pdf_png_and_csv(quick: ExperimentResult) -> None:
    names = ("meta_descent", "optimal_step_size", "breakdown")
    assert {path.name for path in quick.figures} == {f"{name}.{kind}" for name in names for kind in ("pdf", "png")}
    assert {path.name for path in quick.tables} == {f"{name}.csv" for name in names}
    assert all(path.stat().st_size > 500 for path in quick.figures + quick.tables)


def test_a_planted_wrong_prediction_and_a_second_run_to_the_byte(quick: ExperimentResult, tmp_path: Path) -> None:
    wrong = shutil.copytree(SOURCE, tmp_path / SOURCE.name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (wrong / "expected.toml").read_text()
    planted = text.replace("value = 65\n", "value = 60\n")
    assert planted != text
    (wrong / "expected.toml").write_text(planted)
    result = reproduce(str(wrong), out=tmp_path / "out", quick=True)
    failed = [c.expectation.quantity for c in result.comparisons if c.outcome == "not met"]
    assert failed == ["breakdown.eta=3.float32.silent_zero"]
    assert (result.outcome, result.reused) == ("not met", 0)
    for table in quick.tables:
        assert table.read_bytes() == (result.folder / table.name).read_bytes()


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    copy = shutil.copytree(SOURCE, tmp_path / SOURCE.name, ignore=shutil.ignore_patterns("__pycache__"))
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(config.replace("draws = 8", "draw = 8"))
    with pytest.raises(InputError, match=r"unknown parameter problem\.draw; did you mean problem\.draws"):
        reproduce(str(copy), out=tmp_path / "out")


def test_the_numbers_follow_from_the_tables(quick: ExperimentResult) -> None:
    table = _file(quick, "meta_descent.csv")
    rows = list(zip(*table.values(), strict=True))
    final = {(start, draw): float(eta) / float(best) for _, start, draw, k, eta, best in rows if k == "120"}
    ratios = [ratio for (start, _), ratio in final.items() if start == "10.0"]
    assert min(ratios) == quick.numbers["meta_descent.start_10.final_ratio_least"]
    best = _file(quick, "optimal_step_size.csv")
    at_80 = [i for i, steps in enumerate(best["steps"]) if steps == "80"]
    gaps = [100 * abs(1 - float(best["measured"][i]) / float(best["limit"][i])) for i in at_80]
    assert max(gaps) == quick.numbers["optimal_step_size.gap_percent.t=80"]


def test_meta_descent_by_differences_of_a_dense_simulation(quick: ExperimentResult) -> None:
    """Second route: w_t by 80 dense products in 50 digits, G' by a central difference; no spectrum, no formula."""
    table = _file(quick, "meta_descent.csv")
    rows = zip(*table.values(), strict=True)
    etas = [float(eta) for t, start, draw, _, eta, _ in rows if (t, start, draw) == ("80", "0.1", "1")]
    generator = np.random.default_rng(1)
    start, factor = generator.standard_normal(20), generator.standard_normal((20, 20))
    with mpmath.workdps(50):
        hessian = [[mpmath.mpf(float(entry)) for entry in row] for row in factor.T @ factor]

        def objective(eta: mpmath.mpf) -> mpmath.mpf:
            w = [mpmath.mpf(float(entry)) for entry in start]
            for _ in range(80):
                w = [wi - eta * mpmath.fdot(row, w) for wi, row in zip(w, hessian, strict=True)]
            return mpmath.log(sum(wi * mpmath.fdot(row, w) for wi, row in zip(w, hessian, strict=True)) / 2) / 80

        for k in (1, 2):
            eta, h = mpmath.mpf(etas[k - 1]), mpmath.mpf("1e-15")
            slope = (objective(eta + h) - objective(eta - h)) / (2 * h)
            # The eigenvalues of a float matrix are good to 1e-14 of the largest; at t = 80 that is 1e-12 of G'.
            assert etas[k] == pytest.approx(float(max(0, eta - slope / (100 * mpmath.sqrt(k)))), rel=1e-9)
            # planted fault: a schedule without the square root is seen at the second step
            if k == 2:
                assert etas[k] != pytest.approx(float(max(0, eta - slope / (100 * k))), rel=1e-2)


def test_the_search_by_running_finds_the_optimum_of_two_eigenvalues() -> None:
    """Second route: eta*_t = (1+rho)/(L + rho alpha), rho = (c_d^2 al^2/(c_1^2 L^2))^(1/(2t-1))."""
    search = load_plugin(SOURCE / "optimal_step_size.py").best_by_running
    angle = 0.7
    basis = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    hessian, start = basis @ np.diag([5.0, 1.0]) @ basis.T, basis @ np.array([0.6, 0.8])
    for steps in (1, 4, 50):
        rho = (0.64 / (0.36 * 25)) ** (1 / (2 * steps - 1))
        # 1e-6: the search stops at 1e-8 of its interval, the loss is flat to rounding over about 1e-7.
        assert search(hessian, start, steps) == pytest.approx((1 + rho) / (5 + rho), rel=1e-6)
    # planted fault: the limit 2/(L+alpha) is not the optimum of a short run
    assert search(hessian, start, 1) != pytest.approx(2 / 6, rel=1e-2)


def test_settled_means_for_good() -> None:
    settled = load_plugin(SOURCE / "meta_descent.py").settled
    ratios = np.array([[2, 1, 1, 1], [2, 1, 2, 1], [2, 1, 1, 2], [1, 1, 1, 1], [2, 2, 1.049, 0.951]])
    assert settled(ratios).tolist() == [1, 3, math.inf, 0, 2]


def test_bisection_finds_what_a_full_scan_finds(breakdown: ModuleType) -> None:
    for step_size in (Fraction(4, 3), Fraction(3)):
        setting = breakdown.Setting(SPECTRUM, COEFFICIENTS, step_size, "float32")
        samples = [setting.differentiate("reverse", steps) for steps in range(1, 136)]
        scan = {
            "nan": next(t for t, sample in enumerate(samples, 1) if math.isnan(sample.gradient)),
            "zero loss": next((t for t, sample in enumerate(samples, 1) if sample.loss == 0), math.inf),
            "silent zero": next(t for t, sample in enumerate(samples, 1) if not abs(sample.gradient) > 0),
        }
        assert breakdown.observed_thresholds(setting, 135) == scan
        assert breakdown.observed_thresholds(setting, 30) == dict.fromkeys(scan, math.inf)


@pytest.mark.parametrize("step_size", [Fraction(1, 8), Fraction(1, 4), Fraction(1)])
def test_thresholds_are_predicted_on_another_spectrum_to_within_one_step(
    breakdown: ModuleType, step_size: Fraction
) -> None:
    eigenvalues = (Fraction(10), Fraction(7), Fraction(3), Fraction(1))
    setting = breakdown.Setting(eigenvalues, (Fraction(1, 2),) * 4, step_size, "float32")
    predicted = breakdown.predicted_thresholds(setting, 500)
    observed = breakdown.observed_thresholds(setting, 500)
    for regime, steps in predicted.items():
        # The formulas keep the dominant component only; the others move a threshold by one step at most.
        assert abs(observed[regime] - steps) <= 1
        # planted fault: the range of float64 in the place of float32 predicts something else
        other = breakdown.predicted_thresholds(setting._replace(dtype="float64"), 20000)
        assert abs(observed[regime] - other[regime]) > 1


def test_the_silent_zero_is_exactly_zero_while_the_gradient_is_not(quick: ExperimentResult) -> None:
    table = _file(quick, "breakdown.csv")
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    silent = [row for row in rows if (row["step_size"], row["dtype"], row["steps"]) == ("3", "float32", "100")]
    assert [float(row["reverse"]) for row in silent] == [0]
    assert float(silent[0]["exact"]) == pytest.approx(1, abs=1e-6)
    assert float(silent[0]["renormalised"]) == pytest.approx(1, abs=1e-5)  # float32 over 100 steps


@pytest.mark.parametrize("program", ["reverse", "renormalised"])
def test_both_programs_differentiate_the_same_function(breakdown: ModuleType, program: str) -> None:
    """Second route: G' = F'/(t F) from the definition, in rationals."""
    for step_size in (Fraction(3, 4), Fraction(3)):
        setting = breakdown.Setting(SPECTRUM, COEFFICIENTS, step_size, "float64")
        for steps in (1, 2, 9):
            terms = [(c * c * v, v, 1 - step_size * v) for c, v in zip(COEFFICIENTS, SPECTRUM, strict=True)]
            loss = sum(x * r ** (2 * steps) for x, _, r in terms)
            slope = -2 * sum(x * v * r ** (2 * steps - 1) for x, v, r in terms) / loss
            assert setting.exact(steps)[0] == pytest.approx(float(slope), rel=1e-14)
            # 1e-12: some tens of roundings, each 1e-16, and no cancellation in a diagonal problem
            assert setting.differentiate(program, steps).gradient == pytest.approx(float(slope), rel=1e-12)
