r"""The empirical NTK of a network: Theta[n, m, a, b] = <df_a(x_n)/dtheta, df_b(x'_m)/dtheta> at its present weights.

Networks of linear and convolutional layers go layer by layer (see `pieces` and `gram`); the Jacobian, often thousands
of times larger than the kernel, is never formed. Everything else goes through the Jacobian, in blocks of samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from l2o_theory.errors import InputError
from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.gram import KernelSum
from l2o_theory.ntk.network import finite
from l2o_theory.ntk.pieces import Piece, chain, chain_pieces, eligible, recorded_pieces

OUTPUTS = ("dense", "diagonal", "trace", "summed")
METHODS = ("auto", "layerwise", "jacobian")


def empirical_ntk(
    module: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    output: str = "dense",
    method: str = "auto",
    memory: int | None = None,
) -> Tensor:
    """The empirical NTK between two sets of inputs.

    Args:
        module: any module that maps a batch (n, ...) to outputs (n, ...), sample by sample; the outputs of a sample are
            flattened to O. Only parameters with requires_grad count.
        x1: inputs, n samples along the first axis.
        x2: inputs, m samples; x1 if None.
        output: what becomes of the outputs a, b:
            "dense"     Theta[n, m, a, b]              shape (n, m, O, O)
            "diagonal"  Theta[n, m, a, a]              shape (n, m, O)
            "trace"     SUM_a Theta[n, m, a, a]        shape (n, m)
            "summed"    SUM_{a,b} Theta[n, m, a, b]    shape (n, m): the kernel of the sum of the outputs
        method: "layerwise" (linear and convolutional layers with any layers without parameters between them),
            "jacobian" (anything torch.func can differentiate), or "auto": the first where it applies.
        memory: bytes that may be used; half of what is free if None.

    Returns:
        The kernel, of the dtype and on the device of the outputs. The spectrum of a dense one is that of
        theta.transpose(1, 2).reshape(n * O, -1); see `ntk_spectrum`.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
        >>> empirical_ntk(nn.Linear(2, 1, bias=False), x, output="trace")  # f(x) = w x: Theta = x x^T whatever w is
        tensor([[5., 3.],
                [3., 9.]])

    Raises:
        InputError: an unknown output or method, no samples, inputs that are not finite, no trained parameter, a module
            that is random or mixes samples (batch normalisation or dropout in training mode), "layerwise" where it
            does not apply, or a size that does not fit, with what it needs.
    """
    if output not in OUTPUTS:
        raise InputError(f"output must be one of {', '.join(OUTPUTS)}, got {output!r}")
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    check_module(module, x1, x2)
    allowed = memory_.budget(x1.device, memory)
    parts = chain(module) if x1.ndim == 2 or isinstance(module, nn.Sequential) else None
    x = x1 if x2 is None else torch.cat([x1, x2])
    if method != "jacobian":
        pieces = _pieces(module, x, parts, summed=output == "summed")
        if pieces is not None:
            return _layerwise(pieces, len(x1), x2 is None, output, allowed)
        if method == "layerwise":
            raise InputError(
                "the layerwise kernel needs all trained parameters in nn.Linear or nn.Conv layers, each in one layer"
                ' only, and samples that do not influence one another; use method="jacobian"'
            )
    return _by_jacobian(module, x1, x1 if x2 is None else x2, output, allowed)


def check_module(module: nn.Module, x1: Tensor, x2: Tensor | None = None) -> None:
    """Refuse inputs and modules for which the kernel is not defined; see `empirical_ntk`."""
    for name, x in (("x1", x1), ("x2", x2)):
        if x is None:
            continue
        if x.ndim == 0 or len(x) == 0:
            raise InputError(f"{name} must hold at least one sample along its first axis, got shape {tuple(x.shape)}")
        if x.shape[1:] != x1.shape[1:]:
            raise InputError(f"x2 must have samples of shape {tuple(x1.shape[1:])} like x1, got {tuple(x.shape[1:])}")
        if not finite(x):
            raise InputError(f"{name} has entries that are not finite; mend the data")
    trained = False
    for part in module.modules():
        if part.training and (isinstance(part, _BatchNorm) or (isinstance(part, _DropoutNd) and part.p > 0)):
            name = type(part).__name__
            raise InputError(f"{name} in training mode makes outputs random or mixes samples: call module.eval()")
        trained = trained or any(p is not None and p.requires_grad for p in part._parameters.values())
    if not trained:
        raise InputError("the module has no parameter with requires_grad, so its kernel is 0: nothing to compute")


def _pieces(module: nn.Module, x: Tensor, parts: list[nn.Module] | None, *, summed: bool) -> Iterable[Piece] | None:
    if parts is not None and (x.ndim == 2 or isinstance(parts[0], nn.Flatten)):
        return chain_pieces(parts, x, summed=summed)
    return recorded_pieces(module, x, summed=summed) if eligible(module) else None


def _layerwise(pieces: Iterable[Piece], count: int, same: bool, output: str, allowed: int) -> Tensor:
    kernel: Tensor | None = None
    sums: list[KernelSum] = []
    with torch.no_grad():
        for piece in pieces:
            left, right = (piece, piece) if same else piece.split(count)
            if kernel is None:
                kernel = _empty(left.slopes, len(right.slopes), output, allowed)
                targets = kernel[..., None, :, None] if output == "diagonal" else kernel[None]
                targets = kernel[None, :, None, :, None] if output in ("trace", "summed") else targets
                sums = [KernelSum(target, symmetric=same, allowed=allowed // 4) for target in targets]
            _add(sums, left, right, output)
    if kernel is None:
        raise InputError("no layer of the module with trained parameters was used on these inputs")
    for total in sums:
        total.result()
    if output == "dense":
        return kernel.transpose(1, 2)
    return kernel.permute(1, 2, 0) if output == "diagonal" else kernel


def _add(sums: list[KernelSum], left: Piece, right: Piece, output: str) -> None:
    if output == "diagonal":
        for a, total in enumerate(sums):
            total.add(left.row(a), right.row(a))
        return
    if output != "trace":
        sums[0].add(left, right)
        return
    first, second = left.traced(), right.traced()
    if first is not None and second is not None:
        sums[0].add(first, first if left is right else second)
    else:
        for a in range(left.slopes.shape[1]):
            sums[0].add(left.row(a), right.row(a))


def _empty(slopes: Tensor, columns: int, output: str, allowed: int) -> Tensor:
    count, rows = slopes.shape[:2]
    shapes = {"dense": (count, rows, columns, rows), "diagonal": (rows, count, columns)}
    shape = shapes.get(output, (count, columns))
    needed = 2 * slopes.element_size() * torch.Size(shape).numel()
    remedy = 'take fewer samples, output="trace", or the matrix-free `ntk_operator`'
    memory_.require(needed, allowed, f"a kernel of shape {shape}", remedy)
    return slopes.new_empty(shape)


def _by_jacobian(module: nn.Module, x1: Tensor, x2: Tensor, output: str, allowed: int) -> Tensor:
    """In blocks of samples, whose Jacobians (n, O, parameters) are formed and multiplied."""
    trained = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
    fixed = {name: value.detach() for name, value in module.named_parameters() if not value.requires_grad}
    fixed |= {name: value.detach() for name, value in module.named_buffers()}
    with torch.no_grad():
        outputs = module(x1[:1]).numel()
    parameters = sum(value.numel() for value in trained.values())
    each = 3 * outputs * parameters * x1.element_size()  # the Jacobian of a sample, and what its computation copies
    remedy = 'use the matrix-free `ntk_operator`, or output="summed" of a module with fewer outputs'
    memory_.require(2 * each, allowed, f"a Jacobian of {outputs} x {parameters} per sample", remedy)

    def single(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        values: Tensor = functional_call(module, {**weights, **fixed}, (x[None],)).reshape(-1)
        return values.sum(0, keepdim=True) if output == "summed" else values

    def jacobian(x: Tensor) -> Tensor:
        leaves = vmap(jacrev(single), in_dims=(None, 0))(trained, x)
        return torch.cat([leaf.flatten(2) for leaf in leaves.values()], 2)

    formula = {"dense": "nap,mbp->nmab", "diagonal": "nap,map->nma"}.get(output, "nap,map->nm")
    strips = []
    for rows in memory_.blocks(len(x1), each, allowed // 2):
        left = jacobian(x1[rows])
        blocks = memory_.blocks(len(x2), each, allowed // 2)
        strips.append(torch.cat([torch.einsum(formula, left, jacobian(x2[part])) for part in blocks], 1))
    return torch.cat(strips)
