r"""Model B: with random curvature the relative variance of the meta-gradient grows exponentially in the horizon.

x_{t+1} = (1 - eta l_t) x_t, l_t independent of one law, rho = 1 - eta l, final loss x_N^2/2, tangent J' = rho J - l x:

    a = E rho^2, b = E l rho, c = E l^2 rho^2, e = E l rho^3, d = E rho^4      (window K: J = 0 before the last K steps)
    (B1) E g   = -x_0^2 K b a^(N-1)          (B2) E g^2 = x_0^4 [K c d^(N-1) + K (K-1) e^2 d^(N-2)]
    (B3) Var/Mean^2 ~ (e^2 a^2/(b^2 d^2)) kappa^N,  kappa = d/a^2 >= 1

Source: derived here.
"""

from fractions import Fraction
from itertools import pairwise, product

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quadratic.window_setting import POWERS_ADD
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"
_LAW = (
    Parameter("p_i", "share", meaning="probabilities"),
    Parameter("l_i", landmarks=("0", "1"), meaning="curvatures"),
    Parameter("rho_i", landmarks=("0", "1", "-1"), meaning="1 - eta l_i"),
)
_MOMENTS = {
    "a": "sum(p_i*rho_i**2)",
    "b": "sum(p_i*l_i*rho_i)",
    "c": "sum(p_i*l_i**2*rho_i**2)",
    "e": "sum(p_i*l_i*rho_i**3)",
    "d": "sum(p_i*rho_i**4)",
}
_UNIT = {"unit": "sum(p_i) == 1", "share": "p_i >= 0"}

MEAN = Claim(
    id="truncation/random_curvature/mean",
    title="B1, induction step: E x_t J_t = -r b a^(t-1), r steps after the restart",
    source=_SOURCE,
    statement=(
        "x_t, J_t do not depend on l_t. If E x_t^2 = a^t and E x_t J_t = -r b a^(t-1) (x_0 = 1), then one step gives "
        "E x^2 = a^(t+1) and E x J = -(r+1) b a^t; r = 0 is the restart."
    ),
    kind="identity",
    scope="every law with finitely many values, all t >= 1 and r >= 0 (induction over t; expectation over l_t)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *_LAW,
            Parameter("t", "natural", high="9"),
            Parameter("r", low="0", meaning="steps since the restart"),
        ),
        hypotheses={**_UNIT, "since": "r >= 0"},
        definitions={
            **_MOMENTS,
            "square": "a**t",
            "mixed": "-r*b*a**(t-1)",
            "next_square": "a**(t+1)",
            "next_mixed": "-(r+1)*b*square",
        },
        conclusion=(
            "sum(p_i*rho_i**2*square) == next_square and sum(p_i*rho_i*(rho_i*mixed - l_i*square)) == next_mixed"
        ),
    ),
    witness={"p_i": ["1/2", "1/2"], "l_i": ["1", "2"], "rho_i": ["1/2", "1/3"], "t": "2", "r": "1"},
    proof=Proof(
        atoms={"Z": "a**(t-1)", "square": "square", "next_square": "next_square"},
        definitions={**_MOMENTS, "mixed": "-r*b*Z", "next_mixed": "-(r+1)*b*square"},
        facts={
            "down": Fact("square == a*Z", POWERS_ADD),
            "up": Fact("next_square == a*square", POWERS_ADD),
        },
        steps=(
            Step("squares", "sum(p_i*rho_i**2*square) == next_square", equal={"up": "-1"}),
            Step("mixed_term", "sum(p_i*rho_i*(rho_i*mixed - l_i*square)) == next_mixed", equal={"down": "r*b"}),
        ),
    ),
    mutations=(
        Mutation("the mean of rho squared for its mean square", {"definitions": {"a": "sum(p_i*rho_i)**2"}}),
        Mutation("gradient detached", {"definitions": {"b": "sum(p_i*l_i)"}}),
        Mutation("restart forgotten", {"definitions": {"next_mixed": "-(t+1)*b*a**t"}}),
    ),
)

