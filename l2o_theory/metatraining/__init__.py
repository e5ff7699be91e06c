"""Training of update rules: loops, what they record, and how they continue after an interruption."""

from l2o_theory.metatraining.curriculum import Curriculum as Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths as RandomLengths
from l2o_theory.metatraining.evaluation import run_rule as run_rule
from l2o_theory.metatraining.imitation import Imitation as Imitation
from l2o_theory.metatraining.imitation import Teacher as Teacher
from l2o_theory.metatraining.meta_loss import MetaLoss as MetaLoss
from l2o_theory.metatraining.meta_training import MetaTrained as MetaTrained
from l2o_theory.metatraining.meta_training import meta_train as meta_train
from l2o_theory.metatraining.recipe import Recipe as Recipe
from l2o_theory.metatraining.step_size_training import train_step_size_network as train_step_size_network
from l2o_theory.metatraining.tasks import Draw as Draw
from l2o_theory.metatraining.tasks import MinibatchTasks as MinibatchTasks
from l2o_theory.metatraining.tasks import QuadraticTasks as QuadraticTasks
from l2o_theory.metatraining.tasks import RandomScaling as RandomScaling
from l2o_theory.metatraining.tasks import TaskFamily as TaskFamily
from l2o_theory.metatraining.training_record import TrainingPlan as TrainingPlan

__all__ = [
    "Curriculum",
    "Draw",
    "Imitation",
    "MetaLoss",
    "MetaTrained",
    "MinibatchTasks",
    "QuadraticTasks",
    "RandomLengths",
    "RandomScaling",
    "Recipe",
    "TaskFamily",
    "Teacher",
    "TrainingPlan",
    "meta_train",
    "run_rule",
    "train_step_size_network",
]
