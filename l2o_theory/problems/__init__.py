"""Optimizees: losses with known constants and seeded samplers, written as pure functions of tensors."""

from l2o_theory.problems.classification import Classification as Classification
from l2o_theory.problems.dataset import Dataset as Dataset
from l2o_theory.problems.digits import load_digits as load_digits
from l2o_theory.problems.double_well import DoubleWell as DoubleWell
from l2o_theory.problems.image_files import load_cifar10 as load_cifar10
from l2o_theory.problems.image_files import load_mnist as load_mnist
from l2o_theory.problems.image_optimizees import IMAGE_NETWORKS as IMAGE_NETWORKS
from l2o_theory.problems.image_optimizees import image_optimizee as image_optimizee
from l2o_theory.problems.label_noise import with_label_noise as with_label_noise
from l2o_theory.problems.lasso import Lasso as Lasso
from l2o_theory.problems.least_squares import LeastSquares as LeastSquares
from l2o_theory.problems.logistic import LogisticRegression as LogisticRegression
from l2o_theory.problems.network import MLP as MLP
from l2o_theory.problems.network import ConvNet as ConvNet
from l2o_theory.problems.network import Network as Network
from l2o_theory.problems.normalised_conv_net import NormalisedConvNet as NormalisedConvNet
from l2o_theory.problems.problem import Batch as Batch
from l2o_theory.problems.problem import Constants as Constants
from l2o_theory.problems.problem import Params as Params
from l2o_theory.problems.problem import Problem as Problem
from l2o_theory.problems.quadratic import Quadratic as Quadratic
from l2o_theory.problems.quadratic_programs import QuadraticPrograms as QuadraticPrograms
from l2o_theory.problems.quadratic_programs import least_squares_programs as least_squares_programs
from l2o_theory.problems.random_quadratics import RandomQuadratics as RandomQuadratics
from l2o_theory.problems.rosenbrock import Rosenbrock as Rosenbrock
from l2o_theory.problems.softmax import SoftmaxRegression as SoftmaxRegression

__all__ = [
    "IMAGE_NETWORKS",
    "MLP",
    "Batch",
    "Classification",
    "Constants",
    "ConvNet",
    "Dataset",
    "DoubleWell",
    "Lasso",
    "LeastSquares",
    "LogisticRegression",
    "Network",
    "NormalisedConvNet",
    "Params",
    "Problem",
    "Quadratic",
    "QuadraticPrograms",
    "RandomQuadratics",
    "Rosenbrock",
    "SoftmaxRegression",
    "image_optimizee",
    "least_squares_programs",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "with_label_noise",
]
