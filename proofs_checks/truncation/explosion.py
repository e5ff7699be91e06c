r"""A9: explosion is governed by the horizon N, not by the window K, as long as the dynamics are linear.

q = (1 - eta l)^2 > 1, N = m K: |G_N,K| = c S(q,K) (q^N - 1)/(q^K - 1) with c = l^2 x_0^2/|rho|. The window takes a
factor of about K/N off G_N; the q^N stays, because the state itself explodes. Where the state stays bounded a short
window does help, see double_well.

Source: derived here.
"""

from fractions import Fraction

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quadratic.window_setting import BERNOULLI, POWERS_ADD
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"
_K = Parameter("K", "natural", high="20", meaning="window")
_M = Parameter("m", "natural", high="10", meaning="windows, N = m K")
_GROWTH = "(1-q**(K*m))/(1-q**K)"

SHORT_WINDOWS = Claim(
    id="truncation/explosion/short_windows",
    title="As one would expect: short windows prevent explosion",
    source="folklore, made a statement here; derived here",
    statement=(
        "|G_{mK,K}| = |G_{K,K}| g with g = (1-q^(mK))/(1-q^K), and for a window that prevents explosion g <= m: "
        "each window "
        "contributes no more than the first. False for q > 1: eta l = 3, K = 1, m = 2 gives g = 5."
    ),
    kind="rate",
    scope="gradient descent on one coordinate, any step size with q != 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(Parameter("q", low="0", landmarks=("1", "4"), meaning="(1 - eta l)^2"), _K, _M),
        hypotheses={"square": "q > 0", "moves": "q != 1"},
        definitions={"growth": _GROWTH},
        conclusion="growth <= m",
    ),
    witness={"q": "1/4", "K": "2", "m": "2"},
    counterexample={"q": "4", "K": "1", "m": "2"},
)

STABLE = Claim(
    id="truncation/explosion/stable_step_sizes",
    title="Corrected: without explosion of the state itself, each window contributes no more than the first",
    source=_SOURCE,
    statement="0 < q < 1: g = (1-q^(mK))/(1-q^K) <= m.",
    kind="tight",
    scope="gradient descent on one coordinate, 0 < q < 1, all K and m",
    expected=Status.PROVED,
    corrects="truncation/explosion/short_windows",
    formal=Statement(
        parameters=(Parameter("q", low="0", high="1", meaning="(1 - eta l)^2"), _K, _M),
        hypotheses={"contracts": "0 < q < 1"},
        definitions={"growth": _GROWTH},
        conclusion="growth <= m",
    ),
    witness={"q": "1/4", "K": "2", "m": "2"},
    proof=Proof(
        atoms={"P": "q**K", "Q": "q**(K*m)", "growth": "growth"},
        facts={
            "smaller": Fact("1 - P > 0", "powers are increasing on x >= 0"),
            "mean": Fact("Q >= 1 + m*(P-1)", BERNOULLI, "Q = P^m"),
            "quotient": Fact("growth*(1-P) == 1-Q", "definition of g"),
        },
        steps=(
            Step("scaled", "(1-P)*(m-growth) >= 0", terms=(times("mean"),), equal={"quotient": "-1"}),
            Step("at_most", "growth <= m", cancel=("smaller", "scaled")),
        ),
    ),
    mutations=(
        Mutation("at most one", {"conclusion": "growth <= 1"}),
        Mutation("beyond q = 1", {"hypotheses": {"contracts": "0 < q < 2"}}, {"q": "3/2", "K": "1", "m": "2"}),
        Mutation("half of it", {"conclusion": "2*growth <= m"}),
    ),
)

STATE = Claim(
    id="truncation/explosion/state_explodes",
    title="A9: for q > 1 every window, however short, leaves the growth q^((m-1)K) of the last one",
    source=_SOURCE,
    statement=(
        "q > 1: |G_{mK,K}|/|G_{K,K}| = (q^(mK) - 1)/(q^K - 1) >= q^((m-1)K): exponential in N = m K at fixed K."
    ),
    kind="lower",
    scope="gradient descent on one coordinate, q > 1 (eta l > 2), all K and m",
    expected=Status.PROVED,
    corrects="truncation/explosion/short_windows",
    formal=Statement(
        parameters=(Parameter("q", low="1", landmarks=("4",), meaning="(1 - eta l)^2"), _K, _M),
        hypotheses={"expands": "q > 1"},
        definitions={"growth": _GROWTH, "last": "q**(K*(m-1))"},
        conclusion="growth >= last and last >= 1",
    ),
    witness={"q": "4", "K": "2", "m": "2"},
    proof=Proof(
        atoms={"P": "q**K", "Q": "q**(K*m)", "last": "last", "growth": "growth"},
        facts={
            "larger": Fact("P - 1 > 0", "powers are increasing on x >= 0"),
            "one": Fact("last >= 1", "powers are increasing on x >= 0"),
            "product": Fact("Q == P*last", POWERS_ADD),
            "quotient": Fact("growth*(1-P) == 1-Q", "definition of g"),
        },
        steps=(
            Step("scaled", "(P-1)*(growth-last) >= 0", terms=(times("one"),), equal={"quotient": "-1", "product": "1"}),
            Step("at_least", "growth >= last", cancel=("larger", "scaled")),
        ),
    ),
    mutations=(
        Mutation("one window more", {"definitions": {"last": "q**(K*m)"}}),
        Mutation("also for q < 1", {"hypotheses": {"expands": "q > 0 and q != 1"}}, {"q": "1/4", "K": "1", "m": "2"}),
        Mutation("half of the exponent counts", {"conclusion": "growth <= last"}),
    ),
)

