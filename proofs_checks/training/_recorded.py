"""Tests on the levels that a full run of the experiment training_techniques left, for the claims beside this file.

A level is ln of the mean loss over fixed test tasks. Arms are paired by meta-seed: the same untrained weights, the same
test tasks. A rival has no meta-seed; its level is subtracted from every one. Every test is Student's t, paired,
one-sided, at level 0.05, each for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from l2o_theory.claims import Measurement

LEVEL = 0.05
Trio = tuple[str, str, int]
"""An arm, another arm or rival, and a horizon: "the first has the lower level"."""


def tested(values: Sequence[float]) -> dict[str, float]:
    """Mean, 95 percent interval of Student's t, and the one-sided p of a mean below 0."""
    from l2o_theory.metatraining.comparison import one_sided_p, student_interval

    found = student_interval(values)
    return {"mean": found.value, "low": found.low, "high": found.high, "p": one_sided_p(values)}


@dataclass(frozen=True)
class Recorded:
    """What one task's run left.

    Attributes:
        record: version, configuration and numbers.
        task: "quadratics" or "digits".
        file: where the record stands.
    """

    record: dict[str, Any]
    task: str
    file: str

    @property
    def numbers(self) -> dict[str, float]:
        """All numbers by name."""
        found: dict[str, float] = self.record["numbers"]
        return found

    def levels(self, name: str, horizon: int) -> list[float]:
        """By meta-seed; of a rival, or of Adam at its best in hindsight, the same for each."""
        seeds = self.record["config"][f"{self.task}.seeds"]
        if name == "hindsight":
            rates = self.record["config"]["adam.rates"]
            return [min(self.numbers[f"{self.task}.adam{rate:g}.N={horizon}"] for rate in rates)] * seeds
        stem = f"{self.task}.{name}.N={horizon}"
        if f"{stem}.rate" in self.numbers:
            return [self.numbers[stem]] * seeds
        return [self.numbers[f"{stem}.meta_seed={seed}"] for seed in range(seeds)]

    def paired(self, arm: str, other: str, horizon: int) -> list[float]:
        """Arm minus other by meta-seed."""
        return [a - b for a, b in zip(self.levels(arm, horizon), self.levels(other, horizon), strict=True)]

    def beats(self, claim: Trio, fault: Trio) -> Callable[[int], Measurement]:
        """Whether the first has the lower level, at `LEVEL`; the same test must not accept `fault`, which is wrong."""

        def measure(seed: int) -> Measurement:
            values = self.paired(*claim)
            found, wrong = tested(values), tested(self.paired(*fault))
            name, caught = f"{fault[0]} beats {fault[1]} at {fault[2]}", wrong["p"] >= LEVEL
            return Measurement(
                holds=found["p"] < LEVEL,
                table=(
                    {"difference": _named(claim), "by meta-seed": ", ".join(f"{v:.3f}" for v in values), **found},
                    {"difference": f"planted: {_named(fault)}", **wrong},
                ),
                margin=LEVEL - found["p"],
                arithmetic=f"one-sided paired t test over {len(values)} meta-seeds at level {LEVEL}; {self.origin}",
                refuted_faults=(name,) if caught else (),
                accepted_faults=() if caught else (name,),
            )

        return measure

    def undecided(self, claim: Trio, fault: Trio) -> Callable[[int], Measurement]:
        """Whether the interval of the difference contains 0; that of `fault` must not."""

        def measure(seed: int) -> Measurement:
            found, wrong = tested(self.paired(*claim)), tested(self.paired(*fault))
            name = f"{fault[0]} and {fault[1]} are not told apart at {fault[2]}"
            caught = not wrong["low"] <= 0 <= wrong["high"]
            return Measurement(
                holds=found["low"] <= 0 <= found["high"],
                table=({"difference": _named(claim), **found}, {"difference": f"planted: {_named(fault)}", **wrong}),
                margin=min(-found["low"], found["high"]),
                arithmetic=f"Student's t interval over meta-seeds; {self.origin}",
                refuted_faults=(name,) if caught else (),
                accepted_faults=() if caught else (name,),
            )

        return measure

    @property
    def origin(self) -> str:
        """Where the numbers come from."""
        record = self.record
        return (
            f"float32 training, read from {self.file} (l2o_theory {record['version']}, torch "
            f"{record['versions']['torch']}, seed {record['config']['seed']}), not recomputed here"
        )


def _named(claim: Trio) -> str:
    return f"{claim[0]} - {claim[1]} at N = {claim[2]}"
