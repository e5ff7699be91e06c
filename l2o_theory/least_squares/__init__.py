"""Least squares: train-by-train against train-by-validation; exact risks, limits, sampled tasks and sweeps."""

from __future__ import annotations

from l2o_theory.least_squares.conditional import Conditional as Conditional
from l2o_theory.least_squares.conditional import conditional as conditional
from l2o_theory.least_squares.limit import Limit as Limit
from l2o_theory.least_squares.limit import limit as limit
from l2o_theory.least_squares.risks import BestRisk as BestRisk
from l2o_theory.least_squares.risks import ExpectedRisks as ExpectedRisks

__all__ = ["BestRisk", "Conditional", "ExpectedRisks", "Limit", "conditional", "limit"]
