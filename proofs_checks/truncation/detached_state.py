r"""Rules with a state: detaching the iterate alone is not truncation, the state carries the past across.

Heavy ball v' = beta v - eta g, x' = x + v', f = 1/2 sum_i l_i x_i^2, meta-parameters (eta, beta). Truncation detaches x
AND v after every K steps; detaching only x leaves another path through v, and gives another number.

Source: derived here.
"""

from fractions import Fraction

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"

_PARAMETERS = (
    Parameter("eta", low="0", landmarks=("1",), meaning="step size"),
    Parameter("beta", low="0", high="1", landmarks=("0",), meaning="momentum"),
    Parameter("l", low="0", landmarks=("1",), meaning="eigenvalue"),
    Parameter("x", landmarks=("1",), meaning="x_0"),
)
_DEFINITIONS = {
    "v1": "-eta*l*x",
    "x1": "x + v1",
    "v1_tangent": "-l*x",
    "all_detached": "beta*0 - l*x1",
    "x_detached": "beta*v1_tangent - l*x1",
}

SAME = Claim(
    id="truncation/detached_state/iterate_is_enough",
    title="As one would expect: detaching the iterate at the end of a window truncates the gradient",
    source=_SOURCE,
    statement=(
        "Heavy ball from v_0 = 0, two steps, K = 1, tangent of x_2 in eta: with only x detached beta (-l x_0) - l "
        "x_1, with x and "
        "v detached -l x_1. Equal? False for beta > 0."
    ),
    kind="identity",
    scope="heavy ball, one coordinate, N = 2, K = 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=_PARAMETERS,
        hypotheses={"momentum": "0 <= beta < 1", "forward": "eta > 0", "moves": "l > 0"},
        definitions=_DEFINITIONS,
        conclusion="x_detached == all_detached",
    ),
    witness={"eta": "1/2", "beta": "0", "l": "1", "x": "1"},
    counterexample={"eta": "1/2", "beta": "1/2", "l": "1", "x": "1"},
)

DIFFERENT = Claim(
    id="truncation/detached_state/difference",
    title="Corrected: the state left attached contributes -beta l x_0, so the two agree only without momentum",
    source=_SOURCE,
    statement=(
        "Heavy ball from v_0 = 0, two steps, K = 1: tangent with x detached minus tangent with x and v detached = "
        "-beta l x_0."
    ),
    kind="identity",
    scope="heavy ball, one coordinate, N = 2, K = 1",
    expected=Status.PROVED,
    corrects="truncation/detached_state/iterate_is_enough",
    formal=Statement(
        parameters=_PARAMETERS,
        hypotheses={"momentum": "0 <= beta < 1", "forward": "eta > 0", "moves": "l > 0"},
        definitions=_DEFINITIONS,
        conclusion="x_detached - all_detached == -beta*l*x",
    ),
    witness={"eta": "1/2", "beta": "1/2", "l": "1", "x": "1"},
    mutations=(
        Mutation("no difference", {"conclusion": "x_detached == all_detached"}),
        Mutation("eta counted in", {"conclusion": "x_detached - all_detached == -eta*beta*l*x"}),
    ),
)

EIGENVALUES, STEP_SIZE, MOMENTUM, HORIZON, WINDOW = (F(1), F(1, 10)), F(1, 5), F(9, 10), 40, 5
PRINTED = {
    "nothing detached": (-0.212562, 24.131897),
    "x and v detached": (-6.156250, 6.164918),
    "only x detached": (-8.258139, 12.272323),
}


def _gradient(detach_x: bool, detach_v: bool) -> tuple[Fraction, Fraction]:
    """(d/d eta, d/d beta) of the sum of losses by running x, v and their tangents from x_0 = 1, v_0 = 0."""
    total = [F(0), F(0)]
    for value in EIGENVALUES:
        x, v = F(1), F(0)
        x_tangent, v_tangent = [F(0), F(0)], [F(0), F(0)]
        for t in range(HORIZON):
            if t % WINDOW == 0 and t:
                x_tangent = [F(0), F(0)] if detach_x else x_tangent
                v_tangent = [F(0), F(0)] if detach_v else v_tangent
            own = (-value * x, v)  # how v' depends on eta and beta themselves
            v_tangent = [
                MOMENTUM * dv - STEP_SIZE * value * dx + o for dv, dx, o in zip(v_tangent, x_tangent, own, strict=True)
            ]
            v = MOMENTUM * v - STEP_SIZE * value * x
            x += v
            x_tangent = [dx + dv for dx, dv in zip(x_tangent, v_tangent, strict=True)]
            total = [sum_ + value * x * dx for sum_, dx in zip(total, x_tangent, strict=True)]
    return total[0], total[1]


def _printed(seed: int) -> Measurement:
    """Three ways to detach, exactly (nothing random)."""
    found = {
        "nothing detached": _gradient(False, False),
        "x and v detached": _gradient(True, True),
        "only x detached": _gradient(True, False),
    }
    rows = [{"detached": name, "d/d eta": float(pair[0]), "d/d beta": float(pair[1])} for name, pair in found.items()]
    near = all(
        abs(float(value) - wanted) <= 1e-6  # six printed decimals, cut
        for name, pair in found.items()
        for value, wanted in zip(pair, PRINTED[name], strict=True)
    )
    caught = {
        "the iterate is enough": found["only x detached"] != found["x and v detached"],
        "v alone is enough": _gradient(False, True) != found["x and v detached"],
    }
    return Measurement(
        holds=near,
        table=tuple(rows),
        margin=abs(float(found["only x detached"][0] / found["x and v detached"][0])) - 1,
        arithmetic="exact rationals",
        refuted_faults=tuple(name for name, seen in caught.items() if seen),
        accepted_faults=tuple(name for name, seen in caught.items() if not seen),
    )


NUMBERS = Claim(
    id="truncation/detached_state/heavy_ball",
    title="Heavy ball, N = 40, K = 5: full, x and v detached, only x detached are three different gradients",
    source=_SOURCE,
    statement=(
        "Eigenvalues (1, 1/10), start (1, 1), eta = 1/5, beta = 9/10: d/d(eta, beta) = (-0.212562, 24.131897) full, "
        "(-6.156250, "
        "6.164918) truncated, (-8.258139, 12.272323) with only x detached."
    ),
    kind="measurement",
    scope="one instance",
    expected=Status.NOT_FALSIFIED,
    measure=_printed,
)

CLAIMS = [SAME, DIFFERENT, NUMBERS]