SECOND = Claim(
    id="truncation/random_curvature/second_moment",
    title="B2, induction step: E x_t^2 J_t^2 = r c d^(t-1) + r (r-1) e^2 d^(t-2)",
    source=_SOURCE,
    statement=(
        "If E x^4 = d^t, E x^3 J = -r e d^(t-1), E x^2 J^2 = r c d^(t-1) + r (r-1) e^2 d^(t-2), then one step gives "
        "the same with "
        "t+1, r+1. Written at t = T + 1 >= 2; from t = 1, r = 1 (E x^2 J^2 = c) the step is checked apart."
    ),
    kind="identity",
    scope="every law with finitely many values, all t >= 1 and 0 <= r <= t (induction over t)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *_LAW,
            Parameter("T", "natural", high="6"),
            Parameter("r", low="0", meaning="steps since the restart"),
        ),
        hypotheses={**_UNIT, "since": "r >= 0"},
        definitions={
            **_MOMENTS,
            "Z": "d**(T-1)",
            "Y": "d**T",
            "X": "d**(T+1)",
            "mixed": "-r*e*Y",
            "square": "r*c*Y + r*(r-1)*e**2*Z",
            "next_mixed": "-(r+1)*e*X",
            "next_square": "(r+1)*c*X + (r+1)*r*e**2*Y",
        },
        conclusion=(
            "sum(p_i*rho_i**3*(rho_i*mixed - l_i*X)) == next_mixed and "
            "sum(p_i*rho_i**2*(rho_i**2*square - 2*rho_i*l_i*mixed + l_i**2*X)) == next_square and "
            "sum(p_i*rho_i**2*(rho_i**2*c + 2*rho_i*l_i*e + l_i**2*d)) == 2*c*d + 2*e**2"
        ),
    ),
    witness={"p_i": ["1/2", "1/2"], "l_i": ["1", "2"], "rho_i": ["1/2", "1/3"], "T": "1", "r": "2"},
    proof=Proof(
        atoms={"Z": "Z", "Y": "Y", "X": "X"},
        definitions={
            **_MOMENTS,
            "mixed": "-r*e*Y",
            "square": "r*c*Y + r*(r-1)*e**2*Z",
            "next_mixed": "-(r+1)*e*X",
            "next_square": "(r+1)*c*X + (r+1)*r*e**2*Y",
        },
        facts={"down": Fact("Y == d*Z", POWERS_ADD), "up": Fact("X == d*Y", POWERS_ADD)},
        steps=(
            Step("mixed_step", "sum(p_i*rho_i**3*(rho_i*mixed - l_i*X)) == next_mixed", equal={"up": "r*e"}),
            Step(
                "square_step",
                "sum(p_i*rho_i**2*(rho_i**2*square - 2*rho_i*l_i*mixed + l_i**2*X)) == next_square",
                equal={"up": "-r*c", "down": "-r*(r-1)*e**2"},
            ),
            Step(
                "second_step",
                "sum(p_i*rho_i**2*(rho_i**2*c + 2*rho_i*l_i*e + l_i**2*d)) == 2*c*d + 2*e**2",
            ),
        ),
    ),
    mutations=(
        Mutation("pairs counted once", {"definitions": {"next_square": "(r+1)*c*X + (r+1)*r*e**2*Y/2"}}),
        Mutation("d = a^2", {"definitions": {"d": "sum(p_i*rho_i**2)**2"}}),
        Mutation("variance of the state forgotten", {"definitions": {"next_square": "(r+1)**2*e**2*Y"}}),
    ),
)

