r"""Model 0: a scalar linear state z' = rho z + phi, and the general bound on truncation bias that it attains.

U_n = 1 + rho + ... + rho^(n-1) = (1 - rho^n)/(1 - rho). Full gradient U_N, truncated U_K, bias rho^K U_{N-K}. In
general, with |dPhi/dz| <= rho, |dPhi/dphi| <= C, |grad loss| <= G0 (operator norms):

    |bias| <= G0 C rho^K U_{N-K},    |G_K| <= G0 C U_K

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic.window_setting import POWERS_ADD
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "derived here"
_RHO = Parameter("rho", low="0", landmarks=("1", "2"), meaning="bound on |dPhi/dz|")

IDENTITY = Claim(
    id="truncation/linear_state/bias",
    title="Model 0: full, truncated and bias of the scalar linear state",
    source=_SOURCE,
    statement=(
        "z_{t+1} = rho z_t + phi has the tangent J_{t+1} = rho J_t + 1. If J_n = U_n = (1-rho^n)/(1-rho) then "
        "J_{n+1} = "
        "U_{n+1}; and U_N - U_K = rho^K U_{N-K} for N = K + D.\nMultiplied by 1 - rho, for every real rho."
    ),
    kind="identity",
    scope="all real rho, all K, D >= 1 (induction over n)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("rho", landmarks=("1", "-1", "0"), meaning="rate"),
            Parameter("K", "natural", meaning="window"),
            Parameter("D", "natural", meaning="dropped steps, N = K + D"),
        ),
        hypotheses={"window": "K >= 1"},
        definitions={
            "kept": "1 - rho**K",
            "longer": "1 - rho**(K+1)",
            "full": "1 - rho**(K+D)",
            "bias": "rho**K*(1 - rho**D)",
        },
        conclusion="rho*kept + (1-rho) == longer and full - kept == bias",
    ),
    witness={"rho": "1/2", "K": "2", "D": "3"},
    proof=Proof(
        atoms={"P": "rho**K", "A": "rho**(K+1)", "T": "rho**(K+D)", "R": "rho**D"},
        definitions={"kept": "1 - P", "longer": "1 - A", "full": "1 - T", "bias": "P*(1 - R)"},
        facts={"up": Fact("A == rho*P", POWERS_ADD), "split": Fact("T == P*R", POWERS_ADD)},
        steps=(
            Step("step", "rho*kept + (1-rho) == longer", equal={"up": "1"}),
            Step("difference", "full - kept == bias", equal={"split": "-1"}),
        ),
    ),
    mutations=(
        Mutation("rho^(K+1)", {"definitions": {"bias": "rho**(K+1)*(1 - rho**D)"}}),
        Mutation("N instead of N - K", {"definitions": {"bias": "rho**K*(1 - rho**(K+D))"}}),
        Mutation("tangent without the last step", {"conclusion": "rho*kept == longer"}),
    ),
)

BOUND = Claim(
    id="truncation/linear_state/general_bound",
    title="General bound, induction steps: the tangent stays below C U_n and the dropped part below C U_D rho^k",
    source=_SOURCE,
    statement=(
        "Norms a = |dPhi/dz| <= rho, c = |dPhi/dphi| <= C. The tangent obeys |J'| <= a |J| + c, the dropped part "
        "D = J - J^K obeys |D'| <= a |D|, the bias is <grad loss, D_N>:\n"
        "|J| <= C U => |J'| <= C (rho U + 1);   |D| <= C V R => |D'| <= C V (rho R);   |bias| <= g |D| <= G0 C V R.\n"
        "With U_{n+1} = rho U_n + 1 and R_k = rho^k: |bias| <= G0 C rho^K U_{N-K} and |G_K| <= G0 C U_K."
    ),
    kind="tight",
    scope="any differentiable rule and loss with these bounds along the trajectory, any norm (induction over steps)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            _RHO,
            Parameter("C", low="0", meaning="bound on |dPhi/dphi|"),
            Parameter("G0", low="0", meaning="bound on |grad loss|"),
            Parameter("U", low="0", meaning="U_n"),
            Parameter("V", low="0", meaning="U_{N-K}"),
            Parameter("R", low="0", meaning="rho^k"),
            Parameter("a", low="0", high="rho", meaning="|dPhi/dz|"),
            Parameter("c", low="0", high="C", meaning="|dPhi/dphi|"),
            Parameter("g", low="0", high="G0", meaning="|grad loss|"),
            Parameter("J", low="0", high="C*U", meaning="|J|"),
            Parameter("D", low="0", high="C*V*R", meaning="|D|"),
        ),
        hypotheses={
            "rate": "0 <= a <= rho",
            "meta": "0 <= c <= C",
            "slope": "0 <= g <= G0",
            "tangent": "0 <= J <= C*U",
            "dropped": "0 <= D <= C*V*R",
            "sums": "U >= 0",
        },
        conclusion="a*J + c <= C*(rho*U + 1) and a*D <= C*V*(rho*R) and g*D <= G0*C*V*R",
    ),
    witness={
        "rho": "2",
        "C": "1",
        "G0": "3",
        "U": "3",
        "V": "1",
        "R": "4",
        "a": "2",
        "c": "1",
        "g": "3",
        "J": "3",
        "D": "4",
    },
    proof=Proof(
        steps=(
            Step("rho_ok", "rho >= 0", using=("rate.1", "rate.2"), degree=1),
            Step(
                "grows",
                "a*J + c <= C*(rho*U + 1)",
                terms=(times("rate.2", "tangent.1"), times("rho_ok", "tangent.2"), times("meta.2")),
            ),
            Step("decays", "a*D <= C*V*(rho*R)", terms=(times("rate.2", "dropped.1"), times("rho_ok", "dropped.2"))),
            Step("slope_ok", "G0 >= 0", using=("slope.1", "slope.2"), degree=1),
            Step("bias", "g*D <= G0*C*V*R", terms=(times("slope.2", "dropped.1"), times("slope_ok", "dropped.2"))),
        )
    ),
    mutations=(
        Mutation("strict", {"conclusion": "a*J + c < C*(rho*U + 1)"}),
        Mutation(
            "C dropped from the bias",
            {"conclusion": "g*D <= G0*V*R"},
            {
                "rho": "2",
                "C": "2",
                "G0": "3",
                "U": "3",
                "V": "1",
                "R": "4",
                "a": "2",
                "c": "1",
                "g": "3",
                "J": "3",
                "D": "8",
            },
        ),
        Mutation("one power of rho more", {"conclusion": "a*D*rho <= C*V*(rho*R)"}),
    ),
    notes=(
        "Attained by the scalar linear state (truncation/linear_state/bias), for which all inequalities are equalities."
    ),
)

EXPLODE = Claim(
    id="truncation/linear_state/long_unrolls_explode",
    title="As it is often told: long unrolls explode, whatever the dynamics",
    source="folklore, made a statement here; derived here",
    statement=(
        "For every rate rho the gradient through K steps grows without bound in K, say U_K >= K. False for rho < 1: "
        "rho = 1/2, K = 2 has U_2 = 3/2 < 2."
    ),
    kind="rate",
    scope="scalar linear state, all rho > 0",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(_RHO, Parameter("K", "natural", meaning="window")),
        hypotheses={"moves": "rho > 0 and rho != 1"},
        definitions={"kept": "(1 - rho**K)/(1 - rho)"},
        conclusion="kept >= K",
    ),
    witness={"rho": "2", "K": "2"},
    counterexample={"rho": "1/2", "K": "2"},
)

CONTRACTION = Claim(
    id="truncation/linear_state/contraction",
    title="Corrected: under contraction the gradient stays below 1/(1-rho) and the bias below rho^K/(1-rho)",
    source=_SOURCE,
    statement=(
        "0 < rho < 1: (1-rho) U_K < 1 and (1-rho) rho^K U_D < rho^K, for all K and D. No explosion, and a bias that "
        "decays in K."
    ),
    kind="upper",
    scope="scalar linear state, 0 < rho < 1, all K and N = K + D",
    expected=Status.PROVED,
    corrects="truncation/linear_state/long_unrolls_explode",
    formal=Statement(
        parameters=(
            Parameter("rho", low="0", high="1", meaning="rate"),
            Parameter("K", "natural", meaning="window"),
            Parameter("D", "natural", meaning="dropped steps"),
        ),
        hypotheses={"contracts": "0 < rho < 1"},
        definitions={"P": "rho**K", "R": "rho**D", "kept": "1 - P", "bias": "P*(1 - R)"},
        conclusion="kept < 1 and 0 < bias and bias < P",
    ),
    witness={"rho": "1/2", "K": "2", "D": "3"},
    proof=Proof(
        atoms={"P": "P", "R": "R"},
        definitions={"kept": "1 - P", "bias": "P*(1 - R)"},
        facts={
            "some": Fact("P > 0", "integer powers of positive numbers are positive"),
            "rest": Fact("R > 0", "integer powers of positive numbers are positive"),
            "less": Fact("R < 1", "powers are increasing on x >= 0"),
        },
        steps=(
            Step("bounded", "kept < 1", using=("some",), degree=1),
            Step("biased", "0 < bias", terms=(times("some", "less"),)),
            Step("decays", "bias < P", terms=(times("some", "rest"),)),
        ),
    ),
    mutations=(
        Mutation("bias below rho^K/2", {"conclusion": "2*bias < P"}),
        Mutation("expanding", {"hypotheses": {"contracts": "0 < rho < 3"}}, {"rho": "2", "K": "1", "D": "1"}),
        Mutation("no bias", {"conclusion": "bias <= 0"}),
    ),
)

CLAIMS = [IDENTITY, BOUND, EXPLODE, CONTRACTION]
