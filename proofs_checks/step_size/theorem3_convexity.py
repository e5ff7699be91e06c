r"""Theorem 3, first half: F is strictly convex in the step size and has one minimiser, between 1/L and 1/alpha.

F(eta) = 1/2 sum_k w_k l_k (1 - eta l_k)^(2t), so F'(eta) = -t sum_k w_k l_k^2 (1 - eta l_k)^(2t-1). F' strictly
increasing
is the same as F strictly convex; with a change of sign of F' (and continuity) there is exactly one minimiser.

Reference: Wang, Yuan, Wu, Ge, ICML 2021, Theorem 3. The location, the bracket and the two-eigenvalue formula:
derived here."""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, gradient, total
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

ZETA = Parameter("zeta", low="eta", landmarks=setting.STEP_LANDMARKS, meaning="a second, larger step size")
TWO_STEPS = Statement(
    parameters=(*setting.SPECTRUM, setting.STEP_SIZE, ZETA),
    hypotheses={**setting.HYPOTHESES, "apart": "eta < zeta"},
    definitions={"slope": gradient("eta"), "slope_zeta": gradient("zeta")},
    conclusion="slope < slope_zeta",
)
TWO_STEPS_WITNESS = {**setting.WITNESS, "eta": "1", "zeta": "3"}
UNORDERED = {
    "parameters": (*TWO_STEPS.parameters[:-1], Parameter("zeta", landmarks=setting.STEP_LANDMARKS)),
    "hypotheses": {"apart": "eta != zeta"},
}

INCREASING_ATOMS = everywhere({"P_": "(1-eta*l)**(2*t-1)", "Q_": "(1-zeta*l)**(2*t-1)"})
INCREASING_DEFINITIONS = {"slope": f"-t*{total('w*l**2*P_')}", "slope_zeta": f"-t*{total('w*l**2*Q_')}"}
INCREASING_FACTS = {f"inc_{k}": Fact(f"P_{k} > Q_{k}", setting.ODD_INCREASES) for k in "1di"}
INCREASING = (
    *setting.POSITIVE,
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
)

STRICTLY_CONVEX = Claim(
    id="step_size/theorem3/strict_convexity",
    title="F is strictly convex in the step size",
    source=f"{setting.PAPER}, Theorem 3",
    statement="For all eta < zeta: F'(eta) < F'(zeta). Hence F is strictly convex on the whole line.",
    kind="tight",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=TWO_STEPS,
    witness=TWO_STEPS_WITNESS,
    proof=Proof(atoms=INCREASING_ATOMS, definitions=INCREASING_DEFINITIONS, facts=INCREASING_FACTS, steps=INCREASING),
    mutations=(
        Mutation(
            "even power instead of odd",
            {
                "definitions": {
                    "slope": f"-t*{total('w*l**2*(1-eta*l)**(2*t)')}",
                    "slope_zeta": f"-t*{total('w*l**2*(1-zeta*l)**(2*t)')}",
                }
            },
        ),
        Mutation("strongly convex with modulus t w1 L^3", {"conclusion": "slope + t*w1*L**3*(zeta-eta) < slope_zeta"}),
        Mutation("order of the two steps dropped", UNORDERED),
    ),
    notes="F'' vanishes at 1/l if one distinct eigenvalue is active and t >= 2; F is strictly convex even there.",
)

