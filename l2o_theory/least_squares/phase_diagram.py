"""Which meta-objective to tune on, over (d/n, sigma): both step sizes and what they cost, from the limit formulas.

Train-by-train takes the minimiser of the training loss on all n samples; train-by-validation that of the risk after
training on n1 = split * n of them (its validation loss is (R + sigma^2)/2). Two protocols   [derived here]:

    "published"  both step sizes then train on all n samples [official code: grid_search_eta_lr.py]
    "own"        train-by-validation keeps to the n1 samples that it was tuned on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.least_squares.limit import limit
from l2o_theory.least_squares.risks import scalar
from l2o_theory.least_squares.roots import increasing_root
from l2o_theory.least_squares.settings import Real, broadcast, parse_reals
from l2o_theory.quadratic.arguments import Array, Steps, parse_steps

Reuse = Literal["published", "own"]
_LEAST_NOISE, _MOST_NOISE = 1e-4, 1e4  # where a crossing is looked for
_TIE = 1e-12  # relative difference of two risks that rounding may cause


@dataclass(frozen=True, eq=False)
class Contest:
    """The two step sizes and the risks they lead to; arrays of the broadcast shape of the settings.

    Args:
        noise: sigma.
        train_step_size, train_risk: of train-by-train.
        validation_step_size, validation_risk: of train-by-validation, under the protocol asked for.
        has_interior_minimum: False where the validation step size is the edge 1/b of the search.
    """

    noise: Any
    train_step_size: Any
    train_risk: Any
    validation_step_size: Any
    validation_risk: Any
    has_interior_minimum: Any

    @property
    def risk_factor(self) -> Any:
        """Risk of train-by-train over that of train-by-validation; above 1 validation wins. 1 where both vanish."""
        train, validation = np.asarray(self.train_risk), np.asarray(self.validation_risk)
        with np.errstate(divide="ignore", invalid="ignore"):
            return scalar(np.where(train == validation, 1.0, train / validation))

    @property
    def rmse_factor(self) -> Any:
        """The same for the root mean square error on fresh noisy samples, sqrt(R + sigma^2)."""
        train, validation = (np.asarray(risk) + self.noise**2 for risk in (self.train_risk, self.validation_risk))
        with np.errstate(divide="ignore", invalid="ignore"):
            return scalar(np.where(train == validation, 1.0, np.sqrt(train / validation)))


def contest(ratio: Real, noise: Real, steps: Steps, *, split: float = 0.5, protocol: Reuse = "published") -> Contest:
    """Play the two objectives against each other; the arguments broadcast.

    Args:
        ratio: d/n > 0, with n all samples.
        noise: sigma >= 0.
        steps: t >= 1.
        split: n1/n in (0, 1), the share that train-by-validation trains on.
        protocol: "published" or "own", see the module.

    Raises:
        InputError: out of these ranges, an unknown protocol, or shapes that do not broadcast.

    Example:
        >>> fight = contest(ratio=2, noise=[0.25, 1], steps=40)
        >>> fight.risk_factor.round(3)
        array([0.973, 1.817])
    """
    if protocol not in get_args(Reuse):
        raise InputError(f'protocol must be "published" or "own", got {protocol!r}; pick one')
    share = parse_reals(split, "split", positive=True)
    if share.ndim or share >= 1:
        raise InputError(f"split must lie strictly between 0 and 1, got {split!r}; pass n1/n, such as 0.5")
    whole = limit(ratio, noise, steps)
    part = limit(whole.ratio / share, whole.noise, whole.steps)
    train, validation = whole.best_train_step_size(), part.best_risk()
    return Contest(
        noise=scalar(whole.noise),
        train_step_size=train,
        train_risk=whole.risk(train),
        validation_step_size=validation.step_size,
        validation_risk=validation.risk if protocol == "own" else whole.risk(validation.step_size),
        has_interior_minimum=validation.is_interior,
    )


def phase_diagram(
    ratios: Real, noises: Real, steps: int, *, split: float = 0.5, protocol: Reuse = "published"
) -> Contest:
    """`contest` on the grid of vectors `ratios` (d/n, k of them) and `noises` (m): arrays of shape (m, k).

    Raises:
        InputError: as `contest`, or an argument that is not a vector.
    """
    columns, rows = parse_reals(ratios, "ratios", positive=True), parse_reals(noises, "noises", positive=False)
    if columns.ndim != 1 or rows.ndim != 1 or not columns.size or not rows.size:
        raise InputError(
            f"ratios and noises must be vectors, got shapes {columns.shape} and {rows.shape}; flatten them"
        )
    return contest(columns, rows[:, None], steps, split=split, protocol=protocol)


def crossing(ratio: Real, steps: Steps, *, split: float = 0.5, protocol: Reuse = "published") -> Any:
    """Noise sigma at which both objectives lead to the same risk: train-by-train wins below, train-by-validation above.

    Returns 0 where train-by-train wins at no noise >= 1e-4 (beyond rounding, 1e-12), as it does once t steps of either
    size have converged. That there is one crossing is an observation, for 1e-4 <= sigma <= 100 and d/n in [0.05, 200].

    Raises:
        InputError: as `contest`.

    Example:
        >>> round(crossing(2, 40), 4), round(crossing(2, 40, protocol="own"), 4)
        (0.3411, 0.574)
    """
    ratios, horizons = broadcast(
        "ratio and steps", parse_reals(ratio, "ratio", positive=True), np.asarray(parse_steps(steps))
    )
    flat_ratios: Array = ratios.reshape(-1)
    flat_steps: NDArray[np.int64] = horizons.reshape(-1)

    def advantage(noise: Array) -> Array:
        factor = contest(flat_ratios, noise, flat_steps, split=split, protocol=protocol).risk_factor
        return np.asarray(np.log(factor) + _TIE)

    least = np.full(flat_ratios.shape, _LEAST_NOISE)
    noise = increasing_root(advantage, least, np.full_like(least, _MOST_NOISE))
    return scalar(np.where(noise > _LEAST_NOISE, noise, 0.0).reshape(ratios.shape))
