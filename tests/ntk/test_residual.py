"""The kernel of an unroll by three routes, and against the formula at initialisation in exact rationals."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ntk_cases import case, plain_jacobian
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.ntk.network import Angular, Dense, Layer
from l2o_theory.ntk.residual import add_layer, closed_form, residual_ntk
from l2o_theory.ntk.unroll import unroll

WIDTHS = [(16,), (2, 60), (5, 7), (3, 2, 50), (4, 3, 5)]
PLENTY = 1 << 30


def error(found: Tensor, wanted: Tensor) -> float:
    """Largest deviation over the largest eigenvalue."""
    return float((found - wanted).abs().max() / torch.linalg.eigvalsh(wanted)[-1])


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("mode", ["full", "detached"])
@pytest.mark.parametrize(("activation", "order"), [("relu", "gx"), ("softplus", "xg")])
def test_three_routes_agree(widths: tuple[int, ...], mode: str, activation: str, order: str) -> None:
    network, problem = case(3, 3, 4, widths, activation=activation, order=order, seed=1)
    jacobian = plain_jacobian(network, problem, 5, mode)
    wanted = jacobian @ jacobian.T
    closed = residual_ntk(network, problem, 5, method="closed_form", features=mode)
    by_rows = residual_ntk(network, problem, 5, method="jacobian", features=mode)
    operator: Any = residual_ntk(network, problem, 5, method="matrix_free", features=mode)
    # the bar is 1e-10; what is seen is 1e-15
    assert error(closed, wanted) < 1e-13  # type: ignore[arg-type]
    assert error(by_rows, wanted) < 1e-13  # type: ignore[arg-type]
    assert error(torch.from_numpy(operator @ np.eye(9)), wanted) < 1e-13
    vector = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(operator.rmatvec(vector), operator @ vector)  # the same product: K is symmetric


def test_the_modes_have_different_kernels() -> None:
    network, problem = case(3, 3, 4, (2, 60), seed=1)
    full, detached = (residual_ntk(network, problem, 5, features=mode) for mode in ("full", "detached"))
    assert error(full, detached) > 1e-3  # type: ignore[arg-type]  # the planted fault: features detached by mistake


def test_the_formula_at_initialisation_in_rationals() -> None:
    # section 6.2: J = -(1/2) SUM_t (I - tau M M^T)^{T-t} M D(tau g_{t-1}) G_t^T for W_L = 0; every number dyadic
    matrix, target, start = [[1, Fraction(1, 2)]], [Fraction(3, 4)], [Fraction(1, 4), Fraction(-1)]
    units = [[1, 2], [-1, Fraction(1, 2)], [Fraction(1, 2), -3]]
    tau, steps = Fraction(1, 2), 3
    x, rows = start, []
    curvature = 1 - tau * sum(m * m for m in matrix[0])
    for t in range(1, steps + 1):
        r = sum(m * v for m, v in zip(matrix[0], x, strict=True)) - target[0]
        g = [m * r for m in matrix[0]]
        features = [[max(u[0] * a + u[1] * b, 0) for u in units] for a, b in zip(x, g, strict=True)]
        scale = [-Fraction(1, 2) * curvature ** (steps - t) * m * tau * b for m, b in zip(matrix[0], g, strict=True)]
        rows.append([sum(s * f[j] for s, f in zip(scale, features, strict=True)) for j in range(3)])
        x = [a - tau * b for a, b in zip(x, g, strict=True)]
    jacobian = [sum(column) for column in zip(*rows, strict=True)]
    exact = sum(value * value for value in jacobian)

    def tensor(values: Any) -> Tensor:
        return torch.tensor(np.array(values, dtype=float))

    network = SimpleNamespace(
        weights=[tensor(units), torch.zeros(1, 3).double()],
        step_size=float(tau),
        order="xg",
        features="full",
        activation="relu",
    )
    problem = SimpleNamespace(matrices=tensor([matrix]), targets=tensor([target]), start=tensor([start]))
    for method in ("closed_form", "jacobian"):
        kernel: Any = residual_ntk(network, problem, steps, method=method)
        assert float(kernel) == pytest.approx(float(exact), rel=1e-15)


def test_angular_and_dense_networks_have_the_same_kernel() -> None:
    for mode in ("full", "detached"):
        network, problem = case(2, 6, 8, (2, 300), seed=2)
        runs = [unroll(network, problem, 6, features=mode, evaluation=kind) for kind in ("angular", "dense")]
        assert isinstance(runs[0].network, Angular)
        assert isinstance(runs[1].network, Dense)
        angular, dense = (closed_form(run, PLENTY) for run in runs)
        assert error(angular, dense) < 1e-13


def test_dead_units_and_dead_inputs() -> None:
    # a first layer that sends most inputs to 0 or an axis, and units without a direction
    network, problem = case(2, 3, 4, (2, 60), seed=3)
    network.weights[0] = torch.tensor([[-1.0, 0.0], [0.0, 1.0]]).double()
    network.weights[1][::3] = 0
    jacobian = plain_jacobian(network, problem, 4, "full")
    assert error(residual_ntk(network, problem, 4, features="full"), jacobian @ jacobian.T) < 1e-13  # type: ignore[arg-type]


def test_both_ways_to_add_a_layer_agree() -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for out, width in [(1, 5), (40, 60)]:  # few parameters: through J; many: through the Gram matrices of the points
        q, slopes, inputs = normal(2, 3, 4), normal(8, out), normal(8, width)
        jacobian = torch.einsum("nri,nij,nik->nrjk", q, slopes.view(2, 4, -1), inputs.view(2, 4, -1)).reshape(6, -1)
        for allowed in (PLENTY, 1000):  # in one piece and in blocks
            kernel = torch.zeros(6, 6).double()
            add_layer(kernel, q, Layer(slopes, inputs), allowed)
            torch.testing.assert_close(
                kernel, jacobian @ jacobian.T, rtol=1e-12, atol=1e-12
            )  # sums of 100s of products


def test_what_does_not_fit_is_refused_with_its_size() -> None:
    network, problem = case(2, 3, 4, (5, 4))
    with pytest.raises(InputError, match=r"6 rows needs .* MB.*matrix_free"):
        residual_ntk(network, problem, 3, memory=100)
    with pytest.raises(InputError, match=r"closed form .*matrix_free"):
        residual_ntk(network, problem, 3, memory=1000)
    with pytest.raises(InputError, match=r"Jacobian of 6 x 34 .*closed_form"):
        residual_ntk(network, problem, 3, method="jacobian", memory=1000)
    with pytest.raises(InputError, match="positive number of bytes"):
        residual_ntk(network, problem, 3, memory=0)
    with pytest.raises(InputError, match="method"):
        residual_ntk(network, problem, 3, method="fast")
