"""`l2o-theory reproduce`: figures and tables, with what the theory predicts beside what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.cli.output import Output
    from l2o_theory.figures.experiment import ExperimentResult

_COLOURS = {"met": "green", "not met": "bold red", "not applicable": "dim"}


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Experiments, or folders that hold one; all if none.", show_default=False),
    ] = None,
    budget: options.BudgetOption = options.Budget.full,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Instead of the experiment's own seed.", show_default=False)
    ] = None,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    fresh: options.Fresh = False,
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu or cuda, where an experiment trains networks.", show_default=False),
    ] = None,
) -> None:
    """Redraw figures (PDF, PNG and the numbers behind them as CSV) and compare them with their predictions."""
    from l2o_theory.cli.output import Output
    from l2o_theory.figures import experiment
    from l2o_theory.store.results import Results

    output = Output(json_wanted=json, quiet=quiet)
    chosen = names or list(experiment.list_experiments())
    with Results.create(out):
        pass  # refuse a folder that cannot be written before the work, not after it
    quick = budget is options.Budget.quick
    results = []
    for name in chosen:
        with _told(output, name) as progress:
            result = experiment.reproduce(
                name, out=out / "figures", seed=seed, quick=quick, fresh=fresh, device=device, progress=progress
            )
        results.append(result)
        _print(output, result)
    output.document([_document(result) for result in results])
    raise typer.Exit(1 if any(result.outcome == "not met" for result in results) else 0)


class _told:
    """Progress of one experiment: a bar on a terminal, one line per stage when piped; a context manager."""

    def __init__(self, output: Output, name: str) -> None:
        from rich.progress import Progress

        self._output = output
        self._name = name
        self._stages: set[str] = set()
        self._bar = Progress(console=output.console, transient=True, disable=not output.is_live)
        self._task = self._bar.add_task(name)

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, stage: str, done: int, total: int) -> None:
        self._bar.update(self._task, description=f"{self._name}: {stage}", completed=done, total=total)
        if not self._output.is_live and stage not in self._stages:
            self._stages.add(stage)
            self._output.say(f"{self._name}: {stage}")


def _print(output: Output, result: ExperimentResult) -> None:
    from rich.table import Table
    from rich.text import Text

    reused = f", {result.reused} of {result.reused + result.computed} pieces reused" if result.reused else ""
    output.say(f"\n{result.name}  (seed {result.seed}, {result.seconds:.1f} s{reused})", style="bold")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("prediction", "expected", "measured", "outcome", "source"):
        table.add_column(column, overflow="fold")
    for comparison in result.comparisons:
        expectation, measured = comparison.expectation, comparison.measured
        table.add_row(
            Text(expectation.describes),
            Text(str(expectation)),
            "-" if measured is None else f"{measured:.6g}",
            Text(comparison.outcome, style=_COLOURS[comparison.outcome]),
            Text(expectation.source),
        )
    if not output.quiet:
        output.console.print(table)
    for path in (*result.figures, *result.tables):
        output.say(f"  {path}")
    met = sum(comparison.outcome == "met" for comparison in result.comparisons)
    missed = sum(comparison.outcome == "not met" for comparison in result.comparisons)
    output.insist(f"{result.name}: {met} predictions met, {missed} not met; files in {result.folder}")


def _document(result: ExperimentResult) -> dict[str, Any]:
    from dataclasses import asdict

    from l2o_theory.store.evidence import finite

    document = {
        "experiment": result.name,
        "outcome": result.outcome,
        "seed": result.seed,
        "comparisons": [
            {**asdict(c.expectation), "measured": c.measured, "outcome": c.outcome} for c in result.comparisons
        ],
        "numbers": dict(result.numbers),
        "figures": [str(path) for path in result.figures],
        "tables": [str(path) for path in result.tables],
        "seconds": result.seconds,
    }
    return dict(finite(document))
