r"""Lemmas on the logarithmic objective that proofs in the quadratic setting share, as facts and steps.

G'(eta) = -2 N/D with N = sum_k w_k l_k^2 r_k^(2t-1), D = sum_k w_k l_k r_k^(2t), r_k = 1 - eta l_k. Atoms: P_ =
r^(2t-1),
E_ = r^(2t), m = max(|1 - eta alpha|, |1 - eta L|), M = m^(2t), x = min(w1, wd). With a = 1/(2t): Da = D^a, Db =
D^(1-a),
La = L^a, xa = (x alpha)^a, Na = |N|, Wa = W^a, W the larger of the weights of the positive and of the negative r_k.

All derived here.
"""

from __future__ import annotations

from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import everywhere, total
from l2o_theory.rigor.proof import Fact, Step, times
from l2o_theory.rigor.statement import Statement

NUMERATOR = total("w*l**2*(1-eta*l)**(2*t-1)")
DENOMINATOR = total("w*l*(1-eta*l)**(2*t)")
LARGEST_RATIO = "max(abs(1-eta*alpha), abs(1-eta*L))"
ROOT_POSITIVE = "roots of positive numbers are positive"


def bounded(bound: str, quantity: str = "logslope", *, strict: bool = False, **definitions: str) -> Statement:
    """-bound <= quantity <= bound in the setting; further definitions come before the bound."""
    less = "<" if strict else "<="
    slope = {"N": NUMERATOR, "D": DENOMINATOR, "logslope": "-2*N/D", "x": "min(w1, wd)"}
    return Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE),
        hypotheses=setting.HYPOTHESES,
        definitions={**slope, **definitions, "bound": bound},
        conclusion=f"-bound {less} {quantity} {less} bound",
    )


POWERS = everywhere({"P_": "(1-eta*l)**(2*t-1)", "E_": "(1-eta*l)**(2*t)"})
SUMS = {"N": total("w*l**2*P_"), "D": total("w*l*E_")}
QUOTIENT = {"quotient": Fact("logslope*D == -2*N", "definition of G'")}
EVEN = {f"E_{k}_even": Fact(f"E_{k} >= 0", setting.EVEN_NONNEGATIVE) for k in "1di"}
BETWEEN = (
    Step("between", "w_i*l_i*E_i >= 0", terms=(times("weight", "l_positive", "E_i_even"),)),
    Step("between_sum", "sum(w_i*l_i*E_i) >= 0", sum_of="between"),
)
"""The interior part of D is non-negative (needs setting.POSITIVE and EVEN)."""

RATIO_ATOMS = {"m": LARGEST_RATIO}
RATIO = {
    "left_end": Fact("m >= 1 - eta*alpha", "definition of m"),
    "right_end": Fact("m >= eta*L - 1", "definition of m"),
    "M_positive": Fact("M > 0", setting.POWER_POSITIVE, "m >= (L - alpha)/(L + alpha) > 0"),
    "one_end": Fact("E_1 + E_d >= M", "definition of M", "one of the two is m^(2t), the other is >= 0"),
}
RATIO_STEPS = (
    Step("both", "L + alpha > 0", terms=(times("L_positive"), times("order.1"))),
    Step(
        "ratio",
        "(L+alpha)*m - (L-alpha) >= 0",
        terms=(times("L_positive", "left_end"), times("order.1", "right_end")),
    ),
    Step("ratio_scaled", "(L+alpha)*m > 0", terms=(times("ratio"), times("order.2"))),
    Step("m_positive", "m > 0", cancel=("both", "ratio_scaled")),
)
"""m >= (L - alpha)/(L + alpha) > 0 (needs setting.POSITIVE)."""

SMALLEST_WEIGHT = {
    "x_positive": Fact("x > 0", "definition of x"),
    "x_first": Fact("x <= w1", "definition of x"),
    "x_last": Fact("x <= wd", "definition of x"),
}
LARGE_DENOMINATOR = (
    *setting.POSITIVE,
    *BETWEEN,
    Step(
        "D_large",
        "D >= x*alpha*M",
        terms=(
            times("between_sum"),
            times("x_first", "L_positive", "E_1_even"),
            times("x_positive", "order.2", "E_1_even"),
            times("x_last", "order.1", "E_d_even"),
            times("x_positive", "order.1", "one_end"),
        ),
    ),
    Step("floor", "x*alpha*M > 0", terms=(times("x_positive", "order.1", "M_positive"),)),
    Step("D_positive", "D > 0", terms=(times("D_large"), times("floor"))),
    *RATIO_STEPS,
)
"""D >= x alpha M > 0 (needs RATIO, EVEN and SMALLEST_WEIGHT)."""

