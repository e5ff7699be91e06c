"""A meta-training that was interrupted and resumed ends in the very numbers of one that was not.

Weights, Adam's moments, place in the curriculum and the place in every stream of random numbers are in the checkpoint.

Source: derived here (what "resume" must mean).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from l2o_theory.claims import Claim, Measurement, Status

_INTERRUPTED_AT = (7, 14, 29)  # meta-updates, of 40


class _Cut(Exception):
    """The power went."""


def _trained(seed: int, path: Path | None = None, cut: int | None = None) -> Any:
    """A small run with imitation and curriculum; with `cut`, interrupted from that meta-update on."""
    import torch

    from l2o_theory.metatraining.curriculum import Curriculum
    from l2o_theory.metatraining.imitation import Imitation, Teacher
    from l2o_theory.metatraining.meta_training import meta_train
    from l2o_theory.metatraining.recipe import Recipe
    from l2o_theory.metatraining.tasks import QuadraticTasks
    from l2o_theory.optimizers import Adam, LSTMRule
    from l2o_theory.problems import RandomQuadratics

    rule, family = LSTMRule(hidden=4), QuadraticTasks(RandomQuadratics(3, start_std=0.01))
    imitation = Imitation((Teacher(Adam(), Adam().meta(0.1)),), (0.4,))
    curriculum = Curriculum((6, 12, 24), period=2, least=2)
    recipe = Recipe(curriculum, updates=40, tasks=2, window=3, runs=3, rate=1e-2, imitation=imitation)

    def stop(now: int, total: int) -> None:
        if cut is not None and now >= cut:
            raise _Cut

    weights = rule.meta(torch.Generator().manual_seed(0))
    return meta_train(
        rule, family, weights, recipe, seed=seed, checkpoint=path, checkpoint_every=3, progress=stop if cut else None
    )


def _bits(trained: Any) -> tuple[bytes, ...]:
    return tuple(leaf.numpy().tobytes() for _, leaf in sorted(trained.weights.items()))


def _resumed(seed: int) -> Measurement:
    """Cut at three places, each resumed and compared bit by bit; then with a part of the checkpoint forgotten."""
    import torch

    whole = _trained(seed)
    rows, forgotten = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for cut in _INTERRUPTED_AT:
            path = Path(folder) / f"{cut}.pt"
            _cut_short(seed, path, cut)
            again = _trained(seed, path)
            equal = _bits(again) == _bits(whole) and again.judgements == whole.judgements
            rows.append({"interrupted at": cut, "predicted": "equal", "observed": "equal" if equal else "other"})
        for part, wiped in (
            ("moments of Adam", lambda state: {**state, "memory": _zero(state["memory"])}),
            ("number of the epoch", lambda state: {**state, "epoch": state["epoch"] - 1}),
            ("place in the curriculum", lambda state: {**state, "position": {**state["position"], "best": 1e-9}}),
        ):
            path = Path(folder) / "wiped.pt"
            path.unlink(missing_ok=True)
            _cut_short(seed, path, _INTERRUPTED_AT[1])
            content = torch.load(path, weights_only=True)
            torch.save({**content, "state": wiped(content["state"])}, path)
            again = _trained(seed, path)
            forgotten[part] = _bits(again) != _bits(whole) or again.judgements != whole.judgements
    return Measurement(
        holds=all(row["observed"] == "equal" for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="bytes of float64 torch, one thread",
        refuted_faults=tuple(f"{part} forgotten" for part, seen in forgotten.items() if seen),
        accepted_faults=tuple(f"{part} forgotten" for part, seen in forgotten.items() if not seen),
    )


def _cut_short(seed: int, path: Path, cut: int) -> None:
    try:
        _trained(seed, path, cut)
    except _Cut:
        return
    raise AssertionError(f"the run was not interrupted at meta-update {cut}")


def _zero(tree: Any) -> Any:
    from l2o_theory.problems.trees import mapped

    return mapped(lambda leaf: leaf * 0, tree)


CLAIMS = [
    Claim(
        id="training/exact_resume/same_numbers",
        title="Interrupted and resumed, meta-training ends in the same bits as undisturbed",
        source="derived here",
        statement=(
            "Cut at meta-update 7, 14 or 29 of 40 and resumed from the last checkpoint: weights equal byte by byte, "
            "and all evaluations and decisions equal."
        ),
        kind="identity",
        scope="curriculum with imitation on quadratics d = 3, a checkpoint every 3 epochs, CPU, one thread",
        expected=Status.NOT_FALSIFIED,
        measure=_resumed,
        notes="kill -9 in the middle of a run is tested in tests/metatraining/test_meta_training.py.",
    )
]
