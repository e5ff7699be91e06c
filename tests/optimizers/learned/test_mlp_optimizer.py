"""The perceptron optimizer against its formulas written out coordinate by coordinate in plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.learned.mlp_optimizer import DECAYS, TIME_SCALES, MLPOptimizer

RULE = MLPOptimizer()
START = {"w": [[0.5, -1.0, 2.0], [0.25, 0.0, -0.75]], "b": [1.5]}


def gradient(value: float, step: int) -> float:
    """Something smooth that changes along the run."""
    return math.sin(3 * value + step) + 0.1 * value


class Scalar:
    """One coordinate of the rule: its value and its ten averages."""

    def __init__(self, value: float) -> None:
        self.value, self.mean, self.square = value, [0.0] * len(DECAYS), [0.0] * len(DECAYS)

    def own_features(self, g: float) -> list[float]:
        self.mean = [d * m + (1 - d) * g for d, m in zip(DECAYS, self.mean, strict=True)]
        self.square = [d * s + (1 - d) * g * g for d, s in zip(DECAYS, self.square, strict=True)]
        inverse = [1 / math.sqrt(s + 1e-6) for s in self.square]
        scaled = [m * i for m, i in zip(self.mean, inverse, strict=True)]
        return [g, *self.mean, *self.square, *inverse, *scaled, self.value]


def by_hand(tensor: list[float], weights: dict[str, list], steps: int, *, normalised: bool = True) -> list[float]:
    """`steps` updates of one tensor given as the list of its entries."""
    scalars = [Scalar(value) for value in tensor]
    for t in range(1, steps + 1):
        rows = [s.own_features(gradient(s.value, t)) for s in scalars]
        mean_square = [sum(row[j] ** 2 for row in rows) / len(rows) for j in range(22)]
        for scalar, row in zip(scalars, rows, strict=True):
            inputs = [v / math.sqrt(1e-5 + q) if normalised else v for v, q in zip(row, mean_square, strict=True)]
            inputs += [math.tanh(t / k - 1) for k in TIME_SCALES]
            hidden = [
                max(0.0, u + sum(i * w[h] for i, w in zip(inputs, weights["hidden_weight"], strict=True)))
                for h, u in enumerate(weights["hidden_bias"])
            ]
            out = [
                v + sum(z * w[o] for z, w in zip(hidden, weights["output_weight"], strict=True))
                for o, v in enumerate(weights["output_bias"])
            ]
            scalar.value -= 0.001 * out[0] * math.exp(0.001 * out[1])
    return [s.value for s in scalars]


def run(weights: dict[str, Tensor], steps: int) -> dict[str, Tensor]:
    params = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    state = RULE.init(params)
    for t in range(1, steps + 1):
        grads = {name: torch.sin(3 * x + t) + 0.1 * x for name, x in params.items()}
        params, state = RULE.update(params, grads, state, weights)
    return params


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return RULE.meta(torch.Generator().manual_seed(1), dtype=torch.float64)


def test_number_of_weights(weights: dict[str, Tensor]) -> None:
    assert sum(w.numel() for w in weights.values()) == 1090
    assert {name for name, w in weights.items() if bool((w == 0.1).all())} == {"hidden_bias", "output_bias"}


def test_equals_the_formulas_coordinate_by_coordinate(weights: dict[str, Tensor]) -> None:
    lists = {name: w.tolist() for name, w in weights.items()}
    got = run(weights, steps=7)
    flat = [value for row in START["w"] for value in row]
    for name, entries in (("w", flat), ("b", START["b"])):
        # 1e-12: seven steps of sums of about 40 terms in float64
        assert got[name].flatten().tolist() == pytest.approx(by_hand(entries, lists, 7), rel=1e-12, abs=1e-14)
    planted = by_hand(flat, lists, 7, normalised=False)
    assert got["w"].flatten().tolist() != pytest.approx(planted, rel=1e-6)


def test_a_tensor_is_normalised_on_its_own(weights: dict[str, Tensor]) -> None:
    """Scaling one tensor's start leaves the other tensor's run as it was; joining both in one tensor does not."""
    params = {name: torch.tensor(value, dtype=torch.float64).flatten() for name, value in START.items()}
    grads = {name: x + 1 for name, x in params.items()}
    alone, _ = RULE.update(params, grads, RULE.init(params), weights)
    scaled = {**params, "w": 10 * params["w"]}
    beside, _ = RULE.update(scaled, {**grads, "w": 7 * grads["w"]}, RULE.init(scaled), weights)
    assert torch.equal(alone["b"], beside["b"])
    joined = torch.cat([params["w"], params["b"]])
    mixed, _ = RULE.update(joined, joined + 1, RULE.init(joined), weights)
    assert not torch.allclose(mixed[-1:], alone["b"], rtol=1e-9)  # planted fault: one normalisation for all


def test_vmap_over_tasks_and_grad_in_the_weights(weights: dict[str, Tensor]) -> None:
    starts = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)

    def loss(w: dict[str, Tensor], start: Tensor) -> Tensor:
        x, state = start, RULE.init(start)
        for _ in range(3):
            x, state = RULE.update(x, 2 * x, state, w)
        return (x * x).sum()

    batched = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, starts)
    single = [torch.func.grad(loss)(weights, start) for start in starts]
    for name in weights:
        looped = torch.stack([g[name] for g in single])
        # batched and single matrix products sum in another order
        torch.testing.assert_close(batched[name], looped, rtol=1e-9, atol=1e-12)
        assert bool(looped.abs().sum() > 0)


def test_meta_must_be_weights() -> None:
    x = torch.ones(2)
    with pytest.raises(InputError, match="dict of weights"):
        RULE.update(x, x, RULE.init(x), torch.tensor(0.1))
