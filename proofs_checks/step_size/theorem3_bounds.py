r"""Theorem 3, second half: how large the meta-gradient F' is, below and above eta = 2/L.

F'(eta) = -t sum_k w_k l_k^2 r_k^(2t-1) with r_k = 1 - eta l_k. Upper bound for every real eta (triangle inequality),
lower
bounds for eta > 2/L, and the remark "exponentially small below 2/L, exponentially large above" with its corrections.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 3. The constant 1/27 and the corrected remarks: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, gradient, total
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Statement

ONE_STEP = (*setting.SPECTRUM, setting.STEP_SIZE)
BEYOND = {**setting.HYPOTHESES, "beyond": "eta*L > 2"}
ODD = {"P_": "(1-eta*l)**(2*t-1)"}
SLOPE = f"-t*{total('w*l**2*P_')}"
MOST = "t*" + total("w*l**2*abs(1-eta*l)**(2*t-1)")
GROWTH = "w1*L**2*t*M"

UPPER = Claim(
    id="step_size/theorem3/upper_bound",
    title="|F'| is at most the sum of the absolute terms",
    source=f"{setting.PAPER}, Theorem 3 (stated there for eta < 2/L)",
    statement="|F'(eta)| <= t sum_k w_k l_k^2 |1 - eta l_k|^(2t-1), for every real eta.",
    kind="upper",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=Statement(
        parameters=ONE_STEP,
        hypotheses=setting.HYPOTHESES,
        definitions={"slope": gradient(), "most": MOST},
        conclusion="-most <= slope <= most",
    ),
    witness={**setting.WITNESS, "eta": "3"},
    proof=Proof(
        atoms=everywhere(ODD | {"A_": "abs(1-eta*l)**(2*t-1)"}),
        definitions={"slope": SLOPE, "most": f"t*{total('w*l**2*A_')}"},
        facts={f"up_{k}": Fact(f"P_{k} <= A_{k}", setting.ABSOLUTE_POWER) for k in "1di"}
        | {f"down_{k}": Fact(f"-A_{k} <= P_{k}", setting.ABSOLUTE_POWER) for k in "1di"},
        steps=(
            *setting.POSITIVE,
            Step("up", "w_i*l_i**2*(A_i - P_i) >= 0", terms=(times("weight", "up_i", square="l_i"),)),
            Step("down", "w_i*l_i**2*(A_i + P_i) >= 0", terms=(times("weight", "down_i", square="l_i"),)),
            Step("up_sum", "sum(w_i*l_i**2*A_i) - sum(w_i*l_i**2*P_i) >= 0", sum_of="up"),
            Step("down_sum", "sum(w_i*l_i**2*A_i) + sum(w_i*l_i**2*P_i) >= 0", sum_of="down"),
            *(
                Step(
                    name,
                    goal,
                    terms=(
                        times("t_positive", "first", f"{side}_1", square="L"),
                        times("t_positive", "last", f"{side}_d", square="alpha"),
                        times("t_positive", f"{side}_sum"),
                    ),
                )
                for name, goal, side in (("at_least", "-most <= slope", "up"), ("at_most", "slope <= most", "down"))
            ),
        ),
    ),
    mutations=(
        Mutation("1 percent smaller", {"definitions": {"most": f"(99/100)*{MOST}"}}),
        Mutation("strict", {"conclusion": "-most < slope < most"}),
        Mutation("factor t dropped", {"definitions": {"most": MOST.removeprefix("t*")}}),
    ),
    notes="Equality if and only if all 1 - eta l_k have one sign, for instance for eta <= 1/L.",
)

_BEYOND_FACTS = {
    "grows": Fact("P_1 == -M", "odd powers are odd"),
    "capped_d": Fact("P_d <= 1", setting.ODD_INCREASES, "eta alpha > 0"),
    "capped_i": Fact("P_i <= 1", setting.ODD_INCREASES, "eta l_i > 0"),
}
_BEYOND_ATOMS = everywhere(ODD)
LOWER = Claim(
    id="step_size/theorem3/lower_bound",
    title="Beyond 2/L the meta-gradient grows exponentially, up to a constant",
    source=f"{setting.PAPER}, Theorem 3",
    statement=(
        "For eta > 2/L: F'(eta) >= w1 L^2 t (eta L - 1)^(2t-1) - L^2 t, hence the same for |F'|. "
        "The bound says nothing while its right side is negative."
    ),
    kind="lower",
    scope=f"{setting.SCOPE}, all eta > 2/L; needs |w_0| <= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=ONE_STEP,
        hypotheses=BEYOND,
        definitions={"M": "(eta*L-1)**(2*t-1)", "slope": gradient(), "least": f"{GROWTH} - L**2*t"},
        conclusion="slope >= least",
    ),
    witness={**setting.WITNESS, "eta": "3"},
    proof=Proof(
        atoms=_BEYOND_ATOMS,
        definitions={"slope": SLOPE, "least": "w1*L**2*t*M - L**2*t"},
        facts=_BEYOND_FACTS,
        steps=(
            *setting.POSITIVE,
            Step(
                "term",
                "w_i*L**2 - w_i*l_i**2*P_i >= 0",
                terms=(
                    times("weight", "capped_i", square="l_i"),
                    times("weight", "below", "l_positive", coef="2"),
                    times("weight", "below", "below"),
                ),
            ),
            Step("rest", "sum(w_i)*L**2 - sum(w_i*l_i**2*P_i) >= 0", sum_of="term"),
            Step(
                "enough",
                "slope >= least",
                terms=(
                    times("t_positive", "rest"),
                    times("t_positive", "last", "capped_d", square="alpha"),
                    times("t_positive", "last", "order.2", "order.1", coef="2"),
                    times("t_positive", "last", "order.2", "order.2"),
                    times("t_positive", "first", square="L"),
                ),
                equal={"grows": "-w1*L**2*t", "unit": "-L**2*t"},
            ),
        ),
    ),
    mutations=(
        Mutation("subtract L^2 t/100 only", {"definitions": {"least": f"{GROWTH} - L**2*t/100"}}),
        Mutation("weight of the growing term dropped", {"definitions": {"least": "L**2*t*M - L**2*t"}}),
        Mutation("one power more", {"definitions": {"M": "(eta*L-1)**(2*t)"}}),
    ),
)


def _term_at_most_one_27th(index: str, eigenvalue: str) -> tuple[Step, ...]:
    """t l^2 P <= L^2/27: trivial if P <= 0, else by the facts "means" and "bernoulli", divided by (2t+1)^2."""
    goal = f"L**2/27 - t*{eigenvalue}**2*P_{index} >= 0"
    case = f"term_{index}_case"
    return (
        Step(
            f"term_{index}",
            goal,
            split=f"-{eigenvalue}**2*P_{index}",
            nonnegative=(
                Step(f"trivial_{index}", goal, terms=(times("t_positive", case), times(coef="1/27", square="L"))),
            ),
            negative=(
                Step(
                    f"cap_{index}",
                    f"L**2 - 3*{eigenvalue}**2*P_{index}*(2*t+1)**2 >= 0",
                    terms=(
                        times(f"means_{index}", coef="3/4", square="L"),
                        times("bernoulli", square="L"),
                        times("far", case, coef="3/4", square="2*t+1"),
                    ),
                ),
                Step(
                    f"wide_{index}",
                    f"(2*t+1)**2*(L**2/27 - t*{eigenvalue}**2*P_{index}) >= 0",
                    terms=(
                        times("t_positive", f"cap_{index}", coef="1/3"),
                        times("steps", "steps", coef="4/27", square="L"),
                        times("steps", coef="1/9", square="L"),
                    ),
                ),
                Step(f"done_{index}", goal, cancel=("width", f"wide_{index}")),
            ),
        ),
    )


SHARPER = Claim(
    id="step_size/theorem3/lower_bound_sharper",
    title="Beyond 2/L: the loss in the lower bound is at most (1 - w1) L^2/27",
    source="derived here",
    statement=(
        "For eta > 2/L: F'(eta) >= w1 L^2 t (eta L - 1)^(2t-1) - (1 - w1) L^2/27, hence the same for |F'|.\n"
        "One term: t l^2 (1 - eta l)^(2t-1) <= L^2/27, by the inequality of the means and of Bernoulli."
    ),
    kind="lower",
    scope=f"{setting.SCOPE}, all eta > 2/L",
    expected=Status.PROVED,
    formal=LOWER.formal.altered(
        definitions={"least": f"{GROWTH} - (1-w1)*L**2/27"},
    ),
    witness={**setting.WITNESS, "eta": "3"},
    proof=Proof(
        atoms=_BEYOND_ATOMS | {"K": "((2*t-1)/(2*t+1))**(2*t-1)"},
        definitions={"slope": SLOPE, "least": "w1*L**2*t*M - (1-w1)*L**2/27"},
        facts={
            "grows": _BEYOND_FACTS["grows"],
            **{
                f"means_{k}": Fact(
                    f"eta**2*{eigenvalue}**2*P_{k}*(2*t+1)**2 <= 4*K",
                    "inequality of arithmetic and geometric means",
                    "2 factors eta l/2 and 2t-1 factors (1 - eta l)/(2t-1) sum to 1; trivial if 1 - eta l <= 0",
                )
                for k, eigenvalue in (("d", "alpha"), ("i", "l_i"))
            },
            "bernoulli": Fact("3*K <= 1", "Bernoulli's inequality", "(1 + 2/n)^n >= 3, n = 2t-1"),
        },
        steps=(
            *setting.POSITIVE,
            Step("far", "eta**2*L**2 - 4 > 0", terms=(times("beyond", "beyond"), times("beyond", coef="4"))),
            Step("width", "(2*t+1)**2 > 0", using=("steps",)),
            *_term_at_most_one_27th("d", "alpha"),
            *_term_at_most_one_27th("i", "l_i"),
            Step("scaled", "w_i*L**2/27 - t*w_i*l_i**2*P_i >= 0", terms=(times("weight", "term_i"),)),
            Step("rest", "sum(w_i)*L**2/27 - t*sum(w_i*l_i**2*P_i) >= 0", sum_of="scaled"),
            Step(
                "enough",
                "slope >= least",
                terms=(times("rest"), times("last", "term_d")),
                equal={"grows": "-w1*L**2*t", "unit": "-L**2/27"},
            ),
        ),
    ),
    mutations=(
        Mutation(
            "1/28 instead of 1/27",
            {"definitions": {"least": f"{GROWTH} - (1-w1)*L**2/28"}},
            {
                "L": "1",
                "alpha": "5/16",
                "w1": "1/1000000",
                "wd": "999999/1000000",
                "w_i": [],
                "l_i": [],
                "t": "1",
                "eta": "129/64",
            },
        ),
        Mutation("nothing subtracted", {"definitions": {"least": GROWTH}}),
        Mutation("no lower limit on eta", {"hypotheses": {"beyond": "eta*L > 1"}}),
    ),
)

LARGEST_RATIO = "max(abs(1-eta*alpha), abs(1-eta*L))"
RATE = {"slope": gradient(), "C2": total("w*l**2"), "m": LARGEST_RATIO, "most": "t*C2*m**(2*t-1)"}

SMALL_BELOW = Claim(
    id="step_size/theorem3/remark_small_below",
    title="As written: the meta-gradient is exponentially small for every eta < 2/L",
    source=f"{setting.PAPER}, remark after Theorem 3",
    statement=(
        "For every eta < 2/L: |F'(eta)| <= t C2 m^(2t-1) with m = max_k |1 - eta l_k| < 1. False: at eta "
        "= 0, m = 1 and "
        "|F'(0)| = t C2 grows with t; for eta < 0 it grows exponentially."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, all eta < 2/L",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=ONE_STEP,
        hypotheses={**setting.HYPOTHESES, "under": "eta*L < 2"},
        definitions=RATE,
        conclusion="-most <= slope <= most and m < 1",
    ),
    witness={**setting.WITNESS, "eta": "1"},
    counterexample={"L": "1", "alpha": "1/2", "w1": "1/2", "wd": "1/2", "w_i": [], "l_i": [], "t": "1", "eta": "0"},
)

_RATIO_FACTS = {
    f"{side}_{k}": Fact(text, setting.ABSOLUTE_POWER, "|1 - eta l| <= m, since l lies in [alpha, L]")
    for k in "1di"
    for side, text in (("up", f"P_{k} <= Mo"), ("down", f"-Mo <= P_{k}"))
}
SMALL_BETWEEN = Claim(
    id="step_size/theorem3/remark_small_between",
    title="Corrected: the meta-gradient is exponentially small for 0 < eta < 2/L",
    source="derived here",
    statement=(
        "For 0 < eta < 2/L: m = max_k |1 - eta l_k| < 1 and |F'(eta)| <= t C2 m^(2t-1), C2 = sum_k w_k l_k^2. "
        "The rate m tends to 1 at both ends."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, all 0 < eta < 2/L",
    expected=Status.PROVED,
    corrects="step_size/theorem3/remark_small_below",
    formal=SMALL_BELOW.formal.altered(hypotheses={"under": "0 < eta*L < 2"}),
    witness={**setting.WITNESS, "eta": "1"},
    proof=Proof(
        atoms=everywhere(ODD) | {"Mo": "m**(2*t-1)", "m": "m"},
        definitions={"slope": SLOPE, "C2": total("w*l**2"), "most": "t*C2*Mo"},
        facts=_RATIO_FACTS
        | {
            "largest": Fact(
                "(m - (1-eta*alpha))*(m - (eta*L-1)) == 0",
                "definition of m",
                "for eta >= 0 it is the larger of 1 - eta alpha and eta L - 1",
            ),
        },
        steps=(
            *setting.POSITIVE,
            Step("up", "w_i*l_i**2*(Mo - P_i) >= 0", terms=(times("weight", "up_i", square="l_i"),)),
            Step("down", "w_i*l_i**2*(Mo + P_i) >= 0", terms=(times("weight", "down_i", square="l_i"),)),
            Step("up_sum", "sum(w_i*l_i**2)*Mo - sum(w_i*l_i**2*P_i) >= 0", sum_of="up"),
            Step("down_sum", "sum(w_i*l_i**2)*Mo + sum(w_i*l_i**2*P_i) >= 0", sum_of="down"),
            *(
                Step(
                    name,
                    goal,
                    terms=(
                        times("t_positive", "first", f"{side}_1", square="L"),
                        times("t_positive", "last", f"{side}_d", square="alpha"),
                        times("t_positive", f"{side}_sum"),
                    ),
                )
                for name, goal, side in (("at_least", "-most <= slope", "up"), ("at_most", "slope <= most", "down"))
            ),
            Step("eta_times_L", "L*eta > 0", using=("under.1",)),
            Step("eta_positive", "eta > 0", cancel=("L_positive", "eta_times_L")),
            Step("slow_end", "1 - (1-eta*alpha) > 0", terms=(times("eta_positive", "order.1"),)),
            Step("fast_end", "1 - (eta*L-1) > 0", using=("under.2",)),
            Step(
                "rate",
                "m < 1",
                split="m - 1",
                nonnegative=(
                    Step("apart", "m - (1-eta*alpha) > 0", using=("rate_case", "slow_end"), degree=1),
                    Step("product", "(m - (1-eta*alpha))*(m - (eta*L-1)) == 0", equal={"largest": "1"}),
                    Step("is_fast", "m - (eta*L-1) == 0", cancel=("apart", "product")),
                    Step("absurd", "m < 1", terms=(times("fast_end"),), equal={"is_fast": "-1"}),
                ),
                negative=(Step("plain", "m < 1", using=("rate_case",)),),
            ),
        ),
    ),
    mutations=(
        Mutation("also at eta = 0", {"hypotheses": {"under": "0 <= eta*L < 2"}}),
        Mutation("also at eta = 2/L", {"hypotheses": {"under": "0 < eta*L <= 2"}}),
        Mutation("power 2t", {"definitions": {"most": "t*C2*m**(2*t)"}}),
        Mutation("factor t dropped", {"definitions": {"most": "C2*m**(2*t-1)"}}),
    ),
)

LARGE_ABOVE = Claim(
    id="step_size/theorem3/remark_large_above",
    title="As written: the meta-gradient is exponentially large for every eta > 2/L",
    source=f"{setting.PAPER}, remark after Theorem 3",
    statement=(
        "For every eta > 2/L: F'(eta) >= w1 L^2 t (eta L - 1)^(2t-1). False: if w1 is tiny, the minimiser "
        "itself lies beyond "
        "2/L, where F' = 0, and F' < 0 between 2/L and the minimiser."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, all eta > 2/L",
    expected=Status.FALSIFIED,
    formal=LOWER.formal.altered(definitions={"least": GROWTH}, conclusion="slope >= least and slope > 0"),
    witness={**setting.WITNESS, "w1": "1/2", "wd": "1/2", "w_i": [], "l_i": [], "eta": "6"},
    counterexample={
        "L": "1",
        "alpha": "1/10",
        "w1": "1/1000",
        "wd": "999/1000",
        "w_i": [],
        "l_i": [],
        "t": "1",
        "eta": "3",
    },
)

LARGE_BEYOND = Claim(
    id="step_size/theorem3/remark_large_beyond",
    title="Corrected: exponentially large once 27 t w1 (eta L - 1)^(2t-1) >= 2 (1 - w1)",
    source="derived here",
    statement=(
        "For eta > 2/L with 27 t w1 (eta L - 1)^(2t-1) >= 2 (1 - w1): F'(eta) >= 1/2 w1 L^2 t (eta L - 1)^(2t-1) > 0."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, all eta > 2/L with 27 t w1 (eta L - 1)^(2t-1) >= 2 (1 - w1)",
    expected=Status.PROVED,
    corrects="step_size/theorem3/remark_large_above",
    formal=LOWER.formal.altered(
        definitions={"least": "w1*L**2*t*M/2"},
        hypotheses={"strong": "27*t*w1*M >= 2*(1-w1)"},
        conclusion="slope >= least and slope > 0",
    ),
    witness={**setting.WITNESS, "eta": "3"},
    proof=Proof(
        atoms=SHARPER.proof.atoms,
        definitions={"slope": SLOPE, "least": "w1*L**2*t*M/2"},
        facts={**SHARPER.proof.facts, "M_positive": Fact("M > 0", setting.POWER_POSITIVE, "eta L > 2")},
        steps=(
            *SHARPER.proof.steps[:-1],
            Step(
                "enough",
                "slope >= least",
                terms=(times("rest"), times("last", "term_d"), times("strong", coef="1/54", square="L")),
                equal={"grows": "-w1*L**2*t", "unit": "-L**2/27"},
            ),
            Step(
                "grown",
                "least > 0",
                terms=(times("first", "L_positive", "L_positive", "t_positive", "M_positive", coef="1/2"),),
            ),
            Step("positive", "slope > 0", using=("enough", "grown"), degree=1),
        ),
    ),
    mutations=(
        Mutation("three quarters instead of one half", {"definitions": {"least": "3*w1*L**2*t*M/4"}}),
        Mutation("condition dropped", {"hypotheses": {"strong": None}}),
        Mutation("condition ten times weaker", {"hypotheses": {"strong": "270*t*w1*M >= 2*(1-w1)"}}),
    ),
)

CLAIMS = [UPPER, LOWER, SHARPER, SMALL_BELOW, SMALL_BETWEEN, LARGE_ABOVE, LARGE_BEYOND]
