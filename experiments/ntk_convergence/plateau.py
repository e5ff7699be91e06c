"""The training loss on a logarithmic axis: it flattens, at T = 20 and, above an exact floor, at T = 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.optimizers.baselines import CONSTANT_STEP, baseline_losses
from l2o_theory.optimizers.constant_step import one_step_floor

lines = load_plugin(Path(__file__).with_name("lines.py"))
sweep = load_plugin(Path(__file__).with_name("sweep.py"))
_EXPANSION = 50.0
_KEY = "Dashed: references, measured as well, and, black, the computed floor. Solid: trained networks."
_RATES_AT_ONE = (1e-10, 1e-9, 1e-8)  # T = 1: gradients are larger; from 1e-7 on one step saturates for good


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw plateau.{pdf,png,csv}."""
    horizons = (config["program.steps"], 1)
    found = []
    for place, steps in enumerate(horizons, start=1):
        found.append(_panel(config, pieces, steps))
        progress("plateau", place, len(horizons))
    long, single = found
    runs = [losses for losses in long["runs"].values() if losses[-1] < losses[0]]
    lowest = min(min(losses) for losses in runs)
    numbers = {
        "plateau.lowest_over_gradient_descent": lowest / long["levels"]["gradient descent"],
        "plateau.floor_at_one_step": single["floor"],
        "plateau.gradient_descent_at_one_step": single["levels"]["gradient descent"],
        "plateau.lowest_at_one_step_over_floor": min(min(v) for v in single["runs"].values()) / single["floor"],
    }
    return Measurements(numbers, _draw(config, out, found, horizons))


def _panel(config: Configuration, pieces: Pieces, steps: int) -> dict[str, Any]:
    runs = {}
    if steps == config["program.steps"]:
        for rate in config["training.rates"]:
            runs[f"rate {rate:g}"] = sweep.losses_of(config, pieces, _expansion(config), rate)
    else:
        for rate in _RATES_AT_ONE:
            runs[f"rate {rate:g}"] = _at_one(config, pieces, steps, rate)

    def compute() -> dict[str, Any]:
        programs = lines.programs_of(config, "program", dtype="float64")
        levels = {name: curve[-1] for name, curve in baseline_losses(programs, steps).items()}
        return {"levels": levels, "floor": one_step_floor(programs) if steps == 1 else None}

    return {"runs": runs, **pieces.get("levels", {**lines.identity(config, "program"), "T": steps}, compute)}


def _expansion(config: Configuration) -> float:
    """e = 50, or the nearest of the sweep."""
    return float(min(config["training.expansions"], key=lambda e: abs(e - _EXPANSION)))


def _at_one(config: Configuration, pieces: Pieces, steps: int, rate: float) -> list[float]:
    iterations = min(config["training.iterations"], 400)

    def compute() -> list[float]:
        programs = lines.programs_of(config, "program")
        network = lines.network_of(config, "program", programs, _EXPANSION)
        plan = TrainingPlan(steps, iterations, rate, record_every=iterations)
        return list(train_step_size_network(network, programs, plan).losses)

    parameters = {**lines.identity(config, "program"), "T": steps, "rate": rate, "iterations": iterations}
    found: list[float] = pieces.get("one-step", parameters, compute)
    return found


def _draw(config: Configuration, out: Path, found: list[dict[str, Any]], horizons: tuple[int, ...]) -> tuple[Path, ...]:
    caption = [
        f"Training loss F(W^k) on logarithmic axes, e = {_expansion(config):g}; {config['program.unknowns']} x "
        f"{config['program.equations']}, {config['program.instances']} instances. A linear rate to 0 would bend every",
        "curve down without end. At T = 1 no step sizes in [0, 2] get below the black level (bounded least squares).",
    ]
    columns: dict[str, list[Any]] = {"T": [], "run": [], "iteration": [], "loss": []}
    with Canvas(1, 2, height=2.7, caption=caption, seed=config["seed"], key=_KEY) as canvas:
        for axes, panel, steps in zip(canvas.axes[0], found, horizons, strict=True):
            for colour, (name, losses) in zip(lines.shades(len(panel["runs"])), panel["runs"].items(), strict=True):
                axes.plot(range(1, len(losses)), losses[1:], color=colour, label=name)
                for k in [*range(min(101, len(losses))), *range(200, len(losses), 100)]:
                    for column, value in zip(columns, (steps, name, k, losses[k]), strict=True):
                        columns[column].append(value)
            lines.draw_levels(axes, panel["levels"], at=len(losses) - 1, below=CONSTANT_STEP)
            if panel["floor"] is not None:
                theory(axes, [1, len(losses) - 1], [panel["floor"]] * 2, label="floor of all step sizes")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(f"T = {steps}")
            axes.set_xlabel("training step k")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 0.08))
        canvas.axes[0][0].set_ylabel("training loss F")
        return canvas.save(out, "plateau", columns)
