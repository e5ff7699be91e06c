"""An ordinary training loop, switched to LODO by one line (and its import).

    python examples/lodo_plain_loop.py

LODO has one number to tune first: alpha0, the step size at the start, when G = alpha0 I. Here it takes the place of lr.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from l2o_theory.optimizers import LODO


def main(epochs: int = 20) -> list[float]:
    """The mean loss of each epoch."""
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    targets = torch.sin(inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    # optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    optimizer = LODO(model.parameters(), alpha0=0.1)
    means = []
    for epoch in range(epochs):
        total = 0.0
        for x, y in DataLoader(TensorDataset(inputs, targets), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() / 16
        means.append(total)
        print(f"epoch {epoch + 1:2}   loss {total:.4f}")
    return means


if __name__ == "__main__":
    main()
