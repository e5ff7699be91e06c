"""The one family of exceptions and warnings: each message says what was wanted, what came, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class L2OTheoryError(Exception):
    """Base of every error this package raises on purpose; the command line prints its text and exits with 2."""


def near_misses(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """What to write instead of an unknown name: up to three near misses, else `otherwise` or everything known.

    Example:
        >>> near_misses("rnprop", ["l2o_dm", "rnnprop"]), near_misses("x", ["l2o_dm", "rnnprop"])
        ('did you mean rnnprop?', 'known are l2o_dm, rnnprop')
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else otherwise or f"known are {', '.join(names) or 'none'}"


class InputError(L2OTheoryError, ValueError):
    """An argument was refused at the door (negative eigenvalue, NaN, length mismatch, unparsable rational)."""


class PrecisionError(L2OTheoryError, ArithmeticError):
    """Ball arithmetic could not separate or resolve a value within the allowed precision."""


class CertificateError(L2OTheoryError):
    """A certificate was malformed or rejected by the kernel."""


class ClaimError(L2OTheoryError):
    """A claim or its file is unusable: unknown id, broken file, witness that fails its hypotheses."""


class StoreError(L2OTheoryError):
    """The ledger or an evidence file cannot be read or written (newer version, read-only folder)."""


class LongStepWarning(UserWarning):
    """A step size beyond 1/L that was asked for: the residual need no longer fall at every step."""
