"""Statements with a planted falsehood and their true versions, each with a judge in plain Fractions.

The judges share no code with the package: they read the instance and compute both sides from the formulas of gradient
descent on a quadratic, term by term.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from l2o_theory.rigor.statement import Parameter, Statement

_SPECTRUM = (
    Parameter("L", low="0", landmarks=("1",)),
    Parameter("alpha", low="0", high="L"),
    Parameter("t", "natural"),
    Parameter("w_1", "share"),
    Parameter("w_d", "share"),
    Parameter("w_i", "share"),
    Parameter("l_i", low="alpha", high="L"),
)
_SPECTRUM_HYPOTHESES = {
    "alpha positive": "alpha > 0",
    "two extremes": "alpha < L",
    "horizon": "t >= 1",
    "first active": "w_1 > 0",
    "last active": "w_d > 0",
    "weights": "w_i >= 0",
    "unit start": "w_1 + w_d + sum(w_i) == 1",
    "smallest": "alpha <= l_i",
    "largest": "l_i <= L",
}
_STEP_SIZE = Parameter("eta", low="0", landmarks=("1/L", "2/(L+alpha)", "2/L", "1/alpha"))
_SLOPE = "w_1*L**2*(1-eta*L)**(2*t-1) + w_d*alpha**2*(1-eta*alpha)**(2*t-1) + sum(w_i*l_i**2*(1-eta*l_i)**(2*t-1))"
_LOSS = "w_1*L*(1-eta*L)**(2*t) + w_d*alpha*(1-eta*alpha)**(2*t) + sum(w_i*l_i*(1-eta*l_i)**(2*t))"


def quadratic(conclusion: str, **hypotheses: str) -> Statement:
    """A statement about gradient descent with step size eta; N = -F'/t and D = 2 F."""
    return Statement(
        parameters=(*_SPECTRUM, _STEP_SIZE),
        definitions={"c": "min(w_1, w_d)", "N": _SLOPE, "D": _LOSS},
        hypotheses={**_SPECTRUM_HYPOTHESES, **hypotheses},
        conclusion=conclusion,
    )


def lemma(constant: int) -> Statement:
    """t l^2 (1 - eta l)^(2t-1) <= L^2/constant for eta > 2/L, 0 < l < 1/eta: true for 27."""
    return Statement(
        parameters=(
            Parameter("L", low="0", landmarks=("1",)),
            Parameter("eta", low="2/L"),
            Parameter("l", low="0", high="1/eta"),
            Parameter("t", "natural"),
        ),
        hypotheses={"L": "L > 0", "large step": "eta*L > 2", "l": "l > 0", "right side": "eta*l < 1", "t": "t >= 1"},
        conclusion=f"t*l**2*(1-eta*l)**(2*t-1) <= L**2/{constant}",
    )


def early_minimiser() -> Statement:
    """dF/deta >= 0 at 2/L, that is, the minimiser is never beyond 2/L: false when c_1^2 is tiny."""
    return Statement(
        parameters=_SPECTRUM,
        hypotheses=_SPECTRUM_HYPOTHESES,
        conclusion="w_1*L**2 >= w_d*alpha**2*(1-2*alpha/L)**(2*t-1) + sum(w_i*l_i**2*(1-2*l_i/L)**(2*t-1))",
    )


def late_slope() -> Statement:
    """dF/deta > 0 at 1/alpha: true."""
    return Statement(
        parameters=_SPECTRUM,
        hypotheses=_SPECTRUM_HYPOTHESES,
        conclusion="w_1*L**2*(1-L/alpha)**(2*t-1) + sum(w_i*l_i**2*(1-l_i/alpha)**(2*t-1)) < 0",
    )


@dataclass(frozen=True)
class Spectrum:
    """An instance of `quadratic`, evaluated in plain Fractions."""

    values: Mapping[str, Any]

    @property
    def terms(self) -> list[tuple[Fraction, Fraction]]:
        v = self.values
        inner = zip(v["w_i"], v["l_i"], strict=True)
        return [(v["w_1"], v["L"]), (v["w_d"], v["alpha"]), *inner]

    @property
    def admissible(self) -> bool:
        v = self.values
        inside = all(v["alpha"] <= entry <= v["L"] for entry in v["l_i"])
        weights = v["w_1"] > 0 and v["w_d"] > 0 and all(w >= 0 for w in v["w_i"])
        return 0 < v["alpha"] < v["L"] and inside and weights and sum(w for w, _ in self.terms) == 1

    def slope(self, absolute: bool = False) -> Fraction:
        total, power = Fraction(0), 2 * int(self.values["t"]) - 1
        for weight, eigenvalue in self.terms:
            factor = (1 - self.values["eta"] * eigenvalue) ** power
            total += weight * eigenvalue**2 * (abs(factor) if absolute else factor)
        return total

    def loss(self, step_size: Fraction) -> Fraction:
        power = 2 * int(self.values["t"])
        return sum((w * e * (1 - step_size * e) ** power for w, e in self.terms), Fraction(0)) / 2


