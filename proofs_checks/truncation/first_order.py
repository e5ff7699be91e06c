r"""F1: first-order meta-gradients, in which every inner gradient is held constant.

    d f(x_t)/d eta |_FO = sum_i l_i x_{t,i} (x_{t,i} - x_{s,i})/eta,   s = start of the window of t, r = t - s

per coordinate (1/r) sum_{j<r} rho^(-j) times the exact term. For 0 < rho < 1 it has the right sign and is too large;
for rho < 0 it may have the wrong one. Truncated and full must be compared at the same order: the two errors differ in
direction.

Source: derived here.
"""

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quadratic.window_setting import (
    BERNOULLI,
    EIGENVALUES,
    POWERS_ADD,
    SQUARES,
    STEP_SIZE,
    gradient,
    ramp,
)
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "derived here"

TANGENT = Claim(
    id="truncation/first_order/tangent",
    title="F1, induction step: the first-order tangent of x_t is (x_t - x_s)/eta",
    source=_SOURCE,
    statement=(
        "With gradients held constant the tangent obeys J_{t+1} = J_t - grad f(x_t), and x_{t+1} - x_t = -eta grad "
        "f(x_t). So "
        "eta J_t = x_t - x_s from the restart J_s = 0 on, for every loss f, not only quadratics."
    ),
    kind="identity",
    scope="gradient descent on any differentiable loss, one coordinate at a time (induction over t)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("eta", landmarks=("0", "1")),
            Parameter("x", meaning="x_t"),
            Parameter("s", meaning="x_s, at the start of the window"),
            Parameter("g", meaning="grad f(x_t)"),
            Parameter("J", meaning="tangent at t"),
        ),
        hypotheses={"before": "eta*J == x - s"},
        definitions={"moved": "x - eta*g", "next": "J - g"},
        conclusion="eta*next == moved - s",
    ),
    witness={"eta": "1/2", "x": "1", "s": "2", "g": "3", "J": "-2"},
    proof=Proof(
        definitions={"moved": "x - eta*g", "next": "J - g"},
        steps=(Step("step", "eta*next == moved - s", equal={"before": "1"}),),
    ),
    mutations=(
        Mutation("from x_0 = 0", {"conclusion": "eta*next == moved"}),
        Mutation("second order kept", {"definitions": {"next": "J - eta*J - g"}}),
    ),
)

TOO_LARGE = Claim(
    id="truncation/first_order/too_large",
    title="F1: for 0 < eta l_i < 1 the first-order gradient has the right sign and is too large",
    source=_SOURCE,
    statement=(
        "0 < eta l_i < 1: 0 <= r l_i^2 w_i rho_i^(2t-1) <= l_i w_i rho_i^t (rho_i^s - rho_i^t)/eta with t = s + r. "
        "Summed over i "
        "and over the steps: |G_N,K| <= |first order|, while |G_N,K| <= |G_N| for truncation: opposite errors."
    ),
    kind="tight",
    scope="all spectra with 0 < eta l_i < 1, all starts, windows and steps; each t",
    expected=Status.PROVED,
    corrects="truncation/first_order/sign_for_stable_steps",
    formal=Statement(
        parameters=(
            STEP_SIZE,
            Parameter("s", "natural", high="6", meaning="1 + start of the window"),
            Parameter("r", "natural", high="6", meaning="steps since"),
            Parameter("l_i", low="0", high="1/eta", meaning="eigenvalues"),
            SQUARES,
        ),
        hypotheses={
            "forward": "eta > 0",
            "moves": "l_i > 0",
            "short": "eta*l_i < 1",
            "square": "w_i >= 0",
            "some": "r >= 1",
        },
        definitions={
            "rho_i": "1 - eta*l_i",
            "exact": "sum(r*l_i**2*w_i*rho_i**(2*(s+r-1)-1))",
            "detached": "sum(l_i*w_i*rho_i**(s+r-1)*(rho_i**(s-1)-rho_i**(s+r-1)))",
        },
        conclusion="0 <= exact and eta*exact <= detached",
    ),
    witness={"eta": "1/2", "s": "1", "r": "2", "l_i": ["1", "1/2"], "w_i": ["1", "2"]},
    proof=Proof(
        atoms={
            "S_i": "rho_i**(s-1)",
            "T_i": "rho_i**(s+r-1)",
            "L_i": "rho_i**(s+r-2)",
            "O_i": "rho_i**(2*(s+r-1)-1)",
        },
        definitions={
            "rho_i": "1 - eta*l_i",
            "exact": "sum(r*l_i**2*w_i*O_i)",
            "detached": "sum(l_i*w_i*T_i*(S_i-T_i))",
        },
        facts={
            "odd": Fact("O_i == T_i*L_i", POWERS_ADD),
            "positive": Fact("T_i >= 0", "powers of non-negative numbers are non-negative"),
            "before": Fact("L_i >= 0", "powers of non-negative numbers are non-negative"),
            "mean": Fact("S_i - T_i >= r*eta*l_i*L_i", BERNOULLI, "(1/rho)^r >= 1 + r (1/rho - 1), times rho^t"),
        },
        steps=(
            Step("count", "r >= 0", using=("some",)),
            Step(
                "sign",
                "r*l_i**2*w_i*O_i >= 0",
                terms=(times("count", "square", "positive", "before", square="l_i"),),
                equal={"odd": "r*l_i**2*w_i"},
            ),
            Step("signs", "0 <= exact", sum_of="sign"),
            Step(
                "larger",
                "l_i*w_i*T_i*(S_i-T_i) - eta*r*l_i**2*w_i*O_i >= 0",
                terms=(times("moves", "square", "positive", "mean"),),
                equal={"odd": "-eta*r*l_i**2*w_i"},
            ),
            Step("all_larger", "sum(l_i*w_i*T_i*(S_i-T_i)) - eta*sum(r*l_i**2*w_i*O_i) >= 0", sum_of="larger"),
            Step("most", "eta*exact <= detached", using=("all_larger",), degree=1),
        ),
    ),
    mutations=(
        Mutation("too small", {"conclusion": "eta*exact >= detached"}),
        Mutation(
            "at most twice",
            {"conclusion": "detached <= 2*eta*exact"},
            {"eta": "1", "s": "1", "r": "3", "l_i": ["9/10"], "w_i": ["1"]},
        ),
        Mutation(
            "beyond eta l = 1",
            {"hypotheses": {"short": "eta*l_i < 2"}},
            {"eta": "1", "s": "1", "r": "2", "l_i": ["3/2"], "w_i": ["1"]},
        ),
    ),
    notes=(
        "The ratio is about rho^(1-t)/(t (1-rho)): the first-order term decays like rho^t, the exact one like rho^(2t)."
    ),
)

