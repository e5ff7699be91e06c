r"""Heavy ball: Theorem 3 is special to plain gradient descent.

w_{k+1} = w_k - eta H w_k + b (w_k - w_{k-1}), w_{-1} = w_0. Per eigenvalue l, w_k = p_k c with p_0 = p_{-1} = 1 and
p_{k+1} = (1 + b - eta l) p_k - b p_{k-1}. After two steps p_2 = (1 + b - eta l)(1 - eta l) - b.

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

STEP = Parameter("eta", low="0", landmarks=("1", "2"), meaning="step size")
ZETA = Parameter("zeta", low="eta", landmarks=("2",), meaning="a larger step size")
MOMENTUM = Parameter("b", low="0", high="1", landmarks=("1/2",), meaning="momentum")


def _two_steps(step: str) -> str:
    return f"((1+b-{step})*(1-{step}) - b)**2/2"


CONVEX = Claim(
    id="step_size/heavy_ball/convexity",
    title="Heavy ball: F is convex in the step size",
    source="derived here",
    statement=(
        "One eigenvalue 1, two heavy-ball steps with momentum 0 <= b < 1: F((eta+zeta)/2) <= (F(eta) + F(zeta))/2.\n"
        "False: with b = 1/2 both eta = 1/2 and eta = 2 reach F = 0, and F > 0 between them. t steps give t zeros."
    ),
    kind="uniqueness",
    scope="d = 1, t = 2, 0 <= b < 1, eta > 0",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(STEP, ZETA, MOMENTUM),
        hypotheses={"order": "0 < eta < zeta", "momentum": "0 <= b < 1"},
        definitions={"one": _two_steps("eta"), "two": _two_steps("zeta"), "middle": _two_steps("(eta+zeta)/2")},
        conclusion="middle <= (one + two)/2",
    ),
    witness={"eta": "1/10", "zeta": "1/5", "b": "1/10"},
    counterexample={"eta": "1/2", "zeta": "2", "b": "1/2"},
)

WITHOUT_MOMENTUM = Claim(
    id="step_size/heavy_ball/convexity_without_momentum",
    title="Corrected: with b = 0 the same two steps are convex in the step size",
    source="derived here",
    statement="One eigenvalue 1, two steps without momentum: F((eta+zeta)/2) <= (F(eta) + F(zeta))/2.",
    kind="tight",
    scope="d = 1, t = 2, b = 0, all eta < zeta; all d and t by Theorem 3",
    expected=Status.PROVED,
    corrects="step_size/heavy_ball/convexity",
    formal=Statement(
        parameters=(Parameter("eta", landmarks=("1",), meaning="step size"), ZETA),
        hypotheses={"order": "zeta - eta > 0"},
        definitions={"one": "(1-eta)**4/2", "two": "(1-zeta)**4/2", "middle": "(1-(eta+zeta)/2)**4/2"},
        conclusion="middle <= (one + two)/2",
    ),
    witness={"eta": "1/2", "zeta": "2"},
    proof=Proof(
        steps=(
            Step(
                "squares",
                "middle <= (one + two)/2",
                terms=(
                    times(coef="3", square="(2-eta-zeta)*(zeta-eta)/4"),
                    times(coef="1/2", square="(zeta-eta)**2/4"),
                ),
            ),
        ),
        definitions={"one": "(1-eta)**4/2", "two": "(1-zeta)**4/2", "middle": "(1-(eta+zeta)/2)**4/2"},
    ),
    mutations=(
        Mutation("maximum of the two halved", {"conclusion": "middle <= max(one, two)/2"}),
        Mutation(
            "odd power",
            {"definitions": {"one": "(1-eta)**3/2", "two": "(1-zeta)**3/2", "middle": "(1-(eta+zeta)/2)**3/2"}},
        ),
        Mutation("1 percent stronger", {"conclusion": "101*middle <= 100*(one + two)/2"}),
    ),
)

CLAIMS = [CONVEX, WITHOUT_MOMENTUM]
