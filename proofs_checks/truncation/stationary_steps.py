r"""Where truncation and short horizons move the best step: alpha*(K), alpha*(N') and their regret.

alpha*(K): root of the truncated gradient G_N,K; alpha*(N'): minimiser of L_N' (N' < N), w = 1. Both errors make the
step too greedy. With two eigenvalues L > mu and |x_1| L > |x_2| mu the step alpha*(N') increases with N' and its regret
at the final horizon falls: the exact form of "a curriculum over horizons helps".

Source: derived here.
"""

from fractions import Fraction
from itertools import pairwise

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quadratic.window_setting import EIGENVALUES, SQUARES, gradient, ramp
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"

UNIQUE = Claim(
    id="truncation/stationary_steps/unique_root",
    title="Every truncated gradient increases with the step size, so it vanishes at one step only",
    source=_SOURCE,
    statement=(
        "G_N,K(eta) = -sum r_K(t) w_t l^2 x^2 (1 - eta l)^(2t-1) over steps and coordinates: for eta < zeta, "
        "G_N,K(eta) < G_N,K(zeta), unless every term is 0.\nIt is <= 0 at eta = 1/L (all eta l <= 1) and >= 0 at 1/mu: "
        "alpha*(K) exists in [1/L, 1/mu], for every K, and is unique. One term that is not 0 is written apart "
        "(k, l, t); the index i runs over the other pairs (t, coordinate)."
    ),
    kind="uniqueness",
    scope="all spectra, starts, loss weights >= 0 (not all terms 0), horizons and windows",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("eta", landmarks=("0", "1"), meaning="step size"),
            Parameter("zeta", low="eta", landmarks=("1", "2"), meaning="larger step size"),
            EIGENVALUES,
            Parameter("k_i", low="0", landmarks=("0",), meaning="r_K(t) w_t x^2"),
            Parameter("t_i", "natural", high="9", meaning="step"),
            Parameter("l", low="0", landmarks=("1",), meaning="eigenvalue of a term that is not 0"),
            Parameter("k", low="0", landmarks=("0", "1"), meaning="its r_K(t) w_t x^2"),
            Parameter("t", "natural", low="1", high="9", meaning="its step"),
        ),
        hypotheses={
            "order": "eta < zeta",
            "moves": "l_i > 0",
            "kept": "k_i >= 0",
            "moves_one": "l > 0",
            "kept_one": "k > 0",
        },
        definitions={
            "left": "-k*l**2*(1-eta*l)**(2*t-1) - sum(k_i*l_i**2*(1-eta*l_i)**(2*t_i-1))",
            "right": "-k*l**2*(1-zeta*l)**(2*t-1) - sum(k_i*l_i**2*(1-zeta*l_i)**(2*t_i-1))",
        },
        conclusion="left < right",
    ),
    witness={
        "eta": "1/2",
        "zeta": "3/2",
        "l": "1",
        "k": "1",
        "t": "2",
        "l_i": ["1", "1/2"],
        "k_i": ["1", "2"],
        "t_i": ["1", "3"],
    },
    proof=Proof(
        atoms={
            "X_i": "(1-eta*l_i)**(2*t_i-1)",
            "Y_i": "(1-zeta*l_i)**(2*t_i-1)",
            "X": "(1-eta*l)**(2*t-1)",
            "Y": "(1-zeta*l)**(2*t-1)",
        },
        definitions={"left": "-k*l**2*X - sum(k_i*l_i**2*X_i)", "right": "-k*l**2*Y - sum(k_i*l_i**2*Y_i)"},
        facts={
            "odd": Fact("Y_i <= X_i", "odd powers are strictly increasing", "1 - zeta l < 1 - eta l"),
            "odd_one": Fact("Y < X", "odd powers are strictly increasing", "1 - zeta l < 1 - eta l"),
        },
        steps=(
            Step("each", "k_i*l_i**2*X_i - k_i*l_i**2*Y_i >= 0", terms=(times("kept", "odd", square="l_i"),)),
            Step("others", "sum(k_i*l_i**2*Y_i) <= sum(k_i*l_i**2*X_i)", sum_of="each"),
            Step("one", "k*l**2*(X - Y) > 0", terms=(times("kept_one", "odd_one", "moves_one", "moves_one"),)),
            Step("all", "left < right", terms=(times("one"), times("others"))),
        ),
    ),
    mutations=(
        Mutation("strict also where nothing is kept", {"hypotheses": {"kept_one": "k >= 0"}}),
        Mutation("decreasing", {"conclusion": "left >= right"}),
        Mutation(
            "even powers",
            {
                "definitions": {
                    "left": "-k*l**2*(1-eta*l)**(2*t) - sum(k_i*l_i**2*(1-eta*l_i)**(2*t_i))",
                    "right": "-k*l**2*(1-zeta*l)**(2*t) - sum(k_i*l_i**2*(1-zeta*l_i)**(2*t_i))",
                }
            },
            {"eta": "1", "zeta": "3", "l": "1", "k": "1", "t": "1", "l_i": ["1"], "k_i": ["1"], "t_i": ["1"]},
        ),
    ),
)

