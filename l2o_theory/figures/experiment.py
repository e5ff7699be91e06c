"""Experiments: folders of config.toml, run.py and expected.toml that redraw a figure and compare it with the theory.

run.py defines `PARAMETERS`, the `Parameter` of every entry of config.toml, and

    run(config, out, *, pieces, progress) -> Measurements

which computes in `pieces` (see `Pieces.get`), draws through `canvas` into `out`, calls `progress(stage, done, total)`
after each piece, and returns the numbers that expected.toml speaks of.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from l2o_theory import __version__
from l2o_theory.claims.discovery import load_plugin, plugin_folder
from l2o_theory.errors import ClaimError, InputError, near_misses
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.figures.expectation import Comparison, Outcome, compare, load_expectations
from l2o_theory.figures.pieces import Pieces, fingerprint, versions
from l2o_theory.figures.table import write_file

Progress = Callable[[str, int, int], None]
"""Called with (stage, finished pieces, pieces in all)."""


@dataclass(frozen=True)
class Measurements:
    """What a run returns: numbers by name, and the figure and table files it wrote."""

    numbers: Mapping[str, float]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class ExperimentResult:
    """What came out of one experiment, beside what was expected."""

    name: str
    folder: Path
    seed: int
    quick: bool
    comparisons: tuple[Comparison, ...]
    numbers: Mapping[str, float]
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    reused: int
    computed: int
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """ "met" if every prediction that applies is; "not applicable" if none applies to this run."""
        outcomes = {comparison.outcome for comparison in self.comparisons}
        return next((worst for worst in ("not met", "met") if worst in outcomes), "not applicable")


def list_experiments(folder: Path | None = None) -> dict[str, Path]:
    """Return the experiments of a folder by name; the built-in ones by default.

    Raises:
        InputError: no such folder.
        ClaimError: the installation lacks its experiments.
    """
    root = plugin_folder("experiments") if folder is None else folder
    if not root.is_dir():
        raise InputError(f"no folder {root}; give a folder whose subfolders hold run.py, config.toml and expected.toml")
    return {path.parent.name: path.parent for path in sorted(root.glob("*/run.py"))}


def reproduce(
    name: str,
    *,
    out: Path,
    seed: int | None = None,
    quick: bool = False,
    fresh: bool = False,
    device: str | None = None,
    progress: Progress | None = None,
) -> ExperimentResult:
    """Run one experiment and compare it with its predictions.

    Writes the figures (PDF, PNG), their tables (CSV) and result.json into out/name. Pieces finished by an earlier,
    interrupted run are reused when parameters, seed, sources and versions are the same, unless `fresh`.

    Args:
        name: one of `list_experiments()`, or the path of an experiment folder.
        out: folder for the results.
        seed: replaces the seed of config.toml; predictions tied to a seed apply only to that one.
        quick: apply the [quick] table of config.toml: a smaller run for tests.
        fresh: recompute everything.
        device: replaces every entry of config.toml named `device`; experiments without one run as ever.
        progress: see `Progress`.

    Raises:
        InputError: unknown name (near misses suggested), bad config.toml or expected.toml.
        ClaimError: run.py cannot be imported.
        StoreError: `out` cannot be written.
    """
    started = time.perf_counter()
    source = _find(name)
    plugin = _load(source)
    config = load_configuration(source / "config.toml", plugin.PARAMETERS, seed=seed, quick=quick)
    if device is not None:
        config = {**config, **{entry: device for entry in config if entry.rpartition(".")[2] == "device"}}
    expectations = load_expectations(source / "expected.toml")
    folder = Path(out) / source.name
    # Fails before any work if the folder cannot be written, and a killed run does not pass for the one before it.
    _write(folder, {"experiment": source.name, "version": __version__, "outcome": "unfinished"})
    pieces = Pieces(folder / "pieces", fingerprint(source), fresh=fresh)
    measured: Measurements = plugin.run(config, folder, pieces=pieces, progress=progress or _silent)
    result = ExperimentResult(
        name=source.name,
        folder=folder,
        seed=config["seed"],
        quick=quick,
        comparisons=compare(expectations, measured.numbers, seed=config["seed"], quick=quick),
        numbers=measured.numbers,
        figures=tuple(path for path in measured.files if path.suffix != ".csv"),
        tables=tuple(path for path in measured.files if path.suffix == ".csv"),
        reused=pieces.reused,
        computed=pieces.computed,
        seconds=time.perf_counter() - started,
    )
    _write(folder, _record(result, config))
    return result


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def _find(name: str) -> Path:
    known = list_experiments()
    if name in known:
        return known[name]
    path = Path(name)
    if (path / "run.py").is_file():
        return path.resolve()
    hint = near_misses(name, known, f"known are {', '.join(known)}, or give a folder with run.py")
    raise InputError(f"no experiment {name!r}; {hint}")


def _load(source: Path) -> ModuleType:
    plugin = load_plugin(source / "run.py")
    for wanted in ("PARAMETERS", "run"):
        if not hasattr(plugin, wanted):
            raise ClaimError(
                f"{source / 'run.py'}: no {wanted}; define PARAMETERS and run, see any built-in experiment"
            )
    return plugin


def _write(folder: Path, record: Mapping[str, Any]) -> None:
    write_file(folder / "result.json", (json.dumps(record, indent=1) + "\n").encode())


def _record(result: ExperimentResult, config: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a report needs, without times and without absolute paths: the same run gives the same bytes."""
    return {
        "experiment": result.name,
        "version": __version__,
        "versions": versions(),
        "outcome": result.outcome,
        "quick": result.quick,
        "config": {name: _plain(value) for name, value in config.items()},
        "comparisons": [
            {**asdict(comparison.expectation), "measured": _plain(comparison.measured), "outcome": comparison.outcome}
            for comparison in result.comparisons
        ],
        "numbers": {name: _plain(value) for name, value in result.numbers.items()},
        "figures": [path.name for path in result.figures],
        "tables": [path.name for path in result.tables],
    }


def _plain(value: Any) -> Any:
    """JSON has neither fractions nor infinities: both become text."""
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, int | str) or value is None:
        return value
    return value if isinstance(value, float) and value - value == 0 else str(value)
