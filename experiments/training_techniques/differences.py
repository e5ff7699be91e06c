"""What a technique gains, and what a learned optimizer gains over a tuned rival: paired differences with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.metatraining import Difference, paired_difference

_earlier = load_plugin(Path(__file__).with_name("earlier.py"))
LARGEST = float(np.finfo(np.float32).max)
"""What the loss of a run that diverged counts as."""

_BESIDE_PLAIN = (("clil", "cl"), ("cl", "aug"), ("rnnprop-clil", "rnnprop"), ("scale-clil", "scale"))
"""Pairs that are told apart beside every arm against plain and every arm against every rival."""


def single(run: Any, horizon: int) -> list[float]:
    """Losses of all test tasks after so many steps."""
    losses: list[float] = run["single"][str(horizon)]
    return losses


def compared(results: dict[str, Any], arm: str, other: str, horizon: int) -> Difference:
    """Arm minus `other`, an arm or a rival tuned for this horizon, on the same test tasks.

    Arms are paired by meta-seed, which gives arms of one optimizer the same untrained weights.
    """
    found, rivals = results["found"], results["rivals"]
    losses = [single(run, horizon) for run in found[arm]]
    if other in found:
        return paired_difference(losses, [single(run, horizon) for run in found[other]])
    tests = rivals[other][horizon]["tests"]
    return paired_difference(losses, single(next(iter(tests.values())), horizon))


def pairs(results: dict[str, Any]) -> list[tuple[str, str]]:
    """All pairs whose difference is a number of the experiment."""
    arms = list(results["found"])
    listed = [(arm, "plain") for arm in arms if arm != "plain"]
    listed += [(arm, other) for arm, other in _BESIDE_PLAIN if arm in arms and other in arms]
    return listed + [(arm, rival) for arm in arms for rival in results["rivals"]]


def diverged(results: dict[str, Any], rival: str, horizon: int) -> float:
    """Share of the test tasks on which a rival left the float range: its mean loss says nothing then."""
    tests = results["rivals"][rival][horizon]["tests"]
    return float((np.array(single(next(iter(tests.values())), horizon)) >= LARGEST).mean())


def draw(config: Configuration, out: Path, results: dict[str, Any]) -> Measurements:
    """Draw differences_TASK.{pdf,png,csv}; for every pair and horizon the difference and its intervals."""
    task = results["task"]
    numbers: dict[str, float] = {}
    for arm, other in pairs(results):
        for horizon in config[f"{task}.horizons"]:
            if other in results["rivals"] and diverged(results, other, horizon):
                continue
            found = compared(results, arm, other, horizon)
            name, values = f"{task}.{arm}_minus_{other}.N={horizon}", np.array(found.by_seed)
            assert found.over_seeds is not None  # there are two meta-seeds at least
            assert found.p is not None
            numbers |= {name: found.value, f"{name}.low": found.over_seeds.low, f"{name}.high": found.over_seeds.high}
            numbers |= {f"{name}.both.low": found.over_both.low, f"{name}.both.high": found.over_both.high}
            numbers |= {f"{name}.p": found.p, f"{name}.wins": int((values < 0).sum())}
            numbers |= {f"{name}.meta_seed={seed}": float(value) for seed, value in enumerate(values)}
    for name, tuned in results["rivals"].items():
        for horizon, one in tuned.items():
            stem = f"{task}.{name}.N={horizon}"
            numbers |= {stem: float(np.log(np.mean(single(next(iter(one["tests"].values())), horizon))))}
            numbers |= {f"{stem}.rate": one["rate"], f"{stem}.inner_steps": one["inner_steps"]}
            numbers |= {f"{stem}.at_edge": int(one["at_edge"]), f"{stem}.diverged": diverged(results, name, horizon)}
    return Measurements(numbers, _draw(config, out, results))


def _draw(config: Configuration, out: Path, results: dict[str, Any]) -> tuple[Path, ...]:
    task, arms = results["task"], list(results["found"])
    horizons = config[f"{task}.horizons"]
    budget = config[f"{task}.updates"] * config["training.window"] * config[f"{task}.problems"]
    caption = [
        f"{task}: ln of the mean loss over the same test tasks; below 0 is better. Top: minus plain training. Bottom: "
        "minus Adam, tuned",
        f"for that horizon on training tasks with at most {budget} inner steps. Dots: {config[f'{task}.seeds']} "
        "meta-seeds. Bars: 95 percent interval of",
        "Student's t over meta-seeds; grey: variance over test tasks added. "
        + ("Dashed: differences in the table of an earlier run." if task == "quadratics" else ""),
        _earlier.ARMS,
    ]
    columns: dict[str, list[Any]] = {"arm": [], "minus": [], "horizon": [], "meta_seed": [], "difference": []}
    with Canvas(
        2, len(horizons), height=4.2, seed=config["seed"], caption=caption, key="", sharey="row", sharex=True
    ) as canvas:
        for row, other in enumerate(("plain", "Adam")):
            for axes, horizon in zip(canvas.axes[row], horizons, strict=True):
                axes.axhline(0, color="#8C8C8C", linewidth=0.6)
                for place, arm in enumerate(arms):
                    if arm != other:
                        _dots(axes, place, arm, compared(results, arm, other, horizon), columns, (other, horizon))
                        if row == 0 and task == "quadratics":
                            _told(axes, config, place, arm, horizon)
            canvas.axes[row, 0].set_ylabel(f"minus {other if row == 0 else 'tuned Adam'}")
        for axes, horizon in zip(canvas.axes[0], horizons, strict=True):
            axes.set(title=f"after {horizon} steps")
        for axes in canvas.axes[1]:
            axes.set_xticks(range(len(arms)), arms, rotation=90)
        return canvas.save(out, f"differences_{task}", columns)


def _dots(
    axes: Any, place: int, arm: str, found: Difference, columns: dict[str, list[Any]], where: tuple[str, int]
) -> None:
    assert found.over_seeds is not None
    seeds, both = found.over_seeds, found.over_both
    axes.plot([place - 0.15] * len(found.by_seed), found.by_seed, ".", color=COLOURS[arm], markersize=4)
    axes.plot([place + 0.15] * 2, [both.low, both.high], color="#B4B4B4", linewidth=0.8)
    ends = [[found.value - seeds.low], [seeds.high - found.value]]
    axes.errorbar([place + 0.15], [found.value], ends, fmt="_", color=COLOURS[arm], capsize=2)
    for seed, value in enumerate(found.by_seed):
        for name, entry in zip(columns, (arm, *where, seed, value), strict=True):
            columns[name].append(entry)


def _told(axes: Any, config: Configuration, place: int, arm: str, horizon: int) -> None:
    """The difference in the earlier run's table."""
    if config["quadratics.updates"] == _earlier.UPDATES and horizon in _earlier.HORIZONS and arm in _earlier.TABLE:
        at = _earlier.HORIZONS.index(horizon)
        told = _earlier.TABLE[arm][at][0] - _earlier.TABLE["plain"][at][0]
        theory(axes, [place - 0.35, place + 0.35], [told, told], arm)
