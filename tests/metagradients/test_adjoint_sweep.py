"""The one-step adjoint sweep against the graph of the whole unroll, for one task and for many, plain and compiled."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from tiny_rules import INSTANCES, RELATIVE, Descent, Diagonal, HeavyBall, Instance, Regression, SmoothAdam

from l2o_theory.errors import InputError
from l2o_theory.metagradients import MetaObjective, Sweep, reverse

HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.9, dtype=torch.float64)}
STARTS = {
    "w": torch.tensor([[0.5, 0.1, -1.0], [0.2, 0.3, 0.4]], dtype=torch.float64),
    "b": torch.tensor([0.0, 1.0], dtype=torch.float64),
}
OBJECTIVES = [
    MetaObjective(),
    MetaObjective("mean", [float(t % 3) for t in range(11)]),
    MetaObjective("final"),
    MetaObjective("log_final"),
]


def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.randn(2, 5, generator=generator, dtype=torch.float64)


def of_task(task: int) -> dict[str, Any]:
    start = {name: leaf[task] for name, leaf in STARTS.items()}
    return {"start": start, "batches": lambda t: tuple(part[task] for part in batches(t))}


@pytest.mark.parametrize("case", INSTANCES)
def test_equals_the_closed_form(case: Instance) -> None:
    problem, start, alpha = case.tensors()
    for segment in (None, case.steps):
        found = Sweep(Descent(), problem).reverse(alpha, case.steps, start=start, segment=segment)
        assert found.gradient.item() == pytest.approx(float(case.gradient()), rel=RELATIVE)


@pytest.mark.parametrize("rule", [HeavyBall(), SmoothAdam()])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("segment", [None, 5, 11])
def test_one_task_equals_reverse(rule: Any, objective: MetaObjective, segment: int | None) -> None:
    plain = reverse(rule, Regression(), HEAVY, 11, objective=objective, **of_task(0))
    found = Sweep(rule, Regression()).reverse(HEAVY, 11, objective=objective, segment=segment, **of_task(0))
    torch.testing.assert_close(found.value, plain.value, rtol=1e-14, atol=0)
    for name in ("losses", "iterate_sizes", "gradient_sizes"):
        there, here = getattr(plain.diagnostics, name), getattr(found.diagnostics, name)
        torch.testing.assert_close(here, there, rtol=1e-13, atol=0)
    for name in HEAVY:
        # other orders of summation; float64
        torch.testing.assert_close(found.gradient[name], plain.gradient[name], rtol=1e-12, atol=1e-15)


def mean_of_reverse(rule: Any, objective: MetaObjective) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
    alone = [reverse(rule, Regression(), HEAVY, 11, objective=objective, **of_task(task)) for task in (0, 1)]
    gradient = {name: sum(run.gradient[name] for run in alone) / 2 for name in HEAVY}  # type: ignore[index]
    return sum(run.value for run in alone) / 2, gradient, torch.stack([run.diagnostics.losses for run in alone])


@pytest.mark.parametrize("rule", [HeavyBall(), SmoothAdam()])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_many_tasks_equal_the_mean_of_reverse(rule: Any, objective: MetaObjective) -> None:
    value, gradient, losses = mean_of_reverse(rule, objective)
    found = Sweep(rule, Regression(), tasks=True).reverse(HEAVY, 11, start=STARTS, batches=batches, objective=objective)
    torch.testing.assert_close(found.value, value, rtol=1e-13, atol=0)
    torch.testing.assert_close(found.diagnostics.losses, losses, rtol=1e-12, atol=0)
    for name in HEAVY:
        torch.testing.assert_close(found.gradient[name], gradient[name], rtol=1e-12, atol=1e-15)
    doubled = 2 * found.gradient["alpha"]  # type: ignore[index]  # planted: a sum in place of the mean
    assert not torch.allclose(doubled, gradient["alpha"])


def test_planted_a_dropped_hessian_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = reverse(HeavyBall(), Regression(), HEAVY, 11, **of_task(0)).gradient
    slope = Sweep._slope

    def flat(self: Sweep, params: Any, batch: Any) -> Any:
        found, loss = slope(self, params, batch)
        return {name: leaf.detach() for name, leaf in found.items()}, loss

    monkeypatch.setattr(Sweep, "_slope", flat)
    found = Sweep(HeavyBall(), Regression()).reverse(HEAVY, 11, **of_task(0)).gradient
    assert abs(found["alpha"] / plain["alpha"] - 1) > 1e-2  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, by torch, about torch
def test_compiled_steps_give_the_same_numbers() -> None:
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler on the path, and there is none")
    _, gradient, _ = mean_of_reverse(SmoothAdam(), MetaObjective())
    sweep = Sweep(SmoothAdam(), Regression(), tasks=True, compiled=True)
    for _ in range(2):
        found = sweep.reverse(HEAVY, 11, start=STARTS, batches=batches)
        for name in HEAVY:
            torch.testing.assert_close(found.gradient[name], gradient[name], rtol=1e-11, atol=1e-14)


def test_bad_sweeps() -> None:
    problem, one = Diagonal(torch.ones(1, dtype=torch.float64)), torch.ones(1, dtype=torch.float64)
    alpha = torch.tensor(0.1, dtype=torch.float64)
    sweep = Sweep(Descent(), problem)
    with pytest.raises(InputError, match=r"not inside torch\.func"):
        torch.func.vmap(lambda x: sweep.reverse(alpha, 3, start=x).gradient)(one[None])
    with pytest.raises(InputError, match="use reverse for a validation loss"):
        sweep.reverse(alpha, 3, start=one, objective=MetaObjective(problem=problem))
    with pytest.raises(InputError, match="tasks in front"):
        Sweep(Descent(), problem, tasks=True).reverse(alpha, 3, start=torch.tensor(1.0, dtype=torch.float64))
    with pytest.raises(InputError, match="segment must be"):
        sweep.reverse(alpha, 3, start=one, segment=4)

    class Counts(Descent):
        def init(self, params: Any) -> Any:
            return torch.zeros((), dtype=torch.int64)

    with pytest.raises(InputError, match="floating states only"):
        Sweep(Counts(), problem).reverse(alpha, 3, start=one)
