r"""How the best constant step depends on the horizon t, without and with gradient noise (short-horizon bias).

Two eigenvalues: eta*_t = (1 + rho)/(L + rho alpha) with rho = kappa^(1/(2t-1)), kappa = wd alpha^2/(w1 L^2). Noise of
covariance diag(s): F = 1/2 sum_k l_k [r_k^(2t) m_k + eta^2 s_k (1 - r_k^(2t))/(1 - r_k^2)].

Reference for the bias: Wu, Ren, Liao, Grosse, ICLR 2018. The formulas and numbers: derived here.
"""

from itertools import pairwise

import numpy as np

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quadratic import setting
from l2o_theory.quadratic.setting import gradient
from l2o_theory.rigor.statement import Parameter, Statement

SHORT_IS_SMALL = Claim(
    id="step_size/horizon/short_horizon_small_step",
    title="A shorter horizon always tunes a smaller step",
    source="derived here",
    statement=(
        "If F_t is still decreasing at eta (eta <= eta*_t), so is F_{t+1}: eta*_t <= eta*_{t+1} for every quadratic.\n"
        "False in general: when |c_1| L < |c_d| alpha the best step shrinks with the horizon."
    ),
    kind="rate",
    scope=f"{setting.SCOPE}, noiseless",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=(*setting.SPECTRUM, setting.STEP_SIZE),
        hypotheses={**setting.HYPOTHESES, "short": "slope <= 0"},
        definitions={"slope": gradient(), "longer": gradient(steps="(t+1)")},
        conclusion="longer <= 0",
    ),
    witness={**setting.WITNESS, "eta": "1/2"},
    counterexample={
        "L": "1",
        "alpha": "1/2",
        "w1": "1/100",
        "wd": "99/100",
        "w_i": [],
        "l_i": [],
        "t": "1",
        "eta": "5/3",
    },
)

TWO_EIGENVALUES = Claim(
    id="step_size/horizon/two_eigenvalues",
    title="Corrected: with two eigenvalues and |c_1| L > |c_d| alpha the best step grows towards 2/(L + alpha)",
    source="derived here",
    statement=(
        "eta*(rho) = (1 + rho)/(L + rho alpha) is increasing in rho, and rho_t = kappa^(1/(2t-1)) "
        "increases to 1 for kappa < 1:\n"
        "for 0 < rho < sigma < 1, eta*(rho) < eta*(sigma) < 2/(L + alpha), stated without division."
    ),
    kind="rate",
    scope="d = 2, all L > alpha > 0, kappa < 1, noiseless",
    expected=Status.PROVED,
    corrects="step_size/horizon/short_horizon_small_step",
    formal=Statement(
        parameters=(
            setting.SMOOTHNESS,
            setting.STRONG_CONVEXITY,
            Parameter("rho", low="0", high="1", meaning="ratio at the shorter horizon"),
            Parameter("sigma", low="rho", high="1", meaning="ratio at the longer horizon"),
        ),
        hypotheses={"order": "0 < alpha < L", "ratios": "0 < rho < sigma < 1"},
        conclusion="(1+rho)*(L+sigma*alpha) < (1+sigma)*(L+rho*alpha) and (1+sigma)*(L+alpha) < 2*(L+sigma*alpha)",
    ),
    witness={"L": "1", "alpha": "1/3", "rho": "1/4", "sigma": "1/2"},
    mutations=(
        Mutation(
            "ratios beyond 1",
            {
                "hypotheses": {"ratios": "0 < rho < sigma < 2"},
                "parameters": (
                    setting.SMOOTHNESS,
                    setting.STRONG_CONVEXITY,
                    Parameter("rho", low="0", high="2"),
                    Parameter("sigma", low="rho", high="2", landmarks=("3/2",)),
                ),
            },
        ),
        Mutation("decreasing", {"conclusion": "(1+rho)*(L+sigma*alpha) > (1+sigma)*(L+rho*alpha)"}),
        Mutation("limit 1/L", {"conclusion": "(1+sigma)*L < L + sigma*alpha"}),
    ),
)

_HORIZONS = (1, 2, 5, 10, 30, 100, 1000, 10000)
_NOISY = ((1.0, 0.1), (1.0, 1.0), (0.25, 0.025))  # eigenvalues, second moments at the start, noise


def _noisy_loss(step_sizes: np.ndarray, steps: int, scale: float = 1.0) -> np.ndarray:
    """F by running the moment recursion m <- r^2 m + eta^2 s, vectorised over step sizes."""
    total = np.zeros_like(step_sizes)
    for eigenvalue, start, noise in zip(*_NOISY, strict=True):
        moment = np.full_like(step_sizes, start)
        for _ in range(steps):
            moment = (1 - step_sizes * eigenvalue) ** 2 * moment + step_sizes**2 * noise * scale
        total += eigenvalue * moment / 2
    return total