KAPPA = Claim(
    id="truncation/random_curvature/kappa",
    title="B3: kappa = E rho^4/(E rho^2)^2 >= 1",
    source=_SOURCE,
    statement="a^2 <= d: E (rho^2 - a)^2 = d - a^2 >= 0 (Jensen), with equality only if rho^2 is constant.",
    kind="tight",
    scope="every law with finitely many values",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(_LAW[0], _LAW[2]),
        hypotheses=_UNIT,
        definitions={name: _MOMENTS[name] for name in ("a", "d")},
        conclusion="a**2 <= d",
    ),
    witness={"p_i": ["1/2", "1/2"], "rho_i": ["1/2", "1/3"]},
    proof=Proof(
        definitions={name: _MOMENTS[name] for name in ("a", "d")},
        steps=(
            Step("apart", "p_i*(rho_i**2-a)**2 >= 0", terms=(times("share", square="rho_i**2-a"),)),
            Step("mean", "sum(p_i*(rho_i**2-a)**2) >= 0", sum_of="apart"),
            Step("jensen", "a**2 <= d", terms=(times("mean"),), equal={"unit": "-a**2"}),
        ),
    ),
    mutations=(
        Mutation("one percent more", {"conclusion": "101*a**2 <= 100*d"}, {"p_i": ["1"], "rho_i": ["1"]}),
        Mutation("strict", {"conclusion": "a**2 < d"}, {"p_i": ["1"], "rho_i": ["1"]}),
        Mutation("the other way round", {"conclusion": "a**2 >= d"}),
    ),
)

GROWTH = Claim(
    id="truncation/random_curvature/exponential_growth",
    title="B3: E g^2/(E g)^2 >= (e^2 a^2/(b^2 d^2)) kappa^N for every horizon and every window",
    source=_SOURCE,
    statement=(
        "d [K c d^(N-1) + K (K-1) e^2 d^(N-2)] >= K^2 e^2 d^(N-1), by Cauchy-Schwarz e^2 <= c d. Divided by the "
        "squared mean "
        "K^2 b^2 a^(2N-2) and d: the relative second moment is at least (e^2 a^2/(b^2 d^2)) kappa^N, whatever K."
    ),
    kind="lower",
    scope="every law with c > 0, all N >= 1 and 1 <= K <= N; says nothing where kappa = 1 or e = 0",
    expected=Status.PROVED,
    corrects="truncation/random_curvature/longer_runs_are_not_noisier",
    formal=Statement(
        parameters=(*_LAW, Parameter("N", "natural", high="9"), Parameter("K", "natural", high="9", meaning="window")),
        hypotheses={**_UNIT, "some": "c > 0", "window": "K >= 1", "horizon": "K <= N"},
        definitions={**{name: _MOMENTS[name] for name in "ced"}, "D": "d**(N-1)"},
        conclusion="K*c*d*D + K*(K-1)*e**2*D >= K**2*e**2*D",
    ),
    witness={
        "p_i": ["1/2", "1/2"],
        "l_i": ["1", "2"],
        "rho_i": ["1/2", "1/3"],
        "N": "3",
        "K": "2",
    },
    proof=Proof(
        atoms={"D": "D"},
        definitions={name: _MOMENTS[name] for name in "ced"},
        facts={"power": Fact("D >= 0", "powers of non-negative numbers are non-negative", "d = E rho^4")},
        steps=(
            Step(
                "apart",
                "p_i*(c*rho_i**2-e*l_i*rho_i)**2 >= 0",
                terms=(times("share", square="c*rho_i**2-e*l_i*rho_i"),),
            ),
            Step("mean", "sum(p_i*(c*rho_i**2-e*l_i*rho_i)**2) >= 0", sum_of="apart"),
            Step("scaled", "c*(c*d-e**2) >= 0", terms=(times("mean"),)),
            Step("cauchy_schwarz", "c*d-e**2 >= 0", cancel=("some", "scaled")),
            Step(
                "enough",
                "K*c*d*D + K*(K-1)*e**2*D >= K**2*e**2*D",
                terms=(times("window", "power", "cauchy_schwarz"), times("power", "cauchy_schwarz")),
            ),
        ),
    ),
    mutations=(
        Mutation("twice as much", {"conclusion": "K*c*d*D + K*(K-1)*e**2*D >= 2*K**2*e**2*D"}),
        Mutation(
            "pairs forgotten",
            {"conclusion": "K*c*d*D >= K**2*e**2*D"},
            {
                "p_i": ["1"],
                "l_i": ["1"],
                "rho_i": ["1"],
                "N": "2",
                "K": "2",
            },
        ),
        Mutation(
            "strict",
            {"conclusion": "K*c*d*D + K*(K-1)*e**2*D > K**2*e**2*D"},
            {
                "p_i": ["1"],
                "l_i": ["1"],
                "rho_i": ["1"],
                "N": "2",
                "K": "2",
            },
        ),
    ),
)

