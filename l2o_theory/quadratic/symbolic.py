"""The same definition as SymPy expressions: F is written down once, the rest follows by differentiation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Any

from l2o_theory.errors import InputError
from l2o_theory.quadratic.definition import RATIONAL, PowerSums


@dataclass(frozen=True)
class SymbolicQuadratic:
    """SymPy expressions in the symbols `step_size`, `steps`, `eigenvalues`, `weights` (tuples of length d).

    `expressions` has the keys F, F', F'', G, G', G''; `self["F'"]` is short for `self.expressions["F'"]`.
    """

    step_size: Any
    steps: Any
    eigenvalues: tuple[Any, ...]
    weights: tuple[Any, ...]
    expressions: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.expressions[name]


def symbolic(
    dimension: int, *, eigenvalues: Sequence[Any] | None = None, weights: Sequence[Any] | None = None
) -> SymbolicQuadratic:
    r"""Return F, F', F'', G, G', G'' for `dimension` eigenvalues, with symbolic step size and steps.

    F = 1/2 sum c_i^2 l_i (1 - eta l_i)^(2t) and G = (1/t) log F   [paper: section 3]; derivatives by SymPy.

    Args:
        dimension: d >= 1.
        eigenvalues: d SymPy expressions or rationals; default: positive symbols l1..ld.
        weights: d SymPy expressions or rationals; default: positive symbols w1..wd (w_i = c_i^2).

    Raises:
        InputError: dimension not an integer >= 1, or sequences of another length.

    Example:
        >>> str(symbolic(1)["F"])
        'l1*w1*(-eta*l1 + 1)**(2*t)/2'
    """
    import sympy  # imported here: it takes longer to load than everything else in this room

    if not isinstance(dimension, Integral) or isinstance(dimension, bool) or dimension < 1:
        raise InputError(f"dimension must be an integer >= 1, got {dimension!r}; pass the number of eigenvalues")
    numbers = range(1, int(dimension) + 1)
    values = _terms([sympy.Symbol(f"l{i}", positive=True) for i in numbers], eigenvalues, "eigenvalues")
    squares = _terms([sympy.Symbol(f"w{i}", positive=True) for i in numbers], weights, "weights")
    eta, t = sympy.Symbol("eta", real=True), sympy.Symbol("t", integer=True, positive=True)
    zeroth = sum(c * value * (1 - eta * value) ** (2 * t) for value, c in zip(values, squares, strict=True))
    loss = RATIONAL["loss"](PowerSums(zeroth, None, None), t)
    objective = sympy.log(loss) / t
    expressions = {"F": loss, "G": objective}
    for name in ("F", "G"):
        # powsimp writes r^(2t) / r as r^(2t-1), which is right at r = 0 too.
        expressions[name + "'"] = sympy.powsimp(sympy.diff(expressions[name], eta))
        expressions[name + "''"] = sympy.powsimp(sympy.diff(expressions[name], eta, 2))
    return SymbolicQuadratic(eta, t, values, squares, MappingProxyType(expressions))


def _terms(symbols: list[Any], given: Sequence[Any] | None, name: str) -> tuple[Any, ...]:
    import sympy

    if given is None:
        return tuple(symbols)
    if len(given) != len(symbols):
        raise InputError(f"{name} must have {len(symbols)} entries, got {len(given)}; match the dimension")
    return tuple(map(sympy.sympify, given))
