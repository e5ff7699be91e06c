"""Figures: one style, the numbers behind each, and the experiments that draw them from plug-in folders."""

from __future__ import annotations

from l2o_theory.figures.experiment import ExperimentResult as ExperimentResult
from l2o_theory.figures.experiment import list_experiments as list_experiments
from l2o_theory.figures.experiment import reproduce as reproduce

__all__ = ["ExperimentResult", "list_experiments", "reproduce"]
