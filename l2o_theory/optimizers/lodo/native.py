"""The sweeps compiled from sweep.c by the system's C compiler at first use: one file, kept in the user's cache.

Why this and not torch.compile, numba or a C++ extension: it needs nothing but `cc`, builds in a second instead of a
minute, adds no dependency, and runs the four sweeps of a step in as many calls, which is what small problems need too.
Where there is no compiler, engine.py's tensor operations do the same, more slowly.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import torch

from l2o_theory.errors import L2OTheoryError

LARGEST_BLOCK = 16
"""Blocks beyond this do not fit into registers; tensor operations are the better choice for them."""

BUCKET = 2**15
"""Lines that a layer permutes at a time, rounded down to whole blocks: 128 KiB in float32, within a second-level
cache; more of them would need more than the 16 bits of a place."""

SKEW = 32
"""What lies between two buckets, that they do not all begin in the same set of the cache."""

_REALS = {
    torch.float32: {"REAL": "float", "BITS": "uint32_t", "ROOT": "sqrtf"},
    torch.float64: {"REAL": "double", "BITS": "uint64_t", "ROOT": "sqrt"},
}
# Sums may be reordered; infinities and NaN keep their meaning, which the check of the magnitudes relies on.
_FLAGS = ("-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math")
_TARGETS = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler accepts


class CompilerError(L2OTheoryError):
    """There is no C compiler, or it refused the source."""


def cache_folder() -> Path:
    """Where compiled files are kept: $L2O_THEORY_CACHE, or l2o_theory in $XDG_CACHE_HOME or ~/.cache."""
    named = os.environ.get("L2O_THEORY_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2o_theory"


def _processor() -> str:
    """What -march=native depends on: a cache may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _compiler() -> list[str]:
    named = os.environ.get("CC")
    if named:
        return shlex.split(named)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise CompilerError("no C compiler found (cc, gcc or clang); install one or set CC to it")


def compiled(source: str, options: tuple[str, ...]) -> Path:
    """The shared library of this source, from the cache or built now.

    Raises:
        CompilerError: with the compiler's last words, if it failed.
    """
    compiler = _compiler()
    recipe = "\n".join([source, *options, *_FLAGS, *compiler, _processor()])
    folder = cache_folder()
    target = folder / f"sweep-{hashlib.sha256(recipe.encode()).hexdigest()[:32]}.so"
    if target.exists():
        return target
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = tempfile.mkdtemp(dir=folder)
    except OSError:  # no home, or a read-only one: build anew in every process
        work = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, work, ignore_errors=True)
        target = Path(work) / target.name
    try:
        (Path(work) / "sweep.c").write_text(source)
        built = Path(work) / "built.so"
        for processor in _TARGETS:
            command = [*compiler, *_FLAGS, *processor, *options, str(Path(work) / "sweep.c"), "-o", str(built), "-lm"]
            try:
                run = subprocess.run(command, capture_output=True, text=True, timeout=120)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise CompilerError(f"the C compiler {compiler[0]} does not run: {error}") from error
            if run.returncode == 0:
                os.replace(built, target)  # whole or not at all, whoever else builds it now
                return target
        raise CompilerError(f"{compiler[0]} refused sweep.c: {run.stderr.strip()[-500:]}")
    finally:
        if target.parent != Path(work):
            shutil.rmtree(work, ignore_errors=True)


def bucket_lines(block_size: int) -> int:
    """The lines in a bucket."""
    return max(BUCKET // block_size, 1) * block_size


@functools.cache
def library(dtype: torch.dtype, block_size: int, bucket: torch.dtype = torch.uint8) -> ctypes.CDLL:
    """ascend, descend and learn of sweep.c for this number type, block size and type of bucket numbers.

    Raises:
        CompilerError: if it cannot be had; the message says why.
    """
    if dtype not in _REALS or block_size > LARGEST_BLOCK:
        raise CompilerError(f"no compiled sweep for {dtype} and block_size={block_size}")
    names = {
        **_REALS[dtype],
        "K": block_size,
        "BUCKET_LINES": bucket_lines(block_size),
        "SKEW": SKEW,
        "BUCKET": {torch.uint8: "uint8_t", torch.int32: "int32_t"}[bucket],
    }
    options = tuple(f"-D{name}={value}" for name, value in names.items())
    source = files("l2o_theory.optimizers.lodo").joinpath("sweep.c").read_text()
    try:
        loaded = ctypes.CDLL(str(compiled(source, options)))
    except OSError as error:
        raise CompilerError(f"the compiled sweep cannot be loaded: {error}") from error
    array, count, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    loaded.ascend.argtypes = [array] * 8 + [count] * 3
    loaded.descend.argtypes = [array] * 7 + [count] * 3
    loaded.learn.argtypes = [array] * 10 + [real] * 5 + [count] * 3
    for function in (loaded.ascend, loaded.descend, loaded.learn):
        function.restype = None
    return loaded
