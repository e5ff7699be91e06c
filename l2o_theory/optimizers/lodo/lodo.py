"""LODO: a quasi-Newton optimizer that learns its preconditioner while it trains, by the derivative of its last step."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.meta import Meta, MetaAdam, MetaSGD
from l2o_theory.optimizers.lodo.native_engine import EngineName, engine_for
from l2o_theory.optimizers.lodo.optimizer import NonFinite, PreconditionedOptimizer
from l2o_theory.optimizers.lodo.preconditioner import Padding, Preconditioner
from l2o_theory.optimizers.lodo.vector import Missing

MetaName = Literal["adam", "sgd"]


def meta_optimizer_of(name: str, rate: float, weights: Tensor, betas: tuple[float, float], eps: float) -> Meta:
    """The meta-optimizer of that name.

    Raises:
        InputError: if there is none, or its options are out of range.
    """
    if name == "adam":
        if not all(0 <= b < 1 for b in betas) or not eps > 0:
            raise InputError(f"meta_betas must be in [0, 1) and meta_eps positive, got {betas} and {eps}")
        return MetaAdam(rate, weights, betas, eps)
    if name == "sgd":
        return MetaSGD(rate)
    raise InputError(f"meta_optimizer must be 'adam' or 'sgd', got {name!r}")


def _check_agrees(preconditioner: Any, given: dict[str, Any]) -> None:
    """Raise InputError if it is none, or has another value of what is given beside it."""
    if not isinstance(preconditioner, Preconditioner):
        raise InputError(f"preconditioner must be a Preconditioner, got {type(preconditioner).__name__}")
    own = {name: getattr(preconditioner, name) for name, value in given.items() if value is not None}
    for name, value in own.items():
        wanted = given[name]
        if isinstance(value, Tensor):
            same = isinstance(wanted, Tensor) and torch.equal(value, wanted.to(value))
            said = f"{name} other than those given"
        else:
            same, said = value == wanted, f"{name} {value}, got {name}={wanted!r}"
        if not same:
            raise InputError(f"preconditioner has {said}; leave {name} out, or make the preconditioner with it")


class LODO(PreconditionedOptimizer):
    """x <- x - lr G(theta) m, with G(theta) a Preconditioner of all parameters that learns at every step.

    Switch a script by one line:

        optimizer = torch.optim.Adam(model.parameters())     before
        optimizer = LODO(model.parameters())                 after

    The step, in this order: theta <- MetaOpt(theta, h), h the derivative of the new loss with respect to the weights
    that made the last move; m <- beta m + (1 - beta) g; x <- x - lr G(theta) m. All parameters of all groups are one
    vector of n entries. theta has about 2 n k depth numbers (128 n by default), and the memory is four times theta.

    Source: arXiv 2210.06171 and the authors' program, whose defaults and whose Adam (Keras) these are. The derivative
    is taken in closed form: see Preconditioner.hypergradient.

    >>> x = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = LODO([x], alpha0=0.5, beta=0.0)
    >>> for _ in range(40):
    ...     optimizer.zero_grad()
    ...     loss = (x @ x) / 2
    ...     loss.backward()
    ...     optimizer.step()
    >>> bool(loss < 1e-12)
    True

    Args:
        params: parameters or groups of them. A group may have its own "lr" and "weight_decay".
        alpha0: scale of the first G, alpha0 I; the one thing to tune first, like a step size.
        meta_lr: step size of the meta-optimizer; 0 keeps G as it is.
        beta: of the average m of past gradients, in [0, 1).
        depth, block_size, padding, permutations, blocks, generator: as for Preconditioner; `blocks` are copied.
        meta_optimizer: "adam" or "sgd".
        weight_decay: adds weight_decay x to the gradient, that is weight_decay |x|^2/2 to the loss.
        lr: multiplies the step, and is what a learning-rate scheduler changes (OneCycleLR and CyclicLR want
            cycle_momentum=False). With h the derivative of the step as
            taken, a smaller lr also slows the learning of G in Adam's first moments, and lr = 0 stops it.
        meta_betas, meta_eps: of the meta-optimizer Adam.
        missing: "raise" or "zero": what to do with a parameter that has no gradient at a step. With "zero" it can move
            all the same, since G mixes all entries and m remembers. Frozen parameters (requires_grad=False, no
            gradient) stay where they are, whatever `missing` is.
        nonfinite: "raise" or "skip": what to do with a step whose gradient is NaN or infinite. Nothing changes then.
        dtype: of G and its memory; None is the widest of the parameters', float32 at least. The authors' program has
            float64 throughout.
        preconditioner: one of your own making; it is changed in place. Its alpha0 gives way to `alpha0`, depth,
            block_size, permutations, blocks and dtype may be left out or must be its own, nothing is left to draw.
        engine: "native", compiled C on the CPU; "tensors", any device; "auto", the first of them that can be had.

    Raises:
        InputError: for options out of range, or parameters that are complex, empty or on several devices.
    """

    preconditioner: Preconditioner

    def __init__(
        self,
        params: Iterable[Any],
        alpha0: float = 1.0,
        meta_lr: float = 1e-3,
        beta: float = 0.9,
        depth: int | None = None,
        block_size: int | None = None,
        meta_optimizer: MetaName = "adam",
        weight_decay: float = 0.0,
        *,
        lr: float = 1.0,
        meta_betas: tuple[float, float] = (0.9, 0.999),
        meta_eps: float = 1e-7,
        padding: Padding = "program",
        permutations: Tensor | None = None,
        blocks: Tensor | None = None,
        generator: Generator | None = None,
        missing: Missing = "raise",
        nonfinite: NonFinite = "raise",
        dtype: torch.dtype | None = None,
        preconditioner: Preconditioner | None = None,
        engine: EngineName = "auto",
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "alpha0": alpha0, "meta_lr": meta_lr, "beta": beta}
        if preconditioner is not None:
            parts = {"depth": depth, "block_size": block_size, "permutations": permutations, "blocks": blocks}
            _check_agrees(preconditioner, {**parts, "dtype": dtype})
            blocks = preconditioner.blocks
        if dtype is None and blocks is not None:
            dtype = blocks.dtype
        super().__init__(params, settings, dtype=dtype, missing=missing, nonfinite=nonfinite)
        if preconditioner is None:
            preconditioner = Preconditioner(
                self._vector.size,
                depth,
                block_size,
                alpha0,
                permutations,
                None if blocks is None else blocks.detach().clone(),
                padding=padding,
                generator=generator,
                dtype=self._vector.dtype,
                device=self._vector.device,
            )
        preconditioner.alpha0 = alpha0
        meta = meta_optimizer_of(meta_optimizer, meta_lr, preconditioner.blocks, meta_betas, meta_eps)
        self._attach(preconditioner, functools.partial(engine_for, name=engine), meta)
