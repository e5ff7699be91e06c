r"""Train-by-train: the step size tuned on the training loss, given the spectrum of the Gram matrix.

Given X, the expected training loss is T(eta) = 1/(2n) [sum_k R_k^(2t) (n l_k/d + sigma^2) + ...] with R_k = 1 - eta l_k
over the positive eigenvalues of H = X^T X/n: the quadratic setting with weights l_k + kappa, kappa = sigma^2 d/n. So
T is strictly convex, and its minimiser lies in a bracket that closes on 2/(l_max + l_min) as t grows.

Source: derived here; the setting is that of Wang et al. 2021, section 4.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

KAPPA = Parameter("kappa", low="0", landmarks=("1", "L"), meaning="sigma^2 d/n")
SPECTRUM = (setting.SMOOTHNESS, setting.STRONG_CONVEXITY, setting.BETWEEN, KAPPA, setting.STEPS)
HYPOTHESES = {
    "order": "0 < alpha < L",
    "above": "l_i >= alpha",
    "below": "l_i <= L",
    "noise": "kappa >= 0",
    "steps": "t >= 1",
}


def over_spectrum(term: str) -> str:
    """Sum of a term in l and its atoms X_ over the extreme eigenvalues and those between."""
    return setting.total(term)


SLOPE = "-" + over_spectrum("l*(l+kappa)*(1-eta*l)**(2*t-1)")
RHO = Parameter("rho", low="0", landmarks=("1", "alpha/L"), meaning="ratio |1 - eta L| / (1 - eta alpha)")
BALANCED = {
    "R": "rho**(2*t-1)",
    "eta": "(1+rho)/(L+rho*alpha)",
    "C2": over_spectrum("l*(l+kappa)"),
    "slope": SLOPE,
}
ATOMS = setting.everywhere({"P_": "(1-eta*l)**(2*t-1)"})
DEFINITIONS = {"C2": over_spectrum("l*(l+kappa)"), "slope": "-" + over_spectrum("l*(l+kappa)*P_")}
FACTS = {
    "end_d": Fact("P_d > 0", setting.POWER_POSITIVE, "1 - eta alpha = (L - alpha)/(L + rho alpha)"),
    "end_1": Fact("P_1 == -R*P_d", setting.POWER_OF_PRODUCT, "1 - eta L = -rho (1 - eta alpha)"),
    "R_positive": Fact("R > 0", setting.POWER_POSITIVE),
}
WITNESS = {"L": "1", "alpha": "1/4", "l_i": ["1/2"], "kappa": "1/3", "t": "1"}
WEIGHT = (
    *setting.POSITIVE,
    Step("loud_i", "l_i*(l_i+kappa) > 0", terms=(times("l_positive", "l_positive"), times("l_positive", "noise"))),
    Step("loud_1", "L*(L+kappa) > 0", terms=(times("L_positive", "L_positive"), times("L_positive", "noise"))),
    Step("loud_d", "alpha*(alpha+kappa) > 0", terms=(times("order.1", "order.1"), times("order.1", "noise"))),
)

BRACKET_BELOW = Claim(
    id="train_vs_validation/train_step/bracket_below",
    title="Train-by-train: lower end of the bracket of the tuned step size",
    source="derived here",
    statement=(
        "With C2 = sum_k l_k (l_k + kappa): for every rho > 0 with C2 rho^(2t-1) <= alpha (alpha + kappa),\n"
        "T'((1 + rho)/(L + rho alpha)) <= 0. The largest such rho tends to 1, so the bracket tends to 2/(L + alpha)."
    ),
    kind="lower",
    scope="every spectrum with L > alpha > 0 of any size, every noise, all t >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*SPECTRUM, RHO),
        hypotheses={**HYPOTHESES, "ratio": "rho > 0", "small": "C2*R <= alpha*(alpha+kappa)"},
        definitions=BALANCED,
        conclusion="slope <= 0",
    ),
    witness={**WITNESS, "rho": "1/20"},
    proof=Proof(
        atoms=ATOMS,
        definitions=DEFINITIONS,
        facts=FACTS | {"least": Fact("P_i >= P_1", setting.ODD_INCREASES, "l_i <= L")},
        steps=(
            *WEIGHT,
            Step("term", "l_i*(l_i+kappa)*(P_i - P_1) >= 0", terms=(times("loud_i", "least"),)),
            Step("rest", "sum(l_i*(l_i+kappa)*P_i) - sum(l_i*(l_i+kappa))*P_1 >= 0", sum_of="term"),
            Step(
                "downhill",
                "slope <= 0",
                terms=(times("rest"), times("end_d", "small"), times("end_d", "R_positive", "loud_d")),
                equal={"end_1": "L*(L+kappa) + sum(l_i*(l_i+kappa))"},
            ),
        ),
    ),
    mutations=(
        Mutation("rho twice as large", {"hypotheses": {"small": "C2*(rho/2)**(2*t-1) <= alpha*(alpha+kappa)"}}),
        Mutation("the opposite sign", {"conclusion": "slope >= 0"}),
        Mutation("weights of the noiseless loss", {"hypotheses": {"small": "C2*R <= L*(L+kappa)"}}),
    ),
)

BRACKET_ABOVE = Claim(
    id="train_vs_validation/train_step/bracket_above",
    title="Train-by-train: upper end of the bracket of the tuned step size",
    source="derived here",
    statement=(
        "With C2 = sum_k l_k (l_k + kappa): for every rho > 0 with L (L + kappa) rho^(2t-1) >= C2,\n"
        "T'((1 + rho)/(L + rho alpha)) >= 0. The smallest such rho tends to 1 as t grows."
    ),
    kind="upper",
    scope="every spectrum with L > alpha > 0 of any size, every noise, all t >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*SPECTRUM, RHO),
        hypotheses={**HYPOTHESES, "ratio": "rho > 0", "large": "L*(L+kappa)*R >= C2"},
        definitions=BALANCED,
        conclusion="slope >= 0",
    ),
    witness={**WITNESS, "rho": "3"},
    proof=Proof(
        atoms=ATOMS,
        definitions=DEFINITIONS,
        facts=FACTS | {"most": Fact("P_i <= P_d", setting.ODD_INCREASES, "l_i >= alpha")},
        steps=(
            *WEIGHT,
            Step("term", "l_i*(l_i+kappa)*(P_d - P_i) >= 0", terms=(times("loud_i", "most"),)),
            Step("rest", "sum(l_i*(l_i+kappa))*P_d - sum(l_i*(l_i+kappa)*P_i) >= 0", sum_of="term"),
            Step(
                "uphill",
                "slope >= 0",
                terms=(times("rest"), times("end_d", "large"), times("end_d", "loud_1")),
                equal={"end_1": "-L*(L+kappa)"},
            ),
        ),
    ),
    mutations=(
        Mutation("rho half as large", {"hypotheses": {"large": "L*(L+kappa)*(2*rho)**(2*t-1) >= C2"}}),
        Mutation("the opposite sign", {"conclusion": "slope <= 0"}),
        Mutation("interior eigenvalues forgotten", {"hypotheses": {"large": "L*(L+kappa)*R >= alpha*(alpha+kappa)"}}),
    ),
)

CLAIMS = [BRACKET_BELOW, BRACKET_ABOVE]
