r"""alpha_0 = sigma_min of the last hidden features (one column per coordinate): the quantity the paper's rate rests on.

A bias-free ReLU network is linear on cones of the (x, g) plane. With Lam = prod_{l<L} |W_l|, a Lipschitz constant:

    rank G <= sum over occupied cones of min(2, coordinates in the cone)
    alpha_0 <= 2 Lam sin(angle/2) |z_i||z_j|/sqrt(|z_i|^2 + |z_j|^2)          every pair of coordinates
    alpha_0 <= Lam sqrt(beta) (1 - beta_0/beta)^{T-1} |r_0|             at the start, from three coordinates on

Source of the hypothesis alpha_0 > 0: Song, Lin, Xu 2025 (arXiv 2501.18092), Theorem 4.3. The bounds: derived here.
"""

from __future__ import annotations

from typing import Any

from l2o_theory.claims import Claim, Measurement, Status

CUT = 1e-10  # relative to the largest singular value; float64 resolves 1e-13 here


def _last_features(
    programs: Any, widths: tuple[int, ...], scale: float, steps: int, order: str = "gx"
) -> dict[str, Any]:
    """Inputs (coordinates, 2) of the last inner step at the start, features (coordinates, width), the weights."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory
    from l2o_theory.optimizers import initialization
    from l2o_theory.optimizers.step_size_network import StepSizeNetwork

    weights = initialization.orthogonal(widths, scale, dtype=torch.float64)
    network = StepSizeNetwork(weights, programs.step_sizes, order=order)
    x = trajectory(network, programs, steps)[0][-2]
    inputs = network.inputs(x, programs.gradient(x)).reshape(-1, 2)
    return {
        "inputs": inputs,
        "features": network.hidden(x, programs.gradient(x)).reshape(len(inputs), -1),
        "weights": weights,
    }


def _rank(features: Any) -> int:
    import torch

    values = torch.linalg.svdvals(features)
    return int((values > CUT * values[0]).sum())


def cone_bound(weights: Any, inputs: Any) -> int:
    """sum over occupied cones of min(2, coordinates in it); cones are told apart by the units they activate."""
    import torch

    layer, patterns = inputs, []
    for weight in weights[:-1]:
        layer = torch.relu(layer @ weight.T)
        patterns.append(layer > 0)
    pattern = torch.cat(patterns, dim=1)
    _, counts = torch.unique(pattern, dim=0, return_counts=True)

    return int(counts.clamp(max=2).sum())


def pair_bound(weights: Any, inputs: Any) -> float:
    """The least of the pair bounds."""
    import torch

    lipschitz = 1.0
    for weight in weights[:-1]:
        lipschitz *= float(torch.linalg.matrix_norm(weight, 2))
    size = inputs.norm(dim=1)
    unit = inputs / size[:, None]
    half = (unit[:, None] - unit[None]).norm(dim=2) / 2  # sin(angle/2)
    ratio = size[:, None] * size[None] / (size[:, None] ** 2 + size[None] ** 2).sqrt()
    bound = 2 * lipschitz * half * ratio
    bound.fill_diagonal_(float("inf"))
    return float(bound.min())


def _positive(seed: int) -> Measurement:
    """alpha_0 of the published start at 32 x 25; nothing is random."""
    import torch

    from l2o_theory.problems.quadratic_programs import least_squares_programs, program_law

    programs = program_law(32, 25, 32, dtype=torch.float64)
    rows = []
    for steps in (1, 20):
        found = _last_features(programs, (2, 2, 1024, 1), 50.0, steps)
        zero = int((~found["features"].any(dim=1)).sum())
        columns = len(found["features"])
        rows.append({"T": steps, "columns": columns, "rank": _rank(found["features"]), "columns that are 0": zero})
        rows[-1]["predicted"], rows[-1]["observed"] = "alpha_0 > 0", "alpha_0 = 0" if zero else "see rank"
    tiny = least_squares_programs(
        torch.tensor([[[1.0, 0.0], [0.0, 0.5]]]).double(),
        torch.tensor([[1.0, -2.0]]).double(),
        torch.tensor([[1.0, 0.0]]).double(),
    )
    x = tiny.start
    identity = torch.relu(torch.stack((x, tiny.gradient(x)), -1).reshape(2, 2))
    seen = float(torch.linalg.svdvals(identity)[-1])
    last = rows[-1]
    return Measurement(
        holds=last["rank"] == last["columns"],
        table=tuple(rows),
        margin=last["rank"] / last["columns"] - 1,
        arithmetic="float64 torch, singular values; a column of exact zeros needs none",
        refuted_faults=("alpha_0 = 1 of a two-column instance taken for 0",) if abs(seen - 1) < 1e-12 else (),
        accepted_faults=() if abs(seen - 1) < 1e-12 else ("alpha_0 = 1 of a two-column instance taken for 0",),
    )


def _bounds(seed: int) -> Measurement:
    """Rank against the cone bound, alpha_0 against the pair bound, from tiny to published size; nothing is random."""
    import torch

    from l2o_theory.problems.quadratic_programs import formula_given, program_law

    cases = [
        (formula_given(1, 2, 3), (2, 64, 1), 1.0, "xg"),
        (formula_given(1, 3, 6), (2, 64, 1), 2.0, "xg"),
        (formula_given(2, 3, 4), (2, 4, 32, 1), 3.0, "xg"),
        (program_law(4, 25, 32, dtype=torch.float64), (2, 2, 256, 1), 50.0, "gx"),
        (program_law(32, 25, 32, dtype=torch.float64), (2, 2, 1024, 1), 50.0, "gx"),
    ]
    rows, one_per_cone = [], []
    for programs, widths, scale, order in cases:
        for steps in (1, 5, 20):
            found = _last_features(programs, widths, scale, steps, order)
            features, columns = found["features"], len(found["features"])
            values = torch.linalg.svdvals(features)
            rank, cones = _rank(features), cone_bound(found["weights"], found["inputs"])
            alpha = float(values[-1]) if len(values) == columns else 0.0
            pair = pair_bound(found["weights"], found["inputs"])
            rows.append(
                {
                    "columns": columns,
                    "T": steps,
                    "rank": rank,
                    "cone bound": cones,
                    "alpha_0": alpha,
                    "pair bound": pair,
                }
            )
            one_per_cone.append(rank > cones / 2)
    slack = [row["pair bound"] * (1 + 1e-9) - row["alpha_0"] for row in rows]  # rounding of two near-equal numbers
    return Measurement(
        holds=all(row["rank"] <= row["cone bound"] for row in rows) and min(slack) >= -1e-12,
        table=tuple(rows),
        margin=min(1 - row["rank"] / row["cone bound"] for row in rows),
        arithmetic="float64 torch, singular values with the relative cut 1e-10",
        refuted_faults=("half the cone bound",) if any(one_per_cone) else (),
        accepted_faults=() if any(one_per_cone) else ("half the cone bound",),
    )


def _decay(seed: int) -> Measurement:
    """alpha_0 at the start along T, for two programs with four coordinates in all; nothing is random."""
    import torch

    from l2o_theory.problems.quadratic_programs import formula_given

    programs = formula_given(2, 2, 2)
    contraction = 1 - programs.beta_0 / programs.beta
    first = float(programs.residual(programs.start).norm())
    rows = []
    for steps in (1, 10, 50, 100, 200, 400, 600):
        found = _last_features(programs, (2, 64, 1), 1.0, steps, "xg")
        alpha = float(torch.linalg.svdvals(found["features"])[-1])
        bound = programs.beta**0.5 * contraction ** (steps - 1) * first
        rows.append({"T": steps, "predicted": f"<= {bound:.3e}", "observed": alpha, "ratio": alpha / bound})
    observed = (rows[-1]["observed"] / rows[-2]["observed"]) ** (1 / 200)
    caught = rows[-1]["observed"] > programs.beta**0.5 * contraction ** (2 * 599) * first
    return Measurement(
        # the slowest mode alone is left by then: the factor per step is the predicted one
        holds=all(row["ratio"] <= 1 for row in rows) and abs(observed / contraction - 1) < 1e-4,
        table=(*rows, {"T": "factor per step from 400 to 600", "predicted": contraction, "observed": observed}),
        margin=1 - max(row["ratio"] for row in rows),
        arithmetic="float64 torch, singular values",
        refuted_faults=("decay at twice the rate",) if caught else (),
        accepted_faults=() if caught else ("decay at twice the rate",),
    )


CLAIMS = [
    Claim(
        id="ntk/features/alpha_0_positive_as_published",
        title="The hypothesis alpha_0 > 0 holds in the published runs",
        source="Song, Lin, Xu 2025, Theorem 4.3 (through summaries) and the published program",
        statement=(
            "At 32 unknowns x 25 equations, 32 instances, T = 20, width 1024, e = 50 the 1024 columns of the last "
            "hidden "
            "features are independent. False: their rank is 147, and 490 columns are exactly 0, so alpha_0 = 0; at "
            "T = 1 the "
            "rank is 2."
        ),
        kind="measurement",
        scope="the published ablation setting, its data and its weights",
        expected=Status.FALSIFIED,
        measure=_positive,
        notes=(
            "The first hidden layer has width 2: it sends half of the plane to two rays and a quarter to 0. "
            "Coordinates there keep "
            "P = 1 for as long as W_1 leaves them there."
        ),
    ),
    Claim(
        id="ntk/features/cones_and_pairs",
        title="Corrected: what bounds the rank and alpha_0, whatever the width",
        source="derived here",
        statement=(
            "rank G <= sum over occupied cones of min(2, coordinates), and alpha_0 <= 2 Lam "
            "sin(angle/2)|z_i||z_j|/sqrt(|z_i|^2 + "
            "|z_j|^2) for every pair: alpha_0 > 0 needs at most two coordinates per cone, width N d alone is not "
            "enough."
        ),
        kind="upper",
        scope="five networks from 3 to 1024 coordinates, T = 1, 5, 20",
        expected=Status.NOT_FALSIFIED,
        measure=_bounds,
        corrects="ntk/features/alpha_0_positive_as_published",
    ),
    Claim(
        id="ntk/features/decay_in_the_horizon",
        title="At the start alpha_0 decays exponentially in T: the better the inner solver, the smaller",
        source="derived here",
        statement="alpha_0 <= Lam sqrt(beta) (1 - beta_0/beta)^{T-1} |r_0| from three coordinates on.",
        kind="upper",
        scope="two programs with 2 equations and 2 unknowns each, T up to 600",
        expected=Status.NOT_FALSIFIED,
        measure=_decay,
        notes="The pair bound behind it: ntk/features/same_sign_pair.",
    ),
]
