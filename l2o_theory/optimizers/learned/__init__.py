"""Learned optimizers: update rules whose meta-parameters are the weights of a network."""

from l2o_theory.optimizers.learned.mlp_optimizer import MLPOptimizer as MLPOptimizer

__all__ = ["MLPOptimizer"]
