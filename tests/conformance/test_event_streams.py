"""Event streams as browsers are tested with them: read by the scanner, and relayed as they are."""

import pytest

from tests.support.differential import assert_same_answer
from tests.support.events import ev_completed, ev_created, sse
from tests.support.reduced import calls, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import Framing, Reply
from tests.support.scripted_upstream import ScriptedUpstream
from tracing.sse import SSEScanner

from .event_streams import FORMATS, MEDIA_TYPES, Message


def messages(*pieces: bytes) -> list[Message]:
    """What the scanner finds in a stream that comes in these pieces."""
    scanner = SSEScanner(1024 * 1024)
    found = [event for piece in pieces for event in scanner.feed(piece)]
    return [(event.type, bytes(event.data or b"")) for event in found]


@pytest.mark.parametrize("name", FORMATS)
def test_messages_are_found(name: str) -> None:
    """At once, byte by byte, and cut in two at every place."""
    stream, expected = FORMATS[name]
    assert messages(stream) == expected
    assert messages(*(bytes([byte]) for byte in stream)) == expected
    for place in range(len(stream)):
        assert messages(stream[:place], stream[place:]) == expected


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_stream_is_relayed_and_does_not_hide_what_follows(
    upstream: ScriptedUpstream, proxy: RunningProxy, name: str, framing: Framing
) -> None:
    """Each byte of it reaches the client; the response that stands behind it is read."""
    stream, _ = FORMATS[name]
    body = stream + b"\n\n" + sse(ev_created(), ev_completed())
    script = Reply(headers=((b"Content-Type", b"text/event-stream"),), body=[body], framing=framing)
    assert assert_same_answer(upstream, proxy, script).body == body
    (call,) = calls(state_after(proxy))
    assert (call["execution"]["status"], call["response_id"]) == ("completed", "resp_1")


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_media_type_tells_a_stream(
    upstream: ScriptedUpstream, proxy: RunningProxy, name: str
) -> None:
    """Only what is one is read as one; all of it is relayed."""
    media_type, is_stream = MEDIA_TYPES[name]
    body = sse(ev_created(), ev_completed())
    script = Reply(headers=((b"Content-Type", media_type),), body=[body])
    assert assert_same_answer(upstream, proxy, script).body == body
    (call,) = calls(state_after(proxy))
    assert call["execution"]["status"] == ("completed" if is_stream else "failed")
