"""Fixtures of a WebSocket through the proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running_proxy import RunningProxy
from tests.support.scripted_websocket import Joined, WebSocketUpstream, joined


@pytest.fixture
def socket_upstream() -> Iterator[WebSocketUpstream]:
    """An upstream whose end of each WebSocket the test plays."""
    with WebSocketUpstream() as server:
        yield server


@pytest.fixture
def socket_proxy(socket_upstream: WebSocketUpstream, trace_dir: Path) -> Iterator[RunningProxy]:
    """The real proxy before it, with default settings, fully tracing."""
    with RunningProxy(socket_upstream.url, trace_dir) as running:
        yield running


@pytest.fixture
def ends(socket_upstream: WebSocketUpstream, socket_proxy: RunningProxy) -> Iterator[Joined]:
    """Both ends of an open WebSocket."""
    with joined(socket_proxy.port, socket_upstream) as both:
        yield both
