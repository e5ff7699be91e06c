r"""Theorem 4, sharper forms of the bound on |G'|: B2, B3, the log-step form and the local form.

All start from Hölder's inequality for the sum N over the indices of one sign, see l2o_theory/quadratic/lemmas.py.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4 (the order). Everything here: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import lemmas, setting
from l2o_theory.quadratic.lemmas import bounded, divided
from l2o_theory.quadratic.setting import total
from l2o_theory.rigor.proof import Fact, Proof, Step, times

ANY_STEP = f"{setting.SCOPE}, all real step sizes"

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
        witness=lemmas.RATIONAL_WITNESS,
        atoms=lemmas.STAR_ATOMS,
        definitions={**lemmas.SUMS, "clear": "L-alpha"},
        facts={
            **lemmas.STAR_FACTS,
            **_Y,
            "bound_means": Fact("bound*clear == 2*L*(L+alpha)*Y", "definition of the bound"),
        },
        steps=(
            *lemmas.STAR_STEPS,
            Step("clear_positive", "clear > 0", using=("order.2",)),
            *_SHORT,
            *(
                Step(
                    name,
                    f"2*L*(L+alpha)*Y*D {sign} 2*N*clear >= 0",
                    terms=(
                        times("both", "short", coef="2"),
                        times("abs_even", "ratio", coef="2"),
                        times("clear_positive", side, coef="2"),
                    ),
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
    formal=bounded("4*L*Y/(L-alpha)", "eta*logslope", Y="root(L/(x*alpha), 2*t)").altered(
        hypotheses={"legal": "eta >= 0"}
    ),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        witness=lemmas.RATIONAL_WITNESS,
        atoms=lemmas.STAR_ATOMS,
        definitions={**lemmas.SUMS, "clear": "L-alpha"},
        facts={**lemmas.STAR_FACTS, **_Y, "bound_means": Fact("bound*clear == 4*L*Y", "definition of the bound")},
        steps=(
            *lemmas.STAR_STEPS,
            Step("clear_positive", "clear > 0", using=("order.2",)),
            *_SHORT,
            Step("spread", "2*m - eta*(L-alpha) >= 0", terms=(times("left_end"), times("right_end"))),
            *(
                Step(
                    name,
                    f"4*L*Y*D {sign} 2*N*eta*clear >= 0",
                    terms=(
                        times("short", coef="4"),
                        times("abs_even", "spread", coef="2"),
                        times("legal", "clear_positive", side, coef="2"),
                    ),
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
        witness={
            "L": "1",
            "alpha": "1/4",
            "w1": "5/21",
            "wd": "16/21",
            "w_i": ["0"],
            "l_i": ["1/2"],
            "t": "1",
            "eta": "4/7",
        },
        atoms=lemmas.POWERS
        | lemmas.RATIO_ATOMS
        | {"M": f"{lemmas.LARGEST_RATIO}**(2*t)", "Na": "abs(N)", "Db": "root(D, 2*t)**(2*t-1)"},
        definitions={**lemmas.SUMS, "bound": "2*Lam"},
        facts={
            **{name: lemmas.HOELDER[name] for name in ("quotient", "abs_up", "abs_down")},
            **lemmas.EVEN,
            **lemmas.SMALLEST_WEIGHT,
            **lemmas.RATIO,
            "h_positive": Fact("h > 0", lemmas.ROOT_POSITIVE, "D > 0, the step D_positive"),
            "split": Fact("h*Db == D", setting.EXPONENTS_ADD),
            "Db_positive": Fact("Db > 0", lemmas.ROOT_POSITIVE),
            "hoelder": Fact("Na <= Lam*Db", setting.HOELDER, "exponents 2t and 2t/(2t-1)"),
        },
        steps=(
            *lemmas.LARGE_DENOMINATOR,
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
                    Step(
                        name,
                        {"-": "h*logslope <= bound", "+": "-bound <= h*logslope"}[sign],
                        cancel=("D_positive", f"{name}_scaled"),
                    ),
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


Terms = tuple[dict[str, object], ...]


def _local_steps(m: str, rest: tuple[str, ...], own: tuple[str, ...], positive: Terms) -> tuple[Step, ...]:
    """From D > 0 and m > 0 over Hölder's inequality to both links of the bound."""
    return (
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
                Step(
                    name,
                    {"-": "m*logslope <= bound", "+": "-bound <= m*logslope"}[sign],
                    cancel=("D_positive", f"{name}_scaled"),
                ),
            )
        ),
    )


def _local(side: str, hypothesis: str, m: str, weight: str, other: str, positive: Terms) -> Claim:
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
        formal=bounded("2*L*Y", "m*logslope", m=m, Y=f"root(L/({weight}), 2*t)").altered(
            hypotheses={"side": hypothesis}
        ),
        witness={**setting.WITNESS, "eta": {"left": "1", "right": "2"}[side]},
        proof=Proof(
            witness=lemmas.RATIONAL_WITNESS | {"eta": {"left": "164/137", "right": "64/37"}[side]},
            atoms=lemmas.HOELDER_ATOMS | {"ya": f"root({weight}, 2*t)"},
            definitions={**lemmas.SUMS, "m": m, "bound": "2*L*Y"},
            facts={
                **lemmas.HOELDER,
                "Y_means": Fact("Y*ya == La", setting.POWER_OF_PRODUCT),
                "ya_positive": Fact("ya > 0", lemmas.ROOT_POSITIVE),
                "end_positive": Fact(f"E_{k} > 0", setting.POWER_POSITIVE, f"{m} > 0"),
                "D_root": Fact("Da >= ya*m", setting.POWER_INCREASES, f"D >= {weight} m^(2t)"),
            },
            steps=_local_steps(m, rest, own, positive),
        ),
        mutations=(
            Mutation("half of it", {"definitions": {"bound": "L*Y"}}),
            Mutation("weight of the other end", {"definitions": {"Y": f"root(L/({other}), 2*t)"}}),
            Mutation("power 1/(4t)", {"definitions": {"Y": f"root(L/({weight}), 4*t)"}}),
        ),
    )


LOCAL_LEFT = _local(
    "left", "eta*(L+alpha) <= 2", "1-eta*alpha", "wd*alpha", "w1*L", (times("order.2"), times("order.1", "side"))
)
LOCAL_RIGHT = _local(
    "right", "eta*(L+alpha) >= 2", "eta*L-1", "w1*L", "wd*alpha", (times("order.2"), times("L_positive", "side"))
)

CLAIMS = [HOELDER_BOUND, LOG_STEP, NORM_FORM, LOCAL_LEFT, LOCAL_RIGHT]
