"""Training of update rules: loops, what they record, and how they continue after an interruption."""
