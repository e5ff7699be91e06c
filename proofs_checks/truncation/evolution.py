r"""Evolution strategies: what the sampled meta-gradients ES and PES are unbiased for, and what truncation does to them.

ES: g = z L(eta + z)/s with z of mean 0 and variance s. Its mean is the derivative of the smoothed loss E L(eta + z)
(Stein), which is L'(eta) itself only where L is quadratic in eta. Over windows w with independent z_w, PES weighs the
loss of window w by z_1 + ... + z_w and keeps the whole derivative of the smoothed loss; ES restarted in each window
weighs by z_w alone and inherits, as s -> 0, exactly the truncated gradient G_N,K. All means are exact Gaussian moments.

References: Salimans et al. 2017 (ES), Vicol, Metz, Sohl-Dickstein 2021 (PES). Formulas on quadratics: derived here.
"""

from fractions import Fraction
from itertools import product

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.proof import Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
_SOURCE = "derived here"
_LAW = (
    Parameter("s", low="0", meaning="variance of the perturbation"),
    Parameter("p_i", "share", meaning="probabilities"),
    Parameter("z_i", landmarks=("0", "1", "-1"), meaning="perturbations"),
    Parameter("l", low="0", landmarks=("1",), meaning="eigenvalue"),
    Parameter("eta", landmarks=("0", "1"), meaning="step size"),
)
_MOMENTS = {
    "unit": "sum(p_i) == 1",
    "mean": "sum(p_i*z_i) == 0",
    "variance": "sum(p_i*z_i**2) == s",
    "skewness": "sum(p_i*z_i**3) == 0",
    "positive": "s > 0",
}
_GAUSSIAN = {**_MOMENTS, "kurtosis": "sum(p_i*z_i**4) == 3*s**2", "fifth": "sum(p_i*z_i**5) == 0"}
# Gauss-Hermite quadrature with three nodes: the moments up to the fifth of a Gaussian of variance 1/3
_NODES = {"s": "1/3", "p_i": ["2/3", "1/6", "1/6"], "z_i": ["0", "1", "-1"], "l": "1", "eta": "1/2"}

QUADRATIC = Claim(
    id="truncation/evolution/one_step",
    title="ES is exactly unbiased for one step, whatever the variance: the loss is quadratic in the step size",
    source=_SOURCE,
    statement=(
        "L(eta) = 1/2 l (1 - eta l)^2 (x_0 = 1): E z L(eta + z)/s = L'(eta) = -l^2 (1 - eta l) for every law of z "
        "with mean 0, "
        "variance s and third moment 0."
    ),
    kind="identity",
    scope="one step, every symmetric perturbation, all s > 0",
    expected=Status.PROVED,
    corrects="truncation/evolution/unbiased_for_the_loss",
    formal=Statement(
        parameters=_LAW,
        hypotheses=_MOMENTS,
        definitions={"rho": "1 - eta*l", "estimate": "sum(p_i*z_i*l*(rho - z_i*l)**2/2)"},
        conclusion="estimate == -s*l**2*rho",
    ),
    witness=_NODES,
    proof=Proof(
        definitions={"rho": "1 - eta*l", "estimate": "sum(p_i*z_i*l*(rho - z_i*l)**2/2)"},
        steps=(
            Step(
                "mean_of_z_L",
                "estimate == -s*l**2*rho",
                equal={"mean": "l*rho**2/2", "variance": "-l**2*rho", "skewness": "l**3/2"},
            ),
        ),
    ),
    mutations=(
        Mutation("divided by the deviation, not the variance", {"conclusion": "estimate == -l**2*rho"}, _NODES),
        Mutation(
            "skewed",
            {"hypotheses": {"skewness": None}},
            {
                "s": "2",
                "p_i": ["2/3", "1/3"],
                "z_i": ["-1", "2"],
                "l": "1",
                "eta": "0",
            },
        ),
        Mutation(
            "one-sided: mean not 0",
            {"hypotheses": {"mean": None, "skewness": None}},
            {
                "s": "1",
                "p_i": ["1"],
                "z_i": ["1"],
                "l": "1",
                "eta": "0",
            },
        ),
    ),
)

_TWO = {"rho": "1 - eta*l", "estimate": "sum(p_i*z_i*l*(rho - z_i*l)**4/2)"}
UNBIASED = Claim(
    id="truncation/evolution/unbiased_for_the_loss",
    title="As one would expect: ES is an unbiased estimate of the meta-gradient",
    source=_SOURCE,
    statement=(
        "Final loss of two steps, L = 1/2 l (1 - eta l)^4: E z L(eta + z)/s = L'(eta) = -2 l^2 (1 - eta l)^3 for "
        "Gaussian z. False: "
        "the mean is that of the smoothed loss; l = 1, eta = 1/2, s = 1/3 give -5/4, not -1/4."
    ),
    kind="identity",
    scope="two steps, every perturbation with the first five moments of a Gaussian",
    expected=Status.FALSIFIED,
    formal=Statement(
        parameters=_LAW,
        hypotheses=_GAUSSIAN,
        definitions=_TWO,
        conclusion="estimate == -2*s*l**2*rho**3",
    ),
    witness=_NODES,
    counterexample=_NODES,
)

