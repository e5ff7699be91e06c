"""Train the coordinatewise LSTM optimizer (L2O-DM), save it, and use it in an ordinary training loop.

    python examples/train_a_learned_optimizer.py            # about two minutes on a laptop

It learns on softmax regressions of 4 x 4 digits from fresh starts, 100 steps each, and is then asked for more: digits
that it has not seen, and twice the steps.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn

from l2o_theory.metatraining import Curriculum, MinibatchTasks, Recipe, meta_train
from l2o_theory.optimizers import LSTMRule, TorchOptimizer
from l2o_theory.optimizers.learned import load_weights, save_weights
from l2o_theory.problems import MLP, Classification, Dataset, load_digits


def train(data: Dataset, updates: int, path: Path) -> None:
    """Meta-train and save."""
    rule = LSTMRule()
    family = MinibatchTasks(Classification(MLP((16, 10), std=0.01), data), size=64)
    start = rule.meta(torch.Generator().manual_seed(0), dtype=torch.float32)
    recipe = Recipe(Curriculum((100,), period=10), updates=updates, tasks=4, runs=8)

    def progress(done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f"  {done} of {total} meta-updates")

    trained = meta_train(rule, family, start, recipe, progress=progress)
    save_weights(path, rule, trained.weights)


def learned(model: nn.Module, path: Path) -> torch.optim.Optimizer:
    """The trained optimizer, ready for any loop."""
    rule = LSTMRule()
    return TorchOptimizer(model.parameters(), rule, load_weights(path, rule, rule.meta()))


def use(data: Dataset, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    """A plain loop; the loss over all of `data` at the end."""
    torch.manual_seed(1)
    features = data.features.flatten(1)
    for _ in range(steps):
        rows = torch.randint(len(data), (64,))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features[rows]), data.labels[rows])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(features), data.labels))


def main(updates: int = 600, steps: int = 200) -> dict[str, float]:
    """The final loss on held-out digits with the learned optimizer, and with Adam at two rates."""
    seen, held_out = load_digits(pool=2, dtype=torch.float32).split(1000, torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "l2o_dm.safetensors"
        print("training L2O-DM:")
        train(seen, updates, path)
        losses = {}
        for name, rate in (("learned", None), ("Adam, lr 0.01", 0.01), ("Adam, lr 0.1", 0.1)):
            torch.manual_seed(1)
            model = nn.Linear(16, 10)
            optimizer = learned(model, path) if rate is None else torch.optim.Adam(model.parameters(), lr=rate)
            losses[name] = use(held_out, model, optimizer, steps)
    for name, loss in losses.items():
        print(f"{name:<14} loss {loss:.4f} after {steps} steps")
    return losses


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
