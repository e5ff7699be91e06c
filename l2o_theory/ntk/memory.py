"""How much memory a computation may take, and the refusal of what does not fit: with its size and a way that fits."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator

import torch

from l2o_theory.errors import InputError

SHARE = 0.5
"""Part of the free memory that is used when no budget is given."""


def budget(device: torch.device, given: int | None = None) -> int:
    """Bytes to work with: what was given, or half of what is free on the device.

    Raises:
        InputError: a budget that is not a positive number of bytes.
    """
    if given is not None:
        if not given > 0:
            raise InputError(f"memory must be a positive number of bytes, got {given!r}")
        return int(given)
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return int(SHARE * _available(int(time.monotonic())))


@functools.lru_cache(maxsize=1)
def _available(_: int) -> int:
    """Bytes free in main memory, read once in each second: to ask takes as long as a small kernel does."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: what is installed, as far as Python can tell
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require(needed: int, allowed: int, what: str, remedy: str) -> None:
    """Refuse what does not fit.

    Raises:
        InputError: `needed` exceeds `allowed`, both in bytes; the message names both and the remedy.
    """
    if needed > allowed:
        raise InputError(f"{what} needs {gigabytes(needed)}, but {gigabytes(allowed)} may be used: {remedy}")


def gigabytes(size: int) -> str:
    """For a message: 1.23 GB, or MB below a hundredth of that."""
    return f"{size / 1e9:.3g} GB" if size >= 1e7 else f"{size / 1e6:.3g} MB"


def blocks(count: int, bytes_each: int, allowed: int) -> Iterator[slice]:
    """Slices of range(count) of as many items as fit, at least one."""
    size = max(1, min(count, allowed // max(1, bytes_each)))
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))
