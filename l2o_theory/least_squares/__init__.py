"""Least squares: train-by-train against train-by-validation; exact risks, limits, sampled tasks and sweeps."""

from __future__ import annotations

from l2o_theory.least_squares.conditional import Conditional as Conditional
from l2o_theory.least_squares.conditional import conditional as conditional
from l2o_theory.least_squares.limit import Limit as Limit
from l2o_theory.least_squares.limit import limit as limit
from l2o_theory.least_squares.objectives import MetaObjective as MetaObjective
from l2o_theory.least_squares.objectives import best_step_size as best_step_size
from l2o_theory.least_squares.objectives import minimising_step_size as minimising_step_size
from l2o_theory.least_squares.objectives import train_by_train as train_by_train
from l2o_theory.least_squares.objectives import train_by_validation as train_by_validation
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
from l2o_theory.least_squares.sweep import Sweep as Sweep
from l2o_theory.least_squares.sweep import sweep as sweep
from l2o_theory.least_squares.tasks import Task as Task
from l2o_theory.least_squares.tasks import TaskDistribution as TaskDistribution
from l2o_theory.least_squares.trajectories import Trajectory as Trajectory
from l2o_theory.least_squares.trajectories import gradient_descent as gradient_descent
from l2o_theory.least_squares.trajectories import stochastic_gradient_descent as stochastic_gradient_descent

__all__ = [
    "SGD",
    "BestRisk",
    "Conditional",
    "Contest",
    "ExpectedRisks",
    "Limit",
    "MetaObjective",
    "SGDMoments",
    "Sweep",
    "Task",
    "TaskDistribution",
    "Trajectory",
    "averaged_sgd_moments",
    "best_step_size",
    "conditional",
    "contest",
    "crossing",
    "gradient_descent",
    "limit",
    "minimising_step_size",
    "phase_diagram",
    "sgd_limit",
    "sgd_moments",
    "sgd_recursion",
    "stochastic_gradient_descent",
    "sweep",
    "train_by_train",
    "train_by_validation",
]
