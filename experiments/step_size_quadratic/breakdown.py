r"""Corollary 1: where naive back-propagation of G = (1/t) log f(w_t) leaves the float range [paper: Cor 1].

The naive program is `repeat t times: w = w - eta (lam w)`, `f = sum(lam w w)/2`, `G = log(f)/t`, reverse mode. The
renormalised one carries a unit vector and the logarithm of its length, and differentiates the same function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes

from l2o_theory.figures.canvas import COLOURS, Canvas, measured, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.quadratic import Quadratic

_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_OVERFLOW = {"float32": 128 * math.log(2), "float64": 1024 * math.log(2)}  # log of the first power of 2 out of range
_UNDERFLOW = {"float32": 150 * math.log(2), "float64": 1075 * math.log(2)}  # -log of where rounding gives 0
_EXACT_DIGITS = 20
_FLOOR = 1e-17  # errors below are drawn here: half a unit in the last place of float64 and less


class Rows(NamedTuple):
    """Heights in the upper panels at which one dtype has its crosses and the text of its thresholds."""

    crosses: float
    thresholds: float


_ROWS = {"float32": Rows(-0.2, 1.57), "float64": Rows(-0.38, 1.35)}
_PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
_SMALL: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6.5, "bbox": _PATCH, "zorder": 6}


class Sample(NamedTuple):
    """Loss and meta-gradient that one program computed at one horizon."""

    loss: float
    gradient: float


Program = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def naive(step_size: torch.Tensor, eigenvalues: torch.Tensor, w: torch.Tensor, steps: int) -> Any:
    """Return (f, G) of the naive program."""
    for _ in range(steps):
        w = w - step_size * (eigenvalues * w)
    loss = 0.5 * (eigenvalues * w * w).sum()
    return loss, torch.log(loss) / steps


def renormalised(step_size: torch.Tensor, eigenvalues: torch.Tensor, w: torch.Tensor, steps: int) -> Any:
    """Return (f of the unit vector, G): s_k = |v|, u = v/s_k, G = (2 sum log s_k + log f(u_t))/t   [derived here]."""
    log_length = torch.zeros((), dtype=w.dtype)
    for _ in range(steps):
        w = w - step_size * (eigenvalues * w)
        length = torch.linalg.vector_norm(w)
        log_length = log_length + torch.log(length)
        w = w / length
    loss = 0.5 * (eigenvalues * w * w).sum()
    return loss, (2 * log_length + torch.log(loss)) / steps


_PROGRAMS: dict[str, Program] = {"reverse": naive, "renormalised": renormalised}


class Setting(NamedTuple):
    """One spectrum, starting point, step size and dtype."""

    eigenvalues: tuple[Fraction, ...]
    coefficients: tuple[Fraction, ...]
    step_size: Fraction
    dtype: str

    def differentiate(self, program: str, steps: int) -> Sample:
        """Run one program at one horizon and back-propagate to the step size."""
        dtype = _DTYPES[self.dtype]
        eta = torch.tensor(float(self.step_size), dtype=dtype, requires_grad=True)
        eigenvalues = torch.tensor([float(value) for value in self.eigenvalues], dtype=dtype)
        start = torch.tensor([float(value) for value in self.coefficients], dtype=dtype)
        loss, objective = _PROGRAMS[program](eta, eigenvalues, start, steps)
        (gradient,) = torch.autograd.grad(objective, eta)
        return Sample(float(loss.detach()), float(gradient))

    def exact(self, steps: int) -> tuple[float, float]:
        """G' at the numbers the program was given (after their rounding to its dtype), and its relative rounding error.

        The second is (u |G''| eta + 4 u t |G'|)/|G'|, u the unit roundoff of the dtype   [derived here].
        """

        def rounded(value: Fraction) -> Fraction:
            return Fraction(float(torch.tensor(float(value), dtype=_DTYPES[self.dtype])))

        quadratic = Quadratic([rounded(v) for v in self.eigenvalues], [rounded(v) ** 2 for v in self.coefficients])
        eta, unit = rounded(self.step_size), torch.finfo(_DTYPES[self.dtype]).eps / 2
        slope = float(quadratic.meta_gradient(eta, steps, "log_final", digits=_EXACT_DIGITS))
        curvature = float(quadratic.meta_curvature(eta, steps, "log_final", digits=_EXACT_DIGITS))
        return slope, unit * (abs(curvature) * float(eta) + 4 * steps * abs(slope)) / abs(slope)

    @property
    def key(self) -> dict[str, Any]:
        """The setting as text, for the store of pieces."""
        return {
            name: [str(v) for v in value] if isinstance(value, tuple) else str(value)
            for name, value in self._asdict().items()
        }


def predicted_thresholds(setting: Setting, limit: int) -> dict[str, float]:
    """First horizon of each regime by the formulas below, infinity if none up to `limit`  [derived here].

    With m = max|1 - eta l|, a = c^2 l of the dominant component, K and U the logarithms of the float range:
    m < 1: the gradient is NaN once 1/(t F) overflows, the loss 0 once F underflows;
    m > 1: the gradient is 0 once F overflows, NaN once (eta) l w overflows.
    """
    residuals = [abs(1 - setting.step_size * value) for value in setting.eigenvalues]
    m = max(residuals)
    weight, largest, length = max(
        (c * c * value, value, abs(c))
        for c, value, r in zip(setting.coefficients, setting.eigenvalues, residuals, strict=True)
        if r == m
    )
    if m in (0, 1):
        return {}
    a, rate = math.log(weight), abs(math.log(m))
    overflow, underflow = _OVERFLOW[setting.dtype], _UNDERFLOW[setting.dtype]

    def first(formula: Callable[[int], float]) -> float:
        return next((float(t) for t in range(1, limit + 1) if t > formula(t)), math.inf)

    if m < 1:
        return {
            "nan": first(lambda t: (overflow + a - math.log(2) + math.log(t)) / (2 * rate)),
            "zero loss": first(lambda t: (underflow + a - math.log(2)) / (2 * rate)),
        }
    reach = math.log(length * max(largest, (m + 1) / m))
    return {
        "silent zero": first(lambda t: (overflow - a) / (2 * rate)),
        "nan": first(lambda t: (overflow - reach) / rate),
    }


def observed_thresholds(setting: Setting, limit: int) -> dict[str, float]:
    """First horizon up to `limit` at which the naive program shows each regime, by bisection; infinity if none.

    Bisection is right because a value that left the float range never comes back at a longer horizon.
    """

    def first(shows: Callable[[Sample], bool]) -> float:
        low, high = 0, limit + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if shows(setting.differentiate("reverse", middle)) else (middle, high)
        return math.inf if high > limit else float(high)

    return {
        "nan": first(lambda sample: math.isnan(sample.gradient)),
        "zero loss": first(lambda sample: sample.loss == 0),
        "silent zero": first(lambda sample: sample.gradient == 0 or math.isnan(sample.gradient)),
    }


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Differentiate by every program, dtype, step size and horizon; draw breakdown.{pdf,png,csv}."""
    settings = [
        Setting(config["breakdown.eigenvalues"], config["breakdown.coefficients"], step_size, dtype)
        for step_size in config["breakdown.step_sizes"]
        for dtype in _DTYPES
    ]
    horizons, limit = config["breakdown.horizons"], config["breakdown.search_limit"]
    results = {}
    for done, setting in enumerate(settings, start=1):
        results[setting] = _setting(setting, horizons, limit, pieces)
        progress("Corollary 1, breakdown of autodiff", done, len(settings))
    files = _draw(config, out, results)
    return Measurements(_numbers(results), files)


def _setting(setting: Setting, horizons: tuple[int, ...], limit: int, pieces: Pieces) -> Any:
    def compute() -> dict[str, Any]:
        exact, rounding = zip(*(setting.exact(steps) for steps in horizons), strict=True)
        predicted, observed = predicted_thresholds(setting, limit), observed_thresholds(setting, limit)
        return {
            "exact": exact,
            "rounding": rounding,
            **{
                program: [setting.differentiate(program, steps).gradient for steps in horizons] for program in _PROGRAMS
            },
            "predicted": predicted,
            "observed": {regime: observed[regime] for regime in predicted},
        }

    return pieces.get("breakdown", {**setting.key, "horizons": list(horizons), "limit": limit}, compute)


def _errors(result: Any, program: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """|computed / exact - 1|; NaN where the program gave NaN."""
    errors: np.ndarray[Any, np.dtype[np.float64]] = np.abs(np.array(result[program]) / np.array(result["exact"]) - 1)
    return errors


def _numbers(results: dict[Setting, Any]) -> dict[str, float]:
    """First horizon of each regime, its distance to the prediction, and the errors of both programs where they work."""
    numbers: dict[str, float] = {}
    distances: list[float] = []
    before = dict.fromkeys(_DTYPES, 0.0)
    for setting, result in results.items():
        for regime, observed in result["observed"].items():
            name = f"breakdown.eta={setting.step_size}.{setting.dtype}.{regime.replace(' ', '_')}"
            numbers[name] = observed
            predicted = result["predicted"][regime]
            distances.append(0.0 if observed == predicted else abs(observed - predicted))
        errors = _errors(result, "reverse")
        working = np.isfinite(errors) & (np.array(result["reverse"]) != 0)
        before[setting.dtype] = max(before[setting.dtype], float(errors[working].max(initial=0)))
        name = f"breakdown.eta={setting.step_size}.{setting.dtype}"
        safe = _errors(result, "renormalised")
        numbers[f"{name}.renormalised_error"] = float(safe.max())
        numbers[f"{name}.renormalised_error_over_rounding"] = float((safe / np.array(result["rounding"])).max())
    numbers["breakdown.largest_distance_to_prediction"] = max(distances, default=0.0)
    for dtype in _DTYPES:
        numbers[f"breakdown.reverse_error_before.{dtype}"] = before[dtype]
    return numbers


def _draw(config: Configuration, out: Path, results: dict[Setting, Any]) -> tuple[Path, ...]:
    step_sizes, horizons = config["breakdown.step_sizes"], np.array(config["breakdown.horizons"])
    spectrum = ", ".join(str(value) for value in config["breakdown.eigenvalues"])
    start = ", ".join(str(value) for value in config["breakdown.coefficients"])
    caption = [
        f"Meta-gradient of G = (1/t) log f(w_t) through t steps; eigenvalues ({spectrum}), start ({start}). "
        "Dashed verticals, with",
        "their t: predicted start of each regime. Crosses: the gradient is NaN. Shaded: it is computed as 0. "
        f"torch {torch.__version__}.",
    ]
    shape = {"sharex": True, "sharey": "row"}
    with Canvas(2, len(step_sizes), height=4.0, seed=None, caption=caption, **shape) as canvas:
        for (top, bottom), step_size in zip(canvas.axes.T, step_sizes, strict=True):
            theory(top, horizons, np.ones(len(horizons)), label="exact", zorder=5)
            for setting, result in results.items():
                if setting.step_size == step_size:
                    _curves(top, bottom, horizons, setting.dtype, result)
            top.set(title=rf"$\eta={step_size}$", xscale="log", ylim=(-0.5, 1.7), yticks=(0, 0.5, 1))
            bottom.set(xscale="log", yscale="log", xlabel="steps $t$", ylim=(1e-17, 1e3))
        canvas.axes[0, 0].set_ylabel("gradient / exact gradient")
        canvas.axes[1, 0].set_ylabel("largest relative error up to $t$")
        handles, labels = canvas.axes[0, 0].get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside upper center", ncols=5)
        return canvas.save(out, "breakdown", _table(results, horizons.tolist()))


def _curves(top: Axes, bottom: Axes, horizons: np.ndarray[Any, Any], dtype: str, result: Any) -> None:
    """Draw both programs of one dtype, their failures and the predicted thresholds."""
    colour = COLOURS[f"reverse {dtype}"]
    for program, width in (("renormalised", 1.0), ("reverse", 1.8)):
        ratio = np.array(result[program]) / np.array(result["exact"])
        errors = np.where(np.isnan(ratio), np.nan, np.fmax.accumulate(np.abs(ratio - 1)))
        measured(top, horizons, ratio, f"{program} {dtype}", label=f"{program} {dtype}", linewidth=width)
        measured(bottom, horizons, np.maximum(errors, _FLOOR), f"{program} {dtype}", linewidth=width)
    failed = horizons[np.isnan(np.array(result["reverse"]))]
    row = _ROWS[dtype]
    top.plot(failed, np.full(len(failed), row.crosses), "x", color=colour, markersize=3)
    if len(failed):
        top.annotate("NaN", (failed[0], row.crosses), (-4, 0), ha="right", va="center", color=colour, **_SMALL)
    predicted = sorted(t for t in result["predicted"].values() if math.isfinite(t))
    for axes in (top, bottom):
        for threshold in predicted:
            axes.axvline(threshold, color=colour, linestyle=(0, (4, 2)), linewidth=0.8)
    if predicted:
        text = ", ".join(f"{threshold:.0f}" for threshold in predicted)
        top.annotate(text, (predicted[0], row.thresholds), (-2, 0), ha="right", va="center", color=colour, **_SMALL)
    silent = result["observed"].get("silent zero", math.inf)
    if silent < math.inf:
        for axes in (top, bottom):
            axes.axvspan(silent, min(result["observed"]["nan"], horizons[-1]), color=colour, alpha=0.15, linewidth=0)


def _table(results: dict[Setting, Any], horizons: list[int]) -> dict[str, list[Any]]:
    """One row per step size, dtype and horizon; thresholds repeat within a setting."""
    names = ("step_size", "dtype", "steps", "exact", *_PROGRAMS)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    regimes = ("silent zero", "nan", "zero loss")
    for kind in ("predicted", "observed"):
        columns |= {f"{kind}_{regime.replace(' ', '_')}": [] for regime in regimes}
    for setting, result in results.items():
        count = len(horizons)
        columns["step_size"] += [str(setting.step_size)] * count
        columns["dtype"] += [setting.dtype] * count
        columns["steps"] += horizons
        for name in ("exact", *_PROGRAMS):
            columns[name] += result[name]
        for kind in ("predicted", "observed"):
            for regime in regimes:
                columns[f"{kind}_{regime.replace(' ', '_')}"] += [result[kind].get(regime, math.nan)] * count
    return columns
