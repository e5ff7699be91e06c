"""Theory and verification toolkit for learning to optimize.

Importing the package stays light: public names are loaded on first use, and torch is never imported here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Quadratic": "l2o_theory.quadratic",
    "L2OTheoryError": "l2o_theory.errors",
}

__all__ = ["L2OTheoryError", "Quadratic", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'l2o_theory' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
