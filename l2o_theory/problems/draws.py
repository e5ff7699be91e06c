"""Random draws that are the same on every device: taken where the generator lives, then moved."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def normal(
    shape: tuple[int, ...] | torch.Size,
    generator: Generator | None,
    dtype: torch.dtype,
    device: torch.device | str | None = None,
) -> Tensor:
    """Standard normal entries. torch refuses a generator of one device for a tensor on another."""
    source = device if generator is None else generator.device
    return torch.randn(shape, generator=generator, dtype=dtype, device=source).to(device=device)
