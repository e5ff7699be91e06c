"""The exact means in the claims on evolution strategies against the package's moments: no shared code."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from types import ModuleType

import pytest

from l2o_theory.claims.discovery import plugin_folder
from l2o_theory.metagradients.gaussian_moments import evolution_moments

F = Fraction


@pytest.fixture(scope="module")
def claims() -> ModuleType:
    path = plugin_folder("proofs_checks") / "truncation" / "evolution.py"
    spec = importlib.util.spec_from_file_location("truncation_evolution", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("horizon", "window"), [(1, 1), (3, 1), (4, 2), (5, 2), (4, 4)])
def test_means_agree_as_rationals(claims: ModuleType, horizon: int, window: int) -> None:
    sigma = F(1, 3)
    for task, eta in claims.TASKS:
        found = claims._estimates(task, eta, horizon, window, sigma**2)
        assert found["PES"] == evolution_moments(*task, eta, horizon, sigma=sigma, window=window).mean
        if window < horizon:  # planted: the windows' perturbations are not accumulated
            assert found["restarted ES"] != found["PES"]