SIGN = Claim(
    id="truncation/first_order/sign_for_stable_steps",
    title="As one would expect: for a stable step size the first-order gradient has the right sign",
    source=_SOURCE,
    statement=(
        "0 < eta l_i < 2: first-order gradient times G_N >= 0. False: eigenvalues (1, 1/4, 1/100), start (1, -1, "
        "3), eta = "
        "3/2, N = 48 give G = +0.35302 and first order -0.26221."
    ),
    kind="rate",
    scope="w = 1, full windows, all spectra with 0 < eta l_i < 2, eta l_i != 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(STEP_SIZE, Parameter("N", "natural", high="60", meaning="horizon"), EIGENVALUES, SQUARES),
        hypotheses={"stable": "0 < eta*l_i < 2", "square": "w_i >= 0"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "q_i": "rho_i**2",
            "full": gradient(ramp("q_i", "N")),
            "detached": "sum(l_i*w_i*(q_i*(1-q_i**N)/(1-q_i) - rho_i*(1-rho_i**N)/(1-rho_i)))/eta",
        },
        conclusion="full*detached >= 0",
    ),
    witness={"eta": "1/2", "N": "2", "l_i": ["1"], "w_i": ["1"]},
    counterexample={"eta": "3/2", "N": "48", "l_i": ["1", "1/4", "1/100"], "w_i": ["1", "1", "9"]},
)

ONE_COORDINATE = Claim(
    id="truncation/first_order/one_overshooting_coordinate",
    title="As one would expect: in one dimension the first-order gradient has the right sign",
    source=_SOURCE,
    statement=(
        "One coordinate, final loss at t, 0 < eta l < 2: (rho^t - 1) rho^t/eta times -t l rho^(2t-1) >= 0. False "
        "for rho < 0: "
        "rho = -1/2, t = 2 has the ratio -1/2."
    ),
    kind="rate",
    scope="one coordinate, final loss, full window, 0 < eta l < 2",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("rho", low="-1", high="1", meaning="1 - eta l"),
            Parameter("t", "natural", meaning="steps"),
        ),
        hypotheses={"stable": "-1 < rho < 1"},
        definitions={"exact": "-t*(1-rho)*rho**(2*t-1)", "detached": "rho**t*(rho**t - 1)"},
        conclusion="exact*detached >= 0",
    ),
    witness={"rho": "1/2", "t": "2"},
    counterexample={"rho": "-1/2", "t": "2"},
)