SMOOTHED = Claim(
    id="truncation/evolution/unbiased_for_the_smoothed_loss",
    title="Corrected: ES is unbiased for the smoothed loss, L' + (s/2) L''' after two steps",
    source=f"{_SOURCE}; Stein's identity on a polynomial",
    statement=(
        "L = 1/2 l (1 - eta l)^4, z with the first five moments of a Gaussian: E z L(eta + z)/s = E L'(eta + z) = "
        "-2 l^2 (rho^3 + 3 s l^2 rho) = L'(eta) + (s/2) L'''(eta)."
    ),
    kind="identity",
    scope="two steps, every perturbation with the first five moments of a Gaussian, all s > 0",
    expected=Status.PROVED,
    corrects="truncation/evolution/unbiased_for_the_loss",
    formal=Statement(
        parameters=_LAW,
        hypotheses=_GAUSSIAN,
        definitions={
            **_TWO,
            "slope": "sum(p_i*(0-2*l**2)*(rho - z_i*l)**3)",
            "smoothed": "0-2*l**2*(rho**3 + 3*s*l**2*rho)",
        },
        conclusion="slope == smoothed and estimate == s*smoothed",
    ),
    witness=_NODES,
    proof=Proof(
        definitions={
            **_TWO,
            "slope": "sum(p_i*(0-2*l**2)*(rho - z_i*l)**3)",
            "smoothed": "0-2*l**2*(rho**3 + 3*s*l**2*rho)",
        },
        steps=(
            Step(
                "mean_slope",
                "slope == smoothed",
                equal={
                    "unit": "0-2*l**2*rho**3",
                    "mean": "6*l**3*rho**2",
                    "variance": "0-6*l**4*rho",
                    "skewness": "2*l**5",
                },
            ),
            Step(
                "mean_of_z_L",
                "estimate == s*smoothed",
                equal={
                    "mean": "l*rho**4/2",
                    "variance": "0-2*l**2*rho**3",
                    "skewness": "3*l**3*rho**2",
                    "kurtosis": "0-2*l**4*rho",
                    "fifth": "l**5/2",
                },
            ),
        ),
    ),
    mutations=(
        Mutation("half of the correction", {"definitions": {"smoothed": "0-2*l**2*(rho**3 + 3*s*l**2*rho/2)"}}, _NODES),
        Mutation(
            "any fourth moment",
            {"hypotheses": {"kurtosis": None}},
            {"s": "1", "p_i": ["1/2", "1/2"], "z_i": ["1", "-1"], "l": "1", "eta": "0"},
        ),
        Mutation("no correction", {"definitions": {"smoothed": "0-2*l**2*rho**3"}}, _NODES),
    ),
)


# A polynomial in the perturbations z_1, z_2, ...: exponents -> coefficient.
Polynomial = dict[tuple[int, ...], Fraction]


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    out: Polynomial = {}
    for (i, u), (j, v) in product(a.items(), b.items()):
        key = tuple(m + n for m, n in zip(i, j, strict=True))
        out[key] = out.get(key, F(0)) + u * v
    return out


def _sum(a: Polynomial, b: Polynomial, scale: Fraction) -> Polynomial:
    out = dict(a)
    for key, value in b.items():
        out[key] = out.get(key, F(0)) + scale * value
    return out


