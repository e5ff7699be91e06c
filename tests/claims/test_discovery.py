"""Claim files are found by path, built-in and a user's alike; a broken one is named with its line."""

from pathlib import Path

import pytest

from l2o_theory.claims.discovery import load_claims, load_plugin, plugin_folder, select
from l2o_theory.errors import ClaimError

GOOD = """
from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.rigor.statement import Parameter, Statement

CLAIMS = [
    Claim(
        id="{id}", title="t", source="derived here", statement="x <= x", kind="upper", scope="all",
        expected=Status.PROVED,
        formal=Statement(parameters=(Parameter("x"),), hypotheses={{}}, conclusion="x <= x"),
        witness={{"x": "1"}}, mutations=(Mutation("strict", {{"conclusion": "x < x"}}),),
    )
]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_searched_and_private_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "b.py", GOOD.format(id="toy/b"))
    write(tmp_path, "deep/a.py", GOOD.format(id="toy/a"))
    for hidden in ("_draft.py", ".hidden/c.py", "_old/d.py"):
        write(tmp_path, hidden, "raise RuntimeError('must not be loaded')")
    book = load_claims([tmp_path])
    assert list(book.claims) == ["toy/a", "toy/b"]  # by id, wherever the file lies
    assert book.files["toy/a"].name == "a.py"


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    one, two = (write(tmp_path, f"{k}/same.py", GOOD.format(id=f"toy/c{k}")) for k in "ab")
    assert load_plugin(one).__name__ != load_plugin(two).__name__
    assert len(load_claims([tmp_path]).claims) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = (", r"broken\.py:1: SyntaxError"),
        ("\n\n1/0\n", r"broken\.py:3: ZeroDivisionError"),
        ("import no_such_module_anywhere\n", r"broken\.py:1: ModuleNotFoundError"),
        ("raise SystemExit(0)\n", r"broken\.py:1: SystemExit"),
        ("x = 1\n", "defines CLAIMS"),
        ("CLAIMS = [1]\n", "defines CLAIMS"),
        (GOOD.format(id="Toy"), "area/theorem/part"),
        (GOOD.format(id="toy/a").replace('"x <= x")', '"x <= q")'), "no parameter"),
    ],
)
def test_a_broken_file_is_one_line_that_names_it(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, "broken.py", text)
    with pytest.raises(ClaimError, match=told) as caught:
        load_claims([path])
    assert "\n" not in str(caught.value)
    assert str(path.resolve()) in str(caught.value)


def test_an_id_used_twice_names_both_files(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        write(tmp_path, name, GOOD.format(id="toy/same"))
    with pytest.raises(ClaimError, match=r"two\.py.*toy/same.*one\.py"):
        load_claims([tmp_path])


@pytest.mark.parametrize("missing", ["nowhere.py", "no/folder"])
def test_a_missing_path_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ClaimError, match="no such claim file or folder"):
        load_claims([tmp_path / missing])


def test_a_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"ends in \.py"):
        load_claims([write(tmp_path, "claims.txt", GOOD.format(id="toy/a"))])


def test_selection_by_id_glob_and_folder() -> None:
    book = load_claims([plugin_folder("proofs_checks") / "step_size"])
    bracket = ["step_size/theorem3/bracket_above", "step_size/theorem3/bracket_below"]
    assert [claim.id for claim in select(book, bracket)] == bracket
    assert [claim.id for claim in select(book, ["*bracket*"])] == bracket
    everything = [claim.id for claim in select(book, [])]
    assert [claim.id for claim in select(book, ["step_size"])] == everything == list(book.claims)
    third = select(book, ["step_size/theorem3/"])
    assert {claim.id for claim in third} == {name for name in everything if name.startswith("step_size/theorem3/")}


def test_an_unknown_id_comes_with_near_misses() -> None:
    book = load_claims([plugin_folder("proofs_checks") / "step_size"])
    with pytest.raises(ClaimError, match="did you mean step_size/theorem3/upper_bound"):
        select(book, ["step_size/theorem3/uper_bound"])
    with pytest.raises(ClaimError, match="l2o-theory list"):
        select(book, ["qqqqqqqq"])


def test_every_built_in_claim_carries_what_the_issue_asks_for() -> None:
    claims = load_claims().claims
    for claim in claims.values():
        assert "derived here" in claim.source or "Theorem" in claim.source or "20" in claim.source, claim.id
        assert claim.corrects is None or claim.corrects in claims, claim.id
    false = [claim for claim in claims.values() if claim.expected.value == "FALSIFIED"]
    assert all(claim.corrects is None for claim in false)
    mended = {claim.corrects for claim in claims.values()}
    assert {"step_size/theorem3/remark_small_below", "step_size/theorem3/remark_large_above"} <= mended
