"""TorchOptimizer: any update rule, hand-written or learned, as a torch.optim.Optimizer in an existing training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from l2o_theory.errors import InputError
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import detached, mapped, structure, tensors


class TorchOptimizer(Optimizer):
    """x <- x + lr (x' - x),  (x', h) = rule.update(x, g, h, meta), for all parameters as one iterate.

    Args:
        params: parameters or groups of them, all of one floating dtype and on one device.
        rule: the update rule.
        meta: its meta-parameters: rule.meta(...), or trained weights; cast to the parameters' dtype and device.
        lr: scales the rule's step, so that learning-rate schedulers work; 1 leaves the rule as it is.

    Raises:
        InputError: parameters of several dtypes or devices, or an lr that is not a finite number >= 0.

    Example:
        >>> from l2o_theory.optimizers import GradientDescent
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> optimizer = TorchOptimizer([x], GradientDescent(), GradientDescent().meta(0.25))
        >>> (x @ x).backward()
        >>> optimizer.step()
        >>> x.tolist()
        [0.5, 1.0]
    """

    def __init__(self, params: Iterable[Any], rule: UpdateRule, meta: Params, *, lr: float = 1.0) -> None:
        if not 0 <= lr < float("inf"):
            raise InputError(f"lr must be a finite number >= 0, got {lr}; 1 leaves the rule's step as it is")
        super().__init__(params, {"lr": lr})
        point = self._point()
        kinds = {(leaf.dtype, leaf.device) for leaf in point.values()}
        if len(kinds) > 1 or not next(iter(kinds))[0].is_floating_point:
            found = sorted(f"{dtype} on {device}" for dtype, device in kinds)
            raise InputError(f"all parameters must share one floating dtype and one device, got {', '.join(found)}")
        like = next(iter(point.values()))
        self.rule, self.meta = rule, mapped(lambda leaf: leaf.detach().to(like), meta)
        self._memory = rule.init(point)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the gradients in place.

        Args:
            closure: evaluates the loss, calls backward() on it and returns it; not needed after loss.backward().

        Returns:
            What the closure returned, or None without one.

        Raises:
            InputError: a gradient is missing, sparse, NaN or infinite, or the step is; nothing has changed then.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        point, gradients = self._point(), self._gradients()
        moved, memory = self.rule.update(point, gradients, self._memory, self.meta)
        assert isinstance(moved, dict)
        if not all(bool(leaf.isfinite().all()) for leaf in moved.values()):
            raise InputError("the step is not finite, nothing was moved: the rule has diverged; lower lr")
        rates = (float(group["lr"]) for group in self.param_groups for _ in group["params"])
        for (name, x), parameter, rate in zip(point.items(), self._parameters(), rates, strict=True):
            parameter.copy_(moved[name] if rate == 1 else x + rate * (moved[name] - x))
        self._memory = detached(memory)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """As for any optimizer. The rule's one state belongs to all parameters and stands under the first."""
        self.state[self._parameters()[0]] = {"memory": self._memory, "meta": self.meta}
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            InputError: it belongs to another rule or to parameters of other shapes; nothing changes.
        """
        saved = state_dict["state"].get(0, {})
        for name, own in (("memory", self._memory), ("meta", self.meta)):
            if name not in saved or structure(saved[name]) != structure(own) or _shapes(saved[name]) != _shapes(own):
                raise InputError(f"this state has another {name} than {self.rule} has here; build it as it was saved")
        super().load_state_dict({**state_dict, "state": {}})
        self._memory, self.meta = (
            mapped(lambda leaf, own: leaf.to(own) if isinstance(leaf, Tensor) else leaf, saved[name], own)
            for name, own in (("memory", self._memory), ("meta", self.meta))
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused once the rule has a state for all parameters."""
        if hasattr(self, "_memory"):
            raise InputError("the rule has one state for all parameters; make a new optimizer with the new group in it")
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles."""
        return {**self.__dict__, **super().__getstate__()}

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _point(self) -> dict[str, Tensor]:
        return {str(index): parameter.detach() for index, parameter in enumerate(self._parameters())}

    def _gradients(self) -> dict[str, Tensor]:
        gradients = {}
        for index, parameter in enumerate(self._parameters()):
            name, gradient = f"parameter {index} of shape {tuple(parameter.shape)}", parameter.grad
            if gradient is None:
                raise InputError(f"{name} has no gradient: call loss.backward() first, or leave it out")
            if gradient.layout != torch.strided:
                raise InputError(f"{name} has a sparse gradient; pass sparse=False to the embedding that makes it")
            if not bool(gradient.isfinite().all()):
                raise InputError(f"the gradient of {name} is NaN or infinite; nothing was changed")
            gradients[str(index)] = gradient
        return gradients


def _shapes(tree: object) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in tensors(tree)]
