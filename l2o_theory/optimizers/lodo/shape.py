"""Shape: the sizes of a preconditioner, checked against each other, and random layers of these sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError

DEPTH, BLOCK_SIZE = 16, 4


def _agreed(name: str, given: int | None, found: dict[str, int], default: int) -> int:
    """The one value of an option and of the tensors that fix it too."""
    values = dict(found) if given is None else {f"{name}={given}": given, **found}
    if len(set(values.values())) > 1:
        raise InputError(f"{name} must be one number, got " + ", ".join(f"{v} from {k}" for k, v in values.items()))
    return next(iter(values.values()), default)


def line_count(n: int, block_size: int, padding: str) -> int:
    """nt: 2n + k - (2n mod k) for "program", the smallest multiple of k from 2n on for "round_up"."""
    if padding == "program":
        return 2 * n + block_size - 2 * n % block_size
    if padding == "round_up":
        return -(-2 * n // block_size) * block_size
    raise InputError(f"padding must be 'program' or 'round_up', got {padding!r}")


def check_permutations(permutations: Tensor) -> None:
    """Raise InputError for the first row that is none: the compiled sweeps read and write where it points."""
    lines = permutations.shape[1]
    expected = torch.arange(lines, device=permutations.device)
    for index, row in enumerate(permutations):
        if not torch.equal(row.sort().values.long(), expected):
            raise InputError(f"permutations[{index}] must hold each of 0..{lines - 1} once, it does not")


@dataclass(frozen=True)
class Shape:
    """n entries of a vector, depth layers, blocks of block_size x block_size, nt lines."""

    n: int
    depth: int
    block_size: int
    lines: int

    @classmethod
    def of(
        cls,
        n: int,
        depth: int | None,
        block_size: int | None,
        permutations: Tensor | None,
        blocks: Tensor | None,
        padding: str,
    ) -> Shape:
        """The sizes on which all arguments agree.

        Raises:
            InputError: if they do not agree, or do not describe a preconditioner.
        """
        depths, sizes, widths = {}, {}, {}
        if blocks is not None:
            if blocks.ndim != 4 or blocks.shape[2] != blocks.shape[3]:
                raise InputError(f"blocks must have shape (depth, nt/k, k, k), got {tuple(blocks.shape)}")
            depths["blocks"], sizes["blocks"] = blocks.shape[0], blocks.shape[2]
            widths["blocks"] = blocks.shape[1] * blocks.shape[2]
        if permutations is not None:
            if permutations.ndim != 2 or permutations.is_floating_point() or permutations.is_complex():
                raise InputError(
                    f"permutations must be whole numbers of shape (depth, nt), got {permutations.dtype} "
                    f"of shape {tuple(permutations.shape)}"
                )
            depths["permutations"], widths["permutations"] = permutations.shape
        depth = _agreed("depth", depth, depths, DEPTH)
        block_size = _agreed("block_size", block_size, sizes, BLOCK_SIZE)
        for name, value, least in (("n", n, 1), ("depth", depth, 0), ("block_size", block_size, 1)):
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} must be a whole number from {least} on, got {value!r}")
        lines = _agreed("the number of lines nt", None, widths, line_count(n, block_size, padding))
        if lines < n:
            raise InputError(f"there must be at least n={n} lines, got nt={lines}; pad the vectors to 2n or more")
        if lines % block_size:
            raise InputError(f"block_size={block_size} must divide nt={lines}; pad to a multiple of it")
        if lines >= 2**31:
            raise InputError(f"nt={lines} lines do not fit into 32 bits; use several optimizers, one per part")
        if permutations is not None:
            check_permutations(permutations)
        return cls(n, depth, block_size, lines)

    def random_permutations(self, generator: Generator | None) -> Tensor:
        """(depth, nt): each row uniform and independent."""
        rows = torch.empty(self.depth, self.lines, dtype=torch.int32)
        for row in rows:
            row.copy_(torch.randperm(self.lines, generator=generator))
        return rows

    def random_blocks(self, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        """(depth, nt/k, k, k): independent orthogonal matrices, uniform on the orthogonal group (Haar).

        The authors' program takes the right singular vectors of a normal matrix: the same law up to the signs that the
        singular value decomposition happens to choose. Here the rows of a normal matrix are orthogonalised one after
        the other (twice, which is enough for rounding), all blocks of a layer at once.
        """
        size, count = self.block_size, self.lines // self.block_size
        blocks = torch.empty(self.depth, count, size, size, dtype=dtype)
        wide = torch.promote_types(dtype, torch.float32)
        for layer in blocks:
            rows = torch.randn(size, size, count, generator=generator, dtype=wide)  # entries of one place side by side
            for index, row in enumerate(rows):
                for _ in range(2):
                    for before in rows[:index]:
                        row -= before * (before * row).sum(0)
                row /= row.square().sum(0).sqrt_()
            layer.copy_(rows.permute(2, 0, 1))
        return blocks
