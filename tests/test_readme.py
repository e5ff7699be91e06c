"""README.md tells the truth: its code runs, its commands and links exist, its tables are the ones the claims expect.

`python tests/test_readme.py` writes the tables of README.md and docs/claims.md anew.
"""

from __future__ import annotations

import doctest
import re
from collections import Counter
from collections.abc import Callable
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
CLAIMS_PAGE = ROOT / "docs" / "claims.md"
MARKUP, ESCAPED = r"([|*_`])", r"\\\1"  # a title is text


def area(claim: Claim) -> str:
    """What a claim is about: the first part of its id."""
    return claim.id.partition("/")[0]


def verdict_table(claims: list[Claim]) -> str:
    """The table between the marks of docs/claims.md: by area, strongest verdict first, then by id."""
    order = list(Status)
    ranked = sorted(claims, key=lambda claim: (area(claim), order.index(claim.expected), claim.id))
    rows = [f"| {c.expected.value} | `{c.id}` | {re.sub(MARKUP, ESCAPED, c.title)} |" for c in ranked]
    return "\n".join(["| verdict | claim | what it says |", "|---|---|---|", *rows, ""])


def summary_table(claims: list[Claim]) -> str:
    """The table between the marks of README.md: how many claims of each area record which verdict."""
    areas = sorted({area(claim) for claim in claims})
    shown = [status for status in Status if any(claim.expected is status for claim in claims)]
    head = ["| area | " + " | ".join(status.value for status in shown) + " |", "|---|" + "---:|" * len(shown)]
    counts = {name: Counter(claim.expected for claim in claims if area(claim) == name) for name in areas}
    rows = [f"| `{name}/*` | " + " | ".join(str(counts[name][status]) for status in shown) + " |" for name in areas]
    return "\n".join([*head, *rows, ""])


def falsified_table(claims: list[Claim]) -> str:
    """The second table of README.md: every sentence that fails as written, beside what corrects it."""
    corrections = {claim.corrects: claim for claim in claims if claim.corrects}
    failed = sorted((c for c in claims if c.expected is Status.FALSIFIED), key=lambda claim: claim.id)
    rows = [
        f"| {re.sub(MARKUP, ESCAPED, c.title)} | `{c.id}` | "
        + (f"`{corrections[c.id].id}`" if c.id in corrections else "")
        + " |"
        for c in failed
    ]
    return "\n".join(["| fails as written | claim | corrected by |", "|---|---|---|", *rows, ""])


def regenerated(text: str, claims: list[Claim]) -> str:
    """The text with the tables between its marks written anew."""
    for mark, table in TABLES.items():
        text = between(mark).sub(lambda _, table=table: table(claims), text)
    return text


TABLES: dict[str, Callable[[list[Claim]], str]] = {
    "verdicts": verdict_table,
    "summary": summary_table,
    "falsified": falsified_table,
}
PAGES = [ROOT / "README.md", CLAIMS_PAGE]


def between(mark: str) -> re.Pattern[str]:
    """What stands between <!-- mark --> and <!-- /mark -->."""
    return re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", flags=re.DOTALL)


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
    (block,) = (block for block in BLOCKS if "1.332201" in block)
    assert failures_of(block.replace("1.332201", "1.332202")) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_what_the_claims_expect(page: Path) -> None:
    text = page.read_text()
    assert regenerated(text, list(load_claims().claims.values())) == text, "run `python tests/test_readme.py`"


def test_every_table_stands_on_a_page() -> None:
    printed = "".join(page.read_text() for page in PAGES)
    assert [mark for mark in TABLES if len(between(mark).findall(printed)) != 1] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_planted_wrong_verdict_changes_the_tables(page: Path) -> None:
    first, *others = load_claims().claims.values()
    planted = [replace(first, expected=Status.OUT_OF_SCOPE), *others]
    assert regenerated(page.read_text(), planted) != page.read_text()


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
    built_in = list(load_claims().claims.values())
    for page in PAGES:
        page.write_text(regenerated(page.read_text(), built_in))
