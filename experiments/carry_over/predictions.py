r"""What the quadratic theory predicts for a run, from numbers of that run alone, and what was measured beside it.

Along any run of gradient descent on a quadratic, with g_t = grad f(x_t) and r_K(t) = ((t-1) mod K) + 1,

    Model A     G_{N,K} = -sum_t r_K(t) <g_t, g_{t-1}>,     first order: -sum_t <g_t, g_0 + ... + g_{t-1}>     exactly,

which has no step size in it: so it predicts the share of G_N that a window keeps, and first order over exact, for
any optimizer from its own inner gradients. Directions that do not move keep (K+1)/(N+1). The third prediction looks at
the state: a change of step s reaches step t stretched by |u_t|/|u_s|, u a perturbation carried by the Jacobians,

    Model 0     |<grad f(x_t), dx_t/dphi>| ~ |g_t| sum_s |u_t|/|u_s|,      s the steps inside the window of t.

All derived here. Every number below is one per meta-seed: a median or a fraction over its tasks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Probe = dict[str, Any]


def kept_steps(horizon: int, window: int) -> Array:
    """r_K(t), t = 1..N."""
    return (np.arange(horizon) % window + 1).astype(np.float64)


def frozen(horizon: int, window: int) -> float:
    """(K+1)/(N+1), the share that a window keeps of directions that do not move, K | N."""
    return (window + 1) / (horizon + 1)


def kept(probe: Probe) -> Array:
    """<G_k, G_N>/|G_N|^2 for every task and kind of `probe["kinds"]`."""
    gram, full = np.array(probe["gram"]), _full(probe)
    share: Array = gram[:, :, full] / gram[:, full, full][:, None]
    return share


def norms(probe: Probe) -> Array:
    """|G_k| for every task and kind."""
    lengths: Array = np.sqrt(np.einsum("tkk->tk", np.array(probe["gram"])))
    return lengths


def biases(probe: Probe) -> Array:
    """|G_k - G_N|/|G_N| for every task and kind."""
    gram, full, length = np.array(probe["gram"]), _full(probe), norms(probe)
    square = length**2 - 2 * gram[:, :, full] + length[:, [full]] ** 2
    relative: Array = np.sqrt(np.maximum(square, 0)) / length[:, [full]]
    return relative


def model_a(probe: Probe, window: int) -> Array:
    """Share kept of every task, from its own inner gradients."""
    products = np.array(probe["neighbours"])
    horizon = products.shape[1]
    share: Array = products @ kept_steps(horizon, window) / (products @ kept_steps(horizon, horizon))
    return share


def first_order_a(probe: Probe) -> Array:
    """First order over exact of every task, from its own inner gradients."""
    products = np.array(probe["neighbours"])
    ratio: Array = np.array(probe["earlier"]).sum(1) / (products @ kept_steps(*[products.shape[1]] * 2))
    return ratio


def stretched(probe: Probe) -> Array:
    """|g_t| |u_t|/|u_s| for s < t, else 0, up to one factor per task; shape (tasks, t = 1..N, s = 0..N-1)."""
    stretch = np.array(probe["stretch"])
    with np.errstate(divide="ignore"):
        logs = np.log(np.array(probe["slopes"]))[:, 1:, None] + stretch[:, 1:, None] - stretch[:, None, :-1]
    logs = np.where(np.tri(stretch.shape[1] - 1, dtype=bool), logs, -np.inf)
    terms: Array = np.exp(logs - logs.max(axis=(1, 2), keepdims=True))
    return terms


def model_0(probe: Probe, window: int) -> Array:
    """Share kept of every task, from the stretch of its own state."""
    terms = stretched(probe)
    steps = np.arange(terms.shape[1])
    inside = steps[None, :] >= (steps // window * window)[:, None]
    share: Array = (terms * inside).sum((1, 2)) / terms.sum((1, 2))
    return share


def final_norms(probe: Probe) -> Array:
    """|d f(x_n)/dphi|, shape (horizons, tasks)."""
    lengths: Array = np.sqrt(np.einsum("ntt->nt", np.array(probe["final"])))
    return lengths


def relative_variance(probe: Probe) -> Array:
    """Variance over tasks of d f(x_n)/dphi by the squared norm of its mean, by horizon.

    The mean is that of the sample: gradients without a common mean give about the number of tasks, not infinity.
    """
    gram = np.array(probe["final"])
    count = gram.shape[1]
    mean = gram.sum((1, 2)) / count**2
    variance: Array = (np.einsum("ntt->n", gram) / count - mean) * count / (count - 1) / mean
    return variance


def kappa(probe: Probe) -> float:
    """E r^2/(E r)^2 of r = (|g_{t+1}|/|g_t|)(|u_{t+1}|/|u_t|), which is the factor rho_t^2 of random curvature."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.diff(np.log(np.array(probe["slopes"])), axis=1) + np.diff(np.array(probe["stretch"]), axis=1)
    factors = np.exp(steps[np.isfinite(steps)])
    return float((factors**2).mean() / factors.mean() ** 2)


