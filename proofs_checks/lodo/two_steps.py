r"""T5: exact means of the first two learning steps of simplified LODO, without averaging.

A_0 = I - G_0 H and b_0 fixed, s_t Gaussian of covariance sigma^2 I, mu = A_0 b_0, v = H^2 b_0, S = mu mu^T + sigma^2 I:

    E A_1 = A_0 - a H mu b_0^T H^2,   E A_2 = E A_1 - a H {A_0 S - a H T} H^2,
    T = (v.mu) S + sigma^2 (v mu^T + mu v^T)

Only moments of the moves up to the third enter, so that averages over all signs s = (+-sigma, ..) are exact as well.

Source: derived here, in the setting of arXiv 2210.06171.
"""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from l2o_theory.claims import Claim, Measurement, Status
from l2o_theory.quasi_newton.moments import naive_second_mean, two_step_means

F = Fraction
SOURCE = "derived here, in the setting of arXiv 2210.06171"
Case = tuple[Any, Any, Any, Fraction, Fraction]


def _matrix(rows: list[list[str]]) -> Any:
    return np.array([[F(entry) for entry in row] for row in rows], dtype=object)


CASES: dict[str, Case] = {
    "n = 2": (
        _matrix([["1", "1/4"], ["1/4", "1/2"]]),
        _matrix([["1/2", "1/5"], ["-1/3", "3/4"]]),
        np.array([F(1), F(-2)], dtype=object),
        F(1, 10),
        F(3, 2),
    ),
    "n = 3": (
        _matrix([["1", "0", "1/5"], ["0", "2/3", "0"], ["1/5", "0", "1/2"]]),
        _matrix([["1/2", "0", "1/7"], ["0", "-1/4", "1/3"], ["1", "0", "0"]]),
        np.array([F(1, 2), F(3), F(-1)], dtype=object),
        F(1, 5),
        F(1),
    ),
}


def by_signs(case: Case) -> tuple[Any, Any]:
    """E A_1, E A_2 over all signs of s_0, s_1, by running the recursion."""
    H, A0, b0, a, sigma = case
    n, first, second, cases = len(b0), 0, 0, 0
    for signs in product((1, -1), repeat=2 * n):
        b, A = b0, A0
        for step in range(2):
            moved = A @ b - sigma * np.array(signs[step * n : (step + 1) * n], dtype=object)
            A = A - a * H @ np.outer(moved, b) @ H @ H
            b = moved
            if step == 0:
                first = first + A
        second, cases = second + A, cases + 1
    return first / F(cases), second / F(cases)


def by_isserlis(case: Case) -> Any:
    """E A_2 for Gaussian moves, entry by entry: E b_i b_j b_k = mu_i mu_j mu_k + mu_i C_jk + mu_j C_ik + mu_k C_ij."""
    H, A0, b0, a, sigma = case
    mu, n = A0 @ b0, len(b0)

    def second(i: int, j: int) -> Fraction:
        return mu[i] * mu[j] + (sigma**2 if i == j else 0)

    def third(i: int, j: int, k: int) -> Fraction:
        means = mu[i] * mu[j] * mu[k]
        return means + sigma**2 * (mu[i] * (j == k) + mu[j] * (i == k) + mu[k] * (i == j))

    # A_2 = A_1 - a H A_1 b_1 b_1^T H^2 on average, and A_1 = A_0 - a (H b_1) (H^2 b_0)^T
    v = H @ H @ b0
    moved = np.array(
        [
            [
                sum(A0[r, i] * second(i, c) for i in range(n))
                - a * sum(H[r, i] * v[j] * third(i, j, c) for i in range(n) for j in range(n))
                for c in range(n)
            ]
            for r in range(n)
        ],
        dtype=object,
    )
    return A0 - a * np.outer(H @ mu, v) - a * H @ moved @ H @ H


def _measured(seed: int) -> Measurement:
    """Formula, enumeration and Isserlis, equal as rationals; the naive closure is not (nothing random)."""
    rows, naive, dropped = [], [], []
    for name, case in CASES.items():
        found, wanted, gaussian = two_step_means(*case), by_signs(case), by_isserlis(case)
        rows.append(
            {
                "case": name,
                "E A_2, first row": [str(v) for v in found[1][0]],
                "equals enumeration": bool((found[0] == wanted[0]).all() and (found[1] == wanted[1]).all()),
                "equals Isserlis": bool((found[1] == gaussian).all()),
            }
        )
        naive.append(bool((naive_second_mean(*case) != wanted[1]).any()))
        dropped.append(bool((two_step_means(*case[:4], F(0))[1] != wanted[1]).any()))
    faults = {"naive closure: A_1 replaced by its mean": all(naive), "moves left out": all(dropped)}
    return Measurement(
        holds=all(row["equals enumeration"] and row["equals Isserlis"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals; all sign patterns, and Isserlis' formula entry by entry",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


EXACT = Claim(
    id="lodo/two_steps/exact_means",
    title="Exact means of the first two learning steps; A_1 and b_1 are correlated and it shows",
    source=SOURCE,
    statement="E A_1 and E A_2 of the module docstring, for Gaussian moves and for moves of random sign.",
    kind="identity",
    scope="n = 2 and 3, H and A_0 that do not commute",
    expected=Status.NOT_FALSIFIED,
    measure=_measured,
    corrects="lodo/two_steps/mean_field",
)


def _closure(seed: int) -> Measurement:
    """How far the naive closure is off (nothing random)."""
    rows = []
    for name, case in CASES.items():
        exact, naive = two_step_means(*case)[1], naive_second_mean(*case)
        rows.append({"case": name, "largest difference": str(max(abs(v) for v in (exact - naive).ravel()))})
    fault = "the exact mean is refused as well"
    caught = all((two_step_means(*case)[1] == by_signs(case)[1]).all() for case in CASES.values())
    return Measurement(
        holds=all(row["largest difference"] == "0" for row in rows),
        table=tuple(rows),
        margin=-1.0,
        arithmetic="exact rationals",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


CLOSURE = Claim(
    id="lodo/two_steps/mean_field",
    title="The second mean follows from the first: E A_2 = E A_1 - a H E[A_1] E[b_1 b_1^T] H^2",
    source="the usual closure; derived here",
    statement="False: it drops the correlation between A_1 and b_1, of order a^2.",
    kind="identity",
    scope="n = 2 and 3",
    expected=Status.FALSIFIED,
    measure=_closure,
)


CLAIMS = [EXACT, CLOSURE]
