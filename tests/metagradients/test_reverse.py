"""Reverse, truncated, detached and first-order meta-gradients against closed forms in exact rationals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_rules import INSTANCES, RELATIVE, Descent, Diagonal, HeavyBall, Instance, Regression, SmoothAdam

from l2o_theory.metagradients import MetaObjective, detached_params, first_order, forward, reverse, truncated, unroll

WINDOWS = (1, 2, 5, 7, 11, 16, 19, 20)


def relative(found: torch.Tensor, exact: Fraction) -> float:
    return abs(found.item() / float(exact) - 1)


@pytest.mark.parametrize("case", INSTANCES)
def test_full_gradient_is_a1(case: Instance) -> None:
    problem, start, alpha = case.tensors()
    for estimator in (reverse, forward):
        found = estimator(Descent(), problem, alpha, case.steps, start=start)
        assert relative(found.gradient, case.gradient()) < RELATIVE
    assert relative(found.gradient, case.gradient(window=case.steps - 1)) > RELATIVE  # planted: one step less


@pytest.mark.parametrize("case", INSTANCES)
def test_weights_and_kinds(case: Instance) -> None:
    problem, start, alpha = case.tensors()
    weights = [Fraction(t % 3, 7) for t in range(1, case.steps + 1)]
    last = [Fraction(0)] * (case.steps - 1) + [Fraction(1)]
    for kind, given_weights, expected in [
        ("sum", weights, case.gradient(weights)),
        ("mean", weights, case.gradient(weights) / case.steps),
        ("final", None, case.gradient(last)),
    ]:
        floats = None if given_weights is None else [float(w) for w in given_weights]
        objective = MetaObjective(kind, floats)  # type: ignore[arg-type]
        found = reverse(Descent(), problem, alpha, case.steps, start=start, objective=objective)
        assert relative(found.gradient, expected) < RELATIVE
    found = reverse(Descent(), problem, alpha, case.steps, start=start, objective=MetaObjective("log_final"))
    pairs = zip(case.eigenvalues, case.start, strict=True)
    final = sum(lam * x**2 * (1 - case.alpha * lam) ** (2 * case.steps) for lam, x in pairs) / 2
    assert relative(found.gradient, case.gradient(last) / final) < RELATIVE


@pytest.mark.parametrize("case", INSTANCES)
@pytest.mark.parametrize("window", WINDOWS)
def test_truncated_gradient_is_a2_and_a4(case: Instance, window: int) -> None:
    problem, start, alpha = case.tensors()
    expected = case.gradient(window=window)
    assert expected == case.geometric(window)  # the two closed forms agree exactly
    for estimator in (truncated, detached_params):  # without a state they are the same
        found = estimator(Descent(), problem, alpha, case.steps, start=start, window=window)
        assert relative(found.gradient, expected) < RELATIVE
        wrong = case.gradient(window=window - 1 if window > 1 else 2)
        assert relative(found.gradient, wrong) > RELATIVE  # planted: a window of another length


@pytest.mark.parametrize("case", INSTANCES)
@pytest.mark.parametrize("window", [None, *WINDOWS])
def test_first_order_gradient_is_f1(case: Instance, window: int | None) -> None:
    problem, start, alpha = case.tensors()
    found = first_order(Descent(), problem, alpha, case.steps, start=start, window=window)
    assert relative(found.gradient, case.first_order(window)) < RELATIVE
    # planted: the second-order chain rule, which is the same number for windows of one step only
    assert window == 1 or relative(found.gradient, case.gradient(window=window)) > RELATIVE


def test_first_order_has_the_wrong_sign_past_one_over_l() -> None:
    problem, start, alpha = INSTANCES[4].tensors()
    exact = reverse(Descent(), problem, alpha, 48, start=start).gradient.item()
    cheap = first_order(Descent(), problem, alpha, 48, start=start).gradient.item()
    assert exact == pytest.approx(0.35302, abs=5e-6)  # five digits of an independent computation
    assert cheap == pytest.approx(-0.26221, abs=5e-6)


def test_relative_bias_of_a_long_and_of_a_frozen_run() -> None:
    window, rho = 4, 0.7
    q, alpha = rho**2, torch.tensor(1 - rho, dtype=torch.float64)
    one = Diagonal(torch.ones(1, dtype=torch.float64))
    start = torch.ones(1, dtype=torch.float64)

    def bias(problem: Diagonal, steps: int) -> float:
        full = reverse(Descent(), problem, alpha, steps, start=start).gradient
        return (1 - truncated(Descent(), problem, alpha, steps, start=start, window=window).gradient / full).item()

    # (A5): 80 steps are infinitely many, q^80 < 1e-24
    assert bias(one, 80) == pytest.approx(window * (1 - q) / (q**-window - 1), rel=RELATIVE)
    # (A6): lam = 1e-12 leaves q = 1 - 6e-13, so the limit is met to about 40 times that
    frozen = Diagonal(torch.full((1,), 1e-12, dtype=torch.float64))
    assert bias(frozen, 40) == pytest.approx(1 - (window + 1) / 41, rel=RELATIVE)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    eigenvalues=st.lists(st.fractions(Fraction(1, 20), 2, max_denominator=20), min_size=1, max_size=3),
    alpha=st.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=20),
    steps=st.integers(1, 14),
    data=st.data(),
)
def test_any_quadratic(eigenvalues: list[Fraction], alpha: Fraction, steps: int, data: Any) -> None:
    window = data.draw(st.integers(1, steps))
    numerators = st.integers(1, 30).map(lambda n: Fraction(n, 10))
    start = data.draw(st.lists(numerators, min_size=len(eigenvalues), max_size=len(eigenvalues)))
    case = Instance(tuple(eigenvalues), tuple(start), alpha, steps)
    problem, x, step_size = case.tensors()
    # rounding is relative to the sum of absolute terms: signs change where alpha lam > 1
    scale = float(sum(steps * abs(case.slope(t)) for t in range(1, steps + 1))) + 1e-300
    for found, expected in [
        (reverse(Descent(), problem, step_size, steps, start=x), case.gradient()),
        (forward(Descent(), problem, step_size, steps, start=x), case.gradient()),
        (truncated(Descent(), problem, step_size, steps, start=x, window=window), case.gradient(window=window)),
    ]:
        assert abs(found.gradient.item() - float(expected)) <= RELATIVE * scale


HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.9, dtype=torch.float64)}


def test_heavy_ball_shows_what_is_detached() -> None:
    """Derived here: three conventions, three numbers."""
    problem = Diagonal(torch.tensor([1.0, 0.1], dtype=torch.float64))
    start = torch.ones(2, dtype=torch.float64)
    found = [
        reverse(HeavyBall(), problem, HEAVY, 40, start=start),
        truncated(HeavyBall(), problem, HEAVY, 40, start=start, window=5),
        detached_params(HeavyBall(), problem, HEAVY, 40, start=start, window=5),
    ]
    expected = [(-0.212562, 24.131897), (-6.156250, 6.164918), (-8.258139, 12.272323)]
    for estimate, pair in zip(found, expected, strict=True):
        assert isinstance(estimate.gradient, dict)
        values = tuple(estimate.gradient[name].item() for name in ("alpha", "beta"))
        assert values == pytest.approx(pair, abs=1.1e-6)  # the reference has six decimals, cut off


def data(tasks: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    shape = () if tasks is None else (tasks,)
    inputs = torch.randn(*shape, 5, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.randn(*shape, 5, generator=generator, dtype=torch.float64)


ALL = (
    (reverse, {}),
    (forward, {}),
    (truncated, {"window": 4}),
    (detached_params, {"window": 4}),
    (first_order, {}),
    (first_order, {"window": 3}),
)


@pytest.mark.parametrize(("estimator", "own"), ALL)
@pytest.mark.parametrize("rule", [HeavyBall(), SmoothAdam()])
def test_vmap_over_tasks_equals_the_loop(estimator: Any, own: dict[str, int], rule: Any) -> None:
    inputs, targets = data(tasks=3)
    start = Regression().init()

    def one(inputs: torch.Tensor, targets: torch.Tensor) -> Any:
        return estimator(rule, Regression(), HEAVY, 10, start=start, batches=lambda t: (inputs, targets), **own)

    together = torch.func.vmap(one)(inputs, targets)
    assert together.diagnostics.losses.shape == (3, 10)
    for task in range(3):
        alone = one(inputs[task], targets[task])
        assert together.estimates == alone.estimates
        for name in HEAVY:
            # the same operations in another order of summation
            torch.testing.assert_close(together.gradient[name][task], alone.gradient[name], rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(together.diagnostics.losses[task], alone.diagnostics.losses, rtol=1e-12, atol=0)


@pytest.mark.parametrize("rule", [HeavyBall(), SmoothAdam()])
def test_reverse_forward_and_central_differences_agree(rule: Any) -> None:
    batch, start = data(), Regression().init()
    batches = lambda t: (batch[0] + 0.1 * t, batch[1])  # noqa: E731
    back = reverse(rule, Regression(), HEAVY, 12, start=start, batches=batches)
    ahead = forward(rule, Regression(), HEAVY, 12, start=start, batches=batches, chunk_size=1)
    assert back.value == pytest.approx(ahead.value.item(), rel=1e-14)
    for name in HEAVY:
        torch.testing.assert_close(back.gradient[name], ahead.gradient[name], rtol=1e-12, atol=1e-14)
        up, down = ({**HEAVY, name: HEAVY[name] + sign * 1e-5} for sign in (1, -1))
        ends = [unroll(rule, Regression(), m, 12, start=start, batches=batches).losses.sum() for m in (up, down)]
        # central differences: the third derivative times 1e-10, and rounding 1e-16 / 1e-5
        assert back.gradient[name].item() == pytest.approx(((ends[0] - ends[1]) / 2e-5).item(), rel=1e-6, abs=1e-9)
    wrong = truncated(rule, Regression(), HEAVY, 12, start=start, batches=batches, window=11)
    assert abs(wrong.gradient["alpha"] / back.gradient["alpha"] - 1) > 1e-6  # planted: one step less is seen


def test_learned_starts_and_validation_losses() -> None:
    """phi = x_0 on one quadratic, judged by another: d/dx_0 of 1/2 mu (rho^N x_0)^2 = mu rho^(2N) x_0."""
    train = Diagonal(torch.tensor([0.5], dtype=torch.float64))
    judge = Diagonal(torch.tensor([3.0], dtype=torch.float64))

    class Fixed(Descent):
        def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
            return params - 0.4 * grads, state

    phi = torch.tensor([2.0], dtype=torch.float64)
    for estimator in (reverse, forward):
        objective = MetaObjective("final", problem=judge)
        found = estimator(Fixed(), train, phi, 5, start=lambda phi: 1 * phi, objective=objective)
        assert found.gradient.item() == pytest.approx(3 * 0.8**10 * 2, rel=1e-14)
        half = MetaObjective("final", batches=lambda t: torch.tensor(0.1 * t, dtype=torch.float64))
        found = estimator(Fixed(), train, phi, 5, start=lambda phi: 1 * phi, objective=half)
        assert found.gradient.item() == pytest.approx(0.5 * 0.5 * 0.8**10 * 2, rel=1e-14)  # batch 5 scales by 1/2


def test_unroll_is_differentiable_where_meta_is() -> None:
    problem, start, alpha = INSTANCES[0].tensors()
    run = unroll(Descent(), problem, alpha.requires_grad_(), 20, start=start, window=5)
    (found,) = torch.autograd.grad(run.losses.sum(), alpha)
    assert relative(found, INSTANCES[0].gradient(window=5)) < RELATIVE
    assert run.params.item() == pytest.approx(0.9**20, rel=1e-13)
    assert not unroll(Descent(), problem, alpha.detach(), 20, start=start).losses.requires_grad


def test_single_precision_stays_single() -> None:
    case = INSTANCES[0]
    problem = Diagonal(torch.ones(1))
    found = reverse(Descent(), problem, torch.tensor(0.1), 20, start=torch.ones(1))
    assert found.gradient.dtype == torch.float32
    assert relative(found.gradient, case.gradient()) < 1e-5  # 60 operations at 6e-8


@pytest.mark.gpu
def test_the_same_numbers_on_a_gpu() -> None:
    case = INSTANCES[1]
    problem, start, alpha = case.tensors()
    there = Diagonal(problem.eigenvalues.cuda())
    for estimator in (reverse, forward):
        found = estimator(Descent(), there, alpha.cuda(), case.steps, start=start.cuda())
        assert relative(found.gradient.cpu(), case.gradient()) < RELATIVE
