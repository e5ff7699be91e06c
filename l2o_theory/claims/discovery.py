"""Discovery: plug-in files are found in a folder and loaded by path, the built-in ones and a user's alike."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal

from l2o_theory.claims.claim import Claim
from l2o_theory.errors import ClaimError, L2OTheoryError, near_misses

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ClaimBook:
    """Claims by id, in the order of their ids, and the file each came from."""

    claims: dict[str, Claim] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def plugin_folder(kind: Literal["proofs_checks", "experiments"]) -> Path:
    """The built-in plug-ins: inside the package in a wheel, beside it in a checkout.

    Raises:
        ClaimError: neither exists; the installation is incomplete.
    """
    for folder in (_PACKAGE / "_plugins" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise ClaimError(f"the folder {kind} is missing beside the package; reinstall l2o-theory or use a full checkout")


def load_plugin(path: Path) -> ModuleType:
    """Import one Python file by its path, under a name of its own.

    Raises:
        ClaimError: the file is missing or fails on import; the text names the line.
    """
    path = path.resolve()
    if not path.is_file():
        raise ClaimError(f"no file {path}; give the path of a Python file")
    name = f"l2o_theory_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ClaimError(f"{path} is not a Python file; give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a module up by its name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        what = str(error) if isinstance(error, L2OTheoryError) else f"{type(error).__name__}: {error}"
        raise ClaimError(f"{path}{f':{line}' if line else ''}: {what}; mend the file") from None
    return module


def load_claims(paths: Sequence[Path] | None = None) -> ClaimBook:
    """Load every `CLAIMS` list of the given files and folders; the built-in claims if `paths` is None.

    Files and folders whose name starts with "_" or "." are passed over.

    Raises:
        ClaimError: a missing path, a broken file, a file without CLAIMS, or an id that is used twice.
    """
    roots = [plugin_folder("proofs_checks")] if paths is None else list(paths)
    found: dict[str, Claim] = {}
    files: dict[str, Path] = {}
    for path in (file for root in roots for file in _python_files(root)):
        for claim in _claims_of(path):
            if claim.id in found:
                raise ClaimError(f"{path}: the id {claim.id} is already used in {files[claim.id]}; rename one")
            found[claim.id], files[claim.id] = claim, path
    order = sorted(found)
    return ClaimBook({name: found[name] for name in order}, {name: files[name] for name in order})


def select(book: ClaimBook, patterns: Iterable[str]) -> list[Claim]:
    """Claims whose id matches one of the patterns (ids, globs, or a folder prefix); all of them without patterns.

    Raises:
        ClaimError: a pattern matches nothing; near misses are suggested.
    """
    chosen: dict[str, Claim] = {}
    patterns = list(patterns)
    for pattern in patterns:
        matches = [i for i in book.claims if fnmatch.fnmatchcase(i, pattern) or i.startswith(pattern.rstrip("/") + "/")]
        if not matches:
            hint = near_misses(pattern, book.claims, "see `l2o-theory list`")
            raise ClaimError(f"no claim matches {pattern!r}; {hint}")
        chosen |= {name: book.claims[name] for name in matches}
    return list((chosen if patterns else book.claims).values())


def _python_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise ClaimError(f"no such claim file or folder: {root}; check the path")
    inside = (path for path in root.rglob("*.py") if not _is_hidden(path.relative_to(root)))
    return sorted(inside)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in path.parts)


def _claims_of(path: Path) -> list[Claim]:
    claims = getattr(load_plugin(path), "CLAIMS", None)
    if not isinstance(claims, list | tuple) or not all(isinstance(claim, Claim) for claim in claims):
        raise ClaimError(f"{path}: a claim file defines CLAIMS, a list of Claim objects; add it")
    return list(claims)
