"""Fixtures: they only assemble; what they assemble lives in `support`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .support.scripted_upstream import ScriptedUpstream

if TYPE_CHECKING:
    from .support.running_proxy import RunningProxy


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A scripted upstream; the test fails if a script stays unused or a request has none."""
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture
def trace_dir(tmp_path: Path) -> Path:
    """Where the test's proxy writes its bundles."""
    return tmp_path / "traces"


@pytest.fixture
def proxy(upstream: ScriptedUpstream, trace_dir: Path) -> "Iterator[RunningProxy]":
    """The real proxy before the scripted upstream, with default settings, fully tracing."""
    # Here, so that tests of what needs no proxy load none.
    from .support.running_proxy import RunningProxy

    with RunningProxy(f"{upstream.url}/v1", trace_dir) as running:
        yield running
