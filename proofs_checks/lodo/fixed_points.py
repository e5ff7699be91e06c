r"""What LODO's hypergradient looks for: the inverse Hessian without momentum, (1+beta) times it with.

On a moving minimum, with G frozen at u/h per mode and m the average of past gradients, v_{t+1} = -G m_t makes the mode
a heavy ball with y = (1-beta) u, and the expected hypergradient is h Cov(b,v)/G. By lodo/frozen/heavy_ball_covariance
Cov(b,v) = s2 (u - (1+beta))/(2(1+beta) - (1-beta) u).

Source: derived here, in the setting of arXiv 2210.06171.
"""

import numpy as np

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"
BETA = Parameter("beta", low="0", high="1", landmarks=("0", "1/2"), meaning="momentum of the averaged gradient")
NOISE = Parameter("s2", low="0", landmarks=("1",), meaning="variance of the moves of the minimum")
GAIN = Parameter("u", low="0", landmarks=("1", "1+beta"), meaning="G h, the preconditioner times the curvature")


def _covariance(gain: str) -> dict[str, str]:
    """y, room and C = Cov(b,v), v = -G m, at G = gain/h; see lodo/frozen/heavy_ball_covariance."""
    return {
        "y": f"(1-beta)*({gain})",
        "room": "(1-beta)*(2*(1+beta)-y)",
        "C": "s2*(y - (1-beta**2))/room",
    }


INVERSE = Claim(
    id="lodo/fixed_point/inverse_hessian",
    title="LODO's expected hypergradient vanishes at the inverse Hessian",
    source="abstract of arXiv 2210.06171 (inverse Hessian in noisy landscapes), read for any momentum; derived here",
    statement=(
        "On a moving minimum with G = H^-1 frozen, E[g_{t+1} m_t^T] = 0. False for every beta > 0: with beta = 1/2\n"
        "the expected hypergradient still pushes G up. It vanishes at (1+beta) H^-1, where |I - G H| is beta, not 0."
    ),
    kind="identity",
    scope="one mode (so every spectrum), 0 <= beta < 1",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(BETA, NOISE),
        hypotheses={"momentum": "0 <= beta < 1", "noise": "s2 > 0"},
        definitions=_covariance("1"),
        conclusion="C == 0",
    ),
    witness={"beta": "0", "s2": "1"},
    counterexample={"beta": "1/2", "s2": "1"},
    notes="True for beta = 0, the simplified LODO; the published runs use beta = 0.195 and 0.9343.",
)

MOMENTUM = Claim(
    id="lodo/fixed_point/momentum",
    title="Corrected: it vanishes at (1+beta) H^-1, where the loss is sigma^2 tr(H)/(2(1-beta^2))",
    source=SOURCE,
    statement="With G h = 1+beta: Cov(b, G m) = 0 and Var b = s2/(1-beta^2).",
    kind="identity",
    scope="every mode, 0 <= beta < 1; beta = 0 is the inverse Hessian itself",
    expected=Status.PROVED,
    corrects="lodo/fixed_point/inverse_hessian",
    formal=Statement(
        parameters=(BETA, NOISE),
        hypotheses={"momentum": "0 <= beta < 1", "noise": "s2 > 0"},
        definitions={
            **_covariance("1+beta"),
            "P": "s2*((1-beta)**2*(1+beta) + 2*beta*y)/(y*room)",
        },
        conclusion="C == 0 and (1-beta**2)*P == s2",
    ),
    witness={"beta": "1/2", "s2": "1"},
    proof=Proof(
        atoms={"C": "C", "P": "P"},
        definitions={"y": "(1-beta)*(1+beta)", "room": "(1-beta)*(2*(1+beta)-y)"},
        facts={
            "C_means": Fact("C*room == s2*(y - (1-beta**2))", "definition of C"),
            "P_means": Fact("P*(y*room) == s2*((1-beta)**2*(1+beta) + 2*beta*y)", "definition of P"),
        },
        steps=(
            Step("above", "1+beta > 0", terms=(times("momentum.1"), times())),
            Step("room_positive", "room > 0", terms=(times("momentum.2", "above", "above"),)),
            Step("y_positive", "y > 0", terms=(times("momentum.2", "above"),)),
            Step("both", "y*room > 0", terms=(times("y_positive", "room_positive"),)),
            Step("C_scaled", "room*C == 0", equal={"C_means": "1"}),
            Step("C_zero", "C == 0", cancel=("room_positive", "C_scaled")),
            Step("P_scaled", "(y*room)*((1-beta**2)*P - s2) == 0", equal={"P_means": "1-beta**2"}),
            Step("P_value", "(1-beta**2)*P == s2", cancel=("both", "P_scaled")),
        ),
    ),
    mutations=(
        Mutation("(1+beta) -> (1+beta/2)", {"definitions": _covariance("1+beta/2")}),
        Mutation("variance without momentum", {"conclusion": "C == 0 and P == s2"}),
    ),
)

