"""The classical references beside every learned step size: gradient descent, the best constant step, Nesterov."""

from __future__ import annotations

from l2o_theory.optimizers.constant_step import best_constant_step
from l2o_theory.optimizers.proximal import FISTA
from l2o_theory.problems.quadratic_programs import QuadraticPrograms

GRADIENT_DESCENT, CONSTANT_STEP, NESTEROV = "gradient descent", "best constant step", "Nesterov"


def baseline_losses(
    programs: QuadraticPrograms, steps: int, *, factor: float | None = None
) -> dict[str, tuple[float, ...]]:
    """F(X_0), ..., F(X_T) of the three references, in the programs' dtype.

    Args:
        programs: the instances with their step sizes tau.
        steps: T.
        factor: p of the constant step p tau; the best for these programs and T if None.

    Raises:
        InputError: T < 1.
    """
    p = best_constant_step(programs, steps).factor if factor is None else factor
    found: dict[str, tuple[float, ...]] = {}
    for name, multiple in ((GRADIENT_DESCENT, 1.0), (CONSTANT_STEP, p)):
        x, losses = programs.init(), [float(programs.loss(programs.init()))]
        for _ in range(steps):
            x = x - multiple * programs.step_sizes * programs.gradient(x)
            losses.append(float(programs.loss(x)))
        found[name] = tuple(losses)
    rule, y = FISTA(), programs.init()
    state, losses = rule.init(y), [float(programs.loss(y))]
    for _ in range(steps):
        moved, state = rule.update(y, programs.gradient(y), state, {"step_size": programs.step_sizes})
        assert not isinstance(moved, dict)  # of the structure of the iterate
        y = moved
        losses.append(float(programs.loss(state["iterate"])))
    found[NESTEROV] = tuple(losses)
    return found