_RELATIVE = "(K*c*d**(N-1) + K*(K-1)*e**2*d**(N-2))/(K**2*b**2*a**(2*N-2))"
_EXAMPLE = {
    "p_i": ["1/3", "1/3", "1/3"],
    "l_i": ["1/10", "1", "2"],
    "rho_i": ["23/25", "1/5", "-3/5"],
}
NOT_NOISIER = Claim(
    id="truncation/random_curvature/longer_runs_are_not_noisier",
    title="As one would expect: where the inner loop converges in mean square, a longer run is not noisier",
    source=_SOURCE,
    statement=(
        "a = E rho^2 < 1: the relative second moment E g^2/(E g)^2 does not grow from N to N + 1. False: l in "
        "{1/10, 1, 2}, eta = "
        "4/5 (a = 0.416) from N = 2 on; kappa = 1.6368."
    ),
    kind="rate",
    scope="every law with a < 1, full windows",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(*_LAW, Parameter("N", "natural", high="9")),
        hypotheses={**_UNIT, "converges": "a < 1", "mean": "b != 0", "moves": "d > 0"},
        definitions={
            **_MOMENTS,
            "here": "(c*d**(N-1) + (N-1)*e**2*d**(N-2))/(N*b**2*a**(2*N-2))",
            "there": "(c*d**N + N*e**2*d**(N-1))/((N+1)*b**2*a**(2*N))",
        },
        conclusion="there <= here",
    ),
    witness={"p_i": ["1"], "l_i": ["1"], "rho_i": ["1/2"], "N": "1"},
    counterexample={**_EXAMPLE, "N": "2"},
)

MONOTONE = Claim(
    id="truncation/random_curvature/grows_at_every_step",
    title="As one would expect: the relative variance grows at every step of the horizon",
    source=_SOURCE,
    statement=(
        "E g^2/(E g)^2 at N + 1 is at least that at N. False: the example dips from 5.4161 (N = 1) to 4.8535 (N = 2)."
    ),
    kind="rate",
    scope="every law with a < 1, full windows",
    expected=Status.FALSIFIED,
    formal=NOT_NOISIER.formal.altered(conclusion="there >= here"),
    notes="What does hold for every N and law: truncation/random_curvature/exponential_growth.",
    witness={"p_i": ["1"], "l_i": ["1"], "rho_i": ["1/2"], "N": "1"},
    counterexample={**_EXAMPLE, "N": "1"},
)

WINDOW = Claim(
    id="truncation/random_curvature/window_of_one_step",
    title="As one would expect: a window of one step is as little noisy as a run of one step",
    source=_SOURCE,
    statement=(
        "K = 1: E g^2/(E g)^2 = c d^(N-1)/(b^2 a^(2N-2)) <= c/b^2. False whenever kappa > 1: the factor kappa^(N-1) "
        "comes with the "
        "state, which truncation does not reset."
    ),
    kind="rate",
    scope="every law with a < 1, window 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(*_LAW, Parameter("N", "natural", high="9")),
        hypotheses={**_UNIT, "converges": "a < 1", "mean": "b != 0", "moves": "d > 0"},
        definitions={**_MOMENTS, "window": "c*d**(N-1)/(b**2*a**(2*N-2))", "one": "c/b**2"},
        conclusion="window <= one",
    ),
    witness={"p_i": ["1"], "l_i": ["1"], "rho_i": ["1/2"], "N": "2"},
    counterexample={**_EXAMPLE, "N": "2"},
)

