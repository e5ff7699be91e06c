"""The compiled sweeps against the tensor operations, and what happens without a compiler."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
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
from l2o_theory.optimizers.lodo.layers import ascend, descending, padded
from l2o_theory.optimizers.lodo.native_engine import NativeEngine
from l2o_theory.optimizers.lodo.routes import Routes, number_type

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


@pytest.fixture
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Eight lines in a bucket, or one block: a small problem has many."""
    monkeypatch.setattr(native, "BUCKET", 8)
    native.library.cache_clear()
    yield
    native.library.cache_clear()


@needs_compiler
@pytest.mark.usefixtures("small_buckets")
@pytest.mark.parametrize("meta", ["adam", "sgd"])
@pytest.mark.parametrize(("depth", "size", "n"), [(1, 4, 30), (2, 3, 31), (3, 4, 300), (4, 4, 29), (2, 16, 50)])
def test_both_engines_take_the_same_steps_with_many_buckets(depth: int, size: int, n: int, meta: str) -> None:
    found, wanted = (trajectory(engine, torch.float64, depth, size, meta, n) for engine in ("native", "tensors"))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)  # rounding, amplified by Adam where V is small


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
@pytest.mark.usefixtures("small_buckets")
def test_more_than_256_buckets_are_numbered_in_32_bits() -> None:
    lines = 2 * 1100
    assert number_type(lines, native.bucket_lines(4)) == torch.int32
    found, wanted = (trajectory(engine, torch.float64, 2, 4, "sgd", lines // 2) for engine in ("native", "tensors"))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)  # no Adam: plain rounding


@needs_compiler
@pytest.mark.usefixtures("small_buckets")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(REAL)-alpha", "(REAL)alpha"),
        ("d_m[r] * a_g[c] + d_g[r] * a_m[c]", "d_m[r] * a_g[c]"),
        ("out_g[place[c]] = sum_g[c]", "out_g[place[c]] = sum_m[c]"),
        ("a[c] = in[place[c]]", "a[c] = in[c]"),
        ("quick * (h[e] - f[e])", "quick * h[e]"),
        ("cursor[q] = q * STRIDE", "cursor[q] = 0"),
        ("to = cursor[bucket[r]]++", "to = cursor[bucket[r]]"),
        ("begin += BUCKET_BLOCKS, in += STRIDE", "begin += BUCKET_BLOCKS"),
        ("begin += BUCKET_BLOCKS, out += STRIDE", "begin += BUCKET_BLOCKS"),
        ("d[r] = in[at]", "d[r] = in[b * K + r]"),
        ("d_m[r] = in_m[at]", "d_m[r] = in_m[b * K + r]"),
        ("a_m[c] = out_m[place[c]]", "a_m[c] = out_m[c]"),
        ("lines[i] = end[cursor[last[i]]++]", "lines[i] = end[i]"),
    ],
)
def test_a_planted_fault_of_the_source_is_seen(right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files("l2o_theory.optimizers.lodo").joinpath("sweep.c").read_text()
    assert source.count(right) == 1
    compiled = native.compiled
    monkeypatch.setattr(native, "compiled", lambda text, options: compiled(text.replace(right, wrong), options))
    native.library.cache_clear()
    wanted = trajectory("tensors", torch.float64, 3, 4, "adam", n=30)
    try:
        found = trajectory("native", torch.float64, 3, 4, "adam", n=30)
    except InputError:  # a wrong place may hold anything, also what overflows
        pass
    else:
        assert not (found[1] - wanted[1]).abs().max() < 1e-3


def magnitudes(fault: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """What one sweep says of its largest magnitudes (lines up, lines down, entries of the blocks), and the truth."""
    compiled = native.compiled
    monkeypatch.setattr(native, "compiled", lambda text, options: compiled(text.replace(*fault), options))
    monkeypatch.setattr(native, "BUCKET", 400)  # 100 blocks, hence tiles of 64 and 36; two buckets
    native.library.cache_clear()
    torch.manual_seed(3)
    p, v = Preconditioner(300, 3, 4), torch.randn(300, dtype=torch.float64)
    p.blocks[:, 120, 1, 2] = torch.tensor([-7.0, 8.0, -9.0])
    engine = NativeEngine(p)
    engine.move(v)
    native.library.cache_clear()
    inputs, top = ascend(p.blocks, p.indices, padded(v, p.lines))
    down = [lines for _, lines, _ in descending(p.blocks, p.indices, top)]
    wanted = [torch.stack(rows).abs().amax(1) for rows in (inputs, down)]
    return torch.stack([*engine._largest[:2], engine._entries]), torch.stack([*wanted, p.blocks.abs().amax((1, 2, 3))])


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong", "seen"),
    [
        ("", "", False),
        ("(b - begin) % TILE == 0", "b == 0", True),
        ("most = larger(most, largest_of(in,", "most = (largest_of(in,", True),
        ("most = larger(most, largest_of(out,", "most = (largest_of(out,", True),
    ],
)
def test_the_largest_magnitudes_are_found(right: str, wrong: str, seen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found, wanted = magnitudes((right, wrong), monkeypatch)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=0) != seen  # sums in another order


@needs_compiler
@pytest.mark.parametrize("engine", ["native", "tensors"])
def test_where_the_bound_is_too_coarse_the_sweep_decides(engine: Any) -> None:
    """Forty identities: nothing grows, while the bound 4^39 |top| is beyond what float32 can square."""
    p = Preconditioner(8, 40, 4, dtype=torch.float32)
    p.blocks = torch.eye(4).expand_as(p.blocks)
    x = Parameter(torch.zeros(8))
    optimizer = LODO([x], 0.1, 0.01, 0.5, preconditioner=p, engine=engine, nonfinite="skip")
    for size, skipped in ((1.0, 0), (1.0, 0), (1e20, 1), (1.0, 1)):
        before = p.blocks.clone()
        x.grad = torch.full((8,), size)
        optimizer.step()
        assert optimizer.skipped == skipped
        assert torch.equal(before, p.blocks) == (size > 1 or optimizer.momentum.max() <= 0.5)


@pytest.mark.parametrize(("lines", "width"), [(12, 4), (13, 5), (700, 2), (8, 100)])
def test_routes_are_the_permutations_again_and_follow_their_definition(lines: int, width: int) -> None:
    rows = torch.stack([torch.randperm(lines, generator=torch.Generator().manual_seed(s)) for s in range(3)]).int()
    routes = Routes(rows, width)
    assert torch.equal(routes.indices(), rows)
    assert not torch.equal(Routes(rows.flip(0), width).indices(), rows)
    for row, places, buckets in zip(rows.tolist(), routes.places.tolist(), routes.buckets.tolist(), strict=True):
        for j, i in enumerate(row):
            assert buckets[i] == j // width
            assert places[j] == sum(buckets[other] == j // width for other in range(i))


@needs_compiler
def test_permutations_are_kept_through_the_change_of_their_form() -> None:
    p = Preconditioner(20, 2, 4)
    p.blocks = torch.randn(p.blocks.shape)
    before = p.permutations
    optimizer = LODO([Parameter(torch.zeros(20, dtype=torch.float64))], preconditioner=p, engine="native")
    optimizer.param_groups[0]["params"][0].grad = torch.ones(20, dtype=torch.float64)
    optimizer.step()
    assert torch.equal(p.permutations, before)
    p.permutations = before.flip(0)
    assert torch.equal(p.permutations, before.flip(0))
    v = torch.linspace(-1, 1, 20, dtype=torch.float64)
    assert torch.allclose(NativeEngine(p).move(v), p.apply(v), rtol=1e-12, atol=1e-14)  # the new ones are followed
    assert not torch.allclose(p.apply(v), Preconditioner(20, permutations=before, blocks=p.blocks).apply(v))


@needs_compiler
def test_the_build_is_cached_and_belongs_to_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2O_THEORY_CACHE", str(tmp_path / "cache"))
    options = ("-DREAL=float", "-DBITS=uint32_t", "-DROOT=sqrtf", "-DK=2")
    options += ("-DBUCKET=uint8_t", "-DBUCKET_LINES=8", "-DSKEW=0")
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
