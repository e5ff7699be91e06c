r"""Per-step sizes: exact derivatives of F(eta_1, ..., eta_t) = 1/2 sum_i x_i prod_j (1 - eta_j l_i)^2.

Only eta_j moves: with q_i = prod_{k != j} (1 - eta_k l_i)^2 the Taylor expansion in eta_j is exact at second order,
which proves the formulas of dF/deta_j and d2F/deta_j^2 at once. The mixed derivative follows from moving two of them.

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

TASK = (
    Parameter("l_i", low="0", landmarks=("1",), meaning="eigenvalues"),
    Parameter("x_i", low="0", landmarks=("1",), meaning="c_i^2 l_i"),
    Parameter("q_i", low="0", landmarks=("1",), meaning="product of (1 - eta_k l_i)^2 over the other steps"),
)
POSITIVE = {"l": "l_i > 0", "x": "x_i > 0", "q": "q_i >= 0"}

GRADIENT = Claim(
    id="step_size/schedules/gradient_and_curvature",
    title="Per-step sizes: dF/deta_j and d2F/deta_j^2",
    source="derived here",
    statement=(
        "F(.., eta_j + s, ..) = F + s dF/deta_j + s^2/2 d2F/deta_j^2 exactly, with\n"
        "dF/deta_j = -sum_i x_i l_i r_ij prod_{k != j} r_ik^2 and d2F/deta_j^2 = sum_i x_i l_i^2 prod_{k != j} r_ik^2."
    ),
    kind="identity",
    scope="all spectra, weights and schedules of any length, all changes s of one step size",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *TASK,
            Parameter("eta", landmarks=("0", "1"), meaning="eta_j"),
            Parameter("s", landmarks=("1", "-1"), meaning="change of eta_j"),
        ),
        hypotheses=POSITIVE,
        definitions={
            "F": "sum(x_i*q_i*(1-eta*l_i)**2)/2",
            "moved": "sum(x_i*q_i*(1-(eta+s)*l_i)**2)/2",
            "first": "-sum(x_i*l_i*q_i*(1-eta*l_i))",
            "second": "sum(x_i*l_i**2*q_i)",
        },
        conclusion="moved == F + s*first + s**2*second/2",
    ),
    witness={"l_i": ["1", "1/2"], "x_i": ["1", "2"], "q_i": ["1/4", "1"], "eta": "1/3", "s": "1/5"},
    mutations=(
        Mutation("sign of the gradient", {"definitions": {"first": "sum(x_i*l_i*q_i*(1-eta*l_i))"}}),
        Mutation("factor 2 in the gradient", {"definitions": {"first": "-2*sum(x_i*l_i*q_i*(1-eta*l_i))"}}),
        Mutation("eigenvalue dropped from the curvature", {"definitions": {"second": "sum(x_i*l_i*q_i)"}}),
        Mutation("detached: own factor dropped", {"definitions": {"first": "-sum(x_i*l_i*q_i)"}}),
    ),
)

MIXED = Claim(
    id="step_size/schedules/mixed_derivative",
    title="Per-step sizes: the mixed derivative d2F/(deta_j deta_k)",
    source="derived here",
    statement=(
        "The mixed second difference of F in eta_j and eta_k is s u [D + s A + u B + s u C] with "
        "D = 2 sum_i x_i l_i^2 r_ij r_ik prod_{m != j,k} r_im^2; so d2F/(deta_j deta_k) = D."
    ),
    kind="identity",
    scope="all spectra, weights and schedules of any length, all changes s, u of two step sizes",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *TASK,
            Parameter("eta", landmarks=("0", "1"), meaning="eta_j"),
            Parameter("zeta", landmarks=("0", "1"), meaning="eta_k"),
            Parameter("s", landmarks=("1", "-1"), meaning="change of eta_j"),
            Parameter("u", landmarks=("1", "-1"), meaning="change of eta_k"),
        ),
        hypotheses=POSITIVE,
        definitions={
            "F": "sum(x_i*q_i*(1-eta*l_i)**2*(1-zeta*l_i)**2)/2",
            "one": "sum(x_i*q_i*(1-(eta+s)*l_i)**2*(1-zeta*l_i)**2)/2",
            "other": "sum(x_i*q_i*(1-eta*l_i)**2*(1-(zeta+u)*l_i)**2)/2",
            "both": "sum(x_i*q_i*(1-(eta+s)*l_i)**2*(1-(zeta+u)*l_i)**2)/2",
            "mixed": "2*sum(x_i*l_i**2*q_i*(1-eta*l_i)*(1-zeta*l_i))",
            "A": "-sum(x_i*l_i**3*q_i*(1-zeta*l_i))",
            "B": "-sum(x_i*l_i**3*q_i*(1-eta*l_i))",
            "C": "sum(x_i*l_i**4*q_i)/2",
        },
        conclusion="both - one - other + F == s*u*(mixed + s*A + u*B + s*u*C)",
    ),
    witness={
        "l_i": ["1", "1/2"],
        "x_i": ["1", "2"],
        "q_i": ["1/4", "1"],
        "eta": "1/3",
        "zeta": "1/2",
        "s": "1/5",
        "u": "1/7",
    },
    mutations=(
        Mutation("factor 2 dropped", {"definitions": {"mixed": "sum(x_i*l_i**2*q_i*(1-eta*l_i)*(1-zeta*l_i))"}}),
        Mutation("one factor dropped", {"definitions": {"mixed": "2*sum(x_i*l_i**2*q_i*(1-eta*l_i))"}}),
        Mutation("sign", {"definitions": {"mixed": "-2*sum(x_i*l_i**2*q_i*(1-eta*l_i)*(1-zeta*l_i))"}}),
    ),
)

CHEBYSHEV = Claim(
    id="step_size/schedules/two_steps_beat_one",
    title="Two Chebyshev steps beat the best constant step in the worst case",
    source="derived here",
    statement=(
        "c = (L+alpha)/2, r = (L-alpha)/2, steps 1/(c + r/sqrt 2) and 1/(c - r/sqrt 2): scales the iterate by\n"
        "factor/scale, factor = (l-c)^2 - r^2/2, scale = c^2 - r^2/2. On [alpha, L] |factor| <= r^2/2, and\n"
        "(r^2/2)/scale < (r/c)^2, the contraction of two steps of the best constant size 2/(L+alpha)."
    ),
    kind="tight",
    scope="all L > alpha > 0, all eigenvalues in [alpha, L], two steps",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            setting.SMOOTHNESS,
            setting.STRONG_CONVEXITY,
            Parameter("l", low="alpha", high="L", landmarks=("(L+alpha)/2",)),
        ),
        hypotheses={"order": "0 < alpha < L", "above": "l >= alpha", "below": "l <= L"},
        definitions={
            "c": "(L+alpha)/2",
            "r": "(L-alpha)/2",
            "factor": "(l-c)**2 - r**2/2",
            "worst": "r**2/2",
            "scale": "c**2 - r**2/2",
        },
        conclusion="-worst <= factor <= worst and worst*c**2 < r**2*scale",
    ),
    witness={"L": "1", "alpha": "1/4", "l": "1/2"},
    proof=Proof(
        definitions={
            "c": "(L+alpha)/2",
            "r": "(L-alpha)/2",
            "factor": "(l-c)**2 - r**2/2",
            "worst": "r**2/2",
            "scale": "c**2 - r**2/2",
        },
        steps=(
            Step("L_positive", "L > 0", using=("order.1", "order.2")),
            Step("at_least", "-worst <= factor", terms=(times(square="l-c"),)),
            Step("at_most", "factor <= worst", terms=(times("above", "below"),)),
            Step(
                "better",
                "worst*c**2 < r**2*scale",
                terms=(times("order.2", "order.2", "order.1", "L_positive", coef="1/8"),),
            ),
        ),
    ),
    mutations=(
        Mutation("worst factor 5 percent smaller", {"definitions": {"worst": "19*r**2/40"}}),
        Mutation("better by half", {"conclusion": "2*worst*c**2 < r**2*scale"}),
        Mutation("centre at the geometric mean of squares", {"definitions": {"c": "(L**2+alpha**2)/(L+alpha)"}}),
    ),
)

CLAIMS = [GRADIENT, MIXED, CHEBYSHEV]
