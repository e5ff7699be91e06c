r"""T3 and T4: what a constant meta rate a costs in the end, and how large it may be.

Near G = H^-1: D <- D - a H D g g^T + a H s g^T, g ~ N(0, K), K = sigma^2 H^2. The entry of D in row direction h and
column direction k of K has stationary variance a sigma^2 h/2 to leading order. A row along h_max contracts in mean
square iff (with x = a h_max) x k_max < 1 and sum x k_i/(1 - x k_i) < 2.

Source: derived here, in the setting of arXiv 2210.06171.
"""

from fractions import Fraction

import numpy as np

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quasi_newton import TrackedQuadratic, floor
from l2o_theory.quasi_newton.fluctuations import solve_exactly
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"
F = Fraction
RATES = (F(1, 100), F(1, 200))
TASK = TrackedQuadratic(["1", "4/5", "3/5"])


def _lyapunov(a: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """The three means from (K x H) S + S (K x H) = a K x sigma^2 H^2 solved for all 81 entries, in rationals."""
    q = np.array([[F(1), F(0), F(0)], [F(0), F(3, 5), F(-4, 5)], [F(0), F(4, 5), F(3, 5)]], dtype=object)
    H, one = q @ np.diag(TASK.eigenvalues) @ q.T, np.diag([F(1)] * 3)
    K, eye = H @ H, np.diag([F(1)] * 9)
    drift, source = np.kron(K, H), a * np.kron(K, H @ H)
    S = solve_exactly(np.kron(drift, eye) + np.kron(eye, drift), list(source.ravel()))
    S, right = np.array(S, dtype=object).reshape(9, 9), np.kron(H, one)
    return np.trace(S), np.trace(right @ S @ right.T), np.trace(np.kron(H, H) @ S @ right.T) / 2


def _floor_formula(seed: int) -> Measurement:
    """Formula against the full system, equal as rationals (nothing random)."""
    rows, faults = [], {"n replaced by n - 1": True, "tr(H^2) replaced by tr(H)^2": True}
    trace, square = sum(TASK.eigenvalues), sum(TASK.eigenvalues**2)
    for a in RATES:
        found, wanted = floor(TASK, a), _lyapunov(a)
        predicted = (found.inverse_error, found.hessian_error, found.excess_loss)
        rows.append(
            {"rate": str(a), "formula": [str(v) for v in predicted], "system": [str(v) for v in wanted]}
            | {"equal": predicted == wanted}
        )
        faults["n replaced by n - 1"] &= a * 2 * trace / 2 != wanted[0]
        faults["tr(H^2) replaced by tr(H)^2"] &= a * trace**4 / 4 != wanted[2] and a * square**2 / 4 == wanted[2]
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals, 81 x 81 system, H not diagonal",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


FLOOR = Claim(
    id="lodo/floor/lyapunov_system",
    title="The floor of a constant meta rate: columns of H^-1 - G uncorrelated with covariance (a sigma^2/2) H",
    source=SOURCE,
    statement=(
        "E|H^-1 - G|^2 = a sigma^2 n tr(H)/2, E|I - G H|^2 = a sigma^2 tr(H) tr(H^2)/2, excess loss\n"
        "a sigma^4 tr(H^2)^2/4 solve the stationary equation of the linearised recursion."
    ),
    kind="identity",
    scope="leading order in a; n = 3, two rates, a rotated H",
    expected=Status.NOT_FALSIFIED,
    measure=_floor_formula,
)

MODE = Claim(
    id="lodo/floor/one_entry",
    title="Each entry of H^-1 - G settles at variance a sigma^2 h/2, h the curvature of its row, whatever its column",
    source=SOURCE,
    statement="v = a s2 h/2 balances contraction and noise: 2 (a k h) v = a^2 k s2 h^2.",
    kind="identity",
    scope="every row curvature h and column excitation k, leading order in a",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("a", low="0", meaning="meta rate"),
            Parameter("h", low="0", meaning="curvature of the row"),
            Parameter("k", low="0", meaning="excitation of the column"),
            Parameter("s2", low="0", meaning="variance of the moves"),
        ),
        hypotheses={"positive": "a > 0 and h > 0 and k > 0 and s2 > 0"},
        definitions={"v": "a*s2*h/2"},
        conclusion="2*(a*k*h)*v == a**2*k*s2*h**2",
    ),
    witness={"a": "1/100", "h": "1", "k": "1/2", "s2": "1"},
    proof=Proof(
        steps=(Step("balance", "2*(a*k*h)*v == a**2*k*s2*h**2"),),
        definitions={"v": "a*s2*h/2"},
    ),
    mutations=(
        Mutation("depends on the column", {"definitions": {"v": "a*s2*k/2"}}),
        Mutation("twice the variance", {"definitions": {"v": "a*s2*h"}}),
    ),
)

