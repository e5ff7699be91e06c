"""Truncated meta-gradients, estimated by automatic differentiation over what is exact: figures of the theory.

Setting and closed forms derived here; the learned optimizer and its task are those of arXiv 2010.09089. Each figure
has its own file beside this one.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_SETTINGS = {
    f"{name}.{part}": parameter
    for name in ("convergent", "overshoot", "divergent")
    for part, parameter in {
        "eigenvalues": Parameter(Fraction, many=True, least=0),
        "start": Parameter(Fraction, many=True),
        "step_size": Parameter(Fraction, least=0),
        "horizon": Parameter(int, least=2),
    }.items()
}
PARAMETERS = {
    **_SETTINGS,
    "divergent.longer_horizon": Parameter(int, least=2),
    "windows.stride": Parameter(int, least=1),
    "double_well.angle": Parameter(Fraction),
    "double_well.horizon": Parameter(int, least=1),
    "tuned_step.eigenvalues": Parameter(Fraction, many=True, least=0),
    "tuned_step.slow_starts": Parameter(Fraction, many=True),
    "tuned_step.horizons": Parameter(int, many=True, least=1),
    "tuned_step.lengths": Parameter(int, many=True, least=1),
    "variance.curvatures": Parameter(Fraction, many=True, least=0),
    "variance.step_size": Parameter(Fraction, least=0),
    "variance.horizons": Parameter(int, many=True, least=1),
    "variance.window": Parameter(int, least=1),
    "variance.windowed_horizons": Parameter(int, many=True, least=1),
    "variance.draws": Parameter(int, least=100),
    "variance.longest": Parameter(int, least=1),
    "learned.horizon": Parameter(int, least=1),
    "learned.windows": Parameter(int, many=True, least=1),
    "learned.starts": Parameter(int, least=2),
    "learned.batch": Parameter(int, least=1),
    "learned.episodes": Parameter(int, least=1),
    "learned.training_window": Parameter(int, least=1),
    "learned.rate": Parameter(float, least=0),
}
_FIGURES = ("windows", "tuned_step", "variance", "learned")


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
