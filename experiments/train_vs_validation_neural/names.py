"""Names of the arms and baselines on figures, and how each is drawn."""

from __future__ import annotations

from typing import Any

STYLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tbt": ("train-by-train", "train-by-train", {}),
    "tbt2": ("train-by-train, meta-trained on 2n", "train-by-train", {"linestyle": (0, (1, 1)), "linewidth": 1.6}),
    "tbv": ("train-by-validation", "train-by-validation", {}),
    "tbt_all": ("train-by-train", "train-by-train", {}),
    "tbv_all": ("train-by-validation", "train-by-validation", {}),
    "sgd": ("SGD, tuned", "gradient descent", {}),
    "adam": ("Adam, tuned", "Adam", {}),
}
"""Arm -> what a legend says, the method whose colour it has, and options of its line."""
