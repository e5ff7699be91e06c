"""LODO, a quasi-Newton optimizer that learns while it optimizes, its ablations and what it is compared with."""

from l2o_theory.optimizers.lodo.ablations import ABLATIONS as ABLATIONS
from l2o_theory.optimizers.lodo.ablations import AS_PUBLISHED as AS_PUBLISHED
from l2o_theory.optimizers.lodo.ablations import beta_sweep as beta_sweep
from l2o_theory.optimizers.lodo.ablations import block_size_sweep as block_size_sweep
from l2o_theory.optimizers.lodo.ablations import depth_sweep as depth_sweep
from l2o_theory.optimizers.lodo.baselines import BASELINES as BASELINES
from l2o_theory.optimizers.lodo.baselines import baseline as baseline
from l2o_theory.optimizers.lodo.lndo import LNDO as LNDO
from l2o_theory.optimizers.lodo.lodo import LODO as LODO
from l2o_theory.optimizers.lodo.preconditioner import Preconditioner as Preconditioner
from l2o_theory.optimizers.lodo.residuals import ResidualPreconditioner as ResidualPreconditioner
from l2o_theory.optimizers.lodo.simpler import DiagonalPreconditioner as DiagonalPreconditioner
from l2o_theory.optimizers.lodo.simpler import ScalarPreconditioner as ScalarPreconditioner
from l2o_theory.optimizers.lodo.stochastic_lbfgs import StochasticLBFGS as StochasticLBFGS

__all__ = [
    "ABLATIONS",
    "AS_PUBLISHED",
    "BASELINES",
    "LNDO",
    "LODO",
    "DiagonalPreconditioner",
    "Preconditioner",
    "ResidualPreconditioner",
    "ScalarPreconditioner",
    "StochasticLBFGS",
    "baseline",
    "beta_sweep",
    "block_size_sweep",
    "depth_sweep",
]
