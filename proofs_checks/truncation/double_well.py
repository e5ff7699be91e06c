r"""Model C: on the double well the state is bounded for ever while the gradient explodes in the window.

f(x) = x^4/2 - x^2/2, gradient descent with eta = 2: x_{t+1} = 3 x_t - 4 x_t^3 = -T_3(x_t). With x_0 = cos(theta):

    (C1) x_t = (-1)^t cos(3^t theta)      (C2) dx_t/dx_s = (-3)^(t-s) sin(3^t theta)/sin(3^s theta)
    (C3) theta uniform: E (dx_{s+K}/dx_s)^2 = 27^K, E ln|dx_{s+K}/dx_s| = K ln 3
    (C4) d x_N/d eta through the last K steps: -sum_{s=N-K..N-1} (dx_N/dx_{s+1}) f'(x_s)

Source: derived here.
"""

from fractions import Fraction
from math import comb

import flint

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"
_X = Parameter("x", low="-1", high="1", landmarks=("1/2", "-1/2", "0"), meaning="state")

BOUNDED = Claim(
    id="truncation/double_well/bounded",
    title="C1: the state stays in [-1, 1] for ever",
    source=_SOURCE,
    statement="x^2 <= 1 gives (3 x - 4 x^3)^2 <= 1: 1 - (3 x - 4 x^3)^2 = (1 - x^2)(1 - 4 x^2)^2.",
    kind="tight",
    scope="all x in [-1, 1]",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(_X,),
        hypotheses={"inside": "x**2 <= 1"},
        definitions={"next": "3*x - 4*x**3"},
        conclusion="next**2 <= 1",
    ),
    witness={"x": "1/3"},
    proof=Proof(
        definitions={"next": "3*x - 4*x**3"},
        steps=(Step("stays", "next**2 <= 1", terms=(times("inside", square="1-4*x**2"),)),),
    ),
    mutations=(
        Mutation("one percent smaller", {"conclusion": "100*next**2 <= 99"}, {"x": "1"}),
        Mutation("a larger interval", {"hypotheses": {"inside": "x**2 <= 2"}}, {"x": "5/4"}),
        Mutation("eta = 21/10", {"definitions": {"next": "x - 21*(2*x**3-x)/10"}}, {"x": "1"}),
    ),
)

CONJUGACY = Claim(
    id="truncation/double_well/conjugacy",
    title="C1, C2, induction step: one step triples the angle, and its derivative is -3 sin(3 theta)/sin(theta)",
    source=_SOURCE,
    statement=(
        "c = cos, s = sin of an angle, c_3 = 4 c^3 - 3 c, s_3 = 3 s - 4 s^3 of its triple: c_3^2 + s_3^2 = 1, x = c "
        "goes to "
        "-c_3, and s (3 - 12 c^2) = -3 s_3; so the chain rule telescopes to (C2)."
    ),
    kind="identity",
    scope="all points of the unit circle",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("h", landmarks=("0", "1"), meaning="tan of half the angle, so that c and s are rational"),
        ),
        hypotheses={"denominator": "1 + h**2 > 0"},
        definitions={
            "c": "(1 - h**2)/(1 + h**2)",
            "s": "2*h/(1 + h**2)",
            "c3": "4*c**3 - 3*c",
            "s3": "3*s - 4*s**3",
        },
        conclusion="c3**2 + s3**2 == 1 and 3*c - 4*c**3 == -c3 and s*(3 - 12*c**2) == -3*s3",
    ),
    witness={"h": "1/2"},
    proof=Proof(
        atoms={"c": "c", "s": "s"},
        definitions={"c3": "4*c**3 - 3*c", "s3": "3*s - 4*s**3"},
        facts={"circle": Fact("c**2 + s**2 == 1", "Pythagoras")},
        steps=(
            Step("turns", "3*c - 4*c**3 == -c3"),
            Step("slope", "s*(3 - 12*c**2) == -3*s3", equal={"circle": "-12*s"}),
            Step("still", "c3**2 + s3**2 == 1", equal={"circle": "(4*(c**2+s**2)-1)**2 - 48*c**2*s**2"}),
        ),
    ),
    mutations=(
        Mutation("sign of the slope", {"conclusion": "s*(3 - 12*c**2) == 3*s3"}),
        Mutation("doubling", {"conclusion": "3*c - 4*c**3 == -(2*c**2 - 1)"}),
        Mutation("slope 3 everywhere", {"conclusion": "(3 - 12*c**2)**2 == 9"}),
    ),
)

