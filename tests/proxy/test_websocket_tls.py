"""A WebSocket to an upstream that speaks TLS, as the real one does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.frames import frame
from tests.support.read_frames import closing, text
from tests.support.running_proxy import RunningProxy
from tests.support.scripted_websocket import (
    ClientSocket,
    Joined,
    WebSocketUpstream,
    asking_head,
    joined,
)
from tests.support.unreachable import KEY_AND_CERTIFICATE


@pytest.fixture
def socket_upstream(tmp_path: Path) -> Iterator[WebSocketUpstream]:
    """One behind TLS."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_text(KEY_AND_CERTIFICATE)
    with WebSocketUpstream(certificate) as server:
        yield server


@pytest.fixture
def socket_proxy(
    socket_upstream: WebSocketUpstream, trace_dir: Path, tmp_path: Path
) -> Iterator[RunningProxy]:
    """A proxy that trusts it."""
    trusted = tmp_path / "certificate.pem"
    with RunningProxy(socket_upstream.url, trace_dir, upstream_ca_file=trusted) as running:
        yield running


@pytest.fixture
def ends(socket_upstream: WebSocketUpstream, socket_proxy: RunningProxy) -> Iterator[Joined]:
    """Both ends of an open WebSocket."""
    with joined(socket_proxy.port, socket_upstream) as both:
        yield both


def test_frames_pass_through_tls(ends: Joined) -> None:
    """Both ways, large and small, in order."""
    data = frame(b"x" * 300_000)
    ends.upstream.send(data)
    assert ends.client.take_exactly(len(data)) == data
    ends.client.send_frames(text("up"), closing(4001, "done"))
    assert [ends.upstream.read_frame(), ends.upstream.read_frame()] == [
        text("up"),
        closing(4001, "done"),
    ]


def test_first_frames_may_come_with_the_end_through_tls(
    socket_proxy: RunningProxy, socket_upstream: WebSocketUpstream
) -> None:
    """An upstream that answers, says one thing and leaves in one breath is heard."""
    for _ in range(10):
        with ClientSocket(socket_proxy.port) as client:
            client.send(asking_head())
            upstream = socket_upstream.next_socket()
            upstream.accept(and_frames=(text("bye"),))
            upstream.close()
            assert client.read_head().status == 101
            assert client.read_frame() == text("bye")
            client.wait_until_closed()


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_abrupt_end_is_passed_on_through_tls(ends: Joined, way: str, how: str) -> None:
    """No close frame is made up, and nothing stays open."""
    leaving, left = (ends.client, ends.upstream) if way == "up" else (ends.upstream, ends.client)
    leaving.send_frames(text("last"))
    assert left.read_frame() == text("last")
    getattr(leaving, how)()
    assert left.read_rest()[0] == b""


def test_shutdown_is_told_through_tls(socket_proxy: RunningProxy, ends: Joined) -> None:
    """To both sides, as on a plain connection."""
    ends.client.send_frames(text("up"))
    assert ends.upstream.read_frame() == text("up")
    socket_proxy.stop()
    assert ends.client.read_frame() == closing(1001)
    assert ends.upstream.read_frame() == closing(1001)