RATIO = Claim(
    id="truncation/explosion/ratio",
    title="A9: the window takes a factor of about (K - 1/(q-1))/N off the exploding gradient",
    source=_SOURCE,
    statement=(
        "q > 1, N = m K, z = N (q-1), E_K = (1-(K+1)q^K+K q^(K+1))/((q-1)(q^K-1)): N G_N,K/G_N = E_K z (q^N-1)/F "
        "with "
        "F = 1-(N+1)q^N+N q^(N+1), and\n"
        "(z-1)(q^N-1) <= F <= z (q^N-1): the quotient lies in [E_K, E_K z/(z-1)] for z > 1. "
        "Moreover E_K = K - 1/(q-1) + K/(q^K-1) <= K. Multiplied out, P = q^K, Q = q^N."
    ),
    kind="tight",
    scope="one coordinate, q > 1, K dividing N",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(Parameter("q", low="1", landmarks=("4",), meaning="(1 - eta l)^2"), _K, _M),
        hypotheses={"expands": "q > 1", "window": "K >= 1", "some": "m >= 1"},
        definitions={
            "N": "K*m",
            "z": "N*(q-1)",
            "P": "q**K",
            "Q": "q**N",
            "A": "1-(K+1)*P+K*P*q",
            "F": "1-(N+1)*Q+N*Q*q",
        },
        conclusion="(z-1)*(Q-1) <= F and F <= z*(Q-1) and A == (P-1)*(K*(q-1)-1) + K*(q-1) and A <= K*(q-1)*(P-1)",
    ),
    witness={"q": "4", "K": "2", "m": "2"},
    proof=Proof(
        atoms={"P": "P", "Q": "Q"},
        definitions={"N": "K*m", "z": "N*(q-1)", "A": "1-(K+1)*P+K*P*q", "F": "1-(N+1)*Q+N*Q*q"},
        facts={
            "window_mean": Fact("P >= 1 + K*(q-1)", BERNOULLI),
            "run_mean": Fact("Q >= 1 + N*(q-1)", BERNOULLI),
        },
        steps=(
            Step("below", "(z-1)*(Q-1) <= F", using=("expands", "window", "some"), degree=3),
            Step("above", "F <= z*(Q-1)", using=("run_mean",), degree=1),
            Step("same", "A == (P-1)*(K*(q-1)-1) + K*(q-1)"),
            Step("at_most", "A <= K*(q-1)*(P-1)", using=("window_mean",), degree=1),
        ),
    ),
    mutations=(
        Mutation("K - 1 for K", {"conclusion": "A <= (K-1)*(q-1)*(P-1)"}),
        Mutation("sharper from below", {"conclusion": "z*(Q-1) <= F"}),
        Mutation("sharper from above", {"conclusion": "F <= (z-1)*(Q-1)"}),
    ),
    notes="So G_N ~ N q^(N+1)/(q-1) l^2 x_0^2/|rho| and G_N,K/G_N -> E_K/N, about (K - 1/(q-1))/N.",
)


def _curriculum(seed: int) -> Measurement:
    """The same expansion by two cures: a shorter window at N = 60, and a shorter horizon (exact, nothing random)."""
    from l2o_theory.quadratic import TruncatedDescent

    descent, eta, longest = TruncatedDescent([1, "1/50"], [1, 1]), F(21, 10), 60
    full = descent.meta_gradient(eta, longest, digits="exact")
    rows = []
    for size in range(1, longest + 1):
        window = descent.meta_gradient(eta, longest, size, digits="exact")
        horizon = descent.meta_gradient(eta, size, digits="exact")
        rows.append({"length": size, "window/full": float(window / full), "horizon/full": float(horizon / full)})
    least = rows[0]
    caught = {
        "the window cures as the horizon does": least["window/full"] > 100 * least["horizon/full"],
        "the window keeps all": least["window/full"] < F(1, 2),
    }
    return Measurement(
        holds=all(row["window/full"] >= 1 / longest for row in rows) and least["horizon/full"] < F(1, 10**5),
        table=tuple(rows),
        margin=float(least["window/full"]) * longest - 1,
        arithmetic="exact rationals",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


CURE = Claim(
    id="truncation/explosion/horizon_is_the_cure",
    title="At a divergent step size a window of 1 leaves over 1/60 of the gradient, a horizon of 1 less than 10^-5",
    source=_SOURCE,
    statement=(
        "Eigenvalues (1, 1/50), start (1, 1), eta = 21/10, N = 60: G_{60,K}/G_60 >= 1/60 for every K, "
        "while G_{N'}/G_60 < 10^-5 at N' = 1."
    ),
    kind="measurement",
    scope="one divergent instance, all lengths 1 to 60",
    expected=Status.NOT_FALSIFIED,
    measure=_curriculum,
)

CLAIMS = [SHORT_WINDOWS, STABLE, STATE, RATIO, CURE]
