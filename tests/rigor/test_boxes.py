"""Covers: true statements are certified on their boxes, false ones are not, and planted faults are caught."""

from __future__ import annotations

from typing import Any

import pytest

from l2o_theory.errors import CertificateError, InputError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.boxes import Box, cover
from l2o_theory.rigor.statement import Parameter, Statement

PARABOLA = Statement((Parameter("x"),), {}, "x*(1 - x) <= 13/50")  # the maximum is 1/4
UNIT = Box({"x": ("0", "1")})


def bound_four(t: str) -> tuple[Statement, Box]:
    """Theorem 4 with L = 1, d = 2, K = 4, where |1 - eta| is the larger factor; q is their ratio."""
    statement = Statement(
        parameters=(Parameter("eta"), Parameter("r"), Parameter("w"), Parameter("t", "natural")),
        hypotheses={"larger": "abs(u) >= abs(v)"},
        definitions={
            "u": "1 - eta",
            "v": "1 - eta*r",
            "q": "max(-1, min(1, v/u))",
            "above": "abs(w + (1-w)*r**2*q**(2*t-1))",
            "below": "abs(u)*(w + (1-w)*r*q**(2*t))",
        },
        conclusion="2*above*min(w, 1-w)*r*(1-r) < 4*below",
    )
    return statement, Box({"eta": ("0", "4"), "r": ("1/16", "15/16"), "w": ("1/16", "15/16")}, {"t": t})


def test_a_true_bound_is_certified() -> None:
    certificate = cover(PARABOLA, UNIT)
    assert kernel.check(certificate) is None
    assert certificate["leaves"] > 1


def test_theorem_4_on_a_box() -> None:
    certificate = cover(*bound_four("10"))
    assert kernel.check(certificate) is None


@pytest.mark.parametrize("bound", ["99/400", "249/1000"])  # 1 percent and 0.4 percent below the maximum 1/4
def test_a_bound_that_is_too_small_is_refuted_at_a_point(bound: str) -> None:
    with pytest.raises(CertificateError, match=r"false in the box, at \{'x': '1/2'\}"):
        cover(PARABOLA.altered(conclusion=f"x*(1 - x) <= {bound}"), UNIT)


def test_where_the_margin_vanishes_the_search_says_so() -> None:
    tight = PARABOLA.altered(conclusion="x*(1 - x) <= 1/4")
    with pytest.raises(CertificateError, match="undecided after"):
        cover(tight, Box({"x": ("0", "1")}, max_leaves=200))


def test_hypotheses_cut_the_box() -> None:
    half = Statement((Parameter("x"),), {"left": "x < 1/2", "right": "x >= 0"}, "x <= 5/8")
    assert kernel.check(cover(half, Box({"x": ("-1", "1")}))) is None
    with pytest.raises(CertificateError, match="exclude the whole box"):
        cover(half, Box({"x": ("3/4", "1")}))


def test_vectors_are_boxes_entry_by_entry() -> None:
    statement = Statement((Parameter("l_i"), Parameter("w_i")), {}, "sum(w_i*l_i**2) <= 9/8")
    box = Box({"l_i.0": ("-1", "1"), "l_i.1": ("0", "1")}, {"w_i": ["1/3", "2/3"]})
    certificate = cover(statement, box)
    assert kernel.check(certificate) is None
    with pytest.raises(CertificateError, match="false in the box"):
        cover(statement.altered(conclusion="sum(w_i*l_i**2) <= 1/10"), box)


@pytest.mark.parametrize("fixed", [{"w_i": ["1"]}, {"w_i": ["1/3", "2/3"], "l_i": ["1", "1"]}])
def test_vectors_that_do_not_fit_are_rejected(fixed: dict[str, Any]) -> None:
    statement = Statement((Parameter("l_i"), Parameter("w_i")), {}, "sum(w_i*l_i**2) <= 9/8")
    certificate = cover(statement, Box({"l_i.0": ("-1", "1"), "l_i.1": ("0", "1")}, {"w_i": ["1/3", "2/3"]}))
    with pytest.raises(kernel.Rejected):
        kernel.check({**certificate, "fixed": fixed})


@pytest.mark.parametrize("ends", [("0", "1/3"), ("1/20", "1"), ("1", "0"), ("nan", "1")])
def test_only_binary_ordered_ends_make_a_box(ends: tuple[str, str]) -> None:
    with pytest.raises(InputError):
        Box({"x": ends})


def test_a_definition_that_is_undefined_somewhere_is_cut_off_by_a_hypothesis() -> None:
    inverse = Statement((Parameter("x"),), {"away": "x >= 1/4"}, "y <= 5", {"y": "1/x"})
    assert kernel.check(cover(inverse, Box({"x": ("-1", "1")}))) is None
