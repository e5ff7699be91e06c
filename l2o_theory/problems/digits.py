"""Handwritten digits, 1797 images of 8 x 8 pixels, which scikit-learn carries along: real data without a download."""

from __future__ import annotations

import torch

from l2o_theory.errors import InputError
from l2o_theory.problems.dataset import Dataset

_SIDE = 8


def load_digits(pool: int = 1, *, dtype: torch.dtype = torch.float64) -> Dataset:
    """The digits with pixels in [0, 1], shape (1797, 1, 8/pool, 8/pool).

    Args:
        pool: 1 for the images as they are, 2 or 4 for means over squares of so many pixels.
        dtype: of the pixels.

    Raises:
        InputError: another `pool`.
    """
    if pool not in (1, 2, 4):
        raise InputError(f"pool must be 1, 2 or 4, a divisor of the side {_SIDE}, got {pool!r}")
    from sklearn.datasets import load_digits as load

    images, labels = load(return_X_y=True)
    side = _SIDE // pool
    pixels = torch.from_numpy(images).to(dtype).reshape(-1, side, pool, side, pool).mean((2, 4)) / 16
    return Dataset(pixels.unsqueeze(1), torch.from_numpy(labels).to(torch.int64), 10)
