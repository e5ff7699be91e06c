"""Learned quasi-Newton methods in closed form: chasing a moving minimum, learning H^-1, and what blocks can express.

The setting is that of arXiv 2210.06171 (LODO); the formulas are derived here. Exact rationals in, exact rationals out.
"""

from l2o_theory.quasi_newton.fluctuations import Floor as Floor
from l2o_theory.quasi_newton.fluctuations import floor as floor
from l2o_theory.quasi_newton.stationary import ModeCovariance as ModeCovariance
from l2o_theory.quasi_newton.stationary import mode_covariance as mode_covariance
from l2o_theory.quasi_newton.tracking import TrackedQuadratic as TrackedQuadratic
from l2o_theory.quasi_newton.tracking import frozen_loss as frozen_loss

__all__ = ["Floor", "ModeCovariance", "TrackedQuadratic", "floor", "frozen_loss", "mode_covariance"]
