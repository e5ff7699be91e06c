r"""Where a truncation window moves the best step: alpha*(K), the root of the truncated gradient G_N,K.

alpha*(K) <= alpha*(N): a window makes the step too greedy. But alpha*(K) need not grow with K.

Source: derived here.
"""

from fractions import Fraction

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"

WINDOW_GROWS_ALWAYS = Claim(
    id="truncation/stationary_steps/window_grows_always",
    title="As one would expect: a longer window tunes a larger step, at least where a longer horizon does",
    source=_SOURCE,
    statement=(
        "d = 2, |x_1| L > |x_2| mu: if G_N,K(eta) <= 0 then G_N,K+1(eta) <= 0, so alpha*(K) <= alpha*(K+1). False: "
        "eigenvalues "
        "(1, 1/100), squares (1, 4640), N = 4, eta = 9/5: alpha*(2) > 9/5 > alpha*(3)."
    ),
    kind="rate",
    scope="d = 2, all L > mu > 0 with |x_1| L > |x_2| mu, w = 1, N = 4, K = 2 and 3",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("eta", low="1", high="2", landmarks=("9/5",), meaning="step size, with L = 1"),
            Parameter("mu", low="0", high="1", landmarks=("1/100",), meaning="smaller eigenvalue"),
            Parameter("w", low="0", high="1/mu**2", meaning="x_2^2, with x_1 = 1"),
        ),
        hypotheses={"order": "0 < mu < 1", "class": "w*mu**2 < 1", "square": "w > 0", "still_falling": "two <= 0"},
        definitions={
            "u": "1 - eta",
            "v": "1 - eta*mu",
            "h1": "u + w*mu**2*v",
            "h2": "u**3 + w*mu**2*v**3",
            "h3": "u**5 + w*mu**2*v**5",
            "h4": "u**7 + w*mu**2*v**7",
            "two": "-(h1 + 2*h2 + h3 + 2*h4)",
            "three": "-(h1 + 2*h2 + 3*h3 + h4)",
        },
        conclusion="three <= 0",
    ),
    witness={"eta": "11/10", "mu": "1/10", "w": "50"},
    counterexample={"eta": "9/5", "mu": "1/100", "w": "4640"},
    notes="K = 2 divides N = 4 and K = 3 leaves a last window of one step: the incomplete window makes it greedier.",
)

BELOW_KEY = Claim(
    id="truncation/stationary_steps/window_below_full_key",
    title="The two inequalities behind alpha*(K) <= alpha*(N): n(n+1)/2 <= (m+1) P_K(n) and (m+1) r_K(t) <= t",
    source=_SOURCE,
    statement=(
        "n = m K + b, 0 <= b <= K: sum_{t<=n} t <= (m+1) sum_{t<=n} r_K(t); t = m K + r, 1 <= r <= K: (m+1) r <= t. "
        "With weights V_t >= 0 that do not increase, the\nquotient R(n) = sum_{t<=n} t V_t/sum_{t<=n} r_K(t) V_t is "
        "therefore "
        "non-decreasing in n."
    ),
    kind="tight",
    scope="all K >= 1, m >= 0, 0 <= b <= K, 1 <= r <= K",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("K", "natural", high="12", meaning="window"),
            Parameter("M", "natural", high="9", meaning="1 + m, the windows begun"),
            Parameter("b", low="0", high="K", landmarks=("0", "K"), meaning="steps in the last window"),
            Parameter("r", low="1", high="K", landmarks=("1", "K"), meaning="r_K(t)"),
        ),
        hypotheses={
            "window": "K >= 1",
            "begun": "M >= 1",
            "rest": "0 <= b",
            "rest_small": "b <= K",
            "kept": "r >= 1",
            "kept_small": "r <= K",
        },
        definitions={
            "n": "(M-1)*K + b",
            "P": "((M-1)*K*(K+1) + b*(b+1))/2",
            "t": "(M-1)*K + r",
        },
        conclusion="n*(n+1)/2 <= M*P and M*r <= t",
    ),
    witness={"K": "3", "M": "2", "b": "1", "r": "2"},
    proof=Proof(
        definitions={
            "n": "(M-1)*K + b",
            "P": "((M-1)*K*(K+1) + b*(b+1))/2",
            "t": "(M-1)*K + r",
        },
        steps=(
            Step("count", "K >= 0", using=("window",)),
            Step(
                "sums",
                "n*(n+1)/2 <= M*P",
                terms=(
                    times("begun", coef="1/2", square="K-b"),
                    times("begun", "begun", "count", coef="1/2"),
                    times("begun", "rest", coef="1/2"),
                ),
            ),
            Step("steps", "M*r <= t", terms=(times("begun", "kept_small"),)),
        ),
    ),
    mutations=(
        Mutation("m for m + 1", {"conclusion": "n*(n+1)/2 <= (M-1)*P"}, {"K": "3", "M": "1", "b": "1", "r": "2"}),
        Mutation("strict", {"conclusion": "n*(n+1)/2 < M*P"}, {"K": "3", "M": "1", "b": "1", "r": "2"}),
        Mutation("one step more", {"conclusion": "M*(r+1) <= t"}, {"K": "3", "M": "2", "b": "1", "r": "3"}),
    ),
    notes=(
        "From it: h_t = V_t g_t with V_t = v^(2t-1), v <= 1, and g_t = b - a (u/v)^(2t-1) increasing. R(n) <= R(N) "
        "says that the "
        "distribution t V_t dominates r_K(t) V_t, so sum r_K(t) h_t = 0 gives sum t h_t >= 0, which is G_N <= 0 at "
        "alpha*(K): "
        "alpha*(K) <= alpha*(N). These two summations by parts are not in the formal statement; window_below_full "
        "tests them."
    ),
)