ONE_SIGN = f"max({total('w*positive(1-eta*l)')}, {total('w*positive(eta*l-1)')})"
HOELDER_ATOMS = POWERS | {
    "Na": "abs(N)",
    "Da": "root(D, 2*t)",
    "Db": "root(D, 2*t)**(2*t-1)",
    "La": "root(L, 2*t)",
    "Wa": f"root({ONE_SIGN}, 2*t)",
}
HOELDER = {
    **QUOTIENT,
    **EVEN,
    "abs_up": Fact("N <= Na", "definition of |N|"),
    "abs_down": Fact("-N <= Na", "definition of |N|"),
    "abs_even": Fact("Na >= 0", "definition of |N|"),
    "hoelder": Fact("Na <= L*La*Db*Wa", setting.HOELDER, "exponents 2t and 2t/(2t-1); indices of one sign; l <= L"),
    "D_split": Fact("Da*Db == D", setting.EXPONENTS_ADD),
    "Db_positive": Fact("Db > 0", ROOT_POSITIVE),
    "La_positive": Fact("La > 0", ROOT_POSITIVE),
    "Wa_even": Fact("Wa >= 0", ROOT_POSITIVE),
    "Wa_one": Fact("Wa <= 1", setting.POWER_INCREASES, "the weights of one sign sum to at most 1"),
}
STAR_ATOMS = HOELDER_ATOMS | RATIO_ATOMS | {"M": f"{LARGEST_RATIO}**(2*t)", "xa": "root(x*alpha, 2*t)"}
STAR_FACTS = {
    **HOELDER,
    **SMALLEST_WEIGHT,
    **RATIO,
    "xa_positive": Fact("xa > 0", ROOT_POSITIVE),
    "D_root": Fact("Da >= xa*m", setting.POWER_INCREASES, "D >= x alpha m^(2t), the step D_large"),
}
STAR_STEPS = (
    *LARGE_DENOMINATOR,
    Step(
        "star",
        "L*La*Wa*D - m*xa*Na >= 0",
        terms=(
            times("L_positive", "La_positive", "Wa_even", "Db_positive", "D_root"),
            times("m_positive", "xa_positive", "hoelder"),
        ),
        equal={"D_split": "-L*La*Wa"},
    ),
)
"""m (x alpha)^a |N| <= L^(1+a) W^a D: Hölder above, the smallest weight below."""

RATIONAL_WITNESS: dict[str, object] = {  # every root is rational here: t = 1, squares everywhere
    "L": "1",
    "alpha": "1/4",
    "w1": "16/25",
    "wd": "9/25",
    "w_i": ["0"],
    "l_i": ["1/2"],
    "t": "1",
    "eta": "164/137",
}
"""A member of the setting at which every atom above is rational."""


def divided(quantity: str = "logslope", factor: str = "1", *, strict: bool = False) -> tuple[Step, ...]:
    """From `top` and `bottom`, bound clear D +- 2 N clear factor >= 0, to the two links of -bound <= quantity <= bound.

    Needs the known relations `clear_positive`, `D_positive`, `quotient` and the equality `bound_means` for bound clear.
    """
    sign, less = (">", "<") if strict else (">=", "<=")
    return (
        Step(
            "top_cleared",
            f"clear*D*(bound - {quantity}) {sign} 0",
            terms=(times("top"),),
            equal={"bound_means": "D", "quotient": f"-clear*({factor})"},
        ),
        Step(
            "bottom_cleared",
            f"clear*D*({quantity} + bound) {sign} 0",
            terms=(times("bottom"),),
            equal={"bound_means": "D", "quotient": f"clear*({factor})"},
        ),
        Step("clear_D", "clear*D > 0", terms=(times("clear_positive", "D_positive"),)),
        Step("at_most", f"{quantity} {less} bound", cancel=("clear_D", "top_cleared")),
        Step("at_least", f"-bound {less} {quantity}", cancel=("clear_D", "bottom_cleared")),
    )
