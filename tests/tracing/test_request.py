"""A request as it is recorded: its bytes, its ids, and no secret of it."""

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recording import call_id, request_head
from tracing.call import CallStarted
from tracing.redaction import RawHeaders
from tracing.request import RequestRecord, read_request
from tracing.strict_json import loads_strict

KEY = b"sk-proj-0123456789"
AUTH: RawHeaders = ((b"Authorization", b"Bearer " + KEY),)


def read(
    body: bytes | None,
    headers: RawHeaders = (),
    *,
    query: str = "",
    keep_body: bool = True,
    is_whole: bool = True,
    decoded_bytes_max: int = 1 << 20,
) -> RequestRecord:
    """The record of a request with this body, which came in two pieces."""
    pieces = None if body is None else [body[:5], body[5:]]
    started = CallStarted(
        call_id=call_id(1),
        head=request_head(headers=headers, query=query),
        arrived_unix_ns=0,
        body=pieces,
        body_bytes=len(body or b""),
        kept_bytes=0,
        is_whole=is_whole,
    )
    return read_request(
        started,
        keep_body=keep_body,
        decoded_bytes_max=decoded_bytes_max,
        prewarm_of=lambda _: None,
    )


def sha256(data: bytes) -> str:
    """The hash as the bundle writes it."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "body", [b'{ "model" : "m",\n"input":"\\u00e9" }', b'{"input":1.0,"input":2}', b"[]", b"1"]
)
def test_strict_json_is_kept_byte_for_byte(body: bytes) -> None:
    """Spaces, escapes, duplicate names: nothing is written anew."""
    record = read(body, AUTH)
    assert record.payload == body
    assert record.proxy["request"] == {
        "bytes": len(body),
        "sha256": sha256(body),
        "kept_sha256": sha256(body),
        "content_encoding": None,
        "form": "wire",
        "redacted": [],
    }


def test_facts_of_the_request() -> None:
    """All that `proxy` says of a request whose call may never end."""
    body = b'{"model": "m", "stream": true, "input": []}'
    headers: RawHeaders = (
        *AUTH,
        (b"User-Agent", b"OpenAI/Python 3.54.0"),
        (b"X-Client-Request-Id", b"client-1"),
        (b"traceparent", b"00-ab-cd-01"),
        (b"x-stainless-retry-count", b"2"),
        (b"x-codex-inference-call-id", b"their-id"),
    )
    record = read(body, headers, query="beta=true")
    assert record.model == "m"
    assert record.proxy == {
        "transport": "sse",
        "method": "POST",
        "path": "/v1/responses",
        "query": "beta=true",
        "connection_id": "c1",
        "stream_id": None,
        "client_call_id": "their-id",
        "retry_count": 2,
        "request": record.proxy["request"],
        "client": {
            "user_agent": "OpenAI/Python 3.54.0",
            "client_request_id": "client-1",
            "traceparent": "00-ab-cd-01",
        },
        "auth": {"present": True, "header": "authorization"},
    }


@pytest.mark.parametrize(
    ("headers", "auth"),
    [
        ((), {"present": False, "header": None}),
        (((b"api-key", b"x"),), {"present": True, "header": "api-key"}),
        (((b"X-Api-Key", b"x"),), {"present": True, "header": "x-api-key"}),
    ],
)
def test_auth(headers: RawHeaders, auth: object) -> None:
    """That there was a credential is told, and where, never what it was."""
    assert read(b"{}", headers).proxy["auth"] == auth


@pytest.mark.parametrize("count", ["", "-1", "1.5", "\u0661", "9" * 5000, "x"])
def test_odd_retry_count(count: str) -> None:
    """What is no small number is none."""
    assert read(b"{}", ((b"x-stainless-retry-count", count.encode()),)).proxy["retry_count"] == 0


@pytest.mark.parametrize(
    ("body", "model", "transport"),
    [
        (b'{"stream": 1}', "unknown", "http"),
        (b'{"model": 5}', "unknown", "http"),
        (b"[]", "unknown", "http"),
        (b"torn {", "unknown", "http"),
        (b'{"stream": true, "model": "m"}', "m", "sse"),
    ],
)
def test_model_and_transport(body: bytes, model: str, transport: str) -> None:
    """Whatever the body holds, there is a model to name and a transport."""
    record = read(body)
    assert (record.model, record.proxy["transport"]) == (model, transport)


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        ("gzip", gzip.compress(b'{"model":"m"}')),
        ("zstd", zstandard.compress(b'{"model":"m"}')),
    ],
)
def test_compressed_body_is_kept_decoded(coding: str, encoded: bytes) -> None:
    """The payload is the JSON; the hash of what was on the wire is kept beside its own."""
    record = read(encoded, ((b"Content-Encoding", coding.encode()),))
    assert (record.payload, record.model) == (b'{"model":"m"}', "m")
    request = record.proxy["request"]
    assert (request["bytes"], request["content_encoding"]) == (len(encoded), coding)
    assert (request["sha256"], request["kept_sha256"]) == (sha256(encoded), sha256(record.payload))


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", b"no gzip"),
        (b"gzip", gzip.compress(KEY * 10)[:-9]),
        (b"unheard-of", KEY),
        (b"gzip", gzip.compress(b" " * 100_000)),
    ],
)
def test_body_that_cannot_be_decoded_is_not_kept(coding: bytes, body: bytes) -> None:
    """It may hold secrets that nobody can find; what was wrong is said instead."""
    record = read(body, ((b"Content-Encoding", coding),), decoded_bytes_max=50_000)
    payload = json.loads(record.payload)
    assert payload == {"input": [], "proxy": {"lost": payload["proxy"]["lost"]}}
    assert payload["proxy"]["lost"].startswith(f"content-encoding {coding.decode()}: ")


@pytest.mark.parametrize(
    "body", [b"torn {", b'"\\ud800"', b"[" * 200 + b"]" * 200, b"\xff", b"NaN", b"1e999", b""]
)
def test_body_that_is_no_strict_json_is_kept_in_base64(body: bytes) -> None:
    """The payload is strict JSON all the same, and gives the body back."""
    payload: Any = loads_strict(read(body).payload)
    assert payload["input"] == []
    assert base64.b64decode(payload["proxy"]["body_base64"]) == body
    assert payload["proxy"]["unreadable"]
    assert "lost" not in payload["proxy"]


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"authorization": "tok-1"}'),
        zstandard.compress(b'{"authorization": "tok-1"}'),
        '{"authorization": "tok-1"}'.encode("utf-16"),
        '{"authorization": "tok-1"}'.encode("utf-16-le"),
    ],
)
def test_body_that_is_no_text_is_not_kept(body: bytes) -> None:
    """Its head may not say that it is compressed: secrets in it could not be found."""
    payload = json.loads(read(body).payload)
    assert payload == {"input": [], "proxy": {"lost": "the body is neither JSON nor text"}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"tools": [{"type": "mcp", "authorization": "tok-1", "authorization": null}]}',
        b'{"tools": [{"type": "mcp", "headers": {"X": "tok-1"}, "headers": {}}]}',
        b'{"tools": [{"type": "mcp", "headers": {"X": "tok-1"}}], "tools": []}',
        b'{"a": "https://u:tok-1@h/", "a": "\\u0022"}',
    ],
)
def test_secret_under_a_key_that_is_repeated(body: bytes) -> None:
    """Parsers take the last of them; what stood there before is not kept."""
    record = read(body)
    assert b"tok-1" not in record.payload
    assert json.loads(record.payload) == json.loads(body)


def test_body_that_only_looks_like_it_holds_secrets_is_kept_byte_for_byte() -> None:
    """URLs, escapes and fields of such names are no reason to write it anew."""
    body = b'{ "input": "\\u0022https://h/\\u0022 \\"", "headers": {"accept": "a"} }'
    assert read(body).payload == body


def test_body_that_broke_off() -> None:
    """What came of it is kept, and that there was more is said."""
    payload: Any = loads_strict(read(b'{"model": "m", "inp', is_whole=False).payload)
    assert payload["proxy"]["lost"] == "the client did not send the body to its end"


def test_body_that_was_not_kept() -> None:
    """A stub stands for it, and its size is still known."""
    record = read(None)
    assert json.loads(record.payload) == {
        "input": [],
        "proxy": {"lost": "it was not kept"},
    }
    assert record.proxy["request"]["sha256"] is None


def test_metadata_only() -> None:
    """No body is kept then, and what the call is about still is."""
    record = read(b'{"model":"m","input":"a prompt","generate":false}', keep_body=False)
    assert json.loads(record.payload) == {"input": [], "proxy": {"lost": "capture is metadata"}}
    assert (record.model, record.prewarm_body) == ("m", {})


def test_prewarm() -> None:
    """`generate: false` makes a prewarm, whose body is remembered."""
    body = {"model": "m", "generate": False, "input": []}
    record = read(json.dumps(body).encode())
    assert (record.is_prewarm, record.prewarm_body) == (True, body)
    assert not read(b'{"generate": null}').is_prewarm


MCP = {
    "model": "m",
    "input": "call it",
    "tools": [{"type": "mcp", "authorization": "mcp-token-123", "headers": {"x": "mcp-head-123"}}],
}


def test_secrets_of_the_body_are_replaced_and_listed() -> None:
    """A tool's credentials are replaced, and each one's place is told."""
    record = read(json.dumps(MCP).encode())
    assert json.loads(record.payload)["tools"] == [
        {"type": "mcp", "authorization": "[redacted]", "headers": {"x": "[redacted]"}}
    ]
    pointers = ["/tools/0/authorization", "/tools/0/headers/x"]
    assert record.proxy["request"]["redacted"] == pointers
    assert {b"mcp-token-123", b"mcp-head-123"} <= set(record.secrets)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"input": f"my key is {KEY.decode()}"}).encode(),
        b"no json: " + KEY,
        b'{"input": "torn ' + KEY,
        json.dumps({"input": [{"text": "query-secret-1"}], KEY.decode(): 1}).encode(),
    ],
)
def test_secrets_of_the_head_are_masked_in_the_body(body: bytes) -> None:
    """The client's key and the query's are in no form of the payload."""
    record = read(body, AUTH, query="api-key=query-secret-1&x=1")
    payload = json.loads(record.payload)
    kept = base64.b64decode(payload.get("proxy", {}).get("body_base64", "")) + record.payload
    assert KEY not in kept
    assert b"query-secret-1" not in kept
    assert record.proxy["query"] == "api-key=[redacted]&x=1"


@given(
    st.none() | st.binary(max_size=60) | st.sampled_from([b"{}", gzip.compress(b"{}")]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"Content-Encoding", b"cookie", b"session-id", b"\xff", b"User-Agent"]
            ),
            st.binary(max_size=20) | st.sampled_from([b"gzip", b"br, zstd"]),
        ),
        max_size=4,
    ),
    st.text(max_size=20),
    st.booleans(),
)
def test_any_request_is_read(
    body: bytes | None, headers: list[tuple[bytes, bytes]], query: str, is_whole: bool
) -> None:
    """Nothing that a client sends raises, and the payload is strict JSON."""
    record = read(body, tuple(headers), query=query, is_whole=is_whole)
    loads_strict(record.payload)
