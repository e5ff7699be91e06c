"""A user's optimizer against what theory and arithmetic predict."""

from l2o_theory.audit.gradient import examine_gradient as examine_gradient
from l2o_theory.audit.gradient_report import Finding as Finding
from l2o_theory.audit.gradient_report import GradientReport as GradientReport
from l2o_theory.audit.optimizees import Optimizee as Optimizee
from l2o_theory.audit.optimizees import load_optimizee as load_optimizee
from l2o_theory.audit.subject import Subject as Subject
from l2o_theory.audit.subject import load_subject as load_subject

__all__ = [
    "Finding",
    "GradientReport",
    "Optimizee",
    "Subject",
    "examine_gradient",
    "load_optimizee",
    "load_subject",
]
