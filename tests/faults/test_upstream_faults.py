"""An upstream that goes wrong in the middle of things: what the client gets, what the trace says.

Every fault is played beside a stream on another connection, which must not notice.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from tests.support.bystander import bystander, without_bystander
from tests.support.differential import call
from tests.support.events import (
    ev_completed,
    ev_created,
    ev_item_added,
    ev_item_done,
    ev_part_added,
    ev_text_delta,
    message_item,
    sse,
)
from tests.support.raw_http import BodyEnd, RawConnection, exchange
from tests.support.reduced import Call, only, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    JSON_TYPE,
    SSE_TYPE,
    Chunk,
    Close,
    Head,
    LastChunk,
    Raw,
    RawHeaders,
    ReadBody,
    Reset,
    Step,
    json_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each

MIB = 1024 * 1024
ID = (b"x-request-id", b"req_1")
CHUNKED = Head(headers=(SSE_TYPE, ID, (b"Transfer-Encoding", b"chunked")))
TO_THE_END = Head(headers=(SSE_TYPE, ID, (b"Connection", b"close")))
PART = sse(
    ev_created(),
    ev_item_added(message_item("", status="in_progress")),
    ev_part_added(),
    ev_text_delta("Hel"),
)
HALF_EVENT = b'event: response.output_text.delta\ndata: {"type":"response.outp'
DONE = sse(ev_item_done(message_item("Hello")), ev_completed(output=[message_item("Hello")]))
BINARY = bytes(range(256)) * 40
GARBLED = b"data: {no json\n\n\xff\xfe\x00data:\n\n:\n\nevent: response.completed\n\n"
JSON_PART = b'{"id":"resp_1","object":"response","status":"comp'
HUGE = sse(ev_created(), ev_text_delta("x" * (10 * MIB)))
GZIPPED = gzip.compress(PART + DONE, mtime=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What upstream does after it has read the request, and what is to come of it.

    A client gets `status` with exactly `body`, or an error of ours with `code`.
    """

    steps: Sequence[Step]
    status: int = 200
    body: bytes = b""
    end: BodyEnd = "fin"
    code: str | None = None
    outcome: str = "failed"
    transport: str = "upstream_error"
    partial_text: str | None = None


def unanswered(*steps: Step, code: str = "upstream_disconnected") -> Fault:
    """No head came that could be relayed."""
    return Fault(steps=steps, status=502, code=code, end="complete")


def cut(head: Head, *steps: Step, body: bytes, partial_text: str | None = "Hel") -> Fault:
    """A body that a client must see as cut."""
    return Fault(steps=[head, *steps], body=body, partial_text=partial_text)


def sized(size: int, *headers: tuple[bytes, bytes]) -> Head:
    """A head with a Content-Length."""
    own: RawHeaders = headers or (SSE_TYPE,)
    return Head(headers=(*own, ID, (b"Content-Length", b"%d" % size)))


