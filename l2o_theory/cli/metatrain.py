"""`l2o-theory metatrain`: train a learned optimizer as a recipe says, to weights for anyone's training loop."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.cli.output import Output
    from l2o_theory.cli.training_progress import TrainingProgress
    from l2o_theory.metatraining.first_look import FirstLook
    from l2o_theory.metatraining.meta_training import MetaTrained
    from l2o_theory.metatraining.observer import Observer
    from l2o_theory.metatraining.recipe_file import Setup

_CHECKPOINT, _WEIGHTS, _SUMMARY, _BOARD = "checkpoint.pt", "weights.safetensors", "summary.json", "tensorboard"

RecipePath = Annotated[
    Path, typer.Argument(metavar="RECIPE.toml", help="What to train, on what, and how.", show_default=False)
]
RecipeSeed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Instead of the recipe's seed.", show_default=False)
]
RecipeDevice = Annotated[
    options.Device | None, typer.Option("--device", help="Instead of the recipe's device.", show_default=False)
]
RecipeDtype = Annotated[
    options.Dtype | None, typer.Option("--dtype", help="Instead of the recipe's dtype.", show_default=False)
]
Board = Annotated[bool, typer.Option("--tensorboard", help="Also write curves for TensorBoard, an extra to install.")]


def metatrain(
    recipe: RecipePath,
    seed: RecipeSeed = None,
    device: RecipeDevice = None,
    dtype: RecipeDtype = None,
    tensorboard: Board = False,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    fresh: options.Fresh = False,
) -> None:
    """Meta-train a learned optimizer. A run that was killed goes on from its checkpoint, to the same weights."""
    from l2o_theory.cli.output import Output
    from l2o_theory.cli.training_progress import TrainingProgress
    from l2o_theory.metatraining.recipe_file import load_recipe

    output = Output(json_wanted=json, quiet=quiet)
    began = time.perf_counter()
    place, kind = (None if choice is None else choice.value for choice in (device, dtype))
    setup = load_recipe(recipe, seed=seed, device=place, dtype=kind)
    folder = out / "metatrain" / recipe.stem
    board = _board(folder) if tensorboard else []
    _prepare(folder, fresh)
    count = sum(weight.numel() for weight in setup.weights.values())
    output.say(f"{setup.optimizer} with {count} weights, on {setup.tasks}: {setup.recipe.updates} meta-updates at most")
    progress = TrainingProgress(output, setup.recipe.curriculum, setup.recipe.updates)
    try:
        trained = _train(setup, folder, progress, board)
        look = _looked(setup, trained)
    except KeyboardInterrupt:
        kept = f"{progress.saved} of them are in {folder / _CHECKPOINT}: run the same command again to continue"
        if not progress.saved:
            kept = "before the first checkpoint: the same command begins anew"
        output.insist(f"stopped at meta-update {progress.updates}, {kept}")
        raise typer.Exit(130) from None
    document = _kept(setup, trained, look, folder, recipe)
    _print(output, setup, trained, look, folder)
    seconds = time.perf_counter() - began
    effort = f"{trained.updates} meta-updates ({seconds:.1f} s)"
    output.insist(f"trained {setup.optimizer} with {effort}: {folder / _WEIGHTS}")
    output.document({**document, "folder": str(folder), "seconds": seconds, "resumed_at": progress.started_at})


def _prepare(folder: Path, fresh: bool) -> None:
    """Make the folder; refuses one that cannot be written before the work, not after it."""
    import shutil
    import tempfile

    from l2o_theory.errors import StoreError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"cannot write to the folder {folder} ({error.strerror}); give a writable one with --out DIR"
        ) from None
    if fresh:
        (folder / _CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(folder / _BOARD, ignore_errors=True)
    if not (folder / _CHECKPOINT).exists():  # what an earlier training left is not to pass for what this one leaves
        for name in (_WEIGHTS, _SUMMARY):
            (folder / name).unlink(missing_ok=True)


def _board(folder: Path) -> list[Observer]:
    from l2o_theory.metatraining.tensorboard import TensorBoard, writer_in

    return [TensorBoard(writer_in(folder / _BOARD))]


def _train(setup: Setup, folder: Path, progress: TrainingProgress, board: list[Observer]) -> MetaTrained:
    from l2o_theory.metatraining.history import History
    from l2o_theory.metatraining.meta_training import meta_train

    with contextlib.ExitStack() as stack:
        history = stack.enter_context(History(folder))
        stack.enter_context(progress)
        return meta_train(
            setup.rule, setup.family, setup.weights, setup.recipe, seed=setup.seed, checkpoint=folder / _CHECKPOINT,
            observers=[history, *board, progress],
        )  # fmt: skip


def _looked(setup: Setup, trained: MetaTrained) -> FirstLook:
    """On fresh tasks, as many as an evaluation has, at the horizon of the last stage that was entered."""
    from l2o_theory.metatraining.first_look import first_look
    from l2o_theory.metatraining.meta_training import stream

    return first_look(
        setup.rule, setup.family, setup.weights, trained.weights,
        steps=setup.recipe.curriculum.horizons[trained.stage], tasks=setup.recipe.runs,
        generators=(stream(setup.seed, "test", 0), stream(setup.seed, "tuning", 0)),
    )  # fmt: skip


def _kept(setup: Setup, trained: MetaTrained, look: FirstLook, folder: Path, recipe: Path) -> dict[str, Any]:
    """Write weights and summary; the same run gives the same bytes."""
    import json

    from l2o_theory.figures.pieces import versions
    from l2o_theory.figures.table import write_file
    from l2o_theory.optimizers.learned.weights_file import save_weights
    from l2o_theory.store.evidence import finite

    save_weights(folder / _WEIGHTS, setup.rule, trained.weights)
    first = next(iter(trained.weights.values()))
    document = {
        "recipe": recipe.name,
        "optimizer": setup.optimizer,
        "rule": repr(setup.rule),
        "tasks": setup.tasks,
        "seed": setup.seed,
        "device": setup.device,
        "dtype": str(first.dtype).removeprefix("torch."),
        "versions": versions(),
        "updates": trained.updates,
        "stage": trained.stage,
        "skipped": trained.skipped,
        "judgements": [asdict(judgement) for judgement in trained.judgements],
        "first_look": asdict(look),
    }
    plain = dict(finite(document))
    write_file(folder / _SUMMARY, (json.dumps(plain, indent=1) + "\n").encode())
    return plain


def _print(output: Output, setup: Setup, trained: MetaTrained, look: FirstLook, folder: Path) -> None:
    from l2o_theory.metatraining.first_look import CANDIDATES

    kept = next((j for j in reversed(trained.judgements) if j.decision == "keep"), None)
    if kept is None:
        output.say("kept: the last weights; no evaluation said which are better (lower [curriculum] period)")
    else:
        steps = setup.recipe.curriculum.judging_horizon(kept.stage)
        output.say(f"kept: the weights of meta-update {kept.updates}, mean loss after {steps} steps {kept.loss:.4g}")
    if trained.skipped:
        output.insist(f"{trained.skipped} meta-gradients were not finite and moved nothing", "yellow")
    output.say(f"\nmean loss of {look.tasks} fresh tasks after {look.steps} steps", "bold")
    output.say(f"  untrained     {look.untrained:.4g}\n  trained       {look.trained:.4g}")
    if look.adam is not None:
        output.say(
            f"  Adam, tuned   {look.adam:.4g}   (rate {look.adam_rate:.2g}, the best of {CANDIDATES} on other tasks)"
        )
    if look.over_adam is not None:
        output.say(f"  ln of trained over Adam: {look.over_adam}, 95 % over tasks; one training is no comparison")
    kind = type(setup.rule)
    output.say("\nin a training loop of yours", "bold")
    output.say(
        f"  from {kind.__module__} import {kind.__name__}\n"
        "  from l2o_theory.optimizers import TorchOptimizer\n"
        "  from l2o_theory.optimizers.learned import load_weights\n"
        f"  rule = {setup.rule!r}\n"
        f'  weights = load_weights("{folder / _WEIGHTS}", rule, rule.meta())\n'
        "  optimizer = TorchOptimizer(model.parameters(), rule, weights)\n"
    )
    for name, what in (
        ("updates.csv", "loss and gradient norm of every meta-update"),
        ("judgements.csv", "evaluations"),
        (_SUMMARY, "everything above"),
    ):
        output.say(f"  {folder / name}   {what}")
