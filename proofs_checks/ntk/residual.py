r"""The residual of a least-squares program under learned step sizes: it never grows, whatever the weights.

r_t = (I - M D M^T) r_{t-1} with D = diag(tau p_i), 0 <= p_i <= 2, tau |M|^2 <= 1. With v = M^T r,

    |r_t|^2 = |r_{t-1}|^2 - 2 sum tau p_i v_i^2 + |M D v|^2,     |M u|^2 <= L |u|^2,

so that only the vectors v, p and the number q = |M D v|^2 enter: the claims hold for all M, all sizes, all networks.
Setting: Song, Lin, Xu 2025, arXiv 2501.18092. The statements and proofs: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SMOOTHNESS = Parameter("L", low="0", landmarks=("1",), meaning="|M|^2, largest eigenvalue of M^T M")
STEP = Parameter("tau", low="0", high="1/L", landmarks=("1/L",), meaning="step size")
FACTORS = Parameter("p_i", low="0", high="2", landmarks=("0", "1", "2"), meaning="learned factors, outputs of 2 sigma")
PULLED = Parameter("v_i", landmarks=("1",), meaning="entries of M^T r, the gradient")
SIZE = "L*sum((tau*p_i*v_i)**2)"
IMAGE = Parameter("q", low="0", high=SIZE, landmarks=(SIZE,), meaning="|M D v|^2")
HYPOTHESES = {
    "smooth": "L > 0",
    "forward": "tau > 0",
    "short": "tau*L <= 1",
    "low": "p_i >= 0",
    "high": "p_i <= 2",
    "norm": f"q <= {SIZE}",
}
CHANGE = "q - 2*sum(tau*p_i*v_i**2)"

MONOTONE = Claim(
    id="ntk/residual/monotone",
    title="The residual never grows, for any weights of the network",
    source="derived here",
    statement=(
        "For all M, tau <= 1/|M|^2 and factors 0 <= p <= 2: |r_t|^2 - |r_{t-1}|^2 = q - 2 sum tau p_i v_i^2 <= 0. "
        "Hence F(X_t) never grows in t for every network with outputs 2 sigma(.), trained or not."
    ),
    kind="upper",
    scope="all matrices M and sizes, all factors in [0, 2], all tau in (0, 1/L]",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(SMOOTHNESS, STEP, FACTORS, PULLED, IMAGE),
        hypotheses=HYPOTHESES,
        conclusion=f"{CHANGE} <= 0",
    ),
    witness={"L": "1", "tau": "1", "p_i": ["1", "2"], "v_i": ["1", "1/2"], "q": "1"},
    proof=Proof(
        steps=(
            Step(
                "term",
                "2*tau*p_i*v_i**2 - L*(tau*p_i*v_i)**2 >= 0",
                terms=(
                    # tau p v^2 (2 - L tau p) = tau p v^2 (2 - p) + tau p^2 v^2 (1 - tau L)
                    times("forward", "low", "high", square="v_i"),
                    times("forward", "short", square="p_i*v_i"),
                ),
            ),
            Step("all_terms", "2*sum(tau*p_i*v_i**2) - L*sum((tau*p_i*v_i)**2) >= 0", sum_of="term"),
            Step("goal", f"{CHANGE} <= 0", terms=(times("norm"), times("all_terms"))),
        )
    ),
    mutations=(
        Mutation("strict", {"conclusion": f"{CHANGE} < 0"}),
        Mutation(
            "factors up to 21/10",
            {"hypotheses": {"high": "10*p_i <= 21"}},
            {"L": "1", "tau": "1", "p_i": ["21/10"], "v_i": ["1"], "q": "441/100"},
        ),
        Mutation(
            "steps up to 11/10 of 1/L",
            {"hypotheses": {"short": "10*tau*L <= 11"}},
            {"L": "1", "tau": "11/10", "p_i": ["2"], "v_i": ["1"], "q": "121/25"},
        ),
    ),
    corrects="ntk/residual/monotone_at_longer_steps",
    notes=(
        "So no inner blow-up is possible; what can blow up is the training of the weights. |M u|^2 <= L |u|^2 is the "
        "definition of L and enters as the hypothesis `norm`."
    ),
)

LONGER = Claim(
    id="ntk/residual/monotone_at_longer_steps",
    title="Steps of 1.1/L with a factor near 2 may raise the residual",
    source="derived here",
    statement=(
        "The residual falls for all tau <= 11/(10 L). False: one equation, tau L = 11/10 and p = 2 give r_1 = -6/5 r_0."
    ),
    kind="upper",
    scope="one equation, all unknowns, all factors in [0, 2], tau L <= 11/10",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("m_i", landmarks=("1",), meaning="the one row of M"),
            Parameter("tau", low="0", high="11/(10*max(1, sum(m_i**2)))", meaning="step size"),
            FACTORS,
        ),
        hypotheses={
            "forward": "tau > 0",
            "nearly_short": "10*tau*sum(m_i**2) <= 11",
            "low": "p_i >= 0",
            "high": "p_i <= 2",
        },
        conclusion="(1 - sum(tau*p_i*m_i**2))**2 <= 1",
    ),
    witness={"m_i": ["1"], "tau": "1", "p_i": ["1"]},
    counterexample={"m_i": ["1"], "tau": "11/10", "p_i": ["2"]},
)

RATE = Claim(
    id="ntk/residual/contraction",
    title="One step multiplies the residual by at most max(1 - p_min beta_0 tau, p_max beta tau - 1)",
    source="derived here",
    statement=(
        "M D M^T has eigenvalues s_i in [p_min beta_0 tau, p_max beta tau]; with c_i the coefficients of r in its "
        "eigenvectors, |r_t|^2 = sum c_i^2 (1 - s_i)^2 <= rho^2 sum c_i^2 for every rho >= 1 - p_min beta_0 tau, "
        "p_max beta tau - 1."
    ),
    kind="rate",
    scope="all M, all factors in [p_min, p_max]",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("low", low="0", high="2", landmarks=("1",), meaning="p_min beta_0 tau"),
            Parameter("high", low="low", high="2", landmarks=("low", "2"), meaning="p_max beta tau"),
            Parameter("rho", low="0", landmarks=("1 - low", "high - 1"), meaning="factor of the residual"),
            Parameter("s_i", low="low", high="high", landmarks=("low", "high"), meaning="eigenvalues of M D M^T"),
            Parameter("c_i", landmarks=("1",), meaning="coefficients of r in its eigenvectors"),
        ),
        hypotheses={
            "above": "s_i >= low",
            "below": "s_i <= high",
            "short": "rho >= 1 - low",
            "long": "rho >= high - 1",
        },
        conclusion="sum(c_i**2*(1 - s_i)**2) <= rho**2*sum(c_i**2)",
    ),
    witness={"low": "1/4", "high": "3/2", "rho": "3/4", "s_i": ["1/2"], "c_i": ["1"]},
    proof=Proof(
        steps=(
            Step("over", "rho - 1 + s_i >= 0", using=("above", "short")),
            Step("under", "rho + 1 - s_i >= 0", using=("below", "long")),
            Step("term", "rho**2*c_i**2 - c_i**2*(1 - s_i)**2 >= 0", terms=(times("over", "under", square="c_i"),)),
            Step("goal", "sum(c_i**2*(1 - s_i)**2) <= rho**2*sum(c_i**2)", sum_of="term"),
        )
    ),
    mutations=(
        Mutation("the short end forgotten", {"hypotheses": {"short": None}}),
        Mutation("the long end forgotten", {"hypotheses": {"long": None}}),
        Mutation("rho^3 instead of rho^2", {"conclusion": "sum(c_i**2*(1 - s_i)**2) <= rho**3*sum(c_i**2)"}),
    ),
    notes=(
        "rho < 1 whenever p_min > 0, beta_0 > 0 and p_max beta tau < 2: such factors converge in t without training."
    ),
)

CLAIMS = [MONOTONE, LONGER, RATE]