COPIES, BURN, STEPS = 256, 3000, 9000  # the slowest entry forgets its start in about 1000 steps


def _settled(a: float, seed: int) -> tuple[float, float]:
    """Mean |I - G H|_F^2 and excess loss of simplified LODO started at H^-1."""
    generator, h = np.random.default_rng(seed), TASK.eigenvalues.astype(np.float64)
    gain, b = np.tile(np.diag(1 / h), (COPIES, 1, 1)), np.zeros((COPIES, 3))
    error = loss = 0.0
    for step in range(STEPS):
        g = h * b
        left = b - (gain @ g[:, :, None])[:, :, 0]  # expected loss given the past: no noise of the last move
        if step >= BURN:
            error += float(np.sum((np.eye(3) - gain * h) ** 2)) / COPIES
            loss += float(np.sum(left**2 @ h)) / 2 / COPIES
        b = left - generator.standard_normal(b.shape)
        gain = gain + a * (h * b)[:, :, None] * g[:, None, :]
    return error / (STEPS - BURN), loss / (STEPS - BURN)


def _simulated(seed: int) -> Measurement:
    rows, worst, off = [], [], []
    for a in RATES:
        predicted, observed = floor(TASK, a), _settled(float(a), seed)
        wanted = float(predicted.hessian_error), float(predicted.excess_loss)
        gaps = [abs(o / w - 1) for o, w in zip(observed, wanted, strict=True)]
        rows.append({"rate": str(a), "predicted": wanted, "observed": observed, "relative gaps": gaps})
        worst.append(max(gaps))
        off.append(min(abs(o / (2 * w) - 1) for o, w in zip(observed, wanted, strict=True)))
    tolerance = 0.05  # next order in a, about 3 a, and 1 percent of statistical error
    fault = "a floor twice as high"
    caught = min(off) > 0.2
    return Measurement(
        holds=max(worst) < tolerance,
        table=tuple(rows),
        margin=1 - max(worst) / tolerance,
        arithmetic=f"float64, {COPIES} copies of {STEPS} steps",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


SIMULATED = Claim(
    id="lodo/floor/simulated",
    title="Simulated learners settle on that floor",
    source=SOURCE,
    statement="H = diag(1, 0.8, 0.6), a = 0.01 and 0.005: |I-GH|^2 and excess loss within 5 percent of the formulas.",
    kind="statistical",
    scope="n = 3, sigma = 1, two rates; the formulas are the leading order in a",
    expected=Status.NOT_FALSIFIED,
    measure=_simulated,
)

STABILITY = (
    Parameter("top", low="0", landmarks=("1",), meaning="largest eigenvalue of K"),
    Parameter("x", low="0", high="1/top", meaning="a h_max"),
    Parameter("k_i", low="0", high="top", landmarks=("top",), meaning="eigenvalues of K"),
)
BELOW = {"rate": "x > 0", "lower": "k_i > 0", "upper": "k_i <= top", "mean": "x*top < 1"}
RESOLVENT = {"r_i": "1/(1 - x*k_i)"}
R_MEANS = {"r_means": Fact("r_i*(1 - x*k_i) == 1", "definition of r")}
R_POSITIVE = (
    Step("gap", "1 - x*k_i > 0", terms=(times("mean"), times("rate", "upper"))),
    Step("r_scaled", "(1 - x*k_i)*r_i > 0", terms=(times(),), equal={"r_means": "1"}),
    Step("r_positive", "r_i > 0", cancel=("gap", "r_scaled")),
)

CONTRACTS = Claim(
    id="lodo/stability/criterion_is_sufficient",
    title="sum x k_i/(1 - x k_i) < 2 makes the second moments contract",
    source=SOURCE,
    statement=(
        "One step takes the second moments m_i of a row to (1 - 2 x k_i + 2 x^2 k_i^2) m_i + x^2 k_i sum k_j m_j; at\n"
        "m_i = 1/(1 - x k_i) > 0 every entry shrinks, so the spectral radius is below 1 (Collatz-Wielandt)."
    ),
    kind="upper",
    scope="all dimensions, all K > 0; recursion linearised at G = H^-1, Gaussian gradients that do not depend on D",
    expected=Status.PROVED,
    formal=Statement(
        parameters=STABILITY,
        hypotheses={**BELOW, "criterion": "sum(x*k_i*r_i) < 2"},
        definitions=RESOLVENT,
        conclusion="(1 - 2*x*k_i + 2*x**2*k_i**2)*r_i + x*k_i*sum(x*k_i*r_i) < r_i",
    ),
    witness={"top": "1", "x": "1/2", "k_i": ["1", "49/100"]},
    proof=Proof(
        atoms={"r_i": "r_i"},
        facts=R_MEANS,
        steps=(
            *R_POSITIVE,
            Step(
                "goal",
                "(1 - 2*x*k_i + 2*x**2*k_i**2)*r_i + x*k_i*sum(x*k_i*r_i) < r_i",
                terms=(times("rate", "lower", "criterion"),),
                equal={"r_means": "2*x*k_i"},
            ),
        ),
    ),
    mutations=(
        Mutation(
            "sum below 3",
            {"hypotheses": {"criterion": "sum(x*k_i*r_i) < 3"}},
            {"top": "1", "x": "5/7", "k_i": ["1"]},
        ),
        Mutation(
            "Gaussian fourth moment dropped",
            {"conclusion": "(1 - 2*x*k_i + 2*x**2*k_i**2)*r_i + 2*x*k_i*sum(x*k_i*r_i) < r_i"},
        ),
    ),
)

SUFFICIENT = Claim(
    id="lodo/stability/simple_bound",
    title="a h_max (tr K + 2 lambda_max(K)) < 2 is enough for mean-square stability",
    source=SOURCE,
    statement=(
        "x (sum k_i + 2 k_max) < 2 implies sum x k_i/(1 - x k_i) < 2. At K = sigma^2 H^2 it reads\n"
        "a < 2/(sigma^2 h_max (tr H^2 + 2 h_max^2))."
    ),
    kind="upper",
    scope="all dimensions, all K > 0",
    expected=Status.PROVED,
    corrects="lodo/stability/simple_bound_is_necessary",
    formal=Statement(
        parameters=STABILITY,
        hypotheses={
            "rate": "x > 0",
            "lower": "k_i > 0",
            "upper": "k_i <= top",
            "mean": "x*top < 1",
            "bound": "x*(sum(k_i) + 2*top) < 2",
        },
        definitions=RESOLVENT,
        conclusion="sum(x*k_i*r_i) < 2",
    ),
    witness={"top": "1", "x": "1/2", "k_i": ["1", "49/100", "4/25", "1/25"]},
    proof=Proof(
        atoms={"r_i": "r_i"},
        facts=R_MEANS,
        steps=(
            *R_POSITIVE,
            Step(
                "entry",
                "x*k_i - (1 - x*top)*(x*k_i*r_i) >= 0",
                terms=(times("rate", "rate", "lower", "r_positive", "upper"),),
                equal={"r_means": "-x*k_i"},
            ),
            Step("entries", "sum(x*k_i - (1 - x*top)*(x*k_i*r_i)) >= 0", sum_of="entry"),
            Step("scaled", "(1 - x*top)*(2 - sum(x*k_i*r_i)) > 0", terms=(times("bound"), times("entries"))),
            Step("below", "2 - sum(x*k_i*r_i) > 0", cancel=("mean", "scaled")),
            Step("goal", "sum(x*k_i*r_i) < 2", terms=(times("below"),)),
        ),
    ),
    mutations=(
        Mutation("without the fourth moment", {"hypotheses": {"bound": "x*sum(k_i) < 2"}}),
        Mutation("below 5/2", {"hypotheses": {"bound": "2*x*(sum(k_i) + 2*top) < 5"}}),
    ),
)

NECESSARY = Claim(
    id="lodo/stability/simple_bound_is_necessary",
    title="a h_max (tr K + 2 lambda_max(K)) < 2 is the exact edge of mean-square stability",
    source="the bound read as an equivalence; derived here",
    statement="If the second moments contract, the bound holds. False: H = diag(1, .7, .4, .2) is stable to 0.5936.",
    kind="lower",
    scope="all dimensions, all K > 0",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=STABILITY,
        hypotheses={**BELOW, "criterion": "sum(x*k_i*r_i) < 2"},
        definitions=RESOLVENT,
        conclusion="x*(sum(k_i) + 2*top) < 2",
    ),
    witness={"top": "1", "x": "1/2", "k_i": ["1", "49/100", "4/25", "1/25"]},
    counterexample={"top": "1", "x": "59/100", "k_i": ["1", "49/100", "4/25", "1/25"]},
)

CLAIMS = [FLOOR, MODE, SIMULATED, CONTRACTS, SUFFICIENT, NECESSARY]