def effects(probe: Probe, windows: tuple[int, ...], short: int, early: int) -> dict[str, float]:
    """Measured minus predicted and their kin: what summary.py judges, and the numbers behind the figures.

    Exponents are per step, from the short window or horizon to the last; those of the variance start at `early`, since
    with 64 tasks it cannot be told from that of pure noise once it nears 64.
    """
    horizon, at = windows[-1], windows.index(short)
    span, full, count = horizon - short, _full(probe), len(windows)
    share, size, bias = kept(probe), norms(probe), biases(probe)
    losses = np.array(probe["losses"])[:, list(windows)].T
    final, own = final_norms(probe), stretched(probe).sum(2)[:, [n - 1 for n in windows]].T
    first = probe["kinds"].index("first order")
    cosine = share * size[:, [full]] / size
    growth = np.array(probe["growth"][str(short)])
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = np.log(final[-1] / final[at]) / span
        in_window = np.log(size[:, full] / size[:, at]) / span
        in_horizon = np.log(growth[:, -1] / growth[:, 0]) / span
        in_log = rise - np.log(losses[-1] / losses[at]) / span
        stretch = np.array(probe["stretch"])
    spread = 1 + relative_variance(probe)
    start = spread[windows.index(early)]
    numbers = {
        "kept_minus_frozen": _median(share[:, at]) - frozen(horizon, short),
        "kept_minus_model_a": _median(share[:, at] - model_a(probe, short)),
        "kept_minus_model_0": _median(share[:, at] - model_0(probe, short)),
        "bias": _median(bias[:, at]),
        "right_sign": float((share[:, at] > 0).mean()),
        "too_small": float((share[:, at] < 1).mean()),
        "monotone": float((np.diff(bias[:, :count], axis=1) <= 0).all(1).mean()),
        "in_window": _median(in_window),
        "in_horizon": _median(in_horizon),
        "window_minus_horizon": _median(in_window - in_horizon),
        "final_exponent": _median(rise),
        "stretch_exponent": _median((stretch[:, horizon] - stretch[:, short]) / span),
        "final_minus_model_0": _median(rise - np.log(own[-1] / own[at]) / span),
        "variance_exponent": math.log(spread[-1] / start) / (horizon - early),
        "early_variance_exponent": math.log(spread[at] / start) / (short - early),
        "ln_kappa": math.log(kappa(probe)),
        "first_order_sign": float((share[:, first] > 0).mean()),
        "first_order_cosine": _median(cosine[:, first]),
        "first_order_ratio": _median(share[:, first]),
        "first_order_minus_own": _median(share[:, first] - first_order_a(probe)),
        "log_exponent": _median(in_log),
        "final_loss": _median(np.array(probe["losses"])[:, horizon]),
    }
    numbers["variance_minus_kappa"] = numbers["early_variance_exponent"] - numbers["ln_kappa"]
    for place, window in enumerate(windows):
        numbers[f"kept.K={window}"] = _median(share[:, place])
        numbers[f"cosine.K={window}"] = _median(cosine[:, place])
        numbers[f"norm.K={window}"] = _median(size[:, place])
        numbers[f"relative_variance.N={window}"] = float(spread[place] - 1)
    return numbers


def _full(probe: Probe) -> int:
    """Place of the untruncated exact gradient among the kinds."""
    return int(probe["kinds"].index("first order")) - 1


def _median(values: Array) -> float:
    return float(np.median(values))
