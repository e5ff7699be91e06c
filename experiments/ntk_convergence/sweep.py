"""Figures 5, 9 and 10: gain over gradient descent along training, by learning rate and by expansion e."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.optimizers.baselines import GRADIENT_DESCENT, baseline_losses

lines = load_plugin(Path(__file__).with_name("lines.py"))
_MARKS = (1, 100, 500, 1000, 2000, 4900)  # iterations whose gains are reported
_FLOOR = 1  # first iteration on the logarithmic axis


def losses_of(config: Configuration, pieces: Pieces, expansion: float, rate: float) -> list[float]:
    """F(W^0..W^K) of one run, from the pieces if it is there."""
    iterations = config["training.iterations"]
    parameters = {**lines.identity(config, "program"), "e": expansion, "rate": rate, "iterations": iterations}

    def compute() -> list[float]:
        programs = lines.programs_of(config, "program")
        plan = TrainingPlan(config["program.steps"], iterations, rate, record_every=iterations)
        network = lines.network_of(config, "program", programs, expansion)
        return list(train_step_size_network(network, programs, plan).losses)

    found: list[float] = pieces.get("training", parameters, compute)
    return found


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train every pair (e, rate), draw gains.{pdf,png,csv} and expansions.{pdf,png,csv}."""
    pairs = [(e, rate) for e in config["training.expansions"] for rate in config["training.rates"]]
    runs = {}
    for place, (expansion, rate) in enumerate(pairs, start=1):
        runs[expansion, rate] = losses_of(config, pieces, expansion, rate)
        progress("training sweep", place, len(pairs))
    levels = _levels(config, pieces)
    numbers = {
        f"gain.e={expansion:g}.rate={rate:g}.k={k}": 1 - losses[k] / losses[0]
        for (expansion, rate), losses in runs.items()
        for k in _MARKS
        if k < len(losses)
    }
    numbers |= {f"gain.{name}": level for name, level in levels.items()}
    best = max(1 - min(losses) / losses[0] for losses in runs.values())
    numbers["gain.best_trained"] = best
    numbers["gain.best_trained_minus_constant"] = best - levels["best constant step"]
    numbers["loss.start"] = next(iter(runs.values()))[0]
    files = _draw(config, out, runs, levels, "gains", by_rate=True)
    return Measurements(numbers, files + _draw(config, out, runs, levels, "expansions", by_rate=False))


def _levels(config: Configuration, pieces: Pieces) -> dict[str, float]:
    """Gains of the baselines after T steps."""

    def compute() -> dict[str, float]:
        programs = lines.programs_of(config, "program", dtype="float64")
        curves = baseline_losses(programs, config["program.steps"])
        return {name: 1 - curve[-1] / curves[GRADIENT_DESCENT][-1] for name, curve in curves.items()}

    found: dict[str, float] = pieces.get("baselines", lines.identity(config, "program"), compute)
    return found


def _draw(
    config: Configuration,
    out: Path,
    runs: dict[Any, list[float]],
    levels: dict[str, float],
    name: str,
    *,
    by_rate: bool,
) -> tuple[Path, ...]:
    rates, expansions = config["training.rates"], config["training.expansions"]
    panels, curves = (expansions, rates) if by_rate else (rates, expansions)
    size = "{program.unknowns} x {program.equations}, {program.instances} instances, T = {program.steps}"
    what = "by learning rate, one panel per expansion e" if by_rate else "by expansion e, one panel per learning rate"
    caption = [
        f"Gain over gradient descent on the training instances, {what}; {_filled(size, config)}, width "
        f"{config['program.width']}, float32.",
        "Levels: what gradient descent, the best constant factor, and Nesterov reach in the same T steps.",
    ]
    columns: dict[str, list[float]] = {"e": [], "rate": [], "iteration": [], "gain": []}
    page = {"caption": caption, "seed": config["seed"], "key": lines.KEY}
    with Canvas(1, len(panels), height=2.8, sharey=True, **page) as canvas:
        for axes, panel in zip(canvas.axes[0], panels, strict=True):
            for colour, curve in zip(lines.shades(len(curves)), curves, strict=True):
                losses = runs[(panel, curve) if by_rate else (curve, panel)]
                k = range(_FLOOR, len(losses))
                gains = [1 - losses[i] / losses[0] for i in k]
                axes.plot(k, gains, color=colour, label=f"{curve:g}")
                if by_rate:
                    _note(columns, panel, curve, losses)
            lines.draw_levels(axes, levels, at=len(losses) - 1, below=GRADIENT_DESCENT)
            axes.set_xscale("log")
            axes.set_ylim(-0.1, 1.0)
            axes.set_title(f"e = {panel:g}" if by_rate else f"rate {panel:g}")
            axes.set_xlabel("training step k")
        canvas.axes[0][0].set_ylabel("gain over gradient descent")
        lines.legend_above(canvas.figure, canvas.axes[0][0], "rate" if by_rate else "e =")
        if not by_rate:
            for (expansion, rate), losses in runs.items():
                _note(columns, expansion, rate, losses)
        return canvas.save(out, name, columns)


def _note(columns: dict[str, list[float]], expansion: float, rate: float, losses: list[float]) -> None:
    """Every k of the first hundred, then every hundredth."""
    for k in [*range(min(101, len(losses))), *range(200, len(losses), 100)]:
        for name, value in zip(columns, (expansion, rate, k, 1 - losses[k] / losses[0]), strict=True):
            columns[name].append(value)


def _filled(text: str, config: Configuration) -> str:
    for name in config:
        text = text.replace("{" + name + "}", str(config[name]))
    return text
