"""GradientReport: what an examination of a meta-gradient found, ready to be printed or stored."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what, in a word or two.
        state: "ok"; "note", worth knowing; "fault", the meta-gradient cannot be trusted.
        text: what was seen, and for a fault what to do.
    """

    name: str
    state: State
    text: str


@dataclass(frozen=True)
class Estimate:
    """One estimator's answer.

    Attributes:
        name: the estimator.
        norm: of the estimate along the directions; NaN where it is not finite or did not run.
        distance: |estimate - reference|/|reference|, the reference being the difference quotients.
        cosine: between estimate and reference.
        verdict: in words.
    """

    name: str
    norm: float
    distance: float
    cosine: float
    verdict: str


@dataclass(frozen=True)
class Growth:
    """How derivatives grow along the run, as rates per step: |dx_t| ~ exp(rate t) over the second half.

    Attributes:
        meta: rate of |dx_t/dphi|.
        start: rate of |dx_t/dx_0|, the largest Lyapunov exponent: positive is chaos.
    """

    meta: float
    start: float


@dataclass(frozen=True)
class Reach:
    """How far one dtype carries.

    Attributes:
        dtype: "float32" or "float64".
        step: first t at which dx_t/dphi is no longer right, None if that was not seen.
        looked_up_to: the longest horizon tried; 0 if the rule does not run in this dtype.
        reason: in words.
    """

    dtype: str
    step: int | None
    looked_up_to: int
    reason: str


@dataclass(frozen=True)
class GradientReport:
    """The whole examination.

    Attributes:
        rule, problem: names.
        setting: steps, window, dtype, objective, seed, number of meta-parameters and coordinates.
        directions: along which everything is compared.
        estimates: one per estimator; empty if the rule could not be run.
        growth: None if it could not be measured.
        reach: per dtype.
        findings: faults first.
    """

    rule: str
    problem: str
    setting: dict[str, Any]
    directions: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    growth: Growth | None
    reach: tuple[Reach, ...]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings for which the meta-gradient cannot be trusted."""
        return tuple(finding for finding in self.findings if finding.state == "fault")

    @property
    def document(self) -> dict[str, Any]:
        """Everything as plain JSON values; numbers that are not finite become text."""
        plain: dict[str, Any] = _plain(asdict(self))
        return {**plain, "healthy": not self.faults}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
