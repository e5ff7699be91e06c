"""Step-size tuning on quadratics: meta-descent, the best step size against the horizon, and where autodiff breaks.

[paper: section 5, Figures 1 and 2, Corollary 1]. Each figure has its own file beside this one.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration, Parameter
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

PARAMETERS = {
    "problem.dimension": Parameter(int, least=2),
    "problem.draws": Parameter(int, least=1),
    "meta_descent.horizon": Parameter(int, least=1),
    "meta_descent.larger_horizon": Parameter(int, least=1),
    "meta_descent.start": Parameter(float, least=0),
    "meta_descent.larger_starts": Parameter(float, many=True, least=0),
    "meta_descent.rate_divisor": Parameter(int, least=1),
    "meta_descent.meta_steps": Parameter(int, least=1),
    "optimal_step_size.horizons": Parameter(int, many=True, least=1),
    "breakdown.eigenvalues": Parameter(Fraction, many=True),
    "breakdown.coefficients": Parameter(Fraction, many=True),
    "breakdown.step_sizes": Parameter(Fraction, many=True),
    "breakdown.horizons": Parameter(int, many=True, least=1),
    "breakdown.search_limit": Parameter(int, least=1),
}
_FIGURES = ("meta_descent", "optimal_step_size", "breakdown")


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw the three figures; return the numbers of all."""
    numbers: dict[str, float] = {}
    files: tuple[Path, ...] = ()
    for name in _FIGURES:
        figure = load_plugin(Path(__file__).with_name(f"{name}.py"))
        measured = figure.run(config, out, pieces=pieces, progress=progress)
        numbers |= measured.numbers
        files += measured.files
    return Measurements(numbers, files)
