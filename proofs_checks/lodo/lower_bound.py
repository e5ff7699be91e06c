r"""No method tracks a moving minimum better than sigma^2 tr(H)/2; the exact Newton step attains it.

f_t(x) = (x - c_t)^T H (x - c_t)/2, c_{t+1} = c_t + s_t, the s_t independent with mean 0 and covariance sigma^2 I. A
method chooses x_{t+1} without knowing s_t. With e = x_{t+1} - c_t, per eigenvector of H: E (e - s)^2 = e^2 + E s^2.

Source: derived here, in the setting of arXiv 2210.06171 (noisy quadratic bowl).
"""

from fractions import Fraction

import flint

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

SOURCE = "derived here, in the setting of arXiv 2210.06171"

ONE_MODE = Claim(
    id="lodo/lower_bound/one_mode",
    title="Whatever a method does, an unknown move of the minimum costs it the variance of the move",
    source=SOURCE,
    statement="If the move s has mean 0 and cannot be known, E (e - s)^2 >= E s^2 for every e; equality at e = 0.",
    kind="tight",
    scope="every method, every law with mean 0 on finitely many values",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("e", landmarks=("0",), meaning="distance to where the minimum was"),
            Parameter("p_i", kind="share", meaning="probabilities"),
            Parameter("s_i", meaning="values of the move"),
        ),
        hypotheses={"unit": "sum(p_i) == 1", "mean": "sum(p_i*s_i) == 0"},
        conclusion="sum(p_i*(e - s_i)**2) >= sum(p_i*s_i**2)",
    ),
    witness={"e": "1", "p_i": ["1/3", "2/3"], "s_i": ["2", "-1"]},
    proof=Proof(
        steps=(
            Step(
                "expand",
                "sum(p_i*(e - s_i)**2) >= sum(p_i*s_i**2)",
                terms=(times(square="e"),),
                equal={"unit": "e**2", "mean": "-2*e"},
            ),
        ),
    ),
    mutations=(
        Mutation(
            "strict",
            {"conclusion": "sum(p_i*(e - s_i)**2) > sum(p_i*s_i**2)"},
            {"e": "0", "p_i": ["1/2", "1/2"], "s_i": ["1", "-1"]},
        ),
        Mutation(
            "a drift that the method cannot know",
            {"hypotheses": {"mean": "sum(p_i*s_i) >= 0"}},
            {"e": "1", "p_i": ["1"], "s_i": ["1"]},
        ),
        Mutation(
            "1 percent more",
            {"conclusion": "100*sum(p_i*(e - s_i)**2) >= 101*sum(p_i*s_i**2)"},
            {"e": "0", "p_i": ["1/2", "1/2"], "s_i": ["1", "-1"]},
        ),
    ),
)

ALL_MODES = Claim(
    id="lodo/lower_bound/all_modes",
    title="No causal method has an expected loss below sigma^2 tr(H)/2",
    source=SOURCE,
    statement=(
        "A move and its opposite are equally likely; over the pair the loss is at least that of x = c on average:\n"
        "[f(e - s) + f(e + s)]/2 >= f(s), f(z) = sum h_i z_i^2/2. With E s_i^2 = sigma^2 this is sigma^2 tr(H)/2."
    ),
    kind="tight",
    scope="all dimensions, all spectra >= 0, every method, symmetric moves",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("h_i", low="0", meaning="eigenvalues of H"),
            Parameter("e_i", landmarks=("0",), meaning="x_{t+1} - c_t in the eigenbasis"),
            Parameter("s_i", meaning="the move of the minimum"),
        ),
        hypotheses={"curvature": "h_i >= 0"},
        conclusion="sum(h_i*((e_i - s_i)**2 + (e_i + s_i)**2))/4 >= sum(h_i*s_i**2)/2",
    ),
    witness={"h_i": ["1", "1/1000"], "e_i": ["1/2", "-3"], "s_i": ["1", "-1"]},
    proof=Proof(
        steps=(
            Step(
                "mode",
                "h_i*((e_i - s_i)**2 + (e_i + s_i)**2)/4 >= h_i*s_i**2/2",
                terms=(times("curvature", coef="1/2", square="e_i"),),
            ),
            Step(
                "modes",
                "sum(h_i*((e_i - s_i)**2 + (e_i + s_i)**2))/4 >= sum(h_i*s_i**2)/2",
                sum_of="mode",
            ),
        ),
    ),
    mutations=(
        Mutation("strict", {"conclusion": "sum(h_i*((e_i - s_i)**2 + (e_i + s_i)**2))/4 > sum(h_i*s_i**2)/2"}),
        Mutation("no factor 1/2", {"conclusion": "sum(h_i*((e_i - s_i)**2 + (e_i + s_i)**2))/4 >= sum(h_i*s_i**2)"}),
        Mutation("one sign of the move", {"conclusion": "sum(h_i*(e_i - s_i)**2)/2 >= sum(h_i*s_i**2)/2"}),
    ),
)

PRINTED = "7.411847"  # the dashed "Newton method (theoretical)" line of the published program


def bowl_bound(eigenvalues: int = 100, decades: int = 3) -> flint.arb:
    """tr(H)/2 of the published bowl, sigma = 1: 100 eigenvalues log-spaced from 10^-3 to 1."""
    total = flint.arb(0)
    for i in range(eigenvalues):
        total += (-flint.arb(10).log() * ball(Fraction(decades * i, eigenvalues - 1))).exp()
    return total / 2


def _bowl(seed: int) -> Measurement:
    """The published line, as printed, lies in the ball of the formula rounded to its six decimals (nothing random)."""
    with precision(128):
        exact = bowl_bound()
        printed, half = ball(Fraction(PRINTED)), Fraction(1, 2 * 10**6)
        gap = float(abs(exact - printed).mid())
        agrees = bool(abs(exact - printed) < ball(half))
        faults = {
            "eigenvalues down to 10^-4": bool(abs(bowl_bound(decades=4) - printed) > ball(half)),
            "tr(H) without the factor 1/2": bool(abs(2 * exact - printed) > ball(half)),
            "101 eigenvalues": bool(abs(bowl_bound(101) - printed) > ball(half)),
        }
    return Measurement(
        holds=agrees,
        table=({"formula": float(exact.mid()), "printed by the program": PRINTED, "difference": gap},),
        margin=1 - gap / float(half),
        arithmetic="ball arithmetic, 128 bits",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


BOWL = Claim(
    id="lodo/lower_bound/published_line",
    title="The dashed Newton line of the published bowl figure is sigma^2 tr(H)/2 = 7.411847",
    source=SOURCE,
    statement="100 eigenvalues log-spaced from 0.001 to 1 and sigma = 1: tr(H)/2 = 7.411847 to the printed digits.",
    kind="identity",
    scope="the published bowl; the number is drawn by the authors' program (learning_curve_tools2.py)",
    expected=Status.NOT_FALSIFIED,
    measure=_bowl,
)

CLAIMS = [ONE_MODE, ALL_MODES, BOWL]
