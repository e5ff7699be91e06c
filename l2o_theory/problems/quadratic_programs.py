r"""Least-squares programs in batches: N instances f_n(x) = 1/2 |M_n x - y_n|^2 that are solved side by side.

    F(X) = sum_n f_n(x_n),   g_n = M_n^T (M_n x_n - y_n),   L_n = |M_n|_2^2
    beta = max_n L_n,        beta_0 = min_n lambda_min(M_n M_n^T)

F is the objective of the block-diagonal stack M = diag(M_1..M_N). With full row rank (beta_0 > 0) min F = 0. The step
sizes tau_n <= 1/L_n belong to the instances: the rules that learn a factor P in (0, 2) multiply them.
Setting: Song, Lin, Xu 2025 (arXiv 2501.18092) and its published program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.errors import LongStepWarning as LongStepWarning
from l2o_theory.ntk import smoothness as smoothness_
from l2o_theory.problems.problem import Batch, Constants, Params

PROGRAM_SEED = 895
"""Seed of the published runs (118 of the weights + 777); M is drawn from seed + 1, the solutions from seed + 2."""

_RANK_CUT = 1e-12  # relative to beta; an eigenvalue of M M^T below it cannot be told from 0 in float64


@dataclass(frozen=True, eq=False)
class QuadraticPrograms:
    """N least-squares programs with b equations in d unknowns; the iterate has shape (N, d).

    Attributes:
        matrices: M, shape (N, b, d).
        targets: y, shape (N, b).
        start: X_0, shape (N, d).
        step_sizes: tau, shape (N, 1), at most 1/L_n.
        allow_long: whether steps beyond 1/L_n are taken all the same, here and by whatever runs on these programs:
            the residual may then grow, where it never does up to 1/L_n.

    Raises:
        InputError: see `least_squares_programs`, which fills in start and step sizes; and steps beyond 1/L_n without
            `allow_long`.

    Warns:
        LongStepWarning: steps beyond 1/L_n with it.

    Example:
        >>> programs = formula_given(2, 3, 4)
        >>> round(float(programs.loss(programs.init())), 4)
        0.6809
    """

    matrices: Tensor
    targets: Tensor
    start: Tensor
    step_sizes: Tensor
    allow_long: bool = False

    def __post_init__(self) -> None:
        shape = tuple(self.matrices.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"matrices must have shape (instances, equations, unknowns), all >= 1, got {shape}")
        if not self.matrices.is_floating_point():
            raise InputError(f"matrices must hold floating-point numbers, got {self.matrices.dtype}; convert them")
        wanted = {"targets": shape[:2], "start": shape[::2], "step_sizes": (shape[0], 1)}
        for name in ("matrices", *wanted):
            tensor = getattr(self, name)
            if tuple(tensor.shape) != wanted.get(name, shape):
                raise InputError(
                    f"{name} must have shape {wanted[name]} to fit the matrices, got {tuple(tensor.shape)}"
                )
            if tensor.dtype != self.matrices.dtype or tensor.device != self.matrices.device:
                raise InputError(f"{name} must share dtype and device with the matrices; convert it with .to(matrices)")
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{name} must be finite, got NaN or infinity; mend the data")
        if not bool((self.step_sizes > 0).all()):
            raise InputError("step_sizes must be positive; take at most 1/L per instance, see with_steps")
        smoothness_.admit(self.step_sizes, self.matrices, allow_long=self.allow_long, stacklevel=4)

    def init(self, generator: Generator | None = None) -> Tensor:
        """X_0, shape (N, d); nothing is random."""
        return self.start.clone()

    def residual(self, x: Tensor) -> Tensor:
        """M x - y, shape (N, b)."""
        return (self.matrices @ x.unsqueeze(-1)).squeeze(-1) - self.targets

    def gradient(self, x: Tensor) -> Tensor:
        """M^T (M x - y), shape (N, d)."""
        return (self.residual(x).unsqueeze(-2) @ self.matrices).squeeze(-2)

    def losses(self, x: Tensor) -> Tensor:
        """f_n(x_n), shape (N,)."""
        return 0.5 * self.residual(x).square().sum(-1)

    def loss(self, params: Params, batch: Batch = None) -> Tensor:
        """F(X) = sum_n f_n(x_n), a scalar."""
        if not isinstance(params, Tensor):
            raise InputError(f"the iterate must be one tensor of shape (N, d), got {type(params).__name__}")
        return self.losses(params).sum()

    @property
    def singular_values(self) -> Tensor:
        """Of every M_n, falling, shape (N, min(b, d))."""
        return smoothness_.singular_values(self.matrices)

    @property
    def smoothness(self) -> Tensor:
        """L_n = |M_n|_2^2, shape (N,)."""
        return self.singular_values[:, 0].square()

    @property
    def beta(self) -> float:
        """max_n L_n, the smoothness of F."""
        return float(self.smoothness.max())

    @property
    def beta_0(self) -> float:
        """min_n lambda_min(M_n M_n^T); 0 where some M_n has more rows than columns."""
        rows, columns = self.matrices.shape[1:]
        return float(self.singular_values[:, -1].square().min()) if rows <= columns else 0.0

    @property
    def has_full_row_rank(self) -> bool:
        """Whether beta_0 stands out of rounding: then min F = 0 for all targets."""
        return self.beta_0 > _RANK_CUT * self.beta

    @cached_property
    def constants(self) -> Constants:
        """L = beta, mu = lambda_min(M^T M) over the instances, the minimiser nearest to 0, and min F."""
        minimiser = (torch.linalg.pinv(self.matrices) @ self.targets.unsqueeze(-1)).squeeze(-1)
        rows, columns = self.matrices.shape[1:]
        convexity = float(self.singular_values[:, -1].square().min()) if rows >= columns else 0.0
        return Constants(self.beta, convexity, minimiser, float(self.loss(minimiser)))

    def are_long(self, step_sizes: Tensor | float) -> bool:
        """Whether some step, broadcast against (N, d), exceeds 1/L_n beyond rounding: then the residual may grow."""
        return smoothness_.are_long(step_sizes, self.matrices)

    def with_steps(self, factor: float = 1.0, *, shared: bool = False, allow_long: bool = False) -> QuadraticPrograms:
        """The same programs with tau_n = factor/L_n, or factor/beta for all (`shared`).

        The published program takes 0.9999/L_n, the paper 1/beta.

        Raises:
            InputError: a factor that is not positive, or beyond 1 without `allow_long`.

        Warns:
            LongStepWarning: a factor beyond 1, which loses the monotonicity of the residual.
        """
        if not 0 < factor < float("inf"):
            raise InputError(f"the step must be a positive multiple of 1/L, got {factor}; take 1 or a little less")
        allow_long = allow_long or self.allow_long
        if factor > 1 and not allow_long:
            raise InputError(
                f"steps {factor:g}/L exceed 1/L, beyond which the residual may grow; say allow_long=True to do it"
            )
        smoothness = self.smoothness.max().expand(len(self.smoothness)) if shared else self.smoothness
        if not bool((smoothness > 0).all()):
            raise InputError("an instance has M = 0, so that 1/L is infinite; drop it or give step_sizes")
        return replace(self, step_sizes=(factor / smoothness).unsqueeze(-1), allow_long=allow_long)

    def to(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> QuadraticPrograms:
        """The same programs elsewhere or in another precision.

        Steps that the coarser of two precisions has rounded beyond 1/L_n are set to it, unless `allow_long`.
        """
        fields = (self.matrices, self.targets, self.start, self.step_sizes)
        matrices, targets, start, steps = (tensor.to(device=device, dtype=dtype) for tensor in fields)
        if not self.allow_long and steps.dtype != self.step_sizes.dtype and smoothness_.are_long(steps, matrices):
            steps = torch.minimum(steps, 1 / smoothness_.singular_values(matrices)[:, :1].square())
        return QuadraticPrograms(matrices, targets, start, steps, self.allow_long)


def least_squares_programs(matrices: Tensor, targets: Tensor, start: Tensor | None = None) -> QuadraticPrograms:
    """Programs from their data, with X_0 = 0 unless given and tau_n = 1/L_n (others: `with_steps`).

    Raises:
        InputError: shapes that do not fit, no instance, dtypes or devices that differ, entries that are not finite,
            or a matrix that is 0.
    """
    if matrices.ndim != 3:
        raise InputError(f"matrices must have shape (instances, equations, unknowns), got {tuple(matrices.shape)}")
    begin = matrices.new_zeros(matrices.shape[0], matrices.shape[2]) if start is None else start
    tiny = torch.finfo(matrices.dtype).tiny if matrices.is_floating_point() else 1  # until the data are seen to be good
    return QuadraticPrograms(matrices, targets, begin, matrices.new_full((matrices.shape[0], 1), tiny)).with_steps()


def program_law(
    instances: int, equations: int, unknowns: int, *, seed: int = PROGRAM_SEED, dtype: torch.dtype = torch.float32
) -> QuadraticPrograms:
    """The law of the published program: M ~ N(0, 1) with columns scaled to length 1, y = M x with x ~ N(0, I).

    X_0 = 0 and tau_n = 0.9999/L_n. Made in float32 on the CPU whatever `dtype` is, so that every precision and device
    sees the same numbers.
    """
    matrices, solutions = _draws(instances, equations, unknowns, seed, unknowns)
    programs = least_squares_programs(matrices, (matrices @ solutions.unsqueeze(-1)).squeeze(-1))
    return programs.to(dtype=dtype).with_steps(0.9999)


def paper_law(
    instances: int, equations: int, unknowns: int, *, seed: int = PROGRAM_SEED, dtype: torch.dtype = torch.float32
) -> QuadraticPrograms:
    """The law as the paper's text has it: the same matrices, but y ~ N(0, I) and one step 1/beta for all."""
    programs = least_squares_programs(*_draws(instances, equations, unknowns, seed, equations))
    return programs.to(dtype=dtype).with_steps(shared=True)


