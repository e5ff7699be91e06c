"""LODO in PyTorch Lightning: configure_optimizers returns it, nothing else changes.

    python examples/lodo_lightning.py

Without Lightning (pip install lightning) the same module runs in the loop at the bottom, which calls it as Lightning's
automatic optimization does: the whole of training_step and backward inside the closure given to step.
"""

import logging
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from l2o_theory.optimizers import LODO

try:
    import lightning

    Module: Any = lightning.LightningModule
except ImportError:
    lightning, Module = None, nn.Module


class Regression(Module):  # type: ignore[misc]
    """A small network with its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
        self.losses: list[float] = []

    def training_step(self, batch: list[Tensor], batch_index: int) -> Tensor:
        """The loss of a batch."""
        x, y = batch
        loss = nn.functional.mse_loss(self.network(x), y)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> LODO:
        """The one line."""
        return LODO(self.parameters(), alpha0=0.1)


def fit(module: Regression, loader: DataLoader[Any], epochs: int) -> None:
    """Lightning's automatic optimization in short."""
    optimizer = module.configure_optimizers()
    for _ in range(epochs):
        for index, batch in enumerate(loader):

            def closure(batch: list[Tensor] = batch, index: int = index) -> Tensor:
                loss = module.training_step(batch, index)
                optimizer.zero_grad()
                loss.backward()
                return loss

            optimizer.step(closure)


def main(epochs: int = 20) -> list[float]:
    """The loss of each batch."""
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    targets = torch.sin(inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True)
    module = Regression()
    if lightning is None:
        print("Lightning is not installed: a plain loop calls the module as Lightning would")
        fit(module, loader, epochs)
    else:
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its hints about worker processes and logging intervals
            lightning.Trainer(max_epochs=epochs, accelerator="cpu", enable_model_summary=False, **quiet).fit(
                module, loader
            )
    print(
        f"loss of the first epoch {sum(module.losses[:16]) / 16:.4f}, of the last {sum(module.losses[-16:]) / 16:.4f}"
    )
    return module.losses


if __name__ == "__main__":
    main()
