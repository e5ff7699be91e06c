r"""LODO's hypergradient in closed form: one more sweep instead of a graph; its symmetries; G is positive semidefinite.

    d loss/d B_i = -alpha0 [ (L_i^T M m)(R_i g)^T + (L_i^T M g)(R_i m)^T ]  on the blocks,   G = alpha0 M^T M

with m held constant: the published step differentiates through the last move only. Notation of
l2o_theory/quasi_newton/preconditioner.py. Source: derived here, in the setting of arXiv 2210.06171.
"""

from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from l2o_theory.claims import Claim, Measurement, Status
from l2o_theory.quasi_newton.preconditioner import dense, factor, hypergradient
from l2o_theory.rigor import kernel

F = Fraction
SOURCE = "derived here, in the setting of arXiv 2210.06171"
SHAPES = ((1, 2, 4, 3), (2, 2, 6, 3), (3, 2, 6, 2), (2, 3, 6, 4))  # depth, block size, lines, n


class Instance:
    """Random rational blocks, permutations, m and g."""

    def __init__(self, seed: int, depth: int, size: int, lines: int, n: int) -> None:
        random = Random(f"{seed} {depth} {size} {lines}")
        self.blocks = np.empty((depth, lines // size, size, size), dtype=object)
        self.blocks.flat = [F(random.randint(-6, 6), random.randint(1, 4)) for _ in range(self.blocks.size)]
        self.permutations = [random.sample(range(lines), lines) for _ in range(depth)]
        self.m, self.g = (
            np.array([F(random.randint(-4, 4), random.randint(1, 3)) for _ in range(n)], dtype=object) for _ in range(2)
        )
        self.alpha0 = F(random.randint(1, 5), 7)

    def gradient(self) -> Any:
        """The closed form."""
        return hypergradient(self.blocks, self.permutations, self.m, self.g, self.alpha0)

    def slope(self, place: tuple[int, ...]) -> Fraction:
        """d/d(entry) of -g^T G m by a central difference of step 1: exact, for it is quadratic in one entry."""
        values = []
        for shift in (1, -1):
            blocks = self.blocks.copy()
            blocks[place] += shift
            values.append(-self.g @ dense(blocks, self.permutations, len(self.m), self.alpha0) @ self.m)
        return (values[0] - values[1]) / 2


def _verdict(rows: list[dict[str, Any]], faults: dict[str, bool], arithmetic: str, margin: float = 0.0) -> Measurement:
    return Measurement(
        holds=all(row["holds"] for row in rows),
        table=tuple(rows),
        margin=margin,
        arithmetic=arithmetic,
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


def _differences(seed: int) -> Measurement:
    """Closed form against exact differences, every entry, equal as rationals."""
    rows, faults = [], {"the term with m and g exchanged dropped": False, "M m replaced by M g": False}
    for shape in SHAPES:
        case = Instance(seed, *shape)
        found = case.gradient()
        places = list(np.ndindex(found.shape))
        wanted = [case.slope(place) for place in places]
        rows.append(
            {"depth, k, nt, n": str(shape), "entries": len(places)}
            | {"holds": all(found[place] == w for place, w in zip(places, wanted, strict=True))}
        )
        half = _one_sided(case)
        faults["the term with m and g exchanged dropped"] |= any(
            half[p] != w for p, w in zip(places, wanted, strict=True)
        )
        wrong = hypergradient(case.blocks, case.permutations, case.g, case.g, case.alpha0)
        faults["M m replaced by M g"] |= any(wrong[p] != w for p, w in zip(places, wanted, strict=True))
    return _verdict(rows, faults, "exact rationals")


def _one_sided(case: Instance) -> Any:
    """The planted fault: in the first layer only (M m)(R_1 g)^T, without m and g exchanged."""
    full, M = case.gradient(), factor(case.blocks, case.permutations, len(case.m))
    size, plain = full.shape[-1], case.blocks.copy()
    plain[0] = np.array([[F(int(r == c)) for c in range(size)] for r in range(size)], dtype=object)
    right = factor(plain, case.permutations, len(case.m))  # R_1: the product without its first blocks
    for b in range(full.shape[1]):
        rows = slice(b * size, (b + 1) * size)
        full[0, b] = -case.alpha0 * np.outer((M @ case.m)[rows], (right @ case.g)[rows])
    return full


EXACT = Claim(
    id="lodo/hypergradient/exact_differences",
    title="The closed form of LODO's hypergradient equals the derivative, entry by entry, in exact rationals",
    source=SOURCE,
    statement="d(-g^T G m)/d(every block entry) by exact central differences equals the two outer products.",
    kind="identity",
    scope="random rational blocks and permutations of four shapes, depths 1 to 3, blocks of 2 and 3 lines",
    expected=Status.NOT_FALSIFIED,
    measure=_differences,
)

TOLERANCE = 1e-12  # float64: some hundred products of order 1 in each entry


def _program(seed: int, carried: bool) -> tuple[Any, Any, Any]:
    """(Preconditioner's hypergradient, autograd's, torch.func's) for a loss that is not quadratic.

    `carried` plants the fault: m remembers that it depends on the blocks through the step before.
    """
    import torch

    from l2o_theory.optimizers.lodo import Preconditioner

    generator = torch.Generator().manual_seed(seed)
    n, beta = 7, 0.6
    made = Preconditioner(n, depth=3, block_size=2, alpha0=0.4, generator=generator)
    blocks = made.blocks.detach().double()
    blocks = blocks + 0.3 * torch.randn(blocks.shape, generator=generator, dtype=torch.float64)
    permutations = made.permutations
    made = Preconditioner(n, depth=3, block_size=2, alpha0=0.4, permutations=permutations, blocks=blocks)
    x, m, weights = (torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(3))

    def loss(point: Any) -> Any:
        return torch.log1p((weights * point) ** 2).sum() + torch.cos(point.sum())

    def matrix(theta: Any) -> Any:
        columns = torch.eye(permutations.shape[1], n, dtype=torch.float64)
        for layer, order in zip(theta.flip(0), permutations.flip(0), strict=True):
            columns = torch.block_diag(*layer) @ columns[order]
        return 0.4 * columns.T @ columns

    def step(theta: Any) -> Any:
        direction = m
        if carried:
            before = x.detach() - matrix(theta) @ m
            direction = beta * m + (1 - beta) * torch.func.grad(loss)(before)
        return loss(x - matrix(theta) @ direction)

    theta = blocks.clone().requires_grad_(True)
    (by_autograd,) = torch.autograd.grad(step(theta), theta)
    by_func = torch.func.grad(step)(blocks)
    moved = x - made.apply(m)
    return made.hypergradient(m, torch.func.grad(loss)(moved)), by_autograd, by_func


def _torch(seed: int) -> Measurement:
    rows, gaps = [], []
    for trial in range(3):
        found, by_autograd, by_func = _program(seed + trial, carried=False)
        scale = float(by_autograd.abs().max())
        gap = max(float((found - other).abs().max()) / scale for other in (by_autograd, by_func))
        gaps.append(gap)
        rows.append({"trial": trial, "largest relative difference": gap, "holds": gap < TOLERANCE})
    found, by_autograd, _ = _program(seed, carried=True)
    apart = float((found - by_autograd).abs().max() / by_autograd.abs().max())
    faults = {"m carries its graph": apart > 1e-3}
    return _verdict(rows, faults, "float64 torch", 1 - max(gaps) / TOLERANCE)


TORCH = Claim(
    id="lodo/hypergradient/autograd",
    title="Preconditioner.hypergradient agrees with torch.autograd and torch.func through one step, m held constant",
    source=SOURCE,
    statement="A loss that is not quadratic, n = 7, three layers of 2x2 blocks: the largest difference is below 1e-12.",
    kind="measurement",
    scope="three random instances, float64",
    expected=Status.NOT_FALSIFIED,
    measure=_torch,
)


def _symmetries(seed: int) -> Measurement:
    """Left rotation and interface scaling, exact; the balance moves by a^2 times a difference of squares, exactly."""
    rows, faults = [], {"symmetric W": False, "row perm^-1[j] instead of perm[j]": False}
    for shape in SHAPES:
        case = Instance(seed, *shape)
        B, d, size = case.blocks, case.gradient(), shape[1]
        rotations = [
            _turned(d[0, b], B[0, b], r, c, -1) for b in range(len(B[0])) for r in range(size) for c in range(r)
        ]
        mirrored = [_turned(d[0, b], B[0, b], 1, 0, +1) for b in range(len(B[0]))]
        balances, drifts, wrong, rate = [], [], [], F(1, 10)
        after = B - rate * d
        for i in range(shape[0] - 1):
            order = case.permutations[i]
            for j, p in enumerate(order):
                column, dcolumn = (v[i, j // size, :, j % size] for v in (B, d))
                row, drow = (v[i + 1, p // size, p % size] for v in (B, d))
                balances.append(column @ dcolumn - row @ drow)
                q = order.index(j)
                wrong.append(column @ dcolumn - B[i + 1, q // size, q % size] @ d[i + 1, q // size, q % size])
                new_column, new_row = after[i, j // size, :, j % size], after[i + 1, p // size, p % size]
                moved = (new_column @ new_column - new_row @ new_row) - (column @ column - row @ row)
                drifts.append(moved - rate**2 * (dcolumn @ dcolumn - drow @ drow))
        rows.append(
            {"depth, k, nt, n": str(shape), "rotations": len(rotations), "interfaces": len(balances)}
            | {"holds": not any(rotations) and not any(balances) and not any(drifts)}
        )
        faults["symmetric W"] |= any(mirrored)
        faults["row perm^-1[j] instead of perm[j]"] |= any(wrong)
    return _verdict(rows, faults, "exact rationals")


def _turned(slope: Any, block: Any, r: int, c: int, sign: int) -> Fraction:
    """<slope, W block> for W = E_rc + sign E_cr."""
    return slope[r] @ block[c] + sign * (slope[c] @ block[r])


SYMMETRIES = Claim(
    id="lodo/hypergradient/symmetries",
    title="What leaves G unchanged is conserved: rotations of the first blocks, scalings of every interface",
    source=SOURCE,
    statement=(
        "<dB_1, W B_1> = 0 for antisymmetric W; sum_r B_i[r,j] dB_i[r,j] = sum_c B_{i+1}[p,c] dB_{i+1}[p,c] with\n"
        "p = perm_i[j]; one SGD step of rate a moves |column|^2 - |row|^2 by a^2 (|d column|^2 - |d row|^2), O(a^2)."
    ),
    kind="identity",
    scope="random rational instances of four shapes, every block and interface",
    expected=Status.NOT_FALSIFIED,
    measure=_symmetries,
)


def _semidefinite(seed: int) -> Measurement:
    """The kernel eliminates G exactly, deficient ranks included; an indefinite matrix is the planted fault."""
    rows = []
    for shape in SHAPES:
        case = Instance(seed, *shape)
        G = dense(case.blocks, case.permutations, shape[3], case.alpha0)
        deficient = case.blocks.copy()
        deficient[0, :, 0, :] = 0  # every first block loses a line
        flat = dense(deficient, case.permutations, shape[3], case.alpha0)
        rows.append({"depth, k, nt, n": str(shape), "holds": _accepted(G) and _accepted(flat)})
    signed = np.diag([F(1), F(-1, 100)])  # what LODO-Diagonal and LODO-Residuals can become
    faults = {"a signed diagonal": not _accepted(signed), "not symmetric": not _accepted(signed * 0 + [[0, 1], [0, 0]])}
    return _verdict(rows, faults, "exact rationals; the kernel's elimination")


def _accepted(matrix: Any) -> bool:
    try:
        kernel.check({"kind": "psd", "matrix": [[str(F(entry)) for entry in row] for row in matrix]})
    except kernel.Rejected:
        return False
    return True


SEMIDEFINITE = Claim(
    id="lodo/preconditioner/semidefinite",
    title="G is symmetric and positive semidefinite for all blocks: negative curvature is never inverted",
    source=SOURCE,
    statement="G = alpha0 M^T M, eliminated exactly by the kernel on random and on rank-deficient instances.",
    kind="identity",
    scope="random rational instances of four shapes",
    expected=Status.NOT_FALSIFIED,
    measure=_semidefinite,
)

CLAIMS = [EXACT, TORCH, SYMMETRIES, SEMIDEFINITE]
