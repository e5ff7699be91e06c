"""The claim that CONTRIBUTING.md walks through is complete: it is loaded and checked as printed there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.discovery import load_claims
from l2o_theory.claims.runner import check
from l2o_theory.claims.verdict import Status

ROOT = Path(__file__).resolve().parent.parent
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)


def claim_in(text: str, folder: Path) -> Claim:
    path = folder / "descent.py"
    path.write_text(text)
    (claim,) = load_claims([path]).claims.values()
    return claim


def test_example_is_proved_and_its_mutations_fall(tmp_path: Path) -> None:
    claim = claim_in(EXAMPLE, tmp_path)
    verdict = check(claim)
    assert verdict.status is claim.expected is Status.PROVED
    assert [mutation.status for mutation in verdict.mutations] == [Status.FALSIFIED, Status.FALSIFIED]


@pytest.mark.parametrize(
    ("printed", "planted", "status"),
    [
        ('"eta*L <= 2"', '"eta*L <= 3"', Status.FALSIFIED),  # the variant that the text tells the reader to try
        ('"weights": "w_i >= 0"', '"weights": "w_i >= -1"', Status.NOT_FALSIFIED),  # one_term needs the sign of w_i
    ],
)
def test_planted_false_variant_is_not_proved(tmp_path: Path, printed: str, planted: str, status: Status) -> None:
    assert printed in EXAMPLE
    assert check(claim_in(EXAMPLE.replace(printed, planted), tmp_path)).status is status