_TWO = (
    Parameter("u", low="0", landmarks=("1/2",), meaning="eta L - 1 = |rho_1|, the overshooting coordinate"),
    Parameter("v", low="u", landmarks=("1",), meaning="1 - eta mu = rho_2, the slow coordinate"),
    Parameter("a", low="0", landmarks=("1",), meaning="L^2 x_1^2"),
    Parameter("b", low="0", landmarks=("1",), meaning="mu^2 x_2^2"),
    Parameter("N", "natural", high="9", meaning="shorter horizon"),
)
_SIGNS = {"overshoot": "0 < u", "slow": "u < v", "fast": "a > 0", "slow_weight": "b > 0"}
_TERMS = {
    "U_i": "u**(2*t_i-1)",
    "V_i": "v**(2*t_i-1)",
    "U": "u**(2*N-1)",
    "V": "v**(2*N-1)",
    "last": "b*V - a*U",
    "next": "b*v**2*V - a*u**2*U",
}
_READ = {"last": "b*V - a*U", "next": "b*v**2*V - a*u**2*U"}
_POSITIVE = "integer powers of positive numbers are positive"
_INCREASING = "powers are increasing on x >= 0"
_ATOMS = {"U_i": "U_i", "V_i": "V_i", "U": "U", "V": "V"}


def _next_is_positive(name: str, last: str) -> Step:
    """h_{N+1} = v^2 h_N + (v^2 - u^2) a U > 0 where h_N >= 0."""
    return Step(
        name,
        "next > 0",
        terms=(
            times(last, square="v"),
            times("slow", "slow", "fast", "power"),
            times("slow", "overshoot", "fast", "power", coef="2"),
        ),
    )


GROWS_ALWAYS = Claim(
    id="truncation/stationary_steps/horizon_grows_always",
    title="As one would expect: a longer horizon always tunes a larger step",
    source=_SOURCE,
    statement=(
        "If L_N still falls at eta (G_N(eta) <= 0) then so does L_{N+1}: alpha*(N) <= alpha*(N+1) for every "
        "quadratic. False "
        "when |x_1| L < |x_2| mu: eigenvalues (1, 1/2), squares (1, 100), eta = 48/25, N = 1."
    ),
    kind="rate",
    scope="w = 1, all spectra, eta l_i not in {0, 1, 2}",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("eta", low="0", landmarks=("1", "2"), meaning="step size"),
            Parameter("N", "natural", high="9", meaning="horizon"),
            EIGENVALUES,
            SQUARES,
        ),
        hypotheses={"moves": "l_i > 0", "square": "w_i >= 0", "still_falling": "now <= 0"},
        definitions={
            "rho_i": "1 - eta*l_i",
            "q_i": "rho_i**2",
            "now": gradient(ramp("q_i", "N")),
            "longer": gradient(ramp("q_i", "N+1")),
        },
        conclusion="longer <= 0",
    ),
    witness={"eta": "1/2", "N": "1", "l_i": ["1"], "w_i": ["1"]},
    counterexample={"eta": "48/25", "N": "1", "l_i": ["1", "1/2"], "w_i": ["1", "100"]},
)

