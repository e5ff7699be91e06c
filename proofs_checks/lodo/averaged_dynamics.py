r"""T2: averaged learning dD/dt = -a H D K has the Lyapunov function tr(D^T H^-1 D)/2; closed form where G commutes.

D = H^-1 - G, K = H S H >= sigma^2 H^2, S = A S A^T + sigma^2 I, A = D H. With rows of D in the eigenbasis of H and
columns in that of K (one index i for all pairs) and entries h_i z_i, V = sum h_i z_i^2/2 has dV/dt = -a sum k_i h_i^2
z_i^2.

Source: derived here, in the setting of arXiv 2210.06171.
"""

import flint
import numpy as np

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quasi_newton import TrackedQuadratic
from l2o_theory.quasi_newton.averaged import residuals
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"

ANY_NORM = Claim(
    id="lodo/averaged/residual_norm_falls",
    title="Averaged learning always brings G H closer to the identity: |I - G H|_F falls",
    source=SOURCE,
    statement=(
        "d|A|^2/dt = -2a tr(A^T H A S H^2) <= 0 for A = I - G H of spectral radius < 1. False: take A = x w^T,\n"
        "H = diag(1, h), sigma = 1; then S = I + |w|^2/(1-(w.x)^2) x x^T and the trace is x^T H x times the expression."
    ),
    kind="lower",
    scope="n = 2, A of rank one",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(
            Parameter("h", low="0", high="1", landmarks=("1/10",), meaning="smaller eigenvalue of H"),
            *(Parameter(name, landmarks=("1", "-1")) for name in ("x1", "x2", "w1", "w2")),
        ),
        hypotheses={"curvature": "0 < h <= 1", "radius": "(w1*x1 + w2*x2)**2 < 1"},
        definitions={
            "p": "w1*x1 + w2*x2",
            "q": "w1*x1 + h**2*w2*x2",
            "c": "(w1**2 + w2**2)/(1 - p**2)",
        },
        conclusion="w1**2 + h**2*w2**2 + c*p*q >= 0",
    ),
    witness={"h": "1/10", "x1": "1/2", "x2": "0", "w1": "1", "w2": "0"},
    counterexample={"h": "1/10", "x1": "-1", "x2": "19/10", "w1": "1", "w2": "1"},
)

LYAPUNOV = Claim(
    id="lodo/averaged/lyapunov",
    title="Corrected: while rho(A) < 1, V = tr(D^T H^-1 D)/2 falls at least at the rate 2 a sigma^2 h_min^3",
    source=SOURCE,
    statement="dV/dt = -a sum k h^2 z^2 <= -2 a s2 h_min^3 V, V = sum h z^2/2, for h_i >= h_min, k_i >= s2 h_min^2.",
    kind="upper",
    scope="all dimensions, all D with A of spectral radius < 1, at every instant",
    expected=Status.PROVED,
    corrects="lodo/averaged/residual_norm_falls",
    formal=Statement(
        parameters=(
            Parameter("a", low="0", meaning="meta rate"),
            Parameter("s2", low="0", meaning="variance of the moves"),
            Parameter("low", low="0", meaning="h_min"),
            Parameter("h_i", low="low", landmarks=("low",), meaning="eigenvalue of H of the row"),
            Parameter("k_i", low="s2*low**2", landmarks=("s2*low**2",), meaning="eigenvalue of K of the column"),
            Parameter("z_i", landmarks=("0",), meaning="entry of D over h_i"),
        ),
        hypotheses={
            "rate": "a > 0",
            "noise": "s2 > 0",
            "low_positive": "low > 0",
            "spectrum": "h_i >= low",
            "excitation": "k_i >= s2*low**2",
        },
        conclusion="-a*sum(k_i*h_i**2*z_i**2) <= -2*a*s2*low**3*(sum(h_i*z_i**2)/2)",
    ),
    witness={"a": "1/100", "s2": "1", "low": "1/5", "h_i": ["1", "1/5"], "k_i": ["2", "1/25"], "z_i": ["1", "-2"]},
    proof=Proof(
        steps=(
            Step("h_positive", "h_i > 0", terms=(times("low_positive"), times("spectrum"))),
            Step(
                "entry",
                "a*(k_i*h_i**2*z_i**2 - s2*low**3*h_i*z_i**2) >= 0",
                terms=(
                    times("rate", "excitation", "h_positive", "h_positive", square="z_i"),
                    times("rate", "noise", "h_positive", "spectrum", square="low*z_i"),
                ),
            ),
            Step("entries", "sum(a*(k_i*h_i**2*z_i**2 - s2*low**3*h_i*z_i**2)) >= 0", sum_of="entry"),
            Step(
                "goal",
                "-a*sum(k_i*h_i**2*z_i**2) <= -2*a*s2*low**3*(sum(h_i*z_i**2)/2)",
                terms=(times("entries"),),
            ),
        ),
    ),
    mutations=(
        Mutation("twice the rate", {"conclusion": "-a*sum(k_i*h_i**2*z_i**2) <= -4*a*s2*low**3*(sum(h_i*z_i**2)/2)"}),
        Mutation("strict", {"conclusion": "-a*sum(k_i*h_i**2*z_i**2) < -2*a*s2*low**3*(sum(h_i*z_i**2)/2)"}),
        Mutation("without excitation", {"hypotheses": {"excitation": "k_i >= 0"}}),
    ),
)


