"""MNIST and CIFAR-10 from a folder of the user's, in their binary formats; nothing is downloaded, nothing unpickled."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.dataset import Dataset

_MNIST = {True: "train", False: "t10k"}
_CIFAR = {True: [f"data_batch_{number}.bin" for number in range(1, 6)], False: ["test_batch.bin"]}
_RECORD = 1 + 3 * 32 * 32  # label, then red, green and blue planes


def load_mnist(folder: Path | str, *, train: bool = True, dtype: torch.dtype = torch.float32) -> Dataset:
    """MNIST from its idx files, plain or .gz; pixels in [0, 1], shape (n, 1, 28, 28).

    Args:
        folder: holds train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-... for the test set.
        train: the training set, else the test set.
        dtype: of the pixels.

    Raises:
        InputError: a file is missing (the message names all that are), or is not what its name says.
    """
    stems = [f"{_MNIST[train]}-images-idx3-ubyte", f"{_MNIST[train]}-labels-idx1-ubyte"]
    paths = _present(Path(folder), [(stem, f"{stem}.gz") for stem in stems], "MNIST")
    images, labels = _idx(paths[0], 3), _idx(paths[1], 1)
    if len(images) != len(labels):
        raise InputError(f"{folder}: {len(images)} images but {len(labels)} labels; the files do not belong together")
    return Dataset(images.to(dtype).unsqueeze(1) / 255, labels.to(torch.int64), 10)


def load_cifar10(folder: Path | str, *, train: bool = True, dtype: torch.dtype = torch.float32) -> Dataset:
    """CIFAR-10 from its binary version; pixels in [0, 1], shape (n, 3, 32, 32).

    Args:
        folder: holds data_batch_1.bin to data_batch_5.bin, or test_batch.bin for the test set.
        train: the training set, else the test set.
        dtype: of the pixels.

    Raises:
        InputError: a file is missing (the message names all that are), or is no sequence of records of 3073 bytes.
    """
    tables = []
    for path in _present(Path(folder), [(name,) for name in _CIFAR[train]], "the binary version of CIFAR-10"):
        content = path.read_bytes()
        if not content or len(content) % _RECORD:
            raise InputError(f"{path}: {len(content)} bytes are no multiple of {_RECORD}; the file is damaged")
        tables.append(torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(-1, _RECORD))
    table = torch.cat(tables)
    return Dataset(table[:, 1:].reshape(-1, 3, 32, 32).to(dtype) / 255, table[:, 0].to(torch.int64), 10)


def _present(folder: Path, wanted: list[tuple[str, ...]], what: str) -> list[Path]:
    """For each tuple of alternatives the one that is there."""
    found = [next((folder / name for name in names if (folder / name).is_file()), None) for names in wanted]
    missing = [" or ".join(names) for names, path in zip(wanted, found, strict=True) if path is None]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)}; give the folder that holds {what}")
    return [path for path in found if path is not None]


def _idx(path: Path, ndim: int) -> Tensor:
    """An array of bytes in the idx format: two zeros, the type 8, the number of axes, the lengths, the bytes."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise InputError(f"cannot read {path}: {error}; the file is damaged") from None
    head = 4 + 4 * ndim
    if len(content) < head or content[:4] != bytes((0, 0, 8, ndim)):
        raise InputError(f"{path} is no idx file of bytes with {ndim} axes; the file is damaged or another one")
    shape = struct.unpack(f">{ndim}I", content[4:head])
    values = torch.frombuffer(bytearray(content[head:]), dtype=torch.uint8) if len(content) > head else torch.empty(0)
    if values.numel() != torch.Size(shape).numel():
        raise InputError(f"{path}: its head promises shape {shape}, it holds {values.numel()} bytes; it is cut short")
    return values.reshape(shape)
