"""The hierarchical optimizer against its formulas, one coordinate after the other in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.learned.l2o_scale import L2OScale

RULE = L2OScale(seed=3)


def trained_like() -> dict[str, Tensor]:
    """Weights none of which is 0, so that every path matters."""
    generator = torch.Generator().manual_seed(8)
    return {
        name: weight + 0.1 * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        for name, weight in RULE.meta(generator).items()
    }


META = trained_like()
START = {"w": torch.tensor([[0.5, -1.0], [2.0, 0.3]], dtype=torch.float64), "b": torch.tensor([1.5]).double()}


def sigmoid(v: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-v))


def gru(w: dict[str, np.ndarray], level: str, x: np.ndarray, h: np.ndarray, bias: np.ndarray) -> np.ndarray:
    n = len(h)
    gates = sigmoid(np.r_[x, h] @ w[f"{level}.gates"] + w[f"{level}.gates_bias"] + bias[: 2 * n])
    r, u = gates[:n], gates[n:]
    c = np.tanh(np.r_[x, r * h] @ w[f"{level}.candidate"] + w[f"{level}.candidate_bias"] + bias[2 * n :])
    return u * h + (1 - u) * c


def by_hand(steps: int, *, swapped: bool = False) -> dict[str, np.ndarray]:
    """f(x) = sum x^2; `swapped` plants a fault, the global state before the tensor's own in the biases."""
    w = {name: weight.numpy() for name, weight in META.items()}
    first = RULE.init(START)["tensors"]
    x = {name: value.numpy().ravel().copy() for name, value in START.items()}
    nu = {name: first[name]["rate"].numpy().ravel().copy() for name in x}
    m = {name: np.zeros((len(v), 4)) for name, v in x.items()}
    q = {name: np.zeros((len(v), 4)) for name, v in x.items()}
    s = {name: np.tile(w["parameter.start"], (len(v), 1)) for name, v in x.items()}
    t, z = {name: w["tensor.start"].copy() for name in x}, w["global.start"].copy()
    for _ in range(steps):
        level = np.concatenate(list(nu.values())).mean()
        for name in x:
            directions, rates, seen = [], [], []
            one, two = (z, t[name]) if swapped else (t[name], z)
            bias = one @ w["parameter.from_tensor"] + w["parameter.from_tensor_bias"]
            bias = bias + two @ w["parameter.from_global"] + w["parameter.from_global_bias"]
            for i, g in enumerate(2 * x[name]):
                b = sigmoid(s[name][i] @ w["decay"] + w["decay_bias"])
                e = sigmoid(s[name][i] @ w["square_decay"] + w["square_decay_bias"])
                for k in range(4):
                    d = b ** (1 / 2**k)
                    m[name][i, k] = d * m[name][i, k] + (1 - d) * g
                    q[name][i, k] = e * q[name][i, k] + (1 - e) * m[name][i, k] ** 2
                a = np.arcsinh(m[name][i] / np.sqrt(q[name][i] + 1e-16))
                logs = np.log(q[name][i] + 1e-16)
                inputs = np.r_[a, a[0] * a[1], a[1] * a[2], a[2] * a[3], logs - logs.mean(), nu[name][i] - level]
                s[name][i] = gru(w, "parameter", inputs, s[name][i], bias)
                seen.append(np.r_[s[name][i], inputs])
                directions.append(s[name][i] @ w["direction"] + a @ w["shortcut"])
                rates.append(np.clip(nu[name][i] + s[name][i] @ w["rate"] + w["rate_bias"], -33, 33))
            t[name] = gru(
                w, "tensor", np.mean(seen, 0), t[name], z @ w["tensor.from_global"] + w["tensor.from_global_bias"]
            )
            direction = np.array(directions) / np.sqrt(np.mean(np.square(directions)) + 1e-16)
            x[name] = x[name] - np.exp(np.array(rates) + w["output_scale"]) * direction
            carry = sigmoid(w["carry"])
            nu[name] = carry * nu[name] + (1 - carry) * np.array(rates)
        z = gru(w, "global", np.mean(list(t.values()), 0), z, np.zeros(60))
    return x


def run(steps: int) -> dict[str, Tensor]:
    x, state = START, RULE.init(START)
    for _ in range(steps):
        x, state = RULE.update(x, {name: 2 * value for name, value in x.items()}, state, META)
    assert isinstance(x, dict)
    return x


def test_number_of_weights() -> None:
    assert sum(weight.numel() for weight in RULE.meta().values()) == 8349


