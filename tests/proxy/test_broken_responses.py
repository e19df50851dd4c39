"""Responses that are cut short or are none: a client can tell, and is never told otherwise."""

import pytest

from tests.support.differential import (
    assert_same_answer,
    call,
)
from tests.support.events import (
    ev_created,
    ev_text_delta,
    sse,
)
from tests.support.raw_http import (
    Exchange,
    ResponseHead,
    exchange,
)
from tests.support.running_proxy import (
    RunningProxy,
)
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Head,
    Raw,
    ReadBody,
    Reset,
    Step,
)
from tests.support.scripted_upstream import (
    ScriptedUpstream,
)

CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
SIZED = Head(headers=(JSON_TYPE, (b"Content-Length", b"100")))
CLOSE_DELIMITED = Head(headers=(SSE_TYPE, (b"Connection", b"close")))
PART = sse(ev_created("resp_1"), ev_text_delta("Hel"))


CUTS: dict[str, list[Step]] = {
    "chunked, between chunks": [CHUNKED, Chunk(PART)],
    "chunked, inside a chunk": [CHUNKED, Chunk(PART), Raw(b"1000\r\nevent: resp")],
    "chunked, inside a size": [CHUNKED, Chunk(PART), Raw(b"10")],
    "chunked, before the last line": [CHUNKED, Chunk(PART), Raw(b"0\r\n")],
    "chunked, before any chunk": [CHUNKED],
    "with a length": [SIZED, Raw(b'{"id":"resp_1",')],
    "with a length, before any byte": [SIZED],
}


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["FIN", "RST"])
@pytest.mark.parametrize("steps", CUTS.values(), ids=CUTS.keys())
def test_cut_body_is_cut_for_the_client(
    upstream: ScriptedUpstream, proxy: RunningProxy, steps: list[Step], end: Step
) -> None:
    """A truncated body reaches the client as far as it came, and shows as truncated."""
    assert assert_same_answer(upstream, proxy, [ReadBody(), *steps, end]).cut


def test_close_delimited_body_cut_by_a_reset_is_cut_for_the_client(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Where only a close ends the body, an RST is the one sign that something is missing."""
    script: list[Step] = [ReadBody(), CLOSE_DELIMITED, Raw(PART), Reset()]
    assert assert_same_answer(upstream, proxy, script).cut


def test_bytes_beyond_the_length_are_no_part_of_the_body(
    upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """What upstream sends after the body's end reaches no client."""
    head = Head(headers=(JSON_TYPE, (b"Content-Length", b"2")))
    script: list[Step] = [ReadBody(), head, Raw(b"{}HTTP/1.1 200 OK\r\n\r\n"), Close()]
    assert assert_same_answer(upstream, proxy, script).body == b"{}"


@pytest.mark.parametrize("step", [Close(), Reset()], ids=["FIN", "RST"])
def test_no_answer_becomes_a_502(
    upstream: ScriptedUpstream, proxy: RunningProxy, step: Step
) -> None:
    """An upstream that hangs up without a word is told to the client as our own error."""
    upstream.enqueue([ReadBody(), step])
    answer = exchange(proxy.port, call())
    assert_own_error(answer, 502, b"upstream_disconnected")


GARBAGE = {
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "coded for the transfer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    ),
    "no number as length": b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_becomes_a_502(
    upstream: ScriptedUpstream, proxy: RunningProxy, data: bytes
) -> None:
    """An answer that is no sound HTTP reaches no client; our own error says so."""
    upstream.enqueue([ReadBody(), Raw(data), Close()])
    assert_own_error(exchange(proxy.port, call()), 502, b"upstream_protocol_error")


def test_broken_chunk_cuts_the_body(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """What came before a chunk that is none is passed on, then the body shows as truncated."""
    upstream.enqueue([ReadBody(), CHUNKED, Chunk(PART), Raw(b"zz\r\nevil\r\n0\r\n\r\n"), Close()])
    answer = exchange(proxy.port, call())
    assert answer.body == PART
    assert answer.end in {"fin", "rst"}


def assert_own_error(answer: Exchange, status: int, code: bytes) -> None:
    """The answer is an error of the proxy's own, in OpenAI's shape."""
    head: ResponseHead = answer.head
    assert head.status == status
    assert head.values("content-type")[0].startswith(b"application/json")
    assert head.values("x-request-id") == []
    assert b'"%b"' % code in answer.body
