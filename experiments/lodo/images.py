"""Images to train on: MNIST from a local folder, or drawn seven-segment digits that need no download."""

from __future__ import annotations

import gzip
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError

_SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
_STROKES = {
    "a": ((0, 0), (1, 0)),
    "b": ((1, 0), (1, 1)),
    "c": ((1, 1), (1, 2)),
    "d": ((0, 2), (1, 2)),
    "e": ((0, 1), (0, 2)),
    "f": ((0, 0), (0, 1)),
    "g": ((0, 1), (1, 1)),
}


@lru_cache(maxsize=4)
def drawn(count: int, size: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey images (count, size, size) of seven-segment digits, shifted, sheared, of random stroke and noise; labels."""
    generator = np.random.default_rng([seed, size])
    labels = generator.integers(10, size=count)
    rows, columns = np.mgrid[:size, :size] / size
    pictures = np.zeros((count, size, size))
    for index, label in enumerate(labels):
        left, top = generator.uniform(0.2, 0.4, 2)
        width, height = generator.uniform(0.22, 0.38), generator.uniform(0.2, 0.28)
        shear, stroke = generator.uniform(-0.25, 0.25), generator.uniform(0.03, 0.06)
        for name in _SEGMENTS[label]:
            (x0, y0), (x1, y1) = _STROKES[name]
            ends = [
                (left + x * width - shear * (y - 1) * height, top * 0.6 + y * height) for x, y in ((x0, y0), (x1, y1))
            ]
            distance = _to_segment(columns, rows, *ends)
            pictures[index] = np.maximum(pictures[index], np.clip(1.5 - distance / stroke, 0, 1))
    noisy = pictures * 230 + generator.normal(0, 8, pictures.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


def _to_segment(
    x: NDArray[np.float64], y: NDArray[np.float64], start: tuple[float, float], end: tuple[float, float]
) -> NDArray[np.float64]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.asarray(np.hypot(x - start[0] - along * dx, y - start[1] - along * dy))


def mnist(folder: Path) -> NDArray[np.uint8]:
    """The training images of MNIST, shape (60000, 28, 28), from train-images-idx3-ubyte or its .gz in `folder`.

    Raises:
        InputError: no such file, or not an idx file of images.
    """
    for name, opened in (("train-images-idx3-ubyte", open), ("train-images-idx3-ubyte.gz", gzip.open)):
        path = folder / name
        if path.is_file():
            with opened(path, "rb") as stream:
                content = stream.read()
            if len(content) < 16:
                raise InputError(f"{path} is too short for an idx file; fetch it again")
            magic, count, rows, columns = struct.unpack(">4i", content[:16])
            if magic != 2051 or len(content) != 16 + count * rows * columns:
                raise InputError(f"{path} is not an idx file of images; fetch it again")
            return np.frombuffer(content, np.uint8, offset=16).reshape(count, rows, columns)
    raise InputError(f"no train-images-idx3-ubyte(.gz) in {folder}; leave images empty to draw digits instead")
