"""LODO under a learning-rate scheduler: warm-up, then a cosine.

    python examples/lodo_scheduler.py

A scheduler changes param_groups["lr"], which is 1 for LODO and multiplies the step: x <- x - lr G m. The learning of G
follows: its hypergradient is that of the step as taken, with this lr. Tune alpha0 as for a constant lr = 1, then
schedule lr from 1 downwards.
"""

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from l2o_theory.optimizers import LODO


def main(steps: int = 300) -> tuple[list[float], list[float]]:
    """The loss and the lr at each step."""
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    targets = torch.sin(inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3]
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = LODO(model.parameters(), alpha0=0.1)
    warm_up = LinearLR(optimizer, start_factor=0.1, total_iters=20)
    scheduler = SequentialLR(optimizer, [warm_up, CosineAnnealingLR(optimizer, T_max=steps - 20)], milestones=[20])
    losses, rates = [], []
    for step in range(steps):
        batch = torch.randint(512, (64,))
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs[batch]), targets[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        rates.append(scheduler.get_last_lr()[0])
        scheduler.step()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1:3}   lr {rates[-1]:.3f}   loss {losses[-1]:.4f}")
    return losses, rates


if __name__ == "__main__":
    main()
