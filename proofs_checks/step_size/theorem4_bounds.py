r"""Theorem 4, the bounded meta-gradient: |G'| with explicit constants, G = (1/t) log F.

G'(eta) = -2 N/D with N = sum_k w_k l_k^2 r_k^(2t-1), D = sum_k w_k l_k r_k^(2t), r_k = 1 - eta l_k; x = min(w1, wd).
All bounds hold for every real eta. The published one is O(L^3/(x alpha (L - alpha))); the constants 4 and 2 and the Hölder
forms are derived here.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, total
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

N, D = total("w*l**2*(1-eta*l)**(2*t-1)"), total("w*l*(1-eta*l)**(2*t)")
LARGEST_RATIO = "max(abs(1-eta*alpha), abs(1-eta*L))"
LOG_SLOPE = {"N": N, "D": D, "logslope": "-2*N/D", "x": "min(w1, wd)"}


def bounded(bound: str, **definitions: str) -> Statement:
    """-bound <= G' <= bound in the setting, with further definitions before the bound."""
    return Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE),
        hypotheses=setting.HYPOTHESES,
        definitions={**LOG_SLOPE, **definitions, "bound": bound},
        conclusion="-bound <= logslope <= bound",
    )


ATOMS = everywhere({"P_": "(1-eta*l)**(2*t-1)", "E_": "(1-eta*l)**(2*t)"}) | {"m": LARGEST_RATIO}
SUMS = {"N": total("w*l**2*P_"), "D": total("w*l*E_")}
QUOTIENT = {"quotient": Fact("logslope*D == -2*N", "definition of G'")}
SMALLEST_WEIGHT = {
    "x_positive": Fact("x > 0", "definition of x"),
    "x_first": Fact("x <= w1", "definition of x"),
    "x_last": Fact("x <= wd", "definition of x"),
}
RATIO = {
    "ratio": Fact("m*(L+alpha) >= L - alpha", "triangle inequality", "L (1 - eta alpha) - alpha (1 - eta L) = L - alpha"),
    "M_positive": Fact("M > 0", setting.POWER_POSITIVE, "m >= (L - alpha)/(L + alpha) > 0"),
    **{f"E_{k}_even": Fact(f"E_{k} >= 0", setting.EVEN_NONNEGATIVE) for k in "1di"},
    "one_end": Fact("E_1 + E_d >= M", "definition of M", "one of the two is m^(2t), the other is >= 0"),
}
DENOMINATOR = (
    *setting.POSITIVE,
    Step("between", "w_i*l_i*E_i >= 0", terms=(times("weight", "l_positive", "E_i_even"),)),
    Step("between_sum", "sum(w_i*l_i*E_i) >= 0", sum_of="between"),
    Step(
        "D_large",
        "D >= x*alpha*M",
        terms=(
            times("between_sum"),
            times("x_first", "L_positive", "E_1_even"),
            times("x_positive", "order.2", "E_1_even"),
            times("x_last", "order.1", "E_d_even"),
            times("x_positive", "order.1", "one_end"),
        ),
    ),
    Step("floor", "x*alpha*M > 0", using=("x_positive", "order.1", "M_positive")),
    Step("D_positive", "D > 0", using=("D_large", "floor"), degree=1),
)


