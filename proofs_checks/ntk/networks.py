r"""What holds on networks as they run: the start, the gradient, the residual for random weights, the bounds. Measured.

Programs are formula-given (exact in binary) or random; every number has a second route: gradient descent written out,
autograd, central differences, or the bound itself.
"""

from __future__ import annotations

from math import prod
from typing import Any

from l2o_theory.claims import Claim, Measurement, Status

SIZES = ((2, 3, 4), (1, 2, 5), (3, 4, 6))
WIDTHS = ((2, 16, 1), (2, 2, 16, 1), (2, 4, 6, 5, 1))


def _faults(**caught: bool) -> dict[str, tuple[str, ...]]:
    """Planted faults by name (underscores for blanks): which the measurement refuted and which slipped through."""
    names = {name.replace("_", " "): found for name, found in caught.items()}
    return {
        "refuted_faults": tuple(name for name, found in names.items() if found),
        "accepted_faults": tuple(name for name, found in names.items() if not found),
    }


def _network(widths: tuple[int, ...], programs: Any, scale: float = 1.0, last: float = 0.0, **options: Any) -> Any:
    """A network in float64 with hidden layers of size `scale` and a last layer of entries +-`last`."""
    import torch

    from l2o_theory.optimizers import initialization
    from l2o_theory.optimizers.step_size_network import StepSizeNetwork

    weights = initialization.orthogonal(widths, scale, dtype=torch.float64)
    signs = 1.0 - 2.0 * (torch.arange(widths[-2]) % 3 == 1).double()
    return StepSizeNetwork((*weights[:-1], last * signs[None]), programs.step_sizes, **options)


def _start(seed: int) -> Measurement:
    """Iterates of untrained networks against gradient descent written out; nothing is random."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory
    from l2o_theory.problems.quadratic_programs import formula_given

    rows, moved = [], []
    for sizes in SIZES:
        programs = formula_given(*sizes)
        for widths in WIDTHS:
            x, path = programs.init(), [programs.init()]
            for _ in range(20):
                x = x - programs.step_sizes * programs.gradient(x)
                path.append(x)
            iterates, factors = trajectory(_network(widths, programs, 50.0), programs, 20)
            other, _ = trajectory(_network(widths, programs, 50.0, last=1e-6), programs, 20)
            moved.append(float((other - torch.stack(path)).abs().max()))
            observed = float((iterates - torch.stack(path)).abs().max())
            rows.append({"size": str(sizes), "widths": str(widths), "predicted": 0.0, "observed": observed})
            rows[-1]["all factors 1"] = bool((factors == 1).all())
    return Measurement(
        holds=all(row["observed"] == 0.0 and row["all factors 1"] for row in rows),
        table=tuple(rows),
        margin=0.0,
        arithmetic="float64 torch, compared bit by bit",
        **_faults(last_layer_of_1e_minus_6=min(moved) > 0),
    )


def _gradients(seed: int) -> Measurement:
    """The written-out adjoint against autograd in both modes, and the full one against central differences."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory, unrolled_loss
    from l2o_theory.problems.quadratic_programs import formula_given

    programs, rows, apart = formula_given(2, 3, 4), [], []
    for widths in WIDTHS:
        network = _network(widths, programs, 1.5, last=0.3)
        found = {
            (mode, route): torch.cat(
                [g.flatten() for g in unrolled_loss(network, programs, 4, features=mode, route=route).gradients]
            )
            for mode in ("full", "detached")
            for route in ("adjoint", "autograd")
        }
        direction = torch.cat([torch.cos(torch.arange(w.numel()).double()) for w in network.weights])
        ends = []
        for sign in (1, -1):
            flat = torch.cat([w.flatten() for w in network.weights]) + sign * 1e-6 * direction
            parts = flat.split([w.numel() for w in network.weights])
            moved = network.with_weights([p.view_as(w) for p, w in zip(parts, network.weights, strict=True)])
            ends.append(programs.loss(trajectory(moved, programs, 4)[0][-1]))
        difference = float(ends[0] - ends[1]) / 2e-6
        for mode in ("full", "detached"):
            size = float(found[mode, "autograd"].norm())
            error = float((found[mode, "adjoint"] - found[mode, "autograd"]).norm()) / size
            rows.append({"widths": str(widths), "mode": mode, "adjoint against autograd": error})
        slope = float(found["full", "adjoint"] @ direction)
        rows.append({"widths": str(widths), "mode": "full", "predicted": difference, "observed": slope})
        apart.append(abs(float(found["detached", "adjoint"] @ direction) / difference - 1))
    errors = [row["adjoint against autograd"] for row in rows if "predicted" not in row]
    slopes = [abs(row["observed"] / row["predicted"] - 1) for row in rows if "predicted" in row]
    return Measurement(
        holds=max(errors) <= 1e-10 and max(slopes) <= 1e-6,  # central differences: rounding 1e-16/1e-6, kinks avoided
        table=tuple(rows),
        margin=1 - max(max(errors) / 1e-10, max(slopes) / 1e-6),
        arithmetic="float64 torch; autograd; central differences",
        **_faults(detached_gradient_as_the_true_one=min(apart) > 1e-3),
    )


