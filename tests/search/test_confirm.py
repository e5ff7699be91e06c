from fractions import Fraction

import pytest
from planted_statements import FALSE, TRUE

from l2o_theory.rigor import kernel
from l2o_theory.rigor.statement import Parameter, Statement
from l2o_theory.search.confirm import certify, confirm
from l2o_theory.search.shrink import complexity, refilled, rounded, slots

X = Parameter("x")
BOUNDED, BOUNDED_REFUTED = FALSE["constant 1.9"]
HARD = {
    "L": 1.0,
    "alpha": 0.9990001,
    "t": 1000,
    "eta": 1.00050125,
    "w_1": 0.4999,
    "w_d": 0.5,
    "w_i": [1e-4],
    "l_i": [1.0],
}


def test_a_float_lead_becomes_small_exact_rationals() -> None:
    found = confirm(BOUNDED, HARD)
    assert found is not None
    assert found.arithmetic == "rational"
    assert BOUNDED_REFUTED(found.instance)
    assert found.instance["L"] == 1
    assert found.instance["w_1"] == found.instance["w_d"] == Fraction(1, 2)
    assert found.instance["w_i"] == ()
    assert complexity(found.instance) < 120
    kernel.check(found.certificate)


def test_the_true_statement_confirms_nothing_at_the_same_lead() -> None:
    assert confirm(TRUE["constant 2"], HARD) is None


def test_a_corrupted_certificate_of_a_counterexample_is_refused() -> None:
    found = confirm(BOUNDED, HARD)
    assert found is not None
    moved = {**found.certificate["instance"], "eta": "1/3"}
    with pytest.raises(kernel.Rejected):
        kernel.check({**found.certificate, "instance": moved})


def test_certify_keeps_the_numbers_it_was_given() -> None:
    documented = {"L": "1", "alpha": "999/1000", "t": "1000", "eta": "1996/1995", "w_1": "1/2", "w_d": "1/2"}
    instance = {name: Fraction(text) for name, text in documented.items()} | {"w_i": (), "l_i": ()}
    found = certify(BOUNDED, instance)
    assert found is not None
    assert found.instance == instance
    assert found.certificate["instance"]["eta"] == "1996/1995"
    assert found.margin == pytest.approx((1.9 - 1.99169) / (1.9 + 1.99169), rel=1e-4)  # the ratio as published
    assert certify(TRUE["constant 2"], instance) is None


@pytest.mark.parametrize(
    ("conclusion", "lead", "expected"),
    [
        ("x <= 2", 17.23456789, {"x": 3}),
        ("x < 2", 1.99999999999999999, {"x": 2}),
        ("x >= 0", -0.000123, {"x": -1}),
        ("x**2 >= 2", 1.3 + 1e-9, {"x": 0}),
        ("x == 1/3", 1 / 3 + 1e-3, {"x": 0}),
        ("x <= 1/3", 1 / 3 + 1e-9, {"x": 1}),
        ("x*(1-x) <= 1/4 - 1/10000", 0.5001234, {"x": Fraction(1, 2)}),
    ],
)
def test_shrinking_reaches_the_simplest_violation(conclusion: str, lead: float, expected: dict) -> None:
    found = confirm(Statement((X,), {}, conclusion), {"x": lead})
    assert found is not None
    assert complexity(found.instance) <= complexity({n: Fraction(v) for n, v in expected.items()}) + 1


def test_hypotheses_are_checked_again_after_rounding() -> None:
    narrow = Statement((X,), {"below": "x < 1", "close": "x > 1 - 1/1000000"}, "x < 9/10")
    found = confirm(narrow, {"x": 1 - 3e-7})
    assert found is not None
    assert 1 - Fraction(1, 10**6) < found.instance["x"] < 1


def test_an_equality_of_floats_is_no_violation() -> None:
    third = Statement((X,), {}, "(x + 1)**2 == x**2 + 2*x + 1")
    for lead in (0.1, 1e-9, 12345.678):
        assert confirm(third, {"x": lead}) is None
    assert confirm(Statement((X,), {}, "(x + 1)**2 == x**2 + 2*x + 2"), {"x": 0.1}) is not None


def test_transcendental_sides_are_decided_in_balls_and_say_so() -> None:
    found = confirm(Statement((X,), {"positive": "x > 0"}, "log(x) <= x - 11/10"), {"x": 1.01})
    assert found is not None
    assert found.arithmetic != "rational"
    assert found.certificate["bits"] == found.arithmetic
    kernel.check(found.certificate)
    assert confirm(Statement((X,), {"positive": "x > 0"}, "log(x) <= x - 1"), {"x": 1.0}) is None


def test_shares_of_a_transcendental_statement_become_binary_fractions() -> None:
    pair = (Parameter("p", "share"), Parameter("q", "share"))
    entropy = Statement(pair, {"p": "p > 0", "q": "q > 0", "one": "p + q == 1"}, "-p*log(p) - q*log(q) <= 6/10")
    found = confirm(entropy, {"p": 0.3, "q": 0.7})
    assert found is not None
    assert found.instance["p"] + found.instance["q"] == 1


def test_shares_still_sum_to_one_after_any_refilling() -> None:
    instance = {"L": Fraction(1), "alpha": Fraction(1, 2), "t": Fraction(3), "eta": Fraction(1)}
    instance |= {"w_1": Fraction(1, 7), "w_d": Fraction(2, 7), "w_i": (Fraction(4, 7),), "l_i": (Fraction(1),)}
    changed = refilled(BOUNDED, instance, {**slots(instance), ("w_1", 0): Fraction(1, 10)})
    assert changed["w_1"] + changed["w_d"] + sum(changed["w_i"]) == 1
    assert changed["w_i"] == (1 - Fraction(1, 10) - Fraction(2, 7),)
    kept = refilled(BOUNDED, instance, {**slots(instance), ("w_i", 0): Fraction(1, 2)}, ("w_i", 0))
    assert kept["w_i"] == (Fraction(1, 2),)
    assert kept["w_d"] == Fraction(1, 2) - Fraction(1, 7)


def test_rounding_keeps_small_numbers_from_becoming_zero() -> None:
    assert rounded(Fraction("0.33333"), 10) == Fraction(1, 3)
    assert rounded(Fraction("0.000000123"), 10) == Fraction(1, 8 * 10**6)
    assert rounded(Fraction("-0.000000123"), 10) == Fraction(-1, 8 * 10**6)
    assert rounded(Fraction(0), 10) == 0
