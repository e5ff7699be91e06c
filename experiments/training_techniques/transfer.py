"""Loss against steps on every optimizee: the task of training, and others that the optimizer never saw.

Two figures per task: what each technique does to L2O-DM (Figure 5 of arXiv 2010.09089), and three optimizers, plain
and with curriculum and imitation (its Figures 2 and 3). Tuned Adam, SGD and momentum are beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from l2o_theory.figures.canvas import Canvas, measured, spread
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.metatraining import paired_difference

_FIGURES = {
    "ablation": ("plain", "aug", "cl", "clsame", "il", "clil"),
    "optimizers": ("plain", "clil", "rnnprop", "rnnprop-clil", "scale", "scale-clil"),
}
_NAMES = {"gradient descent": "SGD", "Momentum": "momentum 0.9"}


def draw(config: Configuration, out: Path, results: dict[str, Any]) -> Measurements:
    """Draw ablation_TASK and optimizers_TASK; numbers: every arm minus tuned Adam on every optimizee, last horizon."""
    task = results["task"]
    last = config[f"{task}.horizons"][-1]
    numbers: dict[str, float] = {}
    for optimizee, test in results["rivals"]["Adam"][last]["tests"].items():
        slug, rival = f"{task}.on {optimizee}", test["single"][str(last)]
        numbers[f"{slug}.Adam.N={last}"] = float(np.log(np.mean(rival)))
        for arm, runs in results["found"].items():
            found = paired_difference([run["tests"][optimizee]["single"][str(last)] for run in runs], rival)
            assert found.over_seeds is not None
            name = f"{slug}.{arm}_minus_Adam.N={last}"
            numbers |= {name: found.value, f"{name}.low": found.over_seeds.low, f"{name}.high": found.over_seeds.high}
    files: tuple[Path, ...] = ()
    for figure, arms in _FIGURES.items():
        chosen = [arm for arm in arms if arm in results["found"]]
        if figure == "ablation" or any(arm.startswith(("rnnprop", "scale")) for arm in chosen):
            files += _draw(config, out, results, figure, chosen)
    return Measurements(numbers, files)


def _draw(config: Configuration, out: Path, results: dict[str, Any], figure: str, arms: list[str]) -> tuple[Path, ...]:
    task = results["task"]
    steps, last = np.array(config[f"{task}.steps"]), config[f"{task}.horizons"][-1]
    seen = steps > 0
    names = list(results["rivals"]["Adam"][last]["tests"])
    caption = [
        f"Training on {names[0]}, {config[f'{task}.updates']} meta-updates at most; tests: {config[f'{task}.runs']} "
        f"runs there and {config[f'{task}.transfer_runs']} elsewhere. Line and band: median",
        f"and range of {config[f'{task}.seeds']} meta-seeds. Thin: rivals whose step size was tuned for {last} steps "
        "on training tasks, with as many inner",
        "steps as one meta-training. Curves far above the loss at the start are cut off.",
    ]
    columns: dict[str, list[Any]] = {"optimizee": [], "optimizer": [], "meta_seed": [], "step": [], "ln_mean_loss": []}
    with Canvas(1, len(names), height=2.9, seed=config["seed"], caption=caption, key="") as canvas:
        for axes, optimizee in zip(canvas.axes[0], names, strict=True):
            for rival, tuned in results["rivals"].items():
                curve = np.log(tuned[last]["tests"][optimizee]["losses"])
                measured(axes, steps[seen], curve[seen], rival, linewidth=0.7, label=_NAMES.get(rival, rival))
                _append(columns, optimizee, rival, 0, steps, curve)
            for arm in arms:
                curves = np.log([run["tests"][optimizee]["losses"] for run in results["found"][arm]])
                spread(axes, steps[seen], curves[:, seen], arm, label=arm)
                for seed, curve in enumerate(curves):
                    _append(columns, optimizee, arm, seed, steps, curve)
            ceiling = np.log(results["rivals"]["Adam"][last]["tests"][optimizee]["losses"][0])
            low, high = axes.get_ylim()
            axes.set(xscale="log", xlabel="steps", ylim=(low, min(high, ceiling + 1.5)))
            axes.set_title(optimizee, fontsize=7.5)
        canvas.axes[0, 0].set_ylabel("ln mean loss")
        handles, labels = canvas.axes[0, 0].get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), columnspacing=1.0)
        return canvas.save(out, f"{figure}_{task}", columns)


def _append(columns: dict[str, list[Any]], optimizee: str, name: str, seed: int, steps: Any, curve: Any) -> None:
    columns["optimizee"] += [optimizee] * len(steps)
    columns["optimizer"] += [name] * len(steps)
    columns["meta_seed"] += [seed] * len(steps)
    columns["step"] += steps.tolist()
    columns["ln_mean_loss"] += curve.tolist()