def squared_residual(time: flint.arb, start: flint.arb, rate: flint.arb) -> flint.arb:
    """y(t) = -W0(-y0 e^(-y0 - rate t)) in ball arithmetic."""
    return -(-start * (-start - rate * time).exp()).lambertw()


def _curve(seed: int) -> Measurement:
    """The curve starts at y0 and solves y' = -rate y/(1-y), checked between close times in balls (nothing random)."""
    rows, faults = [], {"rate halved": True, "other branch of W": True}
    with precision(256):
        for y0, rate, at in ((0.49, 0.008, 100), (0.81, 0.001, 700), (0.04, 0.5, 3), (0.9604, 6.4e-5, 20000)):
            start, speed, time = ball(y0), ball(rate), ball(at)
            step = ball(1) / 2**60
            y, before, after = (squared_residual(time + d, start, speed) for d in (0, -step, step))
            slope = (after - before) / (2 * step)  # exact to h^2 = 2^-120 times a third derivative of order 1
            wanted = -speed * y / (1 - y)
            error = abs(slope / wanted - 1)
            at_start = abs(squared_residual(ball(0), start, speed) - start)
            rows.append(
                {"y0": y0, "rate": rate, "t": at, "y": float(y.mid()), "slope/equation - 1": float(error.mid())}
                | {"starts at y0": bool(at_start < ball(2) ** -200), "holds": bool(error < ball(2) ** -80)}
            )
            half = squared_residual(time, start, speed / 2)
            faults["rate halved"] &= bool(abs(slope / (-speed * half / (1 - half)) - 1) > ball(2) ** -80)
            other = -(-start * (-start - speed * time).exp()).lambertw(-1)
            faults["other branch of W"] &= bool(abs(slope / (-speed * other / (1 - other)) - 1) > ball(2) ** -80)
    return Measurement(
        holds=all(row["holds"] and row["starts at y0"] for row in rows),
        table=tuple(rows),
        margin=1.0 - max(float(row["slope/equation - 1"]) for row in rows) * 2.0**80,
        arithmetic="ball arithmetic, 256 bits",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


CURVE = Claim(
    id="lodo/averaged/lambert_curve",
    title="Where G commutes with H the averaged residuals are a_i(t)^2 = -W0(-z e^(-2 a sigma^2 h_i^3 t))",
    source=SOURCE,
    statement="y = a_i^2 solves y' = -2 a sigma^2 h^3 y/(1-y), y(0) = y0 = (1 - alpha0 h)^2; z = y0 e^-y0, branch W0.",
    kind="identity",
    scope="four starts and rates, slopes to 2^-80",
    expected=Status.NOT_FALSIFIED,
    measure=_curve,
)

SPECTRUM, RATE, START, COPIES, TIMES = (1.0, 0.5, 0.2), 0.004, 0.3, 200, (200, 1000, 3000)


def simulated(seed: int) -> dict[int, np.ndarray]:
    """Mean diagonal of I - G H over copies, at TIMES."""
    generator, h = np.random.default_rng(seed), np.array(SPECTRUM)
    gain, b = np.tile(START * np.eye(3), (COPIES, 1, 1)), np.zeros((COPIES, 3))
    seen = {}
    for step in range(TIMES[-1] + 1):
        if step in TIMES:
            seen[step] = 1 - np.diagonal(gain, axis1=1, axis2=2).mean(axis=0) * h
        g = h * b
        b = b - (gain @ g[:, :, None])[:, :, 0] - generator.standard_normal(b.shape)
        gain = gain + RATE * (h * b)[:, :, None] * g[:, None, :]
    return seen


def _followed(seed: int) -> Measurement:
    task, observed = TrackedQuadratic(SPECTRUM), simulated(seed)
    rows, off, gaps = [], [], []
    for step, found in observed.items():
        predicted = residuals(task, START, RATE, [step])[0]
        rows.append({"step": step, "predicted": predicted.round(4).tolist(), "observed": found.round(4).tolist()})
        gaps.append(float(np.abs(found - predicted)[1:].max()))
        off.append(float(np.abs(found - residuals(task, START, 0.8 * RATE, [step])[0])[1:].max()))
    tolerance = 0.01  # averaging error O(a) and 200 copies; the fastest mode is not stationary while it learns
    fault = "a rate 20 percent smaller"
    caught = max(off) > tolerance
    return Measurement(
        holds=max(gaps) < tolerance,
        table=tuple(rows),
        margin=1 - max(gaps) / tolerance,
        arithmetic=f"float64, {COPIES} copies",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


FOLLOWED = Claim(
    id="lodo/averaged/simulated",
    title="Simulated learners follow the Lambert curve",
    source=SOURCE,
    statement="H = diag(1, .5, .2), a = 0.004, G_0 = 0.3 I: mean of 1 - G_ii h_i within 0.01 of the curve.",
    kind="statistical",
    scope="n = 3, 3000 steps; the fastest mode is left out: averaging error O(a) while it learns",
    expected=Status.NOT_FALSIFIED,
    measure=_followed,
)

CLAIMS = [ANY_NORM, LYAPUNOV, CURVE, FOLLOWED]
