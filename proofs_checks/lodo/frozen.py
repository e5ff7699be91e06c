r"""A frozen preconditioner under momentum on a moving minimum: the stationary covariance of one mode, in closed form.

    v <- mu v - y b,   b <- b + v - s,   Var s = s2,   y = step size times curvature; stable iff 0 < y < 2 (1 + mu)

    P = Var b    = s2 [(1-mu)^2 (1+mu) + 2 mu y]/(y room),    room = (1-mu) (2(1+mu) - y)
    C = Cov(b,v) = s2 (y - (1-mu^2))/room,    Q = Var v = s2 y (1+mu)/room

solve the Lyapunov equation of (b, v), whose solution is unique while the mode is stable. mu = 0: P = s2/(y (2-y)), SGD.

Source: derived here, in the setting of arXiv 2210.06171.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"
PARAMETERS = (
    Parameter("mu", low="0", high="1", landmarks=("0", "1/2"), meaning="momentum"),
    Parameter("y", low="0", high="2*(1+mu)", landmarks=("1", "1-mu**2"), meaning="step size times curvature"),
    Parameter("s2", low="0", landmarks=("1",), meaning="variance of the moves"),
)
HYPOTHESES = {"momentum": "0 <= mu < 1", "stable": "0 < y < 2*(1+mu)", "noise": "s2 > 0"}
ROOM = {"room": "(1-mu)*(2*(1+mu)-y)"}
COVARIANCE = {
    "P": "s2*((1-mu)**2*(1+mu) + 2*mu*y)/(y*room)",
    "C": "s2*(y - (1-mu**2))/room",
    "Q": "s2*y*(1+mu)/room",
}
MEANINGS = {
    "P_means": Fact("P*y*room == s2*((1-mu)**2*(1+mu) + 2*mu*y)", "definition of P"),
    "C_means": Fact("C*room == s2*(y - (1-mu**2))", "definition of C"),
    "Q_means": Fact("Q*room == s2*y*(1+mu)", "definition of Q"),
}
POSITIVE = (
    Step("room_positive", "room > 0", terms=(times("momentum.2", "stable.2"),)),
    Step("factor_positive", "y*room > 0", terms=(times("stable.1", "room_positive"),)),
)
WITNESS = {"mu": "2/5", "y": "21/100", "s2": "1"}
NEXT_P = "(1-y)**2*P + 2*mu*(1-y)*C + mu**2*Q + s2"
NEXT_C = "-y*(1-y)*P + mu*(1-y)*C - y*mu*C + mu**2*Q"
NEXT_Q = "y**2*P - 2*mu*y*C + mu**2*Q"

SOLVES = Claim(
    id="lodo/frozen/heavy_ball_covariance",
    title="The stationary covariance of a heavy ball on a moving minimum, in closed form",
    source=SOURCE,
    statement=(
        "P, C, Q reproduce themselves under one step: P = (1-y)^2 P + 2 mu (1-y) C + mu^2 Q + s2,\n"
        "C = -y(1-y) P + mu(1-y) C - y mu C + mu^2 Q, Q = y^2 P - 2 mu y C + mu^2 Q."
    ),
    kind="identity",
    scope="all 0 <= mu < 1, 0 < y < 2(1+mu), all s2 > 0; the loss of any number of modes is the sum of h P/2",
    expected=Status.PROVED,
    formal=Statement(
        parameters=PARAMETERS,
        hypotheses=HYPOTHESES,
        definitions={**ROOM, **COVARIANCE},
        conclusion=f"P == {NEXT_P} and C == {NEXT_C} and Q == {NEXT_Q}",
    ),
    witness=WITNESS,
    proof=Proof(
        atoms={name: name for name in COVARIANCE},
        definitions=ROOM,
        facts=MEANINGS,
        steps=(
            *POSITIVE,
            Step(
                "P_scaled",
                f"(y*room)*P == (y*room)*({NEXT_P})",
                equal={"P_means": "1-(1-y)**2", "C_means": "-2*mu*(1-y)*y", "Q_means": "-mu**2*y"},
            ),
            Step("P_equation", f"P == {NEXT_P}", cancel=("factor_positive", "P_scaled")),
            Step(
                "C_scaled",
                f"room*C == room*({NEXT_C})",
                equal={"P_means": "1-y", "C_means": "1 - mu*(1-y) + y*mu", "Q_means": "-mu**2"},
            ),
            Step("C_equation", f"C == {NEXT_C}", cancel=("room_positive", "C_scaled")),
            Step(
                "Q_scaled",
                f"room*Q == room*({NEXT_Q})",
                equal={"P_means": "-y", "C_means": "2*mu*y", "Q_means": "1-mu**2"},
            ),
            Step("Q_equation", f"Q == {NEXT_Q}", cancel=("room_positive", "Q_scaled")),
        ),
    ),
    mutations=(
        Mutation("2 mu y -> mu y", {"definitions": {"P": "s2*((1-mu)**2*(1+mu) + mu*y)/(y*room)"}}),
        Mutation("sign of the covariance", {"definitions": {"C": "s2*((1-mu**2) - y)/room"}}),
        Mutation("momentum of the other convention", {"definitions": {"Q": "s2*y*(1-mu)/room"}}),
    ),
)

DEFINITE = Claim(
    id="lodo/frozen/covariance_is_positive",
    title="That covariance is positive definite throughout the stable region",
    source=SOURCE,
    statement="P > 0 and P Q > C^2 for 0 <= mu < 1, 0 < y < 2(1+mu): it is the covariance of something.",
    kind="tight",
    scope="all 0 <= mu < 1, 0 < y < 2(1+mu), s2 > 0",
    expected=Status.PROVED,
    formal=Statement(
        parameters=PARAMETERS,
        hypotheses=HYPOTHESES,
        definitions={**ROOM, **COVARIANCE},
        conclusion="P*Q > C**2 and P > 0",
    ),
    witness=WITNESS,
    proof=Proof(
        atoms={name: name for name in COVARIANCE},
        definitions=ROOM,
        facts=MEANINGS,
        steps=(
            *POSITIVE,
            Step(
                "square_scaled",
                "(y*room*room)*(P*Q - C**2) > 0",
                terms=(times("noise", "noise", "stable.1", "stable.1", "stable.2"),),
                equal={
                    "P_means": "Q*room",
                    "Q_means": "s2*((1-mu)**2*(1+mu) + 2*mu*y)",
                    "C_means": "-y*(C*room + s2*(y - (1-mu**2)))",
                },
            ),
            Step("square_factor", "y*room*room > 0", terms=(times("stable.1", "room_positive", "room_positive"),)),
            Step("determinant", "P*Q > C**2", cancel=("square_factor", "square_scaled")),
            Step(
                "P_scaled",
                "y*room*P > 0",
                terms=(
                    times("noise", "momentum.2", "momentum.2"),
                    times("noise", "momentum.2", "momentum.2", "momentum.1"),
                    times("noise", "momentum.1", "stable.1", coef="2"),
                ),
                equal={"P_means": "1"},
            ),
            Step("variance", "P > 0", cancel=("factor_positive", "P_scaled")),
        ),
    ),
    mutations=(
        Mutation("beyond the stable region", {"hypotheses": {"stable": "0 < y < 3*(1+mu)"}}),
        Mutation("twice the covariance", {"conclusion": "P*Q > 4*C**2"}),
    ),
)

MODES = (
    Parameter("mu", low="0", high="1", landmarks=("0", "1/2"), meaning="momentum beta"),
    Parameter("s2", low="0", landmarks=("1",), meaning="variance of the moves"),
    Parameter("h_i", low="0", landmarks=("1",), meaning="eigenvalues of H"),
    Parameter("y_i", low="0", high="2*(1+mu)", landmarks=("1-mu**2", "1-mu"), meaning="(1-beta) G_i h_i"),
)
BEST = Claim(
    id="lodo/frozen/best_at_its_momentum",
    title="Under momentum beta the best frozen G that commutes with H is (1+beta) H^-1: sigma^2 tr(H)/(2(1-beta^2))",
    source=SOURCE,
    statement="(1-mu^2) sum h_i P_i >= s2 sum h_i for stable y_i; equality iff y_i = 1-mu^2, that is G_i h_i = 1+mu.",
    kind="tight",
    scope="all dimensions, spectra, 0 <= mu < 1 and stable gains; the loss is half the sum",
    expected=Status.PROVED,
    formal=Statement(
        parameters=MODES,
        hypotheses={
            "momentum": "0 <= mu < 1",
            "noise": "s2 > 0",
            "curvature": "h_i > 0",
            "stable": "0 < y_i < 2*(1+mu)",
        },
        definitions={
            "room_i": "(1-mu)*(2*(1+mu)-y_i)",
            "P_i": "s2*((1-mu)**2*(1+mu) + 2*mu*y_i)/(y_i*room_i)",
        },
        conclusion="(1-mu**2)*sum(h_i*P_i) >= s2*sum(h_i)",
    ),
    witness={"mu": "1/2", "s2": "1", "h_i": ["1", "1/4"], "y_i": ["3/4", "1/2"]},
    proof=Proof(
        atoms={"P_i": "P_i"},
        definitions={"room_i": "(1-mu)*(2*(1+mu)-y_i)"},
        facts={"P_means": Fact("P_i*y_i*room_i == s2*((1-mu)**2*(1+mu) + 2*mu*y_i)", "definition of P")},
        steps=(
            Step("factor_positive", "y_i*room_i > 0", terms=(times("stable.1", "momentum.2", "stable.2"),)),
            Step(
                "scaled",
                "(y_i*room_i)*((1-mu**2)*P_i - s2) >= 0",
                terms=(times("noise", "momentum.2", square="y_i - (1-mu**2)"),),
                equal={"P_means": "1-mu**2"},
            ),
            Step("mode", "(1-mu**2)*P_i - s2 >= 0", cancel=("factor_positive", "scaled")),
            Step("weighted", "h_i*((1-mu**2)*P_i - s2) >= 0", terms=(times("curvature", "mode"),)),
            Step("modes", "sum(h_i*((1-mu**2)*P_i - s2)) >= 0", sum_of="weighted"),
            Step("goal", "(1-mu**2)*sum(h_i*P_i) >= s2*sum(h_i)", terms=(times("modes"),)),
        ),
    ),
    mutations=(
        Mutation("strict", {"conclusion": "(1-mu**2)*sum(h_i*P_i) > s2*sum(h_i)"}),
        Mutation("1-mu^2 -> 1-mu", {"conclusion": "(1-mu)*sum(h_i*P_i) >= s2*sum(h_i)"}),
        Mutation("as good as without momentum", {"conclusion": "sum(h_i*P_i) <= s2*sum(h_i)"}),
    ),
)

CLAIMS = [SOLVES, DEFINITE, BEST]
