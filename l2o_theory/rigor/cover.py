"""Leaves of a certified box: whether a statement is certain on a whole sub-box, in outward-rounded intervals.

The kernel walks the split tree and asks `leaf_holds` at each leaf; this module, `interval` and python-flint are what
one trusts in a certificate of kind "cover".
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

from l2o_theory.rigor import balls, language
from l2o_theory.rigor.interval import WORLD, Interval
from l2o_theory.rigor.language import Malformed, Undecided

Ranges = Mapping[str, tuple[Fraction, Fraction]]
"""Closed range of each box variable: a name, or "l_i.0", "l_i.1", ... for the entries of a vector."""


def leaf_holds(certificate: Mapping[str, Any], box: Ranges) -> bool:
    """Whether the statement is certain everywhere on the sub-box, at the certificate's "bits" (64 if not given).

    Raises:
        Malformed: a text outside the language, or values that do not fit together.
    """
    return judge(certificate, box) != "undecided"


def judge(certificate: Mapping[str, Any], box: Ranges) -> Literal["certain", "excluded", "undecided"]:
    """Conclusion certain on the whole sub-box, a hypothesis certainly false on all of it, or neither."""
    bits = certificate.get("bits", 64)
    if type(bits) is not int or not 2 <= bits <= balls.MOST_BITS:
        raise Malformed(f"the bits are an integer from 2 to {balls.MOST_BITS}, got {bits!r}")
    with balls.precision(bits):
        world, complete = environment(certificate, box)
        if any(_certainly(text, False, world, complete) for text in certificate["hypotheses"].values()):
            return "excluded"
        return "certain" if _certainly(certificate["conclusion"], True, world, complete) else "undecided"


def environment(certificate: Mapping[str, Any], box: Ranges) -> tuple[dict[str, Any], bool]:
    """Intervals by name, at the current precision, and whether every definition is defined on the whole box."""
    exact = language.exact_values(certificate.get("fixed", {}))
    fixed = {name: [Interval.of(v) for v in x] if isinstance(x, list) else Interval.of(x) for name, x in exact.items()}
    ranges = _assembled({name: Interval.between(*ends) for name, ends in box.items()})
    if fixed.keys() & ranges.keys():
        raise Malformed(f"{sorted(fixed.keys() & ranges.keys())} have both a range and a fixed value")
    if len({len(value) for value in {**fixed, **ranges}.values() if isinstance(value, list)}) > 1:
        raise Malformed("the vectors over the index i have different lengths")
    world = {**WORLD, **fixed, **ranges}
    try:
        return language.define(world, certificate.get("definitions", {})), True
    except Undecided:
        return world, False


def _assembled(ranges: Mapping[str, Interval]) -> dict[str, Any]:
    """Ranges of entries "l_i.0", "l_i.1", ... become one list l_i."""
    values: dict[str, Any] = {}
    for name, value in ranges.items():
        vector, dot, _ = name.partition(".")
        if bool(dot) != vector.endswith("_i"):
            raise Malformed(f"{name}: ranges of a vector l_i are given entry by entry, as l_i.0, l_i.1, ...")
        if not dot:
            values[name] = value
        elif vector not in values:
            count = sum(other.startswith(f"{vector}.") for other in ranges)
            values[vector] = [ranges[f"{vector}.{index}"] for index in range(count)]
    return values


def _certainly(text: str, wanted: bool, world: Mapping[str, Any], complete: bool) -> bool:
    try:
        return language.holds(text, world) is wanted
    except Undecided:
        return False
    except Malformed:
        if complete:
            raise
        return False  # it uses a definition that is undefined somewhere on the box
