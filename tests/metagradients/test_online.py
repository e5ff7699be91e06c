"""Truncated meta-training window by window."""

from __future__ import annotations

import gc
import itertools

import pytest
import torch
from tiny_rules import Descent, Diagonal, HeavyBall

from l2o_theory.errors import InputError
from l2o_theory.metagradients import Carry, Episode, MetaGradient, MetaObjective, truncated

HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.9, dtype=torch.float64)}
PROBLEM = Diagonal(torch.tensor([1.0, 0.1], dtype=torch.float64))
START = torch.ones(2, dtype=torch.float64)
RAMP = [float(t % 4) for t in range(40)]


def windows(episode: Episode) -> list[MetaGradient]:
    """All windows of one episode with phi held fixed."""
    carry, found = episode.begin(HEAVY, START), []
    while not episode.is_finished(carry):
        estimate, carry = episode.advance(HEAVY, carry)
        found.append(estimate)
    return found


@pytest.mark.parametrize("window", [1, 5, 7, 40])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "objective", [MetaObjective(), MetaObjective("mean", RAMP), MetaObjective("sum", RAMP, batches=lambda t: 0.1 * t)]
)
def test_windows_add_up_to_the_truncated_gradient(window: int, order: int, objective: MetaObjective) -> None:
    """With phi held fixed online and offline truncation are the same sum; N/K windows, the last one shorter."""
    found = windows(Episode(HeavyBall(), PROBLEM, 40, window, objective, order=order))  # type: ignore[arg-type]
    assert len(found) == -(-40 // window)
    whole = truncated(
        HeavyBall(), PROBLEM, HEAVY, 40, start=START, window=window, objective=objective, order=order  # type: ignore[arg-type]
    )  # fmt: skip
    torch.testing.assert_close(sum(part.value for part in found), whole.value, rtol=1e-13, atol=0)
    for name in HEAVY:
        total = sum(part.gradient[name] for part in found)  # type: ignore[index]
        torch.testing.assert_close(total, whole.gradient[name], rtol=1e-11, atol=1e-13)  # type: ignore[index]


def test_planted_a_fresh_state_in_each_window_is_seen() -> None:
    episode = Episode(HeavyBall(), PROBLEM, 40, 5)
    carry, total = episode.begin(HEAVY, START), torch.zeros((), dtype=torch.float64)
    while not episode.is_finished(carry):
        estimate, carry = episode.advance(HEAVY, carry)
        carry = Carry(carry.params, torch.zeros_like(carry.state), carry.step)
        total = total + estimate.gradient["alpha"]  # type: ignore[index]
    whole = truncated(HeavyBall(), PROBLEM, HEAVY, 40, start=START, window=5).gradient
    assert abs(total / whole["alpha"] - 1) > 1e-2  # type: ignore[index]


def test_meta_descent_lowers_the_loss() -> None:
    episode, phi, values = Episode(Descent(), PROBLEM, 12, 4), torch.tensor(0.05, dtype=torch.float64), []
    for _ in range(30):
        carry, value = episode.begin(phi, START), 0.0
        while not episode.is_finished(carry):
            estimate, carry = episode.advance(phi, carry)
            value += estimate.value.item()
            phi = phi - 0.02 * estimate.gradient
        values.append(value)
    assert values[-1] < 0.5 * values[0]
    assert all(after <= before for before, after in itertools.pairwise(values))


def test_vmap_over_tasks() -> None:
    curvatures = torch.tensor([[1.0, 0.1], [0.4, 0.2]], dtype=torch.float64)

    def two_windows(curvature: torch.Tensor) -> torch.Tensor:
        episode = Episode(HeavyBall(), Diagonal(curvature), 6, 3)
        first, carry = episode.advance(HEAVY, episode.begin(HEAVY, START))
        second, carry = episode.advance(HEAVY, carry)
        assert episode.is_finished(carry)
        return first.gradient["beta"] + second.gradient["beta"]  # type: ignore[index]

    together = torch.func.vmap(two_windows)(curvatures)
    torch.testing.assert_close(together, torch.stack([two_windows(c) for c in curvatures]), rtol=1e-12, atol=0)


def live_tensors() -> int:
    # isinstance would ask objects for their class, and some of torch's answer with a warning
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def test_no_tensor_outlives_its_window() -> None:
    episode, counts = Episode(HeavyBall(), PROBLEM, 400, 4), []
    carry = episode.begin(HEAVY, START)
    for step in range(100):
        estimate, carry = episode.advance(HEAVY, carry)
        assert not carry.params.requires_grad  # type: ignore[union-attr]
        if step in (5, 99):
            gc.collect()
            counts.append(live_tensors())
    assert counts[0] == counts[1]
    kept = [estimate.value * 1 for _ in range(3)]  # planted: three tensors more are counted
    assert live_tensors() == counts[1] + len(kept)


def test_bad_episodes() -> None:
    for kind in ("final", "log_final"):
        with pytest.raises(InputError, match='only kind "sum" or "mean"'):
            Episode(HeavyBall(), PROBLEM, 4, 2, MetaObjective(kind))  # type: ignore[arg-type]
    for window in (0, 5):
        with pytest.raises(InputError, match="window must be"):
            Episode(HeavyBall(), PROBLEM, 4, window).begin(HEAVY, START)
    episode = Episode(HeavyBall(), PROBLEM, 4, 4)
    _, carry = episode.advance(HEAVY, episode.begin(HEAVY, START))
    with pytest.raises(InputError, match="finished"):
        episode.advance(HEAVY, carry)
    with pytest.raises(InputError, match="one dtype"):
        episode.advance({name: leaf.float() for name, leaf in HEAVY.items()}, episode.begin(HEAVY, START))


def test_a_window_without_weight_says_so() -> None:
    found = windows(Episode(HeavyBall(), PROBLEM, 4, 2, MetaObjective(weights=[0, 0, 1, 1])))
    assert found[0].unconnected == ("alpha", "beta")
    assert "all their weights are 0" in found[0].estimates
    assert found[1].unconnected == ()
