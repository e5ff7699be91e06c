"""Bias and size of the truncated meta-gradient against the window: three quadratics and the double well, exactly."""

from __future__ import annotations

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
from l2o_theory.metagradients import MetaObjective, truncated
from l2o_theory.optimizers import GradientDescent
from l2o_theory.problems import DoubleWell, Problem, Quadratic
from l2o_theory.quadratic.double_well import DoubleWellDescent
from l2o_theory.quadratic.truncation import TruncatedDescent

_SHORTEST = 10  # windows up to it are cheap and say most about the double well


class Setting(NamedTuple):
    """Gradient descent on one quadratic, and how the losses are weighed."""

    eigenvalues: tuple[Fraction, ...]
    start: tuple[Fraction, ...]
    step_size: Fraction
    horizon: int
    kind: str = "sum"

    def estimated(self, window: int) -> float:
        """G_N,K by automatic differentiation, iterate detached every K steps."""
        problem = Quadratic([float(v) for v in self.eigenvalues], start=[float(v) for v in self.start])
        return estimate(problem, float(self.step_size), self.horizon, window, self.kind)

    def exact(self, windows: list[int]) -> list[float]:
        """G_N,K for every K by the closed form."""
        descent = TruncatedDescent(self.eigenvalues, [v * v for v in self.start], self.kind)
        values: list[float] = descent.meta_gradient(self.step_size, self.horizon, windows).tolist()
        return values


def estimate(problem: Problem, step_size: float, horizon: int, window: int, kind: str) -> float:
    """G_N,K in the step size of gradient descent, float64."""
    found = truncated(
        GradientDescent(), problem, torch.tensor(step_size, dtype=torch.float64), horizon, window=window,
        start=problem.init(), objective=MetaObjective(kind),
    )  # fmt: skip
    return float(found.gradient)


