"""Preconditioner against dense matrices, autograd and torch.func, on instances given by formulas and drawn ones."""

from __future__ import annotations

import pytest
import torch
from lodo_reference import dense_preconditioner, dense_product, formula_blocks, formula_permutations
from torch import Tensor
from torch.func import grad

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import Preconditioner

SIZES = [(3, 2, 2, 8), (5, 3, 4, 12), (6, 3, 3, 15), (4, 1, 1, 9), (7, 4, 5, 15), (2, 16, 4, 8), (4, 0, 4, 12)]
TOLERANCE = 1e-12  # relative; products of up to 32 matrices with entries up to 2 in float64


def instance(n: int, depth: int, size: int, lines: int, alpha0: float = 0.3) -> Preconditioner:
    permutations, blocks = formula_permutations(depth, lines), formula_blocks(depth, lines, size)
    return Preconditioner(n, depth, size, alpha0, permutations, blocks)


def vectors(n: int) -> tuple[Tensor, Tensor]:
    index = torch.arange(n, dtype=torch.float64)
    return (1 + index).sin(), (2 + 3 * index).cos()


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max()) if wanted.numel() else 0.0


@pytest.mark.parametrize("sizes", SIZES)
def test_dense_and_apply_are_the_product_of_the_layers(sizes: tuple[int, int, int, int]) -> None:
    p = instance(*sizes)
    wanted = dense_preconditioner(p.blocks, p.permutations, p.n, p.alpha0)
    assert error(p.dense(), wanted) < TOLERANCE
    m, g = vectors(p.n)
    assert error(p.apply(m), wanted @ m) < TOLERANCE
    assert error(p.apply(torch.stack([m, g])), torch.stack([wanted @ m, wanted @ g])) < TOLERANCE


@pytest.mark.parametrize("sizes", SIZES)
def test_hypergradient_is_the_derivative_of_the_loss_after_the_step(sizes: tuple[int, int, int, int]) -> None:
    p = instance(*sizes)
    m, g = vectors(p.n)

    def loss(blocks: Tensor) -> Tensor:
        return -g @ (dense_preconditioner(blocks, p.permutations, p.n, p.alpha0) @ m)

    found = p.hypergradient(m, g)
    assert found.shape == p.blocks.shape
    if not p.depth:
        return
    assert error(found, grad(loss)(p.blocks)) < TOLERANCE  # torch.func through dense matrices
    leaf = p.blocks.clone().requires_grad_()
    own = Preconditioner(p.n, alpha0=p.alpha0, permutations=p.permutations, blocks=leaf)
    (by_autograd,) = torch.autograd.grad(-g @ own.apply(m), leaf)  # autograd through the sweeps
    assert error(found, by_autograd) < TOLERANCE
    direction = formula_blocks(p.depth, p.lines, p.block_size).flip(0).sin()
    difference = (loss(p.blocks + 1e-5 * direction) - loss(p.blocks - 1e-5 * direction)) / 2e-5
    # central differences: truncation 1e-10 times third derivatives that grow with the depth
    assert float((found * direction).sum()) == pytest.approx(float(difference), rel=1e-6)


def test_a_conventions_mistake_is_seen() -> None:
    """Planted: the inverse permutations, transposed blocks, the layers in reverse. None gives the same matrix."""
    p = instance(5, 3, 4, 12)
    wanted = p.dense()
    inverse = p.permutations.argsort(dim=1)
    for blocks, permutations in (
        (p.blocks, inverse),
        (p.blocks.transpose(2, 3), p.permutations),
        (p.blocks.flip(0), p.permutations.flip(0)),
    ):
        assert error(dense_preconditioner(blocks, permutations, p.n, p.alpha0), wanted) > 0.1
    m, g = vectors(5)
    assert error(p.hypergradient(m, 2 * g) / 2, p.hypergradient(g, m)) < TOLERANCE  # symmetric in m and g
    assert error(p.hypergradient(m, g), p.hypergradient(m, m)) > 0.1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_a_new_preconditioner_is_alpha0_times_the_identity(size: int, dtype: torch.dtype) -> None:
    p = Preconditioner(11, 16, size, 0.27, generator=torch.Generator().manual_seed(3), dtype=dtype)
    assert p.blocks.dtype == dtype
    eps = torch.finfo(dtype).eps
    assert (p.dense() - 0.27 * torch.eye(11, dtype=dtype)).abs().max() < 32 * eps  # 32 products
    gram = p.blocks @ p.blocks.transpose(2, 3)
    assert (gram - torch.eye(size, dtype=dtype)).abs().max() < 8 * eps
    assert all(sorted(row.tolist()) == list(range(p.lines)) for row in p.permutations)
    assert not torch.equal(p.permutations[0], p.permutations[1])