GROWS = Claim(
    id="truncation/stationary_steps/horizon_grows",
    title="Corrected: with two eigenvalues and |x_1| L > |x_2| mu the best step grows with the horizon",
    source=_SOURCE,
    statement=(
        "1/L < eta < 2/(L+mu), u = eta L - 1 < v = 1 - eta mu, h_t = b v^(2t-1) - a u^(2t-1). If sum_{t<=N} t h_t "
        ">= 0 (eta <= "
        "alpha*(N)) then h_{N+1} > 0,\nso G_{N+1} = G_N - (N+1) h_{N+1} < 0: alpha*(N+1) > alpha*(N). alpha*(N) < "
        "2/(L+mu) where "
        "|x_1| L > |x_2| mu, since u = v gives h_t < 0 there. The index i runs over the steps before N."
    ),
    kind="rate",
    scope="d = 2, all L > mu > 0 with |x_1| L > |x_2| mu, w = 1, all N >= 1 (at eta = 1/L itself all h_t > 0)",
    expected=Status.PROVED,
    corrects="truncation/stationary_steps/horizon_grows_always",
    formal=Statement(
        parameters=(*_TWO, Parameter("t_i", "natural", high="N", meaning="steps before N")),
        hypotheses={
            **_SIGNS,
            "before": "1 <= t_i",
            "earlier": "t_i <= N",
            "steps": "N >= 1",
            "still_falling": "sum(t_i*(b*V_i - a*U_i)) + N*last >= 0",
        },
        definitions=_TERMS,
        conclusion="next > 0",
    ),
    witness={"u": "1/2", "v": "1", "a": "1", "b": "1", "N": "2", "t_i": ["1"]},
    proof=Proof(
        atoms=_ATOMS,
        definitions=_READ,
        facts={
            "power": Fact("U > 0", _POSITIVE),
            "powers": Fact("U_i > 0", _POSITIVE),
            "ratio": Fact("V_i*U <= U_i*V", _INCREASING, "(v/u)^(2t-1) <= (v/u)^(2N-1)"),
        },
        steps=(
            Step("count", "N > 0", using=("steps",)),
            Step(
                "longer",
                "next > 0",
                split="last",
                nonnegative=(_next_is_positive("plain", "longer_case"),),
                negative=(
                    Step(
                        "scaled",
                        "U*(a*U_i - b*V_i) >= 0",
                        terms=(times("slow_weight", "ratio"), times("powers", "longer_case")),
                    ),
                    Step("early_negative", "a*U_i - b*V_i >= 0", cancel=("power", "scaled")),
                    Step(
                        "early_term",
                        "t_i*a*U_i - t_i*b*V_i >= 0",
                        terms=(times("before", "early_negative"), times("early_negative")),
                    ),
                    Step("early", "sum(t_i*a*U_i) - sum(t_i*b*V_i) >= 0", sum_of="early_term"),
                    Step("not_negative", "N*last >= 0", using=("still_falling", "early"), degree=1),
                    Step("absurd", "last >= 0", cancel=("count", "not_negative")),
                    _next_is_positive("anyway", "absurd"),
                ),
            ),
        ),
    ),
    mutations=(
        Mutation(
            "the slow coordinate slower than the fast one overshoots",
            {"hypotheses": {"slow": "v < u and v > 0"}},
            {"u": "1", "v": "1/2", "a": "1", "b": "2", "N": "1", "t_i": []},
        ),
        Mutation(
            "not yet falling",
            {"hypotheses": {"still_falling": "sum(t_i*(b*V_i - a*U_i)) + N*last >= -1"}},
            {"u": "1/2", "v": "3/4", "a": "1", "b": "1/10", "N": "1", "t_i": []},
        ),
        Mutation(
            "the last term alone",
            {"conclusion": "next > last"},
            {"u": "1/2", "v": "1", "a": "1", "b": "100", "N": "1", "t_i": []},
        ),
    ),
)

