r"""A7: where the terms fall, a longer window has a smaller bias, for every horizon and every pair of windows K, K+1.

P_K(n) = sum_{t<=n} r_K(t) is (n + sum of squared block sizes)/2 when n is cut into greedy blocks of K. Summation by
parts turns the truncated gradient into |G_N,K| = sum_n e_n P_K(n), e_n = w_n h_n - w_{n+1} h_{n+1} >= 0 (the last is
w_N h_N), so that all rests on P_K(n) <= P_{K+1}(n) <= n (n+1)/2.

Source: derived here.
"""

from fractions import Fraction
from itertools import pairwise
from random import Random

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_INTEGERS = "no integer lies strictly between two neighbours"


def _parameters(index: str) -> tuple[Parameter, ...]:
    """n = m K + (B-1) = f (K+1) + (C-1), written with d = D-1 = m - f >= 0: every n and K is of this form."""
    return (
        Parameter("K", "natural", high="9", meaning="window"),
        Parameter(f"D{index}", "natural", high="3", meaning="1 + how many fewer blocks the longer window makes"),
        Parameter(f"B{index}", "natural", high="K", meaning="1 + size of the last, incomplete block of K"),
        Parameter(f"C{index}", "natural", high="K+1", meaning="1 + size of the last, incomplete block of K+1"),
    )


def _hypotheses(index: str) -> dict[str, str]:
    return {
        "window": "K >= 1",
        "fewer_blocks": f"D{index} >= 1",
        "rest": f"1 <= B{index}",
        "rest_small": f"B{index} <= K",
        "rest_longer": f"1 <= C{index}",
        "rest_longer_small": f"C{index} <= K+1",
        "count": f"f{index} >= 0",
    }


def _definitions(index: str) -> dict[str, str]:
    return {
        f"f{index}": f"(D{index}-1)*K + B{index} - C{index}",
        f"m{index}": f"f{index} + D{index} - 1",
        f"n{index}": f"m{index}*K + B{index} - 1",
        f"P{index}": f"(m{index}*K*(K+1) + (B{index}-1)*B{index})/2",
        f"J{index}": f"(f{index}*(K+1)*(K+2) + (C{index}-1)*C{index})/2",
    }


def _steps(index: str) -> tuple[Step, ...]:
    """P <= J <= n(n+1)/2. If C <= B the difference is a sum of squares and products; else D >= 2, since f >= 0."""
    B, C, D, n, P, J = (f"{name}{index}" for name in "BCDnPJ")
    goal = f"{J} - {P} >= 0"
    return (
        Step("window_positive", "K > 0", using=("window",)),
        Step(
            "longer",
            goal,
            split=f"{B} - {C}",
            nonnegative=(
                Step(
                    "smaller_rest",
                    goal,
                    terms=(
                        times("count", coef="1/2"),
                        times("fewer_blocks", coef="1/2", square="K"),
                        times("longer_case", "rest_small"),
                        times("longer_case"),
                        times(coef="1/2", square=f"{B}-{C}"),
                    ),
                ),
            ),
            negative=(
                Step("some", f"({D}-1)*K > 0", terms=(times("count"), times("longer_case"))),
                Step("more_than_none", f"{D} - 1 > 0", cancel=("window_positive", "some")),
                Step("at_least", f"{D} - 2 >= 0", cancel=("more_than_none", "whole")),
                Step(
                    "larger_rest",
                    goal,
                    terms=(
                        times("at_least", "window_positive", coef="1/2"),
                        times("at_least", coef="1/2", square="K"),
                        times("rest_longer_small", "rest_longer_small", coef="1/2"),
                        times("rest_longer_small", "rest", coef="1/2"),
                        times("rest_longer_small", "rest", coef="1/2"),
                        times("rest_longer_small", coef="1/2"),
                        times("rest", "rest", coef="1/2"),
                        times("rest", coef="1/2"),
                        times("rest", "longer_case"),
                    ),
                ),
            ),
        ),
        Step(
            "full",
            f"{n}*({n}+1)/2 - {J} >= 0",
            terms=(
                times("blocks", coef="1/2", square="K+1"),
                times("count", "window", "rest_longer"),
                times("count", "rest_longer", coef="2"),
            ),
        ),
    )


def _facts(index: str) -> dict[str, Fact]:
    return {
        "whole": Fact(f"(D{index}-1)*(D{index}-2) >= 0", _INTEGERS),
        "blocks": Fact(f"f{index}*(f{index}-1) >= 0", _INTEGERS),
    }


