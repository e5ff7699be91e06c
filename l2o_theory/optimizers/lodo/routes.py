"""Routes: permutations in the form in which the compiled sweeps follow them, three bytes a line instead of four.

The lines j of a layer are cut into buckets of `width`; bucket j // width holds its lines in the order of their sources
perm[j]. So a permutation is two tables, one for either side (places and buckets of sweep.c):

    buckets[i] = perm^-1[i] // width          places[j] = #{i < perm[j] : buckets[i] = j // width}
"""

from __future__ import annotations

import torch
from torch import Tensor


def number_type(lines: int, width: int) -> torch.dtype:
    """The type of the numbers of the buckets."""
    return torch.uint8 if lines <= 256 * width else torch.int32


class Routes:
    """Permutations (depth, nt), stored as places (depth, nt) and buckets (depth, nt).

    Args:
        indices: the permutations.
        width: lines in a bucket, at most 2^15.
    """

    def __init__(self, indices: Tensor, width: int) -> None:
        depth, lines = indices.shape
        self.width = width
        self.places = torch.empty(depth, lines, dtype=torch.int16)
        self.buckets = torch.empty(depth, lines, dtype=number_type(lines, width))
        own = torch.arange(lines) // width
        rank = torch.empty(lines, dtype=torch.int16)
        for places, buckets, row in zip(self.places, self.buckets, indices, strict=True):
            perm = row.long()
            buckets[perm] = own.to(buckets.dtype)
            rank[buckets.argsort(stable=True)] = (torch.arange(lines) % width).to(torch.int16)
            torch.index_select(rank, 0, perm, out=places)

    def indices(self) -> Tensor:
        """The permutations, int32."""
        depth, lines = self.places.shape
        rows = torch.empty(depth, lines, dtype=torch.int32)
        begin = torch.arange(lines) // self.width * self.width
        for row, places, buckets in zip(rows, self.places, self.buckets, strict=True):
            row.copy_(buckets.argsort(stable=True)[begin + places])
        return rows
