"""Train-by-train against train-by-validation: measured with theory beneath, as a phase diagram, and with SGD.

[paper: section 5, Figures 3 and 4, Appendix D]. Each figure has its own file beside this one.
"""

from __future__ import annotations

from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

PARAMETERS = {
    "task.dimension": Parameter(int, least=2),
    "task.steps": Parameter(int, least=1),
    "task.tune": Parameter(int, least=1),
    "task.test": Parameter(int, least=2),
    "noise.samples": Parameter(int, least=2),
    "noise.values": Parameter(float, many=True, least=0),
    "samples.noise": Parameter(float, least=0),
    "samples.values": Parameter(int, many=True, least=2),
    "phase_diagram.ratio": Parameter(float, many=True, least=0),
    "phase_diagram.noise": Parameter(float, many=True, least=0),
    "phase_diagram.points": Parameter(int, least=2),
    "sgd.dimension": Parameter(int, least=2),
    "sgd.samples": Parameter(int, least=2),
    "sgd.epochs": Parameter(int, least=1),
    "sgd.tune": Parameter(int, least=1),
    "sgd.test": Parameter(int, least=2),
    "sgd.values": Parameter(float, many=True, least=0),
    "sgd.scaled_grid": Parameter(float, many=True, least=0),
}
_FIGURES = ("sweeps", "phase_diagram", "sgd")


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw the four figures; return the numbers of all."""
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        figure = load_plugin(Path(__file__).with_name(f"{name}.py"))
        measured = figure.run(config, out, pieces=pieces, progress=progress)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)
