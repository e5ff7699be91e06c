"""Optimizees: losses with known constants and seeded samplers, written as pure functions of tensors."""

from l2o_theory.problems.classification import Classification as Classification
from l2o_theory.problems.dataset import Dataset as Dataset
from l2o_theory.problems.digits import load_digits as load_digits
from l2o_theory.problems.network import MLP as MLP
from l2o_theory.problems.network import ConvNet as ConvNet
from l2o_theory.problems.network import Network as Network
from l2o_theory.problems.problem import Batch as Batch
from l2o_theory.problems.problem import Constants as Constants
from l2o_theory.problems.problem import Params as Params
from l2o_theory.problems.problem import Problem as Problem
from l2o_theory.problems.quadratic import Quadratic as Quadratic

__all__ = [
    "MLP",
    "Batch",
    "Classification",
    "Constants",
    "ConvNet",
    "Dataset",
    "Network",
    "Params",
    "Problem",
    "Quadratic",
    "load_digits",
]