def test_random_blocks_are_uniform_on_the_orthogonal_group() -> None:
    """E Q = 0, E Q_ij^2 = 1/k, E tr(Q)^2 = 1 for the Haar measure; planted: signs that make the trace positive."""
    q = Preconditioner(8000, 1, 4, generator=torch.Generator().manual_seed(1)).blocks[0]
    trace = q.diagonal(dim1=1, dim2=2).sum(1)
    error = 5 / len(q) ** 0.5  # five standard errors of means of terms of variance at most 1 (3 for tr^2: two of them)
    assert q.mean(0).abs().max() < error
    assert (q.square().mean(0) - 0.25).abs().max() < error
    assert abs(trace.square().mean() - 1) < 2 * error
    assert (q * trace.sign()[:, None, None]).mean(0).abs().max() > error  # planted


@pytest.mark.parametrize(
    ("n", "size", "program", "round_up"), [(100, 4, 204, 200), (5, 4, 12, 12), (94696, 4, 189396, 189392)]
)
def test_line_counts(n: int, size: int, program: int, round_up: int) -> None:
    assert Preconditioner(n, 0, size).lines == program
    assert Preconditioner(n, 0, size, padding="round_up").lines == round_up


def test_published_size_of_theta() -> None:
    assert Preconditioner(100).blocks.numel() == 13056


def test_same_seed_same_preconditioner() -> None:
    one, two = (Preconditioner(9, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one.blocks, two.blocks)
    assert torch.equal(one.permutations, two.permutations)


def test_blocks_are_symmetric_psd_of_rank_at_most_n() -> None:
    g = instance(6, 3, 3, 15).dense()
    assert (g - g.T).abs().max() < 1e-14 * g.abs().max()
    values = torch.linalg.eigvalsh(g)
    assert values.min() >= -1e-13 * values.max()
    full = dense_product(formula_blocks(3, 15, 3), formula_permutations(3, 15))
    assert full.shape == (15, 15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be a whole number"),
        ({"n": 3, "depth": -1}, "depth must be"),
        ({"n": 3, "block_size": 0}, "block_size must be"),
        ({"n": 3, "alpha0": 0.0}, "alpha0 must be"),
        ({"n": 3, "alpha0": float("nan")}, "alpha0 must be"),
        ({"n": 3, "padding": "none"}, "padding must be"),
        ({"n": 3, "dtype": torch.complex64}, "real floating-point"),
        ({"n": 3, "block_size": 4, "permutations": formula_permutations(2, 10)}, "must divide nt=10"),
        ({"n": 3, "permutations": torch.zeros(2, 8, dtype=torch.long)}, "each of 0..7 once"),
        ({"n": 3, "permutations": torch.zeros(2, 8)}, "whole numbers"),
        ({"n": 9, "permutations": formula_permutations(2, 8)}, "at least n=9 lines"),
        ({"n": 3, "blocks": torch.zeros(2, 4, 2, 3)}, "blocks must have shape"),
        (
            {"n": 3, "depth": 3, "blocks": torch.zeros(2, 4, 2, 2)},
            "depth must be one number, got 3 from depth=3, 2 from",
        ),
        ({"n": 3, "blocks": torch.zeros(2, 4, 2, 2), "permutations": formula_permutations(2, 6)}, "number of lines"),
        ({"n": 3, "blocks": torch.zeros(2, 4, 2, 2, dtype=torch.long)}, "real floating-point"),
    ],
)
def test_bad_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preconditioner(**arguments)  # type: ignore[arg-type]


def test_blocks_and_permutations_can_be_set() -> None:
    wanted = instance(5, 3, 4, 12)
    p = Preconditioner(5, 3, 4, 0.3)
    p.permutations = wanted.permutations
    p.blocks = wanted.blocks.transpose(2, 3).clone().transpose(2, 3)  # not contiguous, as the compiled sweeps need it
    assert p.blocks.is_contiguous()
    assert torch.equal(p.dense(), wanted.dense())
    before = p.dense()
    with pytest.raises(InputError, match="blocks must have shape"):
        p.blocks = torch.zeros(3, 3, 4, 5)
    with pytest.raises(InputError, match=r"each of 0..11 once"):
        p.permutations = torch.zeros(3, 12, dtype=torch.long)
    with pytest.raises(InputError, match="number of lines"):
        p.permutations = formula_permutations(3, 8)
    assert torch.equal(p.dense(), before)


def test_vectors_of_the_wrong_size_are_refused() -> None:
    p = Preconditioner(3)
    with pytest.raises(InputError, match="last dimension"):
        p.apply(torch.zeros(4))
    with pytest.raises(InputError, match="g must have shape"):
        p.hypergradient(torch.zeros(3), torch.zeros(2, 3))
