"""Starts: what each guarantees, and e as a learning-rate multiplier."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers.initialization import equivalent_rates, gaussian, guarantees, nonnegative, orthogonal
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import formula_given

WIDTHS = (2, 2, 16, 1)


def test_the_programs_start_has_orthogonal_hidden_layers_of_size_e() -> None:
    found = guarantees(orthogonal(WIDTHS, 50.0, dtype=torch.float64))
    assert found.starts_at_gradient_descent
    assert not found.is_nonnegative
    assert found.smallest == pytest.approx((50, 50), rel=1e-6)  # drawn in float32
    assert found.largest == pytest.approx((50, 50), rel=1e-6)


def test_taking_absolute_values_destroys_orthogonality_but_not_the_start() -> None:
    found = guarantees(nonnegative((2, 4, 16, 1), 50.0))
    assert found.starts_at_gradient_descent
    assert found.is_nonnegative
    assert max(found.largest) > 55
    assert min(found.smallest) < 45
    assert [tuple(w.shape) for w in nonnegative((2, 16, 3, 1))] == [(16, 2), (3, 16), (1, 3)]


def test_a_gaussian_last_layer_guarantees_nothing() -> None:
    assert not guarantees(gaussian(WIDTHS)).starts_at_gradient_descent


def test_starts_depend_on_their_seed_alone() -> None:
    for start in (orthogonal, nonnegative, gaussian):
        assert all(map(torch.equal, start(WIDTHS, seed=3), start(WIDTHS, seed=3)))
        assert not torch.equal(start(WIDTHS, seed=3)[0], start(WIDTHS, seed=4)[0])


def trained(weights: Sequence[torch.Tensor], rates: Sequence[float], steps: int = 50) -> list[torch.Tensor]:
    """Plain autograd through three inner steps, plain descent with one rate per layer."""
    programs = formula_given(2, 3, 4)
    network = StepSizeNetwork(tuple(weights), step_size=programs.step_sizes)
    losses, meta = [], network.meta
    for _ in range(steps):

        def loss(meta: dict[str, torch.Tensor]) -> torch.Tensor:
            x = programs.init()
            for _ in range(3):
                x, _ = network.update(x, programs.gradient(x), (), meta)
            return programs.loss(x)

        gradient, value = torch.func.grad_and_value(loss)(meta)
        losses.append(value)
        meta = {name: w - rate * gradient[name] for (name, w), rate in zip(meta.items(), rates, strict=True)}
    return losses


@pytest.mark.parametrize("widths", [(2, 16, 1), WIDTHS, (2, 4, 5, 6, 1)])
def test_the_expansion_is_a_learning_rate_multiplier(widths: tuple[int, ...]) -> None:
    scale, layers = 3.0, len(widths) - 1
    rate = 0.5 / scale ** (2 * (layers - 1))
    expanded = trained(orthogonal(widths, scale, dtype=torch.float64), [rate] * layers)
    plain = trained(orthogonal(widths, 1.0, dtype=torch.float64), equivalent_rates(rate, scale, layers))
    # float32 draws times 3 differ from the draws in the last float32 bit: the identity is tested on multiples
    exact = trained([scale * w for w in orthogonal(widths, 1.0, dtype=torch.float64)], [rate] * layers)
    assert float(exact[-1]) < 0.99 * float(exact[0])  # something was learned
    assert torch.stack(exact).tolist() == pytest.approx(torch.stack(plain).tolist(), rel=1e-12)
    assert torch.stack(expanded).tolist() == pytest.approx(torch.stack(plain).tolist(), rel=1e-5)
    wrong = equivalent_rates(rate, scale, layers + 1)[1:]  # planted: one power of e^2 too many for the last layer
    assert float(trained(orthogonal(widths, 1.0, dtype=torch.float64), wrong)[-1]) != pytest.approx(
        float(plain[-1]), rel=1e-6
    )


def test_bad_starts_are_refused() -> None:
    for start in (orthogonal, nonnegative, gaussian):
        for widths in ((2, 1), (3, 4, 1), (2, 4, 2), (2, 0, 1)):
            with pytest.raises(InputError, match="widths must be"):
                start(widths)
        for scale in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(InputError, match="expansion e"):
                start(WIDTHS, scale)
    with pytest.raises(InputError, match="layers >= 2"):
        equivalent_rates(0.1, 2.0, 1)