WINDOW_GROWS = Claim(
    id="truncation/random_curvature/window_keeps_the_growth",
    title="Corrected: a window of one step has kappa^(N-1) times the relative second moment of one step",
    source=_SOURCE,
    statement=(
        "K = 1: E g^2/(E g)^2 = c d^(N-1)/(b^2 a^(2N-2)) = (c/b^2) kappa^(N-1), at least c/b^2 since d >= a^2. "
        "Written without "
        "division: c d^(N-1) b^2 >= c b^2 a^(2N-2)."
    ),
    kind="lower",
    scope="every law, window 1, all N >= 1",
    expected=Status.PROVED,
    corrects="truncation/random_curvature/window_of_one_step",
    formal=Statement(
        parameters=(*_LAW, Parameter("N", "natural", high="9")),
        hypotheses={**_UNIT, "second": "c >= 0"},
        definitions={**{name: _MOMENTS[name] for name in "abcd"}, "D": "d**(N-1)", "A": "a**(2*N-2)"},
        conclusion="c*D*b**2 >= c*b**2*A",
    ),
    witness={"p_i": ["1/2", "1/2"], "l_i": ["1", "2"], "rho_i": ["1/2", "1/3"], "N": "3"},
    proof=Proof(
        atoms={"D": "D", "A": "A"},
        definitions={name: _MOMENTS[name] for name in "abcd"},
        facts={"kappa": Fact("D >= A", "powers are increasing on x >= 0", "d >= a^2 >= 0, see kappa")},
        steps=(Step("grows", "c*D*b**2 >= c*b**2*A", terms=(times("second", "kappa", square="b"),)),),
    ),
    mutations=(
        Mutation(
            "one percent more",
            {"conclusion": "100*c*D*b**2 >= 101*c*b**2*A"},
            {
                "p_i": ["1"],
                "l_i": ["1"],
                "rho_i": ["1"],
                "N": "2",
            },
        ),
        Mutation("no growth", {"conclusion": "c*D*b**2 <= c*b**2*A"}),
        Mutation(
            "kappa^N", {"definitions": {"A": "a**(2*N-4)"}}, {"p_i": ["1"], "l_i": ["1"], "rho_i": ["1/2"], "N": "2"}
        ),
    ),
)

# curvatures, probabilities, step size, x_0, longest horizon, windows
LAWS = (
    ([F(1, 10), F(1), F(2)], [F(1, 3)] * 3, F(4, 5), F(1), 6, None),
    ([F(1, 2), F(3)], [F(3, 4), F(1, 4)], F(1, 2), F(2), 8, None),
    ([F(1, 10), F(1), F(2)], [F(1, 2), F(1, 3), F(1, 6)], F(4, 5), F(1), 8, (1, 8)),
)


def _enumerated(
    values: list[Fraction], shares: list[Fraction], eta: Fraction, start: Fraction, horizon: int, window: int
) -> tuple[Fraction, Fraction]:
    """E g and E g^2 over all paths: the branches of the tree (probability, x, tangent), step by step."""
    branches = [(F(1), start, F(0))]
    for t in range(horizon):
        grown = []
        for (probability, x, tangent), (value, share) in product(branches, zip(values, shares, strict=True)):
            before = F(0) if t == horizon - window else tangent
            rho = 1 - eta * value
            grown.append((probability * share, rho * x, rho * before - value * x))
        branches = grown
    return (
        sum((p * x * tangent for p, x, tangent in branches), F(0)),
        sum((p * (x * tangent) ** 2 for p, x, tangent in branches), F(0)),
    )


