"""How to train a learned optimizer: plain, longer horizon, curriculum, imitation, both, on random quadratics.

Techniques and schedules of arXiv 2010.09089 (released code), at a scale for a CPU. `training.py` trains, the files
named in `_FIGURES` draw.
"""

from __future__ import annotations

from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

PARAMETERS = {
    "tasks.dimension": Parameter(int, least=1),
    "tasks.start_std": Parameter(float, least=0),
    "tasks.problems": Parameter(int, least=1),
    "training.updates": Parameter(int, least=1),
    "training.window": Parameter(int, least=1),
    "training.rate": Parameter(float, least=0),
    "training.period": Parameter(int, least=1),
    "training.judged": Parameter(int, least=1),
    "arms.names": Parameter(str, many=True),
    "arms.seeds": Parameter(int, least=2),
    "plain.horizon": Parameter(int, least=1),
    "aug.horizon": Parameter(int, least=1),
    "cl.horizons": Parameter(int, many=True, least=1),
    "il.share": Parameter(float, least=0),
    "il.teacher": Parameter(float, least=0),
    "clil.shares": Parameter(float, many=True, least=0),
    "test.problems": Parameter(int, least=2),
    "test.block": Parameter(int, least=1),
    "test.horizons": Parameter(int, many=True, least=1),
    "test.steps": Parameter(int, many=True, least=0),
    "adam.rates": Parameter(float, many=True, least=0),
    "adam.reference": Parameter(float, least=0),
}
_FIGURES = ("horizons", "differences", "stages")
_beside = Path(__file__)


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train every arm from every meta-seed, run the Adams, draw the three figures."""
    training = load_plugin(_beside.with_name("training.py"))
    _refuse(config, training.ARMS)
    adams = {rate: training.adam(config, pieces, rate) for rate in config["adam.rates"]}
    arms, seeds = config["arms.names"], config["arms.seeds"]
    found: dict[str, list[object]] = {arm: [] for arm in arms}
    each, total = config["training.updates"], config["training.updates"] * len(arms) * seeds
    for seed in range(seeds):  # seed by seed, so that an interrupted run has compared all arms on some
        for place, arm in enumerate(arms):
            before = (seed * len(arms) + place) * each

            def told(now: int, _: int, before: int = before, stage: str = f"{arm}, meta-seed {seed}") -> None:
                progress(stage, before + now, total)

            found[arm].append(training.trained(config, pieces, arm, seed, told))
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        figure = load_plugin(_beside.with_name(f"{name}.py"))
        measured = figure.draw(config, out, found, adams)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)


def _refuse(config: Configuration, known: tuple[str, ...]) -> None:
    """What the types of PARAMETERS do not say."""
    if unknown := [arm for arm in config["arms.names"] if arm not in known]:
        raise InputError(f"arms.names has {unknown[0]!r}; known are {', '.join(known)}: change it in config.toml")
    if "plain" not in config["arms.names"]:
        raise InputError("arms.names lacks plain, which all others are compared with: add it in config.toml")
    if lacking := [horizon for horizon in config["test.horizons"] if horizon not in config["test.steps"]]:
        raise InputError(f"test.steps lacks {lacking[0]} of test.horizons: add it in config.toml")
    if config["test.problems"] % config["test.block"] or config["test.problems"] == config["test.block"]:
        raise InputError(
            f"test.problems must be a multiple of test.block, twice or more, got {config['test.problems']} and "
            f"{config['test.block']}: change it in config.toml"
        )
    if config["adam.reference"] not in config["adam.rates"]:
        raise InputError(f"adam.rates lacks adam.reference = {config['adam.reference']}: add it in config.toml")
