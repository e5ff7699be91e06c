"""README.md tells the truth: its code runs, its commands and links exist, its table is the one the claims expect.

`python tests/test_readme.py` writes the table anew.
"""

from __future__ import annotations

import doctest
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.main import get_command

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.discovery import load_claims
from l2o_theory.claims.verdict import Status
from l2o_theory.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
TABLE = re.compile(r"(?<=<!-- verdicts -->\n).*?(?=<!-- /verdicts -->)", flags=re.DOTALL)
MARKUP, ESCAPED = r"([|*_`])", r"\\\1"  # a title is text


def verdict_table(claims: list[Claim]) -> str:
    """The table between the marks of README.md: strongest verdict first, then by id."""
    order = list(Status)
    ranked = sorted(claims, key=lambda claim: (order.index(claim.expected), claim.id))
    rows = [f"| {c.expected.value} | `{c.id}` | {re.sub(MARKUP, ESCAPED, c.title)} |" for c in ranked]
    return "\n".join(["| verdict | claim | what it says |", "|---|---|---|", *rows, ""])


def failures_of(block: str) -> int:
    """Examples of a code block whose output is not the one printed."""
    test = doctest.DocTestParser().get_doctest(block, {}, "README", "README.md", 0)
    return doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed


def unknown_verbs(text: str) -> set[str]:
    """Verbs after `l2o-theory` that the command line does not have."""
    return set(re.findall(r"`(?:\S*/)?l2o-theory ([a-z]+)", text)) - set(get_command(app).commands)


def missing_targets(text: str) -> set[str]:
    """Files that a relative link names and that are not there, and make targets that the Makefile lacks."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^ {4}make ([a-z]+)", text, flags=re.MULTILINE)
    absent = {f"make {name}" for name in commands if f"\n{name}: " not in makefile}
    return absent | {link for link in links if not (ROOT / link).exists()}


@pytest.mark.parametrize("block", BLOCKS)
def test_code_runs_as_printed(block: str) -> None:
    assert failures_of(block) == 0


def test_planted_wrong_output_is_seen() -> None:
    assert failures_of(BLOCKS[0].replace("1.332201", "1.332202")) == 1


def test_table_is_what_the_claims_expect() -> None:
    (printed,) = TABLE.findall(README)
    assert printed == verdict_table(list(load_claims().claims.values())), "run `python tests/test_readme.py`"


def test_planted_wrong_verdict_changes_the_table() -> None:
    first, *others = load_claims().claims.values()
    assert verdict_table([replace(first, expected=Status.OUT_OF_SCOPE), *others]) != verdict_table([first, *others])


def test_every_verdict_is_explained() -> None:
    assert not {status.value for status in Status} - set(re.findall(r"^\| ([A-Z_]+) \|", README, flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_commands_and_links_exist(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not unknown_verbs(text)
    assert not missing_targets(text)


def test_planted_dead_link_and_verb_are_seen() -> None:
    assert unknown_verbs("run `l2o-theory conjure` now") == {"conjure"}
    assert missing_targets("[a](docs/nowhere.png)\n    make gold\n") == {"docs/nowhere.png", "make gold"}


if __name__ == "__main__":
    table = verdict_table(list(load_claims().claims.values()))
    (ROOT / "README.md").write_text(TABLE.sub(lambda _: table, README))