def _steep(v: Mapping[str, Any]) -> bool:
    s, c = Spectrum(v), min(v["w_1"], v["w_d"])
    slope = abs(2 * s.slope() / (2 * s.loss(v["eta"])))
    return s.admissible and slope > Fraction(19, 10) * v["L"] ** 3 / (c * v["alpha"] * (v["L"] - v["alpha"]))


def _early(v: Mapping[str, Any]) -> bool:
    s = Spectrum({**v, "eta": 2 / v["L"]})
    return s.admissible and s.slope() > 0  # F' = -t slope


def _weightless(v: Mapping[str, Any]) -> bool:
    s, large = Spectrum(v), v["eta"] * v["L"] - 1
    return s.admissible and large > 1 and abs(s.slope()) < v["L"] ** 2 * (large ** (2 * int(v["t"]) - 1) - 1)


def _one_power_more(v: Mapping[str, Any]) -> bool:
    s, large = Spectrum(v), v["eta"] * v["L"] - 1
    bound = v["L"] ** 2 * (v["w_1"] * large ** (2 * int(v["t"])) - 1)
    return s.admissible and large > 1 and abs(s.slope()) < bound


def _equal(v: Mapping[str, Any]) -> bool:
    s = Spectrum(v)
    return s.admissible and abs(s.slope()) == s.slope(absolute=True)


def _lemma_28(v: Mapping[str, Any]) -> bool:
    left = v["t"] * v["l"] ** 2 * (1 - v["eta"] * v["l"]) ** (2 * int(v["t"]) - 1)
    return v["L"] > 0 and v["eta"] * v["L"] > 2 and 0 < v["l"] < 1 / v["eta"] and left > v["L"] ** 2 / 28


def _rising(v: Mapping[str, Any]) -> bool:
    s = Spectrum(v)
    return s.admissible and v["eta"] * v["L"] < 2 and s.loss(v["eta"]) > s.loss(Fraction(0))


def _not_falling(v: Mapping[str, Any]) -> bool:
    s = Spectrum(v)
    return s.admissible and 0 <= v["eta"] < 2 / v["L"] and s.loss(v["eta"]) >= s.loss(Fraction(0))


_BOUND = "2*abs(N)*c*alpha*(L-alpha) <= {}*L**3*D"
_TRIANGLE = "abs(N) {} w_1*L**2*abs(1-eta*L)**(2*t-1) + w_d*alpha**2*abs(1-eta*alpha)**(2*t-1)"
_TRIANGLE += " + sum(w_i*l_i**2*abs(1-eta*l_i)**(2*t-1))"
_DESCENT = "D {} w_1*L + w_d*alpha + sum(w_i*l_i)"

FALSE: dict[str, tuple[Statement, Callable[[Mapping[str, Any]], bool]]] = {
    "constant 1.9": (quadratic(_BOUND.format("19/10"), loss="D > 0"), _steep),
    "minimiser before 2/L": (early_minimiser(), _early),
    "weight dropped": (quadratic("abs(N) >= L**2*(eta*L-1)**(2*t-1) - L**2", large="eta*L > 2"), _weightless),
    "one power more": (quadratic("abs(N) >= w_1*L**2*(eta*L-1)**(2*t) - L**2", large="eta*L > 2"), _one_power_more),
    "strict triangle": (quadratic(_TRIANGLE.format("<")), _equal),
    "1/28": (lemma(28), _lemma_28),
    "negative step allowed": (quadratic(_DESCENT.format("<="), stable="eta*L < 2"), _rising),
    "zero step allowed": (quadratic(_DESCENT.format("<"), stable="eta*L < 2", positive="eta >= 0"), _not_falling),
}
"""Name -> a false statement, and whether an instance refutes it."""

TRUE: dict[str, Statement] = {
    "constant 2": quadratic(_BOUND.format("2"), loss="D > 0"),
    "slope at 1/alpha": late_slope(),
    "lower bound": quadratic("abs(N) >= w_1*L**2*(eta*L-1)**(2*t-1) - L**2", large="eta*L > 2"),
    "triangle": quadratic(_TRIANGLE.format("<=")),
    "1/27": lemma(27),
    "descent": quadratic(_DESCENT.format("<"), stable="eta*L < 2", positive="eta > 0"),
    "identity": quadratic("D == D*(1-eta*L) + eta*L*D"),
}
"""Name -> a true statement that resembles the false ones."""
