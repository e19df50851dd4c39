"""An upstream that does not take a request's body: it may end, and is not waited for for ever."""

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from proxy.downstream import DownstreamProtocol
from proxy.upstream_protocol import UpstreamProtocol
from tests.support.deaf_upstream import DeafUpstream
from tests.support.raw_bundle import only_terminal
from tests.support.reduced import only, only_call, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import GUARD_S, Gate
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import wait_until_read
from tests.support.unreachable import KEY_AND_CERTIFICATE
from tests.support.uploading import Uploading
from tests.support.waiting import wait_until
from tests.support.watched import watch

UNTIL_CLOSE = b"HTTP/1.1 413 No\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\ntoo large"


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Whether the client is read from no more, since upstream takes nothing."""
    return watch(monkeypatch, DownstreamProtocol, "pause_reading")


def test_upstream_that_takes_nothing_is_timed_out(
    upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """By `upstream_idle_timeout`, as one that answers nothing."""
    upstream.enqueue([Gate()])
    with RunningProxy(upstream.url, trace_dir, upstream_idle_timeout=0.05) as proxy:
        with Uploading(proxy.port) as upload:
            answer = upload.connection.read_exchange()
        assert answer.head.status == 504
        assert orjson.loads(answer.body)["error"]["code"] == "upstream_idle_timeout"
        failed = only_call(state_after(proxy))
    assert failed["execution"]["status"] == "failed"
    assert failed["proxy"]["outcome"]["transport"] == "timeout"


def test_upstream_that_takes_a_little_is_waited_for(
    upstream: ScriptedUpstream, trace_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little: through a slow line much is taken before the socket has room again."""
    some = 20
    looks = itertools.count()
    taken = threading.Event()

    def taken_bytes(_: UpstreamProtocol) -> int:
        look = next(looks)
        if look > some:
            taken.set()
        return min(look, some)

    monkeypatch.setattr(UpstreamProtocol, "taken_bytes", taken_bytes)
    upstream.enqueue([Gate()])
    with RunningProxy(upstream.url, trace_dir, upstream_idle_timeout=0.02) as proxy:
        with Uploading(proxy.port) as upload:
            answer = upload.connection.read_exchange()
        assert answer.head.status == 504
    assert taken.is_set(), "it was given up while it took something"


def test_what_upstream_has_taken_is_told_by_the_kernel() -> None:
    """Not when it is written, but when the other host has it."""

    async def taken(listener: socket.socket) -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: UpstreamProtocol(loop, set()),
            sock=socket.create_connection(listener.getsockname()),
        )
        with listener.accept()[0]:
            before = protocol.taken_bytes()
            transport.write(b"x" * 1000)
            wait_until(lambda: protocol.taken_bytes() != before, "a piece of a body was taken")
            after = protocol.taken_bytes()
            transport.abort()
            await asyncio.sleep(0)
            return after - before, protocol.taken_bytes()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert asyncio.run(taken(listener)) == (1000, 0)


@pytest.fixture(params=["plain", "TLS"])
def deaf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeafUpstream]:
    """One that half-closes when it is told to."""
    (tmp_path / "certificate.pem").write_text(KEY_AND_CERTIFICATE)
    is_tls = request.param == "TLS"
    with DeafUpstream(tmp_path / "certificate.pem" if is_tls else None) as upstream:
        yield upstream


@pytest.fixture
def deaf_proxy(deaf: DeafUpstream, trace_dir: Path, tmp_path: Path) -> Iterator[RunningProxy]:
    """A proxy before it."""
    with RunningProxy(
        deaf.url, trace_dir, upstream_ca_file=tmp_path / "certificate.pem", shutdown_grace=0
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [(UNTIL_CLOSE, 413, None), (b"", 502, "upstream_disconnected")],
    ids=["answered", "unanswered"],
)
def test_upstream_that_half_closes_amid_an_upload_has_ended(
    deaf: DeafUpstream,
    deaf_proxy: RunningProxy,
    paused: threading.Event,
    said: bytes,
    status: int,
    code: str | None,
) -> None:
    """What it said is the answer, whole; what waits to be sent to it is waited for no more."""
    with Uploading(deaf_proxy.port) as upload:
        assert paused.wait(GUARD_S)
        wait_until_read(deaf_proxy.port)
        deaf.answer(said)
        answer = upload.connection.read_exchange()
    assert (answer.head.status, answer.end) == (status, "complete")
    if code is None:
        assert answer.body == b"too large"
    else:
        assert orjson.loads(answer.body)["error"]["code"] == code
    deaf_proxy.stop()
    outcome = only_terminal(only(deaf_proxy.bundles()))["proxy"]["outcome"]
    assert outcome["transport"] == ("eof" if code is None else "upstream_error")
