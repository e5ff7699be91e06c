"""Evolution strategies window by window: against a slow loop, exact moments, and the bias that windows alone have."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import numpy as np
import pytest
import torch
from tiny_rules import Descent, Diagonal, HeavyBall, Instance

from l2o_theory.errors import InputError
from l2o_theory.metagradients import EvolutionEpisode, MetaObjective
from l2o_theory.metagradients.gaussian_moments import evolution_moments
from l2o_theory.metagradients.online_evolution import Population

CASE = Instance((F(1), F(1, 3)), (F(1), F(-2)), F(2, 5), 6)
WINDOW, SIGMA = 2, F(1, 10)
PROBLEM, START, ALPHA = CASE.tensors()
HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.5, dtype=torch.float64)}


def windows(episode: EvolutionEpisode, meta: Any, generator: torch.Generator, window: int = WINDOW) -> list[Any]:
    """All windows of one episode with phi held fixed."""
    standing, found = episode.begin(meta, START), []
    while standing.step < episode.steps:
        last = min(standing.step + window, episode.steps)
        estimate, standing = episode.advance(meta, standing, last, generator)
        found.append(estimate)
    return found


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("kind", ["sum", "final"])
def test_against_a_loop_over_particles_in_numpy(persistent: bool, kind: Any) -> None:
    """Heavy ball with two meta-parameters, written out; the noise is drawn again from the same seed."""
    pairs, steps, window = 3, 5, 2
    episode = EvolutionEpisode(HeavyBall(), PROBLEM, steps, 0.1, pairs, persistent, MetaObjective(kind))
    found = windows(episode, HEAVY, torch.Generator().manual_seed(5), window)
    generator = torch.Generator().manual_seed(5)
    lam, centre = PROBLEM.eigenvalues.numpy(), np.array([0.2, 0.5])
    particles = {(i, sign): (START.numpy(), np.zeros(2)) for i in range(pairs) for sign in (1, -1)}
    calm, total = (START.numpy(), np.zeros(2)), np.zeros((pairs, 2))

    def run(phi: np.ndarray, x: np.ndarray, v: np.ndarray, first: int, last: int) -> Any:
        share = 0.0
        for t in range(first, last):
            v = phi[1] * v - phi[0] * lam * x
            x = x + v
            share += 0.5 * lam @ x**2 if kind == "sum" or t + 1 == steps else 0.0
        return share, (x, v)

    for index, first in enumerate(range(0, steps, window)):
        last = min(first + window, steps)
        eps = torch.randn((pairs, 2), generator=generator, dtype=torch.float64).numpy()
        total = total + eps
        samples = []
        for i in range(pairs):
            shares = {}
            for sign in (1, -1):
                place = particles[i, sign] if persistent else calm
                shares[sign], particles[i, sign] = run(centre + 0.1 * sign * eps[i], *place, first, last)
            samples.append((shares[1] - shares[-1]) / 0.2 * (total if persistent else eps)[i])
        _, calm = run(centre, *calm, first, last)
        expected, spread = np.mean(samples, 0), np.std(samples, 0, ddof=1) / pairs**0.5
        for place, name in enumerate(HEAVY):
            assert float(found[index].gradient[name]) == pytest.approx(expected[place], rel=1e-11, abs=1e-13)
            assert float(found[index].standard_error[name]) == pytest.approx(spread[place], rel=1e-10, abs=1e-13)


def smoothed_windows() -> float:
    """Sum over windows of d/d alpha E L_w(alpha + sigma eps), each from x_s of the run at alpha: by quadrature."""
    nodes, masses = np.polynomial.hermite_e.hermegauss(20)  # exact to degree 39; the integrand has degree 5
    total, lam, x = 0.0, np.array([1.0, 1 / 3]), np.array([1.0, -2.0])
    for _ in range(0, CASE.steps, WINDOW):
        for node, mass in zip(nodes, masses / masses.sum(), strict=True):
            y, share = x, 0.0
            for _ in range(WINDOW):
                y = (1 - (0.4 + float(SIGMA) * node) * lam) * y
                share += 0.5 * lam @ y**2
            total += mass * node * share / float(SIGMA)
        x = (1 - 0.4 * lam) ** WINDOW * x
    return total


def test_persistent_windows_have_no_bias_and_windows_alone_have_theirs() -> None:
    """4 standard errors of 20,000 pairs, fixed seed; chance of a miss 6e-5. Each is the other's planted fault."""
    pairs = 20_000
    moments = evolution_moments(
        CASE.eigenvalues, CASE.start, CASE.alpha, CASE.steps, sigma=SIGMA, window=WINDOW, antithetic=True
    )
    target = {True: float(moments.mean), False: smoothed_windows()}
    sums, errors = {}, {}
    for persistent in (True, False):
        episode = EvolutionEpisode(Descent(), PROBLEM, CASE.steps, float(SIGMA), pairs, persistent)
        found = windows(episode, ALPHA, torch.Generator().manual_seed(7))
        sums[persistent] = sum(float(part.gradient) for part in found)
        # windows are independent without persistence; with it, the exact variance of their sum is known
        errors[persistent] = (
            (float(moments.variance) / pairs) ** 0.5
            if persistent
            else sum(float(part.standard_error) ** 2 for part in found) ** 0.5
        )
        assert abs(sums[persistent] - target[persistent]) < 4 * errors[persistent]
    assert abs(sums[False] - target[True]) > 40 * errors[False]  # truncation: the derivative lacks earlier windows
    assert abs(sums[True] - target[False]) > 40 * errors[True]
    # both in the limit of no smoothing: (A1) whole, (A2) cut
    assert target[True] == pytest.approx(float(CASE.gradient()), rel=0.05)
    assert target[False] == pytest.approx(float(CASE.gradient(window=WINDOW)), rel=0.05)


