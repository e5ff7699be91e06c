"""Least squares: train-by-train against train-by-validation; exact risks, limits, sampled tasks and sweeps."""
