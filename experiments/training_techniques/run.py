"""How to train a learned optimizer: plain, longer horizon, curriculum, imitation, both; on quadratics, digits, MNIST.

Techniques, schedules and optimizees of arXiv 2010.09089 (released code), at a scale for a CPU; MNIST, whose files the
reader has to bring, is for a GPU. `arms.py` says what the arms are, `optimizees.py` what they are trained and tested
on, `training.py` does both, and the other files draw.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_TASKS = ("quadratics", "digits", "mnist")
_OF_A_TASK = {
    "arms": Parameter(str, many=True),
    "seeds": Parameter(int, least=2),
    "updates": Parameter(int, least=1),
    "problems": Parameter(int, least=1),
    "judged": Parameter(int, least=1),
    "runs": Parameter(int, least=2),
    "transfer_runs": Parameter(int, least=2),
    "horizons": Parameter(int, many=True, least=1),
    "steps": Parameter(int, many=True, least=0),
}
PARAMETERS = {
    "device": Parameter(str),
    "tasks.names": Parameter(str, many=True),
    "training.window": Parameter(int, least=1),
    "training.period": Parameter(int, least=1),
    "scale.share": Parameter(float, least=0),
    "scale.period": Parameter(int, least=1),
    "scale.judged": Parameter(int, least=1),
    "scale.clip": Parameter(float, least=0),
    **{f"{optimizer}.rate": Parameter(float, least=0) for optimizer in ("lstm", "rnnprop", "scale")},
    **{f"{optimizer}.shares": Parameter(float, many=True, least=0) for optimizer in ("lstm", "rnnprop", "scale")},
    "plain.horizon": Parameter(int, least=1),
    "aug.horizon": Parameter(int, least=1),
    "cl.horizons": Parameter(int, many=True, least=1),
    "il.share": Parameter(float, least=0),
    "il.teacher": Parameter(float, least=0),
    "rivals.rates": Parameter(float, many=True, least=0),
    "rivals.refine": Parameter(int, least=0),
    **{f"{task}.{name}": parameter for task in _TASKS for name, parameter in _OF_A_TASK.items()},
    "quadratics.block": Parameter(int, least=1),
    "quadratics.dimension": Parameter(int, least=1),
    "quadratics.start_std": Parameter(float, least=0),
    "digits.batch": Parameter(int, least=1),
    "digits.images": Parameter(int, least=1),
    "mnist.batch": Parameter(int, least=1),
    "mnist.folder": Parameter(str),
    "mnist.cifar": Parameter(str),
    "adam.rates": Parameter(float, many=True, least=0),
    "adam.reference": Parameter(float, least=0),
}
_QUADRATICS = ("horizons", "test_sets", "stages")  # figures of the quadratics alone
_EACH = ("differences", "transfer")  # of every task
_beside = Path(__file__)


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train every arm on every task from every meta-seed, tune the rivals, draw."""
    training = load_plugin(_beside.with_name("training.py"))
    _refuse(config)
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for task in config["tasks.names"]:
        found = _trained(config, pieces, progress, training, task)
        rivals = {
            name: {
                horizon: training.rival(config, pieces, task, name, horizon) for horizon in config[f"{task}.horizons"]
            }
            for name in training.RIVALS
        }
        results = {"task": task, "found": found, "rivals": rivals, "adams": {}}
        if task == "quadratics":
            results["adams"] = {rate: training.adam(config, pieces, rate) for rate in config["adam.rates"]}
        for name in (*_EACH, *_QUADRATICS) if task == "quadratics" else _EACH:
            figure = load_plugin(_beside.with_name(f"{name}.py"))
            drawn = figure.draw(config, out, results)
            numbers |= drawn.numbers
            files += drawn.files
    return Measurements(numbers, files)


def _trained(
    config: Configuration, pieces: Pieces, progress: Progress, training: Any, task: str
) -> dict[str, list[Any]]:
    """Arm -> by meta-seed what `training.trained` returns, `tests` by optimizee, `losses` and `single` of the first."""
    arms, seeds = config[f"{task}.arms"], config[f"{task}.seeds"]
    found: dict[str, list[Any]] = {arm: [] for arm in arms}
    each = config[f"{task}.updates"]
    total = each * len(arms) * seeds
    for seed in range(seeds):  # seed by seed, so that an interrupted run has compared all arms on some
        for place, arm in enumerate(arms):
            before, stage = (seed * len(arms) + place) * each, f"{task}: {arm}, meta-seed {seed}"

            def told(now: int, _: int, before: int = before, stage: str = stage) -> None:
                progress(stage, before + now, total)

            one = training.trained(config, pieces, task, arm, seed, told)
            tests = training.tested(config, pieces, task, arm, seed, one["weights"])
            found[arm].append({**one, "tests": tests, **next(iter(tests.values()))})
    return found


def _refuse(config: Configuration) -> None:
    """What the types of PARAMETERS do not say."""
    known = load_plugin(_beside.with_name("arms.py")).ARMS
    load_plugin(_beside.with_name("optimizees.py")).device(config)
    if unknown := [task for task in config["tasks.names"] if task not in _TASKS]:
        raise InputError(f"tasks.names has {unknown[0]!r}; known are {', '.join(_TASKS)}: change it in config.toml")
    for task in config["tasks.names"]:
        if unknown := [arm for arm in config[f"{task}.arms"] if arm not in known]:
            raise InputError(f"{task}.arms has {unknown[0]!r}; known are {', '.join(known)}: change it in config.toml")
        if "plain" not in config[f"{task}.arms"]:
            raise InputError(f"{task}.arms lacks plain, which all others are compared with: add it in config.toml")
        steps = config[f"{task}.steps"]
        if lacking := [horizon for horizon in config[f"{task}.horizons"] if horizon not in steps]:
            raise InputError(f"{task}.steps lacks {lacking[0]} of {task}.horizons: add it in config.toml")
    runs, block = config["quadratics.runs"], config["quadratics.block"]
    if runs % block or runs == block:
        raise InputError(
            f"quadratics.runs must be a multiple of quadratics.block, twice or more, got {runs} and {block}: change it "
            "in config.toml"
        )
    if config["adam.reference"] not in config["adam.rates"]:
        raise InputError(f"adam.rates lacks adam.reference = {config['adam.reference']}: add it in config.toml")
