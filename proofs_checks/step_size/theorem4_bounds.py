r"""Theorem 4, the bounded meta-gradient termwise: |G'| with the constant 4, and B1.

|numerator| <= m^(2t-1) C2 and denominator >= x alpha m^(2t) with m = max(|1 - eta alpha|, |1 - eta L|) >=
(L-alpha)/(L+alpha).

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4 (the order). The constant 4 and B1: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import lemmas, setting
from l2o_theory.quadratic.lemmas import bounded, divided
from l2o_theory.quadratic.setting import total
from l2o_theory.rigor.proof import Fact, Proof, Step, times

ODD_POWER = {"Mo": f"{lemmas.LARGEST_RATIO}**(2*t-1)"}
TERMWISE = {
    "Mo_positive": Fact("Mo > 0", setting.POWER_POSITIVE),
    **{f"up_{k}": Fact(f"P_{k} <= Mo", setting.ABSOLUTE_POWER, "|1 - eta l| <= m") for k in "1di"},
    **{f"down_{k}": Fact(f"-Mo <= P_{k}", setting.ABSOLUTE_POWER, "|1 - eta l| <= m") for k in "1di"},
}
NUMERATOR = tuple(
    step
    for sign, side in (("-", "up"), ("+", "down"))
    for step in (
        Step(
            f"{side}_term",
            f"w_i*l_i**2*Mo {sign} w_i*l_i**2*P_i >= 0",
            terms=(times("weight", f"{side}_i", square="l_i"),),
        ),
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
        atoms=lemmas.POWERS | lemmas.RATIO_ATOMS | ODD_POWER,
        definitions={**lemmas.SUMS, "M": "m*Mo", "C2": total("w*l**2"), "clear": "x*alpha*(L-alpha)"},
        facts={
            **lemmas.QUOTIENT,
            **lemmas.EVEN,
            **lemmas.SMALLEST_WEIGHT,
            **lemmas.RATIO,
            **TERMWISE,
            "bound_means": Fact("bound*clear == 4*L**3", "definition of the bound"),
        },
        steps=(
            *lemmas.LARGE_DENOMINATOR,
            Step("clear_positive", "clear > 0", using=("x_positive", "order.1", "order.2")),
            Step(
                "square",
                "w_i*L**2 - w_i*l_i**2 >= 0",
                terms=(times("weight", "below", "below"), times("weight", "below", "l_positive", coef="2")),
            ),
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
                        times(
                            "order.2",
                            "L_positive",
                            "L_positive",
                            "x_positive",
                            "order.1",
                            "Mo_positive",
                            "m_positive",
                            coef="2",
                        ),
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
        "|G'(eta)| <= 2 C2 (L + alpha)/((L - alpha) y) with C2 = sum_k w_k l_k^2 and y = min(wd alpha, w1 "
        "L), for every real eta."
    ),
    kind="upper",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=bounded("2*C2*(L+alpha)/((L-alpha)*y)", y="min(wd*alpha, w1*L)", C2=total("w*l**2")),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        atoms=lemmas.POWERS | lemmas.RATIO_ATOMS | ODD_POWER,
        definitions={**lemmas.SUMS, "M": "m*Mo", "C2": total("w*l**2"), "clear": "y*(L-alpha)"},
        facts={
            **lemmas.QUOTIENT,
            **lemmas.EVEN,
            **lemmas.RATIO,
            **TERMWISE,
            "y_positive": Fact("y > 0", "definition of y"),
            "y_first": Fact("y <= w1*L", "definition of y"),
            "y_last": Fact("y <= wd*alpha", "definition of y"),
            "bound_means": Fact("bound*clear == 2*C2*(L+alpha)", "definition of the bound"),
        },
        steps=(
            *setting.POSITIVE,
            *lemmas.BETWEEN,
            *lemmas.RATIO_STEPS,
            Step(
                "D_large",
                "D >= y*M",
                terms=(
                    times("between_sum"),
                    times("y_first", "E_1_even"),
                    times("y_last", "E_d_even"),
                    times("y_positive", "one_end"),
                ),
            ),
            Step("floor", "y*M > 0", terms=(times("y_positive", "M_positive"),)),
            Step("D_positive", "D > 0", terms=(times("D_large"), times("floor"))),
            Step("clear_positive", "clear > 0", terms=(times("y_positive", "order.2"),)),
            *NUMERATOR,
            Step("square", "w_i*l_i**2 >= 0", terms=(times("weight", square="l_i"),)),
            Step("squares", "sum(w_i*l_i**2) >= 0", sum_of="square"),
            Step(
                "C2_positive",
                "C2 > 0",
                terms=(
                    times("first", "L_positive", "L_positive"),
                    times("last", "order.1", "order.1"),
                    times("squares"),
                ),
            ),
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
