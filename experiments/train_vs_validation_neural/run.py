"""Train-by-train against train-by-validation with a learned neural optimizer: few samples, clean and noisy labels.

Protocol of Wang, Yuan, Wu, Ge, ICML 2021, section 5 (released program), on digits at a scale for a CPU, or on MNIST.
`arms.py` meta-trains, `meta_test.py` runs the test tasks, the files named in `_FIGURES` draw.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

PARAMETERS = {
    "data.folder": Parameter(str),
    "data.device": Parameter(str),
    "data.test": Parameter(int, least=1),
    "network.hidden": Parameter(int, many=True, least=1),
    "network.gain": Parameter(float, least=0),
    "tasks.samples": Parameter(int, least=1),
    "tasks.batch": Parameter(int, least=1),
    "tasks.noise": Parameter(float, many=True, least=0),
    "tasks.all_share": Parameter(float, least=0),
    "training.updates": Parameter(int, least=1),
    "training.tasks": Parameter(int, least=1),
    "training.rate": Parameter(float, least=0),
    "training.clip": Parameter(float, least=0),
    "training.least_windows": Parameter(int, least=1),
    "training.more_windows": Parameter(float, least=0),
    "training.least_steps": Parameter(int, least=1),
    "training.more_steps": Parameter(float, least=0),
    "arms.names": Parameter(str, many=True),
    "arms.seeds": Parameter(int, least=2),
    "test.runs": Parameter(int, least=2),
    "test.horizon": Parameter(int, least=1),
    "test.steps": Parameter(int, many=True, least=0),
    "test.noisy": Parameter(int, least=0),
    "baselines.sgd": Parameter(float, many=True, least=0),
    "baselines.adam": Parameter(float, many=True, least=0),
    "baselines.tasks": Parameter(int, least=1),
}
_FIGURES = ("curves", "differences", "prediction")
_beside = Path(__file__)


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Tune the baselines, meta-train every arm from every meta-seed, test all, draw the figures and the table."""
    setting, arms, baselines = (load_plugin(_beside.with_name(f"{n}.py")) for n in ("setting", "arms", "baselines"))
    _refuse(config, arms.ARMS)
    data = setting.load(config)
    contests = arms.contests(config)
    found: dict[tuple[str, float], list[Any]] = {contest: [] for contest in contests}
    rivals = {
        (name, place): baselines.tuned(config, pieces, data, name, *place)
        for place in sorted({(arms.is_all(arm), noise) for arm, noise in contests})
        for name in ("sgd", "adam")
    }
    each, total = config["training.updates"], config["training.updates"] * len(contests) * config["arms.seeds"]
    for seed in range(config["arms.seeds"]):  # seed by seed: an interrupted run has compared all arms on some
        for place, (arm, noise) in enumerate(contests):
            before = (seed * len(contests) + place) * each

            def told(now: int, _: int, before: int = before, stage: str = f"{arm}, noise {noise:g}, {seed}") -> None:
                progress(stage, before + now, total)

            found[arm, noise].append(arms.trained_and_tested(config, pieces, data, arm, noise, seed, told))
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        measured = load_plugin(_beside.with_name(f"{name}.py")).draw(config, out, found, rivals)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)


def _refuse(config: Configuration, known: tuple[str, ...]) -> None:
    """What the types of PARAMETERS do not say."""
    names, steps = config["arms.names"], config["test.steps"]
    if unknown := [arm for arm in names if arm not in known]:
        raise InputError(f"arms.names has {unknown[0]!r}; known are {', '.join(known)}: change it in config.toml")
    if "tbt" not in names or "tbv" not in names:
        raise InputError("arms.names lacks tbt or tbv, which are compared: add it in config.toml")
    if config["test.horizon"] not in steps or list(steps) != sorted(set(steps)):
        raise InputError(
            f"test.steps must rise and hold test.horizon = {config['test.horizon']}: change it in config.toml"
        )
    if config["test.noisy"] > 1 or not 0 < config["tasks.all_share"] < 1:
        raise InputError("test.noisy must be 0 or 1, tasks.all_share between 0 and 1: change it in config.toml")
