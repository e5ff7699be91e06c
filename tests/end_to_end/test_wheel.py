"""The wheel works far from the checkout: claims and experiments travel with it, and a claim is checked there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ("proofs_checks", "experiments")
QUICK_CLAIM = "step_size/theorem3/upper_bound"


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds the wheel and nothing else; the libraries come from the tests' environment.

    They come through PYTHONPATH, where `.pth` files are not read: an editable install of the checkout stays invisible.
    """

    home: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        cwd = self.home / "elsewhere"
        cwd.mkdir(exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "OMP_NUM_THREADS": "1"}
        program = str(self.home / "bin" / command[0])
        return subprocess.run([program, *command[1:]], cwd=cwd, env=environment, capture_output=True, text=True)

    def location_of(self, expression: str, module: str) -> Path:
        found = self.run("python", "-c", f"import {module} as module; print(module.{expression})")
        assert found.returncode == 0, found.stderr
        return Path(found.stdout.strip()).resolve()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    done = subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Installed(home)


@pytest.fixture
def without_plugins(installed: Installed) -> Iterator[Installed]:
    """The same installation with the plug-in folders taken out, as a wheel built wrongly would be."""
    plugins = installed.location_of("__file__", "l2o_theory").parent / "_plugins"
    hidden = plugins.rename(installed.home / "taken_out")
    yield installed
    hidden.rename(plugins)


@pytest.mark.parametrize("kind", PLUGINS)
def test_wheel_holds_every_plugin_file(wheel: Path, kind: str) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / kind).rglob("*") if path.suffix in (".py", ".toml")]
    assert files
    assert not {f"l2o_theory/_plugins/{path.relative_to(ROOT).as_posix()}" for path in files} - inside


def test_wheel_holds_the_package_and_no_debris(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    assert "l2o_theory/py.typed" in inside
    assert "l2o_theory/optimizers/lodo/sweep.c" in inside  # compiled where it is used
    tops = {name.partition("/")[0] for name in inside}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"l2o_theory"}
    assert not [name for name in inside if "__pycache__" in name or name.endswith(".pyc")]


def test_installation_does_not_see_the_checkout(installed: Installed) -> None:
    assert installed.home in installed.location_of("__file__", "l2o_theory").parents
    for kind in PLUGINS:
        folder = installed.location_of(f"plugin_folder({kind!r})", "l2o_theory.claims.discovery")
        assert installed.home in folder.parents
        assert folder.parts[-3:] == ("l2o_theory", "_plugins", kind)


def test_installed_command_lists_the_claims_of_the_wheel(installed: Installed) -> None:
    listed = installed.run("l2o-theory", "list")
    assert listed.returncode == 0, listed.stderr
    assert QUICK_CLAIM in listed.stdout


def test_installed_command_checks_a_claim(installed: Installed) -> None:
    checked = installed.run("l2o-theory", "check", QUICK_CLAIM, "--json", "--jobs", "1")
    assert checked.returncode == 0, checked.stderr
    (verdict,) = json.loads(checked.stdout)
    assert (verdict["claim"], verdict["status"]) == (QUICK_CLAIM, "PROVED")


def test_module_is_a_door_too(installed: Installed) -> None:
    listed = installed.run("python", "-m", "l2o_theory.cli.main", "list")
    assert listed.returncode == 0, listed.stderr
    assert QUICK_CLAIM in listed.stdout


def test_planted_wheel_without_claims_says_so(without_plugins: Installed) -> None:
    listed = without_plugins.run("l2o-theory", "list")
    assert listed.returncode == 2
    assert "proofs_checks is missing" in listed.stderr
    assert "Traceback" not in listed.stderr
