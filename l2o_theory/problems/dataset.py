"""Dataset: labelled samples in memory, their splits and seeded minibatches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError


@dataclass(frozen=True, eq=False)
class Dataset:
    """n labelled samples.

    Attributes:
        features: shape (n, ...), a floating dtype.
        labels: shape (n,), integers from 0 to classes - 1.
        classes: number of classes.

    Raises:
        InputError: no samples, lengths that differ, features that are not floating or not finite, labels out of range.
    """

    features: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        features, labels = self.features, self.labels
        if not features.is_floating_point() or features.ndim < 2 or not bool(torch.isfinite(features).all()):
            raise InputError(
                f"features must be finite, of a floating dtype and of shape (n, ...), got {features.dtype} "
                f"{tuple(features.shape)}; convert and reshape them"
            )
        if labels.dtype != torch.int64 or labels.shape != features.shape[:1] or not len(labels):
            raise InputError(
                f"labels must be int64 of shape ({len(features)},) with at least one sample, got {labels.dtype} "
                f"{tuple(labels.shape)}; one label per sample"
            )
        if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
            raise InputError(
                f"labels must lie in 0..{self.classes - 1}, got {int(labels.min())}..{int(labels.max())}; renumber them"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def all(self) -> dict[str, Tensor]:
        """Every sample as one batch, {"features", "labels"}."""
        return {"features": self.features, "labels": self.labels}

    def split(self, first: int, generator: Generator | None = None) -> tuple[Dataset, Dataset]:
        """Two disjoint parts, `first` samples and the others, drawn at random.

        Raises:
            InputError: `first` leaves one of the parts empty.
        """
        if not 1 <= first < len(self):
            raise InputError(f"the first part must have 1 to {len(self) - 1} of {len(self)} samples, got {first}")
        order = torch.randperm(len(self), generator=generator).to(self.labels.device)
        parts = order[:first], order[first:]
        return tuple(Dataset(self.features[part], self.labels[part], self.classes) for part in parts)  # type: ignore[return-value]

    def minibatches(self, steps: int, size: int, generator: Generator | None = None) -> dict[str, Tensor]:
        """One batch per step, each of `size` different samples, independent between steps.

        Returns:
            {"features": (steps, size, ...), "labels": (steps, size)}; entry t is the batch of step t.

        Raises:
            InputError: more samples per batch than there are, or a number below 1.
        """
        if not 1 <= size <= len(self) or steps < 1:
            raise InputError(f"wanted steps >= 1 and 1 <= size <= {len(self)}, got {steps} and {size}")
        rows = torch.stack([torch.randperm(len(self), generator=generator)[:size] for _ in range(steps)])
        rows = rows.to(self.labels.device)
        return {"features": self.features[rows], "labels": self.labels[rows]}

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Dataset:
        """The same samples in another dtype or on another device."""
        return Dataset(self.features.to(device=device, dtype=dtype), self.labels.to(device=device), self.classes)
