"""Training of update rules: loops, what they record, and how they continue after an interruption."""

from l2o_theory.metatraining.comparison import Difference as Difference
from l2o_theory.metatraining.comparison import Interval as Interval
from l2o_theory.metatraining.comparison import level as level
from l2o_theory.metatraining.comparison import paired_difference as paired_difference
from l2o_theory.metatraining.comparison import student_interval as student_interval
from l2o_theory.metatraining.curriculum import Curriculum as Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths as RandomLengths
from l2o_theory.metatraining.evaluation import run_rule as run_rule
from l2o_theory.metatraining.evolution import Evolution as Evolution
from l2o_theory.metatraining.imitation import Imitation as Imitation
from l2o_theory.metatraining.imitation import Teacher as Teacher
from l2o_theory.metatraining.meta_loss import MetaLoss as MetaLoss
from l2o_theory.metatraining.meta_training import MetaTrained as MetaTrained
from l2o_theory.metatraining.meta_training import meta_train as meta_train
from l2o_theory.metatraining.observer import Judgement as Judgement
from l2o_theory.metatraining.observer import MetaUpdate as MetaUpdate
from l2o_theory.metatraining.observer import Observer as Observer
from l2o_theory.metatraining.recipe import Recipe as Recipe
from l2o_theory.metatraining.recipe_file import Setup as Setup
from l2o_theory.metatraining.recipe_file import load_recipe as load_recipe
from l2o_theory.metatraining.step_size_training import train_step_size_network as train_step_size_network
from l2o_theory.metatraining.subset_tasks import SubsetTasks as SubsetTasks
from l2o_theory.metatraining.tasks import Draw as Draw
from l2o_theory.metatraining.tasks import MinibatchTasks as MinibatchTasks
from l2o_theory.metatraining.tasks import QuadraticTasks as QuadraticTasks
from l2o_theory.metatraining.tasks import RandomScaling as RandomScaling
from l2o_theory.metatraining.tasks import TaskFamily as TaskFamily
from l2o_theory.metatraining.training_record import TrainingPlan as TrainingPlan
from l2o_theory.metatraining.tuning import Tuned as Tuned
from l2o_theory.metatraining.tuning import tune as tune

__all__ = [
    "Curriculum",
    "Difference",
    "Draw",
    "Evolution",
    "Imitation",
    "Interval",
    "Judgement",
    "MetaLoss",
    "MetaTrained",
    "MetaUpdate",
    "MinibatchTasks",
    "Observer",
    "QuadraticTasks",
    "RandomLengths",
    "RandomScaling",
    "Recipe",
    "Setup",
    "SubsetTasks",
    "TaskFamily",
    "Teacher",
    "TrainingPlan",
    "Tuned",
    "level",
    "load_recipe",
    "meta_train",
    "paired_difference",
    "run_rule",
    "student_interval",
    "train_step_size_network",
    "tune",
]
