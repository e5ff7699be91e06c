r"""The claim "learns the inverse Hessian in noisy landscapes" depends on the noise: additive noise, and none at all.

Fixed minimum, gradient noise xi of variance c, evaluated afresh at each step; one mode, u = G h:
g_t = h b_t + xi_t, b_{t+1} = b_t - G g_t. Stationary h^2 Var b = u c/(2-u) and E[g_{t+1} g_t] = -u c/(2-u) < 0: the
hypergradient pushes G to 0, whatever H is. Without noise, |A_t| <= q < 1 bounds all that is ever learned.

Source: derived here, in the setting of arXiv 2210.06171.
"""

import numpy as np

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quasi_newton.averaged import additive_noise_gain
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"
PARAMETERS = (
    Parameter("u", low="0", high="2", landmarks=("1",), meaning="G h"),
    Parameter("c", low="0", landmarks=("1",), meaning="variance of the gradient noise"),
)
HYPOTHESES = {"stable": "0 < u < 2", "noise": "c > 0"}
DEFINITIONS = {"V": "u*c/(2-u)", "E": "(1-u)*V - u*c"}

INVERSE = Claim(
    id="lodo/additive_noise/inverse_hessian",
    title="With additive gradient noise at a fixed minimum the inverse Hessian is a stationary point of the learning",
    source="abstract of arXiv 2210.06171 (inverse Hessian in noisy landscapes), read for mini-batches; derived here",
    statement="At G = 1/h the mean of g_{t+1} g_t is 0. False: it is -c, the hypergradient shrinks G.",
    kind="identity",
    scope="one mode, any noise of variance c > 0 that is new at every step",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(PARAMETERS[1],),
        hypotheses={"noise": "c >= 0"},
        definitions={"V": "c", "E": "0*V - c"},
        conclusion="E == 0",
    ),
    witness={"c": "0"},
    counterexample={"c": "1"},
    notes="It does hold when the minimum moves and gradients are exact: see lodo/fixed_point/momentum with beta = 0.",
)

DECAYS = Claim(
    id="lodo/additive_noise/decays",
    title="Corrected: the expected hypergradient shrinks every stable gain there, whatever H is",
    source=SOURCE,
    statement=(
        "V = h^2 Var b = u c/(2-u) is stationary, V = (1-u)^2 V + u^2 c, and E[g_{t+1} g_t] = (1-u) V - u c obeys\n"
        "(2-u) E = -u c, so E < 0 for every stable u: no gain but 0 is stationary."
    ),
    kind="tight",
    scope="every mode with 0 < G h < 2, every curvature, noise of variance c > 0 that is new at every step",
    expected=Status.PROVED,
    corrects="lodo/additive_noise/inverse_hessian",
    formal=Statement(
        parameters=PARAMETERS,
        hypotheses=HYPOTHESES,
        definitions=DEFINITIONS,
        conclusion="V == (1-u)**2*V + u**2*c and (2-u)*E == -u*c and E < 0",
    ),
    witness={"u": "1/2", "c": "1"},
    proof=Proof(
        atoms={"V": "V"},
        definitions={"E": "(1-u)*V - u*c"},
        facts={"V_means": Fact("(2-u)*V == u*c", "definition of V")},
        steps=(
            Step("stationary", "V == (1-u)**2*V + u**2*c", equal={"V_means": "u"}),
            Step("mean", "(2-u)*E == -u*c", equal={"V_means": "1-u"}),
            Step("down", "(2-u)*(-E) > 0", terms=(times("stable.1", "noise"),), equal={"mean": "-1"}),
            Step("negative", "-E > 0", cancel=("stable.2", "down")),
            Step("goal", "E < 0", terms=(times("negative"),)),
        ),
    ),
    mutations=(
        Mutation("grows below the inverse", {"hypotheses": {"stable": "0 < u < 1"}, "conclusion": "E > 0"}),
        Mutation("faster by half", {"conclusion": "2*(2-u)*E == -3*u*c"}),
        Mutation("bounded away from 0", {"conclusion": "E < -c/10"}),
    ),
)

RATE, COPIES = 0.002, 400


def simulated(start: float, steps: int, seed: int, moving: bool = False) -> list[float]:
    """Mean of G over copies every 400 steps, h = c = 1; `moving` puts the noise into the minimum instead."""
    generator = np.random.default_rng(seed)
    gain, b = np.full(COPIES, start), np.zeros(COPIES)
    g = generator.standard_normal(COPIES)
    seen = [start]
    for step in range(1, steps + 1):
        b = b - gain * g
        xi = generator.standard_normal(COPIES)
        if moving:
            b, xi = b - xi, 0.0
        new = b + xi
        gain, g = gain + RATE * new * g, new
        if step % 400 == 0:
            seen.append(float(gain.mean()))
    return seen


