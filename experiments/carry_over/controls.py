"""Runs on which the theory is exact, measured as the learned optimizers are: a fault of the measurement shows here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining import Draw, QuadraticTasks
from l2o_theory.optimizers import GradientDescent
from l2o_theory.problems import DoubleWell, RandomQuadratics
from l2o_theory.problems.problem import Problem

_probing = load_plugin(Path(__file__).with_name("probing.py"))
_predictions = load_plugin(Path(__file__).with_name("predictions.py"))
_TASKS = 64
_WINDOWS = (4, 8, 12, 24)  # the chaotic run must stay short: rounding errors grow by 3 per step


def numbers(config: Configuration, pieces: Pieces) -> dict[str, float]:
    """Gradient descent on quadratics (Model A), past 2/L (its explosion in N), on the double well (that in K).

    Returns:
        control.kept_error, control.first_order_error: largest distance to Model A along the run, over tasks, windows.
        control.dropped_term_error: the same to a planted fault, Model A without its first product.
        control.divergent.*, control.chaotic.*: exponents per step, as `predictions.effects` names them.
    """
    found: dict[str, float] = pieces.get("controls", {"seed": config["seed"]}, lambda: measured(config["seed"]))
    return found


def measured(seed: int) -> dict[str, float]:
    """The numbers themselves, anew."""
    generator = Generator().manual_seed(seed)
    random = RandomQuadratics(10)
    draw = QuadraticTasks(random).draw(_TASKS, _WINDOWS[-1], generator)
    probe = _probe(random, 0.01, draw)
    share, first = _predictions.kept(probe), probe["kinds"].index("first order")
    told = np.stack([_predictions.model_a(probe, window) for window in _WINDOWS], 1)
    dropped = {"neighbours": np.array(probe["neighbours"]) * (np.arange(_WINDOWS[-1]) > 0)}
    wrong = np.stack([_predictions.model_a(dropped, window) for window in _WINDOWS], 1)
    found = {
        "control.kept_error": float(np.abs(share[:, : len(_WINDOWS)] - told).max()),
        "control.dropped_term_error": float(np.abs(share[:, : len(_WINDOWS)] - wrong).max()),
        "control.first_order_error": float(np.abs(share[:, first] - _predictions.first_order_a(probe)).max()),
    }
    angles = torch.pi * torch.rand((_TASKS, 1), generator=generator, dtype=torch.float64)
    for name, problem, step_size, tasks in (
        ("divergent", random, 0.06, draw),  # L is 40 to 100, 2/L at most 0.05
        ("chaotic", DoubleWell(), 2.0, Draw(angles.cos(), lambda t: {})),  # their invariant law
    ):
        effects = _predictions.effects(_probe(problem, step_size, tasks), _WINDOWS, 12, 4)
        for effect in ("in_window", "in_horizon", "window_minus_horizon", "stretch_exponent", "final_minus_model_0"):
            found[f"control.{name}.{effect}"] = effects[effect]
    return found


def _probe(problem: Problem, step_size: float, draw: Draw) -> dict[str, Any]:
    meta: Tensor = torch.tensor(step_size, dtype=torch.float64)
    tasks = _probing.tasks_of(draw, _WINDOWS[-1])
    found: dict[str, Any] = _probing.probe(
        GradientDescent(), problem, meta, tasks, _WINDOWS, short=12, chunk=_TASKS, seed=0
    )
    return found
