"""LODO, a quasi-Newton optimizer that learns while it optimizes, and its ablations."""

from l2o_theory.optimizers.lodo.lodo import LODO as LODO
from l2o_theory.optimizers.lodo.preconditioner import Preconditioner as Preconditioner

__all__ = ["LODO", "Preconditioner"]
