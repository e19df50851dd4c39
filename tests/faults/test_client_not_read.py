"""A client that leaves while nothing is read from it: nobody would tell, so it is looked after."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy import downstream
from proxy.downstream import DownstreamProtocol, DownstreamServer
from proxy.upstream_protocol import UpstreamProtocol
from tests.support.differential import call
from tests.support.events import ev_created, ev_text_delta, sse
from tests.support.raw_bundle import only_terminal
from tests.support.raw_http import BodyReader, RawConnection
from tests.support.reduced import only, only_call, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S, Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import wait_until_read
from tests.support.uploading import Uploading
from tests.support.watched import watch

PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))
PIPELINED = 40
"""More requests than aiohttp takes before the first is answered (32); then it reads no more."""

LEAVES: dict[str, Callable[[RawConnection], None]] = {
    "FIN": RawConnection.close,
    "RST": RawConnection.abort,
    "half-close": RawConnection.finish_sending,
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "LOOK_SECONDS", 0.01)


@pytest.mark.parametrize("how", LEAVES)
def test_client_that_leaves_behind_a_full_pipeline(
    upstream: ScriptedUpstream, proxy: RunningProxy, how: str
) -> None:
    """Upstream is let go, and the open call is cancelled by the client, not by the shutdown."""
    upstream.enqueue(stream_reply(PART, Gate()))
    with RawConnection(proxy.port) as connection:
        connection.send(call() * PIPELINED)
        BodyReader(connection, connection.read_head()).read_until(PART)
        wait_until_read(proxy.port)
        LEAVES[how](connection)
        upstream.request(0).wait_until_closed_by_peer()
    left = only_call(state_after(proxy))
    assert left["execution"]["status"] == "cancelled"
    assert left["proxy"]["outcome"]["transport"] == "client_closed"
    assert len(upstream.requests) == 1


def test_client_that_resets_an_upload_that_upstream_does_not_take(
    upstream: ScriptedUpstream, trace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both connections end, also the one on which bytes wait that nobody will ever take."""
    paused = watch(monkeypatch, DownstreamProtocol, "pause_reading")
    let_go = watch(monkeypatch, UpstreamProtocol, "connection_lost")
    upstream.enqueue([Gate()])
    with RunningProxy(upstream.url, trace_dir, shutdown_grace=0) as proxy:
        with Uploading(proxy.port):
            assert paused.wait(GUARD_S)
            wait_until_read(proxy.port)
        assert let_go.wait(GUARD_S)
        proxy.stop()
        outcome = only_terminal(only(proxy.bundles()))["proxy"]["outcome"]
    assert outcome["transport"] == "client_closed"


def test_client_that_is_there_is_waited_for(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """However often it is looked after: what it sent is answered in its turn."""
    gate = Gate()
    upstream.enqueue(stream_reply(PART, gate))
    for _ in range(PIPELINED - 1):
        upstream.enqueue(stream_reply(PART))
    with RawConnection(proxy.port) as connection:
        connection.send(call() * PIPELINED)
        wait_until_read(proxy.port)
        gate.open()
        answers = [connection.read_exchange().body for _ in range(PIPELINED)]
    assert answers == [PART] * PIPELINED


@pytest.mark.parametrize("is_socket", [True, False], ids=["WebSocket", "HTTP"])
def test_websocket_is_left_to_its_last_frames(*, is_socket: bool) -> None:
    """What its client said before it left is passed on, though upstream takes it slowly."""

    async def is_closed() -> bool:
        server = DownstreamServer(lambda _: None, connections_max=0, protocol_settings={})
        loop = asyncio.get_running_loop()
        ours, clients = socket.socketpair()
        with clients:
            transport, protocol = await loop.connect_accepted_socket(server, ours)
            assert isinstance(protocol, DownstreamProtocol)
            if is_socket:
                protocol.switch_to(SimpleNamespace(feed_data=None, feed_eof=lambda: None))
            protocol._pause_transport_reading()
            clients.shutdown(socket.SHUT_WR)
            protocol._look()
            found = transport.is_closing()
            transport.abort()
            await server.shutdown()
            return found

    assert asyncio.run(is_closed()) is not is_socket