def test_planted_particles_that_forget_where_they_were_are_seen() -> None:
    """Persistent weights on particles that start every window from one common run: biased."""
    pairs = 20_000
    episode = EvolutionEpisode(Descent(), PROBLEM, CASE.steps, float(SIGMA), pairs)
    standing, generator, total = episode.begin(ALPHA, START), torch.Generator().manual_seed(7), 0.0
    calm = START
    while standing.step < CASE.steps:
        last = standing.step + WINDOW
        estimate, after = episode.advance(ALPHA, standing, last, generator)
        for _ in range(WINDOW):
            calm = calm - ALPHA * PROBLEM.eigenvalues * calm
        standing = Population(calm.expand(2 * pairs, 2), (), after.applied, last)
        total += float(estimate.gradient)  # type: ignore[arg-type]
    moments = evolution_moments(
        CASE.eigenvalues, CASE.start, CASE.alpha, CASE.steps, sigma=SIGMA, window=WINDOW, antithetic=True
    )
    assert abs(total - float(moments.mean)) > 40 * (float(moments.variance) / pairs) ** 0.5


def test_chunks_batches_and_meta_descent() -> None:
    objective = MetaObjective("sum", batches=lambda t: torch.tensor(0.1 * t, dtype=torch.float64))
    results = []
    for chunk in (None, 3):
        episode = EvolutionEpisode(
            HeavyBall(), PROBLEM, 6, 0.01, 4, objective=objective, batches=lambda t: torch.ones(()).double(),
            chunk_size=chunk,
        )  # fmt: skip
        results.append(windows(episode, HEAVY, torch.Generator().manual_seed(1)))
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(whole.gradient, chunked.gradient, rtol=1e-12, atol=1e-15)
    assert results[0][0].diagnostics.losses.shape == (2,)
    assert "no bias" in results[0][0].estimates

    problem, phi = Diagonal(torch.tensor([1.0, 0.1], dtype=torch.float64)), torch.tensor(0.05, dtype=torch.float64)
    values, generator = [], torch.Generator().manual_seed(2)
    for _ in range(30):
        episode = EvolutionEpisode(Descent(), problem, 12, 0.02, 8)
        found, standing = 0.0, episode.begin(phi, torch.ones(2, dtype=torch.float64))
        for last in (4, 8, 12):
            estimate, standing = episode.advance(phi, standing, last, generator)
            phi = phi - 2e-3 * estimate.gradient
            found += float(estimate.value)
        values.append(found)
    assert values[-1] < 0.7 * values[0]


def test_bad_arguments() -> None:
    episode = EvolutionEpisode(Descent(), PROBLEM, 6, 0.1, 4)
    standing = episode.begin(ALPHA, START)
    for call, message in [
        (lambda: EvolutionEpisode(Descent(), PROBLEM, 6, 0.0, 4), "sigma must be"),
        (lambda: EvolutionEpisode(Descent(), PROBLEM, 6, 0.1, 1), "pairs must be"),
        (lambda: episode.advance(ALPHA, standing, 0, torch.Generator()), "last must be"),
        (lambda: episode.advance(ALPHA, standing, 7, torch.Generator()), "last must be"),
        (lambda: episode.advance(ALPHA.float(), standing, 2, torch.Generator()), "one dtype"),
        (
            lambda: episode.advance(
                ALPHA, Population(standing.params, standing.state, standing.applied, 4), 3, torch.Generator()
            ),
            "must end after step 4",
        ),
    ]:
        with pytest.raises(InputError, match=message):
            call()
