"""The table that an earlier, independent run left: ln of the mean loss at four horizons, spread over meta-seeds.

A fused C program in the same setting, 1500 meta-updates, 64 test problems of its own. ln is taken of the mean.
"""

UPDATES = 1500
"""Meta-updates of that run: with another number there is nothing to compare."""

HORIZONS = (100, 200, 500, 1000)

TABLE = {
    "plain": ((-1.68, 0.02), (-1.97, 0.04), (-2.21, 0.07), (-2.30, 0.11)),
    "aug": ((-1.19, 0.07), (-1.81, 0.01), (-2.31, 0.08), (-2.62, 0.12)),
    "cl": ((-1.44, 0.09), (-1.92, 0.04), (-2.37, 0.10), (-2.59, 0.09)),
    "il": ((-0.72, 0.11), (-1.11, 0.11), (-1.41, 0.16), (-1.50, 0.23)),
    "clil": ((-1.30, 0.13), (-1.80, 0.04), (-2.19, 0.07), (-2.43, 0.09)),
}
"""Arm -> (mean, standard deviation) over 4 meta-seeds (aug: 3)."""

ARMS = (
    "aug: longer horizon, cl: curriculum, clsame: cl with all evaluations on the same problems, il: imitation, "
    "clil: curriculum and imitation."
)
"""For captions."""

ADAM = {
    0.01: (0.31, -0.25, -0.98, -1.45),
    0.03: (-0.55, -1.03, -1.58, -1.95),
    0.1: (-1.17, -1.58, -2.03, -2.37),
    0.3: (-1.44, -1.81, -2.21, -2.39),
}
"""Adam at this step size on the same 64 test problems."""
