from __future__ import annotations

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.metatraining.imitation import Imitation, Teacher, begin_lesson, imitate
from l2o_theory.metatraining.tasks import QuadraticTasks, RandomScaling
from l2o_theory.optimizers import Adam, GradientDescent
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule
from l2o_theory.problems import RandomQuadratics

FAMILY = QuadraticTasks(RandomQuadratics(3))
STUDENT = LSTMRule(hidden=4)
META = STUDENT.meta(torch.Generator().manual_seed(2))
TEACHER = Teacher(Adam(), Adam().meta(0.1))


def by_hand(draw, steps: int, *, on_policy: bool = False) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradient of a window from the start, task by task."""
    phi = {name: weight.clone().requires_grad_() for name, weight in META.items()}
    total = torch.zeros((), dtype=torch.float64)
    tasks = len(draw.starts)
    for task in range(tasks):
        batch = {name: leaf[task] for name, leaf in draw.batches(0).items()}
        x = draw.starts[task]
        memory, state = TEACHER.rule.init(x), STUDENT.init(x)
        for _ in range(steps):
            g = 2 * batch["matrix"].T @ (batch["matrix"] @ x - batch["target"])
            target, memory = TEACHER.rule.update(x, g, memory, TEACHER.meta)
            tried, state = STUDENT.update(x, g, state, phi)
            total = total + 0.5 * (tried - target).square().sum() / len(x)
            x = tried.detach() if on_policy else target
    found = torch.autograd.grad(total / tasks, list(phi.values()))
    return total.detach() / tasks, dict(zip(phi, found, strict=True))


def test_equals_the_formula_task_by_task() -> None:
    draw = FAMILY.draw(3, 5, torch.Generator().manual_seed(4))
    lesson = begin_lesson(STUDENT, TEACHER, draw.starts)
    value, gradient, after = imitate(STUDENT, FAMILY.problem, META, TEACHER, lesson, 5, draw.batches)
    expected, wanted = by_hand(draw, 5)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for name in META:
        torch.testing.assert_close(gradient[name], wanted[name], rtol=1e-9, atol=1e-12)
    assert after.step == 5
    planted, _ = by_hand(draw, 5, on_policy=True)  # the student's own iterates would give another loss
    assert abs(float(value / planted) - 1) > 1e-3


def test_two_windows_carry_teacher_and_student_on() -> None:
    draw = FAMILY.draw(2, 6, torch.Generator().manual_seed(4))
    begin = begin_lesson(STUDENT, TEACHER, draw.starts)
    whole, _, _ = imitate(STUDENT, FAMILY.problem, META, TEACHER, begin, 6, draw.batches)
    first, _, middle = imitate(STUDENT, FAMILY.problem, META, TEACHER, begin, 2, draw.batches)
    second, _, end = imitate(STUDENT, FAMILY.problem, META, TEACHER, middle, 6, draw.batches)
    torch.testing.assert_close(first + second, whole, rtol=1e-12, atol=0)
    assert end.step == 6


def test_a_teacher_that_diverges_is_named() -> None:
    teacher = Teacher(GradientDescent(), GradientDescent().meta(1e200))
    draw = FAMILY.draw(2, 6, torch.Generator().manual_seed(4))
    with pytest.raises(InputError, match="GradientDescent left the float range at step"):
        imitate(STUDENT, FAMILY.problem, META, teacher, begin_lesson(STUDENT, teacher, draw.starts), 6, draw.batches)


def test_shares_by_stage() -> None:
    imitation = Imitation((TEACHER,), (0.0, 0.1, 0.3))
    assert [imitation.share(stage) for stage in range(5)] == [0.0, 0.1, 0.3, 0.3, 0.3]
    with pytest.raises(InputError, match=r"probabilities in \[0, 1\]"):
        Imitation((TEACHER,), (1.5,))


def test_random_scaling_keeps_the_loss_and_multiplies_gradients() -> None:
    scaled = RandomScaling(FAMILY, 3.0)
    draw = scaled.draw(2, 1, torch.Generator().manual_seed(7))
    plain = FAMILY.draw(2, 1, torch.Generator().manual_seed(7))
    for task in range(2):
        batch = draw.batches(0)
        inner = {name: leaf[task] for name, leaf in batch["batch"].items()}
        scale = batch["scale"][task]
        value = scaled.problem.loss(draw.starts[task], {"scale": scale, "batch": inner})
        torch.testing.assert_close(value, FAMILY.problem.loss(plain.starts[task], inner), rtol=1e-12, atol=0)
        g = torch.func.grad(lambda x, s=scale, b=inner: scaled.problem.loss(x, {"scale": s, "batch": b}))(
            draw.starts[task]
        )
        raw = torch.func.grad(FAMILY.problem.loss)(plain.starts[task], inner)
        torch.testing.assert_close(g, scale * raw, rtol=1e-10, atol=0)
        assert not torch.allclose(g, raw)  # planted: a scaling that does nothing
    assert bool((draw.batches(0)["scale"].log().abs() <= 3).all())
