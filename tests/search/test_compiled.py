import ast
import math
from fractions import Fraction
from random import Random

import pytest
from planted_statements import FALSE, TRUE

from l2o_theory.errors import ClaimError
from l2o_theory.rigor import language
from l2o_theory.rigor.statement import Parameter, Statement
from l2o_theory.search.compiled import compile_margin
from l2o_theory.search.instances import RandomChoices, draw_instance

X = Parameter("x")


def gap(left: Fraction, right: Fraction) -> float:
    return float((right - left) / (abs(left) + abs(right)))


def exact_slack(statement: Statement, instance: dict) -> float:
    world = statement.world(instance)
    tree = ast.parse(statement.conclusion, mode="eval").body
    assert isinstance(tree, ast.Compare)
    left, right = (language.evaluate_tree(side, world) for side in (tree.left, tree.comparators[0]))
    slack = gap(left, right) if left or right else 0.0
    return {ast.GtE: -slack, ast.Gt: -slack, ast.Eq: -abs(slack)}.get(type(tree.ops[0]), slack)


@pytest.mark.parametrize("name", sorted({**TRUE, **{n: s for n, (s, _) in FALSE.items()}}))
def test_the_compiled_margin_is_the_exact_one(name: str) -> None:  # to 1e-9: 64 bits less 30 for cancellation
    statement = TRUE[name] if name in TRUE else FALSE[name][0]
    margin, choices, compared = compile_margin(statement), RandomChoices(Random(1)), 0
    for _ in range(80):
        instance = draw_instance(statement, choices)
        if instance["t"] > 40 or not statement.decide(instance).admissible:
            continue
        compared += 1
        assert min(1.0, margin(instance).conclusion) == pytest.approx(exact_slack(statement, instance), abs=1e-9)
    assert compared > 5


def test_margin_against_plain_fractions() -> None:
    statement = Statement((X, Parameter("t", "natural")), {"positive": "x > 0"}, "x**(2*t-1)/3 <= 1/7 + t")
    x, t = Fraction(5, 4), Fraction(3)
    expected = gap(x**5 / 3, Fraction(1, 7) + 3)
    assert compile_margin(statement)({"x": x, "t": t}).conclusion == pytest.approx(expected, rel=1e-14)  # 64-bit balls
    wrong = gap(x**6 / 3, Fraction(1, 7) + 3)  # one power more: the comparison would notice
    assert abs(wrong - expected) > 1e-3


def test_powers_far_outside_the_float_range_keep_their_ratio() -> None:
    statement = Statement((X, Parameter("t", "natural")), {}, "x**t <= 2*x**t")
    margin = compile_margin(statement)
    for x in (Fraction(1, 10**6), Fraction(10**6)):
        assert margin({"x": x, "t": 10**6}).conclusion == pytest.approx(1 / 3, rel=1e-12)  # 64-bit balls


def test_vectors_reductions_and_all() -> None:
    statement = Statement(
        (Parameter("l_i"), Parameter("w_i")),
        {"each": "l_i > 0"},
        "all(w_i**2 >= 0) and max(l_i) <= sum(l_i) and prod(l_i) <= 1 and not sum(w_i) < 0",
        {"ratio_i": "w_i/l_i"},
    )
    margin = compile_margin(statement)
    halves = (Fraction(1, 2), Fraction(1, 4))
    assert margin({"l_i": halves, "w_i": halves}).conclusion == pytest.approx(gap(Fraction(1, 2), Fraction(3, 4)))
    assert margin({"l_i": (Fraction(3), Fraction(1)), "w_i": halves}).conclusion == pytest.approx(
        gap(Fraction(3), Fraction(1))
    )
    assert margin({"l_i": (Fraction(-1), Fraction(1)), "w_i": halves}).hypotheses == -1.0


def test_hypotheses_hold_at_their_boundary_only_if_not_strict() -> None:
    third = {"x": Fraction(1, 3)}
    for relation, holds in (("3*x <= 1", True), ("3*x == 1", True), ("3*x < 1", False), ("3*x != 1", False)):
        slack = compile_margin(Statement((X,), {"h": relation}, "x == x"))(third)
        assert (slack.hypotheses >= 0) is holds


@pytest.mark.parametrize("conclusion", ["1/x <= 1", "log(x - 1) <= 1", "2**(x + 1/2) <= 1"])
def test_an_undefined_value_is_nan_not_a_violation(conclusion: str) -> None:
    assert math.isnan(compile_margin(Statement((X,), {}, conclusion))({"x": Fraction(0)}).conclusion)
    assert compile_margin(Statement((X,), {}, "x + 2 <= 1"))({"x": Fraction(0)}).conclusion < 0


@pytest.mark.parametrize(
    "text", ["x.real <= 1", "[x for y in x] <= 1", "x if x else x", "x <= '1'", "(lambda: x)() <= 1"]
)
def test_text_outside_the_language_is_refused_before_it_runs(text: str) -> None:
    with pytest.raises(ClaimError):
        compile_margin(Statement((X,), {}, text))


def test_sides_of_opposite_sign_still_show_which_point_is_closer() -> None:
    margin = compile_margin(Statement((X,), {}, "-x <= 1"))
    far, near, beyond = (margin({"x": Fraction(x)}).conclusion for x in (100, 1, -2))
    assert far > near > 1 > 0 > beyond


def test_vectors_of_naturals_may_be_powers() -> None:
    statement = Statement((X, Parameter("t_i", "natural")), {"late": "t_i >= 2"}, "sum(x**(2*t_i-1)) <= 1")
    margin, third = compile_margin(statement), Fraction(1, 3)
    point = {"x": third, "t_i": (Fraction(2), Fraction(3))}
    assert margin(point).conclusion == pytest.approx(gap(third**3 + third**5, Fraction(1)), rel=1e-14)  # 64-bit balls
    assert margin({**point, "t_i": (Fraction(1), Fraction(3))}).hypotheses < 0