MILDER = Claim(
    id="truncation/stationary_steps/window_is_milder",
    title="Truncation at length K is milder than training on the horizon K: alpha*(N' = K) <= alpha*(K)",
    source=_SOURCE,
    statement=(
        "In the setting of horizon_grows: once h_{N+1} >= 0, h_t >= 0 for all later t. So at eta <= alpha*(N') the "
        "window K = N' "
        "adds to G_N' only terms -r_K(t) h_t <= 0: G_N,K(eta) <= G_N'(eta) <= 0."
    ),
    kind="rate",
    scope="d = 2, all L > mu > 0 with |x_1| L > |x_2| mu, w = 1, all horizons N >= K",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *_TWO,
            Parameter("t_i", "natural", low="N+1", high="N+9", meaning="steps after N' = K"),
            Parameter("r_i", low="0", meaning="steps that survive, r_K(t)"),
        ),
        hypotheses={**_SIGNS, "later": "t_i >= N + 1", "kept": "r_i >= 0", "positive": "next >= 0"},
        definitions=_TERMS,
        conclusion="sum(r_i*(b*V_i - a*U_i)) >= 0",
    ),
    witness={"u": "1/2", "v": "1", "a": "1", "b": "1", "N": "2", "t_i": ["3", "5"], "r_i": ["1", "2"]},
    proof=Proof(
        atoms=_ATOMS,
        definitions=_READ,
        facts={
            "power": Fact("U > 0", _POSITIVE),
            "powers": Fact("U_i > 0", _POSITIVE),
            "ratio": Fact("V_i*u**2*U >= U_i*v**2*V", _INCREASING, "(v/u)^(2t-1) >= (v/u)^(2N+1)"),
        },
        steps=(
            Step("square", "u**2*U > 0", terms=(times("overshoot", "overshoot", "power"),)),
            Step(
                "scaled",
                "u**2*U*(b*V_i - a*U_i) >= 0",
                terms=(times("slow_weight", "ratio"), times("powers", "positive")),
            ),
            Step("late_positive", "b*V_i - a*U_i >= 0", cancel=("square", "scaled")),
            Step("term", "r_i*(b*V_i - a*U_i) >= 0", terms=(times("kept", "late_positive"),)),
            Step("all", "sum(r_i*(b*V_i - a*U_i)) >= 0", sum_of="term"),
        ),
    ),
    mutations=(
        Mutation(
            "h_{N+1} a little negative",
            {"hypotheses": {"positive": "next >= -1"}},
            {"u": "1/2", "v": "3/4", "a": "1", "b": "1/10", "N": "1", "t_i": ["2"], "r_i": ["1"]},
        ),
        Mutation(
            "fast decay of the slow coordinate",
            {"hypotheses": {"slow": "v < u and v > 0"}},
            {"u": "1", "v": "1/2", "a": "1", "b": "9", "N": "1", "t_i": ["3"], "r_i": ["1"]},
        ),
        Mutation(
            "earlier steps too",
            {"hypotheses": {"later": "t_i >= 1"}},
            {"u": "1/2", "v": "1", "a": "4", "b": "1", "N": "2", "t_i": ["1"], "r_i": ["1"]},
        ),
    ),
)

