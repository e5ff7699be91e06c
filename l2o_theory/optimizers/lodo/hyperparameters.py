"""Hyper-parameters: the door through which they come, and which of them are one for all parameter groups."""

from __future__ import annotations

import math
from typing import Any

from l2o_theory.errors import InputError

GLOBAL = ("alpha0", "meta_lr", "beta")
"""They belong to the one preconditioner."""
NAMES = (*GLOBAL, "lr", "weight_decay")
"""All of a group's; "lr" and "weight_decay" are each group's own."""


def checked(settings: dict[str, Any]) -> None:
    """Raise InputError for the first value that is out of its range."""
    for name, value in settings.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number < math.inf:  # NaN is refused too
            raise InputError(f"{name} must be a number from 0 on, got {value!r}")
    if not settings.get("alpha0", 1) > 0:
        raise InputError("alpha0 must be positive, got 0; the matrix would be 0")
    if not settings.get("beta", 0) < 1:
        raise InputError(f"beta must be below 1, got {settings['beta']}; the average would forget nothing")