BLOCKS = Claim(
    id="truncation/monotonicity/blocks",
    title="A7, the key inequality: P_K(n) <= P_{K+1}(n) <= n (n+1)/2",
    source="derived here",
    statement=(
        "P_K(n) = sum_{t<=n} r_K(t) = m K (K+1)/2 + b (b+1)/2 for n = m K + b, 0 <= b < K. For all n >= 0 and K >= "
        "1: "
        "P_K(n) <= P_{K+1}(n) <= n (n+1)/2.\n"
        "Blocks of K+1 majorize blocks of K, and the sum of squares grows with majorization."
    ),
    kind="tight",
    scope="all n >= 0 and K >= 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=_parameters(""),
        hypotheses=_hypotheses(""),
        definitions=_definitions(""),
        conclusion="n == f*(K+1) + C - 1 and P <= J and J <= n*(n+1)/2",
    ),
    witness={"K": "3", "D": "2", "B": "2", "C": "3"},
    proof=Proof(
        definitions=_definitions(""),
        facts=_facts(""),
        steps=(Step("same", "n == f*(K+1) + C - 1"), *_steps("")),
    ),
    mutations=(
        Mutation("strict", {"conclusion": "P < J"}),
        Mutation("window K + 1 of one step more", {"conclusion": "P + 1 <= J"}),
        Mutation("the other way round", {"conclusion": "P >= J"}),
        Mutation(
            "real block counts",
            {"parameters": (*_parameters("")[:1], Parameter("D", low="1", high="3"), *_parameters("")[2:])},
            {"K": "3", "D": "4/3", "B": "2", "C": "3"},
        ),
    ),
    notes=(
        "n = m K + b = f (K+1) + c with d = m - f; that m >= f holds because fewer blocks of K+1 fill n. "
        "Integers matter: with a real number of blocks the inequality fails (last mutation)."
    ),
)

MONOTONE = Claim(
    id="truncation/monotonicity/bias_falls",
    title="A7: where w_t h_t >= 0 does not increase, the bias falls with the window and the sign is right",
    source="derived here",
    statement=(
        "If w_t h_t >= 0 is non-increasing in t: |G_N,K| <= |G_N,K+1| <= |G_N| for all K and N (K need not divide "
        "N), so "
        "|B_N,K| is non-increasing in K.\n"
        "Summed by parts: sum_n e_n P_K(n) <= sum_n e_n P_{K+1}(n) <= sum_n e_n n (n+1)/2 for all e_n = w_n h_n - "
        "w_{n+1} h_{n+1} >= 0."
    ),
    kind="tight",
    scope="all N and K, all non-increasing w_t h_t >= 0 (written as e_n >= 0)",
    expected=Status.PROVED,
    corrects="truncation/monotonicity_limits/any_step_size",
    formal=Statement(
        parameters=(
            *_parameters("_i"),
            Parameter("e_i", low="0", landmarks=("0", "1"), meaning="fall of w_n h_n at n"),
        ),
        hypotheses={**_hypotheses("_i"), "falls": "e_i >= 0"},
        definitions=_definitions("_i"),
        conclusion="sum(e_i*P_i) <= sum(e_i*J_i) <= sum(e_i*n_i*(n_i+1))/2",
    ),
    witness={"K": "3", "D_i": ["2", "1"], "B_i": ["2", "3"], "C_i": ["3", "2"], "e_i": ["1", "1/2"]},
    proof=Proof(
        definitions=_definitions("_i"),
        facts=_facts("_i"),
        steps=(
            *_steps("_i"),
            Step("weighed", "e_i*J_i - e_i*P_i >= 0", terms=(times("falls", "longer"),)),
            Step("less_bias", "sum(e_i*P_i) <= sum(e_i*J_i)", sum_of="weighed"),
            Step("weighed_full", "e_i*n_i*(n_i+1)/2 - e_i*J_i >= 0", terms=(times("falls", "full"),)),
            Step("some_bias", "sum(e_i*J_i) <= sum(e_i*n_i*(n_i+1))/2", sum_of="weighed_full"),
        ),
    ),
    mutations=(
        Mutation("terms may grow", {"hypotheses": {"falls": "e_i >= -1"}}),
        Mutation("twice the kept steps", {"conclusion": "2*sum(e_i*P_i) <= sum(e_i*J_i)"}),
        Mutation("no bias left", {"conclusion": "sum(e_i*J_i) >= sum(e_i*n_i*(n_i+1))/2"}),
    ),
    notes=(
        "At each n: n = m K + (B-1) = f (K+1) + (C-1) and D - 1 = m - f; P and J are P_K(n) and P_{K+1}(n). For 0 < "
        "eta l_i < 1 "
        "and w = 1 the terms are of this kind (truncation/monotonicity/class)."
    ),
)

