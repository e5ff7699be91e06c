"""`l2o-theory show`: one claim in full, with its stored verdict if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from pathlib import Path

    from l2o_theory.claims.claim import Claim
    from l2o_theory.cli.output import Output


def show(
    patterns: Annotated[list[str], typer.Argument(metavar="CLAIM...", help="Ids, globs or folders.")],
    claims: options.Claims = None,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
) -> None:
    """Show claims in full: statement, hypotheses, mutations, and the stored verdict."""
    from l2o_theory.claims.discovery import load_claims, select
    from l2o_theory.cli.document import claim_document
    from l2o_theory.cli.output import Output

    output = Output(json_wanted=json)
    book = load_claims(claims)
    chosen = select(book, patterns)
    documents = [claim_document(claim, book.files[claim.id]) for claim in chosen]
    stored = _stored(out, {claim.id: book.files[claim.id] for claim in chosen})
    for document in documents:
        document["verdict"] = stored.get(document["id"])
    output.document(documents)
    if not json:
        for number, (claim, document) in enumerate(zip(chosen, documents, strict=True)):
            if number:
                output.say()
            _print(output, claim, document)


def _stored(out: Path, files: dict[str, Path]) -> dict[str, Any]:
    from l2o_theory.cli.document import verdict_document
    from l2o_theory.store.keys import source_digest
    from l2o_theory.store.ledger import LEDGER
    from l2o_theory.store.results import Results

    if not (out / LEDGER).is_file():
        return {}
    with Results.open(out) as results:
        verdicts = results.latest({claim: source_digest(claim, file) for claim, file in files.items()})
        places = results.evidence_files(files)
    return {v.claim: verdict_document(v, [out / path for path in places[v.claim]]) for v in verdicts}


def _print(output: Output, claim: Claim, document: dict[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    def block(title: str, text: str) -> None:
        if text:
            output.say(title, style="bold")
            output.console.print(Padding(Text(text.strip()), (0, 0, 0, 2), expand=False))

    output.say(claim.id, style="bold")
    output.say(claim.title)
    block("statement", claim.statement)
    block("scope", claim.scope)
    block("source", claim.source)
    block("kind and expected verdict", f"{claim.kind}; {claim.expected.value}: {claim.expected.meaning}")
    if claim.formal is not None:
        block("definitions", _lines(claim.formal.definitions))
        block("hypotheses", _lines(claim.formal.hypotheses))
        block("conclusion", claim.formal.conclusion)
        block("witness", _lines(claim.witness))
    block("proof modulo", "\n".join(document["textbook_facts"]))
    block("mutations (false variants that must be refuted)", "\n".join(m.name for m in claim.mutations))
    block("known counterexample", _lines(claim.counterexample))
    block("corrects", claim.corrects or "")
    block("notes", claim.notes)
    block("file", document["file"])
    verdict = document["verdict"]
    if verdict is None:
        block("stored verdict", f"none; run `l2o-theory check {claim.id}`")
    else:
        block("stored verdict", f"{verdict['status']} ({verdict['trust']})\n{verdict['reason']}".strip())
        block("evidence", "\n".join(verdict["evidence"]))


def _lines(values: Any) -> str:
    return "\n".join(f"{name}: {', '.join(v) if isinstance(v, list | tuple) else v}" for name, v in values.items())