REGRET = Claim(
    id="truncation/stationary_steps/regret_falls",
    title="Below the best step of a horizon, a larger step has a smaller loss: regret falls as alpha*(N') grows",
    source=_SOURCE,
    statement=(
        "L = 1/2 sum w_t l x^2 (1 - eta l)^(2t) over steps and coordinates. If eta <= zeta and dL/deta(zeta) <= 0 "
        "(zeta <= "
        "alpha*(N)) then L(zeta) <= L(eta).\nWith horizon_grows: N' < N'' <= N gives alpha*(N') < alpha*(N'') <= "
        "alpha*(N), so "
        "regret falls with N'. The index i runs over pairs (t, coordinate)."
    ),
    kind="tight",
    scope="all spectra, starts, loss weights >= 0 and horizons",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("eta", low="0", landmarks=("1",), meaning="smaller step"),
            Parameter("zeta", low="eta", landmarks=("1", "2"), meaning="larger step"),
            EIGENVALUES,
            Parameter("k_i", low="0", landmarks=("0",), meaning="w_t x^2"),
            Parameter("t_i", "natural", high="9", meaning="step"),
        ),
        hypotheses={"order": "eta <= zeta", "moves": "l_i > 0", "weight": "k_i >= 0", "still_falling": "slope <= 0"},
        definitions={
            "slope": "-sum(k_i*t_i*l_i**2*(1-zeta*l_i)**(2*t_i-1))",
            "here": "sum(k_i*l_i*(1-eta*l_i)**(2*t_i))/2",
            "there": "sum(k_i*l_i*(1-zeta*l_i)**(2*t_i))/2",
        },
        conclusion="there <= here",
    ),
    witness={"eta": "1/4", "zeta": "1/2", "l_i": ["1", "1/2"], "k_i": ["1", "2"], "t_i": ["1", "3"]},
    proof=Proof(
        atoms={"O_i": "(1-zeta*l_i)**(2*t_i-1)", "E_i": "(1-eta*l_i)**(2*t_i)", "Z_i": "(1-zeta*l_i)**(2*t_i)"},
        definitions={
            "slope": "-sum(k_i*t_i*l_i**2*O_i)",
            "here": "sum(k_i*l_i*E_i)/2",
            "there": "sum(k_i*l_i*Z_i)/2",
        },
        facts={
            "convex": Fact(
                "E_i >= Z_i + 2*t_i*O_i*(zeta-eta)*l_i",
                "even powers are convex",
                "x^(2t) >= y^(2t) + 2t y^(2t-1) (x - y), x - y = (zeta - eta) l",
            ),
        },
        steps=(
            Step(
                "one",
                "k_i*l_i*E_i/2 - k_i*l_i*Z_i/2 - k_i*t_i*l_i**2*O_i*(zeta-eta) >= 0",
                terms=(times("weight", "moves", "convex", coef="1/2"),),
            ),
            Step(
                "sum",
                "sum(k_i*l_i*E_i)/2 - sum(k_i*l_i*Z_i)/2 - sum(k_i*t_i*l_i**2*O_i)*(zeta-eta) >= 0",
                sum_of="one",
            ),
            Step("smaller", "there <= here", terms=(times("sum"), times("order", "still_falling"))),
        ),
    ),
    mutations=(
        Mutation(
            "beyond the best step",
            {"hypotheses": {"still_falling": "slope <= 1"}},
            {"eta": "1", "zeta": "3/2", "l_i": ["1"], "k_i": ["1"], "t_i": ["1"]},
        ),
        Mutation("strict", {"conclusion": "there < here"}, {"eta": "1", "zeta": "1", "l_i": [], "k_i": [], "t_i": []}),
        Mutation("the other way round", {"conclusion": "there >= here"}),
    ),
)

