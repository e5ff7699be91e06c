r"""Math-L2O with a coordinate-wise LSTM: the parent of the step-size network.

Without a nonsmooth part, in its variants P and PA,

    x_{k+1} = y_k - tau P_k (.) g(y_k),     y_{k+1} = x_{k+1} + A_k (.) (x_{k+1} - x_k)     (P: A = 0, so y = x)
    P = 2 sigma(W_p r + b_p),  A = 2 sigma(W_a r + b_a),  r = ReLU(W h + b),  h the top of LSTMs that read (g_i, y_i)

one LSTM state per coordinate. An iterate of several tensors is one long iterate here, with one step size for all.

The form is derived in the source as necessary for fixed points and convergence; nothing is guaranteed about training.
Source: Liu, Chen, Wang, Yin, Cai 2023, equations (18), (19); sizes as published with arXiv 2501.18092. Its other terms
B, b1, b2 need two gradients per step and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lstm import LSTMCell, truncated_normal
from l2o_theory.optimizers.rule import State
from l2o_theory.optimizers.step_size_network import Features
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors


@dataclass(frozen=True, eq=False)
class MathL2O:
    """The rule; its meta-parameters come from `meta`.

    Attributes:
        step_size: tau: a number, or a tensor that broadcasts against the iterate.
        accelerate: PA (learned momentum A) instead of P.
        hidden: units per LSTM.
        layers: LSTMs on top of each other.
        features: whether derivatives pass through the inputs (g, y); the published program detaches them.
        state_seed: the states start at N(0, 1) drawn from this seed, as in the published program; at 0 if None.

    Raises:
        InputError: no layers or units, steps that are not positive and finite, or unknown features.
    """

    step_size: Tensor | float
    accelerate: bool = False
    hidden: int = 20
    layers: int = 2
    features: Features = "detached"
    state_seed: int | None = None
    is_coordinatewise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        step = torch.as_tensor(self.step_size)
        if not bool((torch.isfinite(step) & (step > 0)).all()):
            raise InputError("step sizes must be positive and finite; take 1/L, see QuadraticPrograms.step_sizes")
        if self.layers < 1 or self.hidden < 1 or self.features not in ("full", "detached"):
            raise InputError(f"wanted layers >= 1, hidden >= 1 and features full or detached, got {self}")

    def meta(
        self,
        generator: Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Untrained weights by name: lstm1.weight, lstm1.bias, .., mix.weight, mix.bias, p.weight, p.bias (a.* for PA).

        Matrices truncated normal of std 1/sqrt(fan_in), biases of mix, p and a 0.
        """
        found = {}
        for number, cell in enumerate(self._cells(), start=1):
            found[f"lstm{number}.weight"], found[f"lstm{number}.bias"] = cell.init(generator, dtype, device)
        std = self.hidden**-0.5
        for name, columns in (("mix", self.hidden), *((head, 1) for head in self._heads())):
            found[f"{name}.weight"] = truncated_normal((self.hidden, columns), std, generator, dtype, device)
            found[f"{name}.bias"] = torch.zeros(columns, dtype=dtype, device=device)
        return found

    def init(self, params: Params) -> State:
        """{"iterate": x_0, "hidden1", "cell1", ...}, the latter of shape (*x.shape, hidden).

        An iterate of several tensors is held as one, of shape (coordinates,).

        Raises:
            InputError: several tensors, but step sizes by coordinate.
        """
        x = self._joined(params)
        generator = None if self.state_seed is None else Generator().manual_seed(self.state_seed)
        state = {"iterate": x}
        for kind in ("hidden", "cell"):
            for number in range(1, self.layers + 1):
                size = (*x.shape, self.hidden)
                drawn = torch.zeros(size) if generator is None else torch.randn(size, generator=generator)
                state[f"{kind}{number}"] = drawn.to(x)
        return state

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """(y_{k+1}, state) from y_k and its gradient; the iterate x_{k+1} is state["iterate"].

        Raises:
            InputError: several tensors, but step sizes by coordinate, or meta that is not what `meta()` returns.
        """
        y, g, weights = self._joined(params), self._joined(grads), self._checked(meta)
        signal = torch.stack((g, y), -1)
        signal = signal.detach() if self.features == "detached" else signal
        after = dict(state)  # keys in the order of `init`
        for number, cell in enumerate(self._cells(), start=1):
            weight, bias = weights[f"lstm{number}.weight"], weights[f"lstm{number}.bias"]
            signal, memory = cell.step(weight, bias, signal, state[f"hidden{number}"], state[f"cell{number}"])
            after[f"hidden{number}"], after[f"cell{number}"] = signal, memory
        mixed = torch.relu(signal @ weights["mix.weight"] + weights["mix.bias"])
        factors = [
            2 * torch.sigmoid((mixed @ weights[f"{head}.weight"] + weights[f"{head}.bias"]).squeeze(-1))
            for head in self._heads()
        ]
        x = y - self.step_size * factors[0] * g
        ahead = x + factors[1] * (x - state["iterate"]) if self.accelerate else x
        after["iterate"] = x
        pieces = iter(torch.split(ahead.reshape(-1), [leaf.numel() for leaf in tensors(params)]))
        return mapped(lambda leaf: next(pieces).reshape(leaf.shape), params), after

    def _heads(self) -> tuple[str, ...]:
        return ("p", "a") if self.accelerate else ("p",)

    def _cells(self) -> list[LSTMCell]:
        return [LSTMCell(2 if layer == 0 else self.hidden, self.hidden) for layer in range(self.layers)]

    def _joined(self, tree: Params) -> Tensor:
        if isinstance(tree, Tensor):
            return tree
        if torch.as_tensor(self.step_size).ndim:
            raise InputError(f"step sizes by coordinate need an iterate of one tensor, got {len(tree)}; give a number")
        return torch.cat([leaf.reshape(-1) for leaf in tensors(tree)])

    def _checked(self, meta: Params) -> dict[str, Tensor]:
        names = [f"lstm{number}" for number in range(1, self.layers + 1)]
        wanted = [f"{name}.{part}" for name in (*names, "mix", *self._heads()) for part in ("weight", "bias")]
        if isinstance(meta, Tensor) or set(meta) != set(wanted):
            got = "a tensor" if isinstance(meta, Tensor) else ", ".join(meta)
            raise InputError(f"meta must hold {', '.join(wanted)}, got {got}; make it with the rule's meta(generator)")
        return meta
