"""How a proxy ends: no more is taken, what is open may finish, and the rest is told apart."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.differential import call
from tests.support.events import ev_created, ev_text_delta, sse, text_stream
from tests.support.raw_bundle import event_types, only_terminal
from tests.support.raw_http import BodyReader, ConnectionEndedError, RawConnection
from tests.support.reduced import only, only_call, reduced
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    GUARD_S,
    SSE_TYPE,
    Chunk,
    Framing,
    Gate,
    Head,
    LastChunk,
    ReadBody,
    Reply,
    Step,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.stalled_client import StalledConnection, shrink_send_buffers, wait_until_read

STREAM = sse(*text_stream("Hel", "lo"))
PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))
NEVER_S = 3600.0
"""A grace that no test sees the end of."""


@contextmanager
def stopping(proxy: RunningProxy) -> Iterator[None]:
    """Inside the block the proxy has had its signal, as an idle connection felt; then it ends."""
    with RawConnection(proxy.port) as idle:
        idle.send(b"GET /-/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle.read_exchange().head.status == 200
        stop = threading.Thread(target=proxy.stop, daemon=True)
        stop.start()
        assert idle.wait_until_closed() == "fin"
    yield
    stop.join(GUARD_S)
    assert not stop.is_alive()


def assert_ended_in_order(proxy: RunningProxy, status: str) -> None:
    """The bundle is closed, and its one call ended so."""
    bundle = only(proxy.bundles())
    assert event_types(bundle)[-2:] == ["rollout_ended", "recording_completed"]
    assert only_call(reduced([bundle]))["execution"]["status"] == status


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_open_response_may_end(
    upstream: ScriptedUpstream, trace_dir: Path, framing: Framing
) -> None:
    """It is whole for its client; then the connection closes, though it was to be kept."""
    gate = Gate()
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[PART, gate, STREAM], framing=framing))
    with (
        RunningProxy(upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(call())
        body = BodyReader(connection, connection.read_head())
        body.read_until(PART)
        with stopping(proxy):
            gate.open()
            assert (body.read_all(), body.end) == (STREAM, "complete")
            assert connection.wait_until_closed() == "fin"
        assert_ended_in_order(proxy, "completed")


def test_request_that_is_still_sent_may_end(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """Its body is taken to its end, and its response says that the connection closes."""
    upstream.enqueue(stream_reply(STREAM))
    request = call()
    with (
        RunningProxy(upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(request[:-10])
        upstream.request(0)
        with stopping(proxy):
            connection.send(request[-10:])
            assert connection.read_exchange().body == STREAM
            assert connection.wait_until_closed() == "fin"
        assert_ended_in_order(proxy, "completed")


def test_slow_client_gets_the_end_of_its_response(
    upstream: ScriptedUpstream, trace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent and not yet taken is no less open than what upstream still says."""
    shrink_send_buffers(monkeypatch)
    body = b"x" * 60_000
    upstream.enqueue(Reply(body=[body]))
    with RunningProxy(upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy:
        connection = StalledConnection(proxy.port)
        connection.send(call())
        upstream.request(0).answered.wait(GUARD_S)
        wait_until_read(proxy.port)
        with stopping(proxy), connection:
            answer = connection.read_exchange()
            assert (len(answer.body), answer.end) == (len(body), "complete")


def test_no_further_request_is_taken(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """One that was sent behind an open response goes unanswered, and never upstream."""
    gate = Gate()
    upstream.enqueue(stream_reply(PART, gate))
    with (
        RunningProxy(upstream.url, trace_dir, shutdown_grace=NEVER_S) as proxy,
        RawConnection(proxy.port) as connection,
    ):
        connection.send(call() + call())
        body = BodyReader(connection, connection.read_head())
        body.read_until(PART)
        with stopping(proxy):
            gate.open()
            assert (body.read_all(), body.end) == (b"", "complete")
            assert connection.wait_until_closed() in {"fin", "rst"}
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_response_beyond_the_grace_is_cancelled(
    upstream: ScriptedUpstream, trace_dir: Path, framing: Framing
) -> None:
    """Its client sees it cut, upstream is let go, and the trace says who ended it."""
    upstream.enqueue(Reply(headers=(SSE_TYPE,), body=[PART, Gate(), STREAM], framing=framing))
    with RunningProxy(upstream.url, trace_dir, shutdown_grace=0) as proxy:
        with RawConnection(proxy.port) as connection:
            connection.send(call())
            body = BodyReader(connection, connection.read_head())
            body.read_until(PART)
            proxy.stop()
            assert (body.read_all(), body.end) == (b"", "fin")
        upstream.request(0).wait_until_closed_by_peer()
        assert_ended_in_order(proxy, "cancelled")
        terminal = only_terminal(only(proxy.bundles()))
    assert terminal["reason"] == "proxy shut down before the response ended"
    assert terminal["proxy"]["outcome"]["transport"] == "shutdown"
    assert terminal["proxy"]["response_id"] == "resp_1"


@pytest.mark.parametrize("sent", [1.0, 0.5], ids=["whole", "half"])
def test_request_without_an_answer_beyond_the_grace_is_cancelled(
    upstream: ScriptedUpstream, trace_dir: Path, sent: float
) -> None:
    """Whether it was whole or not, there is nothing to answer it with."""
    upstream.enqueue([ReadBody(), Gate()])
    request = call()
    with RunningProxy(upstream.url, trace_dir, shutdown_grace=0) as proxy:
        with RawConnection(proxy.port) as connection:
            size = len(request) if sent == 1.0 else len(request) - 10
            connection.send(request[:size])
            came = upstream.request(0)
            proxy.stop()
            with pytest.raises(ConnectionEndedError):
                connection.read_head()
        came.wait_until_closed_by_peer()
        assert_ended_in_order(proxy, "cancelled")
        outcome = only_terminal(only(proxy.bundles()))["proxy"]["outcome"]
    assert outcome["transport"] == "shutdown"


def left(upstream: ScriptedUpstream, proxy: RunningProxy, script: list[Step]) -> None:
    """Call, leave after the first part, and wait until the proxy knows."""
    upstream.enqueue(script)
    connection = RawConnection(proxy.port)
    connection.send(call())
    BodyReader(connection, connection.read_head()).read_until(PART)
    connection.close()
    wait_until_read(proxy.port)


CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))


