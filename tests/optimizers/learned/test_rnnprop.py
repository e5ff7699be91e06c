"""RNNprop against torch's own LSTM cells and Adam's moments written out coordinate by coordinate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from l2o_theory.errors import InputError
from l2o_theory.optimizers.learned.rnnprop import RNNprop

RULE = RNNprop()
META = RULE.meta(torch.Generator().manual_seed(5))


def torch_cell(name: str) -> nn.LSTMCell:
    """torch's cell with our weights: gates i, f, g, o from our i, j, f, o, forget bias 1 added."""
    cell = nn.LSTMCell(20, 20, dtype=torch.float64).requires_grad_(False)
    i, j, f, o = META[f"{name}.weight"].chunk(4, 1)
    bi, bj, bf, bo = META[f"{name}.bias"].chunk(4)
    weight = torch.cat([i, f, j, o], 1).T
    cell.weight_ih.copy_(weight[:, :20])
    cell.weight_hh.copy_(weight[:, 20:])
    cell.bias_ih.copy_(torch.cat([bi, bf + 1, bj, bo]))
    cell.bias_hh.zero_()
    return cell


def by_hand(start: list[float], steps: int, scale: float = 0.01) -> list[float]:
    """f(x) = sum x^2, one coordinate after the other."""
    cells = [torch_cell("lstm1"), torch_cell("lstm2")]
    ends = []
    for value in start:
        x, m, v = value, 0.0, 0.0
        memory = [(torch.zeros(1, 20, dtype=torch.float64),) * 2 for _ in cells]
        for t in range(1, steps + 1):
            g = 2 * x
            m, v = 0.95 * m + 0.05 * g, 0.95 * v + 0.05 * g * g
            below = math.sqrt(v / (1 - 0.95**t)) + 1e-8
            signal = torch.tensor([[m / (1 - 0.95**t) / below, g / below]], dtype=torch.float64)
            signal = nn.functional.elu(signal @ META["input.weight"] + META["input.bias"])
            for index, cell in enumerate(cells):
                memory[index] = cell(signal, memory[index])
                signal = memory[index][0]
            x += scale * math.tanh(float(signal @ META["linear.weight"] + META["linear.bias"]))
        ends.append(x)
    return ends


def run(start: Tensor, steps: int) -> Tensor:
    x, state = start, RULE.init(start)
    for _ in range(steps):
        x, state = RULE.update(x, 2 * x, state, META)
    assert isinstance(x, Tensor)
    return x


def test_number_of_weights() -> None:
    assert sum(weight.numel() for weight in META.values()) == 6641


def test_equals_torch_cells_coordinate_by_coordinate() -> None:
    start = [1.5, -0.3, 1e-6]
    got = run(torch.tensor(start, dtype=torch.float64), 12).tolist()
    # 1e-12: twelve steps of small matrix products in float64
    assert got == pytest.approx(by_hand(start, 12), rel=1e-12)
    assert got != pytest.approx(by_hand(start, 12, scale=0.1), rel=1e-3)  # planted: the other paper's scale


def test_finite_derivative_where_all_gradients_vanish() -> None:
    start = torch.tensor([1.0, 0.0], dtype=torch.float64)

    def end(x: Tensor) -> Tensor:
        return run(x, 3).square().sum()

    assert bool(torch.func.grad(end)(start).isfinite().all())
    naive = torch.func.grad(lambda x: (x / (x.square().sqrt() + 1e-8)).sum())(start)
    assert bool(naive.isnan().any())  # planted: sqrt without the safe root


def test_scale_of_the_gradients_does_not_matter() -> None:
    """Adam's directions are scale-free, so c f gives the same run as f, up to the 1e-8 beside the root."""
    x = torch.tensor([0.7, -1.1], dtype=torch.float64)
    state = RULE.init(x)
    once, _ = RULE.update(x, 2 * x, state, META)
    scaled, _ = RULE.update(x, 2000 * x, state, META)
    torch.testing.assert_close(once, scaled, rtol=0, atol=1e-9)


def test_meta_of_another_rule_is_refused() -> None:
    x = torch.ones(1, dtype=torch.float64)
    with pytest.raises(InputError, match=r"meta must hold input\.weight"):
        RULE.update(x, x, RULE.init(x), {"step_size": torch.tensor(0.1)})


def test_initial_weights() -> None:
    for name, fan_in in (("input.weight", 2), ("lstm1.weight", 40), ("lstm2.weight", 40), ("linear.weight", 20)):
        scaled = META[name] * fan_in**0.5
        assert float(scaled.abs().max()) <= 2  # cut at two standard deviations
        assert float(scaled.std()) == pytest.approx(0.88, abs=0.3)  # 20 weights or more: one sd is 0.14
    assert not META["input.bias"].any()
    assert not META["linear.bias"].any()
