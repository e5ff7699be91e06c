"""Small claims that the tests of this folder share."""

from typing import Any

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

X = Parameter("x", landmarks=("0", "1"))
Y = Parameter("y", landmarks=("0", "1"))
SQUARE = Statement(parameters=(X, Y), hypotheses={"order": "x <= y"}, conclusion="2*x*y <= x**2 + y**2")
STRICT = Mutation("strict", {"conclusion": "2*x*y < x**2 + y**2"})
LARGER = Mutation("3 instead of 2", {"conclusion": "3*x*y <= x**2 + y**2"})
ABSURD = Mutation("absurd", {"conclusion": "0 >= 1"})


def claim(**changes: Any) -> Claim:
    """2xy <= x^2 + y^2, with some fields replaced."""
    fields: dict[str, Any] = {
        "id": "toy/means",
        "title": "Geometric and arithmetic mean",
        "source": "derived here",
        "statement": "2xy <= x^2 + y^2.",
        "kind": "upper",
        "scope": "all real x <= y",
        "expected": Status.PROVED,
        "formal": SQUARE,
        "witness": {"x": "1", "y": "2"},
        "mutations": (STRICT, LARGER),
    }
    return Claim(**{**fields, **changes})
