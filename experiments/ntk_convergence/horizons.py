"""Figures 4a and 4b: the main size. Loss at the last step by horizon T, and along training at the longest horizon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.optimizers.baselines import CONSTANT_STEP, GRADIENT_DESCENT, NESTEROV, baseline_losses

lines = load_plugin(Path(__file__).with_name("lines.py"))


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw horizons.{pdf,png,csv}."""
    horizons, rates = config["large.horizons"], config["large.rates"]
    longest = max(horizons)
    jobs = [(steps, rate, config["large.iterations"]) for steps in horizons for rate in rates]
    jobs.append((longest, min(rates), config["large.curve"]))
    runs: dict[Any, dict[str, Any]] = {}
    for place, job in enumerate(jobs, start=1):
        runs[job] = _trained(config, pieces, *job)
        progress("horizons", place, len(jobs))
    levels = {steps: _levels(config, pieces, steps) for steps in horizons}
    numbers: dict[str, float] = {}
    for (steps, rate, iterations), found in runs.items():
        numbers[f"large.loss.T={steps}.rate={rate:g}.k={iterations}"] = found["losses"][-1]
        numbers[f"large.loss.T={steps}.rate={rate:g}.k=1"] = found["losses"][1]
    for name in (GRADIENT_DESCENT, CONSTANT_STEP, NESTEROV):
        numbers[f"large.{name}.T={longest}"] = levels[longest][name]
    saturated = runs[longest, max(rates), config["large.iterations"]]
    numbers["large.saturated_after_one_step"] = saturated["saturated"]
    numbers["large.best_trained_over_constant"] = (
        min(found["losses"][-1] for (steps, _, _), found in runs.items() if steps == longest)
        / levels[longest][CONSTANT_STEP]
    )
    return Measurements(numbers, _draw(config, out, runs, levels, jobs))


def _trained(config: Configuration, pieces: Pieces, steps: int, rate: float, iterations: int) -> dict[str, Any]:
    expansion = config["large.expansion"]

    def compute() -> dict[str, Any]:
        programs = lines.programs_of(config, "large")
        network = lines.network_of(config, "large", programs, expansion)
        run = train_step_size_network(network, programs, TrainingPlan(steps, iterations, rate, record_every=1))
        first = run.records[min(1, iterations)]
        return {
            "losses": list(run.losses),
            "saturated": first.near_two + first.near_zero + first.exactly_one,
        }

    size = {name: config[f"large.{name}"] for name in ("instances", "equations", "unknowns", "width", "expansion")}
    parameters = {**size, "seed": config["seed"], "device": config["device"], "T": steps, "rate": rate, "k": iterations}
    found: dict[str, Any] = pieces.get("horizon", parameters, compute)
    return found


def _levels(config: Configuration, pieces: Pieces, steps: int) -> dict[str, float]:
    def compute() -> dict[str, float]:
        curves = baseline_losses(lines.programs_of(config, "large", dtype="float64"), steps)
        return {name: curve[-1] for name, curve in curves.items()}

    size = {name: config[f"large.{name}"] for name in ("instances", "equations", "unknowns")}
    found: dict[str, float] = pieces.get("large-levels", {**size, "seed": config["seed"], "T": steps}, compute)
    return found


def _draw(
    config: Configuration,
    out: Path,
    runs: dict[Any, dict[str, Any]],
    levels: dict[int, dict[str, float]],
    jobs: list[Any],
) -> tuple[Path, ...]:
    horizons, rates, iterations = config["large.horizons"], config["large.rates"], config["large.iterations"]
    *_, curve = jobs
    caption = [
        f"{config['large.unknowns']} x {config['large.equations']}, {config['large.instances']} instances, width "
        f"{config['large.width']}, e = {config['large.expansion']:g}.",
        "Left: training loss at the last inner step, by horizon. Right: along training.",
    ]
    columns: dict[str, list[Any]] = {"T": [], "run": [], "iteration": [], "loss": []}
    with Canvas(1, 2, height=2.8, caption=caption, seed=config["seed"], key=lines.KEY) as canvas:
        left, right = canvas.axes[0]
        lines.draw_curves(left, horizons, {name: [levels[t][name] for t in horizons] for name in lines.METHODS})
        for colour, rate in zip(lines.shades(len(rates)), rates, strict=True):
            ends = [runs[t, rate, iterations]["losses"] for t in horizons]
            left.plot(horizons, [losses[-1] for losses in ends], color=colour, label=f"trained, rate {rate:g}")
            left.plot(horizons, [losses[1] for losses in ends], "o", color=colour, markersize=3, fillstyle="none")
        left.set_xscale("log")
        left.set_yscale("log")
        left.set_xticks(horizons, [str(steps) for steps in horizons])
        left.minorticks_off()
        left.set_title(f"after {iterations} training steps (circles: after one)")
        left.set_xlabel("inner steps T")
        left.set_ylabel("training loss F(X_T)")
        left.legend(loc="lower left")
        losses = runs[curve]["losses"]
        right.plot(range(1, len(losses)), losses[1:], color=lines.shades(len(rates))[rates.index(curve[1])])
        lines.draw_levels(right, levels[curve[0]], at=len(losses) - 1)
        right.set_xscale("log")
        right.set_yscale("log")
        right.set_title(f"T = {curve[0]}, rate {curve[1]:g}")
        right.set_xlabel("training step k")
        for (steps, rate, _), found in runs.items():
            for k, loss in enumerate(found["losses"]):
                for column, value in zip(columns, (steps, f"rate {rate:g}", k, loss), strict=True):
                    columns[column].append(value)
        for steps in horizons:
            for name, loss in levels[steps].items():
                for column, value in zip(columns, (steps, name, 0, loss), strict=True):
                    columns[column].append(value)
        return canvas.save(out, "horizons", columns)
