"""The kernel accepts what is true and rejects every corruption of it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from l2o_theory.rigor import kernel

Certificate = dict[str, Any]


def posit() -> Certificate:
    """L^2 w - l^2 w x >= 0, the lower-bound step of Theorem 3, and the vacuity witness beside it."""
    return {
        "kind": "posit",
        "assumptions": {"h0": "w >= 0", "h1": "l >= 0", "h2": "l <= L", "h3": "x <= 1"},
        "goals": ["L**2*w - l**2*w*x >= 0"],
        "terms": [
            {"coef": "2", "of": {"h0": 1, "h1": 1, "h2": 1}},
            {"coef": "1", "of": {"h0": 1, "h2": 2}},
            {"coef": "1", "of": {"h0": 1, "h1": 2, "h3": 1}},
        ],
        "witness": {"w": "1/2", "l": "1", "L": "2", "x": "-3"},
    }


def strict() -> Certificate:
    return {
        "kind": "posit",
        "assumptions": {"a": "x > 0", "b": "y > 0", "c": "z >= 0"},
        "goals": ["x*y + z > 0"],
        "terms": [{"coef": "1", "of": {"a": 1, "b": 1}}, {"coef": "1", "of": {"c": 1}}],
        "witness": {"x": "1", "y": "1", "z": "0"},
    }


def equality() -> Certificate:
    """x + y == 1 and x y >= 0 give x^2 + y^2 <= 1: 1 - x^2 - y^2 = 2 x y - (x + y - 1)(x + y + 1)."""
    return {
        "kind": "posit",
        "assumptions": {"total": "x + y == 1", "product": "x*y >= 0"},
        "goals": ["x**2 + y**2 <= 1"],
        "terms": [{"coef": "2", "of": {"product": 1}}],
        "equal": {"total": "-(x + y + 1)"},
        "witness": {"x": "1/3", "y": "2/3"},
    }


def squares() -> Certificate:
    return {
        "kind": "posit",
        "assumptions": {},
        "goals": ["1/4 - s + s**2 >= 0"],
        "terms": [{"coef": "1", "square": "s - 1/2"}],
        "witness": {"s": "0"},
    }


def summed() -> Certificate:
    """sum w_i l_i <= L, from shares w_i >= 0 with sum 1 and l_i <= L."""
    return {
        "kind": "proof",
        "assumptions": {"weight": "w_i >= 0", "below": "l_i <= L", "total": "sum(w_i) == 1"},
        "steps": [
            {
                "name": "term",
                "goal": "w_i*L - w_i*l_i >= 0",
                "by": "posit",
                "terms": [{"coef": "1", "of": {"weight": 1, "below": 1}}],
            },
            {"name": "all", "goal": "sum(w_i)*L - sum(w_i*l_i) >= 0", "by": "sum", "of": "term"},
            {
                "name": "end",
                "goal": "mean <= L",
                "by": "posit",
                "terms": [{"coef": "1", "of": {"all": 1}}],
                "equal": {"total": "-L"},
            },
        ],
        "definitions": {"mean": "sum(w_i*l_i)"},
        "goals": ["mean <= L"],
        "witness": {"w_i": ["1/4", "3/4"], "l_i": ["1", "2"], "L": "2"},
    }


def cancelled() -> Certificate:
    return {
        "kind": "proof",
        "assumptions": {"a": "a > 0", "ab": "a*b >= 0"},
        "steps": [{"name": "b", "goal": "b >= 0", "by": "cancel", "factor": "a", "product": "ab"}],
        "goals": ["b >= 0"],
        "witness": {"a": "1", "b": "0"},
    }


def cases() -> Certificate:
    """|x| through two cases: A >= x and A >= -x give A >= 0."""
    return {
        "kind": "proof",
        "assumptions": {"up": "A_i >= x_i", "down": "A_i >= -x_i"},
        "steps": [
            {
                "name": "sign",
                "goal": "A_i >= 0",
                "by": "cases",
                "case": "here",
                "split": "x_i",
                "nonnegative": [
                    {
                        "name": "p",
                        "goal": "A_i >= 0",
                        "by": "posit",
                        "terms": [{"coef": "1", "of": {"up": 1}}, {"coef": "1", "of": {"here": 1}}],
                    }
                ],
                "negative": [
                    {
                        "name": "n",
                        "goal": "A_i >= 0",
                        "by": "posit",
                        "terms": [{"coef": "1", "of": {"down": 1}}, {"coef": "1", "of": {"here": 1}}],
                    }
                ],
            }
        ],
        "goals": ["A_i >= 0"],
        "facts": {"cube": {"relation": "C >= 0", "because": "definition of C"}},
        "witness": {"A_i": ["3", "0"], "x_i": ["-3", "0"], "C": "1"},
    }


def psd() -> Certificate:
    return {"kind": "psd", "matrix": [["1", "-1/2", "0"], ["-1/2", "1/4", "0"], ["0", "0", "2"]]}


def unique_root() -> Certificate:
    """x^3 + x - 1 on (0, 1): the slope 3 x^2 + 1 is a square plus a constant."""
    return {
        "kind": "unique_root",
        "polynomial": "x**3 + x - 1",
        "interval": ["0", "1"],
        "monotone": {"terms": [{"coef": "3", "of": {"low": 2}}, {"coef": "1"}]},
    }


def cex() -> Certificate:
    return {
        "kind": "cex",
        "hypotheses": {"positive": "x_i > 0", "total": "sum(x_i) == 1", "steps": "natural(t)"},
        "definitions": {"top": "max(x_i)"},
        "conclusion": "top**t <= 1/4",
        "instance": {"x_i": ["1/3", "2/3"], "t": "2"},
    }


def cex_in_balls() -> Certificate:
    return {
        "kind": "cex",
        "hypotheses": {"range": "x > 0", "total": "x + y == 1"},
        "conclusion": "exp(x) <= 1 + x",
        "instance": {"x": "1/3", "y": "2/3"},
        "bits": 64,
    }


def cover() -> Certificate:
    """x (1 - x) < 3/10 on [0, 1]."""
    halves = ["x", "leaf", "leaf"]
    quarters = ["x", halves, halves]
    return {
        "kind": "cover",
        "box": {"x": ["0", "1"]},
        "fixed": {"c": "3/10"},
        "definitions": {"rest": "1 - x"},
        "hypotheses": {"inside": "x <= 2"},
        "conclusion": "x*rest < c",
        "tree": ["x", ["x", quarters, quarters], ["x", quarters, quarters]],
    }


VALID = [posit, strict, equality, squares, summed, cancelled, cases, psd, unique_root, cex, cex_in_balls, cover]


@pytest.mark.parametrize("make", VALID, ids=lambda make: make.__name__)
def test_a_valid_certificate_is_accepted(make: Callable[[], Certificate]) -> None:
    assert kernel.check(make()) is None


CORRUPTED: dict[str, tuple[Callable[[], Certificate], Callable[[Certificate], Any]]] = {
    # posit
    "a coefficient is changed": (posit, lambda c: c["terms"][0].update(coef="3")),
    "a sign is flipped": (posit, lambda c: c["terms"][1].update(coef="-1")),
    "negative but balancing coefficients": (
        posit,
        lambda c: c["terms"].extend([{"coef": "-1", "of": {"h0": 1}}, {"coef": "1", "of": {"h0": 1}}]),
    ),
    "a term is dropped": (posit, lambda c: c["terms"].pop()),
    "a power is raised": (posit, lambda c: c["terms"][1]["of"].update(h2=3)),
    "a power of zero hides a relation": (posit, lambda c: c["terms"][1]["of"].update(h3=0)),
    "a negative power": (posit, lambda c: c["terms"][1]["of"].update(h2=-2)),
    "a fractional power": (posit, lambda c: c["terms"][1]["of"].update(h2=2.0)),
    "an unknown relation": (posit, lambda c: c["terms"][1].update(of={"h9": 1})),
    "the witness breaks a hypothesis": (posit, lambda c: c["witness"].update(x="2")),
    "the witness lacks a value": (posit, lambda c: c["witness"].pop("x")),
    "the witness is a float": (posit, lambda c: c["witness"].update(x=0.1)),
    "the witness is a boolean": (posit, lambda c: c["witness"].update(w=True)),
    "contradictory hypotheses have no witness": (posit, lambda c: c["assumptions"].update(h4="x >= 2")),
    "the goal is stronger": (posit, lambda c: c.update(goals=["L**2*w - l**2*w*x - w >= 0"])),
    "the goal is strict": (posit, lambda c: c.update(goals=["L**2*w - l**2*w*x > 0"])),
    "the goal is reversed": (posit, lambda c: c.update(goals=["L**2*w - l**2*w*x <= 0"])),
    "no goal": (posit, lambda c: c.update(goals=[])),
    "the goals are one text": (posit, lambda c: c.update(goals="0<=0")),
    "a second goal is not reached": (posit, lambda c: c["goals"].append("w > 1")),
    "a goal that is no relation": (posit, lambda c: c.update(goals=["w"])),
    "a chained goal": (posit, lambda c: c.update(goals=["0 <= w <= 1"])),
    "a coefficient is a float": (posit, lambda c: c["terms"][0].update(coef=2.0)),
    "a coefficient is not a number": (posit, lambda c: c["terms"][0].update(coef="nan")),
    "a coefficient would fill the memory": (posit, lambda c: c["terms"][0].update(coef="1e999999999")),
    "the assumptions are missing": (posit, lambda c: c.pop("assumptions")),
    "the witness is missing": (posit, lambda c: c.pop("witness")),
    "nothing at all": (posit, lambda c: c.clear()),
    "an unknown kind": (posit, lambda c: c.update(kind="trust me")),
    "the kind is a list": (posit, lambda c: c.update(kind=["posit"])),
    "code in place of text": (posit, lambda c: c.update(goals=["__import__('os').getpid() >= 0"])),
    "letters that look alike": (posit, lambda c: c["assumptions"].update(h0="\u0175 >= 0")),
    "a comment hides the rest": (posit, lambda c: c["assumptions"].update(h0="w >= 0 # and l == 1")),
    "strict from a non-strict product": (strict, lambda c: c["assumptions"].update(a="x >= 0")),
    "strict from a square": (
        strict,
        lambda c: c.update(goals=["x**2 + z > 0"], terms=[{"coef": "1", "square": "x"}, {"coef": "1", "of": {"c": 1}}]),
    ),
    "strict from a zero coefficient": (
        strict,
        lambda c: c.update(goals=["z > 0"], terms=[{"coef": "0", "of": {"a": 1}}, {"coef": "1", "of": {"c": 1}}]),
    ),
    "an equality used as an inequality": (
        equality,
        lambda c: c.update(terms=[{"coef": "1", "of": {"total": 1}}], equal={}, goals=["x + y >= 1"]),
    ),
    "an inequality used as an equality": (
        equality,
        lambda c: c.update(terms=[], equal={"product": "-1"}, goals=["x*y <= 0"]),
    ),
    "a multiplier is changed": (equality, lambda c: c["equal"].update(total="-(x + y)")),
    "an equality from an inequality": (equality, lambda c: c.update(goals=["x**2 + y**2 == 1"])),
    "a square is changed": (squares, lambda c: c["terms"][0].update(square="s + 1/2")),
    "a square is the text of a relation": (squares, lambda c: c["terms"][0].update(square="s == 1/2")),
    "a truth value as a number": (squares, lambda c: c.update(goals=["(s == 0) <= 0"], terms=[])),
    "a negation as a number": (squares, lambda c: c.update(goals=["(not s) <= 0"], terms=[])),
    "a disjunction as a number": (squares, lambda c: c.update(goals=["(s or s) >= 1"], terms=[])),
    "a power beyond all bounds": (squares, lambda c: c["terms"][0].update(square="((s + 1)**64 + r)**64")),
    "division by a variable": (squares, lambda c: c.update(goals=["1/s >= 0"])),
    # proof
    "a sum keeps a strict sign": (summed, lambda c: c["steps"][1].update(goal="sum(w_i)*L - sum(w_i*l_i) > 0")),
    "a sum of something else": (summed, lambda c: c["steps"][1].update(of="below")),
    "the steps are out of order": (summed, lambda c: c["steps"].reverse()),
    "a step is dropped": (summed, lambda c: c["steps"].pop(1)),
    "the last step is dropped": (summed, lambda c: c["steps"].pop()),
    "a step takes the name of an assumption": (summed, lambda c: c["steps"][0].update(name="weight")),
    "an unknown rule": (summed, lambda c: c["steps"][0].update(by="clearly")),
    "a relation for each i proves one without i": (
        summed,
        lambda c: c.update(
            assumptions={"up": "x_i >= 1", "down": "-x_i >= 1 - c"},
            steps=[
                {
                    "name": "g",
                    "goal": "c >= 2",
                    "by": "posit",
                    "terms": [{"coef": "1", "of": {"up": 1}}, {"coef": "1", "of": {"down": 1}}],
                }
            ],
            goals=["c >= 2"],
            witness={"x_i": ["1"], "c": "2", "w_i": ["1"], "l_i": ["1"]},
        ),
    ),
    "the witness has no index i": (summed, lambda c: c["witness"].update(w_i=[], l_i=[])),
    "vectors of different lengths": (summed, lambda c: c["witness"].update(l_i=["1"])),
    "a vector where a number belongs": (summed, lambda c: c["witness"].update(L=["2", "2"])),
    "no goal for many steps": (summed, lambda c: c.update(goals=[])),
    "a definition changes": (summed, lambda c: c["definitions"].update(mean="2*sum(w_i*l_i)")),
    "a definition of itself": (summed, lambda c: c["definitions"].update(L="L*L")),
    "a definition uses a later one": (summed, lambda c: c.update(definitions={"mean": "sum(w_i*l_i)*s", "s": "1"})),
    "a definition has a value too": (summed, lambda c: c["witness"].update(mean="0")),
    "a definition redefines the sum": (summed, lambda c: c["definitions"].update(sum="1")),
    "a product over nothing": (
        summed,
        lambda c: c.update(
            definitions={"z_i": "w_i - w_i"},
            steps=[{"name": "g", "goal": "prod(z_i) >= 1", "by": "posit", "terms": []}],
            goals=["prod(z_i) >= 1"],
        ),
    ),
    "a sum of a sum collapses": (
        summed,
        lambda c: c.update(
            steps=[{"name": "g", "goal": "sum(l_i*sum(l_i)) <= sum(l_i)", "by": "posit", "terms": []}],
            goals=["sum(l_i*sum(l_i)) <= sum(l_i)"],
        ),
    ),
    "cancelling a factor that may vanish": (cancelled, lambda c: c["assumptions"].update(a="a >= 0")),
    "cancelling to a strict sign": (
        cancelled,
        lambda c: (c["steps"][0].update(goal="b > 0"), c.update(goals=["b > 0"])),
    ),
    "cancelling the wrong product": (cancelled, lambda c: c["assumptions"].update(ab="a*b + a >= 0")),
    "cancelling where there may be no i": (
        cancelled,
        lambda c: c.update(assumptions={"a": "a_i > 0", "ab": "a_i*b >= 0"}, witness={"a_i": ["1"], "b": "0"}),
    ),
    "a case is empty": (cases, lambda c: c["steps"][0].update(negative=[])),
    "both cases are one": (cases, lambda c: c["steps"][0].update(negative=c["steps"][0]["nonnegative"])),
    "a case is missing": (cases, lambda c: c["steps"][0].pop("negative")),
    "a case leaks out": (
        cases,
        lambda c: c["steps"].append(
            {"name": "leak", "goal": "x_i >= 0", "by": "posit", "terms": [{"coef": "1", "of": {"here": 1}}]}
        ),
    ),
    "a case on i decides a goal without i": (
        cases,
        lambda c: c.update(
            steps=[
                {
                    "name": "g",
                    "goal": "C >= 1",
                    "by": "cases",
                    "case": "here",
                    "split": "x_i",
                    "nonnegative": [
                        {
                            "name": "p",
                            "goal": "C >= 1",
                            "by": "posit",
                            "terms": [{"coef": "1", "of": {"u": 1, "here": 1}}],
                        }
                    ],
                    "negative": [],
                }
            ],
            goals=["C >= 1"],
        ),
    ),
    "a sum inside a case on i": (
        cases,
        lambda c: (
            c["steps"][0]["nonnegative"].append({"name": "s", "goal": "sum(x_i) >= 0", "by": "sum", "of": "here"}),
        ),
    ),
    "a fact without a reason": (cases, lambda c: c["facts"]["cube"].update(because="")),
    "a fact fails at the witness": (cases, lambda c: c["facts"]["cube"].update(relation="C >= 2")),
    "a fact takes the name of an assumption": (
        cases,
        lambda c: c["facts"].update(up={"relation": "A_i >= x_i", "because": "renamed"}),
    ),
    # psd
    "the matrix is asymmetric": (psd, lambda c: c["matrix"][0].__setitem__(1, "1/2")),
    "a pivot is negative": (psd, lambda c: c["matrix"][2].__setitem__(2, "-2")),
    "a pivot turns negative": (psd, lambda c: c["matrix"][1].__setitem__(1, "1/5")),
    "a zero pivot without a zero row": (psd, lambda c: c.update(matrix=[["0", "1"], ["1", "0"]])),
    "a late zero pivot without a zero row": (
        psd,
        lambda c: c.update(matrix=[["1", "1", "0"], ["1", "1", "1"], ["0", "1", "9"]]),
    ),
    "the matrix is not square": (psd, lambda c: c["matrix"].pop()),
    "the matrix is ragged": (psd, lambda c: c["matrix"][0].pop()),
    "the matrix is empty": (psd, lambda c: c.update(matrix=[])),
    "an entry is a float": (psd, lambda c: c["matrix"][2].__setitem__(2, 2.0)),
    # unique_root
    "the interval is swapped": (unique_root, lambda c: c["interval"].reverse()),
    "the interval misses the root": (unique_root, lambda c: c.update(interval=["3/4", "1"])),
    "the interval is a point": (unique_root, lambda c: c.update(interval=["0", "0"])),
    "the slope is not positive": (unique_root, lambda c: c.update(polynomial="x**3 - x/10 - 1/2")),
    "the slope certificate is broken": (unique_root, lambda c: c["monotone"]["terms"].pop()),
    "the slope certificate uses an equality": (unique_root, lambda c: c["monotone"].update(equal={"low": "1"})),
    "the polynomial has another variable": (unique_root, lambda c: c.update(polynomial="x**3 + x - y")),
    "the polynomial is constant": (unique_root, lambda c: c.update(polynomial="1", monotone={"terms": []})),
    # cex
    "the instance fails a hypothesis": (cex, lambda c: c["instance"].update(x_i=["1/3", "1/3"])),
    "the instance satisfies the conclusion": (cex, lambda c: c.update(conclusion="top**t <= 1/2")),
    "equality instead of a violation": (cex, lambda c: c.update(conclusion="top**t <= 4/9")),
    "half a step": (cex, lambda c: c["instance"].update(t="5/2")),
    "zero steps": (cex, lambda c: c["instance"].update(t="0")),
    "a share of another length": (cex, lambda c: c["instance"].update(y_i=["1"])),
    "lists compared as words": (
        cex,
        lambda c: c.update(
            instance={"x": ["1", "5"], "y": ["2", "0"]}, hypotheses={}, conclusion="x >= y", definitions={}
        ),
    ),
    "the conclusion is a number": (cex, lambda c: c.update(conclusion="0")),
    "the conclusion is undefined": (cex, lambda c: c.update(conclusion="1/(t - 2) <= 0")),
    "functions compared": (cex_in_balls, lambda c: c.update(conclusion="log == exp")),
    "an undecided violation": (cex_in_balls, lambda c: c.update(conclusion="exp(x)*exp(-x) < 1")),
    "an undefined violation": (cex_in_balls, lambda c: c.update(conclusion="log(x - y) <= 0")),
    "a maximum of overlapping balls": (  # 2^90 + y - 2^90 is a ball of radius 2^26 around 0
        cex_in_balls,
        lambda c: c.update(conclusion="max(-2, 2**90*exp(x)*exp(-x) - 2**90) >= -1"),
    ),
    "no precision": (cex_in_balls, lambda c: c.update(bits=0)),
    "a precision that would fill the memory": (cex_in_balls, lambda c: c.update(bits=10**12)),
    "an unknown function": (cex_in_balls, lambda c: c.update(conclusion="tan(x) <= 0")),
    # cover
    "a leaf is too large": (cover, lambda c: c.update(tree="leaf")),
    "a subtree is cut off": (cover, lambda c: c["tree"].__setitem__(1, "leaf")),
    "a half is missing": (cover, lambda c: c["tree"].pop()),
    "a third half": (cover, lambda c: c["tree"].append("leaf")),
    "a split of an unknown variable": (cover, lambda c: c["tree"].__setitem__(0, "y")),
    "a split of a fixed value": (cover, lambda c: c["tree"].__setitem__(0, "c")),
    "the bound is too small": (cover, lambda c: c["fixed"].update(c="1/4")),
    "the box is larger": (cover, lambda c: c["box"].update(x=["-100", "100"])),
    "the box is swapped": (cover, lambda c: c["box"].update(x=["1", "0"])),
    "a range and a fixed value": (cover, lambda c: c["fixed"].update(x="0")),
    "the conclusion is undefined in the box": (cover, lambda c: c.update(conclusion="1/x >= 1")),
    "the conclusion is unknown": (cover, lambda c: c.update(conclusion="y >= 1")),
    "the tree has no end": (cover, lambda c: c["tree"].__setitem__(1, c["tree"])),
    "an end is a float": (cover, lambda c: c["box"].update(x=[0.0, 1.0])),
}


@pytest.mark.parametrize("fault", CORRUPTED)
def test_a_corrupted_certificate_is_rejected(fault: str) -> None:
    make, corrupt = CORRUPTED[fault]
    certificate = deepcopy(make())
    corrupt(certificate)
    with pytest.raises(kernel.Rejected):
        kernel.check(certificate)


def test_there_are_as_many_corruptions_as_promised() -> None:
    assert len(CORRUPTED) >= 40
    assert {make for make, _ in CORRUPTED.values()} == set(VALID)