def test_equals_the_formulas_coordinate_by_coordinate() -> None:
    got = {name: value.flatten().tolist() for name, value in run(6).items()}
    slow, planted = by_hand(6), by_hand(6, swapped=True)
    for name, values in got.items():
        # 1e-11: six steps through exponentials and logarithms of numbers near 1e-16
        assert values == pytest.approx(slow[name].tolist(), rel=1e-11)
        assert values != pytest.approx(planted[name].tolist(), rel=1e-9)


def test_untrained_it_steps_downhill_by_its_rate() -> None:
    """With all read-outs 0 but the shortcut's the direction has unit root mean square and the gradient's sign."""
    meta = {**RULE.meta(torch.Generator().manual_seed(0)), "direction": torch.zeros(10, dtype=torch.float64)}
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    state = RULE.init(x)
    moved, _ = RULE.update(x, 2 * x, state, meta)
    rates = torch.exp(state["tensors"][""]["rate"] - 1)
    torch.testing.assert_close(x - moved, rates * torch.sign(x), rtol=1e-6, atol=0)


def test_vmap_and_gradients_in_every_weight() -> None:
    starts = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(3, 2)

    def loss(meta: dict[str, Tensor], start: Tensor) -> Tensor:
        x, state = start, RULE.init(start)
        for _ in range(3):
            x, state = RULE.update(x, 2 * x, state, meta)
        return (x * x).sum()

    together = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(META, starts)
    for name, gradient in together.items():
        alone = torch.stack([torch.func.grad(loss)(META, start)[name] for start in starts])
        torch.testing.assert_close(gradient, alone, rtol=1e-8, atol=1e-12)
        assert bool(alone.isfinite().all())
        assert bool(alone.abs().sum() > 0), name


def test_meta_of_another_rule_is_refused() -> None:
    with pytest.raises(InputError, match="weights of L2O-Scale"):
        RULE.update(START, START, RULE.init(START), {"step_size": torch.tensor(0.1)})


def test_initial_weights() -> None:
    meta = RULE.meta(torch.Generator().manual_seed(0))
    told = {"decay_bias": 2.2, "square_decay_bias": 3.2, "output_scale": -1.0, "carry": 3.2, "shortcut": 0.25}
    told |= {f"{level}.gates_bias": 2.2 for level in ("parameter", "tensor", "global")}
    told |= dict.fromkeys(("decay", "square_decay", "rate", "rate_bias"), 0.0)
    told |= {name: 0.0 for name in meta if name.endswith("bias") and name not in told}
    for name, value in told.items():
        assert bool((meta[name] == value).all()), name
    starts = torch.cat([meta[f"{level}.start"] for level in ("parameter", "tensor", "global")])
    assert 0.9 < float(starts.abs().max()) <= 1  # 50 draws of U(-1, 1)
    drawn = [meta[name] * meta[name].shape[0] ** 0.5 for name in meta if name not in told and "start" not in name]
    together = torch.cat([part.reshape(-1) for part in drawn])
    assert float(together.std()) == pytest.approx(0.5, abs=0.02)  # 0.5/sqrt(2 * 7900) = 0.004 is one sd


def test_initial_rates_are_half_a_number_per_coordinate_plus_half_a_common_one() -> None:
    low, high = math.log(1e-6) / 2, math.log(1e-2) / 2
    common = []
    for seed in range(40):
        rates = L2OScale(seed).init(torch.zeros(4000))["tensors"][""]["rate"]
        assert float(rates.max() - rates.min()) == pytest.approx(high - low, abs=0.02)  # gaps of 4.6/4000 at the ends
        common.append(float(rates.min()) - low)
    assert low - 0.02 < min(common) < low + 1  # 40 draws from an interval of 4.6
    assert high - 1 < max(common) < high + 0.02


def test_gradients_pass_the_clip_of_the_rates() -> None:
    start = torch.zeros(3, dtype=torch.float64)
    state = RULE.init(start)
    state["tensors"][""]["rate"] = torch.full((3,), 40.0, dtype=torch.float64)
    meta = RULE.meta(torch.Generator().manual_seed(0))

    def carried(meta: dict[str, Tensor]) -> Tensor:
        rate: Tensor = RULE.update(start, start + 1, state, meta)[1]["tensors"][""]["rate"]
        return rate.sum()

    share = 1 / (1 + math.exp(-3.2))
    gradient, value = torch.func.grad_and_value(carried)(meta)
    assert float(value) == pytest.approx(3 * (share * 40 + (1 - share) * 33), rel=1e-12)
    assert float(gradient["rate_bias"]) == pytest.approx(3 * (1 - share), rel=1e-12)  # 0 through the clip itself
