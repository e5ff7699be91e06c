"""Plots: small inline SVG drawings. Their only text is numbers and fixed words, so nothing needs escaping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from markupsafe import Markup

from l2o_theory.report import numerals

_SMALLEST = 12  # decades of margin that the strip resolves on either side of 0
_FRAME = (64.0, 340.0, 14.0, 206.0)  # left, right, top, bottom of the scatter plot's axes, in its own units


def margin_strip(margin: float, others: Iterable[float]) -> Markup:
    """Where a margin lies in [-1, 1], on an axis that is logarithmic on both sides of 0; faint ticks: all claims."""
    faint = "".join(f'<path class="other" d="M{_place(m):.1f} 9v10"/>' for m in sorted(set(others)) if math.isfinite(m))
    labels = "".join(
        f'<text x="{_place(value):.1f}" y="38" text-anchor="middle">{text}</text>'
        for value, text in ((-1, "−1"), (-1e-6, "−1e−6"), (0, "0"), (1e-6, "1e−6"), (1, "1"))
    )
    side = "violated" if margin < 0 else "satisfied"
    return Markup(
        '<svg class="strip" viewBox="4 4 292 36" role="img" '
        f'aria-label="margin {numerals.short(margin)}, {side}">'
        '<rect class="bad" x="10" y="9" width="140" height="10"/><rect class="good" x="150" y="9" width="140" '
        f'height="10"/>{faint}<path class="zero" d="M150 5v18"/>'
        f'<path class="here" d="M{_place(margin):.1f} 14m-5 0l5 -7l5 7l-5 7z"/>{labels}</svg>'
    )


def _place(margin: float) -> float:
    size = min(abs(margin), 1.0)
    decades = max(0.0, 1 + math.log10(size) / _SMALLEST) if size > 0 else 0.0
    return 150 + math.copysign(140 * decades, margin)


def predicted_against_observed(table: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Scatter of the columns named "...predicted..." and "...observed..." (or "measured"), with the line of equality.

    Logarithmic when all values are positive and span more than a factor 20; None without two finite rows.
    """
    pairs = _pairs(table)
    if len(pairs) < 2:
        return None
    values = [value for pair in pairs for value in pair]
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > 20
    scale = math.log10 if logarithmic else float
    start, end = scale(low), scale(high)
    pad = 0.06 * (end - start) or abs(end) or 1.0
    start, end = start - pad, end + pad
    left, right, top, bottom = _FRAME

    def share(value: float) -> float:
        return (scale(value) - start) / (end - start)

    dots = "".join(
        f'<circle cx="{left + (right - left) * share(x):.1f}" cy="{bottom - (bottom - top) * share(y):.1f}" r="4"/>'
        for x, y in pairs
    )
    ticks = "".join(
        f'<text x="{left + (right - left) * share(value):.1f}" y="{bottom + 18}" text-anchor="middle">'
        f'{numerals.cell(value)}</text><text x="{left - 8}" y="{bottom - (bottom - top) * share(value) + 4:.1f}" '
        f'text-anchor="end">{numerals.cell(value)}</text>'
        for value in ((low, high) if high > low else (low,))
    )
    axes = "logarithmic" if logarithmic else "linear"
    return Markup(
        f'<svg class="scatter" viewBox="0 0 360 250" role="img" aria-label="observed against predicted, {axes} axes, '
        f'{len(pairs)} rows; the dashed line is equality"><path class="axis" d="M{left} {top}V{bottom}H{right}"/>'
        f'<path class="equal" d="M{left} {bottom}L{right} {top}"/>{dots}{ticks}'
        f'<text x="{(left + right) / 2}" y="{bottom + 36}" text-anchor="middle">predicted ({axes})</text>'
        f'<text x="14" y="{(top + bottom) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(top + bottom) / 2})">observed</text></svg>'
    )


def _pairs(table: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    names = list(table[0]) if table else []
    predicted = next((name for name in names if "predicted" in name.lower()), None)
    observed = next((name for name in names if "observed" in name.lower() or "measured" in name.lower()), None)
    if predicted is None or observed is None:
        return []
    pairs = [(row.get(predicted), row.get(observed)) for row in table]
    return [(float(x), float(y)) for x, y in pairs if _is_finite(x) and _is_finite(y)]


def _is_finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
