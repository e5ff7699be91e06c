r"""The output P = 2 sigma(a) and its derivatives in terms of P: P' = P (1 - P/2), P'' = P (1 - P/2)(1 - P).

The constants 1/2 and 1/(3 sqrt(3)) enter the gradient bound and the local certificate. Derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

OUTPUT = Parameter("p", low="0", high="2", landmarks=("0", "1", "2", "2/3"), meaning="P = 2 sigma(a)")
RANGE = {"low": "p >= 0", "high": "p <= 2"}

SLOPE = Claim(
    id="ntk/sigmoid/slope",
    title="0 <= dP/da <= 1/2",
    source="derived here",
    statement="For P = 2 sigma(a): 0 <= P (1 - P/2) <= 1/2; P = 1 attains it.",
    kind="tight",
    scope="all inputs",
    expected=Status.PROVED,
    formal=Statement((OUTPUT,), RANGE, "0 <= p*(1 - p/2) <= 1/2"),
    witness={"p": "1"},
    proof=Proof(
        steps=(
            Step("least", "0 <= p*(1 - p/2)", terms=(times("low", "high", coef="1/2"),)),
            Step("most", "p*(1 - p/2) <= 1/2", terms=({"coef": "1/2", "of": {}, "square": "1 - p"},)),
        )
    ),
    mutations=(Mutation("0.49 instead of 1/2", {"conclusion": "p*(1 - p/2) <= 49/100"}),),
)

CURVATURE = Claim(
    id="ntk/sigmoid/curvature",
    title="|d^2 P/da^2| <= 1/(3 sqrt(3))",
    source="derived here",
    statement="For P = 2 sigma(a): 27 (P (1 - P/2)(1 - P))^2 <= 1.",
    kind="tight",
    scope="all inputs",
    expected=Status.PROVED,
    formal=Statement((OUTPUT,), RANGE, "27*(p*(1 - p/2)*(1 - p))**2 <= 1"),
    witness={"p": "1"},
    proof=Proof(
        steps=(
            Step(
                "goal",
                "27*(p*(1 - p/2)*(1 - p))**2 <= 1",
                # q = (1 - p)^2: 4 - 27 q (1 - q)^2 = (1 - 3q)^2 (4 - 3q), and 4 - 3q = 1 + 3 p (2 - p)
                terms=(
                    {"coef": "1/4", "of": {}, "square": "1 - 3*(1 - p)**2"},
                    times("low", "high", coef="3/4", square="1 - 3*(1 - p)**2"),
                ),
            ),
        )
    ),
    notes="(1 - P)^2 = 1/3 attains it: 27 q (1 - q)^2 = 4 at q = 1/3.",
    mutations=(Mutation("28 instead of 27", {"conclusion": "28*(p*(1 - p/2)*(1 - p))**2 <= 1"}),),
)

CLAIMS = [SLOPE, CURVATURE]
