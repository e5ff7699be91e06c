"""The gradient doctor: does the meta-gradient of a user's rule mean what she thinks it means?

Reverse mode, forward mode, truncated and first-order estimates are held against difference quotients, which know
nothing of graphs; one step is searched for derivatives that are cut; a probe feeds gradients that are exactly 0; and
the growth of derivatives says up to which horizon any of it can be computed.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import l2o_theory
from l2o_theory.audit.directions import Along, difference_quotients, directions
from l2o_theory.audit.gradient_horizon import growth, reach
from l2o_theory.audit.gradient_report import Estimate, Finding, GradientReport, Growth, Reach
from l2o_theory.audit.gradient_step import leaks, not_finite_at_zero
from l2o_theory.audit.optimizees import Optimizee, load_optimizee
from l2o_theory.audit.subject import Subject
from l2o_theory.errors import InputError
from l2o_theory.metagradients import (
    MetaGradient,
    MetaObjective,
    Trajectory,
    detached_params,
    first_order,
    forward,
    reverse,
    truncated,
    unroll,
)
from l2o_theory.metagradients.arguments import check_count
from l2o_theory.metagradients.trajectory import Cuts, check_arguments, evaluate
from l2o_theory.problems.trees import mapped, tensors

_AGREES = {torch.float64: 1e-6, torch.float32: 2e-2}  # of reverse mode and differences over hundreds of steps
_LOOKED_AT = 3  # the step that is searched for cuts: late enough for a state that is not 0
_SHOWN = 3  # leaks that are printed
_LIMIT = 1000
_PACKAGE = Path(l2o_theory.__file__).parent
_CHAOS = 7.0  # a thousandfold: further than any step of meta-training looks


@dataclass(frozen=True)
class _Run:
    """One examination in the making."""

    subject: Subject
    optimizee: Optimizee
    along: Along
    names: tuple[str, ...]
    steps: int
    window: int
    objective: MetaObjective
    dtype: torch.dtype

    @property
    def origin(self) -> Tensor:
        """s = 0: phi itself."""
        return torch.zeros(len(self.names), dtype=self.dtype)

    def options(self) -> dict[str, Any]:
        """What every estimator is called with."""
        return {"start": self.optimizee.start, "objective": self.objective, "batches": self.optimizee.batches}


def examine_gradient(
    subject: Subject,
    problem: str = "quadratic",
    *,
    steps: int = 100,
    window: int | None = None,
    dtype: torch.dtype = torch.float64,
    objective: str = "sum",
    seed: int = 0,
    limit: int | None = None,
) -> GradientReport:
    """Compare all ways to differentiate a run of the rule in its meta-parameters, and say which can be believed.

    Args:
        subject: the rule and its meta-parameters.
        problem: name of an optimizee, or FILE.py:NAME.
        steps: N.
        window: K of the truncated estimate; 20, or N if that is less.
        dtype: of the estimates; difference quotients are always taken in float64.
        objective: "sum", "mean", "final" or "log_final" of the losses.
        seed: of starts, minibatches and random directions.
        limit: the longest horizon at which dtypes are compared; 5 N but at most 1000 by default.

    Raises:
        InputError: an argument out of range, or an unknown problem. Faults of the rule are findings, not errors.
    """
    check_count("steps", steps)
    window = min(20, steps) if window is None else window
    check_count("window", window, steps)
    limit = max(steps, min(5 * steps, _LIMIT)) if limit is None else limit
    check_count("limit", limit)
    if dtype not in _AGREES:
        raise InputError(f"dtype must be float32 or float64, got {dtype}")
    stacked, names = directions(subject.meta, seed)
    setting = {
        "steps": steps, "window": window, "dtype": str(dtype).removeprefix("torch."), "objective": objective,
        "seed": seed, "meta_parameters": subject.count,
    }  # fmt: skip

    def made(kind: torch.dtype) -> _Run:
        along = Along(subject.rule, subject.meta_in(kind), mapped(lambda leaf: leaf.to(kind), stacked))
        optimizee = load_optimizee(problem, dtype=kind, seed=seed)
        return _Run(subject, optimizee, along, names, steps, window, MetaObjective(objective), kind)  # type: ignore[arg-type]

    run, precise = made(dtype), made(torch.float64)
    setting["coordinates"] = run.optimizee.dimension
    plain = _contract(run)
    if isinstance(plain, Finding):
        return GradientReport(subject.name, problem, setting, names, (), None, (), (plain,))
    estimates, findings = _estimates(plain, run, precise)
    contract = Finding("contract", "ok", "pure, of the right structure, dtype and device")
    findings = [contract, *findings, *_step(precise, seed), *_zero(precise)]
    toward = mapped(lambda v: v.sum(0), stacked)
    rates: Growth | None = None
    reached: tuple[Reach, ...] = ()
    if any(finding.state == "fault" and finding.name in ("reverse", "one step") for finding in findings):
        findings.append(Finding("horizon", "note", "growth not measured: derivatives have to be right first"))
        return _report(subject, problem, setting, names, estimates, rates, reached, findings)
    try:
        rates = growth(subject.rule, precise.optimizee, subject.meta, toward, steps, seed)
        reached = reach(
            subject.rule,
            lambda kind: load_optimizee(problem, dtype=kind, seed=seed),
            subject.meta, toward, limit, seed,
        )  # fmt: skip
    except Exception as error:
        findings.append(Finding("horizon", "note", f"growth could not be measured: {_told(error)}"))
    findings += _horizon(rates, reached, run)
    return _report(subject, problem, setting, names, estimates, rates, reached, findings)


def _horizon(rates: Growth | None, reached: tuple[Reach, ...], run: _Run) -> list[Finding]:
    """Whether the run is short enough for its dtype, and for its own chaos."""
    here = next((entry for entry in reached if entry.dtype == str(run.dtype).removeprefix("torch.")), None)
    if here is not None and here.step is not None and here.step <= run.steps:
        text = f"{run.steps} steps are too many for {here.dtype}: {here.reason}; shorten the unroll, or --window"
        return [Finding("horizon", "fault", text)]
    if rates is not None and rates.start * run.steps > _CHAOS:
        factor = f"e^{rates.start * run.steps:.0f}"
        text = f"chaos, neighbouring runs part by about {factor} in {run.steps} steps"
        return [Finding("horizon", "note", f"{text}: the meta-gradient is right but of no use; shorten or truncate")]
    return []


def _report(
    subject: Subject, problem: str, setting: dict[str, Any], names: tuple[str, ...], estimates: list[Estimate],
    rates: Growth | None, reached: tuple[Reach, ...], findings: list[Finding],
) -> GradientReport:  # fmt: skip
    """Faults first."""
    order = {"fault": 0, "note": 1, "ok": 2}
    sorted_findings = tuple(sorted(findings, key=lambda finding: order[finding.state]))
    return GradientReport(subject.name, problem, setting, names, tuple(estimates), rates, reached, sorted_findings)


def _contract(run: _Run) -> Trajectory | Finding:
    """A plain run, or why the rule cannot be differentiated at all."""
    meta = run.along.base
    try:
        check_arguments(
            run.subject.rule, run.optimizee.problem, meta, run.steps, run.optimizee.start, run.optimizee.batches,
            run.objective,
        )  # fmt: skip
        return unroll(
            run.subject.rule, run.optimizee.problem, meta, run.steps, start=run.optimizee.start,
            batches=run.optimizee.batches,
        )  # fmt: skip
    except Exception as error:
        return Finding("contract", "fault", _told(error))


def _estimates(plain: Trajectory, run: _Run, precise: _Run) -> tuple[list[Estimate], list[Finding]]:
    """All estimators against difference quotients."""
    findings = []
    exits = plain.diagnostics.loss_left.item()
    if exits:
        findings.append(
            Finding("losses", "fault", f"f(x_{exits}) is not finite: the run itself diverges; lower the step size")
        )
    quotients, uncertainty = difference_quotients(_value(precise), len(run.names))
    size = float(quotients.norm())
    doubt = float(uncertainty.norm()) / size if size > 0 else float(uncertainty.norm())
    certain = doubt < 0.1
    reference = quotients.to(torch.float64)
    rows = [Estimate("difference quotients", size, 0.0, 1.0, f"the reference, right to {doubt:.0e}")]
    if not certain:
        rows[0] = Estimate("difference quotients", size, math.nan, math.nan, "no reference: they depend on their step")
        text = "the meta-loss is rough on the scale of relative changes 1e-6 of phi (chaos, or outside the float range)"
        findings.append(Finding("differences", "note", f"{text}; shorten --steps until they settle"))
    allowed = max(_AGREES[run.dtype], 10 * doubt)
    exact: dict[str, Tensor | None] = {}
    for name, estimator in _EXACT.items():
        row, gradient, fault = _exact_row(run, name, estimator, reference, allowed if certain else None)
        rows.append(row)
        exact[name] = gradient
        if fault is not None and not (name == "forward" and _alike(gradient, exact["reverse"], allowed)):
            findings.append(fault)
    base = reference if certain or exact["reverse"] is None else exact["reverse"]
    rows += [_biased_row(run, name, estimator, base) for name, estimator in _BIASED.items()]
    if certain and not any(finding.state == "fault" for finding in findings):
        findings.append(Finding("derivative", "ok", "reverse mode, forward mode and difference quotients agree"))
    elif not certain and not any(finding.state == "fault" for finding in findings):
        findings.append(_without_reference(exact, run.dtype))
    return rows, findings


def _alike(one: Tensor | None, other: Tensor | None, allowed: float) -> bool:
    """Whether forward mode only says once more what reverse mode said."""
    if one is None or other is None:
        return False
    finite = bool(one.isfinite().all()), bool(other.isfinite().all())
    return not any(finite) or (all(finite) and float((one - other).norm()) <= allowed * float(other.norm()))


def _without_reference(exact: dict[str, Tensor | None], dtype: torch.dtype) -> Finding:
    """Where differences do not settle, reverse and forward mode can only be held against each other."""
    one, other = exact["reverse"], exact["forward"]
    if one is None or other is None:
        return Finding("derivative", "note", "with neither differences nor forward mode, nothing confirms reverse mode")
    distance = float((one - other).norm() / one.norm())
    if distance <= _AGREES[dtype]:
        return Finding("derivative", "note", "reverse and forward mode agree, but nothing confirms both")
    text = f"reverse and forward mode are {distance:.0e} apart: rounding decides; shorten --steps"
    return Finding("derivative", "fault", text)


def _value(run: _Run) -> Callable[[Tensor], Tensor]:
    def value(distances: Tensor) -> Tensor:
        with torch.no_grad():
            return evaluate(
                run.along, run.optimizee.problem, distances, run.steps, start=run.optimizee.start,
                objective=run.objective, batches=run.optimizee.batches, cuts=Cuts(),
            )[0].detach()  # fmt: skip

    return value


_EXACT: dict[str, Callable[..., MetaGradient]] = {"reverse": reverse, "forward": forward}
_BIASED: dict[str, Callable[..., MetaGradient]] = {
    "truncated": truncated,
    "iterate detached": detached_params,
    "first order": first_order,
}


def _exact_row(
    run: _Run, name: str, estimator: Callable[..., MetaGradient], reference: Tensor, allowed: float | None
) -> tuple[Estimate, Tensor | None, Finding | None]:
    """An estimator that claims to be exact, and the fault if it is not."""
    nothing = float("nan")
    try:
        found = estimator(run.along, run.optimizee.problem, run.origin, run.steps, **run.options())
    except Exception as error:
        told = _told(error)
        state = "fault" if name == "reverse" else "note"
        return Estimate(name, nothing, nothing, nothing, "does not run"), None, Finding(name, state, told)  # type: ignore[arg-type]
    gradient = _vector(found)
    if not bool(gradient.isfinite().all()):
        bad = [label for label, entry in zip(run.names, gradient, strict=True) if not bool(entry.isfinite())]
        text = f"not finite in {', '.join(bad)}: {found.where_it_left()}"
        return Estimate(name, nothing, nothing, nothing, "NOT FINITE"), gradient, Finding(name, "fault", text)
    row = _row(name, gradient, reference, "")
    if allowed is None or row.distance <= allowed:
        if allowed is None:
            return Estimate(name, row.norm, nothing, nothing, "nothing to hold it against"), gradient, None
        return Estimate(name, row.norm, row.distance, row.cosine, "agrees"), gradient, None
    gaps = (gradient - reference).abs()
    worst = int(gaps.argmax())
    text = (
        f"{row.distance:.0%} away from difference quotients, most in {run.names[worst]}: {float(gradient[worst]):.6g} "
        f"instead of {float(reference[worst]):.6g}; a derivative is cut or wrong: detach, .data, .item(), no_grad"
    )
    return Estimate(name, row.norm, row.distance, row.cosine, "DISAGREES"), gradient, Finding(name, "fault", text)


def _biased_row(run: _Run, name: str, estimator: Callable[..., MetaGradient], exact: Tensor) -> Estimate:
    """An estimator that is biased by design: by how much, for this rule."""
    label = name if name == "first order" else f"{name}, K = {run.window}"
    options = run.options() | ({} if name == "first order" else {"window": run.window})
    try:
        gradient = _vector(estimator(run.along, run.optimizee.problem, run.origin, run.steps, **options))
    except InputError as error:
        nothing = "depend on any meta-parameter" in str(error)
        words = "exactly 0: the meta-gradient comes only through what it leaves out" if nothing else _told(error)
        return Estimate(label, 0.0 if nothing else float("nan"), 1.0, float("nan"), words)
    except Exception as error:
        return Estimate(label, float("nan"), float("nan"), float("nan"), f"does not run: {_told(error)}")
    if not bool(gradient.isfinite().all()):
        return Estimate(label, float("nan"), float("nan"), float("nan"), "not finite")
    row = _row(label, gradient, exact, "")
    if row.distance < 1e-9:
        return Estimate(label, row.norm, row.distance, row.cosine, "the same as the full gradient here")
    wrong = ", and points the other way" if row.cosine < 0 else ""
    return Estimate(label, row.norm, row.distance, row.cosine, f"biased by {row.distance:.1%}{wrong}")


def _row(name: str, gradient: Tensor, reference: Tensor, verdict: str) -> Estimate:
    norm, size = float(gradient.norm()), float(reference.norm())
    distance = float((gradient - reference).norm()) / size if size > 0 else float(gradient.norm())
    cosine = float(gradient @ reference) / (norm * size) if norm * size > 0 else float("nan")
    return Estimate(name, norm, distance, cosine, verdict)


def _vector(found: MetaGradient) -> Tensor:
    (gradient,) = tensors(found.gradient)
    return gradient.detach().to(torch.float64)


def _step(run: _Run, seed: int) -> list[Finding]:
    """Search one step for derivatives that are cut."""
    steps = min(_LOOKED_AT, run.steps)
    rule, problem, meta = run.subject.rule, run.optimizee.problem, run.along.base
    batches = run.optimizee.batches
    try:
        with torch.no_grad():
            before = unroll(rule, problem, meta, steps, start=run.optimizee.start, batches=batches)
        if not all(bool(leaf.isfinite().all()) for leaf in tensors((before.params, before.state))):
            return [Finding("one step", "note", f"not taken apart: the run is not finite after {steps} steps")]
        batch = None if batches is None else batches(steps)
        grads = torch.func.grad(problem.loss)(before.params, batch)
        found = leaks(rule, before.params, grads, before.state, meta, seed=seed)
    except Exception as error:
        return [Finding("one step", "note", f"could not be taken apart: {_told(error)}")]
    if not found:
        text = f"each derivative of update at step {steps} is that of difference quotients"
        return [Finding("one step", "ok", text)]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    listed = "; ".join(str(leak) for leak in found[:_SHOWN])
    finite = all(math.isfinite(leak.computed) for leak in found)
    remedy = "detach, .data, .item() or no_grad" if finite else "a sqrt, a division or a logarithm at 0"
    return [Finding("one step", "fault", f"at step {steps}, {listed}{more}. Look there for {remedy}")]


def _zero(run: _Run) -> list[Finding]:
    """Feed gradients that are exactly 0."""
    try:
        bad = not_finite_at_zero(run.subject.rule, run.optimizee.start, run.along.base)
    except Exception as error:
        return [Finding("zero gradient", "note", f"the rule does not run on gradients that are 0: {_told(error)}")]
    if not bad:
        return [Finding("zero gradient", "ok", "derivatives stay finite where an inner gradient is exactly 0")]
    text = (
        f"not finite where an inner gradient is exactly 0 (a black pixel, a dead unit): {', '.join(bad)}. sqrt(v) has "
        "an infinite derivative at 0, and infinity times 0 is NaN; use l2o_theory.optimizers.adam.root, or eps inside"
    )
    return [Finding("zero gradient", "fault", text)]


def _told(error: Exception) -> str:
    """What went wrong, with the user's line where it was not our own refusal."""
    if isinstance(error, InputError):
        return " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    where = next(
        (f" at {frame.filename}:{frame.lineno}" for frame in reversed(frames) if _is_users(frame.filename)), ""
    )
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}{where}: {first}"


def _is_users(filename: str) -> bool:
    ours = Path(filename).is_relative_to(_PACKAGE)
    return not ours and "site-packages" not in filename and not filename.startswith("<")
