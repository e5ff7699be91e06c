"""Empirical NTK of networks and of unrolled learned step sizes: dense, closed form, matrix-free; certificates."""

from __future__ import annotations

from l2o_theory.ntk.adjoint import LossGradient as LossGradient
from l2o_theory.ntk.adjoint import loss_gradient as loss_gradient
from l2o_theory.ntk.certificates import Certificate as Certificate
from l2o_theory.ntk.certificates import along_run as along_run
from l2o_theory.ntk.certificates import convergence_certificate as convergence_certificate
from l2o_theory.ntk.empirical import empirical_ntk as empirical_ntk
from l2o_theory.ntk.features import FeatureSigmaMin as FeatureSigmaMin
from l2o_theory.ntk.features import feature_sigma_min as feature_sigma_min
from l2o_theory.ntk.operator import ntk_operator as ntk_operator
from l2o_theory.ntk.residual import residual_ntk as residual_ntk
from l2o_theory.ntk.spectrum import Spectrum as Spectrum
from l2o_theory.ntk.spectrum import ntk_spectrum as ntk_spectrum
from l2o_theory.ntk.unroll import Instances as Instances
from l2o_theory.ntk.unroll import StepSizeWeights as StepSizeWeights
from l2o_theory.ntk.unroll import Trajectory as Trajectory
from l2o_theory.ntk.unroll import unroll as unroll

__all__ = [
    "Certificate",
    "FeatureSigmaMin",
    "Instances",
    "LossGradient",
    "Spectrum",
    "StepSizeWeights",
    "Trajectory",
    "along_run",
    "convergence_certificate",
    "empirical_ntk",
    "feature_sigma_min",
    "loss_gradient",
    "ntk_operator",
    "ntk_spectrum",
    "residual_ntk",
    "unroll",
]
