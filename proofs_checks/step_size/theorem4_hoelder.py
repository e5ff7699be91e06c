r"""Theorem 4, sharper bounds on |G'| by Hölder's inequality: K = 2, the forms B2 and B3, the local and the log-step form.

With a = 1/(2t), N_S the sum over the indices of one sign and W their weight, Hölder with exponents 2t and 2t/(2t-1) gives
|N| <= L^(1+a) W^a D^(1-a); and D >= x alpha m^(2t) gives D^a >= (x alpha)^a m. All proofs below start from these two.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4 (the order). Everything here: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, total
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Statement

N, D = total("w*l**2*(1-eta*l)**(2*t-1)"), total("w*l*(1-eta*l)**(2*t)")
LARGEST_RATIO = "max(abs(1-eta*alpha), abs(1-eta*L))"
ANY_STEP = f"{setting.SCOPE}, all real step sizes"


def bounded(bound: str, quantity: str = "logslope", strict: bool = False, **definitions: str) -> Statement:
    """-bound <= quantity <= bound in the setting, with further definitions before the bound."""
    less = "<" if strict else "<="
    return Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE),
        hypotheses=setting.HYPOTHESES,
        definitions={"N": N, "D": D, "logslope": "-2*N/D", "x": "min(w1, wd)", **definitions, "bound": bound},
        conclusion=f"-bound {less} {quantity} {less} bound",
    )


# The atoms; names as in the docstring, Db = D^(1-a), Da = D^a, La = L^a, xa = (x alpha)^a, Wa = W^a.
ONE_SIGN = f"max({total('w*positive(1-eta*l)')}, {total('w*positive(eta*l-1)')})"
ATOMS = everywhere({"P_": "(1-eta*l)**(2*t-1)", "E_": "(1-eta*l)**(2*t)"}) | {
    "Na": "abs(N)",
    "Da": "root(D, 2*t)",
    "Db": "root(D, 2*t)**(2*t-1)",
    "La": "root(L, 2*t)",
    "Wa": f"root({ONE_SIGN}, 2*t)",
}
SUMS = {"N": total("w*l**2*P_"), "D": total("w*l*E_")}
WITH_RATIO = {"m": LARGEST_RATIO, "M": f"{LARGEST_RATIO}**(2*t)", "xa": "root(x*alpha, 2*t)"}
ROOT_POSITIVE = "roots of positive numbers are positive"
HOELDER = {
    "quotient": Fact("logslope*D == -2*N", "definition of G'"),
    "abs_up": Fact("N <= Na", "definition of |N|"),
    "abs_down": Fact("-N <= Na", "definition of |N|"),
    "abs_even": Fact("Na >= 0", "definition of |N|"),
    "hoelder": Fact("Na <= L*La*Db*Wa", setting.HOELDER, "exponents 2t and 2t/(2t-1); indices of one sign; l <= L"),
    "D_split": Fact("Da*Db == D", setting.EXPONENTS_ADD),
    "Db_positive": Fact("Db > 0", ROOT_POSITIVE),
    "La_positive": Fact("La > 0", ROOT_POSITIVE),
    "Wa_even": Fact("Wa >= 0", ROOT_POSITIVE),
    "Wa_one": Fact("Wa <= 1", setting.POWER_INCREASES, "the weights of one sign sum to at most 1"),
    **{f"E_{k}_even": Fact(f"E_{k} >= 0", setting.EVEN_NONNEGATIVE) for k in "1di"},
}
RATIO = {
    "x_positive": Fact("x > 0", "definition of x"),
    "x_first": Fact("x <= w1", "definition of x"),
    "x_last": Fact("x <= wd", "definition of x"),
    "left_end": Fact("m >= 1 - eta*alpha", "definition of m"),
    "right_end": Fact("m >= eta*L - 1", "definition of m"),
    "M_positive": Fact("M > 0", setting.POWER_POSITIVE, "m >= (L - alpha)/(L + alpha) > 0"),
    "one_end": Fact("E_1 + E_d >= M", "definition of M", "one of the two is m^(2t), the other is >= 0"),
    "xa_positive": Fact("xa > 0", ROOT_POSITIVE),
    "D_root": Fact("Da >= xa*m", setting.POWER_INCREASES, "D >= x alpha m^(2t)"),
}
RATIO_STEPS = (
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
    Step("floor", "x*alpha*M > 0", terms=(times("x_positive", "order.1", "M_positive"),)),
    Step("D_positive", "D > 0", terms=(times("D_large"), times("floor"))),
    Step("both", "L + alpha > 0", terms=(times("L_positive"), times("order.1"))),
    Step("ratio", "(L+alpha)*m - (L-alpha) >= 0", terms=(times("L_positive", "left_end"), times("order.1", "right_end"))),
    Step("ratio_scaled", "(L+alpha)*m > 0", terms=(times("ratio"), times("order.2"))),
    Step("m_positive", "m > 0", cancel=("both", "ratio_scaled")),
    Step(
        "star",
        "L*La*Wa*D - m*xa*Na >= 0",
        terms=(
            times("L_positive", "La_positive", "Wa_even", "Db_positive", "D_root"),
            times("m_positive", "xa_positive", "hoelder"),
        ),
        equal={"D_split": "-L*La*Wa"},
    ),
)


def divided(quantity: str = "logslope", factor: str = "1", sign: str = ">=") -> tuple[Step, ...]:
    """From `top`, `bottom` (scale D -+ clear 2 N factor, where bound clear = scale) to the two links of the conclusion."""
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


CONSTANT_TWO_WITNESS = {  # every root is rational here: t = 1, squares everywhere
    "L": "1", "alpha": "1/4", "w1": "16/25", "wd": "9/25", "w_i": ["0"], "l_i": ["1/2"], "t": "1", "eta": "164/137",
}
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
    title="|G'| < 2 L^3/(x alpha (L - alpha)), the best constant uniform in t",
    source=f"{setting.PAPER}, Theorem 4 (order); the constant 2 is derived here",
    statement="|G'(eta)| < 2 L^3/(x alpha (L - alpha)), x = min(w1, wd), for every real eta, every t and d.",
    kind="tight",
    scope=ANY_STEP,
    expected=Status.PROVED,
    formal=bounded("2*L**3/(x*alpha*(L-alpha))", strict=True),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        witness=CONSTANT_TWO_WITNESS,
        atoms=ATOMS
        | WITH_RATIO
        | {
            "xb": "root(x*alpha, 2*t)**(2*t-1)",
            "X": "root(x, 2*t)**(2*t-1)",
            "V": "root(1-x, 2*t)",
            "Al": "root(alpha, 2*t)**(2*t-1)",
            "Z": "root((1-x)/x, 2*t)",
            "Zh": "root((1-x)/x, 2)",
            "c": "positive(eta*L-1)*positive(1-eta*alpha)",
        },
        definitions={**SUMS, "clear": "x*alpha*(L-alpha)"},
        facts={
            **HOELDER,
            **RATIO,
            "x_split": Fact("xb*xa == x*alpha", setting.EXPONENTS_ADD),
            "xb_means": Fact("xb == X*Al", setting.POWER_OF_PRODUCT),
            "X_positive": Fact("X > 0", ROOT_POSITIVE),
            "X_one": Fact("X <= 1", setting.POWER_INCREASES, "x <= 1"),
            "Al_positive": Fact("Al > 0", ROOT_POSITIVE),
            "AlLa": Fact("Al*La < L", setting.POWER_INCREASES, "alpha^(1-a) L^a < L, since alpha < L and 1 - a > 0"),
            "on": Fact("(c-1)*((eta*L-1)*(1-eta*alpha)) >= 0", "definition of c, the indicator of 1/L < eta < 1/alpha"),
            "share": Fact(
                "c*(V - Wa) >= 0",
                setting.POWER_INCREASES,
                "for 1/L < eta < 1/alpha indices 1 and d have different signs, so W <= 1 - x",
            ),
            "XV": Fact("X*V == x*Z", setting.EXPONENTS_ADD, "x^(1-a) (1-x)^a = x ((1-x)/x)^a"),
            "Z_half": Fact("Z <= Zh", "z^a <= z^(1/2) for z >= 1 and a <= 1/2", "x <= 1/2"),
            "Zh_positive": Fact("Zh > 0", ROOT_POSITIVE),
            "Zh_means": Fact("Zh**2*x == 1 - x", "definition of Zh"),
            "bound_means": Fact("bound*clear == 2*L**3", "definition of the bound"),
        },
        steps=(
            *RATIO_STEPS,
            Step("clear_positive", "clear > 0", terms=(times("x_positive", "order.1", "order.2"),)),
            Step("above_one", "1 + 2*x*Zh > 0", terms=(times(), times("x_positive", "Zh_positive", coef="2"))),
            Step("means", "(1 + 2*x*Zh)*(1 - 2*x*Zh) >= 0", terms=(times(square="1-2*x"),), equal={"Zh_means": "-4*x"}),
            Step("half", "1 - 2*x*Zh >= 0", cancel=("above_one", "means")),
            Step("XV_half", "1 - 2*X*V >= 0", terms=(times("half"), times("x_positive", "Z_half", coef="2")), equal={"XV": "-2"}),
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
                            (times("order.2", "m_positive"), times("order.1", "right_end"), times("L_positive", "inner_case")),
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
            Step("top", "2*L**3*D + 2*N*clear > 0", terms=(times("core", coef="2"), times("clear_positive", "abs_down", coef="2"))),
            Step("bottom", "2*L**3*D - 2*N*clear > 0", terms=(times("core", coef="2"), times("clear_positive", "abs_up", coef="2"))),
            *divided(sign=">"),
        ),
    ),
    mutations=(
        Mutation("constant 19/10", {"definitions": {"bound": "19*L**3/(10*x*alpha*(L-alpha))"}},
                 {"L": "1", "alpha": "999/1000", "w1": "1/2", "wd": "1/2", "w_i": [], "l_i": [], "t": "1000", "eta": "1996/1995"}),
        Mutation("constant 1", {"definitions": {"bound": "L**3/(x*alpha*(L-alpha))"}}),
        Mutation("L^2 alpha instead of L^3", {"definitions": {"bound": "2*L**2*alpha/(x*alpha*(L-alpha))"}}),
        Mutation("L + alpha instead of L - alpha", {"definitions": {"bound": "2*L**3/(x*alpha*(L+alpha))"}}),
    ),
    notes="For fixed t the supremum of the ratio is smaller: 1.2780 at t = 2, 1.7542 at t = 10, 1.9621 at t = 100 (numerical).",
)

CONSTANT_BELOW_TWO = Claim(
    id="step_size/theorem4/bound_nineteen_tenths",
    title="|G'| <= 1.9 L^3/(x alpha (L - alpha)) is false",
    source="derived here",
    statement="With 19/10 in place of 2 the bound fails: nearly equal eigenvalues, equal weights, long horizon, eta near eta_c.",
    kind="upper",
    scope=ANY_STEP,
    expected=Status.FALSIFIED,
    formal=bounded("19*L**3/(10*x*alpha*(L-alpha))"),
    witness={**setting.WITNESS, "eta": "1"},
    counterexample={"L": "1", "alpha": "999/1000", "w1": "1/2", "wd": "1/2", "w_i": [], "l_i": [], "t": "1000", "eta": "1996/1995"},
    corrects="step_size/theorem4/bound_two",
    notes="Shows that 2 cannot be lowered to 1.9 uniformly in t.",
)

_SHORT = (  # star with W <= 1 and the quotient Y = La/xa
    Step(
        "short_scaled",
        "xa*(L*Y*D - m*Na) >= 0",
        terms=(times("star"), times("L_positive", "La_positive", "D_positive", "Wa_one")),
        equal={"Y_means": "L*D"},
    ),
    Step("short", "L*Y*D - m*Na >= 0", cancel=("xa_positive", "short_scaled")),
)
_Y = {"Y_means": Fact("Y*xa == La", setting.POWER_OF_PRODUCT, "Y = (L/(x alpha))^(1/(2t))")}
HOELDER_BOUND = Claim(
    id="step_size/theorem4/bound_hoelder",
    title="B2: 2 L (L + alpha)/(L - alpha) (L/(x alpha))^(1/(2t))",
    source="derived here",
    statement=(
        "|G'(eta)| <= 2 L (L + alpha)/(L - alpha) (L/(x alpha))^(1/(2t)) for every real eta: the dependence on the "
        "weights disappears as t grows."
    ),
    kind="upper",
    scope=ANY_STEP,
    expected=Status.PROVED,
    formal=bounded("2*L*(L+alpha)/(L-alpha)*Y", Y="root(L/(x*alpha), 2*t)"),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        witness=CONSTANT_TWO_WITNESS,
        atoms=ATOMS | WITH_RATIO,
        definitions={**SUMS, "clear": "L-alpha"},
        facts={**HOELDER, **RATIO, **_Y,
               "bound_means": Fact("bound*clear == 2*L*(L+alpha)*Y", "definition of the bound")},
        steps=(
            *RATIO_STEPS,
            Step("clear_positive", "clear > 0", using=("order.2",)),
            *_SHORT,
            *(
                Step(
                    name,
                    f"2*L*(L+alpha)*Y*D {sign} 2*N*clear >= 0",
                    terms=(times("both", "short", coef="2"), times("abs_even", "ratio", coef="2"), times("clear_positive", side, coef="2")),
                )
                for name, sign, side in (("top", "+", "abs_down"), ("bottom", "-", "abs_up"))
            ),
            *divided(),
        ),
    ),
    mutations=(
        Mutation("half of it", {"definitions": {"bound": "L*(L+alpha)/(L-alpha)*Y"}}),
        Mutation("power 1/(4t)", {"definitions": {"Y": "root(L/(x*alpha), 4*t)"}}),
        Mutation("L + alpha dropped", {"definitions": {"bound": "2*L**2/(L-alpha)*Y/2"}}),
    ),
)

LOG_STEP = Claim(
    id="step_size/theorem4/bound_log_step",
    title="Log-step form: |dG/d(log eta)| <= 4 L/(L - alpha) (L/(x alpha))^(1/(2t))",
    source="derived here",
    statement="|eta G'(eta)| <= 4 L/(L - alpha) (L/(x alpha))^(1/(2t)) for every eta >= 0; both sides have no unit.",
    kind="upper",
    scope=f"{setting.SCOPE}, all eta >= 0",
    expected=Status.PROVED,
    formal=bounded("4*L*Y/(L-alpha)", "eta*logslope", Y="root(L/(x*alpha), 2*t)").altered(hypotheses={"legal": "eta >= 0"}),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        witness=CONSTANT_TWO_WITNESS,
        atoms=ATOMS | WITH_RATIO,
        definitions={**SUMS, "clear": "L-alpha"},
        facts={**HOELDER, **RATIO, **_Y, "bound_means": Fact("bound*clear == 4*L*Y", "definition of the bound")},
        steps=(
            *RATIO_STEPS,
            Step("clear_positive", "clear > 0", using=("order.2",)),
            *_SHORT,
            Step("spread", "2*m - eta*(L-alpha) >= 0", terms=(times("left_end"), times("right_end"))),
            *(
                Step(
                    name,
                    f"4*L*Y*D {sign} 2*N*eta*clear >= 0",
                    terms=(times("short", coef="4"), times("abs_even", "spread", coef="2"), times("legal", "clear_positive", side, coef="2")),
                )
                for name, sign, side in (("top", "+", "abs_down"), ("bottom", "-", "abs_up"))
            ),
            *divided("eta*logslope", "eta"),
        ),
    ),
    mutations=(
        Mutation("a quarter of it", {"definitions": {"bound": "L*Y/(L-alpha)"}}),
        Mutation("gap dropped", {"definitions": {"bound": "Y"}}),
        Mutation("power 1/(4t)", {"definitions": {"Y": "root(L/(x*alpha), 4*t)"}}),
    ),
)

NORM_FORM = Claim(
    id="step_size/theorem4/bound_norm",
    title="B3: h |G'| <= 2 Lambda_t, from the convex h = (2F)^(1/(2t))",
    source="derived here",
    statement=(
        "h(eta) |G'(eta)| <= 2 Lambda_t with h = (2F)^(1/(2t)), Lambda_t = (sum_k w_k l_k^(2t+1))^(1/(2t)). "
        "Since h >= h(eta*), |G'| <= B3 = 2 Lambda_t/h(eta*) everywhere."
    ),
    kind="tight",
    scope=ANY_STEP,
    expected=Status.PROVED,
    formal=bounded("2*Lam", "h*logslope", h="root(D, 2*t)", Lam=f"root({total('w*l**(2*t+1)')}, 2*t)"),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        # h = 3/7 and Lambda = 1/2 are rational here
        witness={"L": "1", "alpha": "1/4", "w1": "5/21", "wd": "16/21", "w_i": ["0"], "l_i": ["1/2"], "t": "1", "eta": "4/7"},
        atoms=everywhere({"P_": "(1-eta*l)**(2*t-1)", "E_": "(1-eta*l)**(2*t)"}) | {"Na": "abs(N)", "Db": "root(D, 2*t)**(2*t-1)"},
        definitions={**SUMS, "bound": "2*Lam"},
        facts={
            **{name: HOELDER[name] for name in ("quotient", "abs_up", "abs_down", "E_1_even", "E_d_even", "E_i_even")},
            "h_positive": Fact("h > 0", ROOT_POSITIVE, "the extreme terms of D do not vanish together"),
            "split": Fact("h*Db == D", setting.EXPONENTS_ADD),
            "Db_positive": Fact("Db > 0", ROOT_POSITIVE),
            "hoelder": Fact("Na <= Lam*Db", setting.HOELDER, "exponents 2t and 2t/(2t-1)"),
        },
        steps=(
            Step("D_positive", "D > 0", terms=(times("h_positive", "Db_positive"),), equal={"split": "-1"}),
            *(
                step
                for name, sign, side in (("at_most", "-", "abs_down"), ("at_least", "+", "abs_up"))
                for step in (
                    Step(
                        f"{name}_scaled",
                        f"D*(2*Lam {sign} h*logslope) >= 0",
                        terms=(times("h_positive", "hoelder", coef="2"), times("h_positive", side, coef="2")),
                        equal={"split": "-2*Lam", "quotient": f"0{sign}h"},
                    ),
                    Step(name, {"-": "h*logslope <= bound", "+": "-bound <= h*logslope"}[sign], cancel=("D_positive", f"{name}_scaled")),
                )
            ),
        ),
    ),
    mutations=(
        Mutation("10 percent smaller", {"definitions": {"bound": "9*Lam/5"}}),
        Mutation("power 2t instead of 2t+1", {"definitions": {"Lam": f"root({total('w*l**(2*t)')}, 2*t)"}}),
        Mutation("strict at d = 2 with half", {"definitions": {"bound": "Lam"}}),
    ),
)


def _local(side: str, hypothesis: str, m: str, weight: str, end: str, other: str, positive: tuple[dict[str, object], ...]) -> Claim:
    """The local form on one side of eta_c, where the end index with the larger |r| is known."""
    k = {"w1*L": "1", "wd*alpha": "d"}[weight]
    rest = {"1": ("last", "order.1", "E_d_even"), "d": ("first", "L_positive", "E_1_even")}[k]
    own = {"1": ("first", "L_positive"), "d": ("last", "order.1")}[k]
    return Claim(
        id=f"step_size/theorem4/bound_local_{side}",
        title=f"Local form {side} of eta_c = 2/(L + alpha)",
        source="derived here",
        statement=f"For {hypothesis}: ({m}) |G'(eta)| <= 2 L (L/({weight}))^(1/(2t)).",
        kind="tight",
        scope=f"{setting.SCOPE}, {hypothesis}",
        expected=Status.PROVED,
        formal=bounded("2*L*Y", "m*logslope", m=m, Y=f"root(L/({weight}), 2*t)").altered(hypotheses={"side": hypothesis}),
        witness={**setting.WITNESS, "eta": {"left": "1", "right": "2"}[side]},
        proof=Proof(
            witness=CONSTANT_TWO_WITNESS | {"eta": {"left": "164/137", "right": "64/37"}[side]},
            atoms=ATOMS | {"ya": f"root({weight}, 2*t)"},
            definitions={**SUMS, "m": m, "bound": "2*L*Y"},
            facts={
                **HOELDER,
                "Y_means": Fact("Y*ya == La", setting.POWER_OF_PRODUCT),
                "ya_positive": Fact("ya > 0", ROOT_POSITIVE),
                "end_positive": Fact(f"E_{k} > 0", setting.POWER_POSITIVE, f"{m} > 0"),
                "D_root": Fact("Da >= ya*m", setting.POWER_INCREASES, f"D >= {weight} m^(2t)"),
            },
            steps=(
                *setting.POSITIVE,
                Step("between", "w_i*l_i*E_i >= 0", terms=(times("weight", "l_positive", "E_i_even"),)),
                Step("between_sum", "sum(w_i*l_i*E_i) >= 0", sum_of="between"),
                Step("D_positive", "D > 0", terms=(times("between_sum"), times(*rest), times(*own, "end_positive"))),
                Step("both", "L + alpha > 0", terms=(times("L_positive"), times("order.1"))),
                Step("m_scaled", "(L+alpha)*m > 0", terms=positive),
                Step("m_positive", "m > 0", cancel=("both", "m_scaled")),
                Step(
                    "short_scaled",
                    "ya*(L*Y*D - m*Na) >= 0",
                    terms=(
                        times("L_positive", "La_positive", "Db_positive", "D_root"),
                        times("m_positive", "ya_positive", "hoelder"),
                        times("m_positive", "ya_positive", "L_positive", "La_positive", "Db_positive", "Wa_one"),
                    ),
                    equal={"D_split": "-L*La", "Y_means": "L*D"},
                ),
                Step("short", "L*Y*D - m*Na >= 0", cancel=("ya_positive", "short_scaled")),
                *(
                    step
                    for name, sign, bound_side in (("at_most", "-", "abs_down"), ("at_least", "+", "abs_up"))
                    for step in (
                        Step(
                            f"{name}_scaled",
                            f"D*(2*L*Y {sign} m*logslope) >= 0",
                            terms=(times("short", coef="2"), times("m_positive", bound_side, coef="2")),
                            equal={"quotient": f"0{sign}({m})"},
                        ),
                        Step(name, {"-": "m*logslope <= bound", "+": "-bound <= m*logslope"}[sign], cancel=("D_positive", f"{name}_scaled")),
                    )
                ),
            ),
        ),
        mutations=(
            Mutation("half of it", {"definitions": {"bound": "L*Y"}}),
            Mutation("on the wrong side of eta_c", {"hypotheses": {"side": other}}),
            Mutation("power 1/(4t)", {"definitions": {"Y": f"root(L/({weight}), 4*t)"}}),
        ),
    )


LOCAL_LEFT = _local("left", "eta*(L+alpha) <= 2", "1-eta*alpha", "wd*alpha", "d", "eta*(L+alpha) >= 2",
                    (times("order.2"), times("order.1", "side")))
LOCAL_RIGHT = _local("right", "eta*(L+alpha) >= 2", "eta*L-1", "w1*L", "1", "eta*(L+alpha) <= 2",
                     (times("order.2"), times("L_positive", "side")))

CLAIMS = [CONSTANT_TWO, CONSTANT_BELOW_TWO, HOELDER_BOUND, LOG_STEP, NORM_FORM, LOCAL_LEFT, LOCAL_RIGHT]