LENGTHS = (1, 5, 10, 20, 50, 100)
# alpha*(K) and alpha*(N') as derived before, with the regret at N, five and four decimals
PRINTED = {
    ((1, 1), 100): (
        (1.00963, 1.02760, 1.04772, 1.08083, 1.13791, 1.16538),
        (1.0769, 1.0603, 1.0441, 1.0229, 1.0025, 1.0),
        (1.00039, 1.00528, 1.01692, 1.04888, 1.12748, 1.16538),
        (1.0862, 1.0812, 1.0699, 1.0433, 1.0047, 1.0),
    ),
    ((1, 9), 200): (
        (1.08172, 1.19865, 1.29177, 1.39365, 1.49264, 1.51736),
        (1.2611, 1.1451, 1.0767, 1.0254, 1.0013, 1.000007),
        (1.00352, 1.04708, 1.14173, 1.31482, 1.48378, 1.51701),
        (1.3602, 1.3027, 1.1971, 1.0629, 1.0022, 1.00001),
    ),
}


def _table(seed: int) -> Measurement:
    """Both tables: brackets with certain signs at rational ends, regrets in float64 (nothing random)."""
    from l2o_theory.quadratic import TruncatedDescent

    rows, ordered, printed = [], [], []
    greedy, milder = True, True
    for (squares, horizon), columns in PRINTED.items():
        descent = TruncatedDescent([1, "1/50"], squares)
        windows = [descent.step_size_bracket(horizon, length, digits=9) for length in LENGTHS]
        horizons = [descent.step_size_bracket(length, digits=9) for length in LENGTHS]
        best = descent.step_size_bracket(horizon, digits=9)
        for brackets in (windows, horizons):
            ordered += [a[1] < b[0] for a, b in pairwise(brackets)]
        greedy &= all(low <= best[1] for low, _ in (*windows, *horizons))
        milder &= all(short[1] < kept[0] for short, kept in zip(horizons[:5], windows[:5], strict=True))
        values = [[float(high) for _, high in brackets] for brackets in (windows, horizons)]
        regrets = [[float(descent.regret(step, horizon)) for step in steps] for steps in values]
        ordered += [a > b for column in regrets for a, b in pairwise(column)]
        found = (values[0], regrets[0], values[1], regrets[1])
        printed += [
            abs(value - wanted) <= unit
            for column, wants, unit in zip(found, columns, (1e-5, 1e-4, 1e-5, 1e-4), strict=True)
            for value, wanted in zip(column, wants, strict=True)
        ]
        rows += [
            {"N": horizon, "length": length, "alpha*(K)": a, "regret (K)": p, "alpha*(N')": b, "regret (N')": q}
            for length, a, p, b, q in zip(LENGTHS, *found, strict=True)
        ]
    caught = {"a horizon does what a window does": milder, "the longer, the smaller the step": all(ordered)}
    return Measurement(
        holds=all(ordered) and all(printed) and greedy and milder,
        table=tuple(rows),
        margin=min(b["alpha*(N')"] / a["alpha*(N')"] - 1 for a, b in pairwise(rows) if a["N"] == b["N"]),
        arithmetic="signs certain in balls at rational step sizes; regrets in float64",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


TABLE = Claim(
    id="truncation/stationary_steps/table",
    title="alpha*(K), alpha*(N') and their regrets on two problems, for lengths 1, 5, 10, 20, 50, 100",
    source=_SOURCE,
    statement=(
        "Eigenvalues (1, 1/50), start (1, 1) with N = 100 and (1, 3) with N = 200: both steps grow with the length "
        "and stay below "
        "alpha*(N), both regrets fall, and alpha*(N' = l) < alpha*(K = l) for l < 100."
    ),
    kind="measurement",
    scope="two instances, six lengths",
    expected=Status.NOT_FALSIFIED,
    measure=_table,
    notes=(
        "For two eigenvalues it is proved that alpha*(N') grows and that a window is milder than the horizon of its "
        "length. That "
        "alpha*(K) grows with K holds in these tables, not in general (window_grows_always)."
    ),
)

CLAIMS = [
    UNIQUE,
    GROWS_ALWAYS,
    GROWS,
    MILDER,
    REGRET,
    TABLE,
]
