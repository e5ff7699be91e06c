"""Names of update rules, for recipes and messages: the learned ones, and those written by hand."""

from __future__ import annotations

from typing import Any

from l2o_theory.optimizers.adam import Adam, AdamW, RMSprop
from l2o_theory.optimizers.gradient_descent import GradientDescent
from l2o_theory.optimizers.learned.l2o_scale import L2OScale
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule
from l2o_theory.optimizers.learned.mlp_optimizer import MLPOptimizer
from l2o_theory.optimizers.learned.rnnprop import RNNprop
from l2o_theory.optimizers.math_l2o import MathL2O
from l2o_theory.optimizers.momentum import HeavyBall, Nesterov

LEARNED: dict[str, Any] = {
    "l2o_dm": LSTMRule,
    "rnnprop": RNNprop,
    "l2o_scale": L2OScale,
    "mlp": MLPOptimizer,
    "math_l2o": MathL2O,
}
"""Rules whose `meta(generator)` is the untrained weights of a network; the class takes the options."""

HAND_WRITTEN: dict[str, Any] = {
    "sgd": GradientDescent,
    "momentum": HeavyBall,
    "nesterov": Nesterov,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
"""Rules with the iterates of torch.optim; `meta(step_size, ...)` takes the numbers."""