AT_ENDS = {"slope_L": gradient("(1/L)"), "slope_alpha": gradient("(1/alpha)")}
UNIQUE_MINIMISER = Claim(
    id="step_size/theorem3/unique_minimiser",
    title="F has exactly one minimiser, strictly between 1/L and 1/alpha",
    source=f"{setting.PAPER}, Theorem 3; the location is derived here",
    statement=(
        "F'(1/L) < 0 < F'(1/alpha), and F' is strictly increasing: for all eta < zeta, F'(eta) < F'(zeta). "
        "F' is continuous, so it has exactly one zero; it lies in (1/L, 1/alpha) and is the only minimiser of F."
    ),
    kind="uniqueness",
    scope=f"{setting.SCOPE}, all real step sizes",
    expected=Status.PROVED,
    formal=TWO_STEPS.altered(definitions=AT_ENDS, conclusion="slope_L < 0 < slope_alpha and slope < slope_zeta"),
    witness=TWO_STEPS_WITNESS,
    proof=Proof(
        atoms=INCREASING_ATOMS | everywhere({"A_": "(1-(1/L)*l)**(2*t-1)", "Z_": "(1-(1/alpha)*l)**(2*t-1)"}),
        definitions=INCREASING_DEFINITIONS
        | {"slope_L": f"-t*{total('w*l**2*A_')}", "slope_alpha": f"-t*{total('w*l**2*Z_')}"},
        facts=INCREASING_FACTS
        | {
            "at_L_1": Fact("A_1 == 0", "0^n = 0 for n >= 1"),
            "at_L_d": Fact("A_d > 0", setting.POWER_POSITIVE),
            "at_L_i": Fact("A_i >= 0", setting.POWER_POSITIVE),
            "at_alpha_1": Fact("Z_1 < 0", "odd powers keep the sign"),
            "at_alpha_d": Fact("Z_d == 0", "0^n = 0 for n >= 1"),
            "at_alpha_i": Fact("Z_i <= 0", "odd powers keep the sign"),
        },
        steps=(
            *INCREASING,
            Step("at_L_term", "w_i*l_i**2*A_i >= 0", terms=(times("weight", "at_L_i", square="l_i"),)),
            Step("at_L_sum", "sum(w_i*l_i**2*A_i) >= 0", sum_of="at_L_term"),
            Step("at_alpha_term", "-w_i*l_i**2*Z_i >= 0", terms=(times("weight", "at_alpha_i", square="l_i"),)),
            Step("at_alpha_sum", "-sum(w_i*l_i**2*Z_i) >= 0", sum_of="at_alpha_term"),
            Step(
                "falls_at_L",
                "slope_L < 0",
                terms=(times("t_positive", "last", "order.1", "order.1", "at_L_d"), times("t_positive", "at_L_sum")),
                equal={"at_L_1": "t*w1*L**2"},
            ),
            Step(
                "rises_at_alpha",
                "0 < slope_alpha",
                terms=(
                    times("t_positive", "first", "L_positive", "L_positive", "at_alpha_1"),
                    times("t_positive", "at_alpha_sum"),
                ),
                equal={"at_alpha_d": "-t*wd*alpha**2"},
            ),
        ),
    ),
    mutations=(
        Mutation("the minimiser is always below 2/L", {"definitions": {"slope_alpha": gradient("(2/L)")}}),
        Mutation("the minimiser is always above 2/(L+alpha)", {"definitions": {"slope_L": gradient("(2/(L+alpha))")}}),
        Mutation("order of the two steps dropped", UNORDERED),
    ),
)

RHO = Parameter("rho", low="0", landmarks=("1", "alpha/L"), meaning="ratio |1 - eta L| / (1 - eta alpha)")
BALANCED = {"R": "rho**(2*t-1)", "eta": "(1+rho)/(L+rho*alpha)", "C2": total("w*l**2"), "slope": gradient()}
BALANCED_WITNESS = {**setting.WITNESS, "t": "1"}
BALANCE_ATOMS = everywhere({"P_": "(1-eta*l)**(2*t-1)"})
BALANCE_FACTS = {
    "end_d": Fact("P_d > 0", setting.POWER_POSITIVE, "1 - eta alpha = (L - alpha)/(L + rho alpha)"),
    "end_1": Fact("P_1 == -R*P_d", setting.POWER_OF_PRODUCT, "1 - eta L = -rho (1 - eta alpha)"),
    "R_positive": Fact("R > 0", setting.POWER_POSITIVE),
}

BRACKET_BELOW = Claim(
    id="step_size/theorem3/bracket_below",
    title="Rigorous lower end of the bracket of the minimiser",
    source="derived here",
    statement=(
        "With C2 = sum_k w_k l_k^2: for every rho > 0 with C2 rho^(2t-1) <= wd alpha^2,\n"
        "F'((1 + rho)/(L + rho alpha)) <= 0, so the minimiser is at least (1 + rho)/(L + rho alpha).\n"
        "The largest such rho is (wd alpha^2 / C2)^(1/(2t-1))."
    ),
    kind="lower",
    scope=setting.SCOPE,
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*setting.SPECTRUM, RHO),
        hypotheses={**setting.HYPOTHESES, "ratio": "rho > 0", "small": "C2*R <= wd*alpha**2"},
        definitions=BALANCED,
        conclusion="slope <= 0",
    ),
    witness={**BALANCED_WITNESS, "rho": "1/20"},
    proof=Proof(
        atoms=BALANCE_ATOMS,
        definitions={"C2": total("w*l**2"), "slope": f"-t*{total('w*l**2*P_')}"},
        facts=BALANCE_FACTS
        | {
            "least": Fact("P_i >= P_1", setting.ODD_INCREASES, "l_i <= L"),
        },
        steps=(
            *setting.POSITIVE,
            Step("term", "w_i*l_i**2*(P_i - P_1) >= 0", terms=(times("weight", "least", square="l_i"),)),
            Step("rest", "sum(w_i*l_i**2*P_i) - sum(w_i*l_i**2)*P_1 >= 0", sum_of="term"),
            Step(
                "downhill",
                "slope <= 0",
                terms=(
                    times("t_positive", "rest"),
                    times("t_positive", "end_d", "small"),
                    times("t_positive", "end_d", "R_positive", "last", square="alpha"),
                ),
                equal={"end_1": "t*(w1*L**2 + sum(w_i*l_i**2))"},
            ),
        ),
    ),
    mutations=(
        Mutation(
            "rho up to the ratio with w1 L^2 in place of C2", {"hypotheses": {"small": "w1*L**2*R <= wd*alpha**2"}}
        ),
        Mutation("rho twice as large", {"hypotheses": {"small": "C2*(rho/2)**(2*t-1) <= wd*alpha**2"}}),
        Mutation("the opposite sign", {"conclusion": "slope >= 0"}),
    ),
)

