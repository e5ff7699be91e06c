"""Exact analyzers of gradient descent on quadratics: loss, meta-gradient, optimum and bounds; floats, balls, SymPy."""

from __future__ import annotations

from l2o_theory.quadratic.additive_noise import AdditiveNoiseSGD as AdditiveNoiseSGD
from l2o_theory.quadratic.analyzer import Quadratic as Quadratic
from l2o_theory.quadratic.chebyshev import chebyshev_factor as chebyshev_factor
from l2o_theory.quadratic.chebyshev import chebyshev_step_sizes as chebyshev_step_sizes
from l2o_theory.quadratic.chebyshev import constant_factor as constant_factor
from l2o_theory.quadratic.double_well import DoubleWellDescent as DoubleWellDescent
from l2o_theory.quadratic.gaussian_inputs import GaussianInputSGD as GaussianInputSGD
from l2o_theory.quadratic.heavy_ball import HeavyBall as HeavyBall
from l2o_theory.quadratic.linear_state import last_steps_bias as last_steps_bias
from l2o_theory.quadratic.linear_state import last_steps_gradient as last_steps_gradient
from l2o_theory.quadratic.linear_state import truncated_gradient_bound as truncated_gradient_bound
from l2o_theory.quadratic.linear_state import truncation_bias_bound as truncation_bias_bound
from l2o_theory.quadratic.random_curvature import RandomCurvature as RandomCurvature
from l2o_theory.quadratic.schedules import ScheduledDescent as ScheduledDescent
from l2o_theory.quadratic.sweep import sweep as sweep
from l2o_theory.quadratic.symbolic import symbolic as symbolic
from l2o_theory.quadratic.tasks import Tasks as Tasks
from l2o_theory.quadratic.truncation import TruncatedDescent as TruncatedDescent
from l2o_theory.quadratic.windows import exploding_ratio as exploding_ratio
from l2o_theory.quadratic.windows import frozen_relative_bias as frozen_relative_bias
from l2o_theory.quadratic.windows import kept_steps as kept_steps
from l2o_theory.quadratic.windows import limiting_relative_bias as limiting_relative_bias
from l2o_theory.quadratic.windows import ramp_sum as ramp_sum

__all__ = [
    "AdditiveNoiseSGD",
    "DoubleWellDescent",
    "GaussianInputSGD",
    "HeavyBall",
    "Quadratic",
    "RandomCurvature",
    "ScheduledDescent",
    "Tasks",
    "TruncatedDescent",
    "chebyshev_factor",
    "chebyshev_step_sizes",
    "constant_factor",
    "exploding_ratio",
    "frozen_relative_bias",
    "kept_steps",
    "last_steps_bias",
    "last_steps_gradient",
    "limiting_relative_bias",
    "ramp_sum",
    "sweep",
    "symbolic",
    "truncated_gradient_bound",
    "truncation_bias_bound",
]
