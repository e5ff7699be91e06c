"""StepSizeNetwork: one coordinate at a time in plain Python, exact start, input order, features, bad input."""

from __future__ import annotations

import math

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers import initialization
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import formula_given, program_law


def drawn(*widths: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    return tuple(w.double() for w in initialization.gaussian((2, *widths, 1), seed=seed))


def by_hand(weights: tuple[torch.Tensor, ...], first: float, second: float) -> float:
    """P at one coordinate, in Python numbers."""
    layer = [first, second]
    for number, weight in enumerate(weights, 1):
        layer = [sum(w * v for w, v in zip(row, layer, strict=True)) for row in weight.tolist()]
        if number < len(weights):
            layer = [max(v, 0.0) for v in layer]
    return 2 / (1 + math.exp(-layer[0]))


@pytest.mark.parametrize("widths", [(3,), (2, 5), (4, 3, 2)])
@pytest.mark.parametrize("order", ["xg", "gx"])
def test_the_factors_are_those_of_each_coordinate_by_hand(widths: tuple[int, ...], order: str) -> None:
    weights, programs = drawn(*widths), formula_given(2, 3, 4)
    network = StepSizeNetwork(weights, order=order, step_size=programs.step_sizes)  # type: ignore[arg-type]
    x = programs.start
    g = programs.gradient(x)
    moved, state = network.update(x, g, network.init(x), network.meta)
    assert state == ()
    swapped_differs = False
    for n in range(2):
        for i in range(4):
            pair = (float(x[n, i]), float(g[n, i]))
            p = by_hand(weights, *(pair if order == "xg" else pair[::-1]))
            assert float(network.factors(x, g)[n, i]) == pytest.approx(p, rel=1e-13)
            expected = float(x[n, i]) - float(programs.step_sizes[n, 0]) * p * float(g[n, i])
            assert float(moved[n, i]) == pytest.approx(expected, rel=1e-12)
            swapped_differs |= abs(by_hand(weights, *pair) - by_hand(weights, *pair[::-1])) > 1e-6
    assert swapped_differs  # planted: the other input order


def test_a_zero_last_layer_is_gradient_descent_to_the_bit() -> None:
    for programs in (program_law(32, 25, 32), formula_given(2, 3, 4)):
        weights = initialization.orthogonal((2, 2, 64, 1), 50.0, dtype=programs.matrices.dtype)
        network = StepSizeNetwork(weights, step_size=programs.step_sizes)
        nearly = network.with_weights((*weights[:-1], weights[-1] + 1e-4))  # planted: a last layer that is not 0
        x = y = z = programs.init()
        for _ in range(20):
            x, _ = network.update(x, programs.gradient(x), (), network.meta)
            z, _ = nearly.update(z, programs.gradient(z), (), nearly.meta)
            y = y - programs.step_sizes * programs.gradient(y)
        assert torch.equal(x, y)
        assert not torch.equal(z, y)


def test_full_features_are_differentiated_and_detached_ones_are_not() -> None:
    programs = formula_given(2, 3, 4)
    weights = drawn(2, 5)

    def loss(network: StepSizeNetwork, meta: dict[str, torch.Tensor]) -> torch.Tensor:
        x = programs.init()
        for _ in range(3):
            x, _ = network.update(x, programs.gradient(x), (), meta)
        return programs.loss(x)

    gradients = {}
    for features in ("full", "detached"):
        network = StepSizeNetwork(weights, features=features, step_size=programs.step_sizes)  # type: ignore[arg-type]
        gradients[features] = torch.func.grad(lambda meta, n=network: loss(n, meta))(network.meta)
    step, place = 1e-6, (0, 1)
    network = StepSizeNetwork(weights, features="full", step_size=programs.step_sizes)
    for name, weight in network.meta.items():
        nudge = torch.zeros_like(weight)
        nudge[place if weight.shape[0] > 0 else 0] = step
        up, down = ({**network.meta, name: weight + sign * nudge} for sign in (1, -1))
        difference = float(loss(network, up) - loss(network, down)) / (2 * step)
        # central differences in float64: truncation 1e-12, rounding 1e-16/1e-6
        assert float(gradients["full"][name][place]) == pytest.approx(difference, rel=1e-6, abs=1e-9)
        assert not torch.allclose(gradients["full"][name], gradients["detached"][name], rtol=1e-3)


def test_softplus_is_the_smooth_variant() -> None:
    network = StepSizeNetwork(drawn(3), 1.0, activation="softplus")
    x, g = torch.tensor([0.3], dtype=torch.float64), torch.tensor([-0.2], dtype=torch.float64)
    layer = [math.log1p(math.exp(0.3 * row[0] - 0.2 * row[1])) for row in network.weights[0].tolist()]
    a = sum(w * v for w, v in zip(network.weights[1][0].tolist(), layer, strict=True))
    assert float(network.factors(x, g)) == pytest.approx(2 / (1 + math.exp(-a)), rel=1e-12)


def test_bad_networks_are_refused() -> None:
    good = drawn(3, 4)
    for weights, message in (
        (good[:1], "at least two matrices"),
        ((), "at least two matrices"),
        ((good[0], good[2]), "must chain"),
        ((good[0].T, *good[1:]), "must chain"),
        ((torch.zeros(0, 2), torch.zeros(1, 0)), "widths >= 1"),
        ((good[0] * float("nan"), *good[1:]), "finite"),
    ):
        with pytest.raises(InputError, match=message):
            StepSizeNetwork(weights, 1.0)
    for step in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="positive and finite"):
            StepSizeNetwork(good, step_size=step)
    for options in ({"order": "yx"}, {"features": "half"}, {"activation": "tanh"}):
        with pytest.raises(InputError, match="must be one of"):
            StepSizeNetwork(good, 1.0, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="as tensors"):
        StepSizeNetwork(good, 1.0).update({"x": good[0]}, good[0], (), {})


def test_the_rule_moves_to_other_programs_with_their_steps() -> None:
    first, second = formula_given(2, 3, 4), formula_given(3, 2, 5)
    network = StepSizeNetwork(drawn(3), first.step_sizes, order="gx").on(second)
    assert network.step_size is second.step_sizes
    assert network.order == "gx"
    assert network.widths == (2, 3, 1)