BRACKET_ABOVE = Claim(
    id="step_size/theorem3/bracket_above",
    title="Rigorous upper end of the bracket of the minimiser",
    source="derived here",
    statement=(
        "With C2 = sum_k w_k l_k^2: for every rho > 0 with w1 L^2 rho^(2t-1) >= C2,\n"
        "F'((1 + rho)/(L + rho alpha)) >= 0, so the minimiser is at most (1 + rho)/(L + rho alpha).\n"
        "The smallest such rho is (C2 / (w1 L^2))^(1/(2t-1))."
    ),
    kind="upper",
    scope=setting.SCOPE,
    expected=Status.PROVED,
    formal=Statement(
        parameters=(*setting.SPECTRUM, RHO),
        hypotheses={**setting.HYPOTHESES, "ratio": "rho > 0", "large": "w1*L**2*R >= C2"},
        definitions=BALANCED,
        conclusion="slope >= 0",
    ),
    witness={**BALANCED_WITNESS, "rho": "3"},
    proof=Proof(
        atoms=BALANCE_ATOMS,
        definitions={"C2": total("w*l**2"), "slope": f"-t*{total('w*l**2*P_')}"},
        facts=BALANCE_FACTS
        | {
            "most": Fact("P_i <= P_d", setting.ODD_INCREASES, "l_i >= alpha"),
        },
        steps=(
            *setting.POSITIVE,
            Step("term", "w_i*l_i**2*(P_d - P_i) >= 0", terms=(times("weight", "most", square="l_i"),)),
            Step("rest", "sum(w_i*l_i**2)*P_d - sum(w_i*l_i**2*P_i) >= 0", sum_of="term"),
            Step(
                "uphill",
                "slope >= 0",
                terms=(
                    times("t_positive", "rest"),
                    times("t_positive", "end_d", "large"),
                    times("t_positive", "end_d", "first", square="L"),
                ),
                equal={"end_1": "-t*w1*L**2"},
            ),
        ),
    ),
    mutations=(
        Mutation(
            "rho from the ratio with wd alpha^2 in place of C2", {"hypotheses": {"large": "w1*L**2*R >= wd*alpha**2"}}
        ),
        Mutation("rho half as large", {"hypotheses": {"large": "w1*L**2*(2*rho)**(2*t-1) >= C2"}}),
        Mutation("the opposite sign", {"conclusion": "slope <= 0"}),
    ),
)

TWO_EIGENVALUES = Claim(
    id="step_size/theorem3/two_eigenvalues",
    title="Two eigenvalues: the minimiser is (1 + rho)/(L + rho alpha)",
    source="derived here",
    statement=(
        "With active eigenvalues L > alpha only, eta*_t = (1 + rho)/(L + rho alpha), rho = (wd alpha^2 / "
        "(w1 L^2))^(1/(2t-1)).\n"
        "Stated with rho given and the weights in the ratio wd : w1 = L^2 rho^(2t-1) : alpha^2, which is every case."
    ),
    kind="identity",
    scope="d = 2, all L > alpha > 0, all rho > 0, all t >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(setting.SMOOTHNESS, setting.STRONG_CONVEXITY, setting.STEPS, RHO),
        hypotheses={"order": "0 < alpha < L", "steps": "t >= 1", "ratio": "rho > 0"},
        definitions={
            "R": "rho**(2*t-1)",
            "eta": "(1+rho)/(L+rho*alpha)",
            "w1": "alpha**2",
            "wd": "L**2*R",
            "slope": "-t*(w1*L**2*(1-eta*L)**(2*t-1) + wd*alpha**2*(1-eta*alpha)**(2*t-1))",
        },
        conclusion="slope == 0",
    ),
    witness={"L": "1", "alpha": "1/3", "t": "3", "rho": "2/3"},
    proof=Proof(
        atoms={"P_1": "(1-eta*L)**(2*t-1)", "P_d": "(1-eta*alpha)**(2*t-1)"},
        definitions={"w1": "alpha**2", "wd": "L**2*R", "slope": "-t*(w1*L**2*P_1 + wd*alpha**2*P_d)"},
        facts={"end_1": BALANCE_FACTS["end_1"]},
        steps=(Step("balance", "slope == 0", equal={"end_1": "-t*alpha**2*L**2"}),),
    ),
    mutations=(
        Mutation("power 2t instead of 2t-1", {"definitions": {"R": "rho**(2*t)"}}),
        Mutation("2/(L+alpha) instead", {"definitions": {"eta": "2/(L+alpha)"}}),
        Mutation("alpha in place of alpha^2", {"definitions": {"w1": "alpha"}}),
    ),
)

CLAIMS = [STRICTLY_CONVEX, UNIQUE_MINIMISER, BRACKET_BELOW, BRACKET_ABOVE, TWO_EIGENVALUES]