SHORT_WINDOW = Claim(
    id="truncation/double_well/short_window_bounds",
    title="Here a short window does prevent explosion: |G_K| <= (9^K - 1)/8 at every horizon",
    source=_SOURCE,
    statement=(
        "On [-1, 1]: |dx_{t+1}/dx_t| = |3 - 12 x^2| <= 9, |dx_{t+1}/deta| = |f'| = |2 x^3 - x| <= 1. With the "
        "general bound of "
        "truncation/linear_state (rho = 9, C = G0 = 1): |G_K| <= (9^K - 1)/8, whatever N."
    ),
    kind="upper",
    scope="gradient descent with eta = 2 on the double well, starts in [-1, 1], all N and K",
    expected=Status.PROVED,
    corrects="truncation/explosion/short_windows",
    formal=Statement(
        parameters=(_X,),
        hypotheses={"left": "x >= -1", "right": "x <= 1"},
        definitions={"rate": "3 - 12*x**2", "slope": "2*x**3 - x"},
        conclusion="-9 <= rate <= 9 and -1 <= slope <= 1",
    ),
    witness={"x": "1/3"},
    proof=Proof(
        definitions={"rate": "3 - 12*x**2", "slope": "2*x**3 - x"},
        steps=(
            Step("rate_low", "-9 <= rate", terms=(times("left", "right", coef="12"),)),
            Step("rate_high", "rate <= 9", terms=(times(coef="6"), times(coef="12", square="x"))),
            Step(
                "slope_low",
                "-1 <= slope",
                terms=(times("left", square="x-1/2", coef="2"), times("left", coef="1/2")),
            ),
            Step(
                "slope_high",
                "slope <= 1",
                terms=(times("right", square="x+1/2", coef="2"), times("right", coef="1/2")),
            ),
        ),
    ),
    mutations=(
        Mutation("rate 8", {"conclusion": "-8 <= rate"}, {"x": "1"}),
        Mutation("slope below 9/10", {"conclusion": "10*slope <= 9"}, {"x": "1"}),
        Mutation("outside", {"hypotheses": {"right": "x <= 2"}}, {"x": "2"}),
    ),
)


