"""LODO against its baselines and against its theory: the bowl, ablations, Rosenbrock, digits, an image network.

[paper: the bowl, Rosenbrock and MNIST experiments]. Each figure has its own file beside this one.
"""

from __future__ import annotations

from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

PARAMETERS = {
    "figures.names": Parameter(str, many=True),
    "bowl.dimension": Parameter(int, least=2),
    "bowl.runs": Parameter(int, least=2),
    "bowl.steps": Parameter(int, least=100),
    "bowl.timed_steps": Parameter(int, least=1),
    "tuning.draws": Parameter(int, least=1),
    "tuning.sd": Parameter(float, many=True, least=0),
    "tuning.steps": Parameter(int, many=True, least=10),
    "earlier.momentum": Parameter(float, many=True, least=0),
    "earlier.rmsprop": Parameter(float, many=True, least=0),
    "earlier.adam": Parameter(float, many=True, least=0),
    "lodo.triple": Parameter(float, many=True, least=0),
    "lodo.watch": Parameter(int, least=1),
    "lbfgs.eta0": Parameter(float, least=0),
    "lbfgs.tau": Parameter(float, least=1),
    "lbfgs.steps": Parameter(int, least=100),
    "small.eigenvalues": Parameter(float, many=True, least=0),
    "small.betas": Parameter(float, many=True, least=0),
    "small.alpha0": Parameter(float, least=0),
    "small.depth": Parameter(int, least=1),
    "small.meta_lr": Parameter(float, least=0),
    "small.steps": Parameter(int, least=100),
    "ablations.runs": Parameter(int, least=2),
    "ablations.steps": Parameter(int, least=100),
    "ablations.depths": Parameter(int, many=True, least=1),
    "ablations.block_sizes": Parameter(int, many=True, least=2),
    "ablations.betas": Parameter(float, many=True, least=0),
    "ablations.meta_sgd": Parameter(float, least=0),
    "ablations.diagonal": Parameter(float, many=True, least=0),
    "ablations.global": Parameter(float, many=True, least=0),
    "rosenbrock.runs": Parameter(int, least=2),
    "rosenbrock.steps": Parameter(int, least=10),
    "digits.runs": Parameter(int, least=1),
    "digits.steps": Parameter(int, least=10),
    "digits.adaptive_scales": Parameter(float, many=True, least=0),
    "digits.plain_scales": Parameter(float, many=True, least=0),
    "autoregression.device": Parameter(str),
    "autoregression.images": Parameter(str),
    "autoregression.triple": Parameter(float, many=True, least=0),
    "autoregression.batch": Parameter(int, least=1),
    "autoregression.steps": Parameter(int, least=4),
}
_FIGURES = ("bowl", "ablations", "rosenbrock", "digits", "autoregression")


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw the figures of the configuration; return the numbers of all."""
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    chosen = config["figures.names"]
    if unknown := [name for name in chosen if name not in _FIGURES]:
        raise InputError(f"figures.names has {unknown[0]!r}; known are {', '.join(_FIGURES)}: change it in config.toml")
    if "autoregression" in chosen:  # refused before the hour of work that comes first
        load_plugin(Path(__file__).with_name("autoregression.py")).device(config["autoregression.device"])
    for name in chosen:
        figure = load_plugin(Path(__file__).with_name(f"{name}.py"))
        measured = figure.run(config, out, pieces=pieces, progress=progress)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)
