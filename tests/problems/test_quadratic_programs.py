"""Least-squares programs: formulas against one instance at a time in numpy and fractions, laws, bad input."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from l2o_theory.errors import InputError
from l2o_theory.problems.quadratic_programs import (
    LongStepWarning,
    QuadraticPrograms,
    formula_given,
    least_squares_programs,
    paper_law,
    program_law,
)

SIZES = [(1, 2, 4), (2, 3, 4), (4, 24, 32), (3, 4, 4)]


def fraction(n: int, i: int, j: int) -> Fraction:
    return Fraction(((i + 2) * (j + 3) ** 2 + (n + 1) * (3 * i + 5 * j)) % 127 - 63, 64)


def test_the_loss_and_gradient_of_formula_given_programs_in_exact_fractions() -> None:
    programs = formula_given(2, 3, 4)
    total = Fraction(0)
    for n in range(2):
        x = [Fraction((n + 2 * j) % 3 - 1, 4) for j in range(4)]
        y = [Fraction((2 * n + 3 * i) % 5 - 2, 4) for i in range(3)]
        r = [sum(fraction(n, i, j) * x[j] for j in range(4)) - y[i] for i in range(3)]
        total += sum(v * v for v in r) / 2
        gradient = [sum(fraction(n, i, j) * r[i] for i in range(3)) for j in range(4)]
        assert programs.gradient(programs.start)[n].tolist() == [float(v) for v in gradient]  # dyadic: no rounding
    assert float(programs.loss(programs.init())) == float(total)


@pytest.mark.parametrize("sizes", SIZES)
def test_gradient_is_that_of_the_loss_and_constants_are_those_of_the_stack(sizes: tuple[int, int, int]) -> None:
    programs = formula_given(*sizes)
    x = torch.randn(sizes[0], sizes[2], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(torch.func.grad(programs.loss)(x), programs.gradient(x), rtol=1e-12, atol=1e-12)
    stack = np.zeros((sizes[0] * sizes[1], sizes[0] * sizes[2]))
    for n, matrix in enumerate(programs.matrices.numpy()):
        stack[n * sizes[1] : (n + 1) * sizes[1], n * sizes[2] : (n + 1) * sizes[2]] = matrix
    rows = np.linalg.eigvalsh(stack @ stack.T)  # a second route: eigenvalues of the whole block-diagonal matrix
    assert programs.beta == pytest.approx(rows[-1], rel=1e-12)
    assert programs.beta_0 == pytest.approx(rows[0], rel=1e-9)  # eigenvalues of M M^T lose half the digits
    assert programs.has_full_row_rank
    constants = programs.constants
    assert constants.smoothness == programs.beta
    assert constants.optimum == pytest.approx(0, abs=1e-20)  # full row rank: the targets are met
    assert constants.strong_convexity == pytest.approx(np.linalg.eigvalsh(stack.T @ stack)[0], abs=1e-12)


def test_programs_that_cannot_be_solved_exactly_know_it() -> None:
    matrix = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]], dtype=torch.float64)
    programs = least_squares_programs(matrix, torch.tensor([[1.0, -1.0]], dtype=torch.float64))
    assert not programs.has_full_row_rank
    assert programs.constants.optimum == pytest.approx(1.0)
    tall = least_squares_programs(torch.ones(1, 3, 2), torch.ones(1, 3))
    assert tall.beta_0 == 0.0
    assert not tall.has_full_row_rank


def test_the_programs_law_is_that_of_the_published_runs() -> None:
    """GD with 0.9999/L at 32 x 25, 20 steps: 3.0596673 in float32, 3.05966751 in float64."""
    for dtype, digits in ((torch.float32, 3.0596673), (torch.float64, 3.05966751)):
        programs = program_law(32, 25, 32, dtype=dtype)
        x = programs.init()
        for _ in range(20):
            x = x - programs.step_sizes * programs.gradient(x)
        assert float(programs.loss(x)) == pytest.approx(digits, rel=2e-7)  # float32 rounding; 9 digits are known
    assert torch.equal(programs.matrices.float(), program_law(32, 25, 32).matrices)
    lengths = programs.matrices.square().sum(1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths), rtol=1e-6, atol=0)  # scaled in float32
    other = program_law(32, 25, 32, seed=1, dtype=torch.float64)
    assert float(other.loss(other.init())) != pytest.approx(float(programs.loss(programs.init())), rel=1e-3)


def test_the_law_of_the_papers_text_has_the_same_matrices_and_gaussian_targets() -> None:
    paper, program = paper_law(32, 20, 32), program_law(32, 20, 32)
    assert torch.equal(paper.matrices, program.matrices)
    # 640 standard normals: variance 1 within 5 standard errors sqrt(2/640) of it; y = M x has variance d/b = 1.6
    assert float(paper.targets.var()) == pytest.approx(1.0, abs=0.28)
    assert float(program.targets.var()) > 1.28
    assert len(set(paper.step_sizes.flatten().tolist())) == 1


def test_steps_are_at_most_one_over_the_smoothness_unless_asked() -> None:
    programs = formula_given(2, 3, 4)
    assert not programs.are_long(programs.step_sizes)
    assert (programs.with_steps(0.5).step_sizes[:, 0] * programs.smoothness).tolist() == pytest.approx([0.5, 0.5])
    assert programs.with_steps(shared=True).step_sizes.flatten().tolist() == pytest.approx([1 / programs.beta] * 2)
    with pytest.raises(InputError, match="allow_long=True"):
        programs.with_steps(1.1)
    with pytest.warns(LongStepWarning, match="may grow"):
        assert programs.are_long(programs.with_steps(1.1, allow_long=True).step_sizes)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="positive multiple"):
            programs.with_steps(factor, allow_long=True)


def test_no_program_with_long_steps_passes_in_silence() -> None:
    good = formula_given(2, 3, 4)
    long = good.step_sizes * torch.tensor([[1.0], [1.1 * good.beta / float(good.smoothness[1])]])  # one instance is
    fields = (good.matrices, good.targets, good.start, long)
    with pytest.raises(InputError, match="allow_long=True"):
        QuadraticPrograms(*fields)
    with pytest.warns(LongStepWarning, match="may grow"):
        asked = QuadraticPrograms(*fields, allow_long=True)
    with pytest.warns(LongStepWarning, match="may grow"):  # the permission stays with them
        assert asked.to(dtype=torch.float32).allow_long
    with pytest.warns(LongStepWarning, match="may grow"):
        replace(asked, start=asked.start + 1)
    with pytest.raises(InputError, match="allow_long=True"):
        replace(asked, allow_long=False)
    assert not good.allow_long
    # a matrix that was written to is decomposed anew: singular values remembered blindly would still pass here
    writable = good.matrices.clone()
    assert not good.are_long(good.step_sizes)
    again = QuadraticPrograms(writable, *fields[1:3], good.step_sizes)
    writable.mul_(1.1)
    assert again.are_long(again.step_sizes)
    with pytest.raises(InputError, match="allow_long=True"):
        replace(again, start=again.start + 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1, 1), (2, 5), (3, 3), (6, 2)]), st.sampled_from(["32", "64"]))
def test_up_to_one_over_the_smoothness_every_step_is_admitted_and_beyond_it_none(
    seed: int, shape: tuple[int, int], bits: str
) -> None:
    generator = torch.Generator().manual_seed(seed)
    dtype = {"32": torch.float32, "64": torch.float64}[bits]
    matrices = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    targets, start = torch.ones(2, shape[0], dtype=dtype), torch.zeros(2, shape[1], dtype=dtype)
    # the largest eigenvalue of the smaller Gram matrix: another route than that of the check, rounded to the dtype
    gram = matrices @ matrices.mT if shape[0] <= shape[1] else matrices.mT @ matrices
    steps = 1 / torch.linalg.eigvalsh(gram)[:, -1:]
    fields = (matrices.to(dtype), targets, start)
    programs = QuadraticPrograms(*fields, steps.to(dtype))
    assert QuadraticPrograms(*fields, 0.01 * steps.to(dtype)).step_sizes.shape == (2, 1)
    beyond = 1 + 1e-5 if bits == "32" else 1 + 1e-13  # 84 and 450 units: more than the 8 to 8 that rounding is given
    with pytest.raises(InputError, match="allow_long=True"):
        QuadraticPrograms(*fields, (beyond * steps).to(dtype))
    # one precision's 1/L is not beyond the other's
    assert programs.to(dtype=torch.float64).to(dtype=torch.float32).step_sizes == pytest.approx(programs.step_sizes)


def test_bad_data_are_refused_at_the_door() -> None:
    good = formula_given(2, 3, 4)
    m, y, x, tau = good.matrices, good.targets, good.start, good.step_sizes
    for fields, message in (
        ((m[0], y, x, tau), "must have shape"),
        ((m, y[:, :2], x, tau), "targets must have shape"),
        ((m, y, x[:1], tau), "start must have shape"),
        ((m, y, x, tau[:1]), "step_sizes must have shape"),
        ((m, y.float(), x, tau), "share dtype"),
        ((m.long(), y, x, tau), "floating-point"),
        ((m, y * float("nan"), x, tau), "targets must be finite"),
        ((m * float("inf"), y, x, tau), "matrices must be finite"),
        ((m, y, x, -tau), "positive"),
    ):
        with pytest.raises(InputError, match=message):
            QuadraticPrograms(*fields)
    with pytest.raises(InputError, match="M = 0"):
        least_squares_programs(0 * m, y)
    for sizes in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        with pytest.raises(InputError, match="must be >= 1"):
            program_law(*sizes)
