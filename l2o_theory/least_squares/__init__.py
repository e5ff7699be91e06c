"""Least squares: train-by-train against train-by-validation; exact risks, limits, sampled tasks and sweeps."""

from __future__ import annotations

from l2o_theory.least_squares.conditional import Conditional as Conditional
from l2o_theory.least_squares.conditional import conditional as conditional
from l2o_theory.least_squares.limit import Limit as Limit
from l2o_theory.least_squares.limit import limit as limit
from l2o_theory.least_squares.phase_diagram import Contest as Contest
from l2o_theory.least_squares.phase_diagram import contest as contest
from l2o_theory.least_squares.phase_diagram import crossing as crossing
from l2o_theory.least_squares.phase_diagram import phase_diagram as phase_diagram
from l2o_theory.least_squares.risks import BestRisk as BestRisk
from l2o_theory.least_squares.risks import ExpectedRisks as ExpectedRisks
from l2o_theory.least_squares.sgd import SGD as SGD
from l2o_theory.least_squares.sgd import sgd_limit as sgd_limit
from l2o_theory.least_squares.sgd import sgd_recursion as sgd_recursion
from l2o_theory.least_squares.sgd_moments import SGDMoments as SGDMoments
from l2o_theory.least_squares.sgd_moments import averaged_sgd_moments as averaged_sgd_moments
from l2o_theory.least_squares.sgd_moments import sgd_moments as sgd_moments

__all__ = [
    "SGD",
    "BestRisk",
    "Conditional",
    "Contest",
    "ExpectedRisks",
    "Limit",
    "SGDMoments",
    "averaged_sgd_moments",
    "conditional",
    "contest",
    "crossing",
    "limit",
    "phase_diagram",
    "sgd_limit",
    "sgd_moments",
    "sgd_recursion",
]
