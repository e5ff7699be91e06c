r"""What the certificates promise along training runs, and where they must stay silent. Measured against the runs.

D3: one inner step, W_L alone trained, all constants in ball arithmetic. Family: two equations in four unknowns, rows
that are orthonormal up to eps, so that one step of gradient descent leaves a residual of order eps. D1: any run, after
the fact. The certificates and all constants: derived here (`ntk/certificate/one_step` and its neighbours).
"""

from __future__ import annotations

from typing import Any

from l2o_theory.claims import Claim, Measurement, Status

ENDS = (1e-1, 3e-2, 1e-3, 3e-4, 1e-4)
STEPS = 400


def family(eps: float) -> tuple[Any, Any]:
    """Network with W_L = 0 and program: rows (3/5, 4/5, 0, 0), (0, 0, 4/5, 3/5) plus eps times a fixed matrix."""
    import torch

    from l2o_theory.optimizers import initialization
    from l2o_theory.optimizers.step_size_network import StepSizeNetwork
    from l2o_theory.problems.quadratic_programs import least_squares_programs

    rows = torch.tensor([[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 0.8, 0.6]], dtype=torch.float64)
    noise = torch.tensor([[1.0, -1.0, 0.5, 0.25], [-0.5, 1.0, 1.0, -0.25]], dtype=torch.float64)
    start = torch.tensor([[1.0, 0.5, -0.5, 0.75]], dtype=torch.float64)
    targets = torch.tensor([[0.25, -0.5]], dtype=torch.float64)
    programs = least_squares_programs((rows + eps * noise)[None], targets, start).with_steps(shared=True)
    weights = initialization.orthogonal((2, 40, 1), dtype=torch.float64)
    return StepSizeNetwork(weights, programs.step_sizes), programs


def last_layer_run(network: Any, programs: Any, rate: float, steps: int) -> list[float]:
    """|r_k| of training W_L alone, by autograd."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import unrolled_loss

    norms, weights = [], list(network.weights)
    for _ in range(steps):
        found = unrolled_loss(network.with_weights(weights), programs, 1, route="autograd")
        norms.append(float((2 * found.loss).sqrt()))
        weights[-1] = weights[-1] - rate * found.gradients[-1]
        if norms[-1] < 1e-14 or not bool(torch.isfinite(weights[-1]).all()):
            break
    return norms


def _promised(seed: int) -> Measurement:
    """Largest |r_k| over its bound, for every member of the family that is certified; nothing is random."""
    from l2o_theory.ntk.certificates import convergence_certificate

    rows, broken = [], []
    for eps in ENDS:
        network, programs = family(eps)
        found = convergence_certificate(network, programs, kind="D3")
        row = {"eps": eps, "status": str(found.status), "s0^3": found.lower, "16 Lam K |r_0|": found.upper}
        if found.status is Status.CERTIFIED:
            norms = last_layer_run(network, programs, found.learning_rate, STEPS)
            # rounding of r itself, about 1e-16 of the targets, stands still when the bound no longer does
            bounds = [found.residual_bound(k) + 1e-15 for k in range(len(norms))]
            row |= {
                "predicted": f"<= 1 for {len(norms)} steps",
                "observed": max(n / b for n, b in zip(norms[1:], bounds[1:], strict=True)),
            }
            faster = 1 - found.learning_rate * found.constants["Kc"] ** 2
            broken.append(norms[1] > faster * norms[0])
        rows.append(row)
    certified = [row for row in rows if "observed" in row]
    silent = [row for row in rows if "observed" not in row]
    fault = "the largest singular value of J in the rate"
    caught = bool(broken) and all(broken)
    return Measurement(
        holds=len(certified) >= 2 and len(silent) >= 1 and all(row["observed"] <= 1 for row in certified),
        table=tuple(rows),
        margin=1 - max(row["observed"] for row in certified),
        arithmetic="constants in balls of 30 digits; runs in float64 by autograd",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


def _after_the_fact(seed: int) -> Measurement:
    """D1 along trainings of all layers with the full gradient: below and beyond the smoothness it speaks of."""
    from l2o_theory.ntk.certificates import convergence_certificate

    network, programs = family(1e-1)
    rows = []
    for rate in (1e-3, 1e-2, 1e3):
        found = convergence_certificate(network, programs, 1, learning_rate=rate, updates=30, features="full")
        rows.append(
            {
                "rate": rate,
                "status": str(found.status),
                "least gain beyond the prediction": found.lower,
                "worst ratio": found.rate,
            }
        )
    small, large = rows[:-1], rows[-1]
    fault = "a rate of 1000 passes too"
    caught = large["status"] == str(Status.VACUOUS)
    return Measurement(
        holds=all(row["status"] == str(Status.NOT_FALSIFIED) and row["worst ratio"] < 1 for row in small),
        table=tuple(rows),
        margin=min(1 - row["worst ratio"] for row in small),
        arithmetic="float64 torch",
        refuted_faults=(fault,) if caught else (),
        accepted_faults=() if caught else (fault,),
    )


CLAIMS = [
    Claim(
        id="ntk/certificate/holds_along_the_run",
        title="Where the local certificate is true, training obeys its bound at every step",
        source="derived here",
        statement=(
            "If s0^3 >= 16 Lam K |r_0| then |r_k| <= (1 - eta s0^2/8)^k |r_0| for all k at the largest certified "
            "eta; the "
            "condition holds for eps <= 0.0003 and fails for eps >= 0.001, where nothing is claimed."
        ),
        kind="rate",
        scope="two equations, four unknowns, T = 1, W_L alone trained, five values of eps, 400 steps",
        expected=Status.NOT_FALSIFIED,
        measure=_promised,
    ),
    Claim(
        id="ntk/certificate/after_the_fact",
        title="Along a run with a small rate every step gains at least eta mu_k",
        source="derived here",
        statement=(
            "F_{k+1} <= (1 - eta mu_k) F_k, mu_k = |J_k^T r_k|^2/|r_k|^2, where F is (1/eta)-smooth on the step."
        ),
        kind="rate",
        scope="the family at eps = 0.1, all layers trained, rates 0.001, 0.01 and, beyond smoothness, 1000",
        expected=Status.NOT_FALSIFIED,
        measure=_after_the_fact,
    ),
]
