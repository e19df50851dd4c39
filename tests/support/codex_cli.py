"""Finds the real `codex` command, whose reducer is the reference for ours."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]

REDUCE_TIMEOUT_S = 30


def find_codex() -> Path | None:
    """The `codex` executable: by TAILRACE_TEST_CODEX, PATH or ./node_modules/.bin; else None."""
    named = os.environ.get("TAILRACE_TEST_CODEX")
    if named:
        return Path(named)
    on_path = shutil.which("codex")
    if on_path is not None:
        return Path(on_path)
    local = REPO_ROOT / "node_modules" / ".bin" / "codex"
    return local if local.exists() else None


def require_codex() -> Path:
    """The `codex` executable; without one the test is skipped, or fails where CI is set."""
    codex = find_codex()
    if codex is not None and codex.exists():
        return codex
    reason = "no codex command (TAILRACE_TEST_CODEX, PATH, node_modules/.bin)"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI must have it")
    pytest.skip(reason)


@cache
def native_codex(codex: Path) -> Path:
    """The program that npm's `codex` starts, which spares Node's start; else `codex` itself."""
    package = codex.resolve().parent.parent
    found = sorted(package.parent.glob(f"{package.name}-*/vendor/*/bin/codex"))
    return found[0] if len(found) == 1 else codex


def codex_reduces(codex: Path, bundle: Path, output: Path) -> dict[str, object] | str:
    """What `codex debug trace-reduce` makes of a bundle: the state, or why it refuses."""
    done = subprocess.run(
        [native_codex(codex), "debug", "trace-reduce", bundle, "-o", output],
        capture_output=True,
        text=True,
        timeout=REDUCE_TIMEOUT_S,
        check=False,
        env={**os.environ, "CODEX_HOME": str(output.parent), "RUST_BACKTRACE": "0"},
    )
    if done.returncode != 0:
        return done.stderr.strip() or f"exit status {done.returncode}"
    state: dict[str, object] = json.loads(output.read_bytes())
    return state
