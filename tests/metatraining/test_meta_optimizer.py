"""What moves the weights: torch's Adam and RMSprop, and what becomes of gradients that are not finite."""

from __future__ import annotations

import math

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.metatraining.meta_optimizer import MetaOptimizer

GENERATOR = torch.Generator().manual_seed(0)
WEIGHTS = {"a": torch.randn(3, 2, generator=GENERATOR).double(), "b": torch.randn(4, generator=GENERATOR).double()}


def after(optimizer: MetaOptimizer, steps: int = 12) -> dict[str, torch.Tensor]:
    """Weights after steps along gradients w^3 - 1."""
    weights, memory = WEIGHTS, optimizer.begin(WEIGHTS)
    for _ in range(steps):
        admitted = optimizer.admitted({name: w**3 - 1 for name, w in weights.items()})
        assert admitted is not None
        weights, memory = optimizer.step(weights, admitted, memory)
    return weights


def by_torch(kind: type[torch.optim.Optimizer], **settings: float) -> dict[str, torch.Tensor]:
    weights = {name: w.clone().requires_grad_() for name, w in WEIGHTS.items()}
    other = kind(weights.values(), **settings)  # type: ignore[call-arg]
    for _ in range(12):
        for w in weights.values():
            w.grad = w.detach() ** 3 - 1
        other.step()
    return weights


def test_adam_and_rmsprop_are_those_of_torch_with_the_settings_of_the_papers() -> None:
    adam, rmsprop = after(MetaOptimizer(rate=1e-2)), after(MetaOptimizer("rmsprop", 1e-2))
    slow = by_torch(torch.optim.RMSprop, lr=1e-2, alpha=0.9, eps=1e-10)
    other = by_torch(torch.optim.RMSprop, lr=1e-2)  # planted: torch's decay of .99
    for name, weight in by_torch(torch.optim.Adam, lr=1e-2).items():
        torch.testing.assert_close(adam[name], weight.detach(), rtol=1e-12, atol=1e-12)  # rounding of 12 steps
        torch.testing.assert_close(rmsprop[name], slow[name].detach(), rtol=1e-12, atol=1e-12)
        assert not torch.allclose(rmsprop[name], other[name], rtol=1e-3)


def test_entries_that_are_not_finite_are_skipped_or_zero() -> None:
    bad = {"a": torch.tensor([1.0, math.nan, -math.inf]), "b": torch.tensor([5e4])}
    assert MetaOptimizer().admitted(bad) is None
    assert MetaOptimizer(clip=1e4).admitted(bad) is None
    found = MetaOptimizer("rmsprop", clip=1e4, non_finite="zero").admitted(bad)
    assert found is not None
    assert found["a"].tolist() == [1, 0, 0]
    assert found["b"].tolist() == [1e4]


def test_a_norm_beyond_the_float_range_is_skipped_unless_the_clip_comes_first() -> None:
    """Its squares would stay in the memory as infinities, and the rule would stand still for ever."""
    large = {"a": torch.full((2,), 1e30)}
    assert MetaOptimizer(clip=1.0).admitted(large) is None
    assert MetaOptimizer(non_finite="zero").admitted(large) is None
    assert MetaOptimizer(clip=1.0, non_finite="zero").admitted(large) is not None


@pytest.mark.parametrize(
    "bad", [{"name": "sgd"}, {"rate": 0.0}, {"rate": math.inf}, {"clip": 0.0}, {"non_finite": "0"}]
)
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"wanted adam|must be positive"):
        MetaOptimizer(**bad)  # type: ignore[arg-type]
