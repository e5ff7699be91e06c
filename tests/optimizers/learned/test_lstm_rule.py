"""The LSTM cell against torch's, under vmap where torch's fails, and the optimizer built from it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers import LSTMCell, LSTMRule, lstm
from l2o_theory.optimizers.learned.lstm_rule import log_and_sign
from l2o_theory.problems import MLP, Classification, load_digits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def torch_cell(weight: Tensor, bias: Tensor, inputs: int, hidden: int, forget_bias: float = 0.0) -> torch.nn.LSTMCell:
    """The same weights in torch's order i, f, j, o and layout."""
    peer = torch.nn.LSTMCell(inputs, hidden, dtype=weight.dtype)
    i, j, f, o = weight.chunk(4, 1)
    bi, bj, bf, bo = bias.chunk(4)
    ordered = torch.cat([i, f, j, o], 1)
    with torch.no_grad():
        peer.weight_ih.copy_(ordered[:inputs].T)
        peer.weight_hh.copy_(ordered[inputs:].T)
        peer.bias_ih.copy_(torch.cat([bi, bf, bj, bo]))
        peer.bias_hh.zero_()
        peer.bias_hh[hidden : 2 * hidden] = forget_bias
    return peer


@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_the_cell_is_that_of_torch(forget_bias: float) -> None:
    cell = LSTMCell(3, 5, forget_bias)
    weight, bias = cell.init(generator())
    peer = torch_cell(weight, bias, 3, 5, forget_bias)
    h = c = torch.zeros(7, 5, dtype=torch.float64)
    hidden, memory = h, c
    for _ in range(4):
        x = torch.randn(7, 3, dtype=torch.float64, generator=generator(1))
        h, c = cell.step(weight, bias, x, h, c)
        hidden, memory = peer(x, (hidden, memory))
    assert torch.allclose(h, hidden, rtol=1e-12, atol=1e-14)  # sums of 8 products, four times
    assert torch.allclose(c, memory, rtol=1e-12, atol=1e-14)
    wrong, _ = LSTMCell(3, 5, forget_bias + 1).step(weight, bias, x, h, c)
    right, _ = cell.step(weight, bias, x, h, c)
    assert not torch.allclose(wrong, right, rtol=1e-3)