def _simulated(seed: int) -> Measurement:
    predicted = additive_noise_gain(0.5, 1, 1, RATE, np.arange(0, 2001, 400.0))
    observed, other = simulated(0.5, 2000, seed), simulated(0.5, 2000, seed, moving=True)
    rows = [
        {"step": 400 * k, "predicted": float(p), "observed": o, "moving minimum instead": w}
        for k, (p, o, w) in enumerate(zip(predicted, observed, other, strict=True))
    ]
    tolerance = 0.02  # averaging error O(a), about 0.01 at late times, and 400 copies
    error = max(abs(float(p) - o) for p, o in zip(predicted, observed, strict=True))
    fault = "moving the minimum instead gives the same decay"
    caught = other[-1] > 0.8
    return Measurement(
        holds=error < tolerance,
        table=tuple(rows),
        margin=1 - error / tolerance,
        arithmetic=f"float64, {COPIES} copies, rate {RATE}",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


SIMULATED = Claim(
    id="lodo/additive_noise/curve",
    title="The decay follows u = -2 W0(-(u0/2) e^(-u0/2) e^(-a h c t/2))",
    source=SOURCE,
    statement="h = c = 1, a = 0.002, u0 = 1/2: simulated mean of G h within 0.02 of the averaged curve for 2000 steps.",
    kind="statistical",
    scope="one mode; the same noise as moves of the minimum takes G towards 1/h instead",
    expected=Status.NOT_FALSIFIED,
    measure=_simulated,
)

BOUNDED = Claim(
    id="lodo/no_noise/learning_is_bounded",
    title="Without noise the total learning is bounded: |D_t - D_0| <= a q h^2 |b_0|^2/(1-q^2)",
    source=SOURCE,
    statement=(
        "D_{t+1} = D_t - a H b_{t+1} b_t^T H, |b_{t+1}| <= q |b_t|, q < 1. With S_t = |D_t - D_0| the budget\n"
        "(1-q^2) S_t + a q h_max^2 |b_t|^2 never grows; it starts at a q h_max^2 |b_0|^2, and the bound follows."
    ),
    kind="upper",
    scope="every step, dimension and spectrum; induction over t gives all t",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("a", low="0", meaning="meta rate"),
            Parameter("q", low="0", high="1", landmarks=("1/2",), meaning="contraction of the inner steps"),
            Parameter("h", low="0", meaning="largest curvature"),
            Parameter("S", low="0", meaning="|D_t - D_0|"),
            Parameter("B", low="0", meaning="|b_t|"),
            Parameter("N", low="0", high="q*B", meaning="|b_{t+1}|"),
            Parameter("T", low="0", high="S + a*h**2*N*B", meaning="|D_{t+1} - D_0|"),
        ),
        hypotheses={
            "rate": "a > 0",
            "contraction": "0 < q < 1",
            "curvature": "h > 0",
            "now": "B >= 0",
            "next": "0 <= N <= q*B",
            "triangle": "T <= S + a*h**2*N*B",
        },
        conclusion="(1-q**2)*T + a*q*h**2*N**2 <= (1-q**2)*S + a*q*h**2*B**2",
    ),
    witness={"a": "1/10", "q": "1/2", "h": "1", "S": "1", "B": "2", "N": "1", "T": "1"},
    proof=Proof(
        steps=(
            Step("room", "1-q**2 > 0", terms=(times("contraction.2"), times("contraction.1", "contraction.2"))),
            Step(
                "goal",
                "(1-q**2)*T + a*q*h**2*N**2 <= (1-q**2)*S + a*q*h**2*B**2",
                terms=(
                    times("room", "triangle"),
                    times("rate", "room", "now", "next.2", square="h"),
                    times("rate", "contraction.1", "next.2", "next.1", square="h"),
                    times("rate", "contraction.1", "contraction.1", "now", "next.2", square="h"),
                ),
            ),
        ),
    ),
    mutations=(
        Mutation("half the budget", {"conclusion": "(1-q**2)*T + a*q*h**2*N**2/2 <= (1-q**2)*S + a*q*h**2*B**2/2"}),
        Mutation("strict", {"conclusion": "(1-q**2)*T + a*q*h**2*N**2 < (1-q**2)*S + a*q*h**2*B**2"}),
        Mutation("expanding steps", {"hypotheses": {"next": "0 <= N <= 2*q*B"}}),
    ),
)

CLAIMS = [INVERSE, DECAYS, SIMULATED, BOUNDED]