def settings(config: Configuration) -> dict[str, Setting]:
    """The curves of panels (a) to (c)."""
    named = {}
    for name in ("convergent", "overshoot", "divergent"):
        named[name] = Setting(*(config[f"{name}.{part}"] for part in ("eigenvalues", "start", "step_size", "horizon")))
    named["convergent, final loss"] = named["convergent"]._replace(kind="final")
    named["divergent, longer"] = named["divergent"]._replace(horizon=config["divergent.longer_horizon"])
    return named


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Differentiate at every window, draw windows.{pdf,png,csv}."""
    curves: dict[str, Any] = {}
    chosen = settings(config)
    for done, (name, setting) in enumerate(chosen.items(), start=1):
        windows = sorted({*range(1, setting.horizon + 1, config["windows.stride"]), *_marked(name), setting.horizon})

        def compute(setting: Setting = setting, windows: list[int] = windows) -> dict[str, list[float]]:
            return {"exact": setting.exact(windows), "estimated": [setting.estimated(k) for k in windows]}

        key = {part: str(value) for part, value in setting._asdict().items()}
        curves[name] = {"window": windows, **pieces.get("windows", {**key, "windows": windows}, compute)}
        progress("bias against the window", done, len(chosen) + 1)
    curves["double well"] = _well(config, pieces)
    progress("bias against the window", len(chosen) + 1, len(chosen) + 1)
    return Measurements(_numbers(curves), _draw(config, out, curves))


def _marked(name: str) -> tuple[int, ...]:
    """Windows whose bias is predicted in expected.toml."""
    return {"convergent": (1, 5, 10, 20, 30), "overshoot": (1, 2), "divergent": (10, 12)}.get(name, (1,))


def _well(config: Configuration, pieces: Pieces) -> Any:
    angle, horizon = config["double_well.angle"], config["double_well.horizon"]
    windows = list(range(1, horizon + 1))

    def compute() -> dict[str, list[float]]:
        exact = DoubleWellDescent(angle).meta_gradient(horizon, windows, digits=17)
        problem = DoubleWell(float(angle))
        # the windows of `truncated` start at multiples of K; the last K of N steps are one window of a run that is
        # cut once, at N - K: its start is x_{N-K}
        estimated = [_last_steps(problem, horizon, window) for window in windows]
        return {"exact": [float(value) for value in exact], "estimated": estimated}

    key = {"angle": str(angle), "horizon": horizon}
    return {"window": windows, **pieces.get("double_well", key, compute)}


def _last_steps(problem: DoubleWell, horizon: int, window: int) -> float:
    """d f(x_N)/d step_size at 2 through the last K steps."""
    x = problem.init()
    for _ in range(horizon - window):
        x = x - 2.0 * torch.func.grad(problem.loss)(x)
    found = truncated(
        GradientDescent(), problem, torch.tensor(2.0, dtype=torch.float64), window, window=window, start=x,
        objective=MetaObjective("final"),
    )  # fmt: skip
    return float(found.gradient)


def _bias(curve: Any, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """1 - G_N,K/G_N with G_N of the same column."""
    values = np.array(curve[column])
    result: np.ndarray[Any, np.dtype[np.float64]] = 1 - values / values[-1]
    return result


def _numbers(curves: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    worst = 0.0
    for name, curve in curves.items():
        exact, estimated = np.array(curve["exact"]), np.array(curve["estimated"])
        error = float(np.max(np.abs(estimated / exact - 1)))
        if name == "double well":
            numbers["double_well.relative_error"] = error
            by_window = dict(zip(curve["window"], curve["estimated"], strict=True))
            for window in (1, 4, 8, 12, curve["window"][-1]):
                numbers[f"double_well.gradient.K={window}"] = by_window[window]
            continue
        worst = max(worst, error)
        for window, bias in zip(curve["window"], _bias(curve, "estimated"), strict=True):
            if window in _marked(name):
                numbers[f"windows.{name.replace(', ', '.').replace(' ', '_')}.bias.K={window}"] = float(bias)
    numbers["windows.relative_error"] = worst
    numbers["windows.convergent.rises"] = float(np.sum(np.diff(_bias(curves["convergent"], "estimated")) > 1e-12))
    sizes = [abs(curves[name]["estimated"][-1]) for name in ("divergent", "divergent, longer")]
    numbers["windows.divergent.growth_with_horizon"] = sizes[1] / sizes[0]
    kept = [abs(entry) for entry in curves["divergent"]["estimated"]]
    numbers["windows.divergent.growth_with_window"] = kept[-1] / kept[0]
    return numbers


def _draw(config: Configuration, out: Path, curves: dict[str, Any]) -> tuple[Path, ...]:
    caption = [
        "Truncated meta-gradient in the step size of gradient descent, by automatic differentiation (solid) over its "
        "closed form (dashed).",
        "(a) bias of the sum of the losses; (b) where it is not monotone; (c) on a divergent quadratic the horizon N "
        "sets the size, the window",
        "only a factor K/N; (d) on the chaotic double well the window sets it, like 27^(K/2), the root mean square "
        "of dx_N/dx_{N-K}.",
    ]
    with Canvas(2, 2, height=4.6, seed=None, caption=caption) as canvas:
        (falling, failing), (divergent, chaotic) = canvas.axes
        _bias_curve(falling, curves["convergent"], "truncated", r"all $\eta\lambda_i<1$")
        falling.set(title="(a) bias falls with the window", ylabel="relative bias", ylim=(-0.05, 1.05))
        _bias_curve(failing, curves["overshoot"], "wrong sign", r"$\eta\lambda_1=3/2$: wrong sign above 1")
        _bias_curve(failing, curves["divergent"], "divergent", r"$\eta\lambda_1=2.1$: not monotone")
        _bias_curve(failing, curves["convergent, final loss"], "final loss", "final loss: sawtooth")
        failing.axhline(1, color=COLOURS["bracket"], linewidth=0.8, linestyle=":")
        failing.set(title="(b) outside that class it need not", ylim=(-0.05, 1.8))
        for name, method in (("divergent", "divergent"), ("divergent, longer", "divergent, longer")):
            horizon = curves[name]["window"][-1]
            _size_curve(divergent, curves[name], method, f"$N={horizon}$")
        divergent.set(title="(c) divergent quadratic", ylabel=r"$|G_{N,K}|$")
        _size_curve(chaotic, curves["double well"], "chaotic", rf"$N={config['double_well.horizon']}$")
        windows = np.array(curves["double well"]["window"])
        theory(chaotic, windows, 27.0 ** (windows / 2), "bracket", label="$27^{K/2}$")
        chaotic.set(title="(d) double well, step size 2")
        for axes in canvas.axes.ravel():
            axes.set(xlabel="window $K$")
            axes.legend(loc="upper right" if axes is failing else "best")
        return canvas.save(out, "windows", _table(curves))


def _bias_curve(axes: Axes, curve: Any, method: str, label: str) -> None:
    measured(axes, curve["window"], _bias(curve, "estimated"), method, label=label, linewidth=2.2)
    theory(axes, curve["window"], _bias(curve, "exact"))


def _size_curve(axes: Axes, curve: Any, method: str, label: str) -> None:
    measured(axes, curve["window"], np.abs(curve["estimated"]), method, label=label, linewidth=2.2)
    theory(axes, curve["window"], np.abs(curve["exact"]))
    axes.set_yscale("log")


def _table(curves: dict[str, Any]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"setting": [], "window": [], "exact": [], "estimated": []}
    for name, curve in curves.items():
        columns["setting"] += [name] * len(curve["window"])
        for column in ("window", "exact", "estimated"):
            columns[column] += curve[column]
    return columns
