r"""Truncated = full with t replaced by r_K(t): gradient descent with step eta on f = 1/2 sum_i l_i x_i^2.

rho = 1 - eta l, h_t = sum_i l_i^2 x_i^2 rho_i^(2t-1). With x detached after the steps K, 2K, ... the term of step t
keeps r_K(t) = ((t-1) mod K) + 1 of its t steps:

    (A1) G_N = -sum_t w_t t h_t    (A2) G_N,K = -sum_t w_t r_K(t) h_t    (A3) B_N,K = -sum_t w_t (t - r_K(t)) h_t

Source: derived here.
"""

from collections.abc import Callable
from fractions import Fraction

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.proof import Fact, Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction

_EXPONENTS_ADD = "x^a x^b = x^(a+b)"
TANGENT = Claim(
    id="truncation/recursion/tangent",
    title="A1, A2, induction step: r steps after its restart the tangent of x_t is -r l x_0 rho^(t-1)",
    source="derived here",
    statement=(
        "x_{t+1} = rho x_t has the tangent J_{t+1} = rho J_t - l x_t in eta. If J_t = -r l x_0 rho^(t-1), then "
        "J_{t+1} = -(r+1) l x_0 rho^t;\n"
        "restarted (J_t := 0) it is -1 l x_0 rho^t. So the term of step t is sum_i l_i x_{t,i} J_{t,i} = -r h_t: "
        "truncation "
        "replaces t by r_K(t), whether or not K divides N."
    ),
    kind="identity",
    scope="all eigenvalues, starts, real step sizes, dimensions; every t >= r >= 1 (induction over t)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("eta", landmarks=("0", "1", "2"), meaning="step size"),
            Parameter("t", "natural", meaning="steps taken"),
            Parameter("r", "natural", meaning="steps since the last restart"),
            Parameter("l_i", low="0", landmarks=("1", "1/eta"), meaning="eigenvalues"),
            Parameter("x_i", landmarks=("1", "-1"), meaning="starting point"),
        ),
        hypotheses={"restarted": "1 <= r", "within": "r <= t"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "position_i": "x_i*rho_i**t",
            "tangent_i": "-r*l_i*x_i*rho_i**(t-1)",
            "next_i": "rho_i*tangent_i - l_i*position_i",
            "fresh_i": "rho_i*0 - l_i*position_i",
            "claimed_i": "-(r+1)*l_i*x_i*rho_i**t",
            "first_i": "-l_i*x_i*rho_i**t",
            "slope": "sum(l_i**2*x_i**2*rho_i**(2*t-1))",
        },
        conclusion="next_i == claimed_i and fresh_i == first_i and sum(l_i*position_i*tangent_i) == -r*slope",
    ),
    witness={"eta": "1/2", "t": "3", "r": "2", "l_i": ["1", "3"], "x_i": ["1", "-2"]},
    proof=Proof(
        atoms={"P_i": "rho_i**(t-1)", "Q_i": "rho_i**t", "O_i": "rho_i**(2*t-1)"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "position_i": "x_i*Q_i",
            "tangent_i": "-r*l_i*x_i*P_i",
            "next_i": "rho_i*tangent_i - l_i*position_i",
            "fresh_i": "rho_i*0 - l_i*position_i",
            "claimed_i": "-(r+1)*l_i*x_i*Q_i",
            "first_i": "-l_i*x_i*Q_i",
            "slope": "sum(l_i**2*x_i**2*O_i)",
        },
        facts={
            "one_more": Fact("Q_i == rho_i*P_i", _EXPONENTS_ADD),
            "both": Fact("O_i == P_i*Q_i", _EXPONENTS_ADD),
        },
        steps=(
            Step("next", "next_i == claimed_i", equal={"one_more": "r*l_i*x_i"}),
            Step("fresh", "fresh_i == first_i"),
            Step("term", "l_i*position_i*tangent_i + r*l_i**2*x_i**2*O_i == 0", equal={"both": "r*l_i**2*x_i**2"}),
            Step("sum", "sum(l_i*position_i*tangent_i) == -r*slope", sum_of="term"),
        ),
    ),
    mutations=(
        Mutation(
            "the restart forgotten: t + 1 instead of r + 1", {"definitions": {"claimed_i": "-(t+1)*l_i*x_i*rho_i**t"}}
        ),
        Mutation("inner gradient detached", {"definitions": {"next_i": "tangent_i - l_i*position_i"}}),
        Mutation("one power less", {"definitions": {"claimed_i": "-(r+1)*l_i*x_i*rho_i**(t-1)"}}),
        Mutation("sign of the term", {"definitions": {"slope": "-sum(l_i**2*x_i**2*rho_i**(2*t-1))"}}),
    ),
)

