"""The one family of exceptions: each message says what was wanted, what came, and what to do."""

from __future__ import annotations


class L2OTheoryError(Exception):
    """Base of every error this package raises on purpose; the command line prints its text and exits with 2."""


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
