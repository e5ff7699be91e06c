"""Boxes on which a statement can be certified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Box:
    """A closed box with dyadic ends; parameters not in `ranges` are fixed by `fixed`."""

    ranges: Mapping[str, tuple[str, str]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    max_leaves: int = 20000
