"""Windows over many tasks against plain back-propagation, task by task, through a graph that nothing shortcuts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from l2o_theory.metatraining import window
from l2o_theory.metatraining.meta_loss import LossKind, MetaLoss
from l2o_theory.metatraining.tasks import Draw, MinibatchTasks, QuadraticTasks, TaskFamily
from l2o_theory.metatraining.window import Standing, advance, begin, differentiated_once
from l2o_theory.optimizers.adam import Adam
from l2o_theory.optimizers.learned import MLPOptimizer, RNNprop
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems import MLP, Classification, Dataset, RandomQuadratics

TASKS, STEPS, WINDOW = 3, 7, 4
RULE = LSTMRule(hidden=4)
META = RULE.meta(torch.Generator().manual_seed(2))


def digits_like() -> Dataset:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    return Dataset(features, torch.randint(2, (12,), generator=generator), 2)


FAMILIES: dict[str, TaskFamily] = {
    "quadratics": QuadraticTasks(RandomQuadratics(3)),
    "network": MinibatchTasks(Classification(MLP((3, 2)), digits_like()), 5, held_out=digits_like()),
}


def pick(tree: object, task: int) -> object:
    if isinstance(tree, dict):
        return {name: leaf[task] for name, leaf in tree.items()}
    assert isinstance(tree, Tensor)
    return tree[task]


def by_hand(
    family: TaskFamily, draw: Draw, kind: LossKind, order: int, validation: bool, *, forget: bool = False
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Per window: value and gradient, mean over tasks."""
    values, gradients = [], []
    phi = {name: weight.clone().requires_grad_() for name, weight in META.items()}
    loss = family.problem.loss
    carried = []
    for task in range(TASKS):
        x = pick(draw.starts, task)
        carried.append((x, RULE.init(x), loss(x, pick(draw.batches(0), task)).detach()))
    for first in range(0, STEPS, WINDOW):
        last = min(first + WINDOW, STEPS)
        total = torch.zeros((), dtype=torch.float64)
        for task, (x, state, start) in enumerate(carried):
            for t in range(first, last):
                point = {n: v if v.requires_grad else v.clone().requires_grad_() for n, v in x.items()} if isinstance(
                    x, dict) else (x if x.requires_grad else x.clone().requires_grad_())  # fmt: skip
                leaves = list(point.values()) if isinstance(point, dict) else [point]
                found = torch.autograd.grad(loss(point, pick(draw.batches(t), task)), leaves, create_graph=order == 2)
                g = dict(zip(point, found, strict=True)) if isinstance(point, dict) else found[0]
                x, state = RULE.update(point if order == 2 else x, g, state, phi)
                batches = draw.validation if validation else draw.batches
                assert batches is not None
                f = loss(x, pick(batches(t + 1), task))
                if kind == "sum" or (kind == "final" and t + 1 == STEPS):
                    total = total + f
                elif kind == "mean":
                    total = total + f / (last - first)
                elif kind == "log":
                    total = total + (f + 1e-6).log()
                elif kind == "normalised":
                    total = total + (f / (start + 1e-6) + 1e-6).log()
            cut = {n: v.detach() for n, v in x.items()} if isinstance(x, dict) else x.detach()
            carried[task] = (cut, RULE.init(cut) if forget else {n: h.detach() for n, h in state.items()}, start)
        values.append(total.detach() / TASKS)
        found = torch.autograd.grad(total / TASKS, list(phi.values()), allow_unused=True) if total.requires_grad else ()
        padded = found or (None,) * len(phi)
        gradients.append(
            {n: torch.zeros_like(w) if p is None else p for (n, w), p in zip(phi.items(), padded, strict=True)}
        )
    return values, gradients


