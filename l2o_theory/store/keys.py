"""Run keys: digests of all that determines a verdict, so that a stored one is reused only if nothing changed."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import l2o_theory

_PACKAGE = Path(l2o_theory.__file__).resolve().parent
_LIBRARIES = ("torch", "numpy", "scipy", "sympy", "python-flint", "hypothesis", "z3-solver", "cvc5")
# Rooms that carry a verdict to the reader without having a say in it.
_DELIVERY = frozenset({"cli", "report", "store", "execution", "figures", "_plugins"})


def source_digest(claim: str, file: Path) -> str:
    """Digest of what decides about a claim apart from budget and seed.

    That is: its id, its file, the files beside it that start with "_" (which claim files share), the program text of
    this package outside the delivery rooms, and the versions of the libraries below it.
    """
    shared = sorted(path for path in file.parent.glob("_*.py") if path != file)
    parts = [claim, *(_file_digest(path) for path in (file, *shared)), engine_digest()]
    return _digest(json.dumps(parts).encode())


def run_key(source: str, budget: str, seed: int) -> str:
    """Digest of a whole run: the source digest with budget and seed."""
    return _digest(json.dumps([source, budget, seed]).encode())


@cache
def engine_digest() -> str:
    """Digest of the package's version, the text of its deciding rooms, and the library versions."""
    files = (path for path in sorted(_PACKAGE.rglob("*.py")) if path.relative_to(_PACKAGE).parts[0] not in _DELIVERY)
    texts = {path.relative_to(_PACKAGE).as_posix(): _file_digest(path) for path in files}
    return _digest(json.dumps([l2o_theory.__version__, texts, library_versions()]).encode())


def library_versions() -> dict[str, str | None]:
    """Versions of Python and of the libraries that take part in verdicts; None where one is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _file_digest(path: Path) -> str:
    return _digest(path.read_bytes())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
