r"""The steps at which no residual can grow, whatever the weights: tau_n <= 1/L_n, L_n = |M_n|_2^2.

    r_t = (I - M D(tau P_t) M^T) r_{t-1},  0 < P_t < 2:  a symmetric factor with spectrum in (-1, 1)   [derived here]

Beyond 1/L_n it need not be, and |r_t| may rise. Such steps are taken only where the problem says so.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from l2o_theory.errors import InputError, LongStepWarning

_REMEMBERED: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # matrices -> their version, their singular values


def singular_values(matrices: Tensor) -> Tensor:
    """Of every M_n, falling, shape (N, min(b, d)); computed once for a tensor, and again when it has been written to.

    A write through `.data` goes unseen, as it does in torch.
    """
    if matrices.requires_grad or matrices.is_inference():  # a graph is nothing to keep; inference counts no writes
        return _decomposed(matrices)
    if matrices not in _REMEMBERED or _REMEMBERED[matrices][0] != matrices._version:
        _REMEMBERED[matrices] = (matrices._version, _decomposed(matrices))
    values: Tensor = _REMEMBERED[matrices][1]
    return values


def _decomposed(matrices: Tensor) -> Tensor:
    values: Tensor = torch.linalg.svdvals(matrices)
    return values


def are_long(steps: Tensor | float, matrices: Tensor) -> bool:
    """Whether some step, broadcast against (N, d), exceeds 1/L_n beyond rounding.

    Rounding is (b + d) units, at least 8: computed singular values are those of a matrix about that near (8 units off
    were seen at 400 x 512), and 1/L, its square and the product add some of their own.
    """
    tau = torch.as_tensor(steps, dtype=matrices.dtype, device=matrices.device).detach()
    scaled = tau * singular_values(matrices).detach()[:, :1].square()
    units = max(8, matrices.shape[1] + matrices.shape[2])
    return bool((scaled > 1 + units * torch.finfo(matrices.dtype).eps).any())


def admit(steps: Tensor | float, matrices: Tensor, *, allow_long: bool, stacklevel: int = 3) -> None:
    """Refuse steps beyond 1/L_n, or with `allow_long` say what they lose.

    Raises:
        InputError: a step beyond 1/L_n without `allow_long`.

    Warns:
        LongStepWarning: a step beyond 1/L_n with it.
    """
    if not are_long(steps, matrices):
        return
    if not allow_long:
        raise InputError(
            "step sizes exceed 1/L, beyond which the residual may grow; take at most 1/L per instance, or ask for them:"
            " allow_long=True of the programs"
        )
    warnings.warn("step sizes exceed 1/L: the residual may grow", LongStepWarning, stacklevel=stacklevel)
