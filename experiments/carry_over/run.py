"""Truncation, explosion and variance of meta-gradients of trained neural optimizers, against the quadratic theory.

`training.py` meta-trains, `probing.py` measures, `predictions.py` sets measured beside predicted; the files named in
`_FIGURES` draw. Optimizers and optimizees as in arXiv 2010.09089 and the step-size paper; predictions derived here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Generator

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining import student_interval

PARAMETERS = {
    "arms.optimizers": Parameter(str, many=True),
    "arms.optimizees": Parameter(str, many=True),
    "arms.quadratics_seeds": Parameter(int, least=2),
    "arms.digits_seeds": Parameter(int, least=2),
    "tasks.start_std": Parameter(float, least=0),
    "tasks.batch": Parameter(int, least=1),
    "training.horizon": Parameter(int, least=1),
    "training.window": Parameter(int, least=1),
    "training.rates": Parameter(float, many=True, least=0),
    "training.quadratics_updates": Parameter(int, least=1),
    "training.quadratics_tasks": Parameter(int, least=1),
    "training.digits_updates": Parameter(int, least=1),
    "training.digits_tasks": Parameter(int, least=1),
    "training.judged": Parameter(int, least=1),
    "probe.windows": Parameter(int, many=True, least=1),
    "probe.short": Parameter(int, least=1),
    "probe.early": Parameter(int, least=1),
    "probe.quadratics_tasks": Parameter(int, least=2),
    "probe.digits_tasks": Parameter(int, least=2),
    "probe.quadratics_chunk": Parameter(int, least=1),
    "probe.digits_chunk": Parameter(int, least=1),
}
_FIGURES = ("windows", "growth", "variance", "summary")
_beside = Path(__file__)
_PROBE_SEED = 500_009  # tasks of the probes: none that were trained on


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train and probe every optimizer on every optimizee from every meta-seed, draw, return effects with intervals."""
    _refuse(config)
    predictions = load_plugin(_beside.with_name("predictions.py"))
    probes = probed(config, pieces, progress)
    horizons = config["probe.windows"], config["probe.short"], config["probe.early"]
    effects = {cell: [predictions.effects(probe, *horizons) for probe in found] for cell, found in probes.items()}
    numbers = dict(load_plugin(_beside.with_name("controls.py")).numbers(config, pieces))
    for cell, found in effects.items():
        for name in found[0]:
            between = student_interval([one[name] for one in found])
            told = ".".join((name, *cell))
            numbers |= {told: between.value, f"{told}.low": between.low, f"{told}.high": between.high}
            numbers |= {f"{told}.meta_seed={seed}": one[name] for seed, one in enumerate(found)}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        figure = load_plugin(_beside.with_name(f"{name}.py"))
        measured = figure.draw(config, out, probes, effects)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)


def probed(
    config: Configuration, pieces: Pieces, progress: Progress
) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """(optimizee, optimizer, "untrained" or "trained") -> what `probing.probe` found, by meta-seed."""
    seeds = {optimizee: config[f"arms.{optimizee}_seeds"] for optimizee in config["arms.optimizees"]}
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    done, total = 0, 2 * len(config["arms.optimizers"]) * sum(seeds.values())
    for seed in range(max(seeds.values())):  # seed by seed, so that an interrupted run has seen every cell
        for optimizee in [name for name in seeds if seed < seeds[name]]:
            for optimizer in config["arms.optimizers"]:
                for status in ("untrained", "trained"):
                    probe = _one(config, pieces, optimizee, optimizer, seed, status)
                    found.setdefault((optimizee, optimizer, status), []).append(probe)
                    done += 1
                    progress(f"{optimizer} on {optimizee}, meta-seed {seed}, {status}", done, total)
    return found


def _one(
    config: Configuration, pieces: Pieces, optimizee: str, optimizer: str, seed: int, status: str
) -> dict[str, Any]:
    training = load_plugin(_beside.with_name("training.py"))

    def compute() -> dict[str, Any]:
        if status == "untrained":
            weights = training.untrained(config, optimizer, seed)
        else:
            weights = training.trained(config, pieces, optimizer, optimizee, seed)
        probing = load_plugin(_beside.with_name("probing.py"))
        family, windows = training.family(config, optimizee, torch.float64), config["probe.windows"]
        generator = Generator().manual_seed(_PROBE_SEED + training.own_seed(config, seed))
        draw = family.draw(config[f"probe.{optimizee}_tasks"], windows[-1], generator)
        found: dict[str, Any] = probing.probe(
            training.OPTIMIZERS[optimizer], family.problem, weights, probing.tasks_of(draw, windows[-1]), windows,
            short=config["probe.short"], chunk=config[f"probe.{optimizee}_chunk"], seed=seed,
        )  # fmt: skip
        return found

    name = f"probe_{optimizer}_{optimizee}_{status}_{seed}"
    return dict(pieces.get(name, training.key(config, "training", "probe"), compute))


def _refuse(config: Configuration) -> None:
    """What the types of PARAMETERS do not say."""
    training = load_plugin(_beside.with_name("training.py"))
    for name, known in (("arms.optimizers", tuple(training.OPTIMIZERS)), ("arms.optimizees", training.OPTIMIZEES)):
        if unknown := [entry for entry in config[name] if entry not in known]:
            raise InputError(f"{name} has {unknown[0]!r}; known are {', '.join(known)}")
    if len(config["training.rates"]) != len(training.OPTIMIZERS):
        raise InputError(f"training.rates needs one number for each of {', '.join(training.OPTIMIZERS)}")
    windows = config["probe.windows"]
    if list(windows) != sorted(set(windows)) or any(windows[-1] % window for window in windows):
        raise InputError(f"probe.windows must rise and divide the last one, got {list(windows)}")
    early, short = config["probe.early"], config["probe.short"]
    if not {early, short} <= set(windows) or not early < short < windows[-1]:
        raise InputError(
            f"probe.early < probe.short must be two of probe.windows, not the last, got {early} and {short}"
        )
