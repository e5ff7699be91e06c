"""What the training techniques do on softmax regression of digits: paired differences over meta-seeds, with intervals.

Softmax regression 16-10 on digits pooled to 4 x 4 pixels, batches of 128, L2O-DM, 1500 meta-updates on one task each;
levels are ln of the mean minibatch loss over 16 runs from other starts. Adam is tuned for the horizon with the 30000
inner steps of one meta-training. The levels are read from _softmax.py beside this file, an excerpt of the numbers of
`l2o-theory reproduce training_techniques`.

Techniques: released code of Chen et al., NeurIPS 2020 (arXiv 2010.09089). Task and statistics: derived here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from l2o_theory.claims import Claim, Status
from l2o_theory.claims.discovery import load_plugin

_recorded = load_plugin(Path(__file__).with_name("_recorded.py"))
RECORD: dict[str, Any] = load_plugin(Path(__file__).with_name("_softmax.py")).RECORD
_run = _recorded.Recorded(RECORD, "digits", "_softmax.py")
_SCOPE = "softmax regression 16-10 on 1297 digits, L2O-DM, 1500 meta-updates, 3 meta-seeds, 16 runs"
_SOURCE = "the claim of arXiv 2010.09089, read for softmax regression of digits"

CLAIMS = [
    Claim(
        id="training/softmax/plain_beats_curriculum",
        title="Three meta-seeds show that on a softmax regression plain training beats the curriculum after 1000 steps",
        source="derived here, from an earlier, independent run with plain ahead in the mean at every horizon",
        statement=(
            "The one-sided paired t test over three meta-seeds finds plain - cl at N = 1000 below 0 at level 0.05. It "
            "does not: here plain is behind on every meta-seed, and two of its three losses rise after 500 steps."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("plain", "cl", 1000), ("cl", "plain", 100)),
    ),
    Claim(
        id="training/softmax/curriculum_beats_plain",
        title="Corrected: on a softmax regression the curriculum beats plain training after 3000 steps",
        source=_SOURCE,
        statement="cl - plain at N = 3000 is below 0 (paired t test).",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("cl", "plain", 3000), ("cl", "plain", 100)),
        corrects="training/softmax/plain_beats_curriculum",
        notes="At 1000 steps all three meta-seeds agree in sign, but the interval, -1.16 to 0.29, contains 0.",
    ),
    Claim(
        id="training/softmax/curriculum_and_imitation_beat_curriculum",
        title="Three meta-seeds show that curriculum and imitation beat the curriculum on a softmax regression",
        source=_SOURCE,
        statement=(
            "The one-sided paired t test over three meta-seeds finds clil - cl at N = 1000 below 0 at level 0.05. It "
            "does not: what falls is this finding, at this scale, not the sentence about optimizers."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("clil", "cl", 1000), ("cl", "plain", 100)),
    ),
    Claim(
        id="training/softmax/curriculum_with_and_without_imitation",
        title="Corrected: three meta-seeds do not tell curriculum and imitation from the curriculum",
        source="derived here",
        statement="The 95 percent interval of clil - cl at N = 1000 contains 0. That is no proof of equality.",
        kind="statistical",
        scope=_SCOPE,
        expected=Status.NOT_FALSIFIED,
        measure=_run.undecided(("clil", "cl", 1000), ("plain", "Adam", 100)),
        corrects="training/softmax/curriculum_and_imitation_beat_curriculum",
    ),
    Claim(
        id="training/softmax/curriculum_beats_tuned_adam",
        title="Three meta-seeds show that on a softmax regression the curriculum beats tuned Adam after 1000 steps",
        source=_SOURCE,
        statement=(
            "The one-sided paired t test over three meta-seeds finds cl - Adam at N = 1000 below 0 at level 0.05. It "
            "does not: on every meta-seed Adam has the lower loss."
        ),
        kind="statistical",
        scope=_SCOPE,
        expected=Status.FALSIFIED,
        measure=_run.beats(("cl", "Adam", 1000), ("plain", "Adam", 100)),
    ),
    Claim(
        id="training/softmax/tuned_adam_beats_plain",
        title="Corrected: tuned Adam beats plain training at plain training's own horizon of 100 steps",
        source="derived here",
        statement="Adam - plain at N = 100 is below 0, Adam tuned for 100 steps on as many inner steps.",
        kind="statistical",
        scope=_SCOPE + "; Adam's default decays",
        expected=Status.NOT_FALSIFIED,
        measure=_run.beats(("Adam", "plain", 100), ("plain", "Adam", 100)),
        corrects="training/softmax/curriculum_beats_tuned_adam",
    ),
]
