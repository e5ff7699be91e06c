"""Exact analyzers of gradient descent on quadratics: loss, meta-gradient, optimum and bounds; floats, balls, SymPy."""

from __future__ import annotations

from l2o_theory.quadratic.analyzer import Quadratic as Quadratic
from l2o_theory.quadratic.sweep import sweep as sweep
from l2o_theory.quadratic.symbolic import symbolic as symbolic

__all__ = ["Quadratic", "sweep", "symbolic"]
