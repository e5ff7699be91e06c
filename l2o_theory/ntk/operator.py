r"""The empirical NTK as an operator, v -> J (J^T v): one backward and one forward pass, where J does not fit.

Power and Lanczos iterations need no more. Rows are samples and, within each, outputs: n O of them.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn
from torch.func import functional_call, jvp, vjp

from l2o_theory.ntk.empirical import check_module


def ntk_operator(module: nn.Module, x: Tensor) -> LinearOperator:
    """The dense empirical NTK of `module` at `x` as a linear operator of n O rows.

    Args:
        module: as for `empirical_ntk`.
        x: inputs, n samples along the first axis.

    Raises:
        InputError: as for `empirical_ntk`.

    Example:
        >>> module = nn.Linear(2, 1, bias=False)  # f(x) = w x: Theta = x x^T whatever w is
        >>> operator = ntk_operator(module, torch.tensor([[1.0, 2.0], [3.0, 0.0]]))
        >>> operator @ np.array([1.0, 0.0], dtype=np.float32)
        array([5., 3.], dtype=float32)
    """
    check_module(module, x)
    trained = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
    fixed = {name: value.detach() for name, value in module.named_parameters() if not value.requires_grad}
    fixed |= {name: value.detach() for name, value in module.named_buffers()}

    def outputs(weights: dict[str, Tensor]) -> Tensor:
        values: Tensor = functional_call(module, {**weights, **fixed}, (x,)).reshape(-1)
        return values

    values, pull_back = vjp(outputs, trained)[:2]

    def apply(vector: np.ndarray) -> np.ndarray:
        given = torch.as_tensor(np.ascontiguousarray(vector), dtype=values.dtype, device=values.device)
        direction = pull_back(given.reshape(-1))[0]
        with warnings.catch_warnings():  # torch loads its forward derivatives through its own deprecated jit
            warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
            product: Tensor = jvp(outputs, (trained,), (direction,))[1]
        return product.detach().reshape(vector.shape).cpu().numpy()

    dtype = np.float64 if values.dtype == torch.float64 else np.float32
    return LinearOperator((len(values), len(values)), matvec=apply, rmatvec=apply, dtype=dtype)
