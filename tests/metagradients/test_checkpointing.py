"""Checkpointed reverse against plain reverse: the same number from other graphs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_rules import INSTANCES, RELATIVE, Descent, Diagonal, HeavyBall, Instance, Regression, SmoothAdam

from l2o_theory.errors import InputError
from l2o_theory.metagradients import MetaObjective, checkpointed, reverse
from l2o_theory.metagradients import checkpointing as module
from l2o_theory.problems.trees import detached

HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.9, dtype=torch.float64)}
WEIGHTS = [0.0] * 3 + [float(t % 3) for t in range(17)] + [0.0] * 3


def batches(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    inputs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.randn(5, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("case", INSTANCES)
@pytest.mark.parametrize("segment", [None, 1, 7, 20])
def test_equals_the_closed_form(case: Instance, segment: int | None) -> None:
    problem, start, alpha = case.tensors()
    found = checkpointed(Descent(), problem, alpha, case.steps, start=start, segment=segment)
    assert found.gradient.item() == pytest.approx(float(case.gradient()), rel=RELATIVE)


@pytest.mark.parametrize("rule", [HeavyBall(), SmoothAdam()])
@pytest.mark.parametrize(
    "objective",
    [
        MetaObjective(),
        MetaObjective("final"),
        MetaObjective("log_final"),
        MetaObjective("mean", WEIGHTS),
        MetaObjective("sum", batches=lambda t: batches(1000 + t)),
        MetaObjective("final", problem=Regression(), batches=lambda t: batches(1000 + t)),
    ],
)
@pytest.mark.parametrize("segment", [None, 4, 23])
def test_equals_plain_reverse(rule: Any, objective: MetaObjective, segment: int | None) -> None:
    common: dict[str, Any] = {"start": Regression().init(), "objective": objective, "batches": batches}
    plain = reverse(rule, Regression(), HEAVY, 23, **common)
    found = checkpointed(rule, Regression(), HEAVY, 23, segment=segment, **common)
    assert found.value == plain.value
    assert torch.equal(found.diagnostics.iterate_sizes, plain.diagnostics.iterate_sizes)
    assert torch.equal(found.diagnostics.losses, plain.diagnostics.losses)
    assert found.unconnected == plain.unconnected
    for name in HEAVY:
        # the same products, summed segment by segment
        torch.testing.assert_close(found.gradient[name], plain.gradient[name], rtol=1e-12, atol=1e-15)


def test_a_learned_start_and_vmap() -> None:
    problem = Diagonal(torch.tensor([1.0, 0.3], dtype=torch.float64))
    start = lambda meta: meta["alpha"] * torch.ones(2, dtype=torch.float64)  # noqa: E731
    rates = torch.tensor([0.1, 0.3], dtype=torch.float64)

    def one(estimator: Any, alpha: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = estimator(HeavyBall(), problem, {**HEAVY, "alpha": alpha}, 11, start=start).gradient[
            "alpha"
        ]
        return found

    plain = torch.stack([one(reverse, alpha) for alpha in rates])
    torch.testing.assert_close(torch.func.vmap(lambda a: one(checkpointed, a))(rates), plain, rtol=1e-12, atol=0)
    torch.testing.assert_close(torch.stack([one(checkpointed, a) for a in rates]), plain, rtol=1e-12, atol=0)


def test_planted_a_state_that_is_not_saved_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = reverse(HeavyBall(), Regression(), HEAVY, 23, start=Regression().init(), batches=batches)

    def forgets(carry: Any) -> Any:
        params, state = detached(carry)
        return params, {name: torch.zeros_like(leaf) for name, leaf in state.items()}

    monkeypatch.setattr(module, "detached", lambda tree: forgets(tree) if isinstance(tree, tuple) else detached(tree))
    found = checkpointed(HeavyBall(), Regression(), HEAVY, 23, start=Regression().init(), batches=batches)
    assert abs(found.gradient["alpha"] / plain.gradient["alpha"] - 1) > 1e-3  # type: ignore[index]


@pytest.mark.parametrize("segment", [0, 24, 1.0])
def test_segment_outside_the_horizon(segment: Any) -> None:
    with pytest.raises(InputError, match="segment must be"):
        checkpointed(HeavyBall(), Regression(), HEAVY, 23, start=Regression().init(), batches=batches, segment=segment)


def test_memory_is_that_of_few_steps() -> None:
    """Tensors that autograd saves at any one time: all steps for reverse, about sqrt(N) for checkpointed."""
    problem = Diagonal(torch.ones(3, dtype=torch.float64))

    def most_saved(estimator: Any) -> int:
        live = most = 0

        class Token:
            def __init__(self, tensor: torch.Tensor) -> None:
                nonlocal live, most
                self.tensor = tensor
                live += 1
                most = max(most, live)

            def __del__(self) -> None:
                nonlocal live
                live -= 1

        with torch.autograd.graph.saved_tensors_hooks(Token, lambda token: token.tensor):
            estimator(HeavyBall(), problem, HEAVY, 400, start=torch.ones(3, dtype=torch.float64))
        return most

    assert most_saved(checkpointed) < 0.08 * most_saved(reverse)  # 20 of 400 steps, and the bookkeeping
