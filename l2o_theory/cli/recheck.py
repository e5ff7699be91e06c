"""`l2o-theory recheck`: every stored certificate once more, by the trusted kernel alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from l2o_theory.cli import options

_TRUSTED = ("kernel", "language", "symbols", "polynomial")


def recheck(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Evidence files; all that the ledger names if none.", show_default=False),
    ] = None,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Re-check the stored certificates with the trusted kernel alone; nothing that made them takes part."""
    import time

    from l2o_theory.cli.output import Output
    from l2o_theory.errors import CertificateError, StoreError
    from l2o_theory.rigor import kernel
    from l2o_theory.store import evidence

    output = Output(json_wanted=json, quiet=quiet)
    start = time.perf_counter()
    outcomes: list[dict[str, str | None]] = []
    spoiled: list[str] = []
    for path, digest in [(path, None) for path in files] if files else _stored(out):
        try:
            document = evidence.read(path, digest)
            if document["kind"] != "certificate":
                raise StoreError(
                    f"{path} holds a {document['kind']} log, no certificate; the kernel has nothing to check"
                )
            kernel.check(document["content"])
            says = _says(document["content"])
            outcomes.append({"claim": document["claim"], "file": str(path), "rejected": None, "says": says})
            if files:  # a lone file is tied to no ledger: its reader must see what it proves, and from what
                output.say(f"accepted: {path}: {says}")
        except StoreError as error:
            spoiled.append(str(error))
        except kernel.Rejected as error:
            outcomes.append({"claim": document["claim"], "file": str(path), "rejected": str(error)})
            output.insist(f"rejected: {path}: {error}", "bold red")
    seconds = time.perf_counter() - start
    rejected = sum(outcome["rejected"] is not None for outcome in outcomes)
    output.insist(f"{len(outcomes) - rejected} certificates accepted, {rejected} rejected, in {seconds:.2f} s")
    output.say(f"trusted: {_trusted_base()}")
    output.document(outcomes)
    if spoiled:
        more = f" (and {len(spoiled) - 1} more such files)" if len(spoiled) > 1 else ""
        raise CertificateError(spoiled[0] + more)
    raise typer.Exit(1 if rejected else 0)


def _says(certificate: Mapping[str, Any]) -> str:
    """What an accepted certificate establishes, in its own words; that this is the claim is for the reader to see."""
    match certificate["kind"]:
        case "proof" | "posit":
            facts = certificate.get("facts", {}).values()
            given = [*certificate["assumptions"].values(), *(f"{f['relation']} [{f['because']}]" for f in facts)]
            return f"{' and '.join(certificate['goals'])}; given {', '.join(given) or 'nothing'}"
        case "cex":
            return f"not always {certificate['conclusion']}; at {certificate['instance']}"
        case "cover":
            return f"{certificate['conclusion']}; on {certificate['box']}"
        case other:
            return f"a certificate of kind {other}"


def _stored(out: Path) -> Iterator[tuple[Path, str | None]]:
    """Certificates that the ledger names, with the digests it recorded; each file once."""
    from l2o_theory.store.ledger import EVIDENCE, Ledger, existing_ledger

    ledger = Ledger(existing_ledger(out))
    rows = ledger.rows()
    ledger.close()
    named = {item.file: item.digest for row in rows for item in row.evidence if item.kind == "certificate"}
    yield from ((out / EVIDENCE / file, digest) for file, digest in sorted(named.items()))


def _trusted_base() -> str:
    """What a reader has to believe."""
    from l2o_theory import rigor

    folder = Path(next(iter(rigor.__path__)))
    lines = sum(len((folder / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in _TRUSTED)
    return (
        f"{', '.join(_TRUSTED)} in l2o_theory/rigor ({lines} lines, Python standard library only); "
        "for covers and ball counterexamples also python-flint"
    )