def _random_weights(seed: int) -> Measurement:
    """Largest rise of a residual, relative to the first, for networks with random weights on random programs."""
    import warnings

    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory
    from l2o_theory.optimizers.step_size_network import StepSizeNetwork
    from l2o_theory.problems.quadratic_programs import LongStepWarning, least_squares_programs

    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    def worst(programs: Any, weights: tuple[Any, ...]) -> float:
        iterates, _ = trajectory(StepSizeNetwork(weights, programs.step_sizes), programs, 8)
        norms = torch.stack([programs.residual(x).norm(dim=-1) for x in iterates])
        return float(((norms[1:] - norms[:-1]) / norms[0]).max())

    kept, broken, rows = [], [], []
    for case in range(120):
        rows_, columns = 1 + case % 4, 1 + case % 8
        scale = 10.0 ** (case % 5 - 1)
        weights = (scale * normal(6, 2), scale * normal(5, 6), scale * normal(1, 5))
        programs = least_squares_programs(normal(3, rows_, columns), normal(3, rows_), normal(3, columns))
        kept.append(worst(programs, weights))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongStepWarning)  # it is what is being tried
            broken.append(worst(programs.with_steps(1.1, allow_long=True), weights))
    rows.append({"tau": "1/L", "cases": len(kept), "predicted": "<= 0", "observed": max(kept)})
    rows.append({"tau": "1.1/L", "cases": len(kept), "predicted": "may exceed 0", "observed": max(broken)})
    return Measurement(
        holds=max(kept) <= 1e-12,  # rounding, where the residual does not move or is 0 already
        table=tuple(rows),
        margin=-max(kept),
        arithmetic=f"float64 torch, 120 random networks and programs, seed {seed}",
        **_faults(steps_of_eleven_tenths=max(broken) > 0.01),
    )


def gradient_bounds(network: Any, programs: Any, steps: int) -> dict[str, list[float]]:
    """Bounds on |dF/dW_l|_F per layer, both modes, for tau = 1/beta (see the claim)."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory

    iterates, _ = trajectory(network, programs, steps)
    gradients = [programs.gradient(x) for x in iterates[:-1]]
    residuals = [float(programs.residual(x).norm()) for x in iterates]
    sizes = [float((x.square().sum() + g.square().sum()).sqrt()) for x, g in zip(iterates[:-1], gradients, strict=True)]
    norms = [float(torch.linalg.matrix_norm(w, 2)) for w in network.weights]
    beta = programs.beta
    theta, others = prod(norms), [prod(norms[:layer] + norms[layer + 1 :]) for layer in range(len(norms))]
    state, states = beta**0.5 * residuals[-1], []
    for g in reversed(gradients):
        states.insert(0, state)
        state *= 2**0.5 + (1 + beta**2) ** 0.5 * theta * float(g.abs().max()) / (2 * beta)
    detached = 0.5 * residuals[-1] * sum(r * h for r, h in zip(residuals[:-1], sizes, strict=True))
    full = sum(s * float(g.abs().max()) * h for s, g, h in zip(states, gradients, sizes, strict=True)) / (2 * beta)
    return {"detached": [detached * other for other in others], "full": [full * other for other in others]}


def _bounded(seed: int) -> Measurement:
    """Gradient bound over actual norm, layer by layer."""
    from l2o_theory.metatraining.unrolled_loss import unrolled_loss
    from l2o_theory.problems.quadratic_programs import formula_given

    rows = []
    for sizes in SIZES:
        programs = formula_given(*sizes)
        for steps in (1, 4, 10):
            network = _network((2, 4, 12, 1), programs, 1.2, last=0.2)
            bounds = gradient_bounds(network, programs, steps)
            for mode in ("detached", "full"):
                actual = [float(g.norm()) for g in unrolled_loss(network, programs, steps, features=mode).gradients]
                ratios = [b / a for b, a in zip(bounds[mode], actual, strict=True) if a > 0]
                rows.append({"size": str(sizes), "T": steps, "mode": mode, "least bound/actual": min(ratios)})
    least = min(row["least bound/actual"] for row in rows)
    return Measurement(
        holds=least >= 1,
        table=tuple(rows),
        margin=1 - 1 / least,
        arithmetic="float64 torch",
        **_faults(bound_without_the_residual_of_the_end=_without_last_residual_fails()),
    )


def _without_last_residual_fails() -> bool:
    """Dropping |r_T| from the bound makes it false once the data are large: F grows like c^2, the rest like c."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import unrolled_loss
    from l2o_theory.problems.quadratic_programs import least_squares_programs

    programs = least_squares_programs(
        torch.tensor([[[1.0, 0.0], [0.0, 0.5]]]).double(), torch.tensor([[1e4, -2e4]]).double()
    ).with_steps(shared=True)
    network = _network((2, 4, 1), programs)
    actual = float(unrolled_loss(network, programs, 1).gradients[-1].norm())
    weak = gradient_bounds(network, programs, 1)["detached"][-1]
    residual = (2 * float(unrolled_loss(network, programs, 1).loss)) ** 0.5
    return bool(weak / residual < actual)


