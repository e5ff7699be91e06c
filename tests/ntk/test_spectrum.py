"""What a spectrum says where it can be known, and what it refuses to say."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from l2o_theory.errors import InputError
from l2o_theory.ntk.spectrum import DENSE_UP_TO, ntk_spectrum


def kernel(eigenvalues: Any, seed: int = 0) -> torch.Tensor:
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    raw = torch.randn(len(values), len(values), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = torch.linalg.qr(raw)[0]
    return basis @ torch.diag(values) @ basis.T


def test_rank_and_ends() -> None:
    spectrum = ntk_spectrum(kernel([5.0, 2.0, 1e-3, 0, 0]))
    assert spectrum.rank == 3
    assert spectrum.lambda_min == "below resolution"
    assert spectrum.lambda_max == pytest.approx(5, rel=1e-14)
    assert spectrum.largest_stable_rate == pytest.approx(0.4, rel=1e-14)
    assert ntk_spectrum(kernel([5.0, 2.0, 1e-3])).lambda_min == pytest.approx(1e-3, rel=1e-11)  # eps * 5/1e-3


def test_the_sign_of_an_unresolved_eigenvalue_is_not_reported() -> None:
    for tiny in (1e-14, -1e-14):
        assert ntk_spectrum(kernel([1.0, tiny])).lambda_min == "below resolution"
    assert ntk_spectrum(kernel([1.0, 1e-9]), cut=1e-6).rank == 1  # the planted fault would be a fixed cut
    assert ntk_spectrum(kernel([1.0, 1e-9]), cut=1e-10).rank == 2
    assert ntk_spectrum(kernel([1.0, 1e-5]).float()).cut == pytest.approx(2 * 2.0**-23)


def test_exact_eigenvalues() -> None:
    exact = [[Fraction(2), Fraction(1)], [Fraction(1), Fraction(2)]]  # 3 and 1
    spectrum = ntk_spectrum(torch.tensor(np.array(exact, dtype=float)))
    assert (spectrum.lambda_max, spectrum.lambda_min) == pytest.approx((3.0, 1.0), rel=1e-15)


def test_zero_and_one_by_one() -> None:
    zero = ntk_spectrum(torch.zeros(2, 2))
    assert (zero.rank, zero.lambda_max, zero.lambda_min) == (0, 0.0, "below resolution")
    assert zero.largest_stable_rate == float("inf")
    assert ntk_spectrum(torch.ones(1, 1)).rank == 1


def test_operators() -> None:
    small = kernel([4.0, 2.0, 0.0]).numpy()
    assert ntk_spectrum(aslinearoperator(small)).rank == 2
    size = DENSE_UP_TO + 1
    dense = kernel(np.linspace(1.0, 3.0, size))
    found = ntk_spectrum(aslinearoperator(dense.numpy()))
    assert found.rank is None
    assert found.eigenvalues is None
    assert found.lambda_max == pytest.approx(3, rel=1e-10)  # Lanczos to machine precision
    assert found.lambda_min == pytest.approx(1, rel=1e-2)  # its tolerance is 1e-3
    singular = kernel(np.r_[np.zeros(5), np.linspace(1.0, 3.0, size - 5)])
    assert ntk_spectrum(aslinearoperator(singular.numpy()), cut=1e-6).lambda_min == "below resolution"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(2, 3), "square"),
        (torch.zeros(0, 0), "at least one row"),
        (torch.zeros(4), "square"),
        (torch.full((2, 2), torch.nan), "finite"),
        (torch.tensor([[1.0, 2.0], [0.0, 1.0]]), "symmetric"),
    ],
)
def test_bad_kernels(given: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ntk_spectrum(given)


def test_bad_cut() -> None:
    with pytest.raises(InputError, match="cut"):
        ntk_spectrum(torch.eye(2), cut=1.0)
