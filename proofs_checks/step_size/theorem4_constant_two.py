r"""Theorem 4 with the constant 2: |G'| < 2 L^3/(x alpha (L - alpha)) for all t, d and step sizes, and 2 is the best.

From m (x alpha)^a |N| <= L^(1+a) W^a D (a = 1/(2t); Hölder, see l2o_theory/quadratic/lemmas.py) it is enough that
(x alpha)^(1-a) (L - alpha) L^a W^a < L^2 m. For eta <= 1/L and eta >= 1/alpha m L >= L - alpha and W <= 1 do; between,
the signs of indices 1 and d differ, so W <= 1 - x, and x^(1-a) (1-x)^a <= sqrt(x (1-x)) <= 1/2.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4 (the order). The constant 2: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import lemmas, setting
from l2o_theory.quadratic.lemmas import bounded, divided
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

ANY_STEP = f"{setting.SCOPE}, all real step sizes"

_BETWEEN = (
    Step("span", "(eta*L-1)*(1-eta*alpha) > 0", terms=(times("key_case", "inner_case"),)),
    Step("is_on", "c - 1 >= 0", cancel=("span", "on")),
    Step("c_positive", "c > 0", terms=(times("is_on"), times())),
    Step("missing", "V - Wa >= 0", cancel=("c_positive", "share")),
    Step(
        "key_scaled",
        "(L+alpha)*(L**2*m - xb*(L-alpha)*La*Wa) > 0",
        terms=(
            times("L_positive", "L_positive", "ratio"),
            times("order.2", "both", "X_positive", "Al_positive", "La_positive", "missing"),
            times("order.2", "both", "Al_positive", "La_positive", "XV_half", coef="1/2"),
            times("order.2", "both", "AlLa", coef="1/2"),
            times("order.2", "L_positive", "order.2", coef="1/2"),
        ),
        equal={"xb_means": "-(L+alpha)*(L-alpha)*La*Wa"},
    ),
    Step("key_between", "L**2*m - xb*(L-alpha)*La*Wa > 0", cancel=("both", "key_scaled")),
)


def _outside(side: str, far: tuple[dict[str, object], ...]) -> tuple[Step, ...]:
    """eta <= 1/L or eta >= 1/alpha: m L >= L - alpha, and W <= 1 is enough."""
    return (
        Step(f"far_{side}", "m*L - (L-alpha) >= 0", terms=far),
        Step(
            f"key_{side}",
            "L**2*m - xb*(L-alpha)*La*Wa > 0",
            terms=(
                times("L_positive", f"far_{side}"),
                times("order.2", "AlLa"),
                times("order.2", "Al_positive", "La_positive", "X_one"),
                times("order.2", "Al_positive", "La_positive", "X_positive", "Wa_one"),
            ),
            equal={"xb_means": "-(L-alpha)*La*Wa"},
        ),
    )


CONSTANT_TWO = Claim(
    id="step_size/theorem4/bound_two",
    title="|G'| < 2 L^3/(x alpha (L - alpha))",
    source=f"{setting.PAPER}, Theorem 4 (order); the constant 2 is derived here",
    statement="|G'(eta)| < 2 L^3/(x alpha (L - alpha)), x = min(w1, wd), for every real eta, every t and d.",
    kind="tight",
    scope=ANY_STEP,
    expected=Status.PROVED,
    corrects="step_size/theorem4/bound_nineteen_tenths",
    formal=bounded("2*L**3/(x*alpha*(L-alpha))", strict=True),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        witness=lemmas.RATIONAL_WITNESS,
        atoms=lemmas.STAR_ATOMS
        | {
            "xb": "root(x*alpha, 2*t)**(2*t-1)",
            "X": "root(x, 2*t)**(2*t-1)",
            "V": "root(1-x, 2*t)",
            "Al": "root(alpha, 2*t)**(2*t-1)",
            "Z": "root((1-x)/x, 2*t)",
            "Zh": "root((1-x)/x, 2)",
            "c": "positive(eta*L-1)*positive(1-eta*alpha)",
        },
        definitions={**lemmas.SUMS, "clear": "x*alpha*(L-alpha)"},
        facts={
            **lemmas.STAR_FACTS,
            "x_split": Fact("xb*xa == x*alpha", setting.EXPONENTS_ADD),
            "xb_means": Fact("xb == X*Al", setting.POWER_OF_PRODUCT),
            "X_positive": Fact("X > 0", lemmas.ROOT_POSITIVE),
            "X_one": Fact("X <= 1", setting.POWER_INCREASES, "x <= 1"),
            "Al_positive": Fact("Al > 0", lemmas.ROOT_POSITIVE),
            "AlLa": Fact("Al*La < L", setting.POWER_INCREASES, "alpha^(1-a) L^a < L, since alpha < L and 1 - a > 0"),
            "on": Fact("(c-1)*((eta*L-1)*(1-eta*alpha)) >= 0", "definition of c, the indicator of 1/L < eta < 1/alpha"),
            "share": Fact(
                "c*(V - Wa) >= 0",
                setting.POWER_INCREASES,
                "for 1/L < eta < 1/alpha indices 1 and d have different signs, so W <= 1 - x",
            ),
            "XV": Fact("X*V == x*Z", setting.EXPONENTS_ADD, "x^(1-a) (1-x)^a = x ((1-x)/x)^a"),
            "Z_half": Fact("Z <= Zh", "z^a <= z^(1/2) for z >= 1 and a <= 1/2", "x <= 1/2"),
            "Zh_positive": Fact("Zh > 0", lemmas.ROOT_POSITIVE),
            "Zh_means": Fact("Zh**2*x == 1 - x", "definition of Zh"),
            "bound_means": Fact("bound*clear == 2*L**3", "definition of the bound"),
        },
        steps=(
            *lemmas.STAR_STEPS,
            Step("clear_positive", "clear > 0", terms=(times("x_positive", "order.1", "order.2"),)),
            Step("above_one", "1 + 2*x*Zh > 0", terms=(times(), times("x_positive", "Zh_positive", coef="2"))),
            Step("means", "(1 + 2*x*Zh)*(1 - 2*x*Zh) >= 0", terms=(times(square="1-2*x"),), equal={"Zh_means": "-4*x"}),
            Step("half", "1 - 2*x*Zh >= 0", cancel=("above_one", "means")),
            Step(
                "XV_half",
                "1 - 2*X*V >= 0",
                terms=(times("half"), times("x_positive", "Z_half", coef="2")),
                equal={"XV": "-2"},
            ),
            Step(
                "key",
                "L**2*m - xb*(L-alpha)*La*Wa > 0",
                split="1 - eta*L",
                nonnegative=_outside("near", (times("L_positive", "left_end"), times("order.1", "key_case"))),
                negative=(
                    Step(
                        "inner",
                        "L**2*m - xb*(L-alpha)*La*Wa > 0",
                        split="eta*alpha - 1",
                        nonnegative=_outside(
                            "beyond",
                            (
                                times("order.2", "m_positive"),
                                times("order.1", "right_end"),
                                times("L_positive", "inner_case"),
                            ),
                        ),
                        negative=_BETWEEN,
                    ),
                ),
            ),
            Step(
                "core_scaled",
                "m*xa*(L**3*D - clear*Na) > 0",
                terms=(times("L_positive", "D_positive", "xa_positive", "key"), times("clear_positive", "star")),
                equal={"x_split": "L*D*(L-alpha)*La*Wa"},
            ),
            Step("m_xa", "m*xa > 0", terms=(times("m_positive", "xa_positive"),)),
            Step("core", "L**3*D - clear*Na > 0", cancel=("m_xa", "core_scaled")),
            Step(
                "top",
                "2*L**3*D + 2*N*clear > 0",
                terms=(times("core", coef="2"), times("clear_positive", "abs_down", coef="2")),
            ),
            Step(
                "bottom",
                "2*L**3*D - 2*N*clear > 0",
                terms=(times("core", coef="2"), times("clear_positive", "abs_up", coef="2")),
            ),
            *divided(strict=True),
        ),
    ),
    mutations=(
        Mutation(
            "constant 19/10",
            {"definitions": {"bound": "19*L**3/(10*x*alpha*(L-alpha))"}},
            {
                "L": "1",
                "alpha": "999/1000",
                "w1": "1/2",
                "wd": "1/2",
                "w_i": [],
                "l_i": [],
                "t": "1000",
                "eta": "1996/1995",
            },
        ),
        Mutation("constant 1", {"definitions": {"bound": "L**3/(x*alpha*(L-alpha))"}}),
        Mutation("L^2 alpha instead of L^3", {"definitions": {"bound": "2*L**2*alpha/(x*alpha*(L-alpha))"}}),
        Mutation("L + alpha instead of L - alpha", {"definitions": {"bound": "2*L**3/(x*alpha*(L+alpha))"}}),
    ),
    notes=(
        "For fixed t the supremum of the ratio is smaller: 1.2780 at t = 2, 1.7542 at t = 10, 1.9621 at t = "
        "100 (numerical)."
    ),
)

CONSTANT_BELOW_TWO = Claim(
    id="step_size/theorem4/bound_nineteen_tenths",
    title="|G'| <= 1.9 L^3/(x alpha (L - alpha))",
    source="derived here",
    statement=(
        "With 19/10 in place of 2 the bound fails: nearly equal eigenvalues, equal weights, long horizon, "
        "eta near eta_c."
    ),
    kind="upper",
    scope=ANY_STEP,
    expected=Status.FALSIFIED,
    formal=bounded("19*L**3/(10*x*alpha*(L-alpha))"),
    witness={**setting.WITNESS, "eta": "1"},
    counterexample={
        "L": "1",
        "alpha": "999/1000",
        "w1": "1/2",
        "wd": "1/2",
        "w_i": [],
        "l_i": [],
        "t": "1000",
        "eta": "1996/1995",
    },
    notes="Shows that 2 cannot be lowered to 1.9 uniformly in t.",
)

SHORT_HORIZON = Claim(
    id="step_size/theorem4/bound_short_horizon",
    title="At t = 2 the constant 4/3 is enough (two eigenvalues, equal weights)",
    source="derived here",
    statement=(
        "For L = 1, eigenvalues 1 and alpha, equal weights, t = 2: |G'(eta)| <= (4/3)/(x alpha (1 - alpha)), x = 1/2.\n"
        "Stated without division: |N| alpha (1 - alpha) <= 4/3 D with G' = -2 N/D. The supremum is 1.2780 (numerical)."
    ),
    kind="upper",
    scope="L = 1, d = 2, w1 = wd = 1/2, t = 2, alpha in [1/16, 15/16], eta in [0, 4]",
    expected=Status.CERTIFIED,
    formal=Statement(
        parameters=(
            Parameter("alpha", low="1/16", high="15/16", landmarks=("1/2",), meaning="smaller eigenvalue"),
            Parameter("eta", low="0", high="4", landmarks=("1", "2", "2/(1+alpha)", "1/alpha"), meaning="step size"),
            setting.STEPS,
        ),
        hypotheses={"range": "1/16 <= alpha <= 15/16", "steps": "0 <= eta <= 4", "two": "t == 2"},
        definitions={
            "N": "((1-eta)**(2*t-1) + alpha**2*(1-eta*alpha)**(2*t-1))/2",
            "D": "((1-eta)**(2*t) + alpha*(1-eta*alpha)**(2*t))/2",
            "K": "4/3",
        },
        conclusion="-K*D <= alpha*(1-alpha)*N <= K*D",
    ),
    witness={"alpha": "1/2", "eta": "1", "t": "2"},
    box=Box(ranges={"alpha": ("1/16", "15/16"), "eta": ("0", "4")}, fixed={"t": "2"}),
    mutations=(
        Mutation("constant 1", {"definitions": {"K": "1"}}),
        Mutation("horizon 10", {"hypotheses": {"two": "t == 10"}}, {"alpha": "7/8", "eta": "69/64", "t": "10"}),
        Mutation("factor 1 - alpha dropped", {"conclusion": "-K*D <= alpha*N <= K*D"}),
    ),
)

CLAIMS = [CONSTANT_TWO, CONSTANT_BELOW_TWO, SHORT_HORIZON]