_ODD_EVEN = "(-x)^n = x^n for even n, -x^n for odd n"
PARITY = Claim(
    id="truncation/first_order/parity",
    title="Corrected: for an overshooting coordinate the first-order sign is wrong at even t, and only there",
    source=_SOURCE,
    statement=(
        "One coordinate, final loss at t, -1 < rho < 0: the exact term -t (1-rho) rho^(2t-1) is positive; the "
        "first-order term "
        "rho^t (rho^t - 1) is negative for t = 2k and positive for t = 2k - 1. (For 0 < rho < 1 both are negative.)"
    ),
    kind="tight",
    scope="one coordinate, full window, 1 < eta l < 2, all t",
    expected=Status.PROVED,
    corrects="truncation/first_order/one_overshooting_coordinate",
    formal=Statement(
        parameters=(
            Parameter("u", low="0", high="1", meaning="-rho = eta l - 1"),
            Parameter("k", "natural", high="9", meaning="t = 2k or 2k - 1"),
        ),
        hypotheses={"overshoots": "0 < u < 1", "steps": "k >= 1"},
        definitions={
            "even": "(-u)**(2*k)",
            "odd": "(-u)**(2*k-1)",
            "even_exact": "-2*k*(1+u)*(-u)**(4*k-1)",
            "odd_exact": "-(2*k-1)*(1+u)*(-u)**(4*k-3)",
        },
        conclusion="even*(even-1) < 0 and even_exact > 0 and odd*(odd-1) > 0 and odd_exact > 0",
    ),
    witness={"u": "1/2", "k": "1"},
    proof=Proof(
        atoms={"even": "even", "odd": "odd", "X": "(-u)**(4*k-1)", "Y": "(-u)**(4*k-3)"},
        definitions={"even_exact": "-2*k*(1+u)*X", "odd_exact": "-(2*k-1)*(1+u)*Y"},
        facts={
            "even_positive": Fact("even > 0", _ODD_EVEN),
            "even_small": Fact("even < 1", "powers are increasing on x >= 0"),
            "odd_negative": Fact("odd < 0", _ODD_EVEN),
            "X_negative": Fact("X < 0", _ODD_EVEN),
            "Y_negative": Fact("Y < 0", _ODD_EVEN),
        },
        steps=(
            Step("count", "k > 0", using=("steps",)),
            Step("odd_count", "2*k - 1 > 0", using=("steps",)),
            Step("wrong", "even*(even-1) < 0", terms=(times("even_positive", "even_small"),)),
            Step(
                "exact_at_even",
                "even_exact > 0",
                terms=(
                    times("count", "X_negative", coef="2"),
                    times("count", "X_negative", "overshoots.1", coef="2"),
                ),
            ),
            Step(
                "right",
                "odd*(odd-1) > 0",
                terms=(times("odd_negative", "odd_negative"), times("odd_negative")),
            ),
            Step(
                "exact_at_odd",
                "odd_exact > 0",
                terms=(
                    times("odd_count", "Y_negative"),
                    times("odd_count", "Y_negative", "overshoots.1"),
                ),
            ),
        ),
    ),
    mutations=(
        Mutation("wrong at odd t too", {"conclusion": "odd*(odd-1) < 0"}),
        Mutation("right at even t", {"conclusion": "even*(even-1) > 0"}),
        Mutation("without overshoot", {"hypotheses": {"overshoots": "-1 < u < 1"}}, {"u": "-1/2", "k": "1"}),
    ),
)


def _stationary(seed: int) -> Measurement:
    """Stationary steps of the exact and the first-order gradient on two problems, certified signs (nothing "
    "random)."""
    from l2o_theory.quadratic import TruncatedDescent

    rows = []
    for squares, horizon in (((1, 1), 100), ((1, 9), 200)):
        descent = TruncatedDescent([1, "1/50"], squares)
        exact = descent.step_size_bracket(horizon)
        detached = descent.step_size_bracket(horizon, first_order=True)
        rows.append(
            {
                "squares": str(squares),
                "N": horizon,
                "exact step": float(exact[1]),
                "first-order step": float(detached[1]),
                "regret": float(descent.regret(float(detached[1]), horizon)),
                "overshoots": detached[0] > exact[1],
            }
        )
    printed = ((1.16538, 1.29865, 1.0629), (1.51944, 1.81521, 1.3532))
    near = all(
        abs(row[name] - value) < unit
        for row, values in zip(rows, printed, strict=True)
        for name, value, unit in zip(
            ("exact step", "first-order step", "regret"), values, (1e-5, 1e-5, 1e-4), strict=True
        )
    )
    faults = {
        "first order is greedy, as truncation is": all(row["overshoots"] for row in rows),
        "it costs less than one percent": all(row["regret"] > 1.01 for row in rows),
    }
    return Measurement(
        holds=near and all(row["overshoots"] for row in rows),
        table=tuple(rows),
        margin=min(row["first-order step"] / row["exact step"] - 1 for row in rows),
        arithmetic="signs in balls at rational step sizes; losses in float64",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


STATIONARY = Claim(
    id="truncation/first_order/stationary_step",
    title="First-order meta-descent overshoots: its stationary step is too large, where truncation's is too small",
    source=_SOURCE,
    statement=(
        "Eigenvalues (1, 1/50): start (1, 1), N = 100: 1.29865 instead of 1.16538 (regret 1.0629); start (1, 3), N "
        "= 200: "
        "1.81521 instead of 1.51944 (regret 1.3532)."
    ),
    kind="measurement",
    scope="two instances",
    expected=Status.NOT_FALSIFIED,
    measure=_stationary,
)

CLAIMS = [TANGENT, TOO_LARGE, SIGN, ONE_COORDINATE, PARITY, STATIONARY]
