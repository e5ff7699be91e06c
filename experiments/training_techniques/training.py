"""Trained optimizers and tuned rivals, and how each fares on tasks it has not seen: the pieces of the experiment."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining import meta_train, run_rule, tune
from l2o_theory.metatraining.meta_training import Progress
from l2o_theory.optimizers import Adam, GradientDescent, HeavyBall
from l2o_theory.optimizers.rule import UpdateRule

_arms = load_plugin(Path(__file__).with_name("arms.py"))
_optimizees = load_plugin(Path(__file__).with_name("optimizees.py"))

RIVALS: dict[str, tuple[Any, dict[str, float]]] = {
    "Adam": (Adam(), {}),
    "gradient descent": (GradientDescent(), {}),
    "Momentum": (HeavyBall(), {"momentum": 0.9}),
}
"""Name -> rule and its hyper-parameters beside the step size."""

_TEST_SEED = 20_100_9089  # of the test problems: the same for all arms and meta-seeds
_TUNING_SEED = 1_412_6980


def trained(
    config: Configuration, pieces: Pieces, task: str, arm: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """One arm and meta-seed: weights, evaluations, and how far it came.

    Returns:
        weights: by name, nested lists; judgements: [meta-updates, stage, loss, decision] of each evaluation; updates,
        stage, skipped: at the end.
    """

    def compute() -> dict[str, Any]:
        rule, own, where = _arms.rule(arm), 1_000_003 * config["seed"] + seed, _optimizees.device(config)
        start = rule.meta(Generator().manual_seed(own), dtype=torch.float32)
        start = {name: weight.to(where) for name, weight in start.items()}
        plan = _arms.recipe(config, task, arm, where)
        found = meta_train(rule, _optimizees.training_family(config, task), start, plan, seed=own, progress=progress)
        return {
            "weights": {name: weight.tolist() for name, weight in found.weights.items()},
            "judgements": [[j.updates, j.stage, j.loss, j.decision] for j in found.judgements],
            "updates": found.updates,
            "stage": found.stage,
            "skipped": found.skipped,
        }

    key = {**_key(config, "training", "plain", "aug", "cl", "il", _arms.ARMS[arm][0]), **_task_key(config, task)}
    return dict(pieces.get(f"{task}_{arm}_{seed}", {**key, "arm": arm, "meta_seed": seed}, compute))


def tested(
    config: Configuration, pieces: Pieces, task: str, arm: str, seed: int, weights: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Losses of a trained optimizer on every optimizee, see `_losses`."""
    where = _optimizees.device(config)
    meta = {name: torch.tensor(weight, dtype=torch.float32, device=where) for name, weight in weights.items()}
    name = f"{task}_{arm}_{seed}_test"
    return _on_all(
        config, pieces, task, name, _arms.rule(arm), meta, {"weights": sha256(json.dumps(weights).encode()).hexdigest()}
    )


def rival(config: Configuration, pieces: Pieces, task: str, name: str, horizon: int) -> dict[str, Any]:
    """A classical optimizer, tuned for this horizon on training tasks, with the inner steps of one meta-training.

    Returns:
        rate, rates, scores, tasks, inner_steps, at_edge: of the search; tests: losses on every optimizee.
    """
    rule, other = RIVALS[name]
    meta = rule.meta(1.0, **other, dtype=torch.float32, device=_optimizees.device(config))
    budget = config[f"{task}.updates"] * config["training.window"] * config[f"{task}.problems"]
    search = {"rates": list(config["rivals.rates"]), "refine": config["rivals.refine"], "budget": budget}

    def compute() -> dict[str, Any]:
        found = tune(
            rule, meta, _optimizees.training_family(config, task), config["rivals.rates"],
            steps=horizon, budget=budget, refine=config["rivals.refine"],
            generator=Generator().manual_seed(_TUNING_SEED + config["seed"]),
        )  # fmt: skip
        return {
            "rate": found.rate,
            "rates": list(found.rates),
            "scores": [score if score < float("inf") else "diverges" for score in found.scores],
            "tasks": found.tasks,
            "inner_steps": found.inner_steps,
            "at_edge": found.is_at_edge,
        }

    key = {**_task_key(config, task), **search, "rival": name, "horizon": horizon}
    found = dict(pieces.get(f"{task}_tuned", key, compute))
    best = {**meta, "step_size": torch.full_like(meta["step_size"], found["rate"])}
    return {**found, "tests": _on_all(config, pieces, task, f"{task}_rival", rule, best, {"rival": name, **found})}


def adam(config: Configuration, pieces: Pieces, rate: float) -> dict[str, Any]:
    """Adam with this step size on the quadratics of the test."""
    meta = Adam().meta(rate, dtype=torch.float32, device=_optimizees.device(config))
    main = next(iter(_optimizees.optimizees(config, "quadratics")))
    return _on(config, pieces, "quadratics", main, "quadratics_adam", Adam(), meta, {"rate": rate})


def _on_all(
    config: Configuration,
    pieces: Pieces,
    task: str,
    name: str,
    rule: UpdateRule,
    meta: dict[str, Tensor],
    key: dict[str, Any],
) -> dict[str, dict[str, Any]]:
    names = _optimizees.optimizees(config, task)
    return {where: _on(config, pieces, task, where, name, rule, meta, key) for where in names}


def _on(
    config: Configuration,
    pieces: Pieces,
    task: str,
    optimizee: str,
    name: str,
    rule: UpdateRule,
    meta: dict[str, Tensor],
    key: dict[str, Any],
) -> dict[str, Any]:
    """Losses on one optimizee: `losses`, mean over tasks at `steps`; `single`, of each task at `horizons`."""
    families = _optimizees.optimizees(config, task)
    steps, horizons = list(config[f"{task}.steps"]), config[f"{task}.horizons"]
    runs = config[f"{task}.runs" if optimizee == next(iter(families)) else f"{task}.transfer_runs"]

    def compute() -> dict[str, Any]:
        family = families[optimizee]()
        draw = _optimizees.test_draw(family, runs, steps[-1], _TEST_SEED)
        losses = run_rule(rule, family.problem, meta, draw, steps[-1], at=steps).double().nan_to_num(nan=float("inf"))
        losses = losses.clamp_max(torch.finfo(torch.float32).max)  # a run that diverged counts as the largest float32
        single = {str(horizon): losses[steps.index(horizon)].tolist() for horizon in horizons}
        return {"losses": losses.mean(1).tolist(), "single": single}

    full = {**_task_key(config, task), **key, "optimizee": optimizee, "runs": runs, "steps": steps}
    return dict(pieces.get(name, {**full, "horizons": list(horizons)}, compute))


def _task_key(config: Configuration, task: str) -> dict[str, Any]:
    """What a task is, but not which arms, meta-seeds and tests there are."""
    counts = ("arms", "seeds", "runs", "transfer_runs", "block", "horizons", "steps")
    told = {name: value for name, value in _key(config, task).items() if name.partition(".")[2] not in counts}
    return {"seed": config["seed"], "device": _optimizees.device(config).type, **told}


def _key(config: Configuration, *sections: str) -> dict[str, Any]:
    """The parameters of these sections, as JSON knows them."""
    names = [name for name in config if name.partition(".")[0] in sections]
    return {name: list(config[name]) if isinstance(config[name], tuple) else config[name] for name in names}