RIGHT_SIGN = Claim(
    id="truncation/monotonicity/right_sign",
    title="A7: where w_t h_t >= 0, the truncated gradient has the right sign and is too small, at most N-fold",
    source="derived here",
    statement=(
        "If w_t h_t >= 0 for t = 1..N: 0 <= |G_N|/N <= |G_N,K| <= |G_N|, so 0 <= B_N,K/G_N <= 1 - 1/N < 1. "
        "Nothing is used of r_K but 1 <= r_K(t) <= t."
    ),
    kind="tight",
    scope="all N and K, all w_t h_t >= 0; every rule of detaching that keeps at least the last step",
    expected=Status.PROVED,
    corrects="truncation/monotonicity_limits/sign_for_stable_steps",
    formal=Statement(
        parameters=(
            Parameter("N", "natural", meaning="horizon"),
            Parameter("r_i", "natural", high="4", meaning="steps that survive"),
            Parameter("D_i", "natural", high="9", meaning="1 + steps that are dropped"),
            Parameter("h_i", low="0", landmarks=("0", "1"), meaning="w_t h_t"),
        ),
        hypotheses={"kept": "1 <= r_i", "dropped": "1 <= D_i", "horizon": "t_i <= N", "sign": "h_i >= 0"},
        definitions={"t_i": "r_i + D_i - 1"},
        conclusion="0 <= sum(t_i*h_i) and sum(t_i*h_i) <= N*sum(r_i*h_i) and sum(r_i*h_i) <= sum(t_i*h_i)",
    ),
    witness={"N": "3", "r_i": ["1", "2", "1"], "D_i": ["1", "1", "3"], "h_i": ["1", "1/2", "1/4"]},
    proof=Proof(
        definitions={"t_i": "r_i + D_i - 1"},
        steps=(
            Step("positive", "t_i*h_i >= 0", using=("kept", "dropped", "sign")),
            Step("all_positive", "0 <= sum(t_i*h_i)", sum_of="positive"),
            Step("least", "N*r_i*h_i - t_i*h_i >= 0", using=("kept", "dropped", "horizon", "sign"), degree=3),
            Step("at_least", "sum(t_i*h_i) <= N*sum(r_i*h_i)", sum_of="least"),
            Step("most", "t_i*h_i - r_i*h_i >= 0", using=("dropped", "sign")),
            Step("at_most", "sum(r_i*h_i) <= sum(t_i*h_i)", sum_of="most"),
        ),
    ),
    mutations=(
        Mutation(
            "signs may change",
            {"hypotheses": {"sign": "h_i >= -1"}},
            {"N": "2", "r_i": ["1"], "D_i": ["2"], "h_i": ["-1"]},
        ),
        Mutation(
            "half of it survives",
            {"conclusion": "sum(t_i*h_i) <= 2*sum(r_i*h_i)"},
            {"N": "3", "r_i": ["1"], "D_i": ["3"], "h_i": ["1"]},
        ),
        Mutation(
            "too small, strictly",
            {"conclusion": "sum(r_i*h_i) < sum(t_i*h_i)"},
            {"N": "1", "r_i": ["1"], "D_i": ["1"], "h_i": ["1"]},
        ),
    ),
)

