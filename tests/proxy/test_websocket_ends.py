"""How a WebSocket ends while responses are open on it: by a client that leaves, or a shutdown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.proxy.test_shutdown import NEVER_S, stopping
from tests.support.events import ev_completed, ev_created, ev_text_delta
from tests.support.frames import PING, frame
from tests.support.raw_bundle import event_types, only_terminal
from tests.support.read_frames import closing, text
from tests.support.reduced import calls, only, only_call, reduced, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.scripted_websocket import (
    ClientSocket,
    Joined,
    WebSocketUpstream,
    asking_head,
    joined,
)
from tests.support.stalled_client import StalledConnection, shrink_send_buffers, wait_until_read

CREATE = text('{"type":"response.create","model":"m","input":"Hi"}')
CREATED = text(orjson.dumps(ev_created("resp_1")))
DELTA = text(orjson.dumps(ev_text_delta("Hel")))
COMPLETED = text(orjson.dumps(ev_completed("resp_1")))
GOING_AWAY = closing(1001)


@contextmanager
def socket_through(
    upstream: WebSocketUpstream, trace_dir: Path, **settings: Any
) -> Iterator[tuple[RunningProxy, Joined]]:
    """An open WebSocket through a proxy with these settings."""
    with (
        RunningProxy(upstream.url, trace_dir, **settings) as proxy,
        joined(proxy.port, upstream) as ends,
    ):
        yield proxy, ends


def begin_response(ends: Joined) -> None:
    """Ask for a response, which upstream begins."""
    ends.client.send_frames(CREATE)
    assert ends.upstream.read_frame() == CREATE
    ends.upstream.send_frames(CREATED, DELTA)
    assert [ends.client.read_frame(), ends.client.read_frame()] == [CREATED, DELTA]


def finish_response(ends: Joined) -> None:
    """Let the response that was begun complete."""
    ends.upstream.send_frames(COMPLETED)
    assert ends.client.read_frame() == COMPLETED


def outcome(proxy: RunningProxy) -> tuple[str, str]:
    """The status of the one call, and how its transport ended."""
    call = only_call(state_after(proxy))
    return call["execution"]["status"], call["proxy"]["outcome"]["transport"]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_client_that_leaves_takes_upstream_along(
    socket_proxy: RunningProxy, ends: Joined, how: str
) -> None:
    """At once, though upstream says nothing; the response was cancelled."""
    begin_response(ends)
    getattr(ends.client, how)()
    ends.upstream.wait_until_closed()
    assert outcome(socket_proxy) == ("cancelled", "client_closed")


@pytest.mark.parametrize(("how", "end"), [("close", "eof"), ("abort", "upstream_error")])
def test_upstream_that_leaves_fails_the_response(
    socket_proxy: RunningProxy, ends: Joined, how: str, end: str
) -> None:
    """The trace tells a close from a reset, as the client could."""
    begin_response(ends)
    getattr(ends.upstream, how)()
    ends.client.wait_until_closed()
    assert outcome(socket_proxy) == ("failed", end)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_response_is_drained_for_a_client_that_left(
    socket_upstream: WebSocketUpstream, trace_dir: Path, how: str
) -> None:
    """With `on_disconnect = "drain"` upstream is read to the response's end, then let go."""
    with socket_through(socket_upstream, trace_dir, on_disconnect="drain") as (proxy, ends):
        begin_response(ends)
        finish_response(ends)
        begin_response(ends)
        getattr(ends.client, how)()
        wait_until_read(proxy.port)
        ends.upstream.send_frames(DELTA, COMPLETED)
        ends.upstream.wait_until_closed()
        statuses = [call["execution"]["status"] for call in calls(state_after(proxy))]
        assert statuses == ["completed", "completed"]


