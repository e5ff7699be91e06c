r"""A8: where the bias does not fall with the window, and where the truncated gradient has the wrong sign.

Outside A7's class (w_t h_t >= 0, non-increasing) each of its conclusions fails; the counterexamples are exact.

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic.window_setting import EIGENVALUES, SQUARES, STEP_SIZE, gradient, kept, ramp
from l2o_theory.rigor.proof import Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "derived here"
_WINDOW = (
    Parameter("K", "natural", high="12", meaning="window"),
    Parameter("M", "natural", high="6", meaning="windows, the last one perhaps incomplete"),
    Parameter("r", "natural", high="K", meaning="steps in the last window"),
)
_RATIOS = {"rho_i": "1 - eta*l_i", "q_i": "rho_i**2"}

FINAL = Claim(
    id="truncation/monotonicity_limits/final_loss",
    title="As one would expect: for a final loss, too, a longer window keeps more of the gradient",
    source=_SOURCE,
    statement=(
        "Final loss: G_N,K/G_N = r_K(N)/N for one coordinate, so it should not decrease in K. False: N = 100 keeps "
        "50 "
        "steps at K = 50, 49 at K = 51, and one at K = 99."
    ),
    kind="rate",
    scope="final loss, all N and K",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("K", "natural", high="60", meaning="window"),
            Parameter("m", "natural", high="6", meaning="windows of K, the last one perhaps incomplete"),
            Parameter("r", "natural", high="K", meaning="r_K(N)"),
            Parameter("p", "natural", high="6", meaning="windows of K+1, the last one perhaps incomplete"),
            Parameter("s", "natural", high="K+1", meaning="r_{K+1}(N)"),
        ),
        hypotheses={"last": "r <= K", "longer": "s <= K+1", "horizon": "(m-1)*K + r == (p-1)*(K+1) + s"},
        conclusion="r <= s",
    ),
    witness={"K": "2", "m": "3", "r": "1", "p": "2", "s": "2"},
    counterexample={"K": "50", "m": "2", "r": "50", "p": "2", "s": "49"},
)

FINAL_DIVISORS = Claim(
    id="truncation/monotonicity_limits/final_loss_divisors",
    title="Corrected: among windows that divide the horizon the bias of a final loss does fall",
    source=_SOURCE,
    statement=(
        "If K <= J both divide N then r_K(N) = K, r_J(N) = J, and the bias (N - J) h_N <= (N - K) h_N for h_N >= 0."
    ),
    kind="tight",
    scope="final loss, K and J dividing N, h_N >= 0",
    expected=Status.PROVED,
    corrects="truncation/monotonicity_limits/final_loss",
    formal=Statement(
        parameters=(
            Parameter("K", "natural", high="12"),
            Parameter("m", "natural", high="6", meaning="N = m K"),
            Parameter("J", "natural", low="K", high="12"),
            Parameter("p", "natural", high="6", meaning="N = p J"),
            Parameter("h", low="0", meaning="h_N"),
        ),
        hypotheses={"horizon": "m*K == p*J", "longer": "K <= J", "sign": "h >= 0"},
        conclusion="(p*J - J)*h <= (m*K - K)*h",
    ),
    witness={"K": "2", "m": "3", "J": "3", "p": "2", "h": "1"},
    proof=Proof(steps=(Step("falls", "(p*J - J)*h <= (m*K - K)*h", using=("longer", "sign"), equal={"horizon": "h"}),)),
    mutations=(
        Mutation(
            "shorter windows", {"hypotheses": {"longer": "K >= J"}}, {"K": "2", "m": "1", "J": "1", "p": "2", "h": "1"}
        ),
        Mutation(
            "strict", {"conclusion": "(p*J - J)*h < (m*K - K)*h"}, {"K": "1", "m": "1", "J": "1", "p": "1", "h": "1"}
        ),
        Mutation(
            "negative terms", {"hypotheses": {"sign": "h <= 0"}}, {"K": "1", "m": "2", "J": "2", "p": "1", "h": "-1"}
        ),
    ),
)

SIGN = Claim(
    id="truncation/monotonicity_limits/sign_for_stable_steps",
    title="As one would expect: for a stable step size the truncated gradient has the right sign",
    source=_SOURCE,
    statement=(
        "0 < eta l_i < 2 (the inner loop converges): G_N,K G_N >= 0. False once some eta l_i > 1: eigenvalues (2, "
        "1/3, 1/7), "
        "start (1/2, 1, -2), eta = 3/4, N = 30 have relative bias 1.0898 at K = 1."
    ),
    kind="rate",
    scope="w = 1, all spectra with 0 < eta l_i < 2, eta l_i != 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(STEP_SIZE, *_WINDOW, EIGENVALUES, SQUARES),
        hypotheses={"stable": "0 < eta*l_i < 2", "square": "w_i >= 0", "last": "r <= K"},
        definitions={
            **_RATIOS,
            "full": gradient(ramp("q_i", "(M-1)*K+r")),
            "kept": gradient(kept("q_i", "K", "M-1", "r")),
        },
        conclusion="kept*full >= 0",
    ),
    witness={"eta": "1/2", "K": "2", "M": "2", "r": "1", "l_i": ["1"], "w_i": ["1"]},
    counterexample={
        "eta": "3/4",
        "K": "1",
        "M": "30",
        "r": "1",
        "l_i": ["2", "1/3", "1/7"],
        "w_i": ["1/4", "1", "4"],
    },
    notes=(
        "Truncation weighs early terms more, and those are dominated by the overshooting coordinate. The smallest "
        "case is "
        "N = 2, K = 1: eta = 1, eigenvalues (19/10, 1/2), squares (1, 42)."
    ),
)

STABLE = Claim(
    id="truncation/monotonicity_limits/stable_step_sizes",
    title="As one would expect: for a stable step size the bias falls with the window",
    source=_SOURCE,
    statement=(
        "N = 3, 0 < eta l_i < 2: |B_3,2| = 2 |h_3| <= |B_3,1| = |h_2 + 2 h_3|. False: eta = 1, eigenvalues (19/10, "
        "1/2), "
        "squares (1, 147) have hardly any bias at K = 1."
    ),
    kind="rate",
    scope="w = 1, N = 3, K = 1 and 2, all spectra with 0 < eta l_i < 2",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(STEP_SIZE, EIGENVALUES, SQUARES),
        hypotheses={"stable": "0 < eta*l_i < 2", "square": "w_i >= 0"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "second": "sum(l_i**2*w_i*rho_i**3)",
            "third": "sum(l_i**2*w_i*rho_i**5)",
        },
        conclusion="abs(2*third) <= abs(second + 2*third)",
    ),
    witness={"eta": "1/2", "l_i": ["1"], "w_i": ["1"]},
    counterexample={"eta": "1", "l_i": ["19/10", "1/2"], "w_i": ["1", "147"]},
)

ANY_STEP = Claim(
    id="truncation/monotonicity_limits/any_step_size",
    title="As one would expect: a longer window never has a larger bias, whatever the step size",
    source=_SOURCE,
    statement=(
        "|B_N,J| <= |B_N,K| for K < J. False in the divergent regime: eigenvalues (1, 1/50), start (1, 1), eta = "
        "21/10, N = 40 "
        "have relative bias 0.8019 at K = 10 and 0.8449 at K = 12."
    ),
    kind="rate",
    scope="w = 1, all step sizes, eta l_i not 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            STEP_SIZE,
            *_WINDOW,
            Parameter("J", "natural", low="K", high="14", meaning="longer window"),
            Parameter("P", "natural", high="6", meaning="its windows"),
            Parameter("s", "natural", high="J", meaning="steps in its last window"),
            EIGENVALUES,
            SQUARES,
        ),
        hypotheses={
            "forward": "eta*l_i > 0",
            "square": "w_i >= 0",
            "last": "r <= K",
            "last_longer": "s <= J",
            "longer": "K < J",
            "horizon": "(M-1)*K + r == (P-1)*J + s",
        },
        definitions={
            **_RATIOS,
            "full": gradient(ramp("q_i", "(M-1)*K+r")),
            "short": gradient(kept("q_i", "K", "M-1", "r")),
            "long": gradient(kept("q_i", "J", "P-1", "s")),
        },
        conclusion="abs(full - long) <= abs(full - short)",
    ),
    witness={
        "eta": "1/2",
        "K": "1",
        "M": "2",
        "r": "1",
        "J": "2",
        "P": "1",
        "s": "2",
        "l_i": ["1"],
        "w_i": ["1"],
    },
    counterexample={
        "eta": "21/10",
        "K": "10",
        "M": "4",
        "r": "10",
        "J": "12",
        "P": "4",
        "s": "4",
        "l_i": ["1", "1/50"],
        "w_i": ["1", "1"],
    },
)

CLAIMS = [FINAL, FINAL_DIVISORS, SIGN, STABLE, ANY_STEP]
