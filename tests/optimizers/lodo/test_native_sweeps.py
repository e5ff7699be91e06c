"""The compiled sweeps against the tensor operations, and what happens without a compiler."""

from __future__ import annotations

import copy
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from lodo_reference import formula_blocks, formula_permutations
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import LODO, Preconditioner, native

N, STEPS = 6, 12


def can_compile() -> bool:
    try:
        native.library(torch.float64, 4)
    except native.CompilerError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_compile(), reason="no C compiler on this machine")


def trajectory(engine: Any, dtype: torch.dtype, depth: int, size: int, meta: Any, n: int = N) -> tuple[Tensor, Tensor]:
    lines = -(-2 * n // size) * size
    blocks = formula_blocks(depth, lines, size).to(dtype) / 2
    preconditioner = Preconditioner(n, permutations=formula_permutations(depth, lines), blocks=blocks)
    x = Parameter(torch.linspace(-1, 1, n, dtype=dtype))
    optimizer = LODO([x], 0.1, 0.01, 0.4, meta_optimizer=meta, preconditioner=preconditioner, engine=engine)
    for t in range(STEPS):
        x.grad = (1 + torch.arange(n)).to(dtype).reciprocal() * (x.detach() - torch.cos(torch.arange(n) + t).to(dtype))
        optimizer.step()
    return x.detach().clone(), preconditioner.blocks.clone()


@needs_compiler
@pytest.mark.parametrize("meta", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("depth", "size"), [(0, 4), (1, 4), (3, 4), (4, 4), (2, 2), (3, 3), (2, 1), (2, 6), (2, 16)])
def test_both_engines_take_the_same_steps(depth: int, size: int, dtype: torch.dtype, meta: str) -> None:
    found, wanted = (trajectory(engine, dtype, depth, size, meta) for engine in ("native", "tensors"))
    # sums in another order; Adam divides by sqrt(V) + 1e-7 while V is small: rounding is amplified up to 1e4 times
    tolerance = 1e5 * torch.finfo(dtype).eps
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=tolerance if dtype == torch.float64 else 1e-3, atol=tolerance)
    assert torch.isfinite(found[1]).all()


@needs_compiler
def test_both_engines_take_the_same_steps_beyond_the_prefetching_distance() -> None:
    """Places are asked for 17 blocks ahead; here are 150 blocks in a layer."""
    found, wanted = (trajectory(engine, torch.float64, 3, 4, "adam", n=300) for engine in ("native", "tensors"))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


@needs_compiler
def test_without_padding_the_average_of_gradients_is_not_written_to() -> None:
    """nt = n: what is padded with nothing must be a copy, the compiled sweeps work in place."""
    ends = []
    for engine in ("native", "tensors"):
        x = Parameter(torch.linspace(-1, 1, 4, dtype=torch.float64))
        given = {"permutations": formula_permutations(2, 4), "blocks": formula_blocks(2, 4, 2) / 2}
        optimizer = LODO([x], 0.1, 0.01, 0.4, **given, engine=engine)
        for _ in range(4):
            x.grad = torch.arange(4.0, dtype=torch.float64)
            optimizer.step()
        assert torch.allclose(optimizer.momentum, (1 - 0.4**4) * torch.arange(4.0, dtype=torch.float64), rtol=1e-14)
        ends.append(x.detach())
    assert torch.allclose(*ends, rtol=1e-10)


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(REAL)-alpha", "(REAL)alpha"),
        ("d[r] * a_g[c] + d[K + r] * a_m[c]", "d[r] * a_g[c]"),
        ("out[pair + K] = sum_g[c]", "out[pair + K] = sum_m[c]"),
        ("a[c] = in[source[c]]", "a[c] = in[c]"),
        ("quick * (h[e] - f[e])", "quick * h[e]"),
    ],
)
def test_a_planted_fault_of_the_source_is_seen(right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files("l2o_theory.optimizers.lodo").joinpath("sweep.c").read_text()
    assert source.count(right) == 1
    compiled = native.compiled
    monkeypatch.setattr(native, "compiled", lambda text, options: compiled(text.replace(right, wrong), options))
    native.library.cache_clear()
    found = trajectory("native", torch.float64, 3, 4, "adam")
    native.library.cache_clear()
    wanted = trajectory("tensors", torch.float64, 3, 4, "adam")
    assert (found[1] - wanted[1]).abs().max() > 1e-3


@needs_compiler
def test_the_build_is_cached_and_belongs_to_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path / "cache"))
    options = ("-DREAL=float", "-DBITS=uint32_t", "-DROOT=sqrtf", "-DK=2")
    source = files("l2o_theory.optimizers.lodo").joinpath("sweep.c").read_text()
    built = native.compiled(source, options)
    stamp = built.stat().st_mtime_ns
    assert native.compiled(source, options) == built
    assert built.stat().st_mtime_ns == stamp
    assert native.compiled(source + "\n", options) != built
    assert [path.suffix for path in built.parent.iterdir()] == [".so", ".so"]  # no work folder is left behind


