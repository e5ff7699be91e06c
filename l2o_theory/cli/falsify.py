"""`l2o-theory falsify`: long searches for a counterexample, saved after every round."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.claims.claim import Claim
    from l2o_theory.cli.output import Output
    from l2o_theory.search.campaign import Campaign, CampaignState


def falsify(
    patterns: options.Patterns = None,
    claims: options.Claims = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.0, help="Time for each claim.")] = 1.0,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds", min=1, help="Rounds in all, earlier runs included; instead of --minutes.", show_default=False
        ),
    ] = None,
    budget: options.BudgetOption = options.Budget.quick,
    seed: options.Seed = 0,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    fresh: options.Fresh = False,
) -> None:
    """Search for counterexamples, also of what is proved. A campaign found in the folder of results is continued."""
    from l2o_theory.claims.discovery import load_claims, select
    from l2o_theory.cli.output import Output
    from l2o_theory.errors import ClaimError
    from l2o_theory.search.campaign import Campaign
    from l2o_theory.search.hunt import Budget
    from l2o_theory.store.results import Results

    output = Output(json_wanted=json, quiet=quiet)
    chosen = [claim for claim in select(load_claims(claims), patterns or []) if claim.formal is not None]
    if not chosen:
        raise ClaimError("only measured claims match, which state nothing to search; name a formal claim, or use check")
    with Results.create(out):
        pass  # refuse a folder that cannot be written before the work, not after it
    documents = []
    try:
        for claim in chosen:
            assert claim.formal is not None
            name = claim.id.replace("/", ".")
            campaign = Campaign(
                claim.formal, out / "campaigns" / f"{name}-{budget.value}-{seed}.json", seed, Budget.named(budget.value)
            )
            if fresh:
                campaign.path.unlink(missing_ok=True)
            documents.append(_document(claim, _run(claim, campaign, minutes, rounds, output), out))
            _print(output, documents[-1])
    except KeyboardInterrupt:
        output.insist("stopped; every finished round is stored: run the same command again to continue")
        raise typer.Exit(130) from None
    output.document(documents)
    raise typer.Exit(_exit_code(documents))


def _run(claim: Claim, campaign: Campaign, minutes: float, rounds: int | None, output: Output) -> CampaignState:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=output.console, transient=True, disable=not output.is_live) as bar:
        task = bar.add_task(claim.id)

        def tell(state: CampaignState) -> None:
            bar.update(
                task, description=f"{claim.id}: round {state.rounds}, smallest margin {state.smallest_margin:.2g}"
            )

        return campaign.run(rounds=rounds, seconds=60 * minutes if rounds is None else None, progress=tell)


def _document(claim: Claim, state: CampaignState, out: Path) -> dict[str, Any]:
    from l2o_theory.claims.verdict import Status
    from l2o_theory.cli.replays import write_counterexample
    from l2o_theory.rigor.statement import to_json
    from l2o_theory.store.evidence import finite

    found = state.counterexample
    document = {
        "claim": claim.id,
        "expected": claim.expected.value,
        "falsified": found is not None,
        "as_expected": (found is not None) == (claim.expected is Status.FALSIFIED),
        "rounds": state.rounds,
        "examples": state.examples_run,
        "smallest_margin": state.smallest_margin,
        "float_only_violations": state.float_only_violations,
        "counterexample": None if found is None else to_json(found.instance),
        "replay": None if found is None else str(write_counterexample(out, claim, found.instance)),
    }
    return dict(finite(document))


def _exit_code(documents: list[dict[str, Any]]) -> int:
    """0 as recorded; 1 a claim fell that should stand; 3 the only surprise is one that should fall and still stands."""
    surprises = {document["falsified"] for document in documents if not document["as_expected"]}
    return 1 if True in surprises else 3 if surprises else 0


def _print(output: Output, document: dict[str, Any]) -> None:
    effort = f"{document['rounds']} rounds, {document['examples']} points"
    if document["falsified"]:
        surprise = "" if document["expected"] == "FALSIFIED" else f", recorded as {document['expected']}"
        output.insist(f"{document['claim']}: FALSIFIED{surprise} ({effort})", "red")
        output.insist(f"  replay: l2o-theory replay {document['replay']}")
        return
    margin = document["smallest_margin"]
    closest = "no admissible point" if margin is None else f"smallest margin {margin:.2g}"
    noise = document["float_only_violations"]
    doubts = f", {noise} violations in floating point alone" if noise else ""
    output.insist(f"{document['claim']}: nothing found, which is no proof ({effort}, {closest}{doubts})")