@pytest.mark.parametrize("inputs", [2, 5])
@pytest.mark.parametrize("coordinates", [1, 7, 30])
def test_the_derivative_by_hand_is_that_of_the_plain_cell(
    inputs: int, coordinates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lstm, "_BLOCK", 7)  # one block, one full block, several and a rest
    plain, by_hand = LSTMCell(inputs, 5, 1.0), LSTMCell(inputs, 5, 1.0, once=True)
    weight, bias = plain.init(generator())
    parts = [torch.randn(coordinates, n, dtype=torch.float64, generator=generator(n)) for n in (inputs, 5, 5)]
    found = []
    for cell in (plain, by_hand):
        leaves = [leaf.clone().requires_grad_() for leaf in (weight, bias, *parts)]
        h, c = cell.step(*leaves)
        h, c = cell.step(*leaves[:3], h, c)
        loss = (h**2).sum() + (c * torch.arange(5)).sum()
        found.append([h, c, *torch.autograd.grad(loss, leaves)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-13)  # sums of up to 30 terms of size 10
    assert not torch.allclose(found[0][2], 1.001 * found[1][2], rtol=1e-4)


def test_the_derivative_by_hand_against_finite_differences_and_refused_beyond_first_order() -> None:
    cell = LSTMCell(3, 4, 1.0, once=True)
    weight, bias = cell.init(generator())
    x, h, c = (torch.randn(6, n, dtype=torch.float64, generator=generator(n)) for n in (3, 4, 4))
    leaves = tuple(leaf.clone().requires_grad_() for leaf in (weight, bias, x, h, c))
    assert torch.autograd.gradcheck(cell.step, leaves)
    with pytest.raises(InputError, match="no second derivative; use once=False"):
        torch.autograd.grad(cell.step(*leaves)[0].sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(lambda one: cell.step(weight, bias, one, h, c)[0])(x.expand(2, 6, 3))


def test_vmap_with_one_state_for_all_inputs_where_torch_fails() -> None:
    cell = LSTMCell(3, 5)
    weight, bias = cell.init(generator())
    peer = torch_cell(weight, bias, 3, 5)
    x = torch.randn(4, 1, 3, dtype=torch.float64, generator=generator(1))  # four tasks of one coordinate
    h = c = torch.zeros(1, 5, dtype=torch.float64)
    together, _ = torch.func.vmap(lambda one: cell.step(weight, bias, one, h, c))(x)
    one_by_one = torch.stack([peer(one, (h, c))[0] for one in x])
    assert torch.allclose(together, one_by_one, rtol=1e-12, atol=1e-14)
    states = torch.zeros(4, 1, 5, dtype=torch.float64)
    batched, _ = torch.func.vmap(lambda one, state: cell.step(weight, bias, one, state, state))(x, states)
    assert torch.equal(batched, together)
    # the day torch mends these, the sentence in the docstring of LSTMCell goes
    with pytest.raises(RuntimeError, match="lstm_cell"):
        torch.func.vmap(lambda one: peer(one, (h, c)))(x)
    with pytest.raises(RuntimeError, match="lstm_cell"):
        torch.func.vmap(lambda one, state: peer(one, (state, state)))(x, states)


def test_features_in_numbers() -> None:
    gradients = torch.tensor([0.0, 1.0, math.exp(-5), math.exp(-10), -math.exp(-10), 100.0], dtype=torch.float64)
    expected = [[-1, 0], [0, 1], [-0.9999965, 1], [-1, 0.00674], [-1, -0.00674], [math.log(100) / 5, 1]]
    # worked out here, to seven and five digits
    assert torch.allclose(log_and_sign(gradients), torch.tensor(expected, dtype=torch.float64), atol=2e-6)
    assert log_and_sign(gradients)[2, 0].item() == pytest.approx(-0.9999965, abs=5e-8)
    slopes = torch.func.grad(lambda g: log_and_sign(g).sum())(torch.zeros(1, dtype=torch.float64))
    assert slopes.item() == pytest.approx(math.exp(5))  # finite at 0: the magnitude is clipped there


def test_sizes_and_spread_of_untrained_weights() -> None:
    meta = LSTMRule().meta(generator())
    assert sum(value.numel() for value in meta.values()) == 5141
    for name, fan_in in (("lstm1.weight", 22), ("lstm1.bias", 22), ("lstm2.weight", 40), ("lstm2.bias", 40)):
        std = 1 / math.sqrt(fan_in)
        assert float(meta[name].abs().max()) <= 2 * std
        # 0.8796 = standard deviation of a normal cut at 2; 80 entries or more: relative error 1/sqrt(160) = 8 percent
        assert float(meta[name].std()) == pytest.approx(0.8796 * std, rel=0.25)
    assert float(meta["lstm2.weight"].std()) == pytest.approx(0.8796 / math.sqrt(40), rel=0.05)  # 3200 entries
    assert meta["linear.bias"].item() == 0
    assert torch.equal(LSTMRule().meta(generator())["lstm1.bias"], meta["lstm1.bias"])


def test_one_step_by_hand_with_cells_of_torch() -> None:
    rule = LSTMRule()
    meta = rule.meta(generator(3))
    x = {"a": torch.tensor([1.0, -2.0], dtype=torch.float64), "b": torch.tensor([[0.5]], dtype=torch.float64)}
    first = torch_cell(meta["lstm1.weight"], meta["lstm1.bias"], 2, 20, 1.0)
    second = torch_cell(meta["lstm2.weight"], meta["lstm2.bias"], 20, 20, 1.0)
    h1, h2 = None, None
    state, flat = rule.init(x), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for _ in range(3):
        h1 = first(log_and_sign(flat), h1)
        h2 = second(h1[0], h2)
        flat = flat + 0.01 * (h2[0] @ meta["linear.weight"]).squeeze(1)
        moved, state = rule.update(x, x, state, meta)
        assert isinstance(moved, dict)
        x = moved
    assert torch.allclose(torch.cat([x["a"], x["b"].reshape(-1)]), flat, rtol=1e-12)
    assert float((flat.detach() - torch.tensor([1.0, -2.0, 0.5])).abs().min()) > 1e-5  # it did move


def test_tasks_together_are_tasks_one_by_one() -> None:
    rule, problem = LSTMRule(), Classification(MLP((16, 4, 10)), load_digits(pool=2))
    meta = rule.meta(generator())
    batch = {name: value[0] for name, value in problem.data.minibatches(1, 16, generator(1)).items()}
    starts = [problem.init(generator(seed)) for seed in range(3)]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}

    def final(x: dict[str, Tensor]) -> Tensor:
        state = rule.init(x)
        for _ in range(3):
            moved, state = rule.update(x, torch.func.grad(problem.loss)(x, batch), state, meta)
            assert isinstance(moved, dict)
            x = moved
        return problem.loss(x, batch)

    together = torch.func.vmap(final)(stacked)
    one_by_one = torch.stack([final(start) for start in starts])
    assert torch.allclose(together, one_by_one, rtol=1e-12)  # batched matrix products add in another order
    assert together.std() > 1e-3


def test_bad_input_is_refused() -> None:
    rule, x = LSTMRule(), torch.ones(2, dtype=torch.float64)
    with pytest.raises(InputError, match="make it with the rule's meta"):
        rule.update(x, x, rule.init(x), {"step_size": torch.tensor(0.1)})
    with pytest.raises(InputError, match="layers >= 1"):
        LSTMRule(layers=0)
    with pytest.raises(InputError, match="inputs and hidden"):
        LSTMCell(0, 1)
