"""Update rules, hand-written and learned, as pure functions of iterate, gradient, state and meta-parameters."""

from l2o_theory.optimizers.rule import State as State
from l2o_theory.optimizers.rule import UpdateRule as UpdateRule

__all__ = ["State", "UpdateRule"]