def formula_given(
    instances: int, equations: int, unknowns: int, *, dtype: torch.dtype = torch.float64
) -> QuadraticPrograms:
    """Programs without randomness, exact in every binary precision: good for hand checks and for ball arithmetic.

    With all indices from 0: M[n,i,j] = (((i + 2)(j + 3)^2 + (n + 1)(3i + 5j)) mod 127 - 63)/64,
    y[n,i] = ((2n + 3i) mod 5 - 2)/4, X_0[n,j] = ((n + 2j) mod 3 - 1)/4. M has full row rank at the sizes in the tests;
    tau_n = 1/beta.
    """
    _require_sizes(instances, equations, unknowns)
    n = torch.arange(instances).view(-1, 1, 1)
    i = torch.arange(equations).view(1, -1, 1)
    j = torch.arange(unknowns).view(1, 1, -1)
    matrices = (((i + 2) * (j + 3) ** 2 + (n + 1) * (3 * i + 5 * j)) % 127 - 63).to(dtype) / 64
    targets = ((2 * n + 3 * i) % 5 - 2).to(dtype).squeeze(-1) / 4
    start = ((n + 2 * j) % 3 - 1).to(dtype).squeeze(1) / 4
    return least_squares_programs(matrices, targets, start).with_steps(shared=True)


def _draws(instances: int, equations: int, unknowns: int, seed: int, second: int) -> tuple[Tensor, Tensor]:
    """Matrices with unit columns from seed + 1, and a normal (instances, second) from seed + 2."""
    _require_sizes(instances, equations, unknowns)
    raw = torch.randn(instances, equations, unknowns, generator=Generator().manual_seed(seed + 1))
    normal = torch.randn(instances, second, generator=Generator().manual_seed(seed + 2))
    return raw / raw.square().sum(dim=1, keepdim=True).sqrt(), normal


def _require_sizes(instances: int, equations: int, unknowns: int) -> None:
    if min(instances, equations, unknowns) < 1:
        raise InputError(f"instances, equations and unknowns must be >= 1, got {instances}, {equations}, {unknowns}")
