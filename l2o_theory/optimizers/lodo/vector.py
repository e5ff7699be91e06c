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

    Args:
        groups: param_groups of a torch optimizer; their "lr" and "weight_decay" are read anew at every use.
        dtype: of the vectors; None is the widest of the parameters' own, float32 at least.
        missing: "raise" refuses a parameter without gradient, "zero" counts its gradient as zero.

    Raises:
        InputError: for complex or integer parameters, parameters on several devices, or none at all.
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
        self.dtype = found if dtype is None else dtype
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
                if self.missing == "raise":
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
            gradient = gradient + self._per_group("weight_decay") * point
        return gradient

    def rates(self) -> float | Tensor:
        """The "lr" of each entry: one number if it is the same in all groups, else of shape (n,)."""
        values = {float(group["lr"]) for group in self._groups}
        return values.pop() if len(values) == 1 else self._per_group("lr")

    def subtract(self, step: Tensor) -> None:
        """x <- x - step."""
        parameters = [parameter for _, parameter in self._named()]
        pieces = torch.split(step, [parameter.numel() for parameter in parameters])
        torch._foreach_sub_(parameters, [p.view(x.shape).to(x.dtype) for p, x in zip(pieces, parameters, strict=True)])

    def _per_group(self, name: str) -> Tensor:
        sizes = [sum(parameter.numel() for parameter in group["params"]) for group in self._groups]
        values = [float(group[name]) for group in self._groups]
        value = torch.tensor(values, dtype=self.dtype, device=self.device)
        return value.repeat_interleave(torch.tensor(sizes, device=self.device))