WHOLE = PART + DONE
FAULTS: dict[str, Fault] = {
    "nothing, FIN": unanswered(Close()),
    "nothing, RST": unanswered(Reset()),
    "half a head, FIN": unanswered(Raw(b"HTTP/1.1 200 OK\r\nContent-Le"), Close()),
    "half a head, RST": unanswered(Raw(b"HTTP/1.1 200 OK\r\nContent-Le"), Reset()),
    "early hints alone": unanswered(Head(status=103), Head(status=102), Close()),
    "another protocol": unanswered(
        Raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), Close(), code="upstream_protocol_error"
    ),
    "binary in place of a head": unanswered(
        Raw(BINARY + b"\r\n\r\n"), Close(), code="upstream_protocol_error"
    ),
    "a head of 100 KiB in one field": unanswered(
        Head(headers=((b"X-Large", b"x" * 100_000),)), Close(), code="upstream_protocol_error"
    ),
    "a status that is none": unanswered(
        Raw(b"HTTP/1.1 9999 What\r\n\r\n"), Close(), code="upstream_protocol_error"
    ),
    "reset amid an event": cut(
        CHUNKED, Chunk(PART), Chunk(HALF_EVENT), Reset(), body=PART + HALF_EVENT
    ),
    "closed amid an event": cut(
        CHUNKED, Chunk(PART), Chunk(HALF_EVENT), Close(), body=PART + HALF_EVENT
    ),
    "closed amid a chunk": cut(
        CHUNKED, Chunk(PART), Raw(b"1000\r\n" + HALF_EVENT), Close(), body=PART + HALF_EVENT
    ),
    "closed before the last chunk": cut(CHUNKED, Chunk(PART), Close(), body=PART),
    "closed amid the trailers": cut(
        CHUNKED, Chunk(PART), Raw(b"0\r\nX-Trailer: 1\r\n"), Close(), body=PART
    ),
    "length cut": cut(sized(5000), Raw(PART), Close(), body=PART),
    "length cut by a reset": cut(sized(5000), Raw(PART), Reset(), body=PART),
    "JSON cut": cut(
        sized(5000, JSON_TYPE), Raw(JSON_PART), Close(), body=JSON_PART, partial_text=None
    ),
    "reset where only a close ends the body": cut(TO_THE_END, Raw(PART), Reset(), body=PART),
    "closed where only that ends the body": Fault(
        steps=[TO_THE_END, Raw(PART), Close()],
        body=PART,
        end="complete",
        transport="eof",
        partial_text="Hel",
    ),
    "ended without a last word": Fault(
        steps=[CHUNKED, Chunk(PART), LastChunk()],
        body=PART,
        end="complete",
        transport="eof",
        partial_text="Hel",
    ),
    "a chunk size that is none": cut(CHUNKED, Chunk(PART), Raw(b"XYZ\r\nevil"), Close(), body=PART),
    "a chunk longer than its size": cut(
        CHUNKED, Chunk(PART), Raw(b"2\r\nokevil\r\n"), Close(), body=PART + b"ok"
    ),
    "garbage as a body": Fault(
        steps=[CHUNKED, Chunk(BINARY), LastChunk()], body=BINARY, end="complete", transport="eof"
    ),
    "garbled events": Fault(
        steps=[CHUNKED, Chunk(PART + GARBLED), LastChunk()],
        body=PART + GARBLED,
        end="complete",
        transport="eof",
        partial_text="Hel",
    ),
    "gzip cut": Fault(
        steps=[
            Head(headers=(*CHUNKED.headers, (b"Content-Encoding", b"gzip"))),
            Chunk(GZIPPED[:-30]),
            Close(),
        ],
        body=GZIPPED[:-30],
    ),
    "reset after the last word": Fault(
        steps=[CHUNKED, Chunk(WHOLE), Reset()], body=WHOLE, outcome="completed"
    ),
    "10 MB in one event": Fault(
        steps=[CHUNKED, Chunk(HUGE), Chunk(DONE), LastChunk()],
        body=HUGE + DONE,
        end="complete",
        outcome="completed",
        transport="eof",
    ),
    "10 MB in one event, then cut": Fault(
        steps=[CHUNKED, Chunk(HUGE), Close()], body=HUGE, partial_text="x" * (10 * MIB)
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_upstream_fault(upstream: ScriptedUpstream, proxy: RunningProxy, name: str) -> None:
    """The client gets what came and sees how it ended; the call has one end, the right one."""
    fault = FAULTS[name]
    with bystander(upstream, proxy.port) as other:
        upstream.enqueue([ReadBody(), *fault.steps])
        answer = exchange(proxy.port, call())
        other.go_on()
    assert answer.head.status == fault.status
    if fault.code is None:
        assert answer.body == fault.body
        assert answer.end == fault.end or (fault.end, answer.end) == ("fin", "rst")
    else:
        assert orjson.loads(answer.body)["error"]["code"] == fault.code
    (faulty,) = without_bystander(state_after(proxy))
    assert_traced(faulty, fault, only(proxy.bundles()))


def assert_traced(faulty: Call, fault: Fault, bundle: Path) -> None:
    """The call ended as it did, once, with both ids where they came."""
    assert_one_terminal_each(bundle)
    assert faulty["execution"]["status"] == fault.outcome
    assert faulty["proxy"]["outcome"]["transport"] == fault.transport
    assert faulty["upstream_request_id"] == (None if fault.code else "req_1")
    assert faulty["proxy"]["bytes_down"] == len(fault.body)
    partial = faulty["proxy"].get("partial_items") or []
    texts = [part["item"]["content"][0]["text"] for part in partial]
    assert texts == ([] if fault.partial_text is None else [fault.partial_text])


EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsplit"
TOO_MUCH: dict[str, bytes] = {
    "behind a length": sized(2).encode() + b"{}" + EVIL,
    "behind the last chunk": CHUNKED.encode() + Chunk(b"{}").encode() + LastChunk().encode() + EVIL,
    "behind a 204": Head(status=204).encode() + EVIL,
    "behind a 304": Head(status=304, headers=((b"Content-Length", b"9"),)).encode() + EVIL,
}


@pytest.mark.parametrize("name", TOO_MUCH)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "byte by byte"])
def test_what_upstream_says_beyond_a_response_reaches_no_client(
    upstream: ScriptedUpstream, proxy: RunningProxy, name: str, *, at_once: bool
) -> None:
    """It would be taken for the answer to the next request on the client's connection."""
    wire = TOO_MUCH[name]
    # What comes later, on a connection in use again, nobody could tell from an answer.
    end = len(wire) - len(EVIL) - 1
    pieces = [wire] if at_once else [*(bytes([byte]) for byte in wire[:end]), wire[end:]]
    upstream.enqueue([ReadBody(), *map(Raw, pieces)])
    upstream.enqueue(json_reply({"second": True}))
    with RawConnection(proxy.port) as client:
        client.send(call())
        assert client.read_exchange().body in {b"", b"{}"}
        client.send(call())
        assert client.read_exchange().body == b'{"second":true}'
