"""The gradient doctor finds each planted fault, says where, and lets an honest rule pass."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from l2o_theory.audit import GradientReport, examine_gradient, load_optimizee, load_subject
from l2o_theory.audit.directions import difference_quotients
from l2o_theory.audit.optimizees import OPTIMIZEES
from l2o_theory.errors import InputError
from l2o_theory.quadratic.truncation import TruncatedDescent

RULES = Path(__file__).with_name("planted_rules.py")


def examined(rule: str, problem: str = "quadratic", **options: Any) -> GradientReport:
    name = rule if rule[0] == "=" else f"{RULES}:{rule}"
    subject = load_subject(name.lstrip("="), options.pop("values", None))
    return examine_gradient(subject, problem, **{"steps": 12, "window": 4, "limit": 12, **options})


def faults(report: GradientReport) -> dict[str, str]:
    return {finding.name: finding.text for finding in report.faults}


def test_an_honest_rule_passes() -> None:
    report = examined("Momentum")
    assert report.faults == ()
    rows = {row.name: row for row in report.estimates}
    assert rows["reverse"].verdict == rows["forward"].verdict == "agrees"
    assert rows["truncated, K = 4"].verdict.startswith("biased by")
    assert rows["truncated, K = 4"].distance > 0.1


def test_the_bias_at_her_window_is_that_of_the_closed_form() -> None:
    """Gradient descent, quadratic: relative bias of G_N,K from exact sums."""
    report = examined("=GradientDescent", values={"step_size": 0.5})
    # the doctor also moves weight_decay; its own row for the step size alone comes from a rule that has nothing else
    report = examined("NoMeta", values={"step_size": 0.5})
    exact = TruncatedDescent(["1", "3/10", "1/10", "3/100"], ["1", "1", "4", "0"])
    row = next(row for row in report.estimates if row.name.startswith("truncated"))
    assert row.distance == pytest.approx(float(exact.relative_bias("1/2", 12, 4)), rel=1e-6)  # accuracy of differences
    assert row.norm == pytest.approx(0.5 * abs(float(exact.meta_gradient("1/2", 12, 4))), rel=1e-10)
    first = next(row for row in report.estimates if row.name == "first order")
    assert first.norm == pytest.approx(0.5 * abs(float(exact.first_order("1/2", 12))), rel=1e-10)


def test_a_detached_state_is_found_and_located() -> None:
    found = faults(examined("DetachedState"))
    assert "momentum" in found["reverse"]
    assert "d state['velocity'] / d state['velocity'] is 0 by autograd" in found["one step"]
    assert "forward" not in found  # it says the same, once is enough


def test_a_state_detached_now_and_then_is_found() -> None:
    report = examined("DetachedSometimes")
    assert set(faults(report)) == {"reverse"}
    assert any(finding.name == "one step" and finding.state == "ok" for finding in report.findings)


def test_a_square_root_at_zero_is_found_and_located() -> None:
    found = faults(examined("RootAtZero"))
    assert "not finite in step_size, beta2" in found["reverse"]
    assert "sqrt" in found["zero gradient"]
    assert "meta['beta2']" in found["zero gradient"]


def test_a_square_root_at_zero_is_found_where_no_gradient_is_zero() -> None:
    report = examined("RootAtZero", "rosenbrock", values={"step_size": 0.01})
    assert set(faults(report)) == {"zero gradient"}  # the run itself is fine, the next black pixel is not


def test_the_safe_root_passes() -> None:
    assert examined("=Adam", values={"step_size": 0.1}).faults == ()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("InPlace", "changed state in place"),
        ("InPlaceLater", "changed state in place at step 3"),
        ("OtherStructure", "wanted {'velocity': float64 (4,)}, got {'speed': float64 (4,)}"),
        ("OtherShapeLater", "at step 3: wanted float64 (4,), got float64 (1, 4)"),
        ("MixedDtypes", "one dtype"),
        ("Crashes", "planted_rules.py"),
        ("RemembersOutside", "two answers"),
    ],
)
def test_a_rule_that_is_no_pure_function_is_refused_with_the_reason(rule: str, words: str) -> None:
    report = examined(rule)
    assert words in faults(report)["contract"]
    assert report.estimates == ()


def test_a_change_in_place_that_torch_hides_shows_in_the_difference_quotients() -> None:
    assert "away from difference quotients" in faults(examined("HiddenInPlaceLater"))["reverse"]


def test_a_number_in_place_of_a_tensor_is_found() -> None:
    found = faults(examined("NumberInsteadOfTensor"))
    assert "0 instead of" in found["reverse"]
    assert "d params / d meta['momentum'] is 0 by autograd" in found["one step"]


def test_a_rule_that_does_not_use_its_meta_parameters_is_no_silent_zero() -> None:
    report = examined("IgnoresMeta")
    assert "does not depend on any meta-parameter" in faults(report)["reverse"]


def test_chaos_is_seen_and_a_horizon_beyond_float64_is_a_fault() -> None:
    short = examined("=GradientDescent", "double_well", values={"step_size": 2.0}, steps=20, limit=50)
    assert short.growth is not None
    assert short.growth.start == pytest.approx(math.log(3), rel=0.15)  # finite-time exponent of the Chebyshev map
    # rounding 2^-52 grown threefold per step reaches a tenth after log_3(0.1 * 2^52) = 31 steps; float32 after 13
    single, double = short.reach
    assert single.step is not None
    assert double.step is not None
    assert 10 <= single.step <= 17
    assert 27 <= double.step <= 36
    assert not [finding for finding in short.faults if finding.name == "horizon"]
    assert any(finding.name == "horizon" and "chaos" in finding.text for finding in short.findings)
    long = examined("=GradientDescent", "double_well", values={"step_size": 2.0}, steps=40, limit=40)
    assert "40 steps are too many for float64" in faults(long)["horizon"]


def test_overflow_says_where() -> None:
    report = examined("=GradientDescent", values={"step_size": 1e20}, steps=30, limit=30)
    assert "f(x_8) is not finite" in faults(report)["losses"]  # (1e20)^(2t) > 1.8e308 from t = 8 on


def test_underflow_is_told_from_rounding() -> None:
    report = examined("NoMeta", f"{RULES}:Well", values={"step_size": 0.3}, limit=130)
    single, double = report.reach
    # dx_t/dphi is about 2 t 0.4^(t-1): below 1.2e-38, the least normal float32, from t = 101 on, below 1.4e-45, the
    # least of all, from t = 119 on; in float64 from t = 770 on
    assert single.step is not None
    assert 101 <= single.step <= 119
    assert "underflow" in single.reason
    assert double.step is None


def test_float32_is_judged_by_float32() -> None:
    report = examined("Momentum", dtype=torch.float32)
    assert report.faults == ()
    rows = {row.name: row for row in report.estimates}
    assert 1e-9 < rows["reverse"].distance < 1e-3  # float32 did take part


def test_a_problem_of_the_users_own() -> None:
    report = examined("Momentum", f"{RULES}:Well")
    assert report.faults == ()
    assert report.setting["coordinates"] == 2
    assert [entry.looked_up_to for entry in report.reach] == [12, 12]


@pytest.mark.parametrize("problem", OPTIMIZEES)
def test_every_problem_is_the_same_in_both_dtypes(problem: str) -> None:
    double, single = load_optimizee(problem), load_optimizee(problem, dtype=torch.float32)
    losses = []
    for optimizee in (double, single):
        batch = None if optimizee.batches is None else optimizee.batches(3)
        losses.append(float(optimizee.problem.loss(optimizee.start, batch)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_learned_optimizer_along_random_directions() -> None:
    report = examined("=LSTMRule", "random_quadratic", steps=6, window=2, limit=6)
    assert report.faults == ()
    assert report.directions == ("random 1", "random 2", "random 3", "random 4")
    assert report.setting["meta_parameters"] == 5141


def test_difference_quotients_know_what_they_are_worth() -> None:
    quotients, doubt = difference_quotients(lambda s: (3 * s).sin().sum(), 2)
    assert torch.allclose(quotients, torch.full((2,), 3.0, dtype=torch.float64), rtol=1e-8)
    assert float(doubt.max()) < 1e-6
    _, doubt = difference_quotients(lambda s: (1e9 * s).sin().sum(), 1)
    assert float(doubt) > 1.0


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="floating dtype"):
        load_subject(f"{RULES}:IntegerMeta")
    with pytest.raises(InputError, match="no meta-parameters; give the rule a method meta"):
        load_subject(f"{RULES}:NoMeta")
    with pytest.raises(InputError, match="did you mean Adam"):
        load_subject("Adm")
    with pytest.raises(InputError, match="has no 'Momentun'; it defines"):
        load_subject(f"{RULES}:Momentun")
    with pytest.raises(InputError, match="is a int"):
        load_subject(f"{RULES}:nothing")
    with pytest.raises(InputError, match="no problem 'quadratics'; did you mean"):
        load_optimizee("quadratics")
    with pytest.raises(InputError, match="no method loss"):
        load_optimizee(f"{RULES}:Momentum")
    subject = load_subject(f"{RULES}:Momentum")
    with pytest.raises(InputError, match="window must be between 1 and the number of steps, 5"):
        examine_gradient(subject, steps=5, window=6)
    with pytest.raises(InputError, match="float32 or float64"):
        examine_gradient(subject, dtype=torch.float16)


def test_the_document_is_plain_json() -> None:
    document = json.loads(json.dumps(examined("RootAtZero").document, allow_nan=False))
    assert document["healthy"] is False
    assert document["estimates"][1]["norm"] == "nan"
