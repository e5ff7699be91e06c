r"""Local linear convergence of training with explicit constants: the three inequalities the certificate D2 rests on.

r(theta) is the residual at the last step, J its Jacobian; on the ball of radius R = 8 K |r_0|/s0^2 around theta_0 let
|J| <= K and J be Lam-Lipschitz, s0 = sigma_min(J(theta_0)). If s0^3 >= 16 Lam K |r_0| and eta <= min(1/K^2,
s0^2/(4 Lam K^2 |r_0|)) then |r_k| <= (1 - eta s0^2/8)^k |r_0|. One step gives

    |r_+| <= (1 - eta s^2 + Lam eta^2 K^2 |r|/2) |r|,     s >= s0 - Lam R,     |theta_+ - theta| <= eta K |r|.

Shape as in Nguyen 2021 for ReLU networks; the statement for the unroll and all constants: derived here.
"""

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

BOUND = Parameter("K", low="0", landmarks=("1",), meaning="|J| <= K on the ball")
LIPSCHITZ = Parameter("Lam", low="0", landmarks=("1",), meaning="Lipschitz constant of J on the ball")
START = Parameter("r0", low="0", landmarks=("1",), meaning="|r(theta_0)|")
SINGULAR = Parameter("s0", low="0", landmarks=("1", "2*K"), meaning="sigma_min(J(theta_0))")
CONSTANTS = (BOUND, LIPSCHITZ, START, SINGULAR)
POSITIVE = {"bound": "K > 0", "lipschitz": "Lam > 0", "start": "r0 > 0", "independent": "s0 > 0"}

ONE_STEP = Claim(
    id="ntk/certificate/one_step",
    title="While s >= s0/2 and |r| <= |r_0|: 1 - eta s^2 + Lam eta^2 K^2 |r|/2 <= 1 - eta s0^2/8 for short steps",
    source="derived here",
    statement=(
        "If s >= s0/2, r <= r0 and 4 eta Lam K^2 r0 <= s0^2 then 1 - eta s^2 + Lam eta^2 K^2 r/2 <= 1 - eta s0^2/8."
    ),
    kind="rate",
    scope="all constants",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *CONSTANTS,
            Parameter("s", low="s0/2", landmarks=("s0/2", "s0"), meaning="sigma_min(J) on the way"),
            Parameter("r", low="0", high="r0", landmarks=("r0",), meaning="|r| now"),
            Parameter("eta", low="0", high="s0**2/(4*Lam*K**2*r0)", landmarks=("s0**2/(4*Lam*K**2*r0)",)),
        ),
        hypotheses={
            **POSITIVE,
            "half": "2*s >= s0",
            "fallen": "r <= r0",
            "forward": "eta > 0",
            "short": "4*eta*Lam*K**2*r0 <= s0**2",
        },
        conclusion="1 - eta*s**2 + Lam*eta**2*K**2*r/2 <= 1 - eta*s0**2/8",
    ),
    witness={"K": "2", "Lam": "1/16", "r0": "1/4", "s0": "1", "s": "1/2", "r": "1/4", "eta": "1/4"},
    proof=Proof(
        steps=(
            Step(
                "goal",
                "1 - eta*s**2 + Lam*eta**2*K**2*r/2 <= 1 - eta*s0**2/8",
                terms=(
                    # eta (s^2 - s0^2/4) + eta/8 (s0^2 - 4 eta Lam K^2 r0) + Lam eta^2 K^2 (r0 - r)/2
                    times("forward", "half", "half", coef="1/4"),
                    times("forward", "half", "independent", coef="1/2"),
                    times("forward", "short", coef="1/8"),
                    times("lipschitz", "fallen", coef="1/2", square="eta*K"),
                ),
            ),
        )
    ),
    mutations=(
        Mutation("1/7 instead of 1/8", {"conclusion": "1 - eta*s**2 + Lam*eta**2*K**2*r/2 <= 1 - eta*s0**2/7"}),
        Mutation(
            "steps twice as long",
            {"hypotheses": {"short": "2*eta*Lam*K**2*r0 <= s0**2"}},
            {"K": "1", "Lam": "1", "r0": "1", "s0": "1", "s": "1/2", "r": "1", "eta": "1/2"},
        ),
    ),
)

