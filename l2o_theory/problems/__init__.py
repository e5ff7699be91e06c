"""Optimizees: losses with known constants and seeded samplers, written as pure functions of tensors."""

from l2o_theory.problems.problem import Batch as Batch
from l2o_theory.problems.problem import Constants as Constants
from l2o_theory.problems.problem import Params as Params
from l2o_theory.problems.problem import Problem as Problem

__all__ = ["Batch", "Constants", "Params", "Problem"]
