"""Update rules, hand-written and learned, as pure functions of iterate, gradient, state and meta-parameters; LODO."""

from l2o_theory.optimizers.adam import Adam as Adam
from l2o_theory.optimizers.adam import AdamW as AdamW
from l2o_theory.optimizers.adam import RMSprop as RMSprop
from l2o_theory.optimizers.gradient_descent import GradientDescent as GradientDescent
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule as LSTMRule
from l2o_theory.optimizers.lista import ListaCpss as ListaCpss
from l2o_theory.optimizers.lodo import LODO as LODO
from l2o_theory.optimizers.lodo import Preconditioner as Preconditioner
from l2o_theory.optimizers.lstm import LSTMCell as LSTMCell
from l2o_theory.optimizers.math_l2o import MathL2O as MathL2O
from l2o_theory.optimizers.momentum import HeavyBall as HeavyBall
from l2o_theory.optimizers.momentum import Nesterov as Nesterov
from l2o_theory.optimizers.proximal import FISTA as FISTA
from l2o_theory.optimizers.proximal import ISTA as ISTA
from l2o_theory.optimizers.rule import State as State
from l2o_theory.optimizers.rule import UpdateRule as UpdateRule
from l2o_theory.optimizers.step_size_network import StepSizeNetwork as StepSizeNetwork
from l2o_theory.optimizers.torch_optimizer import TorchOptimizer as TorchOptimizer
from l2o_theory.optimizers.wrappers import Coordinatewise as Coordinatewise
from l2o_theory.optimizers.wrappers import Fixed as Fixed
from l2o_theory.optimizers.wrappers import Reparametrised as Reparametrised
from l2o_theory.optimizers.wrappers import Scheduled as Scheduled

__all__ = [
    "FISTA",
    "ISTA",
    "LODO",
    "Adam",
    "AdamW",
    "Coordinatewise",
    "Fixed",
    "GradientDescent",
    "HeavyBall",
    "LSTMCell",
    "LSTMRule",
    "ListaCpss",
    "MathL2O",
    "Nesterov",
    "Preconditioner",
    "RMSprop",
    "Reparametrised",
    "Scheduled",
    "State",
    "StepSizeNetwork",
    "TorchOptimizer",
    "UpdateRule",
]