CLASS = Claim(
    id="truncation/monotonicity/class",
    title="A7: with w = 1 and 0 <= eta l_i <= 1 the terms h_t are non-negative and do not increase",
    source="derived here",
    statement=(
        "h_t = sum_i l_i^2 x_i^2 (1 - eta l_i)^(2t-1) obeys 0 <= h_{t+1} <= h_t if 0 <= eta l_i <= 1 for all i."
    ),
    kind="upper",
    scope="all spectra, starts, t >= 1 and 0 <= eta l_i <= 1",
    expected=Status.PROVED,
    corrects="truncation/monotonicity_limits/stable_step_sizes",
    formal=Statement(
        parameters=(
            Parameter("eta", low="0", landmarks=("1",), meaning="step size"),
            Parameter("t", "natural", meaning="step"),
            Parameter("l_i", low="0", high="1/eta", landmarks=("1/eta",), meaning="eigenvalues"),
            Parameter("w_i", low="0", meaning="squares of the starting point"),
        ),
        hypotheses={"step": "eta*l_i >= 0", "short": "eta*l_i <= 1", "square": "w_i >= 0"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "term": "sum(l_i**2*w_i*rho_i**(2*t-1))",
            "next": "sum(l_i**2*w_i*rho_i**(2*t+1))",
        },
        conclusion="0 <= next <= term",
    ),
    witness={"eta": "1/2", "t": "2", "l_i": ["1", "2"], "w_i": ["1", "3"]},
    proof=Proof(
        atoms={"P_i": "rho_i**(2*t-1)", "Q_i": "rho_i**(2*t+1)"},
        definitions={"rho_i": "1 - eta*l_i", "term": "sum(l_i**2*w_i*P_i)", "next": "sum(l_i**2*w_i*Q_i)"},
        facts={
            "positive": Fact("P_i >= 0", "powers of non-negative numbers are non-negative"),
            "squared": Fact("Q_i == P_i*rho_i**2", "x^a x^b = x^(a+b)"),
        },
        steps=(
            Step(
                "one",
                "l_i**2*w_i*Q_i >= 0",
                terms=(times("square", "positive", square="l_i*rho_i"),),
                equal={"squared": "l_i**2*w_i"},
            ),
            Step("all", "0 <= next", sum_of="one"),
            Step("short_root", "1 - rho_i**2 >= 0", terms=(times("step", "short"), times("step"))),
            Step(
                "less",
                "l_i**2*w_i*P_i - l_i**2*w_i*Q_i >= 0",
                terms=(times("square", "positive", "short_root", square="l_i"),),
                equal={"squared": "-l_i**2*w_i"},
            ),
            Step("sum_less", "next <= term", sum_of="less"),
        ),
    ),
    mutations=(
        Mutation("eta l up to 3/2", {"hypotheses": {"short": "2*eta*l_i <= 3"}}),
        Mutation("negative steps", {"hypotheses": {"step": "eta*l_i >= -1"}}),
        Mutation("halved at each step", {"conclusion": "2*next <= term"}),
    ),
)


def _kept_up_to(n: int, window: int) -> int:
    return sum((t - 1) % window + 1 for t in range(1, n + 1))


def _by_parts(seed: int) -> Measurement:
    """Random non-increasing rational sequences: Abel's identity, and |G| non-decreasing in K, exactly."""
    random = Random(seed)
    rows, grows, monotone_faults = [], False, 0
    for horizon in (1, 2, 5, 12, 13, 24, 30):
        falls = [F(random.randrange(0, 5), random.randrange(1, 9)) for _ in range(horizon)]
        terms = [sum(falls[t:], F(0)) for t in range(horizon)]
        kept = []
        for window in range(1, horizon + 1):
            direct = sum(((t % window + 1) * g for t, g in enumerate(terms)), F(0))
            parts = sum((e * _kept_up_to(n, window) for n, e in enumerate(falls, start=1)), F(0))
            closed = all(
                2 * _kept_up_to(n, window) == n // window * window * (window + 1) + n % window * (n % window + 1)
                for n in range(1, horizon + 1)
            )
            rows.append({"N": horizon, "K": window, "kept": str(direct), "equal": direct == parts and closed})
            kept.append(direct)
        rows[-1]["monotone"] = all(a <= b for a, b in pairwise(kept))
        rising = [((horizon - 1) % window + 1) for window in range(1, horizon + 1)]  # final loss: all weight on t = N
        monotone_faults += any(a > b for a, b in pairwise(rising))
        grows |= any(sum(falls[: t + 1], F(0)) != terms[t] for t in range(horizon))
    caught = {"monotone also for the final loss": monotone_faults > 0, "e summed from the front": grows}
    return Measurement(
        holds=all(row["equal"] and row.get("monotone", True) for row in rows),
        table=tuple(row for row in rows if "monotone" in row),
        margin=0.0,
        arithmetic="exact rationals, all K = 1..N",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


BY_PARTS = Claim(
    id="truncation/monotonicity/summation_by_parts",
    title="A7: sum_t r_K(t) w_t h_t = sum_n e_n P_K(n), by the definition of r_K itself",
    source="derived here",
    statement=(
        "Abel's summation with P_K(n) = sum_{t<=n} r_K(t) = m K (K+1)/2 + b (b+1)/2, and |G_N,K| non-decreasing in "
        "K, "
        "for random falls e_n >= 0."
    ),
    kind="identity",
    scope="seven horizons N <= 30, all K = 1..N, one random rational sequence each",
    expected=Status.NOT_FALSIFIED,
    measure=_by_parts,
)

CLAIMS = [BLOCKS, MONOTONE, RIGHT_SIGN, CLASS, BY_PARTS]
