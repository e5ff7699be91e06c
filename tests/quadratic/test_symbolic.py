"""SymPy expressions and automatic differentiation: the same derivatives by two machines."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
import torch
from slow_reference import call

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic, symbolic

NAMES = {"F": "loss", "F'": "final", "F''": "curvature", "G'": "log_final", "G''": "log_curvature"}


@pytest.mark.parametrize("dimension", [1, 2, 4])
@pytest.mark.parametrize("steps", [1, 6, 30])
def test_expressions_with_symbols_evaluate_to_the_analyzer(dimension: int, steps: int) -> None:
    rng = np.random.default_rng(dimension)
    eigenvalues, weights = rng.uniform(0.5, 2, dimension), rng.random(dimension)
    quadratic, expressions = Quadratic(eigenvalues, weights), symbolic(dimension)
    values = {expressions.step_size: sympy.Float(0.83, 40), expressions.steps: steps}
    values |= dict(zip(expressions.eigenvalues, [sympy.Float(v, 40) for v in eigenvalues], strict=True))
    values |= dict(zip(expressions.weights, [sympy.Float(v, 40) for v in weights], strict=True))
    for name, quantity in NAMES.items():
        expected = float(expressions[name].subs(values).evalf(30))
        assert call(quadratic, quantity, 0.83, steps) == pytest.approx(expected, rel=1e-10), name
    assert quadratic.log_loss(0.83, steps) / steps == pytest.approx(float(expressions["G"].subs(values)), rel=1e-10)


def test_of_an_instance_it_is_exact() -> None:
    expressions = Quadratic(["2", "1", "1"], ["1/3", "1/3", "1/3"]).symbolic()
    assert len(expressions.eigenvalues) == 2  # copies merged
    at = expressions["F'"].subs({expressions.steps: 1, expressions.step_size: sympy.Rational(1, 2)})
    assert at == -sympy.Rational(1, 3)
    root = sympy.solve(expressions["F'"].subs(expressions.steps, 1), expressions.step_size)
    assert root == [sympy.Rational(3, 5)]


def test_derivatives_belong_to_their_functions() -> None:
    expressions = symbolic(2)
    numbers = dict(
        zip([*expressions.eigenvalues, *expressions.weights, expressions.steps], [2, 1, 1, 3, 4], strict=True)
    )
    functions = {
        name: sympy.lambdify(expressions.step_size, expression.subs(numbers), "mpmath")
        for name, expression in expressions.expressions.items()
    }
    with mpmath.workdps(40):
        for name in ("F", "F'", "G", "G'"):
            numerical = mpmath.diff(functions[name], mpmath.mpf("0.7"))
            assert abs(functions[name + "'"](mpmath.mpf("0.7")) / numerical - 1) < 1e-12
            assert abs(functions[name](mpmath.mpf("0.7")) / numerical - 1) > 1e-3  # not its own derivative


@pytest.mark.parametrize("dimension", [0, -1, 1.5, True])
def test_dimension_is_checked(dimension: object) -> None:
    with pytest.raises(InputError, match="dimension must be an integer"):
        symbolic(dimension)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="2 entries, got 1"):
        symbolic(2, weights=[1])


@pytest.mark.parametrize("steps", [1, 4, 30])
@pytest.mark.parametrize("eta", [0.3, 1.1, 1.6])
def test_autograd_through_the_unroll(steps: int, eta: float) -> None:
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    matrix = basis @ np.diag([1.7, 1.0, 0.4, 0.2]) @ basis.T
    matrix, start = (matrix + matrix.T) / 2, rng.normal(size=4)
    quadratic = Quadratic.from_matrix(matrix, start)

    def loss(step_size: torch.Tensor) -> torch.Tensor:
        h, w = torch.tensor(matrix), torch.tensor(start)
        for _ in range(steps):
            w = w - step_size * (h @ w)
        return 0.5 * w @ h @ w

    variable = torch.tensor(eta, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(loss(variable), variable, create_graph=True)[0]
    second = torch.autograd.grad(first, variable)[0]
    log_first = torch.autograd.grad(loss(variable).log() / steps, variable)[0]
    # 30 rounded matrix products, and eigh: a few hundred units in the last place.
    assert quadratic.loss(eta, steps) == pytest.approx(loss(variable).item(), rel=1e-11)
    assert quadratic.meta_gradient(eta, steps) == pytest.approx(first.item(), rel=1e-11)
    assert quadratic.meta_curvature(eta, steps) == pytest.approx(second.item(), rel=1e-11)
    assert quadratic.meta_gradient(eta, steps, "log_final") == pytest.approx(log_first.item(), rel=1e-11)

    def detached(step_size: torch.Tensor) -> torch.Tensor:  # planted fault: inner gradients as constants
        h, w = torch.tensor(matrix), torch.tensor(start)
        for _ in range(steps):
            w = w - step_size * (h @ w).detach()
        return 0.5 * w @ h @ w

    wrong = torch.autograd.grad(detached(variable), variable)[0].item()
    assert steps == 1 or abs(wrong / quadratic.meta_gradient(eta, steps) - 1) > 1e-3
