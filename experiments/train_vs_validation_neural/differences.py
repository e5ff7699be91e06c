"""What validation gains: test accuracy of tbv minus that of the others, paired by meta-seed and test task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.metatraining.comparison import one_sided_p, paired_difference, student_interval

_beside = Path(__file__)
STYLES = load_plugin(_beside.with_name("names.py")).STYLES
_groups = load_plugin(_beside.with_name("curves.py")).groups
_SHORT = {"tbt": "TbT, n", "tbt2": "TbT, 2n", "tbt_all": "TbT, all", "sgd": "SGD", "adam": "Adam"}
Array = NDArray[np.float64]
Found = dict[tuple[str, float], list[Any]]
Rivals = dict[tuple[str, tuple[bool, float]], Any]


def at_horizon(config: Configuration, runs: list[Any], quantity: str) -> Array:
    """Shape (meta-seeds, test tasks)."""
    place = config["test.steps"].index(config["test.horizon"])
    table: Array = np.array([run[quantity][place] for run in runs], dtype=np.float64)
    return table


def pairs(found: Found, rivals: Rivals) -> list[tuple[str, str, float, list[Any], list[Any]]]:
    """(first, second, noise, runs, runs) of all comparisons; a baseline has no meta-seeds and stands for all."""
    listed = []
    for everything, noise in _groups(found):
        first = "tbv_all" if everything else "tbv"
        if (first, noise) not in found:
            continue
        others = [
            (arm, runs) for (arm, at), runs in found.items() if at == noise and arm.endswith("_all") == everything
        ]
        others += [(name, [rivals[name, (everything, noise)]]) for name in ("sgd", "adam")]
        listed += [(first, name, noise, found[first, noise], runs) for name, runs in others if name != first]
    return listed


def draw(config: Configuration, out: Path, found: Found, rivals: Rivals) -> Measurements:
    """Draw differences.{pdf,png,csv}; difference of accuracies with its intervals, ln ratio of error rates with its."""
    numbers: dict[str, float] = {}
    rows = []
    for first, second, noise, ours, theirs in pairs(found, rivals):
        label = f"{second}_all" if first == "tbv_all" and second in ("sgd", "adam") else second
        name = f"{first}_minus_{label}.noise={noise:g}"
        gains = at_horizon(config, ours, "test_accuracy") - at_horizon(config, theirs, "test_accuracy")
        found_here = student_interval(gains.mean(axis=1))
        numbers |= {f"{name}.test_accuracy": found_here.value, f"{name}.test_accuracy.low": found_here.low}
        numbers |= {
            f"{name}.test_accuracy.high": found_here.high,
            f"{name}.test_accuracy.p": one_sided_p(-gains.mean(1)),
        }
        numbers[f"{name}.test_accuracy.wins"] = int((gains.mean(axis=1) > 0).sum())
        errors = [1 - at_horizon(config, runs, "test_accuracy") for runs in (ours, theirs)]
        ratio = paired_difference(*errors, seed=config["seed"])
        numbers |= {
            f"{name}.ln_error": ratio.value,
            f"{name}.ln_error.low": ratio.over_both.low,
            f"{name}.ln_error.high": ratio.over_both.high,
        }
        rows.append((first, second, noise, gains, found_here))
    return Measurements(numbers, _draw(config, out, rows))


def within_range(axes: Any) -> None:
    """Cut the view to what a difference of two accuracies can be: an interval over two meta-seeds may reach further."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -1), min(high, 1))


def _draw(config: Configuration, out: Path, rows: list[Any]) -> tuple[Path, ...]:
    panels = sorted({(first == "tbv_all", noise) for first, _, noise, _, _ in rows})
    caption = [
        "Test accuracy of train-by-validation (TbV) minus that of the others; above 0: validation wins. Same test "
        "tasks, initial weights and minibatches;",
        "learned optimizers are paired by their untrained weights. "
        f"Dots: meta-seeds, means over {config['test.runs']} tasks. Bars: mean and 95 percent interval of Student's t",
        f"over {config['arms.seeds']} meta-seeds, for these tasks and test images. TbT: train-by-train.",
    ]
    columns: dict[str, list[Any]] = {
        "all_data": [], "noise": [], "other": [], "meta_seed": [], "difference": [], "low": [], "high": []
    }  # fmt: skip
    with Canvas(1, len(panels), height=2.5, seed=config["seed"], caption=caption, key="", sharey=True) as canvas:
        for axes, panel in zip(canvas.axes[0], panels, strict=True):
            inside = [row for row in rows if (row[0] == "tbv_all", row[2]) == panel]
            axes.axhline(0, color="#8C8C8C", linewidth=0.6)
            for place, (_, second, noise, gains, interval) in enumerate(inside):
                colour = COLOURS[STYLES[second][1]]
                axes.plot([place - 0.15] * len(gains), gains.mean(axis=1), ".", color=colour, markersize=5)
                reach = [[interval.value - interval.low], [interval.high - interval.value]]
                axes.errorbar([place + 0.1], [interval.value], reach, fmt="_", color=colour, capsize=2)
                for seed, value in enumerate(gains.mean(axis=1)):
                    entry = (panel[0], noise, second, seed, float(value), interval.low, interval.high)
                    for column, part in zip(columns, entry, strict=True):
                        columns[column].append(part)
            names = [_SHORT[row[1]] for row in inside]
            title = "all data" if panel[0] else f"n = {config['tasks.samples']}, noise {panel[1]:g}"
            axes.set(title=title, xticks=range(len(inside)), xticklabels=names, xlim=(-0.6, len(inside) - 0.4))
            axes.set_xlabel("compared with")
        canvas.axes[0, 0].set_ylabel("difference of test accuracies")
        within_range(canvas.axes[0, 0])
        return canvas.save(out, "differences", columns)
