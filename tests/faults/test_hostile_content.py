"""Content that is hard to read: relayed as it is, and traced as far as it can be read."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # it has no stubs
import pytest
import zstandard

from tests.support.differential import CALL, assert_same_answer, call
from tests.support.events import sse, sse_pieces, text_stream
from tests.support.raw_bundle import request_payload
from tests.support.raw_http import BodyReader, RawConnection, exchange
from tests.support.reduced import calls, only, only_call, said, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import (
    SSE_TYPE,
    Chunk,
    Close,
    Gate,
    Head,
    ReadBody,
    Reply,
    stream_reply,
)
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.terminals import assert_one_terminal_each

MIB = 1024 * 1024
STREAM = sse(*text_stream("Hel", "lo"))
CHUNKED = Head(headers=(SSE_TYPE, (b"Transfer-Encoding", b"chunked")))
ODD_VALUES = {
    "lone surrogate": rb'"\ud800"',
    "NaN": b"NaN",
    "infinite": b"1e999",
    "huge integer": b"9" * 5000,
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "not closed": b"[" * 10_000,
    "same key twice": b'{"a": 1, "a": 2}',
    "NUL": rb'"\u0000"',
    "raw control": b'"\x00\x1b"',
    "not UTF-8": b'"\xff\xfe"',
    "cut in a character": b'"' + "é".encode()[:1] + b'"',
    "long": b'"' + "é".encode() * 40_000 + b'"',
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_odd_value_in_a_request_and_in_events(
    upstream: ScriptedUpstream, proxy: RunningProxy, name: str
) -> None:
    """Each byte passes both ways; the bundle is strict JSON all the same, and reduces."""
    value = ODD_VALUES[name]
    request = call(body=b'{"model":"m","input":[{"role":"user","content":%b}]}' % value)
    item = b'{"id":"msg_1","type":"message","role":"assistant","content":%b}' % value
    odd = b'event: response.output_item.done\ndata: {"type":"response.output_item.done"'
    odd += b',"output_index":0,"item":%b}\n\n' % item
    first, *rest = sse_pieces(*text_stream("Hel", "lo"))
    body = first + odd + b"".join(rest)
    assert assert_same_answer(upstream, proxy, stream_reply(body), request).body == body
    assert upstream.request(0).body == upstream.request(1).body
    (ended,) = calls(state_after(proxy))
    assert (ended["execution"]["status"], ended["response_id"]) == ("completed", "resp_1")
    assert_one_terminal_each(only(proxy.bundles()))
    bundle = only(proxy.bundles())
    documents = [path.read_bytes() for path in bundle.rglob("*.json")]
    for document in (*documents, *(bundle / "trace.jsonl").read_bytes().splitlines()):
        json.loads(document, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("coding", CODERS)
def test_coded_request_and_response(
    upstream: ScriptedUpstream, proxy: RunningProxy, coding: str
) -> None:
    """Both stay coded on their way; the trace has what they say."""
    code = CODERS[coding]
    header = (b"Content-Encoding", coding.encode())
    script = Reply(headers=(SSE_TYPE, header), body=[code(STREAM)], framing="chunked")
    request = call((header,), code(CALL))
    assert assert_same_answer(upstream, proxy, script, request).body == code(STREAM)
    assert upstream.request(1).body == code(CALL)
    state = state_after(proxy)
    ended = only_call(state)
    assert (ended["execution"]["status"], ended["response_id"]) == ("completed", "resp_1")
    assert said(state, ended) == [("assistant", "Hello")]
    assert request_payload(only(proxy.bundles())) == json.loads(CALL)


@pytest.mark.parametrize("coding", CODERS)
def test_bomb(upstream: ScriptedUpstream, trace_dir: Path, coding: str) -> None:
    """A request and a response that decode to 64 MiB each are relayed, and not decoded that far."""
    bomb = CODERS[coding](b" " * (64 * MIB))
    header = (b"Content-Encoding", coding.encode())
    upstream.enqueue(Reply(headers=(SSE_TYPE, header), body=[bomb], framing="chunked"))
    with RunningProxy(f"{upstream.url}/v1", trace_dir, decoded_bytes_max=MIB) as proxy:
        assert exchange(proxy.port, call((header,), bomb)).body == bomb
        assert upstream.request(0).body == bomb
        ended = only_call(state_after(proxy))
    assert ended["execution"]["status"] == "failed"
    assert_one_terminal_each(only(proxy.bundles()))


def test_stream_cut_anywhere(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """At each offset: what came is relayed, and the call is completed once its last event came."""
    places = range(0, len(STREAM) + 1, 11)
    for place in places:
        upstream.enqueue([ReadBody(), CHUNKED, *chunks(STREAM[:place]), Close()])
        answer = exchange(proxy.port, call())
        assert (answer.body, answer.end) == (STREAM[:place], "fin")
    ended = calls(state_after(proxy))
    assert_one_terminal_each(only(proxy.bundles()))
    assert [call_["execution"]["status"] for call_ in ended] == [
        "completed" if place == len(STREAM) else "failed" for place in places
    ]
    known = len(sse(text_stream("Hel", "lo")[0]))
    assert [call_["proxy"]["response_id"] for call_ in ended] == [
        "resp_1" if place >= known else None for place in places
    ]


def chunks(data: bytes) -> list[Chunk]:
    """The data in chunks of odd sizes, which end nowhere in particular."""
    return [Chunk(data[at : at + 37]) for at in range(0, len(data), 37)]


def test_leaving_and_completing_at_once(upstream: ScriptedUpstream, proxy: RunningProxy) -> None:
    """Whoever is first, each of 200 calls has one end, and it is one of the two."""
    *most, last = sse_pieces(*text_stream("Hel", "lo"))
    for number in range(200):
        gate = Gate()
        upstream.enqueue(stream_reply(b"".join(most), gate, last, request_id=f"req_{number}"))
        client = RawConnection(proxy.port)
        client.send(call())
        BodyReader(client, client.read_head()).read_until(most[-1])
        if number % 2:
            gate.open()
            client.close()
        else:
            client.abort()
            gate.open()
    ended = calls(state_after(proxy))
    assert len(ended) == 200
    assert_one_terminal_each(only(proxy.bundles()))
    for call_ in ended:
        outcome = call_["proxy"]["outcome"]
        assert (call_["execution"]["status"], outcome["protocol"]) in {
            ("completed", "completed"),
            ("cancelled", "none"),
        }
