r"""What gradient descent guarantees inside: F(X_T) <= c_T beta |X_0 - X*|^2 with the sharp constant for quadratics.

Per eigenvalue l = x beta of M^T M the loss after T steps with 1/beta is 1/2 beta x (1 - x)^{2T} w, w the squared error
along it, and x (1 - x)^{2T} is largest at x = 1/(2T + 1):

    c_T = 1/(2 (2T + 1)) (2T/(2T + 1))^{2T}  ~  1/(4 e T)

The paper's beta/T is about 10.9 times larger, the textbook's beta/(2T) half of that. Setting: Song, Lin, Xu 2025, arXiv
2501.18092. The sharp constant: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

INNER_RATE = Claim(
    id="ntk/inner_rate/sharp_constant",
    title="Gradient descent with 1/beta ends below c_T beta |X_0 - X*|^2, c_T = (2T/(2T+1))^{2T}/(2(2T+1))",
    source="derived here",
    statement=(
        "For eigenvalues l_i = x_i beta in [0, beta] and squared errors w_i: 1/2 sum w_i l_i (1 - x_i)^{2T} <= c_T "
        "beta sum w_i, with equality for one eigenvalue beta/(2T + 1)."
    ),
    kind="tight",
    scope="all spectra in [0, beta], all starts, all T >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("T", "natural", landmarks=("1", "5", "20"), meaning="inner steps"),
            Parameter("beta", low="0", landmarks=("1",), meaning="smoothness"),
            Parameter("x_i", low="0", high="1", landmarks=("1/(2*T + 1)", "1"), meaning="eigenvalues over beta"),
            Parameter("w_i", low="0", landmarks=("1",), meaning="squared errors at the start"),
        ),
        hypotheses={
            "steps": "T >= 1",
            "smooth": "beta > 0",
            "low": "x_i >= 0",
            "high": "x_i <= 1",
            "weight": "w_i >= 0",
        },
        definitions={"P_i": "(1 - x_i)**(2*T)", "cap": "(2*T/(2*T + 1))**(2*T)"},
        conclusion="(2*T + 1)*sum(w_i*beta*x_i*P_i) <= cap*beta*sum(w_i)",
    ),
    witness={"T": "1", "beta": "3", "x_i": ["1/3", "1"], "w_i": ["1", "2"]},
    proof=Proof(
        atoms={"P_i": "(1 - x_i)**(2*T)", "cap": "(2*T/(2*T + 1))**(2*T)"},
        facts={
            "largest": Fact(
                "cap - (2*T + 1)*x_i*P_i >= 0",
                "inequality of the arithmetic and geometric mean",
                "2T x and 2T times (1 - x) have the mean 2T/(2T + 1)",
            )
        },
        steps=(
            Step(
                "term",
                "w_i*cap*beta - (2*T + 1)*w_i*beta*x_i*P_i >= 0",
                terms=(times("weight", "smooth", "largest"),),
            ),
            Step("goal", "(2*T + 1)*sum(w_i*beta*x_i*P_i) <= cap*beta*sum(w_i)", sum_of="term"),
        ),
    ),
    mutations=(
        Mutation("one percent less", {"definitions": {"cap": "99/100*(2*T/(2*T + 1))**(2*T)"}}),
        Mutation("T instead of 2T steps", {"definitions": {"cap": "(T/(T + 1))**(2*T)"}}),
    ),
)

CLAIMS = [INNER_RATE]