ATTRACTS = Claim(
    id="lodo/fixed_point/attracts",
    title="Elsewhere the expected hypergradient step moves every mode towards (1+beta)/h",
    source=SOURCE,
    statement="For stable u = G h different from 1+beta: (u - (1+beta)) Cov(b, -G m) > 0.",
    kind="uniqueness",
    scope="every mode, 0 <= beta < 1, 0 < (1-beta) u < 2(1+beta)",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(BETA, NOISE, GAIN),
        hypotheses={
            "momentum": "0 <= beta < 1",
            "noise": "s2 > 0",
            "stable": "0 < (1-beta)*u < 2*(1+beta)",
            "elsewhere": "(u - (1+beta))**2 > 0",
        },
        definitions=_covariance("u"),
        conclusion="(u - (1+beta))*C > 0",
    ),
    witness={"beta": "1/5", "s2": "1", "u": "1"},
    proof=Proof(
        atoms={"C": "C"},
        definitions={"y": "(1-beta)*(u)", "room": "(1-beta)*(2*(1+beta)-y)"},
        facts={"C_means": Fact("C*room == s2*(y - (1-beta**2))", "definition of C")},
        steps=(
            Step("room_positive", "room > 0", terms=(times("momentum.2", "stable.2"),)),
            Step(
                "scaled",
                "room*((u - (1+beta))*C) > 0",
                terms=(times("noise", "momentum.2", "elsewhere"),),
                equal={"C_means": "u - (1+beta)"},
            ),
            Step("goal", "(u - (1+beta))*C > 0", cancel=("room_positive", "scaled")),
        ),
    ),
    mutations=(
        Mutation(
            "towards the inverse Hessian",
            {"hypotheses": {"elsewhere": "(u - 1)**2 > 0"}, "conclusion": "(u - 1)*C > 0"},
        ),
        Mutation("away from it", {"conclusion": "(u - (1+beta))*C < 0"}),
    ),
)

