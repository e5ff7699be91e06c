"""The table: prediction, effect with interval for every trained optimizer, and whether it carried over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.metatraining import student_interval

_windows = load_plugin(Path(__file__).with_name("windows.py"))
_COLOURS = {"yes": "#D5EDDB", "no": "#F6D3CD", "open": "#EEEEEE"}


@dataclass(frozen=True)
class Prediction:
    """A sentence of the theory, the effect that tests it, and the range in which it holds for this purpose.

    Attributes:
        text: for the table.
        effect: a number of `predictions.effects`.
        low, high: ends of the range.
    """

    text: str
    effect: str
    low: float
    high: float

    def verdict(self, low: float, high: float) -> str:
        """ "yes": the interval lies in the range, "no": outside it, "open": across an end."""
        if self.low <= low and high <= self.high:
            return "yes"
        return "no" if high < self.low or low > self.high else "open"


def predictions(early: int, short: int, last: int) -> tuple[Prediction, ...]:
    """The rows, for an early and a short horizon or window, and the last.

    Ranges: a tenth of G; a hundredth of the tasks; 0.02 per step, 0.01 for kappa; else a sign.
    """
    window, linear = f"K = {short}", math.log(last / short) / (last - short)
    return (
        Prediction(f"frozen directions, {window}; kept minus (K+1)/(N+1)", "kept_minus_frozen", -0.1, 0.1),
        Prediction("Model A along the run; kept minus that", "kept_minus_model_a", -0.1, 0.1),
        Prediction("Model 0 along the run; kept minus that", "kept_minus_model_0", -0.1, 0.1),
        Prediction(f"right sign: tasks with <G_K, G> > 0, {window}", "right_sign", 0.99, math.inf),
        Prediction(f"too small: tasks with <G_K, G> < |G|$^2$, {window}", "too_small", 0.99, math.inf),
        Prediction("the bias falls with every longer window: tasks", "monotone", 0.99, math.inf),
        Prediction("explosion in N, not K: exponent in K minus in N", "window_minus_horizon", -math.inf, 0),
        Prediction("growth of final loss as Model 0 along the run", "final_minus_model_0", -0.02, 0.02),
        Prediction(
            f"relative variance grows, n = {early} to {last}: exponent per step", "variance_exponent", 1e-6, math.inf
        ),
        Prediction(
            f"... n = {early} to {short}, as kappa of one-step factors; minus", "variance_minus_kappa", -0.01, 0.01
        ),
        Prediction("first order: tasks with the right sign", "first_order_sign", 0.99, math.inf),
        Prediction("first order/exact as Model A along the run; minus", "first_order_minus_own", -0.1, 0.1),
        Prediction("ln f: at most linear in n; exponent per step", "log_exponent", -math.inf, linear),
    )


def draw(config: Configuration, out: Path, probes: dict[Any, Any], effects: dict[Any, Any]) -> Measurements:
    """Draw summary.{pdf,png,csv}; count the verdicts of every prediction."""
    rows = predictions(config["probe.early"], config["probe.short"], config["probe.windows"][-1])
    cells = [cell for cell in effects if cell[2] == "trained"]
    numbers: dict[str, float] = {}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("prediction", "optimizee", "optimizer", "effect", "mean", "low", "high", "carried_over")
    }
    caption = [
        f"Trained optimizers; mean over meta-seeds ({_windows.seeds(config)}), each a median or fraction over fresh "
        "tasks, and the 95 percent interval",
        "of Student's t over meta-seeds, each for itself.",
        "Green: the interval lies in the range of the prediction. Red: outside. Grey: across its end. Ranges: a tenth "
        "of |G|, a hundredth of the tasks,",
        "0.02 per step (0.01 for kappa); signs for the others.",
    ]
    with Canvas(1, 1, height=0.36 * len(rows) + 0.6, seed=config["seed"], caption=caption, key="") as canvas:
        axes = canvas.axes[0, 0]
        axes.set(xlim=(-3.1, len(cells)), ylim=(len(rows), -1.2))
        axes.set_axis_off()
        for place, (optimizee, optimizer, _) in enumerate(cells):
            axes.text(
                place + 0.5, -0.6, f"{_windows.NAMES[optimizer]}\n{optimizee}", ha="center", va="center", fontsize=6
            )
        for line, row in enumerate(rows):
            axes.text(-3.1, line + 0.5, row.text, va="center", fontsize=6.2)
            counts = dict.fromkeys(_COLOURS, 0)
            for place, cell in enumerate(cells):
                between = student_interval([one[row.effect] for one in effects[cell]])
                verdict = row.verdict(between.low, between.high)
                counts[verdict] += 1
                axes.fill_between(
                    [place + 0.02, place + 0.98], line + 0.05, line + 0.95, color=_COLOURS[verdict], linewidth=0
                )
                told = f"{_short(between.value)}\n[{_short(between.low)}, {_short(between.high)}]"
                axes.text(place + 0.5, line + 0.5, told, ha="center", va="center", fontsize=5.4)
                entries = (row.text, cell[0], cell[1], row.effect, between.value, between.low, between.high, verdict)
                for column, entry in zip(columns.values(), entries, strict=True):
                    column.append(entry)
            numbers |= {f"summary.{row.effect}.{verdict}": count for verdict, count in counts.items()}
        return Measurements(numbers, canvas.save(out, "summary", columns))


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"
