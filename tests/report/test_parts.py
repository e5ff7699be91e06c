"""The parts of a card: numbers, counterexamples, outlines, statements and plots, each against values worked by hand."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from report_samples import contraction, descent, logarithm

from l2o_theory.report import card, counterexample, numerals, outline, plot, wording


@pytest.mark.parametrize(
    ("value", "exact", "decimal"),
    [
        (Fraction(40), "40", "= 40"),
        (Fraction(-3, 5), "−3/5", "= −0.6"),
        (Fraction(1, 3), "1/3", "≈ 0.333333333333"),
        (Fraction(0), "0", "= 0"),
        (Fraction(10**12), "1000000000000", "= 1e12"),
        (Fraction(1, 10**7), "1/10000000", "= 1e−7"),
        (Fraction(10**6000 + 1), "fraction with 6001 digits", "≈ 1e6000"),  # beyond Python's limit on printing ints
    ],
)
def test_fractions_are_exact_where_short_and_marked_where_rounded(value: Fraction, exact: str, decimal: str) -> None:
    assert numerals.exact(value) == exact
    assert numerals.decimal(value) == decimal


@pytest.mark.parametrize("denominator", [3, 7, 1996, 10**9 + 7])
def test_decimals_are_the_nearest_with_twelve_digits(denominator: int) -> None:
    value = Fraction(-1993, denominator)
    shown = Fraction(Decimal(numerals.decimal(value).removeprefix("≈ ").replace("−", "-")))
    assert abs(shown / value - 1) <= Fraction(1, 10**11)  # half a unit in the twelfth digit, at most 5e-12


def test_floats_are_short_and_nan_is_a_dash() -> None:
    assert [numerals.short(v) for v in (1e-9, -0.25, None, math.nan)] == ["1e−9", "−0.25", "–", "–"]
    assert [numerals.cell(v) for v in (True, 66, 512.5, None, "x")] == ["yes", "66", "512.5", "–", "x"]


def test_both_sides_of_an_exact_counterexample() -> None:
    _, verdict = descent()
    found = counterexample.read(verdict.evidence[0].content)
    assert found is not None
    # eta = 0: eta*l = 0 is not > 0, and (1 - 0)^80 = 1 is not < 1.
    first, second = found.comparisons
    assert (first.left.exact, first.sign, first.right.exact, first.gap.exact, first.holds) == (
        "0",
        "<",
        "0",
        "0",
        False,
    )
    assert (second.left.exact, second.sign, second.right.exact, second.holds) == ("1", "<", "1", False)
    assert [value.exact for value in found.values["c_i"]] == ["3/5", "4/5"]
    assert found.arithmetic == "exact rationals"


def test_both_sides_of_a_counterexample_in_balls() -> None:
    _, verdict = logarithm()
    found = counterexample.read(verdict.evidence[0].content)
    assert found is not None
    (comparison,) = found.comparisons
    left, gap = (float(re.search(r"[−0-9.]+", n.decimal)[0]) for n in (comparison.left, comparison.gap))
    assert left == pytest.approx(math.log(1.1), rel=1e-10)  # twelve digits are shown
    assert gap == pytest.approx(math.log(1.1) - 0.09, rel=1e-9)  # one digit is lost in the difference
    assert not comparison.holds
    assert found.arithmetic == "balls of 128 bits"


def test_a_comparison_over_i_is_shown_where_it_fails() -> None:
    certificate = {"kind": "cex", "conclusion": "x_i < y", "instance": {"x_i": ["1", "5", "2"], "y": "3"}}
    found = counterexample.read(certificate)
    assert found is not None
    assert found.comparisons[0].left.exact == "5"
    assert found.comparisons[0].gap.exact == "2"


def test_what_cannot_be_read_is_left_out() -> None:
    assert counterexample.read({"kind": "proof"}) is None
    assert counterexample.read({"kind": "cex", "instance": {"x": "one"}}) is None
    broken = counterexample.read({"kind": "cex", "conclusion": "x <", "instance": {"x": "1"}})
    assert broken is not None
    assert broken.comparisons == ()


def test_an_outline_follows_the_certificate_into_its_cases() -> None:
    certificate = {
        "kind": "proof",
        "steps": [
            {"name": "s", "goal": "sum(x_i) >= 0", "by": "sum", "of": "x"},
            {"name": "c", "goal": "b >= 0", "by": "cancel", "factor": "a", "product": "ab"},
            {
                "name": "split",
                "goal": "z**2 >= 0",
                "by": "cases",
                "case": "split_case",
                "split": "z",
                "nonnegative": [
                    {"name": "p", "goal": "z**2 >= 0", "by": "posit", "terms": [{"coef": "1", "square": "z"}]}
                ],
                "negative": [{"name": "n", "goal": "z**2 >= 0", "by": "posit", "terms": [], "equal": {"h": "1"}}],
            },
        ],
    }
    lines = outline.read(certificate)
    assert [line.how for line in lines] == [
        "sum of x over i",
        "divide ab by the positive a",
        "two cases, by the sign of z",
    ]
    assert [(b.case, b.lines[0].how) for b in lines[2].branches] == [("z ≥ 0", "a sum of squares"), ("z < 0", "from h")]


def test_the_outline_of_the_sample_names_what_each_step_uses() -> None:
    _, verdict = contraction()
    first, second = outline.read(verdict.evidence[0].content)
    assert "stable" in first.how
    assert "gap" in second.how


def test_indented_lines_are_formulas() -> None:
    assert wording.blocks("Let x.\n\n    a\n      b\n\nThen y\nholds.") == (
        (False, "Let x."),
        (True, "a\n  b"),
        (False, "Then y\nholds."),
    )


def test_instances_read_as_short_equations() -> None:
    instance = {"eta": "2/3", "w_i": ["1", "1/2"], "l_i": [], "L": "4302338141812639/4722366482869645213696"}
    instance["huge"] = "1" + 400 * "0"  # beyond float64
    # 4302338141812639 / 2^72 = 9.1105e-7
    assert wording.pairs(instance) == ("eta = 2/3", "w_i = 1, 1/2", "l_i = ()", "L ≈ 9.11e−7", "huge ≈ 1e400")


def test_the_mark_of_equality_is_shown_as_zero() -> None:
    claim, verdict = contraction()
    margins = [card.Card(replace(verdict, margin=m), claim).margin for m in (-1e-300, -0.5, math.nan, None)]
    assert margins == [0.0, -0.5, None, None]


def _positions(drawing: str) -> list[float]:
    return [float(x) for x in re.findall(r'class="here" d="M([0-9.]+)', drawing)]


def test_the_strip_is_logarithmic_on_both_sides_of_zero() -> None:
    # Axis from 10 to 290, zero at 150, twelve decades on either side.
    placed = [_positions(plot.margin_strip(m, []))[0] for m in (-1, -1e-6, -1e-300, 0, 1e-6, 1, 7)]
    assert placed == [10, 80, 150, 150, 220, 290, 290]


def test_the_strip_skips_margins_that_are_not_numbers() -> None:
    assert plot.margin_strip(0.5, [math.nan, math.inf, 0.5]).count('class="other"') == 1


def test_the_scatter_puts_equal_values_on_the_line_of_equality() -> None:
    table = [{"predicted": v, "observed": v} for v in (65, 66, 513)] + [{"predicted": math.nan, "observed": 1}]
    drawing = plot.predicted_against_observed(table)
    assert drawing is not None
    dots = [(float(x), float(y)) for x, y in re.findall(r'cx="([0-9.]+)" cy="([0-9.]+)"', drawing)]
    assert len(dots) == 3
    for x, y in dots:  # the frame: x from 64 to 340, y from 206 up to 14; coordinates are rounded to 0.1
        assert (x - 64) / 276 == pytest.approx((206 - y) / 192, abs=1e-3)
    off = plot.predicted_against_observed([{"predicted": 1, "observed": 2}, {"predicted": 2, "observed": 2}])
    assert off is not None
    shares = [((float(x) - 64) / 276, (206 - float(y)) / 192) for x, y in re.findall(r'cx="(.*?)" cy="(.*?)"', off)]
    assert any(abs(x - y) > 0.5 for x, y in shares)


def test_no_scatter_without_two_finite_pairs() -> None:
    assert plot.predicted_against_observed([]) is None
    assert plot.predicted_against_observed([{"a": 1, "b": 2}] * 3) is None
    assert plot.predicted_against_observed([{"predicted": 1, "observed": 2}]) is None
    flat = plot.predicted_against_observed([{"predicted": 5, "observed": 5}] * 2)
    assert flat is not None
    assert "nan" not in flat
