r"""Theorem 4, the shape of G = (1/t) log F: convex h = (2F)^(1/(2t)), and a unique minimiser.

h(eta) = (2F)^(1/(2t)) is a weighted l_2t norm of an affine function of eta, hence convex. Stated without roots: if
(2F)(eta) <= p^(2t) and (2F)(zeta) <= q^(2t), then (2F)((eta+zeta)/2) <= ((p+q)/2)^(2t); p = h(eta), q = h(zeta) is the
convexity of h. The same words hold for the pooled spectra of several tasks, that is for the logarithm of the mean loss.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 4 (unique minimiser). The convexity of h: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import at, everywhere, gradient, loss, total
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SIZES = (
    Parameter("p", low="0", landmarks=("1",), meaning="an upper bound of h(eta)"),
    Parameter("q", low="0", landmarks=("1",), meaning="an upper bound of h(zeta)"),
)
ZETA = Parameter("zeta", landmarks=setting.STEP_LANDMARKS, meaning="a second step size")
JENSEN = "Jensen's inequality for the convex function u^(2t)"
POWERS = {"Pp": "p**(2*t)", "Qq": "q**(2*t)", "S": "((p+q)/2)**(2*t)"}
POWER_FACTS = {
    "Pp_positive": Fact("Pp > 0", setting.POWER_POSITIVE),
    "Qq_positive": Fact("Qq > 0", setting.POWER_POSITIVE),
    "S_positive": Fact("S > 0", setting.POWER_POSITIVE),
}


def jensen(middle: str, first: str, second: str) -> str:
    """((r+s)/2)^(2t) <= ((p+q)/2)^(2t) [p/(p+q) (r/p)^(2t) + q/(p+q) (s/q)^(2t)], cleared of denominators."""
    return f"(p+q)*Pp*Qq*{middle} <= S*(p*Qq*{first} + q*Pp*{second})"


def double_loss(step: str) -> str:
    """2F as text."""
    return total(f"w*l*(1-{step}*l)**(2*t)")


CONCLUDE = (
    Step(
        "sizes",
        "(p+q)*Pp*Qq > 0",
        terms=(times("p_positive", "Pp_positive", "Qq_positive"), times("q_positive", "Pp_positive", "Qq_positive")),
    ),
    Step(
        "scaled",
        "(p+q)*Pp*Qq*(S - middle) >= 0",
        terms=(
            times("averaged"),
            times("S_positive", "p_positive", "Qq_positive", "at_eta"),
            times("S_positive", "q_positive", "Pp_positive", "at_zeta"),
        ),
    ),
    Step("convex", "middle <= S", cancel=("sizes", "scaled")),
)

CONVEX = Claim(
    id="step_size/theorem4/norm_is_convex",
    title="h = (2F)^(1/(2t)) is convex in the step size",
    source="derived here",
    statement=(
        "h((eta + zeta)/2) <= (h(eta) + h(zeta))/2 for all step sizes; hence G = 2 log h - (log 2)/t is quasi-convex."
    ),
    kind="tight",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE, ZETA, *SIZES),
        hypotheses={
            **setting.HYPOTHESES,
            "p_positive": "p > 0",
            "q_positive": "q > 0",
            "at_eta": "one <= Pp",
            "at_zeta": "two <= Qq",
        },
        definitions={
            **POWERS,
            "one": double_loss("eta"),
            "two": double_loss("zeta"),
            "middle": double_loss("(eta+zeta)/2"),
        },
        conclusion="middle <= S",
    ),
    witness={**setting.WITNESS, "eta": "1", "zeta": "3", "p": "1", "q": "2"},
    proof=Proof(
        atoms=everywhere({"E_": "(1-eta*l)**(2*t)", "Z_": "(1-zeta*l)**(2*t)", "X_": "(1-(eta+zeta)/2*l)**(2*t)"}),
        definitions={"one": total("w*l*E_"), "two": total("w*l*Z_"), "middle": total("w*l*X_")},
        facts={**POWER_FACTS, **{f"jensen_{k}": Fact(at(k, jensen("X_", "E_", "Z_")), JENSEN) for k in "1di"}},
        steps=(
            *setting.POSITIVE,
            Step(
                "term",
                f"{at('i', 'w*l')}*({at('i', 'S*(p*Qq*E_ + q*Pp*Z_) - (p+q)*Pp*Qq*X_')}) >= 0",
                terms=(times("weight", "l_positive", "jensen_i"),),
            ),
            Step(
                "rest",
                "S*p*Qq*sum(w_i*l_i*E_i) + S*q*Pp*sum(w_i*l_i*Z_i) - (p+q)*Pp*Qq*sum(w_i*l_i*X_i) >= 0",
                sum_of="term",
            ),
            Step(
                "averaged",
                "S*(p*Qq*one + q*Pp*two) - (p+q)*Pp*Qq*middle >= 0",
                terms=(times("first", "L_positive", "jensen_1"), times("last", "order.1", "jensen_d"), times("rest")),
            ),
            *CONCLUDE,
        ),
    ),
    mutations=(
        Mutation("midpoint of the sizes 5 percent smaller", {"definitions": {"S": "((p+q)*19/40)**(2*t)"}}),
        Mutation(
            "strict",
            {"conclusion": "middle < S"},
            {
                "L": "1",
                "alpha": "1/4",
                "w1": "5/12",
                "wd": "7/12",
                "w_i": [],
                "l_i": [],
                "t": "1",
                "eta": "0",
                "zeta": "0",
                "p": "3/4",
                "q": "3/4",
            },
        ),
        Mutation("geometric instead of arithmetic mean", {"definitions": {"S": "(p*q)**t"}}),
    ),
)

UNIQUE_MINIMISER = Claim(
    id="step_size/theorem4/unique_minimiser",
    title="G = (1/t) log F is defined everywhere and has exactly one minimiser, that of F",
    source=f"{setting.PAPER}, Theorem 4",
    statement=(
        "F(eta) > 0, t F(eta) G'(eta) = F'(eta), and F' is strictly increasing. So G' has the sign of F', "
        "which changes\n"
        "exactly once, inside (1/L, 1/alpha), by the claim on the minimiser of F."
    ),
    kind="uniqueness",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *setting.SPECTRUM,
            setting.STEP_SIZE,
            Parameter("zeta", low="eta", landmarks=setting.STEP_LANDMARKS, meaning="a larger step size"),
        ),
        hypotheses={**setting.HYPOTHESES, "apart": "eta < zeta"},
        definitions={
            "F": loss(),
            "slope": gradient(),
            "slope_zeta": gradient("zeta"),
            "logslope": f"-2*{total('w*l**2*(1-eta*l)**(2*t-1)')}/(2*F)",
        },
        conclusion="F > 0 and t*F*logslope == slope and slope < slope_zeta",
    ),
    witness={**setting.WITNESS, "eta": "1", "zeta": "3"},
    proof=Proof(
        atoms=everywhere({"P_": "(1-eta*l)**(2*t-1)", "Q_": "(1-zeta*l)**(2*t-1)", "E_": "(1-eta*l)**(2*t)"}),
        definitions={
            "F": f"{total('w*l*E_')}/2",
            "slope": f"-t*{total('w*l**2*P_')}",
            "slope_zeta": f"-t*{total('w*l**2*Q_')}",
        },
        facts={
            **{f"even_{k}": Fact(f"E_{k} >= 0", setting.EVEN_NONNEGATIVE) for k in "1di"},
            "apart_ends": Fact(
                "E_1 + E_d > 0", setting.EVEN_NONNEGATIVE, "1 - eta L and 1 - eta alpha differ, so not both vanish"
            ),
            "quotient": Fact(f"F*logslope == -{total('w*l**2*P_')}", "definition of G'"),
            **{f"inc_{k}": Fact(f"P_{k} > Q_{k}", setting.ODD_INCREASES) for k in "1di"},
        },
        steps=(
            *setting.POSITIVE,
            Step("loss_term", "w_i*l_i*E_i >= 0", terms=(times("weight", "l_positive", "even_i"),)),
            Step("loss_rest", "sum(w_i*l_i*E_i) >= 0", sum_of="loss_term"),
            Step("first_x", "w1*L > 0", terms=(times("first", "L_positive"),)),
            Step("last_x", "wd*alpha > 0", terms=(times("last", "order.1"),)),
            Step(
                "ends",
                "w1*L*E_1 + wd*alpha*E_d > 0",
                split="w1*L - wd*alpha",
                nonnegative=(
                    Step(
                        "first_wins",
                        "w1*L*E_1 + wd*alpha*E_d > 0",
                        terms=(times("ends_case", "even_1"), times("last_x", "apart_ends")),
                    ),
                ),
                negative=(
                    Step(
                        "last_wins",
                        "w1*L*E_1 + wd*alpha*E_d > 0",
                        terms=(times("ends_case", "even_d"), times("first_x", "apart_ends")),
                    ),
                ),
            ),
            Step("defined", "F > 0", terms=(times("ends", coef="1/2"), times("loss_rest", coef="1/2"))),
            Step("same_sign", "t*F*logslope == slope", equal={"quotient": "t"}),
            Step("term", "w_i*l_i**2*(P_i - Q_i) >= 0", terms=(times("weight", "inc_i", square="l_i"),)),
            Step("rest", "sum(w_i*l_i**2*P_i) - sum(w_i*l_i**2*Q_i) >= 0", sum_of="term"),
            Step(
                "increases",
                "slope < slope_zeta",
                terms=(
                    times("t_positive", "first", "inc_1", "L_positive", "L_positive"),
                    times("t_positive", "last", "inc_d", "order.1", "order.1"),
                    times("t_positive", "rest"),
                ),
            ),
        ),
    ),
    mutations=(
        Mutation("G' = F'/F without 1/t", {"conclusion": "F > 0 and F*logslope == slope and slope < slope_zeta"}),
        Mutation(
            "G' increases as well (G convex)",
            {
                "definitions": {"logslope_zeta": f"-2*{total('w*l**2*(1-zeta*l)**(2*t-1)')}/{double_loss('zeta')}"},
                "conclusion": "logslope < logslope_zeta",
            },
        ),
        Mutation("G' always positive", {"conclusion": "logslope > 0"}),
    ),
)

_POOL = (
    Parameter("t", "natural", meaning="number of inner steps"),
    Parameter("l_i", low="0", landmarks=("1",), meaning="all eigenvalues of task A"),
    Parameter("w_i", low="0", landmarks=("1",), meaning="their weights c_i^2"),
    Parameter("m_i", low="0", landmarks=("1",), meaning="all eigenvalues of task B"),
    Parameter("v_i", low="0", landmarks=("1",), meaning="their weights"),
    Parameter("eta", landmarks=("0", "1", "2"), meaning="step size"),
    Parameter("zeta", landmarks=("0", "1", "2"), meaning="a second step size"),
)


def _mean_loss(step: str) -> str:
    return f"sum(w_i*l_i*(1-{step}*l_i)**(2*t)) + sum(v_i*m_i*(1-{step}*m_i)**(2*t))"


LOG_OF_MEAN = Claim(
    id="step_size/theorem4/log_of_mean",
    title="Several tasks: the norm behind the mean loss stays convex, so log of mean keeps Theorem 4",
    source="derived here",
    statement=(
        "For two tasks with any spectra and weights, h = (F_A + F_B)^(1/(2t)) is convex in the step size, "
        "so (1/t) log of the "
        "mean loss is quasi-convex: pool the (eigenvalue, weight) pairs of all tasks. More tasks pool in the same way."
    ),
    kind="tight",
    scope="two tasks, all positive spectra and weights of any length, all t >= 1, all real step sizes",
    expected=Status.PROVED,
    corrects="step_size/theorem4/mean_of_logs",
    formal=Statement(
        parameters=(*_POOL, *SIZES),
        hypotheses={
            "steps": "t >= 1",
            "lA": "l_i > 0",
            "wA": "w_i >= 0",
            "lB": "m_i > 0",
            "wB": "v_i >= 0",
            "p_positive": "p > 0",
            "q_positive": "q > 0",
            "at_eta": "one <= Pp",
            "at_zeta": "two <= Qq",
        },
        definitions={
            **POWERS,
            "one": _mean_loss("eta"),
            "two": _mean_loss("zeta"),
            "middle": _mean_loss("(eta+zeta)/2"),
        },
        conclusion="middle <= S",
    ),
    witness={
        "t": "2",
        "l_i": ["1"],
        "w_i": ["1/2"],
        "m_i": ["1/4"],
        "v_i": ["1/2"],
        "eta": "1",
        "zeta": "2",
        "p": "1",
        "q": "1",
    },
    proof=Proof(
        atoms={
            "E_i": "(1-eta*l_i)**(2*t)",
            "Z_i": "(1-zeta*l_i)**(2*t)",
            "X_i": "(1-(eta+zeta)/2*l_i)**(2*t)",
            "EB_i": "(1-eta*m_i)**(2*t)",
            "ZB_i": "(1-zeta*m_i)**(2*t)",
            "XB_i": "(1-(eta+zeta)/2*m_i)**(2*t)",
        },
        definitions={
            name: f"sum(w_i*l_i*{a}_i) + sum(v_i*m_i*{a}B_i)"
            for name, a in (("one", "E"), ("two", "Z"), ("middle", "X"))
        },
        facts={
            **POWER_FACTS,
            "jensen_A": Fact(jensen("X_i", "E_i", "Z_i"), JENSEN),
            "jensen_B": Fact(jensen("XB_i", "EB_i", "ZB_i"), JENSEN),
        },
        steps=(
            *(
                step
                for task, weight, task_w, b in (("A", "w_i*l_i", ("wA", "lA"), ""), ("B", "v_i*m_i", ("wB", "lB"), "B"))
                for step in (
                    Step(
                        f"term_{task}",
                        f"{weight}*(S*(p*Qq*E{b}_i + q*Pp*Z{b}_i) - (p+q)*Pp*Qq*X{b}_i) >= 0",
                        terms=(times(*task_w, f"jensen_{task}"),),
                    ),
                    Step(
                        f"sum_{task}",
                        f"S*p*Qq*sum({weight}*E{b}_i) + S*q*Pp*sum({weight}*Z{b}_i) - "
                        f"(p+q)*Pp*Qq*sum({weight}*X{b}_i) >= 0",
                        sum_of=f"term_{task}",
                    ),
                )
            ),
            Step(
                "averaged", "S*(p*Qq*one + q*Pp*two) - (p+q)*Pp*Qq*middle >= 0", terms=(times("sum_A"), times("sum_B"))
            ),
            *CONCLUDE,
        ),
    ),
    mutations=(
        Mutation("midpoint of the sizes 5 percent smaller", {"definitions": {"S": "((p+q)*19/40)**(2*t)"}}),
        Mutation("geometric instead of arithmetic mean", {"definitions": {"S": "(p*q)**t"}}),
        Mutation(
            "strict",
            {"conclusion": "middle < S"},
            {
                "t": "1",
                "l_i": ["1"],
                "w_i": ["1/2"],
                "m_i": ["1"],
                "v_i": ["1/2"],
                "eta": "0",
                "zeta": "0",
                "p": "1",
                "q": "1",
            },
        ),
    ),
)

_A, _B = ("1", "9/10"), ("3/10", "1/4")


def _product(step: str) -> str:
    """2 F_A times 2 F_B, whose logarithm is the sum of the logarithms of the losses; all c^2 = 1/2."""
    task = (f"(({a})*(1-{step}*({a}))**(2*t) + ({b})*(1-{step}*({b}))**(2*t))/2" for a, b in (_A, _B))
    return "(" + ")*(".join(task) + ")"


MEAN_OF_LOGS = Claim(
    id="step_size/theorem4/mean_of_logs",
    title="Several tasks: the mean of the logarithms is quasi-convex too",
    source="derived here",
    statement=(
        "For the tasks with eigenvalues (1, 9/10) and (3/10, 1/4), equal weights: log F_A + log F_B at a "
        "step size between eta "
        "and zeta is at most its maximum at eta and zeta. False: two valleys near 1.048 and 3.536 with a "
        "ridge near 2.353 (t = 1)."
    ),
    kind="uniqueness",
    scope="two tasks, t >= 1, all step sizes",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            setting.STEPS,
            Parameter("eta", landmarks=("1",), low="0", meaning="a step size"),
            Parameter("zeta", low="eta", landmarks=("4",), meaning="a larger step size"),
            Parameter("between", low="eta", high="zeta", meaning="a step size between the two"),
        ),
        hypotheses={"steps": "t >= 1", "order": "0 < eta < between < zeta"},
        definitions={"one": _product("eta"), "two": _product("zeta"), "inside": _product("between")},
        conclusion="inside <= max(one, two)",
    ),
    witness={"t": "1", "eta": "1/2", "between": "1", "zeta": "2"},
    counterexample={"t": "1", "eta": "1", "between": "12/5", "zeta": "7/2"},
    notes="The logarithm and the mean over tasks must not be swapped. The published theorem has one task and is safe.",
)

CLAIMS = [CONVEX, UNIQUE_MINIMISER, LOG_OF_MEAN, MEAN_OF_LOGS]