def _mean(polynomial: Polynomial, variance: Fraction) -> Fraction:
    """Exact Gaussian mean: E z^(2k) = (2k-1)!! s^k, odd moments 0, independent windows."""
    total = F(0)
    for exponents, value in polynomial.items():
        for n in exponents:
            value *= F(0) if n % 2 else variance ** (n // 2)
            for odd in range(1, n, 2):
                value *= odd
        total += value
    return total


def _window_losses(
    task: tuple[list[Fraction], list[Fraction]], eta: Fraction, horizon: int, window: int
) -> list[Polynomial]:
    """Loss of each window as a polynomial in the perturbations of the step size, by running the recursion on them."""
    eigenvalues, start = task
    count = -(-horizon // window)
    zero = (0,) * count
    x: list[Polynomial] = [{zero: value} for value in start]
    losses: list[Polynomial] = [{} for _ in range(count)]
    for t in range(horizon):
        w = t // window
        unit = tuple(int(v == w) for v in range(count))
        for i, value in enumerate(eigenvalues):
            x[i] = _product(x[i], {zero: 1 - eta * value, unit: -value})
            losses[w] = _sum(losses[w], _product(x[i], x[i]), value / 2)
    return losses


def _estimates(
    task: tuple[list[Fraction], list[Fraction]], eta: Fraction, horizon: int, window: int, variance: Fraction
) -> dict[str, Fraction]:
    """Exact means of PES, of ES restarted in each window, and the derivative of the smoothed loss (by "
    "interpolation)."""
    losses = _window_losses(task, eta, horizon, window)
    count = len(losses)
    pes, restarted = F(0), F(0)
    for w, loss in enumerate(losses):
        for v in range(w + 1):
            unit = tuple(int(u == v) for u in range(count))
            part = _mean(_product(loss, {unit: F(1)}), variance) / variance
            pes += part
            restarted += part if v == w else 0
    degree = 2 * horizon
    nodes = [eta + k for k in range(-horizon, horizon + 1)]
    values = [sum((_mean(p, variance) for p in _window_losses(task, node, horizon, window)), F(0)) for node in nodes]
    assert len(nodes) == degree + 1  # the smoothed loss has this degree in eta, so the interpolation is exact
    return {"PES": pes, "restarted ES": restarted, "smoothed slope": _slope(nodes, values, eta)}


def _slope(nodes: list[Fraction], values: list[Fraction], at: Fraction) -> Fraction:
    """Derivative at the node `at` of the polynomial through the points (Lagrange, exactly)."""
    here = nodes.index(at)
    total = F(0)
    for j, node in enumerate(nodes):
        if j == here:
            total += values[j] * sum((1 / (at - other) for other in nodes if other != at), F(0))
        else:
            weight = 1 / (node - at)
            for k, other in enumerate(nodes):
                if k not in (j, here):
                    weight *= (at - other) / (node - other)
            total += values[j] * weight
    return total


TASKS = (
    (([F(1)], [F(1)]), F(1, 2)),
    (([F(1), F(1, 3)], [F(1), F(2)]), F(4, 5)),
    (([F(2), F(1, 2)], [F(1, 2), F(-1)]), F(5, 4)),
)
WINDOWED = ((2, 1), (3, 1), (4, 2), (5, 2))


def _windows(seed: int) -> Measurement:
    """PES against the derivative of the smoothed loss, restarted ES against it; exact moments (nothing random)."""
    rows, caught = [], {"restarted ES is unbiased": True, "PES is unbiased for the loss itself": True}
    for number, (task, eta) in enumerate(TASKS):
        for horizon, window in WINDOWED:
            found = _estimates(task, eta, horizon, window, F(1, 10))
            rows.append(
                {
                    "task": number,
                    "N": horizon,
                    "K": window,
                    **{name: float(value) for name, value in found.items()},
                    "equal": found["PES"] == found["smoothed slope"],
                }
            )
            caught["restarted ES is unbiased"] &= found["restarted ES"] != found["smoothed slope"]
            plain = _gradients(task, eta, horizon, window)[0]
            caught["PES is unbiased for the loss itself"] &= found["PES"] != plain
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals, Gaussian moments of the expanded losses",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


def _gradients(
    task: tuple[list[Fraction], list[Fraction]], eta: Fraction, horizon: int, window: int
) -> tuple[Fraction, Fraction]:
    """(G_N, G_N,K) by the formulas (A1), (A2)."""
    full = kept = F(0)
    for t in range(1, horizon + 1):
        slope = sum((value**2 * x**2 * (1 - eta * value) ** (2 * t - 1) for value, x in zip(*task, strict=True)), F(0))
        full -= t * slope
        kept -= ((t - 1) % window + 1) * slope
    return full, kept


PES = Claim(
    id="truncation/evolution/pes_is_unbiased",
    title="PES is unbiased for the smoothed loss of the whole run; ES restarted in each window is not",
    source="Vicol, Metz, Sohl-Dickstein 2021 (unbiasedness); on quadratics derived here",
    statement=(
        "sum_w E (z_1 + ... + z_w) L_w/s = d/d eta of E sum_w L_w(eta + z_1, ..., eta + z_w), exactly, with "
        "Gaussian z_w of "
        "variance s = 1/10; K need not divide N."
    ),
    kind="identity",
    scope="three quadratics, (N, K) in {(2,1), (3,1), (4,2), (5,2)}",
    expected=Status.NOT_FALSIFIED,
    measure=_windows,
)


def _small_variance(seed: int) -> Measurement:
    """Means at s = 1, 2, ... interpolated to s = 0: both are polynomials in s (nothing random)."""
    rows, caught = [], {"restarted ES tends to the full gradient": False}
    for number, (task, eta) in enumerate(TASKS):
        for horizon, window in WINDOWED[:3]:
            variances = [F(k) for k in range(1, horizon + 1)]  # degree N - 1 in s: z L has degree 2N + 1, over s
            found = [_estimates(task, eta, horizon, window, s) for s in variances]
            limits = {name: _at_zero(variances, [f[name] for f in found]) for name in ("PES", "restarted ES")}
            full, kept = _gradients(task, eta, horizon, window)
            rows.append(
                {
                    "task": number,
                    "N": horizon,
                    "K": window,
                    "PES": str(limits["PES"]),
                    "restarted ES": str(limits["restarted ES"]),
                    "equal": limits == {"PES": full, "restarted ES": kept},
                }
            )
            caught["restarted ES tends to the full gradient"] |= limits["restarted ES"] != full
    return Measurement(
        holds=all(row["equal"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="exact rationals",
        refuted_faults=tuple(name for name, found in caught.items() if found),
        accepted_faults=tuple(name for name, found in caught.items() if not found),
    )


def _at_zero(nodes: list[Fraction], values: list[Fraction]) -> Fraction:
    """Value at 0 of the polynomial through the points."""
    total = F(0)
    for j, node in enumerate(nodes):
        weight = values[j]
        for k, other in enumerate(nodes):
            weight *= F(1) if k == j else other / (other - node)
        total += weight
    return total


SMALL_VARIANCE = Claim(
    id="truncation/evolution/small_variance",
    title="As the variance goes to 0, PES tends to the full gradient and restarted ES to the truncated one",
    source=_SOURCE,
    statement="s -> 0: E PES -> G_N and E (ES restarted after every K steps) -> G_N,K = -sum_t r_K(t) h_t, exactly.",
    kind="identity",
    scope="three quadratics, (N, K) in {(2,1), (3,1), (4,2)}",
    expected=Status.NOT_FALSIFIED,
    measure=_small_variance,
)

SAMPLES, CRITICAL, DEVIATION = 4000, 4.0, F(1, 4)  # 9 means beyond 4 standard errors: probability below 1e-3


def _sampled(seed: int) -> Measurement:
    """ES, antithetic ES and PES of the package on three quadratics against the exact means."""
    import torch

    from l2o_theory.metagradients import antithetic_es, es, pes
    from l2o_theory.optimizers import GradientDescent
    from l2o_theory.problems import Quadratic

    horizon, window = 4, 2
    generator, rows = torch.Generator().manual_seed(seed), []
    biased = False
    for number, (task, eta) in enumerate(TASKS):
        values, start = ([float(x) for x in column] for column in task)
        meta = {"step_size": torch.tensor(float(eta), dtype=torch.float64)}
        common = {
            "start": torch.tensor(start, dtype=torch.float64),
            "sigma": float(DEVIATION),
            "samples": SAMPLES,
            "generator": generator,
        }
        problem, rule = Quadratic(values), GradientDescent()
        whole = _estimates(task, eta, horizon, horizon, DEVIATION**2)
        parts = _estimates(task, eta, horizon, window, DEVIATION**2)
        found = {
            "ES": (es(rule, problem, meta, horizon, **common), whole["PES"]),
            "antithetic ES": (antithetic_es(rule, problem, meta, horizon, **common), whole["PES"]),
            "PES": (pes(rule, problem, meta, horizon, window=window, **common), parts["PES"]),
        }
        for name, (estimate, exact) in found.items():
            mean, error = (float(tree["step_size"]) for tree in (estimate.gradient, estimate.standard_error))
            rows.append(
                {
                    "task": number,
                    "estimator": name,
                    "exact mean": float(exact),
                    "sample mean": mean,
                    "standard error": error,
                    "z": (mean - float(exact)) / error,
                }
            )
        biased |= abs(rows[-1]["sample mean"] - float(parts["restarted ES"])) > CRITICAL * rows[-1]["standard error"]
    fault = "PES has the mean of ES restarted in each window"
    return Measurement(
        holds=all(abs(row["z"]) < CRITICAL for row in rows),
        table=tuple(rows),
        margin=min(1 - abs(row["z"]) / CRITICAL for row in rows),
        arithmetic=f"{SAMPLES} samples each, float64 torch, z-test at {CRITICAL} standard errors",
        refuted_faults=(fault,) if biased else (),
        accepted_faults=() if biased else (fault,),
    )


SAMPLED = Claim(
    id="truncation/evolution/sampled_means",
    title="The package's ES, antithetic ES and PES have the exact means, within four standard errors",
    source=_SOURCE,
    statement=(
        "N = 4, K = 2, sigma = 1/4: sample means of 4000 draws against the exact Gaussian means of three quadratics."
    ),
    kind="statistical",
    scope="three quadratics, three estimators, one seed per run",
    expected=Status.NOT_FALSIFIED,
    measure=_sampled,
)

CLAIMS = [QUADRATIC, UNBIASED, SMOOTHED, PES, SMALL_VARIANCE, SAMPLED]
