"""`Quadratic`: gradient descent with a constant step size on a quadratic, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic import evaluation, optimum
from l2o_theory.quadratic.arguments import Array, Steps, StepSize, over_horizons, parse_digits, parse_one_steps
from l2o_theory.quadratic.spectrum import Spectrum, parse_column, spectrum_of_matrix

if TYPE_CHECKING:
    from l2o_theory.quadratic.bounds import GradientBounds
    from l2o_theory.quadratic.certificate import ConvergenceCertificate
    from l2o_theory.quadratic.descent import Schedule
    from l2o_theory.quadratic.symbolic import SymbolicQuadratic

Objective = Literal["final", "log_final"]
_GRADIENTS = {"final": "gradient", "log_final": "log_gradient"}
_CURVATURES = {"final": "curvature", "log_final": "log_curvature"}


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Quadratic:
    r"""t steps of gradient descent with step size eta on f(w) = 1/2 w^T H w, seen through the spectrum of H.

    F(eta) = f(w_t) = 1/2 sum c_i^2 l_i r_i^(2t), r_i = 1 - eta l_i, and G = (1/t) log F   [paper: section 3].

    Every method takes scalars or arrays `step_size` (any real) and `steps` (integers >= 1), which broadcast. It returns
    a float, or float64 array, with relative error below 1e-10 (typically 1e-14) at any t, for the exact binary value
    of the floats given. With `digits=N` it returns a `flint.arb` (or object array of them) that is guaranteed to hold
    the true value, with at least N correct digits. Text ("2/3") and Fractions stay exact in both. Values beyond the
    float range become inf or 0 with the right sign. Repeated eigenvalues and zero weights are fine; `active` is what
    remains of them. Compute with the balls inside `rigor.balls.precision(bits)`: flint rounds to 53 bits elsewhere.

    Args:
        eigenvalues: l_i > 0, shape (d,).
        weights: c_i^2 >= 0, shape (d,), not all 0; they need not sum to 1.

    Raises:
        InputError: empty, of unequal length, NaN, infinite, unparsable, l_i <= 0, c_i^2 < 0, or all weights 0.

    Example:
        >>> quadratic = Quadratic(["1", "1/2"], ["1/2", "1/2"])
        >>> quadratic.loss(1, 1), quadratic.meta_gradient("1", 1)
        (0.03125, -0.0625)
    """

    spectrum: Spectrum

    def __init__(self, eigenvalues: Any, weights: Any) -> None:
        spectrum = Spectrum(parse_column(eigenvalues, "eigenvalues"), parse_column(weights, "weights"))
        object.__setattr__(self, "spectrum", spectrum)

    @classmethod
    def from_matrix(cls, H: Any, w0: Any) -> Quadratic:
        """Build from a symmetric positive definite matrix and a starting point, by `numpy.linalg.eigh`.

        The spectrum is exact for the matrix that `eigh` resolved: `digits` certify values for it, not for H itself.

        Raises:
            InputError: H not square, symmetric, finite and positive definite; w0 of another length or zero.
        """
        spectrum = spectrum_of_matrix(H, w0)
        return cls(spectrum.eigenvalues.high, spectrum.weights.high)

    @property
    def eigenvalues(self) -> Array:
        """The eigenvalues as given, rounded to float64, read-only."""
        return self.spectrum.eigenvalues.high

    @property
    def weights(self) -> Array:
        """The weights c_i^2 as given, rounded to float64, read-only."""
        return self.spectrum.weights.high

    @cached_property
    def active(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """Exact (eigenvalue, weight) pairs with weight > 0, copies merged, in falling order of the eigenvalue."""
        exact = self.spectrum.exact
        return tuple(zip(exact.eigenvalues, exact.weights, strict=True))

    @property
    def smoothness(self) -> float:
        """L, the largest active eigenvalue."""
        return float(self.active[0][0])

    @property
    def strong_convexity(self) -> float:
        """alpha, the smallest active eigenvalue."""
        return float(self.active[-1][0])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quadratic) and self.active == other.active

    def __hash__(self) -> int:
        return hash(self.active)

    def __repr__(self) -> str:
        return f"Quadratic(eigenvalues={self.eigenvalues.tolist()}, weights={self.weights.tolist()})"

    def loss(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> Any:
        """Return F = 1/2 sum c_i^2 l_i r_i^(2t)."""
        return evaluation.evaluate(self.spectrum, "loss", step_size, steps, digits)

    def log_loss(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> Any:
        """Return log F (natural, not divided by t); -inf where the loss is exactly 0. G is `log_loss / steps`."""
        return evaluation.evaluate(self.spectrum, "log_loss", step_size, steps, digits)

    def meta_gradient(
        self, step_size: StepSize, steps: Steps, objective: Objective = "final", *, digits: int | None = None
    ) -> Any:
        """Return F' ("final") or G' ("log_final"), the derivative in the step size.

        F' = -t sum c_i^2 l_i^2 r_i^(2t-1);  G' = F'/(t F), NaN where F is exactly 0.
        """
        return evaluation.evaluate(self.spectrum, _choose(_GRADIENTS, objective), step_size, steps, digits)

    def meta_curvature(
        self, step_size: StepSize, steps: Steps, objective: Objective = "final", *, digits: int | None = None
    ) -> Any:
        """Return F'' ("final") or G'' ("log_final"), the second derivative in the step size.

        F'' = t (2t-1) sum c_i^2 l_i^3 r_i^(2t-2);  G'' = (F''/F - (F'/F)^2)/t, NaN where F is exactly 0.
        """
        return evaluation.evaluate(self.spectrum, _choose(_CURVATURES, objective), step_size, steps, digits)

    def log_abs_meta_gradient(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> tuple[Any, Any]:
        """Return (sign of F', log|F'|): finite where F' itself leaves the float range; (0, -inf) where F' = 0."""
        size = evaluation.evaluate(self.spectrum, "log_abs_gradient", step_size, steps, digits)
        if digits is None:
            # G' has the sign of F' and stays in the float range; it is NaN where F = F' = 0.
            sign = np.nan_to_num(np.sign(evaluation.evaluate(self.spectrum, "log_gradient", step_size, steps)))
            return (sign, size) if np.ndim(size) else (float(sign), size)
        slope = evaluation.evaluate(self.spectrum, "gradient", step_size, steps, 1)
        sign = np.vectorize(lambda value: int(value > 0) - int(value < 0), otypes=[np.int64])(slope)
        return (sign, size) if isinstance(size, np.ndarray) else (int(sign), size)

    def optimal_step_size(self, steps: Steps, *, digits: int | None = None) -> Any:
        """Return eta*_t, the unique minimiser of F and G over all real step sizes (1/L for one active eigenvalue).

        With digits: a ball whose two ends have certified opposite signs of F'.
        """
        if digits is None:
            return over_horizons(steps, lambda t: optimum.float_optimum(self.spectrum, t))
        wanted = parse_digits(digits)
        return over_horizons(steps, lambda t: optimum.ball_optimum(self.spectrum, t, wanted))

    def optimal_step_size_bracket(self, steps: Steps, *, digits: int | None = None) -> tuple[Any, Any]:
        """Return (low, high) with low <= eta*_t <= high, from the formula in `optimum`; floats are rounded outward.

        With digits: balls around the two endpoints of the formula.
        """
        exact = self.spectrum.exact
        if digits is None:
            low = over_horizons(steps, lambda t: optimum.float_bracket(exact, t)[0])
            return low, over_horizons(steps, lambda t: optimum.float_bracket(exact, t)[1])
        n = parse_digits(digits)
        low = over_horizons(steps, lambda t: optimum.ball_bracket(exact, t, n)[0])
        return low, over_horizons(steps, lambda t: optimum.ball_bracket(exact, t, n)[1])

    def gradient_bounds(self, steps: int, *, digits: int | None = None) -> GradientBounds:
        """Return B0, B1, B2, B3 and the local form, upper bounds on |G'| (formulas: module `bounds`), at one horizon.

        Raises:
            InputError: a single distinct active eigenvalue: G = -inf at 1/L and no bound exists.
        """
        from l2o_theory.quadratic.bounds import gradient_bounds

        return gradient_bounds(self.spectrum, parse_one_steps(steps), None if digits is None else parse_digits(digits))

    def log_step_bound(self, steps: Steps, *, digits: int | None = None) -> Any:
        """Return 4 L/(L-alpha) (L W/(c_min^2 alpha))^(1/(2t)) >= |eta G'(eta)| for every eta >= 0, W = sum c_i^2.

        Raises:
            InputError: as `gradient_bounds`.
        """
        from l2o_theory.quadratic.bounds import log_step_bound

        wanted = None if digits is None else parse_digits(digits)
        return over_horizons(steps, lambda t: log_step_bound(self.spectrum, t, wanted))

    def convergence_certificate(
        self, start: Any, tolerance: Any, steps: int, *, digits: int | None = None
    ) -> ConvergenceCertificate:
        """Return k' such that |eta_k - eta*| <= tolerance for all k >= k', if mu_k = 1/sqrt(k) (see `certificate`).

        Raises:
            InputError: start < 0, tolerance <= 0, or a single distinct active eigenvalue.
        """
        from l2o_theory.quadratic.certificate import convergence_certificate

        wanted = None if digits is None else parse_digits(digits)
        return convergence_certificate(self.spectrum, start, tolerance, parse_one_steps(steps), wanted)

    def meta_descent(
        self,
        start: Any,
        steps: int,
        meta_steps: int,
        schedule: Schedule | None = None,
        *,
        digits: int | None = None,
    ) -> Any:
        """Return eta_0 = start, ..., eta_{meta_steps} of eta_k = max(0, eta_{k-1} - mu_k G'(eta_{k-1})).

        Args:
            start: eta_0 >= 0.
            steps: t, one horizon.
            meta_steps: number of updates, >= 0.
            schedule: mu_k >= 0 as a function of k = 1, 2, ... or as a sequence; default 1/sqrt(k).
            digits: run the recursion in balls.

        Each update is accurate to 1e-12 of eta_k or 1e-10 of G'; the recursion may magnify that while it overshoots.
        """
        from l2o_theory.quadratic.descent import meta_descent

        wanted = None if digits is None else parse_digits(digits)
        return meta_descent(self.spectrum, start, parse_one_steps(steps), meta_steps, schedule, wanted)

    def symbolic(self) -> SymbolicQuadratic:
        """Return F, F', F'', G, G', G'' as SymPy expressions in step size and t, for the exact active spectrum."""
        import sympy

        from l2o_theory.quadratic.symbolic import symbolic

        def rational(value: Fraction) -> Any:
            return sympy.Rational(value.numerator, value.denominator)

        eigenvalues, weights = zip(*self.active, strict=True)
        return symbolic(len(eigenvalues), eigenvalues=[*map(rational, eigenvalues)], weights=[*map(rational, weights)])


def _choose(quantities: dict[str, str], objective: str) -> str:
    if objective not in quantities:
        raise InputError(f'objective must be "final" or "log_final", got {objective!r}; choose one of the two')
    return quantities[objective]