def _below(seed: int) -> Measurement:
    """sum t h_t >= 0 where sum r_K(t) h_t = 0, exactly: a solved for, u < v <= 1 on a grid (nothing random)."""
    fractions = [F(k, 8) for k in range(1, 9)]
    rows, least, swapped = [], F(1), False
    for horizon in range(2, 13):
        checked = failed = 0
        for u, v in ((u, v) for u in fractions for v in fractions if u < v):
            U, V = ([z ** (2 * t - 1) for t in range(1, horizon + 1)] for z in (u, v))
            totals = [sum((t * x for t, x in enumerate(powers, start=1)), F(0)) for powers in (U, V)]
            for window in range(1, horizon + 1):
                kept = [sum(((t % window + 1) * x for t, x in enumerate(powers)), F(0)) for powers in (U, V)]
                slack = 1 - (kept[1] / kept[0]) * (totals[0] / totals[1])  # sum t h_t/sum t V_t at b = 1
                checked, failed = checked + 1, failed + (slack < 0)
                least = min(least, slack) if window < horizon else least
                swapped |= (kept[0] / kept[1]) * (totals[1] / totals[0]) > 1
        rows.append({"N": horizon, "windows and pairs u < v": checked, "violations": failed})
    fault = "also where the slow coordinate decays faster, u > v"
    return Measurement(
        holds=all(row["violations"] == 0 for row in rows),
        table=tuple(rows),
        margin=float(least),
        arithmetic="exact rationals",
        refuted_faults=(fault,) if swapped else (),
        accepted_faults=() if swapped else (fault,),
    )


BELOW = Claim(
    id="truncation/stationary_steps/window_below_full",
    title="Corrected: with two eigenvalues no window tunes a larger step than the full gradient",
    source=_SOURCE,
    statement=(
        "u < v <= 1, h_t = b v^(2t-1) - a u^(2t-1): sum_t r_K(t) h_t = 0 gives sum_t t h_t >= 0, that is alpha*(K) "
        "<= alpha*(N). "
        "Follows from window_below_full_key by summation by parts; here checked exactly."
    ),
    kind="measurement",
    scope="N = 2..12, all K <= N, 28 pairs u < v in {1/8, ..., 1}",
    expected=Status.NOT_FALSIFIED,
    corrects="truncation/stationary_steps/window_grows_always",
    measure=_below,
)

CLAIMS = [WINDOW_GROWS_ALWAYS, BELOW_KEY, BELOW]
