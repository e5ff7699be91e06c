"""History: rows that are appended, taken back, and never half a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2o_theory.errors import StoreError
from l2o_theory.metatraining.history import History
from l2o_theory.metatraining.observer import Judgement, MetaUpdate


def tell(history: History, first: int, last: int) -> None:
    for updates in range(first, last + 1):
        history.updated(MetaUpdate(updates, updates, 0, 5, "descend", 1 / updates, float("nan"), updates == 3))
        if updates % 2 == 0:
            history.judged(Judgement(updates, updates, 0, 0.1 * updates, "keep"), 10)


def contents(history: History) -> list[str]:
    return [path.read_text() for path in history.files]


def test_rows(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        history.begin(0, ())
        tell(history, 1, 4)
        history.flush()
        updates, judgements = contents(history)
    assert updates.splitlines() == [
        "updates,epoch,stage,step,kind,loss,gradient_norm,is_skipped",
        "1,1,0,5,descend,1.0,nan,False",
        "2,2,0,5,descend,0.5,nan,False",
        "3,3,0,5,descend,0.3333333333333333,nan,True",
        "4,4,0,5,descend,0.25,nan,False",
    ]
    assert judgements.splitlines()[1:] == ["2,2,0,0.2,keep,10", "4,4,0,0.4,keep,10"]


@pytest.mark.parametrize("tail", ["", "6,6,0,5,desc", "6,6,0,5,descend,0.16\n", "x\n"])
def test_a_resumed_history_is_that_of_an_undisturbed_run(tmp_path: Path, tail: str) -> None:
    (tmp_path / "calm").mkdir()
    with History(tmp_path / "calm") as calm:
        calm.begin(0, ())
        tell(calm, 1, 6)
    with History(tmp_path) as history:
        history.begin(0, ())
        tell(history, 1, 5)
    with history.files[0].open("a") as file:
        file.write(tail)  # killed in the middle of a row, or a row that is damaged
    with History(tmp_path) as again:
        again.begin(4, ())
        assert contents(again)[0].count("\n") == 5
        tell(again, 5, 6)
    assert contents(again) == contents(calm)
    with History(tmp_path) as planted:
        planted.begin(5, ())
        tell(planted, 5, 6)  # planted: told twice
    assert contents(planted) != contents(calm)


def test_a_new_run_forgets_the_old_one(tmp_path: Path) -> None:
    for _ in range(2):
        with History(tmp_path) as history:
            history.begin(0, ())
            tell(history, 1, 3)
    assert contents(history)[0].count("\n") == 4


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"), History(tmp_path / "nowhere") as history:
        history.begin(0, ())
