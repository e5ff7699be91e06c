"""The report page of an output folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from l2o_theory.claims.discovery import ClaimBook
from l2o_theory.report import write_report
from l2o_theory.store.results import Results

PAGE = "report.html"


def write_page(results: Results, book: ClaimBook, sources: Mapping[str, str]) -> Path:
    """Write the page with the latest stored verdict of each claim of the book that is still current.

    Args:
        results: the open output folder.
        book: the claims, for their statements.
        sources: claim id -> digest of its file and of the program.

    Raises:
        StoreError: evidence is missing or was edited, or the page cannot be written.
    """
    verdicts = results.latest(sources)
    places = results.evidence_files([verdict.claim for verdict in verdicts])
    links = {claim: [path.as_posix() for path in paths] for claim, paths in places.items()}
    return write_report(verdicts, book.claims, results.folder / PAGE, evidence_links=links)
