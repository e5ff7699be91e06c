"""LODO in the Trainer of Hugging Face transformers: hand it over as optimizers=(optimizer, scheduler).

    python examples/lodo_hugging_face.py

The Trainer then makes neither of its own. Its checkpoints hold LODO's state, so resume_from_checkpoint goes on exactly.
Without transformers (pip install transformers accelerate) the loop at the bottom does what the Trainer does: clip,
step the optimizer, step the scheduler, zero the gradients.

The Trainer's own optimizer puts biases and norms into a group without weight decay; LODO takes such groups too. They
may differ in lr and weight_decay; alpha0, meta_lr and beta belong to the one matrix that all parameters share.
"""

import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset

from l2o_theory.optimizers import LODO

try:
    import transformers
except ImportError:
    transformers = None


class Examples(Dataset[dict[str, Tensor]]):
    """Inputs with labels, as dictionaries."""

    def __init__(self, size: int = 512) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(size, 8, generator=generator)
        self.labels = torch.sin(self.inputs[:, :1]) + self.inputs[:, 1:2] * self.inputs[:, 2:3]

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": self.inputs[index], "labels": self.labels[index]}


class Regression(nn.Module):
    """A model in the Trainer's sense: it returns its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Loss and predictions."""
        predictions = self.network(inputs)
        return {"loss": nn.functional.mse_loss(predictions, labels), "logits": predictions}


def groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay for matrices only."""
    named = list(model.named_parameters())
    return [
        {"params": [p for _, p in named if p.ndim > 1], "weight_decay": 1e-4},
        {"params": [p for _, p in named if p.ndim <= 1], "weight_decay": 0.0},
    ]


def fit(model: nn.Module, examples: Examples, optimizer: LODO, scheduler: LambdaLR, epochs: int) -> None:
    """The Trainer's loop in short."""
    for _ in range(epochs):
        for batch in DataLoader(examples, batch_size=32, shuffle=True):
            model(**batch)["loss"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()


def main(epochs: int = 20) -> tuple[float, float]:
    """The loss on all examples before and after."""
    torch.manual_seed(0)
    model, examples = Regression(), Examples()
    optimizer = LODO(groups(model), alpha0=0.1)
    steps = epochs * len(examples) // 32
    scheduler = LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
    before = model(examples.inputs, examples.labels)["loss"].item()
    if transformers is None:
        print("transformers is not installed: a plain loop does what its Trainer does")
        fit(model, examples, optimizer, scheduler, epochs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            arguments = transformers.TrainingArguments(
                folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=32,
                use_cpu=True,
                report_to=[],
                disable_tqdm=True,
            )
            transformers.Trainer(model, arguments, train_dataset=examples, optimizers=(optimizer, scheduler)).train()
    after = model(examples.inputs, examples.labels)["loss"].item()
    print(f"loss before {before:.4f}, after {after:.4f}")
    return before, after


if __name__ == "__main__":
    main()
