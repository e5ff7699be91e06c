r"""A4-A6: the closed form of the truncated gradient, and its relative bias for long runs and for frozen directions.

S(q,n) = sum_{r<=n} r q^r = q (1 - (n+1) q^n + n q^(n+1))/(1-q)^2, q = (1 - eta l)^2. Relative bias beta_K = B_N,K/G_N:

    (A5) N -> infinity, 0 < q < 1:  beta_K = K (1-q)/(q^(-K) - 1)      (A6) q -> 1, N = m K:  beta_K = 1 - (K+1)/(N+1)

Source: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.quadratic.window_setting import BERNOULLI, POWERS_ADD
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "derived here"
_Q = Parameter("q", landmarks=("0", "1", "-1"), meaning="(1 - eta l)^2, or any number")
_K = Parameter("K", "natural", high="40", meaning="window")

RAMP = Claim(
    id="truncation/closed_form/ramp_sum",
    title="A4, induction step: S(q,n) - S(q,n-1) = n q^n",
    source=_SOURCE,
    statement=(
        "For q != 1: S(q,n) = q (1 - (n+1) q^n + n q^(n+1))/(1-q)^2 has S(q,0) = 0 and S(q,n) - S(q,n-1) = n q^n "
        "(multiplied by (1-q)^2, so true at q = 1 too); hence S(q,n) = sum_{r<=n} r q^r."
    ),
    kind="identity",
    scope="all real q, all n >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(_Q, Parameter("n", "natural", meaning="steps")),
        hypotheses={"steps": "n >= 1"},
        definitions={
            "now": "q*(1-(n+1)*q**n+n*q**(n+1))",
            "before": "q*(1-n*q**(n-1)+(n-1)*q**n)",
            "term": "n*q**n*(1-q)**2",
        },
        conclusion="now - before == term and q*(1-(0+1)*1+0*q) == 0",
    ),
    witness={"q": "1/2", "n": "3"},
    proof=Proof(
        atoms={"Z": "q**(n-1)", "P": "q**n", "A": "q**(n+1)"},
        definitions={"now": "q*(1-(n+1)*P+n*A)", "before": "q*(1-n*Z+(n-1)*P)", "term": "n*P*(1-q)**2"},
        facts={"down": Fact("P == q*Z", POWERS_ADD), "up": Fact("A == q*P", POWERS_ADD)},
        steps=(
            Step("step", "now - before == term", equal={"up": "q*n", "down": "-n"}),
            Step("start", "q*(1-(0+1)*1+0*q) == 0"),
        ),
    ),
    mutations=(
        Mutation("n q^(n-1)", {"definitions": {"term": "n*q**(n-1)*(1-q)**2"}}),
        Mutation("n + 1 replaced by n", {"definitions": {"now": "q*(1-n*q**n+n*q**(n+1))"}}),
        Mutation("first power of 1 - q", {"definitions": {"term": "n*q**n*(1-q)"}}),
    ),
)

WINDOWS = Claim(
    id="truncation/closed_form/windows",
    title="A4: one more window adds q^(mK) S(q,K)",
    source=_SOURCE,
    statement=(
        "The sum over m windows is S(q,K) (1-q^(mK))/(1-q^K): a further window starts at t = m K and adds "
        "sum_{r<=K} r q^(mK+r) = q^(mK) S(q,K), an incomplete one q^(mK) S(q,b). With S = S(q,K), multiplied by "
        "1-q^K:\n"
        "S (1-q^(mK)) + q^(mK) S (1-q^K) = S (1-q^((m+1)K))."
    ),
    kind="identity",
    scope="all real q and S, all K, m >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(_Q, _K, Parameter("m", "natural", high="12"), Parameter("S", meaning="S(q,K)")),
        hypotheses={"window": "K >= 1"},
        definitions={
            "P": "q**K",
            "Q": "q**(m*K)",
            "next": "q**((m+1)*K)",
        },
        conclusion="S*(1-Q) + Q*S*(1-P) == S*(1-next)",
    ),
    witness={"q": "1/2", "K": "2", "m": "3", "S": "1"},
    proof=Proof(
        atoms={"P": "P", "Q": "Q", "next": "next"},
        facts={"powers": Fact("next == P*Q", POWERS_ADD)},
        steps=(Step("add", "S*(1-Q) + Q*S*(1-P) == S*(1-next)", equal={"powers": "S"}),),
    ),
    mutations=(
        Mutation("window not shifted", {"conclusion": "S*(1-Q) + S*(1-P) == S*(1-next)"}),
        Mutation("shifted by one step", {"definitions": {"next": "q**(m*K+1)"}}),
    ),
)

LONG_RUN = Claim(
    id="truncation/closed_form/long_run",
    title="A5: the relative bias of a long run is K (1-q)/(q^(-K) - 1), at most q, and falls with K",
    source=_SOURCE,
    statement=(
        "0 < q < 1, N -> infinity: G_N and G_N,K tend to q/(1-q)^2 and S(q,K)/(1-q^K) (times -l^2 x_0^2/rho), so "
        "that\n"
        "beta_K = K (1-q) q^K/(1-q^K), 0 < beta_K <= q with equality at K = 1, and beta_{K+1} < beta_K. All "
        "multiplied out."
    ),
    kind="tight",
    scope="one coordinate, 0 < q < 1, all K >= 1, N -> infinity",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(Parameter("q", low="0", high="1", meaning="(1 - eta l)^2"), _K),
        hypotheses={"contracts": "0 < q < 1", "window": "K >= 1"},
        definitions={
            "P": "q**K",
            "kept": "1-(K+1)*P+K*P*q",
            "bias": "K*(1-q)*P",
            "full": "1-P",
            "next_bias": "(K+1)*(1-q)*q**(K+1)",
            "next_full": "1-q**(K+1)",
        },
        conclusion="full - kept == bias and 0 < bias <= q*full and next_bias*full < bias*next_full",
    ),
    witness={"q": "1/2", "K": "2"},
    proof=Proof(
        atoms={"P": "P", "A": "q**(K+1)"},
        definitions={
            "kept": "1-(K+1)*P+K*P*q",
            "bias": "K*(1-q)*P",
            "full": "1-P",
            "next_bias": "(K+1)*(1-q)*A",
            "next_full": "1-A",
        },
        facts={
            "positive": Fact("P > 0", "integer powers of positive numbers are positive"),
            "up": Fact("A == q*P", POWERS_ADD),
            "mean": Fact("q*(1-P) >= K*(1-q)*P", BERNOULLI, "(1/q)^K >= 1 + K (1/q - 1), times q P"),
            "strict": Fact("A > 1 + (K+1)*(q-1)", BERNOULLI, "strict, since q is not 1 and K + 1 >= 2"),
        },
        steps=(
            Step("below", "1 - q > 0", using=("contracts.2",)),
            Step("count", "K > 0", using=("window",)),
            Step("same", "full - kept == bias"),
            Step("some", "0 < bias", terms=(times("count", "below", "positive"),)),
            Step("most", "bias <= q*full", using=("mean",), degree=1),
            Step(
                "falls",
                "next_bias*full < bias*next_full",
                terms=(times("below", "positive", "strict"),),
                equal={"up": "-(1-q)*(K+1)"},
            ),
        ),
    ),
    mutations=(
        Mutation("twice as small", {"conclusion": "2*bias <= q*full"}),
        Mutation("grows", {"conclusion": "next_bias*full > bias*next_full"}),
        Mutation("as if q = (1 - eta l)", {"definitions": {"bias": "K*(1-q)*q**(2*K)"}}),
    ),
)

FROZEN = Claim(
    id="truncation/closed_form/frozen_direction",
    title="A6: in a direction that hardly moves the bias is 1 - (K+1)/(N+1), only linear in K",
    source=_SOURCE,
    statement=(
        "q = 1, N = m K: sum_t r_K(t) = m K (K+1)/2 and sum_t t = N (N+1)/2, so G_N,K/G_N = (K+1)/(N+1). For N = m "
        "K + b the "
        "first sum is m K (K+1)/2 + b (b+1)/2 and the quotient is at most that."
    ),
    kind="tight",
    scope="the limit q -> 1 of one coordinate, all K, m >= 1 and 0 <= b < K",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("K", "natural", high="40", meaning="window"),
            Parameter("m", "natural", high="12", meaning="complete windows"),
            Parameter("B", "natural", high="K", meaning="1 + steps left over"),
        ),
        hypotheses={"window": "K >= 1", "some": "m >= 1", "rest": "1 <= B", "short": "B <= K"},
        definitions={
            "N": "m*K",
            "longer": "m*K + B - 1",
            "kept": "m*K*(K+1)/2",
            "kept_longer": "kept + (B-1)*B/2",
        },
        conclusion="kept*(N+1) == (K+1)*N*(N+1)/2 and kept_longer*(longer+1) <= (K+1)*longer*(longer+1)/2",
    ),
    witness={"K": "3", "m": "2", "B": "2"},
    proof=Proof(
        definitions={
            "N": "m*K",
            "longer": "m*K + B - 1",
            "kept": "m*K*(K+1)/2",
            "kept_longer": "kept + (B-1)*B/2",
        },
        steps=(
            Step("same", "kept*(N+1) == (K+1)*N*(N+1)/2"),
            Step("positive", "m*K >= 0", terms=(times("window", "some"), times("window"), times("some"), times())),
            Step("length", "longer + 1 >= 0", using=("positive", "rest"), degree=1),
            Step(
                "less",
                "kept_longer*(longer+1) <= (K+1)*longer*(longer+1)/2",
                terms=(times("length", "rest", "short", coef="1/2"), times("length", "rest", coef="1/2")),
            ),
        ),
    ),
    mutations=(
        Mutation("K/N", {"conclusion": "kept*N == K*N*(N+1)/2"}),
        Mutation("quadratic in K", {"conclusion": "kept*(N+1)**2 == (K+1)**2*N*(N+1)/2"}),
        Mutation(
            "strict",
            {"conclusion": "kept_longer*(longer+1) < (K+1)*longer*(longer+1)/2"},
            {"K": "1", "m": "1", "B": "1"},
        ),
    ),
)

CLAIMS = [RAMP, WINDOWS, LONG_RUN, FROZEN]
