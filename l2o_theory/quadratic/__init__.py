"""Exact analyzers of gradient descent on quadratics: loss, meta-gradient, optimum and bounds; floats, balls, SymPy."""

from __future__ import annotations

from l2o_theory.quadratic.additive_noise import AdditiveNoiseSGD as AdditiveNoiseSGD
from l2o_theory.quadratic.analyzer import Quadratic as Quadratic
from l2o_theory.quadratic.chebyshev import chebyshev_factor as chebyshev_factor
from l2o_theory.quadratic.chebyshev import chebyshev_step_sizes as chebyshev_step_sizes
from l2o_theory.quadratic.chebyshev import constant_factor as constant_factor
from l2o_theory.quadratic.gaussian_inputs import GaussianInputSGD as GaussianInputSGD
from l2o_theory.quadratic.heavy_ball import HeavyBall as HeavyBall
from l2o_theory.quadratic.schedules import ScheduledDescent as ScheduledDescent
from l2o_theory.quadratic.sweep import sweep as sweep
from l2o_theory.quadratic.symbolic import symbolic as symbolic
from l2o_theory.quadratic.tasks import Tasks as Tasks

__all__ = [
    "AdditiveNoiseSGD",
    "GaussianInputSGD",
    "HeavyBall",
    "Quadratic",
    "ScheduledDescent",
    "Tasks",
    "chebyshev_factor",
    "chebyshev_step_sizes",
    "constant_factor",
    "sweep",
    "symbolic",
]
