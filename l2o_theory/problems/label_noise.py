"""Label noise: a fixed number of labels, chosen at random, replaced by labels drawn uniformly from all classes."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError


def with_label_noise(labels: Tensor, rate: float, classes: int, generator: Generator | None = None) -> Tensor:
    """Labels of which exactly floor(rate n) were drawn anew; a share 1/classes of those keeps its value by chance.

    The rate of wrong labels is therefore rate (1 - 1/classes) in the mean: 0.18 for a rate of 0.2 and ten classes.
    Source: the released program of Wang, Yuan, Wu, Ge, ICML 2021.

    Args:
        labels: shape (n,), integers.
        rate: share of labels to draw anew, in [0, 1].
        classes: number of classes.
        generator: on the CPU, so that all devices draw alike.

    Raises:
        InputError: a rate outside [0, 1].

    Example:
        >>> labels = torch.zeros(10, dtype=torch.int64)
        >>> int((with_label_noise(labels, 0.5, 1000, torch.Generator().manual_seed(0)) != labels).sum())
        5
    """
    if not 0 <= rate <= 1:
        raise InputError(f"the rate of label noise must lie in [0, 1], got {rate}")
    count = math.floor(rate * len(labels) + 1e-9)  # 0.29 * 100 is 28.999999999999996
    places = torch.randperm(len(labels), generator=generator)[:count]
    drawn = torch.randint(classes, (count,), generator=generator, dtype=labels.dtype)
    noisy = labels.clone()
    noisy[places.to(labels.device)] = drawn.to(labels.device)
    return noisy
