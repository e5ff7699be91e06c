r"""The conditional risk and training loss, against exact enumeration and Monte Carlo.

Given X with Gram matrix H = X^T X/n (eigenvalues l_1..l_r > 0) and t steps of gradient descent from 0, with
w* uniform on the unit sphere and noise of variance sigma^2, r_k = 1 - eta l_k:
R = E|w_t - w*|^2 = (1/d) [(d-r) + sum_k r_k^(2t)] + (sigma^2/n) sum_k (1 - r_k^t)^2/l_k
T = E train loss = (1/2n) [sum_k r_k^(2t) (n l_k/d + sigma^2) + sigma^2 (n - r)].
Only second moments enter, so averaging over w* in {+-e_1, .., +-e_d} and noise in {+-sigma}^n is exact.

Source: derived here.
"""

from fractions import Fraction
from itertools import product

import numpy as np

from l2o_theory.claims import Claim, Measurement, Status

F = Fraction
# X = U diag(s) V^T with rational rotations, so that the Gram spectrum is rational.
TALL = ([[F(3, 5) * 3, F(4, 5) * 3], [F(-4, 5), F(3, 5)], [F(0), F(0)]], [F(3), F(1, 3)])
WIDE = ([[F(3, 5) * 2, F(4, 5) * 2, F(0)], [F(-4, 5), F(3, 5), F(0)]], [F(2), F(1, 2)])
SETTINGS = [(F(1, 4), 3), (F(1, 3), 2), (F(3, 2), 1)]  # step sizes and horizons, one beyond 2/l_max


def formulas(
    eigenvalues: list[Fraction], d: int, n: int, noise2: Fraction, eta: Fraction, t: int
) -> tuple[Fraction, Fraction]:
    """(R, T) of the module docstring."""
    r = len(eigenvalues)
    powers = [(1 - eta * value) ** t for value in eigenvalues]
    pairs = list(zip(eigenvalues, powers, strict=True))
    bias = (d - r + sum((p * p for p in powers), F(0))) / d
    variance = noise2 / n * sum(((1 - p) ** 2 / value for value, p in pairs), F(0))
    train = (sum((p * p * (n * value / d + noise2) for value, p in pairs), F(0)) + noise2 * (n - r)) / (2 * n)
    return bias + variance, train


def _dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), F(0))


def enumerated(X: list[list[Fraction]], noise2: Fraction, eta: Fraction, t: int) -> tuple[Fraction, Fraction]:
    """(R, T) by running gradient descent for every sign pattern; noise2 = sigma^2 with rational sigma."""
    n, d = len(X), len(X[0])
    sigma = next(s for s in (F(1, 2), F(1), F(2)) if s * s == noise2)
    risk = train = F(0)
    cases = 0
    for j, sign, *signs in product(range(d), (1, -1), *([(1, -1)] * n)):
        target = [F(sign) if k == j else F(0) for k in range(d)]
        y = [_dot(row, target) + e * sigma for row, e in zip(X, signs, strict=True)]
        w = [F(0)] * d
        for _ in range(t):
            residual = [_dot(row, w) - v for row, v in zip(X, y, strict=True)]
            w = [w[k] - eta * sum((X[i][k] * residual[i] for i in range(n)), F(0)) / n for k in range(d)]
        risk += sum(((a - b) ** 2 for a, b in zip(w, target, strict=True)), F(0))
        train += sum(((_dot(row, w) - v) ** 2 for row, v in zip(X, y, strict=True)), F(0)) / (2 * n)
        cases += 1
    return risk / cases, train / cases


def _enumeration(seed: int) -> Measurement:
    """Formula against enumeration, equal as rationals (nothing random)."""
    rows, variance_kept, scale_kept = [], [], []
    for name, (X, eigenvalues) in (("n=3, d=2", TALL), ("n=2, d=3", WIDE)):
        n, d = len(X), len(X[0])
        for noise2 in (F(1, 4), F(1)):
            for eta, t in SETTINGS:
                predicted, observed = formulas(eigenvalues, d, n, noise2, eta, t), enumerated(X, noise2, eta, t)
                rows.append(
                    {
                        "case": f"{name}, sigma^2={noise2}, eta={eta}, t={t}",
                        "predicted risk": str(predicted[0]),
                        "observed risk": str(observed[0]),
                        "predicted train loss": str(predicted[1]),
                        "observed train loss": str(observed[1]),
                        "equal": predicted == observed,
                    }
                )
                variance_kept.append(formulas(eigenvalues, d, n, F(0), eta, t)[0] != observed[0])
                scale_kept.append(formulas(eigenvalues, d, d, noise2, eta, t) != observed)
    faults = {"variance term dropped": all(variance_kept), "n replaced by d": all(scale_kept)}
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals, all sign patterns",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


