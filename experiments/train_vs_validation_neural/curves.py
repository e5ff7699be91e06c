"""Accuracy and loss along the test tasks, every optimizer, clean labels, noisy labels, and all data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured, spread
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.figures.table import write_table

STYLES = load_plugin(Path(__file__).with_name("names.py")).STYLES
_PANELS = (
    ("train_accuracy", "training accuracy"),
    ("test_accuracy", "test accuracy"),
    ("train_loss", "training loss"),
    ("test_loss", "test loss"),
)
Array = NDArray[np.float64]
Found = dict[tuple[str, float], list[Any]]
Rivals = dict[tuple[str, tuple[bool, float]], Any]


def by_seed(runs: list[Any], quantity: str) -> Array:
    """Mean over the test tasks, shape (meta-seeds, steps)."""
    table: Array = np.array([run[quantity] for run in runs], dtype=np.float64).mean(axis=2)
    return table


def groups(found: Found) -> list[tuple[bool, float]]:
    """(all data, noise) that were run: one row of panels each."""
    return sorted({(arm.endswith("_all"), noise) for arm, noise in found})


def draw(config: Configuration, out: Path, found: Found, rivals: Rivals) -> Measurements:
    """Draw curves.{pdf,png,csv}, write accuracies.csv; all quantities at the horizon by optimizer and noise."""
    place = config["test.steps"].index(config["test.horizon"])
    numbers: dict[str, float] = {}
    rows: dict[str, list[Any]] = {"optimizer": [], "all_data": [], "noise": [], "step_size": [], "meta_seeds": []}
    rows |= {f"{name}{end}": [] for name, _ in _PANELS for end in ("", "_least", "_greatest")}
    for everything, noise in groups(found):
        for name, runs in _members(found, rivals, everything, noise):
            label = f"{name}_all" if everything and name in ("sgd", "adam") else name
            entry = (name, everything, noise, runs[0].get("rate", ""), len(runs))
            for column, value in zip(("optimizer", "all_data", "noise", "step_size", "meta_seeds"), entry, strict=True):
                rows[column].append(value)
            for quantity, _ in _PANELS:
                values = by_seed(runs, quantity)[:, place]
                key = f"{label}.noise={noise:g}.{quantity}"
                numbers[key] = float(values.mean())
                if len(values) > 1:
                    numbers |= {f"{key}.meta_seed={seed}": float(value) for seed, value in enumerate(values)}
                    numbers[f"{key}.sd"] = float(values.std(ddof=1))
                for end, entry_value in (("", values.mean()), ("_least", values.min()), ("_greatest", values.max())):
                    rows[f"{quantity}{end}"].append(float(entry_value))
            if "rate" in runs[0]:
                numbers[f"{label}.noise={noise:g}.rate"] = runs[0]["rate"]
    table = write_table(out / "accuracies.csv", rows)
    return Measurements(numbers, (*_draw(config, out, found, rivals), table))


def _members(found: Found, rivals: Rivals, everything: bool, noise: float) -> list[tuple[str, list[Any]]]:
    """Optimizers of one row of panels, each with its runs by meta-seed."""
    arms = [(arm, runs) for (arm, at), runs in found.items() if at == noise and arm.endswith("_all") == everything]
    return arms + [(name, [rivals[name, (everything, noise)]]) for name in ("sgd", "adam")]


def _draw(config: Configuration, out: Path, found: Found, rivals: Rivals) -> tuple[Path, ...]:
    rows, steps, kind = groups(found), np.array(config["test.steps"]), "noisy" if config["test.noisy"] else "clean"
    caption = [
        f"Means over {config['test.runs']} test tasks of n = {config['tasks.samples']} samples (last row: all data). "
        f"Test: on images that no training saw, with {kind} labels; training: on the",
        f"labels trained on, noise included. Perceptron optimizer of 1090 weights after {config['training.updates']} "
        f"meta-updates; band and median: {config['arms.seeds']} meta-seeds.",
        "SGD and Adam: step size of the least validation loss at the vertical line, where all are compared.",
    ]
    columns: dict[str, list[Any]] = {"optimizer": [], "all_data": [], "noise": [], "meta_seed": [], "step": []}
    columns |= {quantity: [] for quantity, _ in _PANELS}
    key = "Solid and dotted: measured."
    with Canvas(len(rows), 4, height=1.75 * len(rows) + 0.5, seed=config["seed"], caption=caption, key=key) as canvas:
        for line, (everything, noise) in zip(canvas.axes, rows, strict=True):
            for name, runs in _members(found, rivals, everything, noise):
                label, method, options = STYLES[name]
                for axes, (quantity, _) in zip(line, _PANELS, strict=True):
                    values = by_seed(runs, quantity)
                    if len(runs) > 1:
                        spread(axes, steps[1:], values[:, 1:], method, **options)
                    else:
                        measured(axes, steps[1:], values[0, 1:], method, linewidth=0.9)
                    axes.lines[-1].set_label(label)
                _append(columns, name, everything, noise, steps, runs)
            told = "all data" if everything else f"noise {noise:g}"
            for axes, (quantity, title) in zip(line, _PANELS, strict=True):
                axes.axvline(config["test.horizon"], color="#8C8C8C", linewidth=0.6)
                axes.set(xscale="log", title=f"{title}, {told}")
                axes.set_yscale("log" if quantity.endswith("loss") else "linear")
                axes.tick_params(axis="y", which="minor", labelleft=False)
        for axes in canvas.axes[-1]:
            axes.set_xlabel("steps")
        canvas.figure.legend(*canvas.axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
        return canvas.save(out, "curves", columns)


def _append(
    columns: dict[str, list[Any]], name: str, everything: bool, noise: float, steps: Array, runs: list[Any]
) -> None:
    tables = [by_seed(runs, quantity) for quantity, _ in _PANELS]
    for seed in range(len(runs)):
        for column, value in zip(columns, (name, everything, noise, seed), strict=False):
            columns[column] += [value] * len(steps)
        columns["step"] += steps.tolist()
        for (quantity, _), table in zip(_PANELS, tables, strict=True):
            columns[quantity] += table[seed].tolist()
