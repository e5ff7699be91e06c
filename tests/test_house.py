"""The rules of the house, held by machine: arrows between rooms, sizes, names, and what an import may pull in."""

from __future__ import annotations

import ast
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "l2o_theory"
MODULES = sorted(PACKAGE.rglob("*.py"))
TRUSTED_BASE = ("kernel", "language", "polynomial", "symbols")
KERNEL_DOORS = {"l2o_theory.rigor.balls", "l2o_theory.rigor.cover"}  # opened for cex over balls and for cover only
HEAVY = {"torch", "scipy", "sympy", "matplotlib", "hypothesis"}


def longest_functions(source: str) -> dict[str, int]:
    """Lines of every function, its docstring not counted."""
    sizes = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node, clean=False) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            sizes[f"{node.name}:{node.lineno}"] = (node.end_lineno or 0) - node.lineno + 1 - docstring
    return sizes


def imported_modules(source: str) -> set[str]:
    """Every absolute module name that the source imports, `import_module("...")` included."""
    found = set(re.findall(r'import_module\("([\w.]+)"\)', source))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module if node.level == 0 and node.module else "a relative import")
    return found


def foreign_imports(source: str) -> set[str]:
    """Imports of the trusted base that are neither the standard library nor the trusted base itself."""
    own = {f"l2o_theory.rigor.{name}" for name in TRUSTED_BASE}
    return {name for name in imported_modules(source) - own if name.partition(".")[0] not in sys.stdlib_module_names}


def modules_after(statement: str, cwd: Path = ROOT) -> set[str]:
    """Top-level modules in memory after a fresh interpreter ran the statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with our contracts on the package found in `folder`."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_contracts_hold() -> None:
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("rigor/balls.py", "import l2o_theory.cli"),
        ("claims/verdict.py", "import torch"),
        ("rigor/kernel.py", "import numpy"),
        ("attic/__init__.py", "import json"),  # a room that no contract knows
    ],
)
def test_planted_forbidden_import_breaks_a_contract(tmp_path: Path, module: str, forbidden: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "l2o_theory", ignore=shutil.ignore_patterns("__pycache__"))
    planted = tmp_path / "l2o_theory" / module
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a") as file:
        file.write(f"\n{forbidden}\n")
    run = lint_imports(tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "BROKEN" in run.stdout


def test_modules_are_short() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: size for name, size in sizes.items() if size > 500}
    assert statistics.median(size for size in sizes.values() if size > 1) < 200


def test_functions_are_short() -> None:
    too_long = {
        f"{path.relative_to(ROOT).as_posix()}:{name}": size
        for path in MODULES
        for name, size in longest_functions(path.read_text()).items()
        if size > 60
    }
    assert not too_long


def test_planted_long_function_is_seen() -> None:
    body = "    x = 1\n" * 60
    assert max(longest_functions(f"def f():\n{body}").values()) == 61
    assert max(longest_functions(f'def f():\n    """Words.\n\n    More.\n    """\n{body}').values()) == 61


def test_no_module_is_a_drawer_for_leftovers() -> None:
    assert not {path.stem for path in MODULES} & {"utils", "util", "helpers", "helper", "common", "misc"}


def test_trusted_base_is_small() -> None:
    sizes = {name: len((PACKAGE / "rigor" / f"{name}.py").read_text().splitlines()) for name in TRUSTED_BASE}
    assert sizes["kernel"] < 150
    assert sum(sizes.values()) < 650  # as README.md says


@pytest.mark.parametrize("name", TRUSTED_BASE)
def test_trusted_base_stands_on_the_standard_library(name: str) -> None:
    allowed = KERNEL_DOORS if name == "kernel" else set()
    assert foreign_imports((PACKAGE / "rigor" / f"{name}.py").read_text()) <= allowed


def test_planted_foreign_import_of_the_trusted_base_is_seen() -> None:
    planted = 'import ast\nfrom l2o_theory.rigor.symbols import Symbols\nimport_module("flint")\nimport numpy.linalg\n'
    assert foreign_imports(planted) == {"flint", "numpy.linalg"}
    assert foreign_imports("from . import boxes") == {"a relative import"}


@pytest.mark.parametrize("statement", ["import l2o_theory", "import l2o_theory.cli.main"])
def test_the_doors_open_without_heavy_libraries(statement: str) -> None:
    assert not modules_after(statement) & HEAVY


def test_the_book_of_claims_opens_without_heavy_libraries() -> None:
    """`l2o-theory list` answers within a second: what measures a claim is imported when it is measured."""
    statement = "from l2o_theory.claims.discovery import load_claims; load_claims()"
    assert not modules_after(statement) & HEAVY


def test_kernel_loads_nothing_foreign() -> None:
    assert not modules_after("import l2o_theory.rigor.kernel") & (HEAVY | {"numpy", "flint"})


def test_planted_heavy_import_is_seen(tmp_path: Path) -> None:
    (tmp_path / "innocent.py").write_text("import scipy\n")
    assert "scipy" in modules_after("import innocent", cwd=tmp_path) & HEAVY


def test_test_modules_have_names_of_their_own() -> None:
    """pytest imports them by bare name, so two of one name would hide each other."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})
