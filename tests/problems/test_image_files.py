"""MNIST and CIFAR-10 from files that the test writes itself."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.problems import load_cifar10, load_mnist

PIXELS = bytes(range(0, 2 * 28 * 28 % 256)) + bytes(2 * 28 * 28 - 2 * 28 * 28 % 256)


def idx(shape: tuple[int, ...], content: bytes) -> bytes:
    return bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + content


@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path: Path, packed: bool) -> None:
    for name, content in (
        ("train-images-idx3-ubyte", idx((2, 28, 28), PIXELS)),
        ("train-labels-idx1-ubyte", idx((2,), bytes((7, 3)))),
    ):
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    data = load_mnist(tmp_path)
    assert data.features.shape == (2, 1, 28, 28)
    assert data.labels.tolist() == [7, 3]
    assert data.features[0, 0, 0, :4].tolist() == pytest.approx([0, 1 / 255, 2 / 255, 3 / 255])
    assert data.features[0, 0, 1, 0].item() == pytest.approx(28 / 255)  # rows, not columns
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte or .*gz, t10k-labels-idx1-ubyte"):
        load_mnist(tmp_path, train=False)


def test_cifar(tmp_path: Path) -> None:
    record = bytes((4,)) + bytes([10] * 1024) + bytes([20] * 1024) + bytes([30] * 1024)
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(record * 2)
    data = load_cifar10(tmp_path, dtype=torch.float64)
    assert data.features.shape == (10, 3, 32, 32)
    assert data.labels.tolist() == [4] * 10
    assert data.features[3].mean((1, 2)).tolist() == pytest.approx([10 / 255, 20 / 255, 30 / 255], rel=1e-12)
    (tmp_path / "data_batch_2.bin").unlink()
    (tmp_path / "data_batch_5.bin").unlink()
    with pytest.raises(InputError, match=r"lacks data_batch_2.bin, data_batch_5.bin; give"):
        load_cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(record[:-1])
    with pytest.raises(InputError, match="no multiple of 3073"):
        load_cifar10(tmp_path, train=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx((2, 28, 28), PIXELS[:-1]), "cut short"),
        (idx((2, 28, 28), PIXELS).replace(b"\0\0\x08", b"\0\0\x0d", 1), "no idx file"),
        (b"", "no idx file"),
        (idx((3, 28, 28), PIXELS + bytes(784)), "3 images but 2 labels"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx((2,), bytes((7, 3))))
    with pytest.raises(InputError, match=message):
        load_mnist(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no archive")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx((2,), bytes((7, 3))))
    with pytest.raises(InputError, match="damaged"):
        load_mnist(tmp_path)
