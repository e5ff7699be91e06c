"""`l2o-theory check`: verdicts, stored as they come, so that a killed run continues where it was."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.claims.claim import Claim
    from l2o_theory.claims.verdict import Verdict
    from l2o_theory.cli.output import Output
    from l2o_theory.execution.pool import Job
    from l2o_theory.store.results import Results


def check(
    patterns: options.Patterns = None,
    claims: options.Claims = None,
    budget: options.BudgetOption = options.Budget.quick,
    seed: options.Seed = 0,
    jobs: options.Jobs = options.CORES,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    fresh: options.Fresh = False,
) -> None:
    """Check claims and write the report. Stored verdicts are reused as long as nothing they rest on has changed."""
    from l2o_theory.claims.discovery import load_claims, select
    from l2o_theory.cli import table
    from l2o_theory.cli.output import Output
    from l2o_theory.cli.page import write_page
    from l2o_theory.execution.pool import Job
    from l2o_theory.store.keys import source_digest
    from l2o_theory.store.results import Results

    output = Output(json_wanted=json, quiet=quiet)
    book = load_claims(claims)
    chosen = select(book, patterns or [])
    sources = {claim: source_digest(claim, file) for claim, file in book.files.items()}
    with Results.create(out) as results:
        job = Job(claims, budget.value, seed)
        try:
            verdicts = _verdicts(chosen, sources, results, job, jobs, output, fresh)
        except KeyboardInterrupt:
            output.insist("stopped; every verdict so far is stored: run the same command again to continue")
            raise typer.Exit(130) from None
        documents = _documents(chosen, verdicts, results)
        page = write_page(results, book, sources)
    if not quiet and not json:
        output.say()
        table.print_table(output, verdicts)
        output.say()
    table.print_attention(output, verdicts)
    table.print_counts(output, verdicts)
    for document in documents:
        if document["replay"] is not None:
            output.say(f"replay {document['claim']}: l2o-theory replay {document['replay']}")
    output.say(f"report: {page}")
    output.document(documents)
    raise typer.Exit(table.exit_code(verdicts))


def _verdicts(
    chosen: list[Claim],
    sources: dict[str, str],
    results: Results,
    job: Job,
    jobs: int,
    output: Output,
    fresh: bool,
) -> list[Verdict]:
    """Verdicts in the order of the claims: the stored ones, and new ones as the workers find them."""
    from l2o_theory.cli.progress import CheckProgress
    from l2o_theory.execution.pool import check_all

    found: dict[str, Verdict] = {}
    with CheckProgress(output, len(chosen)) as progress:
        for claim in chosen if not fresh else []:
            stored = results.reusable(claim.id, source=sources[claim.id], budget=job.budget, seed=job.seed)
            if stored is not None:
                found[claim.id] = stored
                progress.finished(stored, stored=True)
        waiting = [claim for claim in chosen if claim.id not in found]
        with closing(check_all(waiting, job, workers=jobs, started=progress.started)) as answers:
            for verdict in answers:
                kept = results.record(verdict, source=sources[verdict.claim], budget=job.budget, seed=job.seed)
                found[verdict.claim] = kept
                progress.finished(kept)
    return [found[claim.id] for claim in chosen]


def _documents(chosen: list[Claim], verdicts: list[Verdict], results: Results) -> list[dict[str, Any]]:
    """The verdicts as the JSON document; each confirmed counterexample gets a file to replay."""
    from l2o_theory.cli.document import verdict_document
    from l2o_theory.cli.replays import write_verdict

    places = results.evidence_files([verdict.claim for verdict in verdicts])
    return [
        verdict_document(
            verdict,
            [results.folder / path for path in places[claim.id]],
            replay=write_verdict(results.folder, claim, verdict),
        )
        for claim, verdict in zip(chosen, verdicts, strict=True)
    ]