ODD_POWER = {"Mo": f"{LARGEST_RATIO}**(2*t-1)"}
TERMWISE = {
    "Mo_positive": Fact("Mo > 0", setting.POWER_POSITIVE),
    **{f"up_{k}": Fact(f"P_{k} <= Mo", setting.ABSOLUTE_POWER, "|1 - eta l| <= m") for k in "1di"},
    **{f"down_{k}": Fact(f"-Mo <= P_{k}", setting.ABSOLUTE_POWER, "|1 - eta l| <= m") for k in "1di"},
}
NUMERATOR = tuple(
    step
    for sign, side in (("-", "up"), ("+", "down"))
    for step in (
        Step(f"{side}_term", f"w_i*l_i**2*Mo {sign} w_i*l_i**2*P_i >= 0",
             terms=(times("weight", f"{side}_i", square="l_i"),)),
        Step(f"{side}_sum", f"sum(w_i*l_i**2)*Mo {sign} sum(w_i*l_i**2*P_i) >= 0", sum_of=f"{side}_term"),
        Step(
            f"{side}_N",
            f"C2*Mo {sign} N >= 0",
            terms=(
                times("first", f"{side}_1", square="L"),
                times("last", f"{side}_d", square="alpha"),
                times(f"{side}_sum"),
            ),
        ),
    )
)
RATIO_POSITIVE = (
    Step("both", "L + alpha > 0", using=("L_positive", "order.1"), degree=1),
    Step("ratio_scaled", "(L+alpha)*m > 0", using=("ratio", "order.2"), degree=1),
    Step("m_positive", "m > 0", cancel=("both", "ratio_scaled")),
)


def divided(quantity: str = "logslope", factor: str = "1", sign: str = ">=") -> tuple[Step, ...]:
    """From `top` and `bottom` (scale D -+ clear 2 N factor, with bound clear = scale) to -bound <= quantity <= bound."""
    less = {">=": "<=", ">": "<"}[sign]
    return (
        Step("top_cleared", f"clear*D*(bound - {quantity}) {sign} 0", terms=(times("top"),),
             equal={"bound_means": "D", "quotient": f"-clear*({factor})"}),
        Step("bottom_cleared", f"clear*D*({quantity} + bound) {sign} 0", terms=(times("bottom"),),
             equal={"bound_means": "D", "quotient": f"clear*({factor})"}),
        Step("clear_D", "clear*D > 0", terms=(times("clear_positive", "D_positive"),)),
        Step("at_most", f"{quantity} {less} bound", cancel=("clear_D", "top_cleared")),
        Step("at_least", f"-bound {less} {quantity}", cancel=("clear_D", "bottom_cleared")),
    )


CONSTANT_FOUR = Claim(
    id="step_size/theorem4/bound_four",
    title="|G'| <= 4 L^3/(x alpha (L - alpha))",
    source=f"{setting.PAPER}, Theorem 4 (order); the constant 4 is derived here",
    statement="|G'(eta)| <= 4 L^3/(x alpha (L - alpha)), x = min(w1, wd), for every real eta.",
    kind="upper",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=bounded("4*L**3/(x*alpha*(L-alpha))"),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        atoms=ATOMS | ODD_POWER,
        definitions={**SUMS, "M": "m*Mo", "C2": total("w*l**2"), "clear": "x*alpha*(L-alpha)"},
        facts={
            **QUOTIENT,
            **SMALLEST_WEIGHT,
            **RATIO,
            **TERMWISE,
            "bound_means": Fact("bound*clear == 4*L**3", "definition of the bound"),
        },
        steps=(
            *DENOMINATOR,
            *RATIO_POSITIVE,
            Step("clear_positive", "clear > 0", using=("x_positive", "order.1", "order.2")),
            Step("square", "w_i*L**2 - w_i*l_i**2 >= 0",
                 terms=(times("weight", "below", "below"), times("weight", "below", "l_positive", coef="2"))),
            Step("square_sum", "sum(w_i)*L**2 - sum(w_i*l_i**2) >= 0", sum_of="square"),
            *NUMERATOR,
            Step(
                "C2_small",
                "L**2 - C2 >= 0",
                terms=(
                    times("square_sum"),
                    times("last", "order.2", "order.2"),
                    times("last", "order.2", "order.1", coef="2"),
                ),
                equal={"unit": "-L**2"},
            ),
            *(
                Step(
                    name,
                    f"4*L**3*D {sign} 2*N*clear >= 0",
                    terms=(
                        times("D_large", "L_positive", "L_positive", "L_positive", coef="4"),
                        times(f"{side}_N", "clear_positive", coef="2"),
                        times("C2_small", "Mo_positive", "clear_positive", coef="2"),
                        times("ratio", "L_positive", "L_positive", "x_positive", "order.1", "Mo_positive", coef="2"),
                        times("order.2", "L_positive", "L_positive", "x_positive", "order.1", "Mo_positive", "m_positive", coef="2"),
                    ),
                )
                for name, sign, side in (("top", "+", "down"), ("bottom", "-", "up"))
            ),
            *divided(),
        ),
    ),
    mutations=(
        Mutation("constant 1", {"definitions": {"bound": "L**3/(x*alpha*(L-alpha))"}}),
        Mutation("L^2 instead of L^3", {"definitions": {"bound": "4*L**2/(x*alpha*(L-alpha))"}}),
        Mutation("largest weight instead of smallest", {"definitions": {"x": "max(w1, wd)"}}),
        Mutation("gap L - alpha dropped", {"definitions": {"bound": "4*L**2/(x*alpha)"}}),
    ),
)

