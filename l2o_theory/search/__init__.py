"""Search: looking for a counterexample, confirming it exactly, shrinking it, and replaying it from a file."""

from l2o_theory.search.confirm import Counterexample as Counterexample
from l2o_theory.search.confirm import confirm as confirm
from l2o_theory.search.hunt import Budget as Budget
from l2o_theory.search.hunt import Hunt as Hunt
from l2o_theory.search.hunt import hunt as hunt
from l2o_theory.search.instances import instances as instances

__all__ = ["Budget", "Counterexample", "Hunt", "confirm", "hunt", "instances"]