def test_response_that_is_drained_may_end(upstream: ScriptedUpstream, trace_dir: Path) -> None:
    """It has no client any more, and is open all the same."""
    gate = Gate()
    with RunningProxy(
        upstream.url, trace_dir, on_disconnect="drain", shutdown_grace=NEVER_S
    ) as proxy:
        left(
            upstream,
            proxy,
            [ReadBody(), CHUNKED, Chunk(PART), gate, Chunk(STREAM), LastChunk()],
        )
        with stopping(proxy):
            gate.open()
        assert_ended_in_order(proxy, "completed")


def test_response_that_is_drained_beyond_the_grace_is_cancelled(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """The shutdown ended it, not the client who had left before."""
    with RunningProxy(upstream.url, trace_dir, on_disconnect="drain", shutdown_grace=0) as proxy:
        left(upstream, proxy, [ReadBody(), CHUNKED, Chunk(PART), Gate()])
        proxy.stop()
        upstream.request(0).wait_until_closed_by_peer()
        assert_ended_in_order(proxy, "cancelled")
        outcome = only_terminal(only(proxy.bundles()))["proxy"]["outcome"]
    assert outcome["transport"] == "shutdown"


def test_second_signal_ends_the_grace(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not want to wait; the bundle is closed all the same."""
    upstream.enqueue(stream_reply(PART, Gate()))
    with ServeProcess(
        upstream.url, tmp_path / "traces", tmp_path, shutdown_grace=NEVER_S
    ) as process:
        with RawConnection(process.port) as idle, RawConnection(process.port) as connection:
            connection.send(call())
            body = BodyReader(connection, connection.read_head())
            body.read_until(PART)
            process.send_signal(signal.SIGINT)
            assert idle.wait_until_closed() == "fin"
            process.send_signal(signal.SIGINT)
            assert (body.read_all(), body.end) == (b"", "fin")
        assert process.wait() == 0
        (bundle,) = process.bundles()
    assert event_types(bundle)[-1] == "recording_completed"
    assert only_terminal(bundle)["proxy"]["outcome"]["transport"] == "shutdown"
