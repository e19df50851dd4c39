"""What a user installs: the wheel, in an environment that has no checkout near it."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("proxy", "reducer", "tracing", "viewer")

# Building and installing take a few seconds, more on a busy machine.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A virtual environment that the wheel was installed into."""

    wheel: Path
    bin: Path
    site_packages: Path
    outside: Path

    def run(self, command: str, *args: str) -> str:
        """What a command of the environment printed, run from outside the checkout."""
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return _run([self.bin / command, *args], cwd=self.outside, env=env)


def _run(command: Sequence[Path | str], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=env,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]} failed ({done.returncode}):\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in a fresh environment; its dependencies are those that the tests run with."""
    work = tmp_path_factory.mktemp("packaging")
    pip: list[Path | str] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build: list[Path | str] = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    _run([*pip, *build, "--wheel-dir", work, REPO_ROOT], cwd=work)
    (wheel,) = work.glob("*.whl")

    venv = work / "venv"
    _run([sys.executable, "-m", "venv", "--without-pip", venv], cwd=work)
    install: list[Path | str] = [
        "--python",
        venv / "bin" / "python",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    _run([*pip, *install, wheel], cwd=work)
    (site_packages,) = venv.glob("lib/*/site-packages")
    # Only after the install, and behind it: ours is not taken for the one of the tests.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(
        wheel=wheel,
        bin=venv / "bin",
        site_packages=site_packages,
        outside=tmp_path_factory.mktemp("x"),
    )


def test_wheel_holds_the_packages_and_nothing_else(installed: Installed) -> None:
    """Every module of the four packages and the entry module; no test, no benchmark."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {"tailrace.py"} | {
        str(path.relative_to(REPO_ROOT))
        for package in PACKAGES
        for path in (REPO_ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == expected


def test_wheel_carries_its_licence(installed: Installed) -> None:
    """Apache-2.0 asks that a copy of it goes with the code."""
    with zipfile.ZipFile(installed.wheel) as wheel:
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_installed_command_tells_its_version(installed: Installed) -> None:
    """`tailrace --version` works away from the checkout, and says the project's version."""
    assert installed.run("tailrace", "--version").split() == ["tailrace", PROJECT["version"]]


def test_installed_packages_are_the_wheels_own(installed: Installed) -> None:
    """The commands run the installed code, with no way back to the checkout."""
    where = (
        "import importlib, sys; print(*(importlib.import_module(m).__file__ for m in sys.argv[1:]))"
    )
    found = installed.run("python", "-c", where, "tailrace", *PACKAGES).split()
    assert [Path(file).is_relative_to(installed.site_packages) for file in found] == [True] * 5


def test_every_dependency_has_its_reason() -> None:
    """The page on dependencies has one row for each runtime dependency, and no other."""
    page = (REPO_ROOT / "docs" / "dependencies.md").read_text()
    explained = re.findall(r"^\| `([a-z0-9-]+)` \|", page, flags=re.MULTILINE)
    required = [re.split(r"[<>=~!\[; ]", wanted)[0] for wanted in PROJECT["dependencies"]]
    assert explained == required
