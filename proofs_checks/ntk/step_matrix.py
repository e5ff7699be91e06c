r"""The matrix of one step in iterate space, I - D(P) A/beta: its Euclidean norm may exceed 1, up to sqrt(2).

With w = A x/beta and A psd of norm at most beta, <w, x - w> >= 0; the step gives x_i - p_i w_i with 0 <= p_i <= 2. A
proof that multiplies the norms of these matrices over T steps pays sqrt(2)^T; in residual space the factor is 1
(`ntk/residual/monotone`). Setting: Song, Lin, Xu 2025, arXiv 2501.18092. Derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

FACTOR = ("0", "1", "2")

AT_MOST_ONE = Claim(
    id="ntk/step_matrix/norm_at_most_one",
    title="|I - D(P) A/beta| <= 1",
    source="derived here (a step that proofs of this kind are tempted to take)",
    statement=(
        "|x - P (.) A x/beta| <= |x| for psd A with |A| <= beta and 0 <= P <= 2. False: A/beta with all entries 1/2, "
        "P = (0, 2) and x = (1, 0) give (1, -1), of squared length 2."
    ),
    kind="upper",
    scope="two coordinates, beta = 1, all psd A with |A| <= 1, all P in [0, 2]",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("a", low="0", high="1", landmarks=("1/2", "1"), meaning="A[1,1]"),
            Parameter("c", low="0", high="1", landmarks=("1/2", "1"), meaning="A[2,2]"),
            Parameter("b", low="-1", high="1", landmarks=("1/2", "0"), meaning="A[1,2]"),
            Parameter("p1", low="0", high="2", landmarks=FACTOR, meaning="factor of the first coordinate"),
            Parameter("p2", low="0", high="2", landmarks=FACTOR, meaning="factor of the second coordinate"),
            Parameter("x1", landmarks=("0", "1"), meaning="first coordinate"),
            Parameter("x2", landmarks=("0", "1"), meaning="second coordinate"),
        ),
        hypotheses={
            "diagonal": "a >= 0 and c >= 0 and a <= 1 and c <= 1",
            "psd": "a*c >= b**2",
            "short": "(1 - a)*(1 - c) >= b**2",
            "factors": "p1 >= 0 and p2 >= 0 and p1 <= 2 and p2 <= 2",
        },
        conclusion="(x1 - p1*(a*x1 + b*x2))**2 + (x2 - p2*(b*x1 + c*x2))**2 <= x1**2 + x2**2",
    ),
    witness={"a": "1/2", "c": "1/2", "b": "0", "p1": "1", "p2": "1", "x1": "1", "x2": "1"},
    counterexample={"a": "1/2", "c": "1/2", "b": "1/2", "p1": "0", "p2": "2", "x1": "1", "x2": "0"},
)

AT_MOST_ROOT_TWO = Claim(
    id="ntk/step_matrix/norm_at_most_root_two",
    title="|I - D(P) A/beta| <= sqrt(2), and sqrt(2) is attained",
    source="derived here",
    statement="|x - P (.) A x/beta|^2 <= 2 |x|^2 for psd A with |A| <= beta and 0 <= P <= 2, in any dimension.",
    kind="tight",
    scope="all dimensions, all psd A with |A| <= beta, all P in [0, 2]",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("p_i", low="0", high="2", landmarks=FACTOR, meaning="factors P"),
            Parameter("x_i", landmarks=("0", "1"), meaning="any vector"),
            Parameter("w_i", landmarks=("0", "1/2", "1"), meaning="A x/beta"),
        ),
        hypotheses={"low": "p_i >= 0", "high": "p_i <= 2", "cocoercive": "sum(w_i*(x_i - w_i)) >= 0"},
        conclusion="sum((x_i - p_i*w_i)**2) <= 2*sum(x_i**2)",
    ),
    witness={"p_i": ["0", "2"], "x_i": ["1", "0"], "w_i": ["1/2", "1/2"]},
    proof=Proof(
        steps=(
            Step(
                "term",
                # with u = x - w, e = p - 1: (u + e w)^2 + 2 w^2 (1 - e^2), and 1 - e^2 = p (2 - p)
                "2*(x_i - w_i)**2 + 2*w_i**2 - (x_i - p_i*w_i)**2 >= 0",
                terms=(
                    {"coef": "1", "of": {}, "square": "x_i - w_i + (p_i - 1)*w_i"},
                    times("low", "high", coef="2", square="w_i"),
                ),
            ),
            Step(
                "all_terms",
                "2*sum((x_i - w_i)**2) + 2*sum(w_i**2) - sum((x_i - p_i*w_i)**2) >= 0",
                sum_of="term",
            ),
            Step(
                "goal",
                "sum((x_i - p_i*w_i)**2) <= 2*sum(x_i**2)",
                # |x|^2 = |x - w|^2 + |w|^2 + 2 <w, x - w>
                terms=(times("all_terms"), times("cocoercive", coef="4")),
            ),
        )
    ),
    mutations=(
        Mutation("199/100 instead of 2", {"conclusion": "100*sum((x_i - p_i*w_i)**2) <= 199*sum(x_i**2)"}),
        Mutation("no bound on A", {"hypotheses": {"cocoercive": None}}),
    ),
    corrects="ntk/step_matrix/norm_at_most_one",
    notes=(
        "<A x/beta, x - A x/beta> >= 0 holds for every psd A with |A| <= beta, eigenvalue by eigenvalue "
        "(l (1 - l) >= 0). The witness attains the bound."
    ),
)

CLAIMS = [AT_MOST_ONE, AT_MOST_ROOT_TWO]
