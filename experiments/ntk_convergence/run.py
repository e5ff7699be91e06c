"""Training convergence of learned step sizes: gains, expansions, the plateau, horizons, unseen instances, the kernel.

[paper: Figures 4a, 4b, 5a, 5b, 8, 9, 10 of arXiv 2501.18092, read from the official plots]. Each figure has its own
file beside this one; the figures of losses and gains carry gradient descent, the best constant step and Nesterov.
"""

from __future__ import annotations

from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_SIZES = {name: Parameter(int, least=1) for name in ("instances", "equations", "unknowns", "width")}
PARAMETERS = {
    "device": Parameter(str),
    **{f"program.{name}": size for name, size in _SIZES.items()},
    "program.steps": Parameter(int, least=1),
    "training.iterations": Parameter(int, least=1),
    "training.rates": Parameter(float, many=True, least=0),
    "training.expansions": Parameter(float, many=True, least=0),
    "training.kernel_every": Parameter(int, least=1),
    **{f"large.{name}": size for name, size in _SIZES.items()},
    "large.expansion": Parameter(float, least=0),
    "large.rates": Parameter(float, many=True, least=0),
    "large.horizons": Parameter(int, many=True, least=1),
    "large.iterations": Parameter(int, least=1),
    "large.curve": Parameter(int, least=1),
    "large.unseen": Parameter(int, least=1),
    "large.unseen_steps": Parameter(int, least=1),
}
_FIGURES = ("sweep", "plateau", "horizons", "unseen", "spectrum")


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw all figures; return the numbers of all."""
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        figure = load_plugin(Path(__file__).with_name(f"{name}.py"))
        measured = figure.run(config, out, pieces=pieces, progress=progress)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)
