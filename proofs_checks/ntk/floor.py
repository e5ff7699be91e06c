r"""A floor under the training loss: step factors in [0, 2] cannot remove a residual along a small singular value.

One coordinate with squared singular value k = beta_0/beta <= 1/2 and tau = 1/beta: r_t = (1 - k p_t) r_{t-1} is at
least (1 - 2k) r_{t-1}. For any number of coordinates the general floor is |u^T r_T| >= |u^T r_0| - 2 T
sqrt(beta_0/beta) |r_0|, u the eigenvector of beta_0; where it is positive no network trains to zero loss. Derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

RATIO = Parameter("k", low="0", high="1/2", landmarks=("1/4", "1/2"), meaning="beta_0/beta")
FACTOR = Parameter("p", low="0", high="2", landmarks=("0", "1", "2"), meaning="factor at this coordinate")
RESIDUAL = Parameter("r", low="0", landmarks=("1",), meaning="residual along u")
HYPOTHESES = {"ratio": "k >= 0", "small": "2*k <= 1", "low": "p >= 0", "high": "p <= 2", "some": "r > 0"}

TO_ZERO = Claim(
    id="ntk/floor/halves_any_residual",
    title="One step with factors in [0, 2] can at least halve any residual",
    source="derived here (what training to zero loss would need at every step)",
    statement=(
        "The longest step, p = 2, leaves at most half: 1 - 2k <= 1/2. False for k = beta_0/beta < 1/4: at k = 1/10 "
        "four fifths stay, whatever the network."
    ),
    kind="upper",
    scope="one coordinate along u, T = 1, 0 < k <= 1/2",
    expected=Status.FALSIFIED,
    formal=Statement((RATIO,), {"ratio": "k > 0", "small": "2*k <= 1"}, "1 - 2*k <= 1/2"),
    witness={"k": "1/2"},
    counterexample={"k": "1/10"},
)

ONE_STEP = Claim(
    id="ntk/floor/one_step",
    title="Corrected: one step leaves at least 1 - 2 beta_0/beta of the residual along u",
    source="derived here",
    statement=(
        "(1 - k p) r >= (1 - 2k) r for all factors p in [0, 2], so F(X_1) >= (1 - 2 k)^2 r^2/2 for every network."
    ),
    kind="tight",
    scope="one coordinate along u, all networks",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(RATIO, FACTOR, RESIDUAL),
        hypotheses=HYPOTHESES,
        conclusion="((1 - k*p)*r)**2 >= ((1 - 2*k)*r)**2",
    ),
    witness={"k": "1/4", "p": "2", "r": "1"},
    proof=Proof(
        steps=(
            Step("less", "1 - k*p >= 1 - 2*k", using=("ratio", "high")),
            Step(
                "goal",
                "((1 - k*p)*r)**2 >= ((1 - 2*k)*r)**2",
                terms=(times("less", "less", square="r"), times("less", "small", coef="2", square="r")),
            ),
        )
    ),
    mutations=(
        Mutation("one percent higher", {"conclusion": "((1 - k*p)*r)**2 >= 101/100*((1 - 2*k)*r)**2"}),
        Mutation("factors up to 21/10", {"hypotheses": {"high": "10*p <= 21"}}, {"k": "1/4", "p": "21/10", "r": "1"}),
    ),
    corrects="ntk/floor/halves_any_residual",
    notes="At the published sizes the exact floor of one step is measured: ntk/training/one_step_floor.",
)

SAME_SIGN = Claim(
    id="ntk/features/same_sign_pair",
    title="Two coordinates of one sign bound alpha_0 by Lam times their gradients",
    source="derived here",
    statement=(
        "For x_i x_j > 0 the combination x_j phi(z_i) - x_i phi(z_j) of feature columns has length at most Lam "
        "|x_j z_i - x_i z_j| = Lam |x_j g_i - x_i g_j|, as phi is positively homogeneous and Lam-Lipschitz. So "
        "alpha_0^2 (x_i^2 + x_j^2) <= Lam^2 (x_j g_i - x_i g_j)^2, and alpha_0^2 <= Lam^2 (g_i^2 + g_j^2)."
    ),
    kind="upper",
    scope="any bias-free ReLU network, any two coordinates of one sign",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("xa", low="0", landmarks=("1",), meaning="|x_i|"),
            Parameter("xb", low="0", landmarks=("1",), meaning="|x_j|"),
            Parameter("ga", landmarks=("1", "0"), meaning="g_i, up to the common sign"),
            Parameter("gb", landmarks=("-1", "0"), meaning="g_j, up to the common sign"),
            Parameter("lip", low="0", landmarks=("1",), meaning="Lam^2"),
            Parameter(
                "alpha",
                low="0",
                high="lip*(xb*ga - xa*gb)**2/(xa**2 + xb**2)",
                landmarks=("lip*(xb*ga - xa*gb)**2/(xa**2 + xb**2)",),
                meaning="alpha_0^2",
            ),
        ),
        hypotheses={
            "first": "xa > 0",
            "second": "xb > 0",
            "lipschitz": "lip >= 0",
            "pair": "alpha*(xa**2 + xb**2) <= lip*(xb*ga - xa*gb)**2",
        },
        conclusion="alpha <= lip*(ga**2 + gb**2)",
    ),
    witness={"xa": "1", "xb": "1", "ga": "1", "gb": "-1", "lip": "1", "alpha": "2"},
    proof=Proof(
        steps=(
            Step("size", "xa**2 + xb**2 > 0", using=("first", "second")),
            Step(
                "scaled",
                # Lagrange: (ga^2 + gb^2)(xa^2 + xb^2) - (xb ga - xa gb)^2 = (xa ga + xb gb)^2
                "(lip*(ga**2 + gb**2) - alpha)*(xa**2 + xb**2) >= 0",
                terms=(times("pair"), times("lipschitz", square="xa*ga + xb*gb")),
            ),
            Step("goal", "alpha <= lip*(ga**2 + gb**2)", cancel=("size", "scaled")),
        )
    ),
    mutations=(
        Mutation("the larger gradient alone", {"conclusion": "alpha <= lip*max(ga**2, gb**2)"}),
        Mutation("one percent less", {"conclusion": "100*alpha <= 99*lip*(ga**2 + gb**2)"}),
    ),
    notes=(
        "At the start (gradient descent) |g_{T-1}| <= sqrt(beta) (1 - beta_0/beta)^{T-1} |r_0|: alpha_0 decays "
        "exponentially in T, so a fixed threshold asks for an expansion that grows exponentially. See "
        "ntk/features/decay_in_the_horizon."
    ),
)

CLAIMS = [TO_ZERO, ONE_STEP, SAME_SIGN]
