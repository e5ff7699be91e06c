"""What the training techniques do on random quadratics: paired differences over meta-seeds, with test and interval.

|W x - y|^2, d = 10, L2O-DM, 1500 meta-updates; levels are ln of the mean loss over 512 fixed test problems. Training
takes twenty minutes and more, so the levels are read from _quadratics.py beside this file, an excerpt of the numbers of
`l2o-theory reproduce training_techniques`; a slow test computes them anew for three of the arms.

Adam as a rival is tuned for the horizon on training problems, with the 240000 inner steps of one meta-training; Adam
"in hindsight" is the best of four step sizes on the test problems themselves.

Techniques: released code of Chen et al., NeurIPS 2020 (arXiv 2010.09089). Task and statistics: derived here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims import Claim, Measurement, Status
from l2o_theory.claims.discovery import load_plugin

_recorded = load_plugin(Path(__file__).with_name("_recorded.py"))
RECORD: dict[str, Any] = load_plugin(Path(__file__).with_name("_quadratics.py")).RECORD
_run = _recorded.Recorded(RECORD, "quadratics", "_quadratics.py")
_SCOPE = "quadratics d = 10, L2O-DM, 1500 meta-updates, 4 meta-seeds, 512 test problems"
_SOURCE = "the claim of arXiv 2010.09089, read for quadratics at this scale"
_EARLIER = {"plain": (-2.30, 0.11), "aug": (-2.62, 0.12), "cl": (-2.59, 0.09)}
"""An earlier, independent program after 1000 steps, on 64 problems of its own: mean and sd over meta-seeds."""


def _earlier_run(seed: int) -> Measurement:
    """Levels predicted for the earlier run's test set, in units of its spread over meta-seeds."""
    numbers, rows = _run.numbers, []
    for arm, (mean, spread) in _EARLIER.items():
        name = f"quadratics.{arm}.N=1000"
        rows.append(
            {
                "arm": arm,
                "earlier run": mean,
                "predicted for its test set": numbers[f"{name}.predicted"],
                "in its sd": (numbers[f"{name}.predicted"] - mean) / spread,
                "ours on our 512": numbers[name],
                "that in its sd": (numbers[name] - mean) / spread,
                "sd over sets of 64": numbers[f"{name}.set_sd"],
            }
        )
    worst, raw = max(abs(row["in its sd"]) for row in rows), max(abs(row["that in its sd"]) for row in rows)
    fault = "levels on two different test sets agree as they are"
    return Measurement(
        holds=worst <= 3,
        table=tuple(rows),
        margin=1 - worst / 3,
        arithmetic=f"least squares on Adam's levels at 4 step sizes over 2000 random sets of 64; {_run.origin}",
        refuted_faults=(fault,) if raw > 3 else (),
        accepted_faults=() if raw > 3 else (fault,),
    )


def _test_sets(seed: int) -> Measurement:
    """Spread of a level over test sets of 64 problems beside that over meta-seeds."""
    numbers, rows = _run.numbers, []
    for arm in ("plain", "aug", "cl"):
        name = f"quadratics.{arm}.N=1000"
        over_sets, over_seeds = numbers[f"{name}.set_sd"], numbers[f"{name}.sd"]
        rows.append(
            {
                "arm": arm,
                "sd over test sets": over_sets,
                "sd over meta-seeds": over_seeds,
                "share of the test sets with the earlier run's level within 3 of its sd": numbers[
                    f"{name}.sets_within_bar"
                ],
            }
        )
    least = min(row["sd over test sets"] for row in rows)
    fault = "a test set of 64 fixes the level to 0.1"
    return Measurement(
        holds=least > 0.4,
        table=tuple(rows),
        margin=least / 0.4 - 1,
        arithmetic=f"2000 random sets of 64 of 512 problems, mean of 4 meta-seeds; {_run.origin}",
        refuted_faults=(fault,) if least > 0.1 else (),
        accepted_faults=() if least > 0.1 else (fault,),
    )


