"""Empirical NTK of networks and of unrolled learned step sizes: dense, closed form, matrix-free; certificates."""

from __future__ import annotations

from l2o_theory.ntk.adjoint import LossGradient as LossGradient
from l2o_theory.ntk.adjoint import loss_gradient as loss_gradient
from l2o_theory.ntk.unroll import Instances as Instances
from l2o_theory.ntk.unroll import StepSizeNetwork as StepSizeNetwork
from l2o_theory.ntk.unroll import Trajectory as Trajectory
from l2o_theory.ntk.unroll import unroll as unroll

__all__ = ["Instances", "LossGradient", "StepSizeNetwork", "Trajectory", "loss_gradient", "unroll"]
