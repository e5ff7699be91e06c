r"""The rule by which a curriculum moves on, played on scripted evaluations; and how many meta-updates an episode makes.

Stage i trains at N_i and is judged at N_{i+1}; the first evaluation that does not improve ends a stage once it has had
three; a stage that never improved ends the training. An episode of N steps in windows of K makes ceil(N/K) updates.

Reference: released code of Chen et al., NeurIPS 2020 (arXiv 2010.09089), train_dm.py, metaopt.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

_SOURCE = "released code of arXiv 2010.09089, train_dm.py"
HORIZONS = (100, 200, 500, 1000, 1500, 2000, 2500, 3000)
SCRIPT: list[float] = [5, 4, 3, 3.5, 2.5, 2.1, 2.2]
"""After 5, 4, 3 the 3.5 ends the stage; the restored weights score 2.0, which 2.5, 2.1, 2.2 do not reach."""


def played(values: list[float], again: list[float], **options: Any) -> list[tuple[int, str]]:
    """(stage, decision) after each value, by the library; `again` holds what restored weights score at each advance."""
    from l2o_theory.metatraining.curriculum import Curriculum, Position

    curriculum, position, told, restored = Curriculum(HORIZONS, **options), Position(), [], iter(again)
    for value in values:
        stage = position.stage
        position, decision = curriculum.observe(position, value)
        told.append((stage, decision))
        if decision == "advance":
            position = curriculum.rebased(position, next(restored))
        if decision == "stop":
            break
    return told


def by_the_book(values: list[float], again: list[float], least: int = 3) -> list[tuple[int, str]]:
    """The same from the words of the rule: each stage is a list of values, cut at the first that ends it."""
    told: list[tuple[int, str]] = []
    rest, restored, beat = list(values), iter(again), float("inf")
    for stage in range(len(HORIZONS)):
        ends = [n for n in range(len(rest)) if n + 1 >= least and not rest[n] < min([beat, *rest[:n]])]
        length = ends[0] + 1 if ends else len(rest)
        for n in range(length):
            told.append((stage, "keep" if rest[n] < min([beat, *rest[:n]]) else "go on"))
        if not ends:
            return told
        is_better = min(rest[: length - 1]) < beat
        if not is_better or stage == len(HORIZONS) - 1:
            told[-1] = (stage, "stop")
            return told
        told[-1] = (stage, "advance")
        rest, beat = rest[length:], next(restored)
    return told


def _scripts(seed: int) -> Iterator[tuple[list[float], list[float]]]:
    import random

    draw = random.Random(seed)
    for _ in range(500):
        yield [draw.randint(0, 9) for _ in range(40)], [draw.randint(3, 9) for _ in HORIZONS]


def _scripted(seed: int) -> Measurement:
    """A script of evaluations, and 500 random ones with ties, by two programs that share no code."""
    wanted = [*[(0, "keep")] * 3, (0, "advance"), (1, "go on"), (1, "go on"), (1, "stop")]
    found = played(SCRIPT, [2.0])
    differing = sum(played(*script) != by_the_book(*script) for script in _scripts(seed))
    stages = max(stage for script in _scripts(seed) for stage, _ in played(*script))
    caught = {
        "two evaluations are enough": any(
            played(*script, least=2) != by_the_book(*script) for script in _scripts(seed)
        ),
        "the old best stays the one to beat": played(SCRIPT, [3.0, 9.0]) != found,
    }
    return Measurement(
        holds=found == wanted and differing == 0 and stages >= 2,
        table=(
            {"script": str(SCRIPT), "predicted": str(wanted), "observed": str(found)},
            {"script": "500 random ones", "predicted": 0, "observed": differing, "furthest stage": stages},
        ),
        margin=0.0,
        arithmetic="integers",
        refuted_faults=tuple(name for name, seen in caught.items() if seen),
        accepted_faults=tuple(name for name, seen in caught.items() if not seen),
    )


def _reaches_last(seed: int) -> Measurement:
    """Every stage improves: does the released program (flag `ends_early`) train at the last horizon?"""
    values, again = [3.0, 2.0, 1.0, 9.0] * len(HORIZONS), [5.0] * len(HORIZONS)
    released, ours = (played(values, again, ends_early=flag) for flag in (True, False))
    rows = [
        {"program": name, "last horizon trained": HORIZONS[told[-1][0]], "evaluations": len(told)}
        for name, told in (("released", released), ("this library", ours))
    ]
    return Measurement(
        holds=released[-1][0] == len(HORIZONS) - 1,
        table=tuple(rows),
        margin=HORIZONS[released[-1][0]] / HORIZONS[-1] - 1,
        arithmetic="integers",
    )


def _corrected(seed: int) -> Measurement:
    """The same without the flag."""
    from l2o_theory.metatraining.curriculum import Curriculum

    values, again = [3.0, 2.0, 1.0, 9.0] * len(HORIZONS), [5.0] * len(HORIZONS)
    told = played(values, again)
    judged = [Curriculum(HORIZONS).judging_horizon(stage) for stage in range(len(HORIZONS))]
    caught = played(values, again, ends_early=True)[-1] != (7, "stop")
    fault = "a list of judging horizons that is one too short"
    return Measurement(
        holds=told[-1] == (7, "stop") and judged == [*HORIZONS[1:], HORIZONS[-1]],
        table=({"predicted": "stage 7, N = 3000", "observed": str(told[-1]), "judged at": str(judged)},),
        margin=0.0,
        arithmetic="integers",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


def _updates(seed: int) -> Measurement:
    """Meta-updates after each epoch of small runs, counted by the loop itself, against ceil(N/K)."""
    import torch

    from l2o_theory.metatraining.curriculum import Curriculum
    from l2o_theory.metatraining.meta_training import meta_train
    from l2o_theory.metatraining.recipe import Recipe
    from l2o_theory.metatraining.tasks import QuadraticTasks
    from l2o_theory.optimizers import LSTMRule
    from l2o_theory.problems import RandomQuadratics

    rule, family = LSTMRule(hidden=2), QuadraticTasks(RandomQuadratics(2))
    weights = rule.meta(torch.Generator().manual_seed(seed))
    rows, agree, floors = [], True, False
    for steps, window in ((6, 3), (7, 3), (5, 1), (4, 9)):
        seen: list[int] = []
        recipe = Recipe(Curriculum((steps,)), updates=11, tasks=1, window=window, runs=1)
        meta_train(rule, family, weights, recipe, seed=seed, progress=lambda now, total, seen=seen: seen.append(now))
        each = -(-steps // window)
        wanted = [min(each * epoch, 11) for epoch in range(1, -(-11 // each) + 1)]
        agree = agree and seen == wanted
        floors = floors or seen[0] != max(steps // window, 1)
        rows.append({"N": steps, "K": window, "predicted": str(wanted), "observed": str(seen)})
    fault = "floor(N/K), the last short window forgotten"
    return Measurement(
        holds=agree,
        table=tuple(rows),
        margin=0.0,
        arithmetic="integers",
        refuted_faults=(fault,) if floors else (),
        accepted_faults=() if floors else (fault,),
    )


WINDOWS = Claim(
    id="training/curriculum_rule/steps_per_window",
    title="ceil(N/K) windows: one fewer does not reach the end, one more would be empty",
    source="derived here",
    statement="N = (w-1) K + r with 1 <= r <= K: (w-1) K < N <= w K, so w = ceil(N/K).",
    kind="identity",
    scope="all N, K",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("w", "natural", high="50", meaning="windows"),
            Parameter("K", "natural", high="50", landmarks=("20",), meaning="window"),
            Parameter("r", "natural", high="50", meaning="steps of the last window"),
        ),
        hypotheses={"last": "1 <= r <= K"},
        definitions={"N": "(w-1)*K + r"},
        conclusion="(w-1)*K < N <= w*K",
    ),
    witness={"w": "5", "K": "20", "r": "20"},
    mutations=(
        Mutation("never full", {"conclusion": "(w-1)*K < N < w*K"}),
        Mutation("an empty last window", {"hypotheses": {"last": "r <= 2*K"}}),
    ),
)

CLAIMS = [
    Claim(
        id="training/curriculum_rule/scripted",
        title="The curriculum decides as the released program does, on scripted evaluations",
        source=_SOURCE,
        statement=(
            "5, 4, 3, 3.5: advance after the fourth, the weights of 3 restored; then 2.0 to beat: 2.5, 2.1, 2.2 stop. "
            "500 random scripts of 40 values agree with a second program written from the words of the rule."
        ),
        kind="measurement",
        scope="the eight horizons of L2O-DM, three evaluations at least",
        expected=Status.NOT_FALSIFIED,
        measure=_scripted,
    ),
    Claim(
        id="training/curriculum_rule/released_reaches_the_last_horizon",
        title="As the list of horizons says: the released program trains up to 3000 steps",
        source=_SOURCE,
        statement=(
            "N_7 = 3000 is trained. False: the list of judging horizons has 7 entries for 8 stages, and entering the "
            "last stage is an index error; training ends at 2500."
        ),
        kind="measurement",
        scope="L2O-DM; evaluations that improve in every stage",
        expected=Status.FALSIFIED,
        measure=_reaches_last,
    ),
    Claim(
        id="training/curriculum_rule/last_stage",
        title="Corrected: the last stage is trained and judged at its own horizon",
        source="derived here",
        statement="Judging horizons N_1, .., N_7, N_7: stage 7 trains at 3000 and ends like any other.",
        kind="measurement",
        scope="L2O-DM; evaluations that improve in every stage",
        expected=Status.NOT_FALSIFIED,
        measure=_corrected,
        corrects="training/curriculum_rule/released_reaches_the_last_horizon",
    ),
    WINDOWS,
    Claim(
        id="training/curriculum_rule/meta_updates",
        title="An episode makes ceil(N/K) meta-updates, and none beyond the budget",
        source=_SOURCE,
        statement="After epoch e: min(e ceil(N/K), budget) meta-updates, one per window, the last one possibly short.",
        kind="measurement",
        scope="(N, K) = (6, 3), (7, 3), (5, 1), (4, 9), a budget of 11",
        expected=Status.NOT_FALSIFIED,
        measure=_updates,
    ),
]