ENUMERATED = Claim(
    id="train_vs_validation/risk/exact_enumeration",
    title="The conditional risk and training loss equal the average over all sign patterns",
    source="derived here",
    statement=(
        "R = (1/d)[(d-r) + sum r^(2t)] + (sigma^2/n) sum (1-r^t)^2/l and T = (1/2n)[sum r^(2t)(n l/d + "
        "sigma^2) + sigma^2(n-r)]\n"
        "equal, as rationals, the averages over w* in {+-e_j} and noise in {+-sigma}^n."
    ),
    kind="identity",
    scope="n = 3, d = 2 and n = 2, d = 3; two noises; three step sizes and horizons, one of them unstable",
    expected=Status.NOT_FALSIFIED,
    measure=_enumeration,
)

DRAWS, CRITICAL = 20_000, 4.5  # a 4.5 sigma excess has probability below 1e-5 per comparison


def _monte_carlo(seed: int) -> Measurement:
    """Formulas against sampled tasks at one Gaussian X per shape; z-scores of the mean."""
    streams = np.random.SeedSequence(seed).spawn(4)
    rows, faults = [], {"variance term dropped": True, "noise counted twice": True}
    for (d, n, t), stream in zip(((40, 20, 8), (20, 40, 8), (30, 30, 5), (25, 60, 12)), streams, strict=True):
        generator = np.random.default_rng(stream)
        X = generator.standard_normal((n, d))
        H = X.T @ X / n
        spectrum = np.linalg.eigvalsh(H)
        positive = spectrum[spectrum > 1e-9 * spectrum[-1]]
        eta, noise = 0.8 / spectrum[-1], 1.5
        targets = generator.standard_normal((d, DRAWS))
        targets /= np.linalg.norm(targets, axis=0)
        y = X @ targets + noise * generator.standard_normal((n, DRAWS))
        w = np.zeros((d, DRAWS))
        for _ in range(t):
            w -= eta * (H @ w - X.T @ y / n)
        distance = ((w - targets) ** 2).sum(axis=0)
        power = (1 - eta * positive) ** t
        bias = (d - positive.size + (power**2).sum()) / d
        variance = noise**2 / n * ((1 - power) ** 2 / positive).sum()
        error = distance.std(ddof=1) / DRAWS**0.5
        rows.append(
            {
                "case": f"d={d}, n={n}, t={t}",
                "predicted": float(bias + variance),
                "observed": float(distance.mean()),
                "standard error": float(error),
                "z": float((distance.mean() - bias - variance) / error),
            }
        )
        for name, wrong in (("variance term dropped", bias), ("noise counted twice", bias + 2 * variance)):
            faults[name] &= abs(distance.mean() - wrong) / error > CRITICAL
    return Measurement(
        holds=all(abs(row["z"]) < CRITICAL for row in rows),
        table=tuple(rows),
        margin=min(1 - abs(row["z"]) / CRITICAL for row in rows),
        arithmetic=f"{DRAWS} tasks per shape, float64, z-test at {CRITICAL} standard errors",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


SAMPLED = Claim(
    id="train_vs_validation/risk/monte_carlo",
    title="The conditional risk agrees with sampled tasks",
    source="derived here",
    statement="E|w_t - w*|^2 given X by the formula, against 20 000 sampled tasks at each of four shapes.",
    kind="statistical",
    scope="four Gaussian designs with d between 20 and 40, sigma = 1.5, eta = 0.8/l_max",
    expected=Status.NOT_FALSIFIED,
    measure=_monte_carlo,
)

CLAIMS = [ENUMERATED, SAMPLED]
