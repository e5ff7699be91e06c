r"""Corollary 1, the exact part: naive back-propagation through G makes intermediate results of size m^(-t).

With b_t = |dG/dw_t| = 2 |H w_t|/(t w_t^T H w_t) and m = max(|1 - eta L|, |1 - eta alpha|):
2/(t m^t) <= b_t <= 2 (L/alpha)/(t c_min m^t). Squares are stated, so that everything is rational:
(t b_t)^2 = 4 sum_k w_k l_k^2 r_k^(2t) / (sum_k w_k l_k r_k^(2t))^2 and c_min^2 = x = min(w1, wd).

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Corollary 1 (exponential size). The two-sided bound: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, total
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Statement

ATOMS = everywhere({"E_": "(1-eta*l)**(2*t)"})
S0, S1, S2 = "w*E_", "w*l*E_", "w*l**2*E_"
EXACT = {f"S{power}": total(f"w*l**{power}*(1-eta*l)**(2*t)") for power in (0, 1, 2)}
SUMS = {"S0": total(S0), "S1": total(S1), "S2": total(S2)}

TWO_SIDED = Claim(
    id="step_size/corollary1/two_sided",
    title="The adjoint dG/dw_t has size m^(-t), up to constants",
    source=f"{setting.PAPER}, Corollary 1 (order); the two-sided bound is derived here",
    statement=(
        "2/(t m^t) <= |dG/dw_t| <= 2 (L/alpha)/(t c_min m^t): exponentially large for 0 < eta < 2/L, "
        "exponentially small for "
        "eta > 2/L and eta < 0, neither where m = 1. Stated here for the squares."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, all real step sizes; needs |w_0| <= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE),
        hypotheses=setting.HYPOTHESES,
        definitions={
            **EXACT,
            "M": "max(abs(1-eta*alpha), abs(1-eta*L))**(2*t)",
            "x": "min(w1, wd)",
            "adjoint2": "4*S2/S1**2",
            "least": "4/M",
            "most": "4*L**2/(alpha**2*x*M)",
        },
        conclusion="least <= adjoint2 <= most",
    ),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        atoms=ATOMS,
        definitions=SUMS,
        facts={
            **{f"even_{k}": Fact(f"E_{k} >= 0", setting.EVEN_NONNEGATIVE) for k in "1di"},
            **{f"largest_{k}": Fact(f"E_{k} <= M", setting.POWER_INCREASES, "|1 - eta l| <= m") for k in "1di"},
            "M_positive": Fact("M > 0", setting.POWER_POSITIVE, "m >= (L - alpha)/(L + alpha)"),
            "one_end": Fact("E_1 + E_d >= M", "definition of M", "one of the two is m^(2t), the other is >= 0"),
            "x_positive": Fact("x > 0", "definition of x"),
            "x_first": Fact("x <= w1", "definition of x"),
            "x_last": Fact("x <= wd", "definition of x"),
            "cauchy": Fact("S1**2 <= S0*S2", "Cauchy-Schwarz inequality"),
            "quotient": Fact("adjoint2*S1**2 == 4*S2", "definition of dG/dw_t"),
            "least_means": Fact("least*M == 4", "definition of the lower bound"),
            "most_means": Fact("most*(alpha**2*x*M) == 4*L**2", "definition of the upper bound"),
        },
        steps=(
            *setting.POSITIVE,
            Step("zero_term", "w_i*E_i >= 0", terms=(times("weight", "even_i"),)),
            Step("zero_sum", "sum(w_i*E_i) >= 0", sum_of="zero_term"),
            Step("cap_term", "w_i*M - w_i*E_i >= 0", terms=(times("weight", "largest_i"),)),
            Step("cap_sum", "sum(w_i)*M - sum(w_i*E_i) >= 0", sum_of="cap_term"),
            Step(
                "S0_small",
                "S0 <= M",
                terms=(times("cap_sum"), times("first", "largest_1"), times("last", "largest_d")),
                equal={"unit": "-M"},
            ),
            Step(
                "S0_large",
                "S0 >= x*M",
                terms=(
                    times("zero_sum"),
                    times("x_first", "even_1"),
                    times("x_last", "even_d"),
                    times("x_positive", "one_end"),
                ),
            ),
            Step("floor", "x*M > 0", terms=(times("x_positive", "M_positive"),)),
            Step("S0_positive", "S0 > 0", terms=(times("S0_large"), times("floor"))),
            Step("low_term", "w_i*l_i*E_i - alpha*w_i*E_i >= 0", terms=(times("zero_term", "above"),)),
            Step("low_sum", "sum(w_i*l_i*E_i) - alpha*sum(w_i*E_i) >= 0", sum_of="low_term"),
            Step("S1_large", "S1 - alpha*S0 >= 0", terms=(times("low_sum"), times("first", "even_1", "order.2"))),
            Step("S1_positive", "S1 > 0", terms=(times("S1_large"), times("order.1", "S0_positive"))),
            Step("S1_square", "S1**2 > 0", terms=(times("S1_positive", "S1_positive"),)),
            Step(
                "high_term",
                "L**2*w_i*E_i - w_i*l_i**2*E_i >= 0",
                terms=(times("zero_term", "below", "below"), times("zero_term", "below", "l_positive", coef="2")),
            ),
            Step("high_sum", "L**2*sum(w_i*E_i) - sum(w_i*l_i**2*E_i) >= 0", sum_of="high_term"),
            Step(
                "S2_small",
                "L**2*S0 - S2 >= 0",
                terms=(
                    times("high_sum"),
                    times("last", "even_d", "order.2", "order.2"),
                    times("last", "even_d", "order.2", "order.1", coef="2"),
                ),
            ),
            Step("S2_term", "w_i*l_i**2*E_i >= 0", terms=(times("zero_term", square="l_i"),)),
            Step("S2_sum", "sum(w_i*l_i**2*E_i) >= 0", sum_of="S2_term"),
            Step(
                "S2_even",
                "S2 >= 0",
                terms=(times("S2_sum"), times("first", "even_1", square="L"), times("last", "even_d", square="alpha")),
            ),
            Step(
                "least_scaled",
                "M*S1**2*(adjoint2 - least) >= 0",
                terms=(times("cauchy", coef="4"), times("S0_small", "S2_even", coef="4")),
                equal={"quotient": "M", "least_means": "-S1**2"},
            ),
            Step("M_S1", "M*S1**2 > 0", terms=(times("M_positive", "S1_square"),)),
            Step("at_least", "least <= adjoint2", cancel=("M_S1", "least_scaled")),
            Step(
                "norm",
                "S1**2 - alpha**2*S0**2 >= 0",
                terms=(times("S1_large", "S1_large"), times("S1_large", "order.1", "S0_positive", coef="2")),
            ),
            Step(
                "most_scaled",
                "alpha**2*x*M*S1**2*(most - adjoint2) >= 0",
                terms=(
                    times("norm", coef="4", square="L"),
                    times("S0_positive", "S0_large", coef="4", square="alpha*L"),
                    times("x_positive", "M_positive", "S2_small", coef="4", square="alpha"),
                ),
                equal={"most_means": "S1**2", "quotient": "-alpha**2*x*M"},
            ),
            Step("scale", "alpha**2*x*M*S1**2 > 0", terms=(times("order.1", "order.1", "floor", "S1_square"),)),
            Step("at_most", "adjoint2 <= most", cancel=("scale", "most_scaled")),
        ),
    ),
    mutations=(
        Mutation("lower bound four times larger", {"definitions": {"least": "16/M"}}),
        Mutation("condition number dropped", {"definitions": {"most": "4/M"}}),
        Mutation("largest weight instead of smallest", {"definitions": {"x": "max(w1, wd)", "most": "4/(x*M)"}}),
        Mutation("power t instead of 2t", {"definitions": {"M": "max(abs(1-eta*alpha), abs(1-eta*L))**t"}}),
    ),
)

CLAIMS = [TWO_SIDED]