def _noisy_optima(seed: int) -> Measurement:
    """Closed-form optimum against the best of a fine grid of the plain recursion (deterministic, no seed)."""
    from l2o_theory.quadratic import AdditiveNoiseSGD

    sgd = AdditiveNoiseSGD(*_NOISY)
    rows = []
    for steps in _HORIZONS:
        predicted = float(sgd.optimal_step_size(steps))
        grid = np.geomspace(1e-4, 1.9, 4000)
        observed = float(grid[np.argmin(_noisy_loss(grid, steps))])
        rows.append({"t": steps, "predicted": predicted, "observed": observed})
    values = [row["observed"] for row in rows]
    spacing = (1.9 / 1e-4) ** (1 / 3999) - 1  # the grid resolves a step size to this relative width
    agree = all(abs(row["observed"] / row["predicted"] - 1) <= 2 * spacing + 1e-6 for row in rows)
    falls = all(a > b for a, b in pairwise(values))
    rises = any(a < b for a, b in pairwise(values))
    quiet = float(np.geomspace(1e-4, 1.9, 4000)[np.argmin(_noisy_loss(np.geomspace(1e-4, 1.9, 4000), 100, scale=0.0))])
    caught = {
        "the best noisy step grows with the horizon": not rises,
        "noise forgotten in the recursion": abs(quiet / rows[5]["predicted"] - 1) > 0.1,
    }
    return Measurement(
        holds=agree and falls,
        table=tuple(rows),
        margin=min(1 - b / a for a, b in pairwise(values)),
        arithmetic="float64 recursion on a grid of 4000 step sizes",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


NOISY = Claim(
    id="step_size/horizon/noisy_step_falls",
    title="With additive gradient noise the best constant step falls with the horizon",
    source="derived here",
    statement=(
        "Spectrum (1, 1/10), m_0 = 1, noise (1/4, 1/40): eta*_t decreases in t = 1, 2, 5, ..., 10000 (the noise floor)."
    ),
    kind="measurement",
    scope="one spectrum, eight horizons, additive noise",
    expected=Status.NOT_FALSIFIED,
    measure=_noisy_optima,
    notes="This is the opposite direction of the noiseless case; it must not be called short-horizon bias.",
)

_BIAS = ((1.0, 0.01), (1.0, 100.0), (1.0, 0.01))  # eigenvalues, second moments at the start, noise


def _greedy_run(steps: int, noiseless: bool = False) -> float:
    """Loss after `steps` greedy steps: eta_k = sum l^2 m/sum(l^3 m + l s), the best for the next loss alone."""
    eigenvalues, moments, noise = (np.array(row) for row in _BIAS)
    noise = noise * (0.0 if noiseless else 1.0)
    for _ in range(steps):
        step = (eigenvalues**2 @ moments) / (eigenvalues**3 @ moments + eigenvalues @ noise)
        moments = (1 - step * eigenvalues) ** 2 * moments + step**2 * noise
    return float(eigenvalues @ moments / 2)


def _constant_best(steps: int, noiseless: bool = False) -> float:
    eigenvalues, start, noise = (np.array(row)[:, None] for row in _BIAS)
    noise = noise * (0.0 if noiseless else 1.0)
    grid = np.geomspace(1e-3, 1.9, 4000)
    moments = np.repeat(start, grid.size, axis=1)
    for _ in range(steps):
        moments = (1 - grid * eigenvalues) ** 2 * moments + grid**2 * noise
    return float((eigenvalues * moments).sum(axis=0).min() / 2)


def _greedy_bias(seed: int) -> Measurement:
    """Greedy against the best constant step, by the plain recursions and by the analyzer (deterministic, no seed)."""
    from l2o_theory.quadratic import AdditiveNoiseSGD

    sgd = AdditiveNoiseSGD(*_BIAS)
    rows = []
    for steps in (10, 1000):
        greedy = sgd.greedy_step_sizes(steps)
        best = float(sgd.loss(sgd.optimal_step_size(steps), steps))
        rows.append(
            {
                "t": steps,
                "method": "greedy",
                "predicted": float(sgd.loss_of_schedule(greedy)),
                "observed": _greedy_run(steps),
            }
        )
        rows.append({"t": steps, "method": "best constant", "predicted": best, "observed": _constant_best(steps)})
    short_greedy, short_constant, long_greedy, long_constant = (row["observed"] for row in rows)
    agree = all(
        abs(row["observed"] / row["predicted"] - 1) < 1e-3 for row in rows
    )  # the grid's resolution, squared, is far below
    quiet = _greedy_run(100, noiseless=True) < _constant_best(100, noiseless=True)
    faults = {"greedy is never worse": not long_greedy <= long_constant, "the bias needs no noise": quiet}
    return Measurement(
        holds=agree and long_greedy > 2 * long_constant and short_greedy < short_constant,
        table=tuple(rows),
        margin=1 - long_constant / long_greedy,
        arithmetic="float64 recursions",
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


GREEDY = Claim(
    id="step_size/horizon/greedy_bias",
    title="Short-horizon bias: greedy steps win after 10 steps and lose after 1000",
    source="derived here (effect: Wu, Ren, Liao, Grosse 2018)",
    statement=(
        "Spectrum (1, 1/100), m_0 = (1, 100), noise (1, 1/100): the one-step optimal (greedy) schedule "
        "has the smaller loss "
        "after 10 steps and more than twice the loss of the best constant step after 1000. Without noise greedy wins."
    ),
    kind="measurement",
    scope="one ill-conditioned noisy quadratic, horizons 10 and 1000",
    expected=Status.NOT_FALSIFIED,
    measure=_greedy_bias,
)

CLAIMS = [SHORT_IS_SMALL, TWO_EIGENVALUES, NOISY, GREEDY]
