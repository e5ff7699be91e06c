r"""Deterministic full-batch training of a step-size network, W^{k+1} = W^k - eta dF/dW, with a record of what happens.

Nothing is random: the same network, problem and plan give the same numbers, after an interruption too. Per recorded
iteration k the record holds the loss, where the factors P sit, how far the weights have moved, and the first-order
prediction of the next loss ratio

    F_{k+1}/F_k = 1 + <dF/dW(W^k), W^{k+1} - W^k>/F_k + O(eta^2),

which for one rate is 1 - 2 eta mu_k with mu_k = |J_k^T r_k|^2/|r_k|^2 (derived here). The gradient in it is the true
one, also where training follows the detached gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.checkpoint import digest, load_checkpoint, save_checkpoint
from l2o_theory.metatraining.factor_statistics import factor_statistics
from l2o_theory.metatraining.training_record import TrainingPlan as TrainingPlan
from l2o_theory.metatraining.training_record import TrainingRecord as TrainingRecord
from l2o_theory.metatraining.training_record import TrainingRun as TrainingRun
from l2o_theory.metatraining.unrolled_loss import UnrolledLoss, unrolled_loss
from l2o_theory.ntk import residual_ntk
from l2o_theory.optimizers.adam import Adam
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import LongStepWarning, QuadraticPrograms
from l2o_theory.problems.trees import mapped

Progress = Callable[[int, int], None]
"""Called with (finished iterations, iterations in all)."""


@dataclass
class _State:
    weights: list[Tensor]
    memory: Any
    losses: list[float] = field(default_factory=list)
    records: list[TrainingRecord] = field(default_factory=list)
    diverged_at: int | None = None


def train_step_size_network(
    network: StepSizeNetwork,
    programs: QuadraticPrograms,
    plan: TrainingPlan,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    allow_long_steps: bool = False,
    progress: Progress | None = None,
) -> TrainingRun:
    """Train; with `checkpoint`, continue what that file holds, and write it every `checkpoint_every` iterations.

    A loss or weight that is not finite ends the training; the run says at which iteration.

    Raises:
        InputError: rates that do not fit the layers, inner steps tau beyond 1/L_n without `allow_long_steps`, or a
            checkpoint of another run.
        StoreError: a checkpoint that cannot be read or written.

    Warns:
        LongStepWarning: inner steps beyond 1/L_n, if they are allowed: the residual may grow.
    """
    if programs.are_long(network.step_size):
        if not (allow_long_steps or programs.allow_long):
            raise InputError("inner steps exceed 1/L, beyond which the residual may grow; say allow_long_steps=True")
        warnings.warn("inner steps exceed 1/L: the residual may grow", LongStepWarning, stacklevel=2)
        programs = replace(programs, allow_long=True)
    rates = _rates(plan, len(network.weights))
    how = (network.order, network.features, network.activation)
    own, problem = digest(network.weights, network.step_size, how), digest(_data(programs))
    identity = {"network": own, "problem": problem, "plan": repr(plan)}
    state = _start(network, plan)
    if checkpoint is not None and (saved := load_checkpoint(checkpoint, identity)) is not None:
        state = _restored(saved, network)
    while len(state.losses) <= plan.iterations and state.diverged_at is None:
        _iterate(state, network, programs, plan, rates)
        done = len(state.losses)
        if checkpoint is not None and (done % checkpoint_every == 0 or done > plan.iterations):
            save_checkpoint(checkpoint, identity, _saved(state))
        if progress is not None:
            progress(min(done, plan.iterations), plan.iterations)
    return TrainingRun(
        network.with_weights(state.weights), tuple(state.losses), tuple(state.records), state.diverged_at
    )


def _iterate(
    state: _State, network: StepSizeNetwork, programs: QuadraticPrograms, plan: TrainingPlan, rates: Sequence[float]
) -> None:
    """Evaluate F(W^k), record it, and move on to W^{k+1} unless k is the last."""
    k = len(state.losses)
    now = network.with_weights(state.weights)
    found = unrolled_loss(now, programs, plan.steps, route=plan.route)
    state.losses.append(float(found.loss))
    is_last = k == plan.iterations
    moved = state.weights if is_last else _moved(state, found, plan, rates)
    if k % plan.record_every == 0 or is_last:
        state.records.append(_record(k, now, found, moved, network, programs, plan))
    if not is_last:
        if not torch.isfinite(found.loss) or not all(bool(torch.isfinite(weight).all()) for weight in moved):
            state.diverged_at = k
        else:
            state.weights = moved


def _moved(state: _State, found: UnrolledLoss, plan: TrainingPlan, rates: Sequence[float]) -> list[Tensor]:
    if plan.optimizer == "sgd":
        return [w - rate * g for w, rate, g in zip(state.weights, rates, found.gradients, strict=True)]
    rule = Adam()
    names = [str(layer) for layer in range(len(state.weights))]
    meta = rule.meta(rates[0], dtype=state.weights[0].dtype, device=state.weights[0].device)
    weights, gradients = (dict(zip(names, values, strict=True)) for values in (state.weights, found.gradients))
    moved, state.memory = rule.update(weights, gradients, state.memory, meta)
    assert isinstance(moved, dict)  # of the structure of the weights
    return [moved[name] for name in names]


def _record(
    k: int,
    now: StepSizeNetwork,
    found: UnrolledLoss,
    moved: Sequence[Tensor],
    network: StepSizeNetwork,
    programs: QuadraticPrograms,
    plan: TrainingPlan,
) -> TrainingRecord:
    statistics = factor_statistics(found.factors)
    is_true = now.features == "full" or k == plan.iterations
    true = found if is_true else unrolled_loss(now, programs, plan.steps, features="full", route=plan.route)
    changes = zip(true.gradients, moved, now.weights, strict=True)
    change = sum(float((g * (new - old)).sum()) for g, new, old in changes)
    distance = sum(float((w - start).square().sum()) for w, start in zip(now.weights, network.weights, strict=True))
    size = sum(float(start.square().sum()) for start in network.weights)
    return TrainingRecord(
        iteration=k,
        loss=float(found.loss),
        near_zero=statistics.near_zero,
        near_two=statistics.near_two,
        exactly_one=statistics.exactly_one,
        gradient_norm=sum(float(g.square().sum()) for g in found.gradients) ** 0.5,
        drift=(distance / size) ** 0.5,
        ntk_drift=_ntk_drift(now, network, programs, plan) if plan.measure_ntk else float("nan"),
        predicted_ratio=float("nan") if k == plan.iterations or not found.loss > 0 else 1 + change / float(found.loss),
    )


def _ntk_drift(now: StepSizeNetwork, start: StepSizeNetwork, programs: QuadraticPrograms, plan: TrainingPlan) -> float:
    first, kernel = (residual_ntk(network, programs, plan.steps) for network in (start, now))
    assert isinstance(first, Tensor)  # the closed form is a matrix
    assert isinstance(kernel, Tensor)
    return float((kernel - first).norm() / first.norm())


def _rates(plan: TrainingPlan, layers: int) -> tuple[float, ...]:
    if not isinstance(plan.rate, tuple):
        return (plan.rate,) * layers
    if len(plan.rate) != layers:
        raise InputError(f"wanted one rate or one per layer ({layers}), got {len(plan.rate)}")
    return plan.rate


def _start(network: StepSizeNetwork, plan: TrainingPlan) -> _State:
    weights = [weight.detach().clone() for weight in network.weights]
    names = {str(layer): weight for layer, weight in enumerate(weights)}
    return _State(weights, Adam().init(names) if plan.optimizer == "adam" else ())


def _data(programs: QuadraticPrograms) -> tuple[Tensor, ...]:
    return programs.matrices, programs.targets, programs.start, programs.step_sizes


def _saved(state: _State) -> dict[str, Any]:
    return {
        "weights": state.weights,
        "memory": state.memory,
        "losses": state.losses,
        "records": [asdict(record) for record in state.records],
        "diverged_at": state.diverged_at,
    }


def _restored(saved: dict[str, Any], network: StepSizeNetwork) -> _State:
    device = network.weights[0].device
    return _State(
        [weight.to(device) for weight in saved["weights"]],
        mapped(lambda leaf: leaf.to(device), saved["memory"]),
        saved["losses"],
        [TrainingRecord(**record) for record in saved["records"]],
        saved["diverged_at"],
    )
