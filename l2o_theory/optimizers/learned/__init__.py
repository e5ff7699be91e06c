"""Learned optimizers: update rules whose meta-parameters are the weights of a network."""

from l2o_theory.optimizers.learned.l2o_scale import L2OScale as L2OScale
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule as LSTMRule
from l2o_theory.optimizers.learned.mlp_optimizer import MLPOptimizer as MLPOptimizer
from l2o_theory.optimizers.learned.rnnprop import RNNprop as RNNprop
from l2o_theory.optimizers.learned.weights_file import load_weights as load_weights
from l2o_theory.optimizers.learned.weights_file import save_weights as save_weights

__all__ = ["L2OScale", "LSTMRule", "MLPOptimizer", "RNNprop", "load_weights", "save_weights"]