STAYS = Claim(
    id="ntk/certificate/stays_in_the_ball",
    title="If s0^3 >= 16 Lam K |r_0| then s0 - Lam R >= s0/2 for every distance R <= 8 K |r_0|/s0^2",
    source="derived here",
    statement=("Weights within R = 8 K |r_0|/s0^2 of the start have sigma_min(J) >= s0 - Lam R >= s0/2."),
    kind="upper",
    scope="all constants",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            BOUND,
            LIPSCHITZ,
            START,
            Parameter("s0", low="0", landmarks=("1",), meaning="sigma_min(J(theta_0))"),
            Parameter("R", low="0", high="8*K*r0/s0**2", landmarks=("8*K*r0/s0**2",), meaning="distance moved"),
        ),
        hypotheses={**POSITIVE, "path": "R*s0**2 <= 8*K*r0", "large": "s0**3 >= 16*Lam*K*r0"},
        conclusion="2*(s0 - Lam*R) >= s0",
    ),
    witness={"K": "2", "Lam": "1/64", "r0": "1", "s0": "1", "R": "16"},
    proof=Proof(
        steps=(
            Step(
                "scaled",
                "(2*(s0 - Lam*R) - s0)*s0**2 >= 0",
                terms=(times("large"), times("lipschitz", "path", coef="2")),
            ),
            Step("square_positive", "s0**2 > 0", using=("independent",)),
            Step("goal", "2*(s0 - Lam*R) >= s0", cancel=("square_positive", "scaled")),
        )
    ),
    mutations=(
        Mutation(
            "15 instead of 16",
            {"hypotheses": {"large": "s0**3 >= 15*Lam*K*r0"}},
            {"K": "1", "Lam": "1/15", "r0": "1", "s0": "1", "R": "8"},
        ),
        Mutation("square instead of cube", {"hypotheses": {"large": "s0**2 >= 16*Lam*K*r0"}}),
    ),
)

EXPANSION = Claim(
    id="ntk/certificate/expansion_cannot_help",
    title="Scaling the features by e does not make the local certificate true",
    source="derived here",
    statement=(
        "With only the last layer trained, features e G give e K, e^2 Lam, e s0 (T = 1): if s0^3 < 16 Lam K |r_0| "
        "then (e s0)^3 < 16 (e^2 Lam)(e K)|r_0| for every e > 0."
    ),
    kind="identity",
    scope="T = 1, last layer trained, all expansions e > 0",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            *CONSTANTS,
            Parameter("e", low="0", landmarks=("1", "50"), meaning="expansion"),
        ),
        hypotheses={**POSITIVE, "expansion": "e > 0", "fails": "s0**3 < 16*Lam*K*r0"},
        conclusion="(e*s0)**3 < 16*(e**2*Lam)*(e*K)*r0",
    ),
    witness={"K": "1", "Lam": "1", "r0": "1", "s0": "1", "e": "50"},
    proof=Proof(
        steps=(
            Step(
                "goal",
                "(e*s0)**3 < 16*(e**2*Lam)*(e*K)*r0",
                terms=(times("expansion", "expansion", "expansion", "fails"),),
            ),
        )
    ),
    mutations=(
        Mutation("Lam grows like e only", {"conclusion": "(e*s0)**3 < 16*(e*Lam)*(e*K)*r0"}),
        Mutation("Lam grows like e^3", {"conclusion": "(e*s0)**3 < 16*(e**3*Lam)*(e*K)*r0"}),
    ),
    notes=(
        "The step e is a learning-rate multiplier (`ntk/training/expansion_is_a_rate`), which the certificate mirrors."
    ),
)

CLAIMS = [ONE_STEP, STAYS, EXPANSION]
