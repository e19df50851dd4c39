"""A client that leaves with requests in its pipeline, and does not take what it was sent."""

from pathlib import Path

import pytest

from tests.support.differential import call
from tests.support.events import sse, text_stream
from tests.support.reduced import calls, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import SSE_TYPE, Chunk, Gate, Head, LastChunk, Raw, ReadBody
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.stalled_client import (
    StalledConnection,
    shrink_send_buffers,
    wait_until_read,
)

STREAM = sse(*text_stream("Hel", "lo"))
FIRST = b": " + b"x" * 60_000 + b"\n\n"
"""Less than what may wait for a client (64 KiB), so that upstream is read on."""
LAST = b": " + b"x" * 30_000 + b"\n\n" + STREAM
"""The rest, little enough to be read at once: with it the response has ended, and more waits."""
LONG = FIRST + LAST


@pytest.mark.parametrize("how", ["close", "abort"], ids=["FIN", "RST"])
def test_second_response_is_drained_though_the_first_was_not_taken(
    upstream: ScriptedUpstream, trace_dir: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """With `on_disconnect = "drain"` nobody waits for a client that left before the head came."""
    shrink_send_buffers(monkeypatch)
    sent, answer = Gate(), Gate()
    sized = Head(headers=(SSE_TYPE, (b"Content-Length", b"%d" % len(LONG))))
    upstream.enqueue([ReadBody(), sized, Raw(FIRST), sent, Raw(LAST)])
    chunked = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
    upstream.enqueue([ReadBody(), answer, chunked, Chunk(LONG), LastChunk()])
    with RunningProxy(upstream.url, trace_dir, on_disconnect="drain") as proxy:
        stalled = StalledConnection(proxy.port)
        stalled.send(call() * 2)
        sent.wait_until_reached()
        wait_until_read(proxy.port)
        sent.open()
        answer.wait_until_reached()
        getattr(stalled, how)()
        wait_until_read(proxy.port)
        answer.open()
        second = calls(state_after(proxy))[1]
    assert second["execution"]["status"] == "completed"
    assert second["proxy"]["outcome"]["transport"] == "client_closed"
    assert second["proxy"]["bytes_down"] == len(LONG)
