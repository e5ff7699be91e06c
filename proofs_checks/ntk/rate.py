r"""The displayed rate F(W^k) <= (1 - 4 eta (beta_0/beta)^2 delta_4 alpha_0^2)^k F(W^0), under a change of units.

As eta -> 0 it demands |dF/dW|^2 >= 4 (beta_0/beta)^2 delta_4 alpha_0^2 F at the start. Instance, exact: M = diag(1,
1/2), X_0 = (c, 0), Y = (c, -2c), T = 1, tau = 1/beta = 1, one hidden layer of two units with W_1 = I, W_2 = 0. Then

    r_0 = (0, 2c),  g_0 = (0, c),  G_1 = [[c, 0], [0, c]],  alpha_0 = c,  r_1 = (0, 3c/2),  F = 9 c^2/8,
    dF/dW_2 = (0, -3 c^3/8),  dF/dW_1 = 0,  |dF/dW|^2 = 9 c^6/64,
    4 (beta_0/beta)^2 delta_4 alpha_0^2 F = 9 delta_4 c^4/32,

while delta_4 = sigma(z)(1 - sigma(z)) tends to 1/4 as the bound z on the last layer's input, proportional to c, tends
to 0.
Source of the rate: Song, Lin, Xu 2025 (arXiv 2501.18092), Theorem 4.3, through summaries. The refutation: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

PAPER = "Song, Lin, Xu 2025"
SCALE = Parameter("c", low="0", landmarks=("1/10", "1/2", "1"), meaning="unit in which X_0 and Y are measured")
GRADIENT, LOSS = "9*c**6/64", "9*c**2/8"

DISPLAYED = Claim(
    id="ntk/rate/displayed",
    title="The displayed linear rate of training",
    source=f"{PAPER}, Theorem 4.3 (through summaries; the text was not at hand)",
    statement=(
        "F(W^k) <= (1 - 4 eta (beta_0/beta)^2 delta_4 alpha_0^2)^k F(W^0) for small eta, hence |dF/dW|^2 >= "
        "4 (beta_0/beta)^2 delta_4 alpha_0^2 F at W^0. False: the left side over F scales as c^4 with the unit c of "
        "the data, the right side as c^2. At c = 1/10 it is off by a factor 50."
    ),
    kind="rate",
    scope="the instance of the module's text in all units c, with delta_4 = sigma(k c)(1 - sigma(k c)) for any k > 0",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            SCALE,
            Parameter("k", low="0", landmarks=("1", "10"), meaning="z/c"),
        ),
        hypotheses={"unit": "c > 0", "bound": "k > 0"},
        definitions={
            "delta": "exp(k*c)/(1 + exp(k*c))**2",
            "gradient": GRADIENT,
            "loss": LOSS,
            "alpha": "c",
        },
        conclusion="gradient >= 4*(1/4)**2*delta*alpha**2*loss",
    ),
    witness={"c": "2", "k": "1"},
    counterexample={"c": "1/10", "k": "1"},
    notes=(
        "The residual Jacobian contains the factor g_{t-1}, which the displayed rate lacks; a normalisation of the "
        "data may be assumed in the paper. The radii in delta_4 were not found; no choice of them repairs the "
        "scaling."
    ),
)

WITH_GRADIENT = Claim(
    id="ntk/rate/with_the_missing_factor",
    title="Corrected on the instance: with |g_0|^2 in the rate both sides scale alike",
    source="derived here",
    statement=(
        "On the same instance |dF/dW|^2 >= 4 (beta_0/beta)^2 delta_4 alpha_0^2 |g_0|^2 F for every delta_4 <= 1/4 "
        "and "
        "every unit c: both sides scale as c^6."
    ),
    kind="lower",
    scope="the instance of the module's text, all units c, all delta_4 in (0, 1/4]",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            SCALE,
            Parameter("delta", low="0", high="1/4", landmarks=("1/4",), meaning="delta_4"),
        ),
        hypotheses={"unit": "c > 0", "curvature": "delta <= 1/4"},
        definitions={"gradient": GRADIENT, "loss": LOSS, "alpha": "c", "pull": "c**2"},
        conclusion="gradient >= 4*(1/4)**2*delta*alpha**2*pull*loss",
    ),
    witness={"c": "1/10", "delta": "1/4"},
    proof=Proof(
        definitions={"gradient": GRADIENT, "loss": LOSS, "alpha": "c", "pull": "c**2"},
        steps=(
            Step(
                "goal",
                "gradient >= 4*(1/4)**2*delta*alpha**2*pull*loss",
                terms=(
                    times("curvature", coef="9/32", square="c**3"),
                    {"coef": "9/128", "of": {}, "square": "c**3"},
                ),
            ),
        ),
    ),
    mutations=(
        Mutation("|g_0| instead of |g_0|^2", {"definitions": {"pull": "c"}}),
        Mutation("three times the constant", {"conclusion": "gradient >= 12*(1/4)**2*delta*alpha**2*pull*loss"}),
    ),
    corrects="ntk/rate/displayed",
    notes="A general local rate with explicit constants: ntk/certificate.",
)

RANK_DEFICIENT = Claim(
    id="ntk/rate/without_full_row_rank",
    title="The displayed rate where some M has dependent rows",
    source=f"{PAPER}, Theorem 4.3 (through summaries)",
    statement=(
        "The theorem assumes beta_0 = lambda_min(M M^T) > 0. For an M with more rows than columns, or with dependent "
        "rows, beta_0 = 0 and it says nothing; min F may then be positive."
    ),
    kind="rate",
    scope="M with beta_0 = 0, such as the rows (1, 0) and (1, 0)",
    expected=Status.VACUOUS,
    formal=Statement(
        parameters=(
            Parameter("m_i", landmarks=("1", "0"), meaning="a row of M, twice"),
            Parameter("factor", low="0", high="1", meaning="F(W^1)/F(W^0)"),
        ),
        hypotheses={"full_row_rank": "sum(m_i**2)*sum(m_i**2) - sum(m_i*m_i)**2 > 0"},
        conclusion="factor < 1",
    ),
    witness={"m_i": ["1", "0"], "factor": "1"},
    mutations=(Mutation("the same with equality allowed", {"conclusion": "factor <= 1"}),),
)

CLAIMS = [DISPLAYED, WITH_GRADIENT, RANK_DEFICIENT]
