"""Claims: what a claim, a verdict and evidence are; how claim files are found; the runner that checks them."""

from l2o_theory.claims.claim import Claim as Claim
from l2o_theory.claims.claim import Measurement as Measurement
from l2o_theory.claims.claim import Mutation as Mutation
from l2o_theory.claims.verdict import Evidence as Evidence
from l2o_theory.claims.verdict import MutationResult as MutationResult
from l2o_theory.claims.verdict import Status as Status
from l2o_theory.claims.verdict import Verdict as Verdict

__all__ = ["Claim", "Evidence", "Measurement", "Mutation", "MutationResult", "Status", "Verdict"]