def _never_better(seed: int) -> Measurement:
    """Whether clil has the higher level than cl on every meta-seed; so it must not be for clsame."""
    values, other = _run.paired("clil", "cl", 1000), _run.paired("clsame", "cl", 1000)
    fault = "clsame has a higher level than cl on every meta-seed"
    caught = min(other) <= 0
    return Measurement(
        holds=min(values) > 0,
        table=({"difference": "clil - cl at N = 1000", "by meta-seed": str(values), **_recorded.tested(values)},),
        margin=min(values),
        arithmetic=_run.origin,
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


CLAIMS = [
    Claim(
        id="training/quadratics/curriculum_beats_plain",
        title="A curriculum beats plain training after 1000 steps",
        source=_SOURCE,
        statement="cl - plain at N = 1000 is below 0 (paired t test); stages 100, 200, ... against 100.",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("cl", "plain", 1000), ("cl", "plain", 100)),
        notes="All four meta-seeds agree in sign; 95 percent interval -0.25 to -0.02, 2 to 22 percent of the loss.",
    ),
    Claim(
        id="training/quadratics/curriculum_judged_on_the_same_problems",
        title="A curriculum whose evaluations are all on the same problems beats plain training after 1000 steps",
        source="derived here",
        statement=(
            "clsame - plain at N = 1000 is below 0. With fresh problems two evaluations differ by chance as much as by "
            "training, and the first stage ends after a few of them."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("clsame", "plain", 1000), ("cl", "plain", 100)),
        notes="An arm added after the others had been seen, to find out why the curriculum gained less than expected.",
    ),
    Claim(
        id="training/quadratics/plain_wins_at_its_own_horizon",
        title="At its own horizon of 100 steps plain training beats the curriculum",
        source=_SOURCE,
        statement="plain - cl at N = 100 is below 0: the curves cross between 100 and 1000 steps.",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("plain", "cl", 100), ("cl", "plain", 100)),
    ),
    Claim(
        id="training/quadratics/curriculum_beats_longer_horizon",
        title="Four meta-seeds show that a curriculum beats a fixed longer horizon after 1000 steps",
        source=_SOURCE,
        statement=(
            "The one-sided paired t test over four meta-seeds finds cl - aug at N = 1000 below 0 at level 0.05, "
            "aug at a fixed 500. It does not: what falls is this finding, not the sentence about optimizers."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("cl", "aug", 1000), ("cl", "plain", 100)),
    ),
    Claim(
        id="training/quadratics/curriculum_and_longer_horizon",
        title="Corrected: four meta-seeds do not tell a curriculum from a fixed longer horizon",
        source="derived here",
        statement="The 95 percent interval of cl - aug at N = 1000 contains 0. That is no proof of equality.",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.undecided(("cl", "aug", 1000), ("plain", "cl", 100)),
        corrects="training/quadratics/curriculum_beats_longer_horizon",
    ),
    Claim(
        id="training/quadratics/curriculum_and_imitation_beat_curriculum",
        title="Four meta-seeds show that curriculum and imitation together beat the curriculum after 1000 steps",
        source=_SOURCE,
        statement=(
            "The one-sided paired t test over four meta-seeds finds clil - cl at N = 1000 below 0 at level 0.05; the "
            "teacher is Adam at 0.01, as released. It does not: what falls is this finding, at this scale."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("clil", "cl", 1000), ("cl", "plain", 100)),
        notes="The teacher is slow on this task: after 1000 steps its own loss is four times that of plain L2O-DM.",
    ),
    Claim(
        id="training/quadratics/imitation_of_a_slow_teacher_does_not_help",
        title="Corrected: imitation of Adam at 0.01 does not help the curriculum on any of four meta-seeds",
        source="derived here",
        statement="clil - cl at N = 1000 is above 0 on each of the four meta-seeds.",
        kind="measurement",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_never_better,
        corrects="training/quadratics/curriculum_and_imitation_beat_curriculum",
    ),
    Claim(
        id="training/quadratics/curriculum_beats_tuned_adam",
        title="A curriculum beats Adam that was tuned with the inner steps of one meta-training, after 1000 steps",
        source=_SOURCE,
        statement=(
            "cl - Adam at N = 1000 is below 0, Adam at the best of 10 step sizes on 24 training problems each, for "
            "this horizon: 240000 inner steps, as many as the 1500 meta-updates took."
        ),
        kind="statistical",
        scope=_SCOPE + "; Adam's default decays",
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("cl", "Adam", 1000), ("cl", "Adam", 100)),
        notes=(
            "Interval -0.33 to -0.02 with these test problems, -0.32 to -0.02 with their variance added. What the "
            "meta-training spent on its evaluations is not given to Adam."
        ),
    ),
    Claim(
        id="training/quadratics/plain_beats_tuned_adam_at_its_own_horizon",
        title="Plain training beats tuned Adam at its own horizon of 100 steps",
        source=_SOURCE,
        statement="plain - Adam at N = 100 is below 0, Adam tuned for 100 steps.",
        kind="statistical",
        scope=_SCOPE + "; Adam's default decays",
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("plain", "Adam", 100), ("cl", "Adam", 100)),
        notes="At 1000 steps the same optimizers are not told from tuned Adam: -0.18 to 0.11.",
    ),
    Claim(
        id="training/quadratics/curriculum_beats_adam_in_hindsight",
        title="Four meta-seeds show that the curriculum beats Adam at its best step size on the test problems",
        source=_SOURCE,
        statement=(
            "The one-sided paired t test finds cl below the best of Adam at 0.01, 0.03, 0.1, 0.3 on the very test "
            "problems, at N = 1000. It does not: the advantage over tuned Adam is one over its tuning."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("cl", "hindsight", 1000), ("cl", "hindsight", 100)),
    ),
    Claim(
        id="training/quadratics/curriculum_and_adam_in_hindsight",
        title="Corrected: the curriculum is not told from Adam at its best step size on the test problems",
        source="derived here",
        statement="The 95 percent interval of that difference at N = 1000 contains 0.",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.undecided(("cl", "hindsight", 1000), ("plain", "hindsight", 100)),
        corrects="training/quadratics/curriculum_beats_adam_in_hindsight",
        notes="Judged on the same problems (clsame) it is ahead of that Adam too: -0.34 to -0.04.",
    ),
    Claim(
        id="training/quadratics/earlier_run",
        title="Plain training, longer horizon and curriculum reach the levels of an independent program",
        source="derived here",
        statement=(
            "On a test set as hard as that program's, the three arms have its level after 1000 steps within 3 of its "
            "standard deviations over meta-seeds. How hard the set is, is read off Adam's levels on it."
        ),
        kind="measurement",
        scope="quadratics d = 10, 1500 meta-updates, 4 meta-seeds, 64 test problems there and 512 here",
        expected=Status.NOT_FALSIFIED,
        measure=_earlier_run,
        notes=(
            "Adam's levels there are not unusual: of our sets of 64, 24 percent are farther from the mean. With "
            "imitation the levels after 200 steps differ: -1.54 predicted, -1.80 found."
        ),
    ),
    Claim(
        id="training/quadratics/test_sets",
        title="With 64 test problems no level is known to better than 0.4",
        source="derived here",
        statement="Over sets of 64 problems ln of the mean loss at N = 1000 has a standard deviation above 0.4.",
        kind="measurement",
        scope="quadratics d = 10, arms plain, aug, cl",
        expected=Status.NOT_FALSIFIED,
        measure=_test_sets,
        notes="So levels from different test sets are compared through Adam's levels on either.",
    ),
]
