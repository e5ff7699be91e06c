"""Wording: statements and instances as text for a reader."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from l2o_theory.report import numerals

_LONGEST_IN_A_ROW = 24  # characters; the evidence holds the exact value


def blocks(text: str) -> tuple[tuple[bool, str], ...]:
    """Cut text into prose and formulas: lines that start with a blank are formulas and keep their shape."""
    found: list[tuple[bool, str]] = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        for line in part.splitlines():
            is_formula = line.startswith((" ", "\t"))
            if found and found[-1][0] is is_formula and found[-1][1]:
                found[-1] = (is_formula, f"{found[-1][1]}\n{line}")
            else:
                found.append((is_formula, line))
        found.append((False, ""))
    return tuple((kind, textwrap.dedent(block) if kind else block) for kind, block in found if block)


def pairs(instance: Mapping[str, Any]) -> tuple[str, ...]:
    """An instance as texts such as "L = 2/3", "w_i = 1, 1/2", "l_i = ()"; long rationals are rounded: "L ≈ 9.11e−7"."""
    found = []
    for name, value in instance.items():
        texts = [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]
        sign = "≈" if any(len(text) > _LONGEST_IN_A_ROW for text in texts) else "="
        found.append(f"{name} {sign} {', '.join(map(_short, texts)) or '()'}")
    return tuple(found)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_A_ROW else numerals.decimal(Fraction(text), 3).split()[1]
