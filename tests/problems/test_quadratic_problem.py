from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.problems import Quadratic


def test_the_loss_is_that_of_exact_rationals() -> None:
    curvature, x, centre = [Fraction(1), Fraction(1, 4)], [Fraction(3), Fraction(-2)], [Fraction(1, 2), Fraction(1)]
    exact = sum(a * (p - c) ** 2 for a, p, c in zip(curvature, x, centre, strict=True)) / 2
    problem = Quadratic([float(a) for a in curvature], minimiser=[float(c) for c in centre])
    assert problem.loss(torch.tensor([float(p) for p in x], dtype=torch.float64)).item() == float(exact)  # dyadic


def test_a_matrix_and_its_eigenvalues_are_one_quadratic() -> None:
    generator = torch.Generator().manual_seed(1)
    q, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))
    eigenvalues = torch.tensor([0.5, 1.0, 4.0], dtype=torch.float64)
    matrix = q @ torch.diag(eigenvalues) @ q.T
    matrix = (matrix + matrix.T) / 2
    full, diagonal = Quadratic(matrix), Quadratic(eigenvalues)
    x = torch.randn(3, dtype=torch.float64, generator=generator)
    # a dozen roundings
    assert full.loss(x).item() == pytest.approx(diagonal.loss(q.T @ x).item(), rel=1e-13)
    assert full.constants.smoothness == pytest.approx(4.0, rel=1e-13)
    assert full.constants.strong_convexity == pytest.approx(0.5, rel=1e-13)


def test_the_constants_hold() -> None:
    problem = Quadratic([2.0, 0.5], minimiser=[1.0, -1.0])
    known = problem.constants
    assert isinstance(known.minimiser, torch.Tensor)
    gradient = torch.func.grad(problem.loss)
    assert torch.equal(gradient(known.minimiser), torch.zeros(2, dtype=torch.float64))
    assert problem.loss(known.minimiser).item() == known.optimum
    hessian = torch.linalg.eigvalsh(torch.func.jacrev(gradient)(torch.zeros(2, dtype=torch.float64)))
    assert (hessian[0].item(), hessian[-1].item()) == (known.strong_convexity, known.smoothness)
    assert known.smoothness != 1.0  # planted: the other convention, f without the half, would give 4


def test_tasks_travel_in_the_batch() -> None:
    problem = Quadratic([1.0, 1.0])
    curvatures = torch.tensor([[1.0, 2.0], [3.0, 0.0]], dtype=torch.float64)
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert torch.func.vmap(problem.loss, (None, 0))(x, curvatures).tolist() == [4.5, 1.5]


def test_starts_are_given_or_seeded() -> None:
    assert Quadratic([1, 2], start=[3, 4]).init().tolist() == [3.0, 4.0]
    draws = [Quadratic([1.0, 2.0]).init(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curvature": [1.0, float("nan")]}, "finite"),
        ({"curvature": []}, "entries"),
        ({"curvature": [1.0, -0.1]}, "positive semidefinite"),
        ({"curvature": torch.tensor([[1.0, 0.5], [0.0, 1.0]])}, "symmetric"),
        ({"curvature": [1.0], "start": [1.0, 2.0]}, "start must have shape"),
        ({"curvature": ["a"]}, "numbers"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Quadratic(**arguments)  # type: ignore[arg-type]
