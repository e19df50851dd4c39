"""What the tests of reading commands begin with."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .written_traces import write_own_bundle


@pytest.fixture
def in_one_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Settings come from nowhere but the command line; times are told as in Greenwich."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("TAILRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A trace directory with one bundle of ours."""
    write_own_bundle(tmp_path / "traces")
    return tmp_path / "traces"
