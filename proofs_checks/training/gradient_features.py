r"""What L2O-DM sees of a gradient: u_1 = max(ln(|g| + e)/5, -1), u_2 = clip(g e^5, -1, 1), e = 2^-23.

u_1 is constant below e^-5 and u_2 above it; together they tell all gradients apart.

Reference: released code of Chen et al., NeurIPS 2020 (arXiv 2010.09089), preprocess.py. What they tell apart: derived
here.
"""

from decimal import Decimal, localcontext

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "derived here, of the features in the released code of arXiv 2010.09089"
_PARAMETERS = (
    Parameter("a", low="0", high="4", landmarks=("1/200", "1/100", "1"), meaning="gradient"),
    Parameter("b", low="0", high="4", landmarks=("1/200", "1/100", "1"), meaning="larger gradient"),
)
_DEFINITIONS = {
    "tiny": "1/8388608",
    "magnitude_a": "max(log(a + tiny)/5, -1)",
    "magnitude_b": "max(log(b + tiny)/5, -1)",
    "sign_a": "min(a*exp(5), 1)",
    "sign_b": "min(b*exp(5), 1)",
}
_HYPOTHESES = {"positive": "a > 0", "order": "a < b"}

MAGNITUDE = Claim(
    id="training/gradient_features/magnitude_is_enough",
    title="As its name suggests: the magnitude feature tells gradients of different size apart",
    source=_SOURCE,
    statement="0 < a < b: u_1(a) < u_1(b). False below e^-5 = 0.0067: 1/2000 and 1/1000 both give -1.",
    kind="identity",
    scope="positive gradients",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=_PARAMETERS, hypotheses=_HYPOTHESES, definitions=_DEFINITIONS, conclusion="magnitude_a < magnitude_b"
    ),
    witness={"a": "1/2", "b": "1"},
    counterexample={"a": "1/2000", "b": "1/1000"},
)

BOTH = Claim(
    id="training/gradient_features/both_together",
    title="Corrected: the two features together do, for their sum rises strictly",
    source=_SOURCE,
    statement=(
        "0 < a < b: u_1(a) + u_2(a) < u_1(b) + u_2(b). Both are non-decreasing, u_2 rises up to e^-5 and u_1 from e^-5 "
        "- e on."
    ),
    kind="identity",
    scope="positive gradients up to 4 (searched)",
    expected=Status.NOT_FALSIFIED,
    corrects="training/gradient_features/magnitude_is_enough",
    formal=Statement(
        parameters=_PARAMETERS,
        hypotheses=_HYPOTHESES,
        definitions=_DEFINITIONS,
        conclusion="magnitude_a + sign_a < magnitude_b + sign_b",
    ),
    witness={"a": "1/2", "b": "1"},
    mutations=(
        Mutation("sign alone", {"conclusion": "sign_a < sign_b"}, {"a": "1/2", "b": "1"}),
        Mutation("their difference", {"conclusion": "magnitude_a - sign_a < magnitude_b - sign_b"}),
    ),
)


def _exactly(text: str) -> tuple[float, float]:
    """Both features of a gradient given as decimal text, with 40 digits."""
    with localcontext() as context:
        context.prec = 40
        g, e = Decimal(text), Decimal("1.1920929e-7")
        first = max((abs(g) + e).ln() / 5, Decimal(-1))
        second = min(max(g * Decimal(5).exp(), Decimal(-1)), Decimal(1))
        return float(first), float(second)


def _values(seed: int) -> Measurement:
    """Printed values and decimals of 40 digits against the library (nothing random)."""
    import torch

    from l2o_theory.optimizers.learned.lstm_rule import log_and_sign

    with localcontext() as context:
        context.prec = 40
        small, smaller = str(Decimal(-5).exp()), str(Decimal(-10).exp())
    printed = {"0": (-1.0, 0.0), "1": (0.0, 1.0), small: (-0.9999965, 1.0), smaller: (-1.0, 0.00674)}
    rows, off, away = [], 0.0, 0.0
    for text in (*printed, "-1", "-0.001", "250"):
        found = [float(v) for v in log_and_sign(torch.tensor(float(text), dtype=torch.float64))]
        exact = _exactly(text)
        rows.append({"gradient": float(text), "predicted": list(exact), "observed": found})
        off = max(off, *(abs(a - b) for a, b in zip(found, exact, strict=True)))
        if text in printed:
            away = max(away, *(abs(a - b) for a, b in zip(found, printed[text], strict=True)))
    other = [float(v) for v in log_and_sign(torch.tensor(float(small), dtype=torch.float64), k=10.0)]
    caught = {
        "p = 10 of the published formula": abs(other[0] - printed[small][0]) > 1e-3,
        "no tiny number inside the logarithm": abs(-1 - _exactly(small)[0]) > 1e-6,
    }
    return Measurement(
        holds=off < 1e-14 and away < 3e-6,  # rounding; the printed values have three to seven digits
        table=tuple(rows),
        margin=1 - off / 1e-14,
        arithmetic="float64 torch against decimals of 40 digits",
        refuted_faults=tuple(name for name, seen in caught.items() if seen),
        accepted_faults=tuple(name for name, seen in caught.items() if not seen),
    )


VALUES = Claim(
    id="training/gradient_features/values",
    title="log_and_sign gives the values of the released code at 0, 1, e^-5 and e^-10",
    source="released code of arXiv 2010.09089, preprocess.py",
    statement="g = 0: (-1, 0); g = 1: (0, 1); g = e^-5: (-0.9999965, 1); g = e^-10: (-1, 0.00674).",
    kind="measurement",
    scope="seven gradients, float64",
    expected=Status.NOT_FALSIFIED,
    measure=_values,
)

CLAIMS = [MAGNITUDE, BOTH, VALUES]