def _floor(seed: int) -> Measurement:
    """Residual along the eigenvector of beta_0, over its floor, for random networks on two ill conditioned programs."""
    import torch

    from l2o_theory.metatraining.unrolled_loss import trajectory
    from l2o_theory.optimizers.step_size_network import StepSizeNetwork
    from l2o_theory.problems.quadratic_programs import least_squares_programs

    generator = torch.Generator().manual_seed(seed)
    rows = []
    for ratio in (1e-4, 1e-6):
        matrix = torch.tensor([[[0.6, 0.8, 0.0], [0.0, 0.0, ratio**0.5]]], dtype=torch.float64)
        targets = torch.tensor([[0.1, -1.0]], dtype=torch.float64)  # u, of beta_0, is the second unit vector
        programs = least_squares_programs(matrix, targets).with_steps(shared=True)
        first = programs.residual(programs.start)[0]
        for steps in (1, 5, 20):
            seen = []
            for _ in range(30):
                shapes = ((8, 2), (6, 8), (1, 6))
                weights = tuple(10 * torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes)
                x = trajectory(StepSizeNetwork(weights, programs.step_sizes), programs, steps)[0][-1]
                seen.append(abs(float(programs.residual(x)[0, 1])))
            least = abs(float(first[1])) - 2 * steps * (programs.beta_0 / programs.beta) ** 0.5 * float(first.norm())
            rows.append({"beta_0/beta": ratio, "T": steps, "predicted": f">= {least:.6f}", "observed": min(seen)})
            rows[-1]["slack"] = min(seen) - least
    moved = min(row["observed"] for row in rows) < 1 - 1e-4
    return Measurement(
        holds=all(row["slack"] >= 0 for row in rows),
        table=tuple(rows),
        margin=min(row["slack"] for row in rows),
        arithmetic=f"float64 torch, 180 random networks, seed {seed}",
        **_faults(the_residual_along_it_never_moves=moved),
    )


CLAIMS = [
    Claim(
        id="ntk/networks/start_is_gradient_descent",
        title="With W_L = 0 the network is gradient descent, to the bit",
        source="Song, Lin, Xu 2025, the deterministic initialisation",
        statement=(
            "W_L = 0 gives P = 2 sigma(0) = 1, so X_t equals gradient descent with step tau at every t, exactly."
        ),
        kind="identity",
        scope="three formula-given sizes, three depths, e = 50, T = 20",
        expected=Status.NOT_FALSIFIED,
        measure=_start,
    ),
    Claim(
        id="ntk/networks/gradient",
        title="The adjoint of the unroll, with the path through the features and without",
        source="derived here",
        statement=(
            "s_{t-1} = (I - A D(tau P_t)) s_t + {u^x_t + A u^g_t in full mode, 0 in detached mode} gives dF/dW_l; "
            "the full "
            "mode is the gradient of F, the detached one (what the published program follows) is not, off W_L = 0."
        ),
        kind="identity",
        scope="N = 2, b = 3, d = 4, T = 4, three depths",
        expected=Status.NOT_FALSIFIED,
        measure=_gradients,
    ),
    Claim(
        id="ntk/networks/residual_falls_for_random_weights",
        title="The residual falls at every step for networks of any weights",
        source="derived here",
        statement="|r_t| <= |r_{t-1}| per instance for tau <= 1/L; at 1.1/L some networks raise it.",
        kind="upper",
        scope="120 random networks with weights of size 1/10 to 1000, random programs with b <= 4, d <= 8, T = 8",
        expected=Status.NOT_FALSIFIED,
        measure=_random_weights,
        notes="The proof for all weights: ntk/residual/monotone.",
    ),
    Claim(
        id="ntk/networks/gradient_bound",
        title="The gradient of every layer is bounded by the losses along the way",
        source="derived here; counterpart of Song, Lin, Xu 2025, Lemma 4.1",
        statement=(
            "Detached: |dF/dW_l|_F <= 1/2 |r_T| (Theta/|W_l|) sum_t |r_{t-1}| |H_t|_F, Theta = prod |W_l|. Full: "
            "|s_t| <= S_t with "
            "S_{t-1} = S_t (sqrt 2 + sqrt(1 + beta^2) Theta |g_{t-1}|_inf/(2 beta)), exponential in T."
        ),
        kind="upper",
        scope="three formula-given sizes, T = 1, 4, 10, both modes, tau = 1/beta",
        expected=Status.NOT_FALSIFIED,
        measure=_bounded,
    ),
    Claim(
        id="ntk/networks/floor_along_the_smallest_eigenvector",
        title="No network removes the residual along the eigenvector of beta_0 in few steps",
        source="derived here",
        statement=(
            "|u^T r_T| >= |u^T r_0| - 2 T sqrt(beta_0/beta) |r_0| for every network: where the right side is "
            "positive, no training reaches loss 0."
        ),
        kind="lower",
        scope="two ill conditioned programs, T = 1, 5, 20, 30 random networks each",
        expected=Status.NOT_FALSIFIED,
        measure=_floor,
        corrects="ntk/floor/halves_any_residual",
    ),
]