NEWTON = Claim(
    id="lodo/fixed_point/newton_with_momentum",
    title="The inverse Hessian under momentum b costs (1+2b-b^2)/((1-b)(1+3b)) >= 1/(1-b^2) times the bound",
    source=SOURCE,
    statement="At G h = 1: Var b (1-b)(1+3b) = s2 (1+2b-b^2), and Var b (1-b^2) >= s2.",
    kind="identity",
    scope="every mode, 0 <= b < 1",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(BETA, NOISE),
        hypotheses={"momentum": "0 <= beta < 1", "noise": "s2 > 0"},
        definitions={
            "y": "1-beta",
            "room": "(1-beta)*(2*(1+beta)-y)",
            "P": "s2*((1-beta)**2*(1+beta) + 2*beta*y)/(y*room)",
        },
        conclusion="P*(1-beta)*(1+3*beta) == s2*(1+2*beta-beta**2) and P*(1-beta**2) >= s2",
    ),
    witness={"beta": "39/200", "s2": "1"},
    proof=Proof(
        atoms={"P": "P"},
        definitions={"y": "1-beta", "room": "(1-beta)*(2*(1+beta)-y)"},
        facts={"P_means": Fact("P*(y*room) == s2*((1-beta)**2*(1+beta) + 2*beta*y)", "definition of P")},
        steps=(
            Step("shrunk", "(1-beta)*(P*(1-beta)*(1+3*beta) - s2*(1+2*beta-beta**2)) == 0", equal={"P_means": "1"}),
            Step("value", "P*(1-beta)*(1+3*beta) == s2*(1+2*beta-beta**2)", cancel=("momentum.2", "shrunk")),
            Step("factor", "1+3*beta > 0", terms=(times("momentum.1", coef="3"), times())),
            Step(
                "scaled",
                "(1+3*beta)*(P*(1-beta**2) - s2) >= 0",
                terms=(times("noise", "momentum.2", square="beta"),),
                equal={"value": "1+beta"},
            ),
            Step("goal", "P*(1-beta**2) >= s2", cancel=("factor", "scaled")),
        ),
    ),
    mutations=(
        Mutation("no loss by momentum", {"conclusion": "P <= s2"}),
        Mutation("1+3b -> 1+2b", {"conclusion": "P*(1-beta)*(1+2*beta) == s2*(1+2*beta-beta**2)"}),
    ),
)

SPECTRUM, RATE, COPIES, STEPS = (1.0, 0.8, 0.6), 0.01, 64, 6000


def learned(beta: float, seed: int, steps: int = STEPS) -> np.ndarray:
    """G H of simplified LODO (dense G, meta-SGD), averaged over the last third of the steps and all copies."""
    generator = np.random.default_rng(seed)
    h = np.array(SPECTRUM)
    gain = np.tile(0.7 * np.eye(3), (COPIES, 1, 1))
    b, m, total = np.zeros((COPIES, 3)), np.zeros((COPIES, 3)), np.zeros((3, 3))
    for step in range(steps):
        b = b - (gain @ m[:, :, None])[:, :, 0] - generator.standard_normal(b.shape)
        g = h * b
        gain = gain + RATE * g[:, :, None] * m[:, None, :]
        m = beta * m + (1 - beta) * g
        if step >= 2 * steps // 3:
            total += gain.mean(axis=0)
    return total / (steps - 2 * steps // 3) * h


def _simulated(seed: int) -> Measurement:
    """Where G H settles for beta = 0, 0.2, 0.5; the other candidate, 1 for every beta, is the planted fault."""
    rows, far = [], []
    for beta in (0.0, 0.2, 0.5):
        found = learned(beta, seed)
        error = float(np.abs(found - (1 + beta) * np.eye(3)).max())
        rows.append(
            {"beta": beta, "predicted": 1 + beta, "diagonal of G H": np.diag(found).round(4).tolist(), "error": error}
        )
        far += [float(np.abs(np.diag(found) - 1).min())] if beta else []
    tolerance = 0.05  # O(a) bias of the fluctuations, 64 copies, slowest mode learned to 1 percent
    fault = "settles at the inverse Hessian for every beta"
    caught = min(far) > tolerance
    return Measurement(
        holds=all(row["error"] < tolerance for row in rows),
        table=tuple(rows),
        margin=1 - max(row["error"] for row in rows) / tolerance,
        arithmetic=f"float64, {COPIES} copies of {STEPS} steps, rate {RATE}",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


SIMULATED = Claim(
    id="lodo/fixed_point/simulated",
    title="Simulated learners settle at (1+beta) H^-1, matrices that need not commute with H on the way",
    source=SOURCE,
    statement="Dense G, meta-SGD, a = 0.01, H = diag(1, 0.8, 0.6): G H settles within 0.05 of (1+beta) I on average.",
    kind="statistical",
    scope="n = 3, beta = 0, 0.2, 0.5",
    expected=Status.NOT_FALSIFIED,
    measure=_simulated,
)

CLAIMS = [INVERSE, MOMENTUM, ATTRACTS, NEWTON, SIMULATED]
