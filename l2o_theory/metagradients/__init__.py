"""Derivatives of what an optimizer achieves in its own parameters: exact, truncated, first-order, sampled.

Every estimator is called the same way, estimator(rule, problem, meta, steps, start=..., objective=..., batches=...),
and returns a MetaGradient that says what it estimates. All but `implicit`, `Sweep` and `EvolutionEpisode` run inside
torch.func.vmap, over tasks or seeds. With N steps, windows of K, P entries of phi, n samples:

    reverse          the derivative                                memory N
    checkpointed     the derivative                                memory sqrt(N), a second unroll
    forward          the derivative                                memory P, time P
    Sweep            the derivative, mean over tasks               memory sqrt(N), steps compiled if asked
    truncated        cut every K steps (iterate and state)         biased
    detached_params  cut every K steps (iterate alone)             biased
    first_order      inner gradients as constants                  biased, no Hessian
    Episode          truncated, phi may change in between          memory K
    log_renormalised the derivative of log f(x_N), homogeneous     any horizon, memory N
    implicit         the derivative in the limit N -> infinity     memory 1, refuses where there is no limit
    es               gradient of the smoothed objective            noisy, memory n
    antithetic_es    the same in pairs                             less noisy, memory n
    pes              the same, perturbed window by window          noisy, memory n
    EvolutionEpisode both, phi may change in between               noisy, memory n

Which to use: `reverse`; where memory is short, `checkpointed`, or `forward` for a handful of entries of phi; for many
tasks again and again, one `Sweep`, compiled if there is a C++ compiler; to train weights window by window, `Episode`;
at a horizon where f leaves the float range, `log_renormalised`. There is no reversible estimator: checkpoints need no
assumption on the rule. `l2o-theory doctor gradient` says which of them to believe for a rule of yours.
"""

from l2o_theory.metagradients.checkpointing import checkpointed as checkpointed
from l2o_theory.metagradients.estimate import Diagnostics as Diagnostics
from l2o_theory.metagradients.estimate import MetaGradient as MetaGradient
from l2o_theory.metagradients.evolution import antithetic_es as antithetic_es
from l2o_theory.metagradients.evolution import es as es
from l2o_theory.metagradients.evolution import pes as pes
from l2o_theory.metagradients.forward import forward as forward
from l2o_theory.metagradients.gaussian_moments import Moments as Moments
from l2o_theory.metagradients.gaussian_moments import evolution_moments as evolution_moments
from l2o_theory.metagradients.implicit import implicit as implicit
from l2o_theory.metagradients.objective import Batches as Batches
from l2o_theory.metagradients.objective import MetaObjective as MetaObjective
from l2o_theory.metagradients.online import Carry as Carry
from l2o_theory.metagradients.online import Episode as Episode
from l2o_theory.metagradients.online_evolution import EvolutionEpisode as EvolutionEpisode
from l2o_theory.metagradients.online_evolution import Population as Population
from l2o_theory.metagradients.renormalised import log_renormalised as log_renormalised
from l2o_theory.metagradients.reverse import detached_params as detached_params
from l2o_theory.metagradients.reverse import first_order as first_order
from l2o_theory.metagradients.reverse import reverse as reverse
from l2o_theory.metagradients.reverse import truncated as truncated
from l2o_theory.metagradients.sweep import Sweep as Sweep
from l2o_theory.metagradients.trajectory import Trajectory as Trajectory
from l2o_theory.metagradients.trajectory import unroll as unroll

__all__ = [
    "Batches",
    "Carry",
    "Diagnostics",
    "Episode",
    "EvolutionEpisode",
    "MetaGradient",
    "MetaObjective",
    "Moments",
    "Population",
    "Sweep",
    "Trajectory",
    "antithetic_es",
    "checkpointed",
    "detached_params",
    "es",
    "evolution_moments",
    "first_order",
    "forward",
    "implicit",
    "log_renormalised",
    "pes",
    "reverse",
    "truncated",
    "unroll",
]
