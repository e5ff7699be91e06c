import json
import math
from fractions import Fraction
from pathlib import Path

import pytest
from planted_statements import FALSE, TRUE

from l2o_theory.errors import InputError, StoreError
from l2o_theory.search import Budget
from l2o_theory.search.campaign import Campaign, CampaignState

TINY = Budget(drawn=5, random=60, evolved=100, climbed=60, confirmations=4, seconds=60)
TRUE_LEMMA, FALSE_LEMMA = TRUE["1/27"], FALSE["1/28"][0]


def test_an_interrupted_campaign_ends_as_a_quiet_one_does(tmp_path: Path) -> None:
    quiet = Campaign(TRUE_LEMMA, tmp_path / "quiet.json", seed=1, budget=TINY).run(rounds=4)
    broken = Campaign(TRUE_LEMMA, tmp_path / "broken.json", seed=1, budget=TINY)
    broken.run(rounds=1)
    broken.run(rounds=3)
    assert broken.run(rounds=4) == quiet
    assert (tmp_path / "broken.json").read_bytes() == (tmp_path / "quiet.json").read_bytes()
    other = Campaign(TRUE_LEMMA, tmp_path / "other.json", seed=2, budget=TINY).run(rounds=4)
    assert other != quiet


def test_rounds_build_on_each_other(tmp_path: Path) -> None:
    states: list[CampaignState] = []
    Campaign(TRUE_LEMMA, tmp_path / "c.json", seed=1, budget=TINY).run(rounds=3, progress=states.append)
    assert [s.rounds for s in states] == [1, 2, 3]
    margins = [s.smallest_margin for s in states]
    assert margins == sorted(margins, reverse=True)
    assert states[-1].examples_run > 3 * (60 + 60)
    assert 0 < len(states[-1].corpus) <= 8


def test_a_counterexample_ends_the_campaign_and_survives_a_restart(tmp_path: Path) -> None:
    campaign = Campaign(FALSE_LEMMA, tmp_path / "c.json", seed=0, budget=TINY)
    state = campaign.run(rounds=40)
    assert state.counterexample is not None
    assert state.rounds < 40
    again = campaign.run(rounds=40)
    assert again.counterexample == state.counterexample
    assert again.rounds == state.rounds


def test_no_time_no_round(tmp_path: Path) -> None:
    campaign = Campaign(TRUE_LEMMA, tmp_path / "c.json", seed=0, budget=TINY)
    state = campaign.run(seconds=0)
    assert state.rounds == 0
    assert math.isnan(state.smallest_margin)
    with pytest.raises(InputError, match="give one"):
        campaign.run()


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (lambda data: {**data, "format": 2}, "upgrade"),
        (lambda data: {**data, "of": "x"}, "delete it"),
        (lambda data: {**data, "corpus": [{"L": "one"}]}, "start over"),
        (lambda data: {name: v for name, v in data.items() if name != "rounds"}, "start over"),
        (lambda data: {**data, "counterexample": {"L": "1", "eta": "3", "l": "1/9", "t": "1"}}, "start over"),
        (lambda data: [data], "check the path"),
    ],
)
def test_damaged_files_are_refused_with_a_remedy(tmp_path: Path, damage, remedy: str) -> None:
    path = tmp_path / "c.json"
    campaign = Campaign(TRUE_LEMMA, path, seed=0, budget=TINY)
    campaign.run(rounds=1)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=remedy) as caught:
        campaign.run(rounds=2)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    campaign = Campaign(TRUE_LEMMA, path, seed=0, budget=TINY)
    campaign.run(rounds=1)
    path.write_text(path.read_text()[:100])
    with pytest.raises(StoreError, match="cut off"):
        campaign.state()


def test_a_failed_write_leaves_the_old_state_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    campaign = Campaign(TRUE_LEMMA, path, seed=0, budget=TINY)
    campaign.run(rounds=1)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreError, match="writable folder"):
        campaign.run(rounds=2)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_corpus_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    campaign = Campaign(TRUE_LEMMA, path, seed=0, budget=TINY)
    state = campaign.run(rounds=1)
    saved = json.loads(path.read_text())["corpus"]
    assert [{n: Fraction(text) for n, text in entry.items()} for entry in saved] == list(state.corpus)