# eigenvalues, start, step size: convergent, overshooting, rho = 0 and -1, frozen (eta = 0), divergent
INSTANCES = (
    ([F(1), F(1, 10)], [F(1), F(2)], F(1, 2)),
    ([F(2), F(1, 3), F(1, 7)], [F(1, 2), F(1), F(-2)], F(3, 4)),
    ([F(2), F(1, 5), F(1)], [F(3, 2), F(1), F(1)], F(1)),
    ([F(1), F(1, 3)], [F(1), F(1)], F(0)),
    ([F(1), F(1, 50)], [F(1), F(1)], F(21, 10)),
)
HORIZONS = (1, 2, 7, 12, 13)


def _unrolled(eigenvalues: list[Fraction], start: list[Fraction], eta: Fraction, horizon: int, window: int) -> Fraction:
    """The truncated gradient by running x and its tangent, restarted after every `window` steps: no powers."""
    x, tangent, total = list(start), [F(0)] * len(start), F(0)
    for t in range(1, horizon + 1):
        for i, value in enumerate(eigenvalues):
            tangent[i] += -value * x[i] - eta * value * tangent[i]
            x[i] -= eta * value * x[i]
            total += value * x[i] * tangent[i]
        if t % window == 0:
            tangent = [F(0)] * len(start)
    return total


def _with_kept(
    kept: Callable[[int, int], int],
    instance: tuple[list[Fraction], list[Fraction], Fraction],
    horizon: int,
    window: int,
) -> Fraction:
    eigenvalues, start, eta = instance
    total = F(0)
    for t in range(1, horizon + 1):
        for value, x in zip(eigenvalues, start, strict=True):
            total -= kept(t, window) * value**2 * x**2 * (1 - eta * value) ** (2 * t - 1)
    return total


def _all_windows(seed: int) -> Measurement:
    """(A2) and the analyzer's closed form (A4) against the recursion, every window (nothing random)."""
    from l2o_theory.quadratic import TruncatedDescent, kept_steps

    faults: dict[str, Callable[[int, int], int]] = {
        "min(t, K) steps survive (a sliding window)": lambda t, window: min(t, window),
        "t mod K steps survive": lambda t, window: t % window,
        "all t steps survive": lambda t, window: t,
    }
    rows, caught = [], dict.fromkeys(faults, False)
    for number, instance in enumerate(INSTANCES):
        eigenvalues, start, eta = instance
        descent = TruncatedDescent(eigenvalues, [x * x for x in start])
        for horizon in HORIZONS:
            equal = 0
            for window in range(1, horizon + 1):
                run = _unrolled(eigenvalues, start, eta, horizon, window)
                sums = _with_kept(kept_steps, instance, horizon, window)
                closed = descent.meta_gradient(eta, horizon, window, digits="exact")
                equal += run == sums == closed
                for name, kept in faults.items():
                    caught[name] |= _with_kept(kept, instance, horizon, window) != run
            rows.append({"instance": number, "N": horizon, "windows": horizon, "equal": equal})
    return Measurement(
        holds=all(row["equal"] == row["windows"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals, equality",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


ALL_WINDOWS = Claim(
    id="truncation/recursion/all_windows",
    title="A1-A4: full gradient with t replaced by r_K(t), and its closed form, equal the recursion for every window",
    source="derived here",
    statement=(
        "-sum_t r_K(t) h_t and -sum_i (l_i^2 x_i^2/rho_i) [S(q_i,K) (1-q_i^(mK))/(1-q_i^K) + q_i^(mK) S(q_i,b)], "
        "N = m K + b,\nequal as rationals what the detached recursion gives."
    ),
    kind="identity",
    scope="five rational instances (rho = 0, -1, 1 and divergent among them), N in {1, 2, 7, 12, 13}, all K = 1..N",
    expected=Status.NOT_FALSIFIED,
    measure=_all_windows,
    notes="The induction step for all t, K and instances is truncation/recursion/tangent; this ties it to the code.",
)

CLAIMS = [TANGENT, ALL_WINDOWS]
