"""`l2o-theory report`: the page of stored verdicts, without checking anything."""

from __future__ import annotations

from l2o_theory.cli import options


def report(claims: options.Claims = None, out: options.Out = options.RESULTS, quiet: options.Quiet = False) -> None:
    """Rebuild the report from the stored verdicts."""
    from l2o_theory.claims.discovery import load_claims
    from l2o_theory.cli.output import Output
    from l2o_theory.cli.page import write_page
    from l2o_theory.store.keys import source_digest
    from l2o_theory.store.results import Results

    output = Output(quiet=quiet)
    book = load_claims(claims)
    sources = {claim: source_digest(claim, file) for claim, file in book.files.items()}
    with Results.open(out) as results:
        missing = len(sources) - len(results.latest(sources))
        page = write_page(results, book, sources)
    if missing:
        output.say(f"{missing} of {len(sources)} claims have no current verdict; `l2o-theory check` adds them")
    output.insist(f"report: {page}")
