"""ParameterVector: all parameters of an optimizer as one vector x in R^n, and the gradient at x, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError

Missing = Literal["raise", "zero"]


class ParameterVector:
    """The parameters of all groups in their order, each flattened row by row, one after the other.

    A parameter that requires no gradient and has none is held: its gradient counts as zero and its rate is 0, so that
    it stays where it is, whatever the matrix in front of the gradient.

    Args:
        groups: param_groups of a torch optimizer; their "lr" and "weight_decay" are read anew at every use.
        dtype: of the vectors; None is the widest of the parameters' own, float32 at least.
        missing: "raise" refuses a parameter without gradient, "zero" counts its gradient as zero.

    Raises:
        InputError: for complex or integer parameters, one that comes twice, several devices, or none at all.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], dtype: torch.dtype | None, missing: Missing) -> None:
        if missing not in ("raise", "zero"):
            raise InputError(f"missing must be 'raise' or 'zero', got {missing!r}")
        self._groups, self.missing = groups, missing
        found = torch.float32
        for name, parameter in self._named():
            if parameter.is_complex():
                raise InputError(f"{name} is complex ({parameter.dtype}); optimize torch.view_as_real of it instead")
            if not parameter.is_floating_point():
                raise InputError(f"{name} must hold floating-point numbers, got {parameter.dtype}")
            found = torch.promote_types(found, parameter.dtype)
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise InputError(f"dtype must be one of torch, such as torch.float64, got {dtype!r}")
        self.dtype = found if dtype is None else dtype
        seen: set[int] = set()
        for name, parameter in self._named():
            if id(parameter) in seen:
                raise InputError(f"{name} comes twice; pass each parameter once")
            seen.add(id(parameter))
        self.shapes = [parameter.shape for _, parameter in self._named()]
        devices = {parameter.device for _, parameter in self._named()}
        if len(devices) > 1:
            raise InputError(f"all parameters must be on one device, got {sorted(map(str, devices))}")
        if any(device.type == "meta" for device in devices):
            raise InputError("parameters on the meta device have no values; make the optimizer after they have some")
        self.size = sum(parameter.numel() for _, parameter in self._named())
        if not self.size:
            raise InputError("there is nothing to optimize: the parameters have no entries")

    @property
    def device(self) -> torch.device:
        """Where the parameters are now."""
        device: torch.device = self._groups[0]["params"][0].device
        return device

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        for number, group in enumerate(self._groups):
            for index, parameter in enumerate(group["params"]):
                yield f"parameter {index} of group {number}, of shape {tuple(parameter.shape)},", parameter

    def gradient(self) -> Tensor:
        """g + weight_decay x, the gradient of the loss with the penalty weight_decay |x|^2/2; shape (n,).

        Raises:
            InputError: for a sparse gradient, or one that is missing; if a parameter has changed its shape.
        """
        pieces, seen = [], False
        for (name, parameter), shape in zip(self._named(), self.shapes, strict=True):
            if parameter.shape != shape:
                raise InputError(f"{name} had shape {tuple(shape)} before; make a new optimizer for the new parameters")
            if parameter.grad is None:
                if self.missing == "raise" and not _held(parameter):
                    raise InputError(
                        f"{name} has no gradient: call loss.backward() before step(); if the loss does not depend "
                        "on it, leave it out of the optimizer or pass missing='zero'"
                    )
                pieces.append(torch.zeros_like(parameter).reshape(-1))
                continue
            if parameter.grad.layout != torch.strided:
                raise InputError(f"{name} has a sparse gradient; pass sparse=False to the embedding that makes it")
            seen = True
            pieces.append(parameter.grad.reshape(-1))
        if not seen:
            raise InputError("no parameter has a gradient: call loss.backward() before step()")
        gradient = torch.cat([piece.to(self.dtype) for piece in pieces])
        if any(group["weight_decay"] for group in self._groups):
            point = torch.cat([parameter.reshape(-1).to(self.dtype) for _, parameter in self._named()])
            gradient = gradient + self._entries("weight_decay") * point
        return gradient

    def rates(self) -> float | Tensor:
        """The "lr" of each entry, 0 where it is held: one number if it is the same for all, else of shape (n,)."""
        values = {float(group["lr"]) for group in self._groups}
        if len(values) > 1 or any(_held(parameter) for _, parameter in self._named()):
            return self._entries("lr")
        return values.pop()

    def can_take(self, step: Tensor) -> bool:
        """Whether all of it is finite in the dtypes of the parameters."""
        largest = min(torch.finfo(parameter.dtype).max for _, parameter in self._named())
        return bool(step.abs().max() <= largest)  # NaN is not

    def subtract(self, step: Tensor) -> None:
        """x <- x - step."""
        parameters = [parameter for _, parameter in self._named()]
        pieces = torch.split(step, [parameter.numel() for parameter in parameters])
        torch._foreach_sub_(parameters, [p.view(x.shape).to(x.dtype) for p, x in zip(pieces, parameters, strict=True)])

    def _entries(self, name: str) -> Tensor:
        """That number of its group for every entry, 0 where it is held."""
        parameters = [(float(group[name]), parameter) for group in self._groups for parameter in group["params"]]
        values = torch.tensor([0.0 if _held(p) else value for value, p in parameters], dtype=self.dtype)
        sizes = torch.tensor([parameter.numel() for _, parameter in parameters])
        return values.to(self.device).repeat_interleave(sizes.to(self.device))


def _held(parameter: Tensor) -> bool:
    return parameter.grad is None and not parameter.requires_grad