def test_drained_socket_may_end_before_its_response(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """The client's leaving came first; nothing waits for what cannot come any more."""
    with socket_through(socket_upstream, trace_dir, on_disconnect="drain") as (proxy, ends):
        begin_response(ends)
        ends.client.close()
        wait_until_read(proxy.port)
        ends.upstream.close()
        assert only_call(state_after(proxy))["execution"]["status"] in {"cancelled", "failed"}


def test_idle_socket_is_not_drained(socket_upstream: WebSocketUpstream, trace_dir: Path) -> None:
    """Nothing is open on it that would be worth its connection."""
    with socket_through(socket_upstream, trace_dir, on_disconnect="drain") as (_, ends):
        begin_response(ends)
        finish_response(ends)
        ends.client.close()
        assert ends.upstream.wait_until_closed() == "fin"


def test_idle_socket_is_told_that_we_go(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """Both sides get a close frame with 1001, after which clients connect anew."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=NEVER_S) as (proxy, ends):
        begin_response(ends)
        finish_response(ends)
        proxy.stop()
        assert (ends.client.read_frame(), ends.client.read_rest()) == (GOING_AWAY, (b"", "fin"))
        assert (ends.upstream.read_frame(), ends.upstream.read_rest()) == (
            GOING_AWAY,
            (b"", "fin"),
        )
        assert only_call(reduced(proxy.bundles()))["execution"]["status"] == "completed"


@pytest.mark.parametrize("way", ["up", "down"])
def test_no_frame_is_put_into_another(
    socket_upstream: WebSocketUpstream, trace_dir: Path, way: str
) -> None:
    """A socket within a frame ends without a word of ours."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=NEVER_S) as (proxy, ends):
        half = frame(b"there?", opcode=PING)[:4]
        pair = (ends.client, ends.upstream) if way == "up" else (ends.upstream, ends.client)
        pair[0].send(half)
        assert pair[1].take_exactly(4) == half
        proxy.stop()
        assert pair[1].read_rest() == (b"", "fin")


def test_open_response_on_a_socket_may_end(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """Both directions go on until it has; then the socket is told."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=NEVER_S) as (proxy, ends):
        begin_response(ends)
        with stopping(proxy):
            ends.client.send_frames(text("still heard"))
            assert ends.upstream.read_frame() == text("still heard")
            finish_response(ends)
            assert ends.client.read_frame() == GOING_AWAY
            assert ends.client.read_rest() == (b"", "fin")
            assert ends.upstream.read_frame() == GOING_AWAY
        bundle = only(proxy.bundles())
        assert event_types(bundle)[-2:] == ["rollout_ended", "recording_completed"]
        assert only_call(reduced([bundle]))["execution"]["status"] == "completed"


@pytest.mark.parametrize(("how", "end"), [("close", "eof"), ("abort", "upstream_error")])
def test_upstream_may_leave_within_the_grace(
    socket_upstream: WebSocketUpstream, trace_dir: Path, how: str, end: str
) -> None:
    """Then it was upstream that ended the response, and not we."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=NEVER_S) as (proxy, ends):
        begin_response(ends)
        with stopping(proxy):
            getattr(ends.upstream, how)()
            ends.client.wait_until_closed()
        assert outcome(proxy) == ("failed", end)


def test_open_response_on_a_socket_beyond_the_grace_is_cancelled(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """Both sides are let go, and the trace says who ended it, with what had arrived."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=0) as (proxy, ends):
        begin_response(ends)
        proxy.stop()
        assert ends.client.wait_until_closed() == "fin"
        assert ends.upstream.wait_until_closed() == "fin"
        terminal = only_terminal(only(proxy.bundles()))
        assert terminal["reason"] == "proxy shut down before the response ended"
        assert terminal["proxy"]["outcome"]["transport"] == "shutdown"
        assert terminal["proxy"]["response_id"] == "resp_1"


def test_untraced_socket_has_the_grace(socket_upstream: WebSocketUpstream, trace_dir: Path) -> None:
    """Nobody knows whether a response is open on it, so none is cut that could have ended."""
    with socket_through(socket_upstream, trace_dir, capture="off", shutdown_grace=NEVER_S) as (
        proxy,
        ends,
    ):
        begin_response(ends)
        with stopping(proxy):
            finish_response(ends)
            ends.client.send_frames(closing(1000))
            assert ends.upstream.read_frame() == closing(1000)
            ends.upstream.close()
            assert ends.client.read_rest() == (b"", "fin")


@pytest.mark.parametrize("capture", ["full", "metadata", "off"])
def test_socket_is_cut_at_the_end_of_the_grace(
    socket_upstream: WebSocketUpstream, trace_dir: Path, capture: str
) -> None:
    """Whatever is traced of it."""
    with socket_through(socket_upstream, trace_dir, capture=capture, shutdown_grace=0) as (
        proxy,
        ends,
    ):
        begin_response(ends)
        proxy.stop()
        assert ends.client.read_rest() == (b"", "fin")
        assert ends.upstream.read_rest() == (b"", "fin")


def test_handshake_under_way_may_be_refused(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """It is an exchange like any other, which may end."""
    with (
        RunningProxy(socket_upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy,
        ClientSocket(proxy.port) as client,
    ):
        client.send(asking_head())
        upstream = socket_upstream.next_socket()
        with stopping(proxy):
            upstream.refuse(429, body=b"later")
            answer = client.read_exchange()
            assert (answer.head.status, answer.body) == (429, b"later")


def test_handshake_under_way_may_be_accepted(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """The socket is told at once that we go."""
    with (
        RunningProxy(socket_upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy,
        ClientSocket(proxy.port) as client,
    ):
        client.send(asking_head())
        upstream = socket_upstream.next_socket()
        with stopping(proxy):
            upstream.accept()
            assert client.read_head().status == 101
            assert client.read_frame() == GOING_AWAY
            assert upstream.read_frame() == GOING_AWAY


def fill(end: Any, proxy: RunningProxy) -> None:
    """Send binary frames until the other side takes no more, and a frame is left half sent."""
    end.socket.setblocking(False)
    data = frame(b"x" * 65536, opcode=2, mask=b"\0\0\0\0" if end.mask else None)
    sent = 1
    while sent:
        sent = 0
        try:
            while True:
                sent += end.socket.send(data)
        except BlockingIOError:
            wait_until_read(proxy.port)


@pytest.mark.parametrize("capture", ["full", "off"])
@pytest.mark.parametrize("way", ["up", "down"])
def test_peer_that_does_not_read_holds_up_no_shutdown(
    socket_upstream: WebSocketUpstream,
    trace_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    capture: str,
) -> None:
    """Neither a client nor an upstream whose end is full keeps us from ending."""
    shrink_send_buffers(monkeypatch)
    with socket_through(socket_upstream, trace_dir, capture=capture, shutdown_grace=0) as (
        proxy,
        ends,
    ):
        begin_response(ends)
        fill(ends.client if way == "up" else ends.upstream, proxy)
        proxy.stop()


@pytest.mark.parametrize("how", ["close", "abort"])
def test_client_that_leaves_unread_takes_upstream_along(
    socket_proxy: RunningProxy,
    socket_upstream: WebSocketUpstream,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """A client that blocked on a full socket and then left is noticed all the same."""
    shrink_send_buffers(monkeypatch)
    stalled = StalledConnection(socket_proxy.port)
    stalled.send(asking_head())
    upstream = socket_upstream.next_socket()
    upstream.accept()
    fill(upstream, socket_proxy)
    getattr(stalled, how)()
    upstream.socket.setblocking(True)
    upstream.socket.settimeout(10)
    assert upstream.wait_until_closed() in {"fin", "rst"}


def test_reset_costs_a_slow_client_nothing(
    socket_proxy: RunningProxy,
    socket_upstream: WebSocketUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came before upstream's reset goes out first, and then the connection ends."""
    shrink_send_buffers(monkeypatch)
    with StalledConnection(socket_proxy.port) as stalled:
        stalled.send(asking_head())
        upstream = socket_upstream.next_socket()
        upstream.accept()
        data = frame(b"x" * 60_000)
        upstream.send(data)
        wait_until_read(socket_proxy.port)
        upstream.abort()
        wait_until_read(socket_proxy.port)
        assert stalled.read_head().status == 101
        assert stalled.take_exactly(len(data)) == data
        assert stalled.wait_until_closed() == "fin"


def test_peers_that_never_close_hold_up_no_shutdown(
    socket_upstream: WebSocketUpstream, trace_dir: Path
) -> None:
    """Both have said goodbye, and neither ends its connection: that is for the shutdown to do."""
    with socket_through(socket_upstream, trace_dir, shutdown_grace=NEVER_S) as (proxy, ends):
        ends.client.send_frames(closing(1000))
        assert ends.upstream.read_frame() == closing(1000)
        ends.upstream.send_frames(closing(1000))
        assert ends.client.read_frame() == closing(1000)
        proxy.stop()