def _enumeration(seed: int) -> Measurement:
    """(B1), (B2) against the full tree of curvature paths, as rationals (nothing random)."""
    from l2o_theory.quadratic import RandomCurvature

    rows = []
    caught = {"the window resets the state": False, "paths of equal curvature": False}
    for number, (values, shares, eta, start, longest, windows) in enumerate(LAWS):
        law = RandomCurvature(values, shares, step_size=eta, start=start * start)
        for horizon in (longest,) if windows else range(1, longest + 1):
            for window in windows or sorted({1, (horizon + 1) // 2, horizon}):
                found = _enumerated(values, shares, eta, start, horizon, window)
                closed = law.mean(horizon, window), law.second_moment(horizon, window)
                rows.append(
                    {
                        "law": number,
                        "N": horizon,
                        "K": window,
                        "paths": len(values) ** horizon,
                        "equal": found == closed,
                    }
                )
                caught["the window resets the state"] |= closed != (law.mean(window), law.second_moment(window))
                caught["paths of equal curvature"] |= found[1] != found[0] ** 2
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals, all paths (up to 3^8)",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


ENUMERATED = Claim(
    id="truncation/random_curvature/enumeration",
    title="B1, B2: mean and second moment equal the enumeration of all curvature paths",
    source=_SOURCE,
    statement="E g and E g^2 of the full and the truncated gradient, as rationals, over all paths of N <= 8 steps.",
    kind="identity",
    scope="three laws with two or three curvatures, N <= 8 (up to 6561 paths), windows 1 to N",
    expected=Status.NOT_FALSIFIED,
    measure=_enumeration,
)

PRINTED = {1: 4.4161, 2: 3.8535, 3: 4.7554, 5: 9.7282, 8: 34.473, 10: 83.703, 20: 8837.19, 40: 1.412e8}


def _table(seed: int) -> Measurement:
    """Var/Mean^2 of the example, exactly, and its growth rate (nothing random)."""
    from l2o_theory.quadratic import RandomCurvature

    law = RandomCurvature([F(1, 10), 1, 2], step_size=F(4, 5))
    kappa = float(law.growth)
    rows = [{"N": n, "Var/Mean^2": float(law.relative_variance(n)), "printed": value} for n, value in PRINTED.items()]
    near = all(abs(row["Var/Mean^2"] / row["printed"] - 1) < 2e-4 for row in rows)  # four printed digits
    rate = float((law.relative_variance(400) + 1) / (law.relative_variance(399) + 1))
    caught = {
        "grows like 1/(E rho^2)": abs(rate - 1 / float(law.moments.r2)) > 0.1,
        "does not grow": rate > 1.5,
    }
    long = [law.relative_variance(n) for n in range(1, 41)]
    rises = [a < b for a, b in pairwise(long)]
    caught["grows at every step"] = not all(rises)
    return Measurement(
        holds=near
        and all(rises[1:])
        and abs(kappa - 1.6367928) < 1e-7
        and abs(rate / kappa - 1) < 1e-4,  # 1/N^2 = 6e-6 at N = 400
        table=(*rows, {"kappa": kappa, "ratio at N = 400": rate}),
        margin=min(2e-4 - abs(row["Var/Mean^2"] / row["printed"] - 1) for row in rows),
        arithmetic="exact rationals, rounded once",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


TABLE = Claim(
    id="truncation/random_curvature/table",
    title="B3: Var/Mean^2 of l in {1/10, 1, 2}, eta = 4/5: 3.8535 at N = 2, from there on growing, 1.4e8 at N = 40",
    source=_SOURCE,
    corrects="truncation/random_curvature/grows_at_every_step",
    statement=(
        "Var/Mean^2 = 4.4161, 3.8535, 4.7554, 9.7282, 34.473, 83.703, 8837.19, 1.412e8 at N = 1, 2, 3, 5, 8, 10, "
        "20, 40."
    ),
    kind="measurement",
    scope="one law; eight printed horizons, growth from each N to N + 1 for 2 <= N < 40",
    expected=Status.NOT_FALSIFIED,
    measure=_table,
)

CLAIMS = [MEAN, SECOND, KAPPA, GROWTH, NOT_NOISIER, MONOTONE, WINDOW, WINDOW_GROWS, ENUMERATED, TABLE]
