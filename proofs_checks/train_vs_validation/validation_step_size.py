r"""Train-by-validation: the step size tuned on fresh data, given the spectrum of the Gram matrix.

Given X, the expected risk E|w_t - w*|^2 is (1/d) [(d-r) + sum_k r_k^(2t)] + (sigma^2/n) sum_k (1 - r_k^t)^2/l_k with
r_k = 1 - eta l_k. Up to the factor 2t/d its derivative is sum_k r_k^(t-1) [kappa - (l_k + kappa) r_k^t],
kappa = sigma^2 d/n: every eigenvalue wants r^t = kappa/(l + kappa).

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

EIGENVALUES = Parameter("l_i", low="0", landmarks=("1",), meaning="positive eigenvalues of X^T X/n")
MULTIPLICITY = Parameter("w_i", low="0", landmarks=("1",), meaning="how often each occurs, divided by d")
KAPPA = Parameter("kappa", low="0", landmarks=("1",), meaning="sigma^2 d/n")
ETA = Parameter("eta", low="0", landmarks=("1", "1/2"), meaning="step size")
SETTING = {
    "eigenvalue": "l_i > 0",
    "multiplicity": "w_i >= 0",
    "noise": "kappa >= 0",
    "steps": "t >= 1",
    "legal": "eta >= 0",
    "stable": "eta*l_i <= 1",
}
POWERS = {"A_i": "(1-eta*l_i)**(t-1)", "B_i": "(1-eta*l_i)**t"}
SLOPE = "sum(w_i*A_i*(kappa - (l_i+kappa)*B_i))"
FACTS = {"even": Fact("A_i >= 0", setting.POWER_POSITIVE, "1 - eta l >= 0")}


def _monotone(name: str, title: str, text: str, wish: str, sign: str, order: str) -> Claim:
    positive = {"<=": "(l_i+kappa)*B_i - kappa", ">=": "kappa - (l_i+kappa)*B_i"}[sign]
    return Claim(
        id=f"train_vs_validation/validation_step/{name}",
        title=title,
        source="derived here",
        statement=text,
        kind="tight",
        scope="every spectrum and noise, all t >= 1, 0 <= eta <= 1/l_max",
        expected=Status.PROVED,
        formal=Statement(
            parameters=(EIGENVALUES, MULTIPLICITY, KAPPA, setting.STEPS, ETA),
            hypotheses={**SETTING, "wish": wish},
            definitions={**POWERS, "slope": SLOPE},
            conclusion=f"slope {sign} 0",
        ),
        witness={
            "l_i": ["1", "1/2"],
            "w_i": ["1", "1"],
            "kappa": "1",
            "t": "2",
            "eta": {"<=": "1/10", ">=": "1"}[sign],
        },
        proof=Proof(
            definitions={"slope": SLOPE},
            facts=FACTS,
            steps=(
                Step("term", f"w_i*A_i*({positive}) >= 0", terms=(times("multiplicity", "even", "wish"),)),
                Step("summed", f"sum(w_i*A_i*({positive})) >= 0", sum_of="term"),
                Step("monotone", f"slope {sign} 0", terms=(times("summed"),)),
            ),
        ),
        corrects="train_vs_validation/validation_step/single_minimum" if sign == ">=" else None,
        mutations=(
            Mutation("the opposite sign", {"conclusion": f"slope {order} 0"}),
            Mutation(
                "noise forgotten in the wish",
                {"hypotheses": {"wish": wish.replace("(l_i+kappa)", "l_i")}}
                if sign == ">="
                else {"hypotheses": {"wish": "2*(l_i+kappa)*B_i >= kappa"}},
            ),
            Mutation("wish dropped", {"hypotheses": {"wish": None}}),
        ),
    )


RISK_FALLS = _monotone(
    "risk_falls_before",
    "Before every eigenvalue's wish the risk falls with the step size",
    "If (l_k + kappa)(1 - eta l_k)^t >= kappa for all k, then R'(eta) <= 0: the tuned step size is at "
    "least the smallest wish.\n"
    "With eta(x) = [1 - (kappa/(x+kappa))^(1/t)]/x the wish of eigenvalue x, t eta(x) -> log(1 + "
    "x/kappa)/x: Theta(1/t).",
    "(l_i+kappa)*B_i >= kappa",
    "<=",
    ">",
)
RISK_RISES = _monotone(
    "risk_rises_after",
    "After every eigenvalue's wish the risk rises with the step size",
    "If (l_k + kappa)(1 - eta l_k)^t <= kappa for all k and eta <= 1/l_max, then R'(eta) >= 0: the tuned step size on\n"
    "(0, 1/l_max] is at most the largest wish.",
    "(l_i+kappa)*B_i <= kappa",
    ">=",
    "<",
)

GAIN = Claim(
    id="train_vs_validation/validation_step/guaranteed_gain",
    title="Tuning on validation always gains: min R <= 1 - M1^2/(2 M2 + kappa M1)",
    source=f"derived here; an explicit constant for the Omega(1) of {setting.PAPER}, Theorem 5",
    statement=(
        "With M1 = sum_k w_k l_k, M2 = sum_k w_k l_k^2 (w_k = 1/d each), s = M1/(2 M2 + kappa M1) and eta "
        "= s/t <= 1/l_max:\n"
        "R(eta) <= 1 - M1 s. In the limit d/n -> g: M1 = 1, M2 = 1 + g, so min R <= 1 - 1/(2(1+g) + sigma^2 g)."
    ),
    kind="upper",
    scope="every spectrum with s l_max <= t, every noise, all t >= 1; |w*| = 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(EIGENVALUES, MULTIPLICITY, KAPPA, setting.STEPS),
        hypotheses={
            "eigenvalue": "l_i > 0",
            "multiplicity": "w_i >= 0",
            "noise": "kappa >= 0",
            "steps": "t >= 1",
            "some": "M1 > 0",
            "stable": "s*l_i <= t",
        },
        definitions={
            "M1": "sum(w_i*l_i)",
            "M2": "sum(w_i*l_i**2)",
            "s": "M1/(2*M2 + kappa*M1)",
            "bias": "sum(w_i*((1-s/t*l_i)**(2*t) - 1))",
            "variance": "kappa*sum(w_i*((1-(1-s/t*l_i)**t)**2/l_i))",
            "R": "1 + bias + variance",
        },
        conclusion="R <= 1 - M1*s",
    ),
    witness={"l_i": ["1", "1/2"], "w_i": ["1/2", "1/2"], "kappa": "1", "t": "2"},
    proof=Proof(
        atoms={"B_i": "(1-s/t*l_i)**(2*t) - 1", "V_i": "(1-(1-s/t*l_i)**t)**2/l_i"},
        definitions={
            "M1": "sum(w_i*l_i)",
            "M2": "sum(w_i*l_i**2)",
            "bias": "sum(w_i*B_i)",
            "variance": "kappa*sum(w_i*V_i)",
            "R": "1 + bias + variance",
        },
        facts={
            "bonferroni": Fact(
                "B_i <= -2*s*l_i + 2*s**2*l_i**2",
                "Bonferroni's inequality",
                "(1-u)^n <= 1 - nu + n(n-1)/2 u^2, 0 <= u <= 1, n = 2t",
            ),
            "bernoulli": Fact("V_i <= s**2*l_i", "Bernoulli's inequality", "0 <= 1 - (1-u)^t <= t u for 0 <= u <= 1"),
            "s_means": Fact("s*(2*M2 + kappa*M1) == M1", "definition of s"),
        },
        steps=(
            Step(
                "bias_term", "w_i*(-2*s*l_i + 2*s**2*l_i**2 - B_i) >= 0", terms=(times("multiplicity", "bonferroni"),)
            ),
            Step("bias_sum", "-2*s*sum(w_i*l_i) + 2*s**2*sum(w_i*l_i**2) - sum(w_i*B_i) >= 0", sum_of="bias_term"),
            Step("variance_term", "w_i*(s**2*l_i - V_i) >= 0", terms=(times("multiplicity", "bernoulli"),)),
            Step("variance_sum", "s**2*sum(w_i*l_i) - sum(w_i*V_i) >= 0", sum_of="variance_term"),
            Step(
                "gain",
                "R <= 1 - M1*s",
                terms=(times("bias_sum"), times("noise", "variance_sum")),
                equal={"s_means": "-s"},
            ),
        ),
    ),
    mutations=(
        Mutation("twice the gain", {"conclusion": "R <= 1 - 2*M1*s"}),
        Mutation("noise forgotten in s", {"definitions": {"s": "M1/(2*M2)"}}),
        Mutation("10 percent more", {"conclusion": "R <= 1 - 11*M1*s/10"}),
    ),
)


def _risk(step: str) -> str:
    """R in the limit at t = 2, by the moments 1, 1+g, 1+3g+g^2, 1+6g+6g^2+g^3 of the Marchenko-Pastur law."""
    bias = f"1 - 4*{step} + 6*{step}**2*(1+g) - 4*{step}**3*(1+3*g+g**2) + {step}**4*(1+6*g+6*g**2+g**3)"
    variance = f"noise2*g*(4*{step}**2 - 4*{step}**3*(1+g) + {step}**4*(1+3*g+g**2))"
    return f"{bias} + {variance}"


SECOND_MINIMUM = Claim(
    id="train_vs_validation/validation_step/single_minimum",
    title="The risk has a single local minimum in the step size",
    source="derived here",
    statement=(
        "In the limit d/n -> g at t = 2: R between two step sizes is at most its maximum at the two. "
        "False for even t: the sign "
        "of 1 - eta x is lost, so a second valley opens beyond 1/b. At g = 1/100, sigma = 3: valleys near "
        ".731 and 1.179."
    ),
    kind="uniqueness",
    scope="t = 2, all g > 0, all sigma, all step sizes",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("g", low="0", landmarks=("1/100", "1"), meaning="d/n"),
            Parameter("noise2", low="0", landmarks=("9", "1"), meaning="sigma^2"),
            Parameter("eta", low="0", landmarks=("3/4", "1/2"), meaning="step size"),
            Parameter("zeta", low="eta", landmarks=("6/5", "2"), meaning="a larger step size"),
            Parameter("between", low="eta", high="zeta", meaning="a step size between"),
        ),
        hypotheses={"order": "0 < eta < between < zeta", "ratio": "g > 0", "noise": "noise2 >= 0"},
        definitions={"one": _risk("eta"), "two": _risk("zeta"), "inside": _risk("between")},
        conclusion="inside <= max(one, two)",
    ),
    witness={"g": "1", "noise2": "1", "eta": "1/10", "between": "1/5", "zeta": "1/2"},
    counterexample={"g": "1/100", "noise2": "9", "eta": "73/100", "between": "19/20", "zeta": "118/100"},
    notes=(
        "So the tuned step is searched on (0, 1/b], with the value at the edge considered; for odd t there "
        "is one valley."
    ),
)

SAMPLE_SIZE = Claim(
    id="train_vs_validation/validation_step/sample_size",
    title="A sample size linear in 1/eps is enough for the risk of least squares",
    source=f"derived here; refines the 1/eps^2 of {setting.PAPER}, Theorem 6",
    statement=(
        "The exact risk of the least-squares estimator is sigma^2 d/(n-d-1). If n >= (1+eps)(d+1)/eps, it is at most\n"
        "(1+eps) sigma^2 d/n, stated without division: n <= (1+eps)(n-d-1). Theorem 6 assumes n of order d/eps^2."
    ),
    kind="upper",
    scope="all d >= 1, n > d + 1, eps > 0",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("d", "natural", meaning="dimension"),
            Parameter("eps", low="0", landmarks=("1/10", "1"), meaning="relative excess"),
            Parameter("n", low="d+1", landmarks=("(1+eps)*(d+1)/eps",), meaning="number of samples"),
        ),
        hypotheses={"enough": "n*eps >= (1+eps)*(d+1)", "excess": "eps > 0", "determined": "n > d + 1"},
        conclusion="n <= (1+eps)*(n-d-1)",
    ),
    witness={"d": "10", "eps": "1/2", "n": "40"},
    mutations=(
        Mutation("half the samples", {"hypotheses": {"enough": "2*n*eps >= (1+eps)*(d+1)"}}),
        Mutation("factor 1 + eps dropped", {"hypotheses": {"enough": "n*eps >= d+1"}}),
        Mutation("strict", {"conclusion": "n < (1+eps)*(n-d-1)"}, {"d": "1", "eps": "1", "n": "4"}),
    ),
)

CLAIMS = [RISK_FALLS, RISK_RISES, GAIN, SECOND_MINIMUM, SAMPLE_SIZE]
