import json
from fractions import Fraction
from pathlib import Path

import pytest
from planted_statements import FALSE, Spectrum

from l2o_theory.errors import CertificateError, StoreError
from l2o_theory.rigor.statement import Parameter, Statement
from l2o_theory.search.confirm import certify, confirm
from l2o_theory.search.replay import replay, write_replay

STATEMENT = FALSE["constant 1.9"][0]
INSTANCE = {
    "L": Fraction(1),
    "alpha": Fraction(999, 1000),
    "t": Fraction(1000),
    "w_1": Fraction(1, 2),
    "w_d": Fraction(1, 2),
    "w_i": (),
    "l_i": (),
    "eta": Fraction(1996, 1995),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = certify(STATEMENT, INSTANCE)
    assert found is not None
    write_replay(tmp_path / "deep" / "cex.json", "step_size/theorem4/k19", STATEMENT, found)
    return tmp_path / "deep" / "cex.json"


def test_both_sides_are_those_of_the_formulas(path: Path) -> None:
    played = replay(path)
    assert (played.claim, played.instance, played.statement) == ("step_size/theorem4/k19", INSTANCE, STATEMENT)
    assert played.arithmetic == "rational"
    (comparison,) = played.conclusion
    assert comparison.holds is False
    spectrum = Spectrum(INSTANCE)
    left = 2 * abs(spectrum.slope()) * Fraction(1, 2) * Fraction(999, 1000) * Fraction(1, 1000)
    right = Fraction(19, 10) * 2 * spectrum.loss(INSTANCE["eta"])
    assert Fraction(comparison.left) == pytest.approx(left, rel=1e-24)  # printed with 25 digits
    assert Fraction(comparison.right) == pytest.approx(right, rel=1e-24)
    assert comparison.left_exact == ""  # thousands of digits are not worth printing
    assert all(c.holds for cs in played.hypotheses.values() for c in cs)
    assert played.hypotheses["two extremes"][0].left_exact == "999/1000"


def test_vectors_are_shown_index_by_index(tmp_path: Path) -> None:
    statement = Statement((Parameter("l_i"),), {"order": "0 < l_i <= 2"}, "all(l_i <= 1) or sum(l_i) <= 1")
    found = certify(statement, {"l_i": (Fraction(1, 2), Fraction(3, 2))})
    assert found is not None
    write_replay(tmp_path / "v.json", "a/b", statement, found)
    played = replay(tmp_path / "v.json")
    assert [(c.index, c.left, c.holds) for c in played.conclusion] == [
        (1, "0.5", True),
        (2, "1.5", False),
        (None, "2", False),
    ]
    assert [c.index for c in played.hypotheses["order"]] == [1, 2, 1, 2]


def test_balls_say_their_bits(tmp_path: Path) -> None:
    statement = Statement((Parameter("x"),), {"positive": "x > 0"}, "log(x) <= x - 11/10")
    found = confirm(statement, {"x": 1.0})
    assert found is not None
    write_replay(tmp_path / "b.json", "a/b", statement, found)
    played = replay(tmp_path / "b.json")
    assert played.arithmetic == found.arithmetic == 128
    assert played.conclusion[0].left_exact == ""
    assert played.conclusion[0].holds is False


def damaged(path: Path, *keys: str, value: object) -> None:
    data = json.loads(path.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("instance", "eta"), "1/3"),
        (("certificate", "instance", "eta"), "1/3"),
        (("statement", "conclusion"), "D <= 0"),
        (("certificate", "conclusion"), "D <= 0"),
        (("certificate", "kind"), "posit"),
    ],
)
def test_an_edited_file_is_refused(path: Path, keys: tuple[str, ...], value: object) -> None:
    damaged(path, *keys, value=value)
    with pytest.raises(CertificateError, match="write") as caught:
        replay(path)
    assert "\n" not in str(caught.value)


def test_a_consistent_lie_is_refused_by_the_kernel(path: Path) -> None:
    damaged(path, "instance", "eta", value="1/3")
    damaged(path, "certificate", "instance", "eta", value="1/3")
    with pytest.raises(CertificateError, match="does not refute"):
        replay(path)


def test_weights_that_do_not_sum_to_one_are_refused_even_if_no_hypothesis_says_so(tmp_path: Path) -> None:
    statement = Statement((Parameter("p", "share"), Parameter("q", "share")), {}, "p + 2*q <= 3/2")
    found = certify(statement, {"p": Fraction(0), "q": Fraction(1)})
    assert found is not None
    write_replay(tmp_path / "s.json", "a/b", statement, found)
    damaged(tmp_path / "s.json", "instance", "p", value="5")
    damaged(tmp_path / "s.json", "certificate", "instance", "p", value="5")
    with pytest.raises(CertificateError, match="sorts"):
        replay(tmp_path / "s.json")


@pytest.mark.parametrize(
    ("keys", "value", "remedy"),
    [
        (("format",), 2, "upgrade"),
        (("format",), "one", "check the path"),
        (("instance", "eta"), "a third", "unreadable instance"),
        (("statement", "parameters"), [{"nam": "x"}], "write it again"),
        (("statement", "conclusion"), "L <= unknown", "write it again"),
        (("statement",), 3, "write it again"),
    ],
)
def test_unreadable_files_name_the_remedy(path: Path, keys: tuple[str, ...], value: object, remedy: str) -> None:
    damaged(path, *keys, value=value)
    with pytest.raises(StoreError, match=remedy) as caught:
        replay(path)
    assert "\n" not in str(caught.value)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check the path"):
        replay(tmp_path / "absent.json")
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(StoreError, match="not valid JSON"):
        replay(tmp_path / "text.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="not valid JSON"):
        replay(tmp_path / "bytes.json")


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = certify(STATEMENT, INSTANCE)
    assert found is not None
    with pytest.raises(StoreError, match="writable folder"):
        write_replay(tmp_path / "file" / "cex.json", "a/b", STATEMENT, found)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