def windows(
    family: TaskFamily, draw: Draw, kind: LossKind, order: int, validation: bool
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    standing = begin(RULE, family.problem, draw.starts, draw.batches(0))
    loss = MetaLoss(kind, "validation" if validation else "batches")
    values, gradients = [], []
    while standing.step < STEPS:
        found = advance(
            RULE, family.problem, META, standing, min(standing.step + WINDOW, STEPS), draw.batches, steps=STEPS,
            loss=loss, judging=draw.judging(loss.data),
            order=2 if order == 2 else 1,
        )  # fmt: skip
        standing = found.standing
        values.append(found.value)
        gradients.append(found.gradient)
    return values, gradients


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", ["sum", "mean", "final", "log", "normalised"])
@pytest.mark.parametrize(("name", "validation"), [("quadratics", False), ("network", False), ("network", True)])
def test_equals_back_propagation_task_by_task(name: str, validation: bool, kind: LossKind, order: int) -> None:
    family = FAMILIES[name]
    draw = family.draw(TASKS, STEPS, torch.Generator().manual_seed(9))
    got, slow = windows(family, draw, kind, order, validation), by_hand(family, draw, kind, order, validation)
    for value, expected in zip(got[0], slow[0], strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    for gradient, wanted in zip(got[1], slow[1], strict=True):
        for weight in META:
            # 1e-10: sums over tasks and coordinates in another order, through logarithms of small gradients
            torch.testing.assert_close(gradient[weight], wanted[weight], rtol=1e-9, atol=1e-10)


def test_the_derivative_by_hand_is_taken_where_one_derivative_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, by_hand, family = Adam(), differentiated_once(RULE), FAMILIES["quadratics"]
    assert differentiated_once(plain) is plain
    assert by_hand == LSTMRule(hidden=4, once=True)
    asked: list[UpdateRule] = []
    step = window.stepped
    monkeypatch.setattr(window, "stepped", lambda rule, *rest: (asked.append(rule), step(rule, *rest))[1])
    draw = family.draw(TASKS, STEPS, torch.Generator().manual_seed(1))
    standing = begin(RULE, family.problem, draw.starts, draw.batches(0))
    for order in (1, 2):
        advance(RULE, family.problem, META, standing, 1, draw.batches, steps=STEPS, loss=MetaLoss(), order=order)
    assert asked == [by_hand, RULE]


def test_planted_faults_are_seen() -> None:
    """Another order, a state that is not carried on, training data in place of held-out data: other numbers."""
    family = FAMILIES["network"]
    draw = family.draw(TASKS, STEPS, torch.Generator().manual_seed(9))
    right = windows(family, draw, "sum", 1, True)[1]
    for planted in (
        by_hand(family, draw, "sum", 2, True),
        by_hand(family, draw, "sum", 1, True, forget=True),
        by_hand(family, draw, "sum", 1, False),
    ):
        difference = max(float((right[1][n] - planted[1][1][n]).abs().max()) for n in META)
        assert difference > 1e-9  # ten times the tolerance above


class OneTaskAtATime:
    """The same rule, marked as nothing: stepped by vmap."""

    def __init__(self, rule: UpdateRule) -> None:
        self.init, self.update = rule.init, rule.update


@pytest.mark.parametrize(
    "rule", [LSTMRule(hidden=4), RNNprop(), Adam(), MLPOptimizer()], ids=lambda r: type(r).__name__
)
@pytest.mark.parametrize("name", ["quadratics", "network"])
def test_rules_that_step_all_tasks_at_once_give_what_vmap_does(rule: UpdateRule, name: str) -> None:
    family = FAMILIES[name]
    draw = family.draw(TASKS, 3, torch.Generator().manual_seed(1))
    meta = rule.meta(0.1) if isinstance(rule, Adam) else rule.meta(torch.Generator().manual_seed(3))
    found = []
    for stepped in (rule, OneTaskAtATime(rule)):
        standing = begin(stepped, family.problem, draw.starts, draw.batches(0))
        found.append(advance(stepped, family.problem, meta, standing, 3, draw.batches, steps=3, loss=MetaLoss()))
    joined, apart = found
    for weight in meta:
        torch.testing.assert_close(joined.gradient[weight], apart.gradient[weight], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(joined.standing.params, apart.standing.params, rtol=1e-12, atol=1e-14)


def test_a_rule_that_normalises_a_tensor_sees_one_task_at_a_time() -> None:
    family, rule = FAMILIES["quadratics"], MLPOptimizer()
    meta = rule.meta(torch.Generator().manual_seed(0))
    draw = family.draw(TASKS, 2, torch.Generator().manual_seed(1))
    standing = begin(rule, family.problem, draw.starts, draw.batches(0))
    assert isinstance(standing, Standing)
    assert standing.state["step"].shape == (TASKS,)
    found = advance(rule, family.problem, meta, standing, 2, draw.batches, steps=2, loss=MetaLoss())
    x, state = draw.starts[0], rule.init(draw.starts[0])
    for t in range(2):
        g = torch.func.grad(family.problem.loss)(x, pick(draw.batches(t), 0))
        x, state = rule.update(x, g, state, meta)
    torch.testing.assert_close(found.standing.params[0], x, rtol=1e-10, atol=1e-12)
    planted, _ = rule.update(draw.starts, draw.starts, rule.init(draw.starts), meta)  # all tasks as one tensor
    alone, _ = rule.update(draw.starts[0], draw.starts[0], rule.init(draw.starts[0]), meta)
    assert not torch.allclose(planted[0], alone, rtol=1e-9)