@needs_compiler
def test_several_build_at_once_and_all_get_the_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: of makers that move their file without replacing, all but the first stop."""
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path))
    gate, options = threading.Barrier(3), ("-DK=1",)

    def build(source: str) -> Path:
        gate.wait()
        return native.compiled(source, options)

    with ThreadPoolExecutor(3) as pool:
        built = set(pool.map(build, ["int nothing;"] * 3))
        assert len(built) == 1
        assert [*tmp_path.iterdir()] == [*built]
        monkeypatch.setattr(native.os, "replace", os.link)
        makers = [pool.submit(build, "int other;") for _ in range(3)]
        assert sum(isinstance(maker.exception(), FileExistsError) for maker in makers) == 2


@needs_compiler
def test_another_processor_or_compiler_has_a_build_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-march=native in a cache that machines share would stop the older one at an unknown instruction."""
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path))
    first = native.compiled("int nothing;", ())
    monkeypatch.setattr(native, "_processor", lambda: "another")
    second = native.compiled("int nothing;", ())
    monkeypatch.setenv("CC", f"{native._compiler()[0]} -DOTHER")
    third = native.compiled("int nothing;", ())
    assert len({first, second, third}) == 3


def test_without_a_compiler_tensors_do_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    native.library.cache_clear()
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="no C compiler found"):
        trajectory("native", torch.float64, 2, 5, "adam")
    found = trajectory("auto", torch.float64, 2, 5, "adam")
    assert "no C compiler found" in caplog.text
    assert torch.equal(found[0], trajectory("tensors", torch.float64, 2, 5, "adam")[0])


@needs_compiler
@pytest.mark.parametrize(("command", "message"), [("false", "refused"), ("/no/such/compiler", "does not run")])
def test_a_compiler_that_fails_is_quoted(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", command)
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path))
    with pytest.raises(native.CompilerError, match=message):
        native.compiled("int nothing;", ())
    assert not list(tmp_path.iterdir())


@needs_compiler
def test_a_home_that_cannot_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path / "file"))
    assert native.compiled("int nothing;", ()).exists()


@needs_compiler
def test_large_blocks_and_half_precision_are_left_to_tensors() -> None:
    x = Parameter(torch.zeros(3))
    with pytest.raises(InputError, match="block_size=17"):
        LODO([x], depth=1, block_size=17, engine="native")
    LODO([x], depth=1, block_size=17)
    with pytest.raises(InputError, match="engine must be"):
        LODO([x], engine="fast")  # type: ignore[arg-type]


@needs_compiler
def test_the_compiled_engine_survives_a_deep_copy() -> None:
    x = Parameter(torch.ones(3))
    optimizer = LODO([x], engine="native")
    for _ in range(3):
        x.grad = x.detach().clone()
        optimizer.step()
    twin = copy.deepcopy(optimizer)
    other = twin.param_groups[0]["params"][0]
    for parameter, one in ((x, optimizer), (other, twin)):
        parameter.grad = torch.ones(3)
        one.step()
    assert torch.equal(x, other)
    assert other is not x