def _times(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    out = [F(0)] * (len(a) + len(b) - 1)
    for i, u in enumerate(a):
        if u:
            for j, v in enumerate(b):
                out[i + j] += u * v
    return out


def _minus(a: list[Fraction], b: list[Fraction]) -> list[Fraction]:
    size = max(len(a), len(b))
    return [u - v for u, v in zip(a + [F(0)] * (size - len(a)), b + [F(0)] * (size - len(b)), strict=True)]


def _second_moments(seed: int) -> Measurement:
    """E (dx_K/dx_0)^2 from the chain rule as a polynomial in x_0 and E cos^(2k) = C(2k,k)/4^k (nothing random)."""
    x, derivative, rows = [F(0), F(1)], [F(1)], []
    for power in range(1, 5):
        square = _times(x, x)
        derivative = _times(derivative, _minus([F(3)], [12 * c for c in square]))
        x = _minus([3 * c for c in x], [4 * c for c in _times(square, x)])
        moments = [F(comb(k, k // 2), 2**k) if k % 2 == 0 else F(0) for k in range(2 * len(derivative))]
        mean = sum((c * moments[k] for k, c in enumerate(_times(derivative, derivative))), F(0))
        rows.append({"K": power, "E (dx/dx)^2": str(mean), "27^K": 27**power, "equal": mean == 27**power})
    caught = {"9^K, as if the slope were 3": all(row["E (dx/dx)^2"] != str(9 ** row["K"]) for row in rows)}
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals; polynomials of degree up to 160",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


SECOND_MOMENT = Claim(
    id="truncation/double_well/second_moment",
    title="C3: under the invariant law E (dx_{s+K}/dx_s)^2 = 27^K",
    source=_SOURCE,
    statement="theta uniform on (0, pi): the mean of 9^K sin^2(3^K theta)/sin^2(theta) is 9^K 3^K (Fejer's kernel).",
    kind="identity",
    scope="K = 1, 2, 3, 4",
    expected=Status.NOT_FALSIFIED,
    measure=_second_moments,
)


def _lyapunov(seed: int) -> Measurement:
    """Product of |dx_K/dx_0| over the Chebyshev nodes of order n (3 does not divide n) by the recursion, in balls."""
    rows = []
    with precision(256):
        for count in (5, 50, 100):
            for window in (1, 2, 3, 4):
                total = flint.arb(0)
                for j in range(count):
                    x = (flint.arb.pi() * ball(F(2 * j + 1, 2 * count))).cos()
                    for _ in range(window):
                        total += abs(3 - 12 * x**2).log()
                        x = 3 * x - 4 * x**3
                mean = total / count
                rows.append(
                    {
                        "nodes": count,
                        "K": window,
                        "mean of ln": float(mean),
                        "agrees": bool(mean.overlaps(window * flint.arb(3).log())) and float(mean.rad()) < 1e-30,
                        "is ln sqrt 27": bool(mean.overlaps(window * flint.arb(27).sqrt().log())),
                    }
                )
    caught = {"half the logarithm of the mean square": not any(row["is ln sqrt 27"] for row in rows)}
    return Measurement(
        holds=all(row["agrees"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="balls of 256 bits, radius below 1e-30",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


LYAPUNOV = Claim(
    id="truncation/double_well/lyapunov_exponent",
    title="C3: the mean of ln|dx_{s+K}/dx_s| is K ln 3",
    source=_SOURCE,
    statement=(
        "Over the angles (2j+1) pi/(2n), n prime to 3, the mean is K ln 3 exactly, since tripling permutes the "
        "sines; n -> "
        "infinity gives E ln|dx_{s+K}/dx_s| = K ln 3."
    ),
    kind="identity",
    scope="n in {5, 50, 100}, K = 1, 2, 3, 4, to 30 digits",
    expected=Status.NOT_FALSIFIED,
    measure=_lyapunov,
)

PRINTED = {1: 0.05124, 2: 0.09084, 3: 0.12957, 4: -1.2798, 6: -5.057, 8: -204.2, 12: -36397, 24: -2.898e10}
_HORIZON, _BITS = 24, 320  # 24 steps lose at most log2(9) bits each, so 96 digits leave more than 40 + 23


def _recursion(window: int, bits: int = _BITS) -> flint.arb:
    """df(x_24)/deta at eta = 2 by running x and its tangent, f' = 2 x^3 - x and f'' = 6 x^2 - 1."""
    with precision(bits):
        x, tangent = flint.arb(1).cos(), flint.arb(0)
        for t in range(_HORIZON):
            tangent = flint.arb(0) if t == _HORIZON - window else tangent
            slope = 2 * x**3 - x
            tangent, x = tangent - slope - 2 * (6 * x**2 - 1) * tangent, x - 2 * slope
        return (2 * x**3 - x) * tangent


def _gradients(seed: int) -> Measurement:
    """(C4) from the angles against the recursion, theta = 1, N = 24, to 40 digits (nothing random)."""
    from l2o_theory.quadratic import DoubleWellDescent

    rows = []
    for window, printed in PRINTED.items():
        found, closed = _recursion(window), DoubleWellDescent(1).meta_gradient(_HORIZON, window, digits=41)
        with precision(_BITS):
            apart = abs(found - closed) / abs(found)
        rows.append(
            {
                "K": window,
                "gradient": float(closed),
                "printed": printed,
                "40 digits": bool(apart < flint.arb(10) ** -40),
                "bounded by (9^K-1)/8": abs(float(closed)) <= (9**window - 1) / 8,
            }
        )
    near = all(abs(row["gradient"] / row["printed"] - 1) < 2e-4 for row in rows)  # four printed digits
    largest = max(abs(row["gradient"]) for row in rows if row["K"] <= 3)
    in_floats = _recursion(_HORIZON, 53)
    caught = {
        "the window does not matter": abs(rows[-1]["gradient"]) > 1e10 and largest < 1,
        "float64 has 12 digits": float(in_floats.rad()) > 1e-12 * abs(rows[-1]["gradient"]),
    }
    return Measurement(
        holds=near and largest < 1 and all(row["40 digits"] and row["bounded by (9^K-1)/8"] for row in rows),
        table=tuple(rows),
        margin=1 - largest,
        arithmetic="balls of 320 bits against closed forms to 41 digits",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


GRADIENTS = Claim(
    id="truncation/double_well/gradients",
    title="C4: theta = 1, N = 24: the gradient grows from 0.05 (K = 1) to -2.9e10 (K = 24) while |x_t| <= 1",
    source=_SOURCE,
    statement=(
        "Final loss, windows K = 1, 2, 3, 4, 6, 8, 12, 24: 0.05124, 0.09084, 0.12957, -1.2798, -5.057, -204.2, "
        "-36397, -2.898e10. "
        "Closed form and recursion agree to 40 digits."
    ),
    kind="identity",
    scope="theta = 1, N = 24, eight windows",
    expected=Status.NOT_FALSIFIED,
    measure=_gradients,
)

CLAIMS = [BOUNDED, CONJUGACY, SHORT_WINDOW, SECOND_MOMENT, LYAPUNOV, GRADIENTS]
