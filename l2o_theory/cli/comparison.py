"""Words, tables and the JSON document of `l2o-theory compare`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from l2o_theory.cli.output import Output
from l2o_theory.figures.comparison import choices
from l2o_theory.least_squares.outcome import Choice, Compared, Outcome
from l2o_theory.store.evidence import finite

_AXES = {"samples": "n", "noise": "sigma", "steps": "t"}


def varied(cells: Sequence[Compared]) -> list[str]:
    """The parameters of which the cells have several values."""
    return [name for name in _AXES if len({getattr(cell.protocol, name) for cell in cells}) > 1]


def print_cells(output: Output, cells: Sequence[Compared]) -> None:
    """Two rows per cell: what either objective picks and costs, predicted beside measured; then who wins."""
    names = varied(cells) or ["noise"]
    table = _table([*(_AXES[name] for name in names), "tuned on"])
    for title in ("step size\npredicted", "\nmeasured", "test RMSE\npredicted", "\nmeasured"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("train RMSE\npredicted", "\nmeasured"):
        table.add_column(title, justify="right", no_wrap=True)
    verdicts = _table([*(_AXES[name] for name in names), "smaller test RMSE"])
    for title in ("factor\npredicted", "\nmeasured", "agrees"):
        verdicts.add_column(title, justify="right", no_wrap=True)
    for cell in cells:
        place = [_number(getattr(cell.protocol, name)) for name in names]
        pairs = zip(choices(cell.predicted), choices(cell.measured), strict=True)
        for row, ((objective, predicted), (_, seen)) in enumerate(pairs):
            table.add_row(*(place if row == 0 else [""] * len(place)), objective[9:], *_row(predicted, seen))
        agrees = "yes" if cell.predicted.winner == cell.measured.winner else "no"
        winner = cell.measured.winner or ("both diverge" if cell.measured.by_train.diverges else "equal")
        verdicts.add_row(*place, winner, _factor(cell.predicted), _factor(cell.measured), agrees)
    if not output.quiet:
        output.console.print(table)
        output.say()
        output.console.print(verdicts)


def print_crossings(output: Output, crossings: Sequence[dict[str, Any]]) -> None:
    """Where the prediction changes sides."""
    for place in crossings:
        setting = f"n = {place['samples']}, t = {place['steps']}, split {place['split'][0]} + {place['split'][1]}"
        if place["noise"] > 0:
            output.say(f"tie at sigma = {place['noise']:.4g}: below it train-by-train wins ({setting})")
        else:
            output.say(f"no tie: train-by-train wins at no noise ({setting})")


def print_agreement(output: Output, cells: Sequence[Compared], grid: Sequence[float]) -> None:
    """How far measured lies from predicted, over all cells."""
    pairs = [pair for cell in cells for pair in _pairs(cell)]
    finite_pairs = [(p, m) for p, m in pairs if not (p.diverges or m.diverges)]
    apart = [abs(list(grid).index(p.step_size) - list(grid).index(m.step_size)) for p, m in pairs]
    same = sum(distance == 0 for distance in apart)
    output.say(f"chosen step size: as predicted in {same} of {len(apart)}, at most {max(apart)} grid points away")
    worst = max((abs(m.test / p.test - 1) for p, m in finite_pairs if p.test > 0), default=None)
    if worst is not None:
        output.say(f"test RMSE: within {100 * worst:.2g} percent of its prediction")
    diverging = len(pairs) - len(finite_pairs)
    if diverging:
        output.insist(
            f"diverges: {diverging} of {len(pairs)} choices lie beyond stability; add smaller steps to --grid"
        )


def document(cells: Sequence[Compared]) -> list[dict[str, Any]]:
    """The cells as plain data; numbers that are not finite become null beside `diverges`."""
    return [
        {
            **{name: getattr(cell.protocol, name) for name in ("dimension", "samples", "noise", "steps")},
            "split": list(cell.protocol.split),
            "predicted": _outcome(cell.predicted),
            "measured": _outcome(cell.measured),
        }
        for cell in cells
    ]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    sides = {
        objective.replace("-", "_"): {
            "step_size": choice.step_size,
            "test_rmse": choice.test,
            "test_rmse_error": choice.test_error,
            "train_rmse": choice.train,
            "train_rmse_error": choice.train_error,
            "diverges": choice.diverges,
        }
        for objective, choice in choices(outcome)
    }
    return dict(
        finite({**sides, "winner": outcome.winner, "factor": outcome.factor, "factor_error": outcome.factor_error})
    )


def _pairs(cell: Compared) -> list[tuple[Choice, Choice]]:
    both = zip(choices(cell.predicted), choices(cell.measured), strict=True)
    return [(predicted, seen) for (_, predicted), (_, seen) in both]


def _table(names: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(f"\n{name}", no_wrap=True)
    return table


def _row(predicted: Choice, seen: Choice) -> list[Text | str]:
    cells: list[Text | str] = [_number(predicted.step_size), _number(seen.step_size)]
    for quantity in ("test", "train"):
        expected, found = getattr(predicted, quantity), getattr(seen, quantity)
        cells += [_rmse(expected), _with_error(found, getattr(seen, f"{quantity}_error"))]
    return cells


def _number(value: float) -> str:
    return f"{value:g}" if value == int(value) else f"{value:.4g}"


def _rmse(value: float) -> Text | str:
    return f"{value:.4g}" if math.isfinite(value) else Text("diverges", style="bold red")


def _with_error(value: float, error: float) -> Text | str:
    """1.574(6) for 1.574 +- 0.006: the digits in brackets belong to the last ones shown."""
    if not math.isfinite(value):
        return _rmse(value)
    if not error > 0:
        return f"{value:.4g}"
    digits = min(max(-math.floor(math.log10(1.05 * error)), 0), 9)  # 0.00096 rounds up to (1) a digit earlier
    return f"{value:.{digits}f}({max(error * 10**digits, 1):.0f})"


def _factor(outcome: Outcome) -> str:
    if outcome.winner is None:
        return "-"
    if not math.isfinite(outcome.factor):
        return "diverges" if outcome.by_train.diverges or outcome.by_validation.diverges else "to 0"
    return str(_with_error(outcome.factor, outcome.factor_error))