TERMWISE_BOUND = Claim(
    id="step_size/theorem4/bound_termwise",
    title="B1: the termwise bound 2 C2 (L + alpha)/((L - alpha) y)",
    source="derived here",
    statement=(
        "|G'(eta)| <= 2 C2 (L + alpha)/((L - alpha) y) with C2 = sum_k w_k l_k^2 and y = min(wd alpha, w1 L), for every real eta."
    ),
    kind="upper",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=bounded("2*C2*(L+alpha)/((L-alpha)*y)", y="min(wd*alpha, w1*L)", C2=total("w*l**2")),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        atoms=ATOMS | ODD_POWER,
        definitions={**SUMS, "M": "m*Mo", "C2": total("w*l**2"), "clear": "y*(L-alpha)"},
        facts={
            **QUOTIENT,
            **RATIO,
            **TERMWISE,
            "y_positive": Fact("y > 0", "definition of y"),
            "y_first": Fact("y <= w1*L", "definition of y"),
            "y_last": Fact("y <= wd*alpha", "definition of y"),
            "bound_means": Fact("bound*clear == 2*C2*(L+alpha)", "definition of the bound"),
        },
        steps=(
            *DENOMINATOR[:5],
            Step(
                "D_large",
                "D >= y*M",
                terms=(times("between_sum"), times("y_first", "E_1_even"), times("y_last", "E_d_even"),
                       times("y_positive", "one_end")),
            ),
            Step("floor", "y*M > 0", terms=(times("y_positive", "M_positive"),)),
            Step("D_positive", "D > 0", terms=(times("D_large"), times("floor"))),
            Step("clear_positive", "clear > 0", terms=(times("y_positive", "order.2"),)),
            *NUMERATOR,
            Step("both", "L + alpha > 0", using=("L_positive", "order.1"), degree=1),
            Step("square", "w_i*l_i**2 >= 0", terms=(times("weight", square="l_i"),)),
            Step("squares", "sum(w_i*l_i**2) >= 0", sum_of="square"),
            Step("C2_positive", "C2 > 0",
                 terms=(times("first", "L_positive", "L_positive"), times("last", "order.1", "order.1"), times("squares"))),
            *(
                Step(
                    name,
                    f"2*C2*(L+alpha)*D {sign} 2*N*clear >= 0",
                    terms=(
                        times("D_large", "C2_positive", "both", coef="2"),
                        times(f"{side}_N", "clear_positive", coef="2"),
                        times("ratio", "C2_positive", "y_positive", "Mo_positive", coef="2"),
                    ),
                )
                for name, sign, side in (("top", "+", "down"), ("bottom", "-", "up"))
            ),
            *divided(),
        ),
    ),
    mutations=(
        Mutation("a third of it", {"definitions": {"bound": "2*C2*(L+alpha)/(3*(L-alpha)*y)"}}),
        Mutation("max instead of min", {"definitions": {"y": "max(wd*alpha, w1*L)"}}),
        Mutation("L + alpha replaced by L - alpha", {"definitions": {"bound": "2*C2/y"}}),
    ),
)

CLAIMS = [CONSTANT_FOUR, TERMWISE_BOUND]
