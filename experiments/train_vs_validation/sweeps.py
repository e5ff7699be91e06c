"""Figures 3 and 4: errors and chosen step sizes against the noise, and against the number of samples."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from l2o_theory.figures.comparison import choices, draw_along
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.least_squares.comparison import halves, measure, predict, published_grid
from l2o_theory.least_squares.outcome import Choice, Compared, Outcome, Protocol
from l2o_theory.least_squares.phase_diagram import crossing

_FINE = 321  # predictions along the axis
_GRID = published_grid()


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Measure every cell of both figures, draw noise.{pdf,png,csv} and samples.{pdf,png,csv}."""
    n, sigma = config["noise.samples"], config["samples.noise"]
    noises = [_protocol(config, n, value) for value in config["noise.values"]]
    sizes = [_protocol(config, value, sigma) for value in config["samples.values"]]
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for axis, protocols, title in (("noise", noises, "Figure 3"), ("samples", sizes, "Figure 4")):
        cells = []
        for place, protocol in enumerate(protocols, start=1):
            cells.append(_cell(config, pieces, protocol, "plain" if axis == "noise" else "reduced"))
            progress(f"{title}, errors against {axis}", place, len(protocols))
        numbers |= _numbers(cells, axis)
        files += _draw(config, out, cells, axis)
    return Measurements(numbers, files)


def _protocol(config: Configuration, samples: int, noise: float) -> Protocol:
    return Protocol(config["task.dimension"], samples, noise, config["task.steps"], halves(samples))


def _cell(config: Configuration, pieces: Pieces, protocol: Protocol, sampler: Literal["plain", "reduced"]) -> Compared:
    effort = {"tasks": config["task.tune"], "tests": config["task.test"], "seed": config["seed"], "sampler": sampler}

    def compute() -> dict[str, Any]:
        (outcome,) = measure(
            [protocol],
            _GRID,
            tasks=config["task.tune"],
            tests=config["task.test"],
            seed=config["seed"],
            sampler=sampler,
        )
        kept = asdict(outcome)
        return kept | {name: kept[name].tolist() for name in ("train_curve", "validation_curve")}

    stored = pieces.get("sweep", {**asdict(protocol), "split": list(protocol.split), **effort}, compute)
    found = Outcome(
        Choice(**stored["by_train"]),
        Choice(**stored["by_validation"]),
        np.array(stored["train_curve"]),
        np.array(stored["validation_curve"]),
        stored["factor_error"],
    )
    return Compared(protocol, predict(protocol, _GRID), found)


def _numbers(cells: list[Compared], axis: str) -> dict[str, float]:
    """Errors by objective and place; grid points between the predicted and the measured choice."""
    numbers: dict[str, float] = {}
    relative, apart = [], []
    for cell in cells:
        both = zip(choices(cell.predicted), choices(cell.measured), strict=True)
        for (objective, predicted), (_, seen) in both:
            name = f"{axis}={getattr(cell.protocol, axis):g}.{objective}"
            numbers[f"{name}.test"] = seen.test
            relative.append(abs(seen.test / predicted.test - 1))
            apart.append(abs(_GRID.index(predicted.step_size) - _GRID.index(seen.step_size)))
            numbers[f"{name}.grid_points_away"] = apart[-1]
    numbers[f"{axis}.test_error_percent"] = 100 * max(relative)
    numbers[f"{axis}.grid_points_away"] = max(apart)
    numbers[f"{axis}.winners_as_predicted"] = float(
        np.mean([cell.predicted.winner == cell.measured.winner for cell in cells])
    )
    worst = max(cells, key=lambda cell: cell.measured.by_train.test)
    numbers[f"{axis}.worst_for_train_by_train"] = getattr(worst.protocol, axis)
    return numbers


def _draw(config: Configuration, out: Path, cells: list[Compared], axis: Any) -> tuple[Path, ...]:
    first, last = cells[0].protocol, cells[-1].protocol
    places = np.geomspace(getattr(first, axis), getattr(last, axis), _FINE)[1:-1]
    if axis == "noise":
        between = [_protocol(config, first.samples, float(noise)) for noise in places]
        fixed = f"n = {first.samples}, split {first.split[0]} + {first.split[1]}"
    else:
        between = [_protocol(config, size, first.noise) for size in sorted({round(size) for size in places})]
        fixed = f"sigma = {first.noise:g}, half of the n samples train, half validate"
    tuned = f"The mean over {config['task.tune']} tasks picks a step size from the grid 10^(-6+i/4)."
    tested = f"Either step size then trains on all n samples of {config['task.test']} fresh tasks."
    caption = [
        f"d = {first.dimension}, {fixed}, t = {first.steps}. {tuned}",
        f"{tested} Band: two standard errors. Dashed: limit of large d, no sampling.",
    ]
    tie = crossing(first.dimension / first.samples, first.steps) if axis == "noise" else None
    return draw_along(
        out,
        axis,
        cells,
        axis,
        caption=caption,
        seed=config["seed"],
        between=[(protocol, predict(protocol, _GRID)) for protocol in between],
        crossing=tie,
    )
