"""The events and payloads of whole calls, object for object."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import (
    JSON_HEAD,
    SSE_HEAD,
    STARTED_UNIX_MS,
    Recording,
    answer,
    bundle_id,
    call_id,
    only_bundle,
    recording,
)
from tracing.call import CallSummary, Waits
from tracing.scope import Scope
from tracing.terminal import TransportEnd

BODY = b'{ "model": "gpt-5.5", "stream": true, "input": [] }'
CALL = str(call_id(1))
THREAD, TURN = f"thread:{CALL}", f"turn:{CALL}"
STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
BEGUN = wire.text_stream("Hel", "lo")[:6]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording with the usual settings."""
    with recording(tmp_path / "traces") as made:
        yield made


def sha256(data: bytes) -> str:
    """The hash as the bundle writes it."""
    return hashlib.sha256(data).hexdigest()


def reference(number: int, kind: str) -> dict[str, Any]:
    """What an event says of a payload."""
    return {
        "raw_payload_id": f"raw_payload:{number}",
        "kind": {"type": kind},
        "path": f"payloads/{number}.json",
    }


def terminal_and_payload(record: Recording) -> tuple[dict[str, Any], Any]:
    """The terminal event of the only call, and its payload."""
    bundle = only_bundle(record.close())
    return raw_bundle.only_terminal(bundle), raw_bundle.response_payload(bundle)


def capture_of(body: bytes) -> dict[str, Any]:
    """What is said of a capture of this body, first in its segment, whole and without secrets."""
    return {
        "file": "streams/1.cap",
        "offset": 0,
        "bytes": len(body),
        "sha256": sha256(body),
        "wire_sha256": sha256(body),
        "lost_bytes": 0,
        "redacted": [],
    }


def test_completed_call_whole(record: Recording) -> None:
    """Every event, envelope and payload of a streamed call, and nothing beside them."""
    trace = record.ask(BODY)
    record.clock.advance(10)
    trace.response_started(200, SSE_HEAD)
    for piece in STREAM:
        record.clock.advance(5)
        trace.response_piece(piece)
    record.clock.advance(1)
    trace.ended(TransportEnd.EOF, None, Waits(upstream_ns=2_000_000, client_ns=500_000))
    bundle = only_bundle(record.close())
    body = b"".join(STREAM)
    ended = STARTED_UNIX_MS + 61
    ids = {"thread_id": THREAD, "codex_turn_id": TURN}
    started_event = {
        "type": "inference_started",
        "inference_call_id": CALL,
        **ids,
        "model": "gpt-5.5",
        "provider_name": "api.openai.com",
        "request_payload": reference(1, "inference_request"),
        "proxy": {
            "transport": "sse",
            "method": "POST",
            "path": "/v1/responses",
            "query": "",
            "connection_id": "c1",
            "stream_id": None,
            "client_call_id": None,
            "retry_count": 0,
            "request": {
                "bytes": len(BODY),
                "sha256": sha256(BODY),
                "kept_sha256": sha256(BODY),
                "content_encoding": None,
                "form": "wire",
                "redacted": [],
            },
            "client": {"user_agent": None, "client_request_id": None, "traceparent": None},
            "auth": {"present": False, "header": None},
        },
    }
    completed_event = {
        "type": "inference_completed",
        "inference_call_id": CALL,
        "response_id": "resp_1",
        "upstream_request_id": "req_1",
        "response_payload": reference(2, "inference_response"),
        "proxy": {
            "http_status": 200,
            "response_id": "resp_1",
            "upstream_request_id_header": "x-request-id",
            "response_status": "completed",
            "outcome": {"protocol": "completed", "transport": "eof", "reason": None},
            "timing": {
                "upstream_headers": 10.0,
                "first_event": 15.0,
                "first_text": 35.0,
                "last_event": 60.0,
                "ended": 61.0,
                "waited_on_upstream": 2.0,
                "waited_on_client": 0.5,
                "max_gap": 5.0,
            },
            "events": len(STREAM),
            "bytes_up": len(BODY),
            "bytes_down": len(body),
            "last_sequence_number": len(STREAM) - 1,
            "capture": capture_of(body),
            "response_headers": {
                "content-type": "text/event-stream; charset=utf-8",
                "x-request-id": "req_1",
            },
            "notes": [],
        },
    }
    rollout = {"trace_id": str(bundle_id(1)), "root_thread_id": THREAD}
    thread = {"thread_id": THREAD, "agent_path": "/root", "metadata_payload": None}
    expected: list[tuple[int, str | None, str | None, dict[str, Any]]] = [
        (STARTED_UNIX_MS, None, None, {"type": "rollout_started", **rollout}),
        (STARTED_UNIX_MS, THREAD, None, {"type": "thread_started", **thread}),
        (STARTED_UNIX_MS, THREAD, TURN, {"type": "codex_turn_started", **ids}),
        (STARTED_UNIX_MS, THREAD, TURN, started_event),
        (ended, THREAD, TURN, completed_event),
        (
            ended,
            THREAD,
            TURN,
            {"type": "codex_turn_ended", "codex_turn_id": TURN, "status": "completed"},
        ),
        (
            ended,
            THREAD,
            None,
            {"type": "thread_ended", "thread_id": THREAD, "status": "completed"},
        ),
        (ended, None, None, {"type": "rollout_ended", "status": "completed"}),
        (ended, None, None, {"type": "recording_completed"}),
    ]
    lines = [json.loads(line) for line in (bundle / "trace.jsonl").read_bytes().splitlines()]
    assert lines == [
        {
            "schema_version": 2,
            "seq": sequence,
            "wall_time_unix_ms": at_unix_ms,
            "rollout_id": THREAD,
            "thread_id": thread_id,
            "codex_turn_id": turn_id,
            "payload": payload,
        }
        for sequence, (at_unix_ms, thread_id, turn_id, payload) in enumerate(expected, start=1)
    ]
    assert raw_bundle.payload_names(bundle) == ["1.json", "2.json"]
    assert (bundle / "payloads/1.json").read_bytes() == BODY
    assert raw_bundle.response_payload(bundle) == {
        "response_id": "resp_1",
        "upstream_request_id": "req_1",
        "token_usage": {
            "input_tokens": 11,
            "cached_input_tokens": 0,
            "cache_write_input_tokens": 0,
            "output_tokens": 7,
            "reasoning_output_tokens": 0,
            "total_tokens": 18,
        },
        "output_items": [wire.message_item("Hello")],
        "proxy": {},
    }


def test_summary_of_a_call(record: Recording) -> None:
    """One line of log is told of a call whose terminal is recorded."""
    trace = record.ask(BODY)
    record.clock.advance(10)
    answer(trace, STREAM)
    assert record.summaries == [
        CallSummary(
            call_id=CALL,
            terminal="completed",
            text=None,
            model="gpt-5.5",
            response_id="resp_1",
            upstream_request_id="req_1",
            http_status=200,
            path="/v1/responses",
            duration_ms=10.0,
            first_event_ms=10.0,
            events=len(STREAM),
            bytes_up=len(BODY),
            bytes_down=sum(map(len, STREAM)),
        )
    ]


def test_refused_call(record: Recording) -> None:
    """HTTP 429: failed, with the API's text, upstream's id, the kept headers and the body."""
    body = wire.error_body("Slow down", kind="requests", code="rate_limit_exceeded")
    headers = (
        *JSON_HEAD,
        (b"Retry-After", b"2"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"Set-Cookie", b"session=0123456789"),
    )
    raw = orjson.dumps(body)
    answer(record.ask(), [raw], status=429, headers=headers)
    event, payload = terminal_and_payload(record)
    assert event == {
        "type": "inference_failed",
        "inference_call_id": CALL,
        "upstream_request_id": "req_1",
        "error": "http 429: rate_limit_exceeded: Slow down",
        "partial_response_payload": reference(2, "inference_response"),
        "proxy": event["proxy"]
        | {
            "http_status": 429,
            "response_id": None,
            "response_status": None,
            "outcome": {
                "protocol": "error",
                "transport": "eof",
                "reason": "http 429: rate_limit_exceeded: Slow down",
            },
            "events": 0,
            "capture": capture_of(raw),
            "response_headers": {
                "content-type": "application/json",
                "x-request-id": "req_1",
                "retry-after": "2",
                "x-ratelimit-remaining-requests": "0",
            },
        },
    }
    assert payload == {
        "response_id": None,
        "upstream_request_id": "req_1",
        "token_usage": None,
        "output_items": [],
        "proxy": {"body": body},
    }


def test_cancelled_call_keeps_what_had_come(record: Recording) -> None:
    """The id, the items that were done, and the one in progress, rebuilt from its deltas."""
    done = wire.message_item("Done", "msg_0")
    events = (wire.ev_created(), wire.ev_item_done(done), *BEGUN[2:])
    events = tuple(
        event | {"output_index": 1} if event.get("item_id") == "msg_1" else event
        for event in events
    )
    begun = wire.ev_item_added(wire.message_item("", status="in_progress"), 1)
    events = (*events[:2], begun, *events[3:])
    pieces = wire.sse_pieces(*events)
    pieces[-1] += b"event: response.output_text.delta\ndata: {torn"
    answer(record.ask(), pieces, end=TransportEnd.CLIENT_CLOSED)
    event, payload = terminal_and_payload(record)
    reason = "client disconnected before the response ended"
    assert event == {
        "type": "inference_cancelled",
        "inference_call_id": CALL,
        "upstream_request_id": "req_1",
        "reason": reason,
        "partial_response_payload": reference(2, "inference_response"),
        "proxy": event["proxy"],
    }
    proxy = event["proxy"]
    assert proxy["outcome"] == {
        "protocol": "none",
        "transport": "client_closed",
        "reason": reason,
    }
    assert (proxy["response_id"], proxy["response_status"]) == ("resp_1", "in_progress")
    assert proxy["notes"] == ["unterminated_final_event"]
    assert payload == {
        "response_id": "resp_1",
        "upstream_request_id": "req_1",
        "token_usage": None,
        "output_items": [done],
        "proxy": {
            "partial_items": [
                {
                    "output_index": 1,
                    "item": {
                        "id": "msg_1",
                        "type": "message",
                        "status": "incomplete",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
                    },
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("end", "kind", "text"),
    [
        (TransportEnd.EOF, "inference_failed", "stream closed before response.completed"),
        (TransportEnd.SHUTDOWN, "inference_cancelled", "proxy shut down before the response ended"),
        (TransportEnd.CLIENT_CLOSED, "inference_cancelled", None),
        (TransportEnd.TIMEOUT, "inference_failed", "idle timeout waiting for SSE"),
    ],
)
def test_call_without_an_answer(
    record: Recording, end: TransportEnd, kind: str, text: str | None
) -> None:
    """No head came: there is no id of any kind, and the end decides."""
    record.ask().ended(end, None, Waits())
    event, payload = terminal_and_payload(record)
    assert event["type"] == kind
    assert text in {None, event.get("error"), event.get("reason")}
    assert (event["upstream_request_id"], event["proxy"]["http_status"]) == (None, None)
    assert event["proxy"]["capture"] == capture_of(b"") | {"offset": None}
    assert payload == {
        "response_id": None,
        "upstream_request_id": None,
        "token_usage": None,
        "output_items": [],
        "proxy": {},
    }


def test_completed_wins_over_a_client_that_leaves(record: Recording) -> None:
    """Codex hangs up right after `response.completed`: that call is completed."""
    answer(record.ask(), STREAM, end=TransportEnd.CLIENT_CLOSED)
    event, _ = terminal_and_payload(record)
    assert event["type"] == "inference_completed"
    assert event["proxy"]["outcome"]["transport"] == "client_closed"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("completed", "inference_completed"),
        ("failed", "inference_failed"),
        ("incomplete", "inference_failed"),
        ("cancelled", "inference_cancelled"),
        ("queued", "inference_completed"),
        ("in_progress", "inference_completed"),
    ],
)
def test_json_answer_goes_by_its_status(record: Recording, status: str, kind: str) -> None:
    """A JSON answer's terminal event, turn and payload follow the response's status."""
    item = wire.message_item("Hi")
    body = orjson.dumps(wire.response_object(status=status, output=[item]))
    answer(record.ask({"model": "m"}), [body[:20], body[20:]], headers=JSON_HEAD)
    bundle = only_bundle(record.close())
    event = raw_bundle.only_terminal(bundle)
    assert (event["type"], event["proxy"]["response_status"]) == (kind, status)
    assert event["proxy"]["response_id"] == "resp_1"
    assert event["proxy"]["capture"] == capture_of(body)
    assert raw_bundle.response_payload(bundle)["output_items"] == [item]
    turn = raw_bundle.only_event(bundle, "codex_turn_ended")
    assert turn["status"] == kind.removeprefix("inference_")
    assert raw_bundle.only_event(bundle, "inference_started")["proxy"]["transport"] == "http"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([(b"X-Request-ID", b"a"), (b"x-oai-request-id", b"b")], ("a", "x-request-id")),
        ([(b"x-amzn-RequestId", b"d"), (b"x-oai-request-id", b"b")], ("b", "x-oai-request-id")),
        ([(b"apim-request-id", b"c"), (b"x-amzn-RequestId", b"d")], ("c", "apim-request-id")),
        ([(b"x-amzn-RequestId", b"d"), (b"x-request-id", b"")], ("d", "x-amzn-requestid")),
        ([], (None, None)),
    ],
)
def test_upstream_request_id(
    record: Recording, headers: list[tuple[bytes, bytes]], found: tuple[str | None, str | None]
) -> None:
    """The transport's id is the best that there is, and its header is named."""
    answer(record.ask(), STREAM, headers=(*headers, SSE_HEAD[0]))
    event, payload = terminal_and_payload(record)
    name = event["proxy"]["upstream_request_id_header"]
    assert (event["upstream_request_id"], name) == found
    assert payload["upstream_request_id"] == found[0]


def compaction_ids() -> dict[str, str]:
    """The ids of the only compaction."""
    return {
        "compaction_id": f"compaction:{CALL}",
        "compaction_request_id": f"compaction_request:{CALL}",
    }


def test_compaction(record: Recording) -> None:
    """A compaction is started and completed under its own events, in a turn of its own."""
    output = [wire.message_item("short"), {"type": "compaction", "encrypted_content": "x"}]
    body = {"id": "resp_c", "object": "response.compaction", "output": output}
    trace = record.ask(BODY, scope=Scope.COMPACTION, path="/v1/responses/compact")
    answer(trace, [orjson.dumps(body)], headers=JSON_HEAD)
    bundle = only_bundle(record.close())
    assert raw_bundle.event_types(bundle)[2:6] == [
        "codex_turn_started",
        "compaction_request_started",
        "compaction_request_completed",
        "codex_turn_ended",
    ]
    started = raw_bundle.only_event(bundle, "compaction_request_started")
    assert started == {
        "type": "compaction_request_started",
        **compaction_ids(),
        "thread_id": THREAD,
        "codex_turn_id": TURN,
        "model": "gpt-5.5",
        "provider_name": "api.openai.com",
        "request_payload": reference(1, "compaction_request"),
        "proxy": started["proxy"],
    }
    completed = raw_bundle.only_event(bundle, "compaction_request_completed")
    assert completed == {
        "type": "compaction_request_completed",
        **compaction_ids(),
        "response_payload": reference(2, "compaction_response"),
        "proxy": completed["proxy"],
    }
    payload = raw_bundle.payload(bundle, completed["response_payload"])
    assert (payload["response_id"], payload["output_items"]) == ("resp_c", output)


def test_failed_compaction(record: Recording) -> None:
    """Codex's event for it names no payload: ours stands under `proxy`."""
    trace = record.ask(BODY, scope=Scope.COMPACTION)
    answer(trace, [], headers=JSON_HEAD, end=TransportEnd.CLIENT_CLOSED)
    failed = raw_bundle.only_event(only_bundle(record.close()), "compaction_request_failed")
    assert failed == {
        "type": "compaction_request_failed",
        **compaction_ids(),
        "error": "client disconnected before the response ended",
        "proxy": failed["proxy"],
    }
    assert failed["proxy"]["response_payload"] == reference(2, "compaction_response")


def test_prewarm_is_no_call_and_is_remembered(record: Recording) -> None:
    """It leaves one note: its id, input and output, from which the next call chains."""
    tools = [{"type": "function", "name": "f"}]
    record.call(
        wire.sse(wire.ev_created("resp_0"), wire.ev_completed("resp_0")),
        body={"model": "m", "generate": False, "input": ["x"], "instructions": "i", "tools": tools},
    )
    record.call(*STREAM, body={"model": "m", "previous_response_id": "resp_0", "input": []})
    bundle = only_bundle(record.close())
    note = raw_bundle.only_event(bundle, "protocol_event_observed")
    assert note == {
        "type": "protocol_event_observed",
        "event_type": "tailrace.prewarm",
        "event_payload": reference(1, "protocol_event"),
    }
    assert raw_bundle.payload(bundle, note["event_payload"]) == {
        "response_id": "resp_0",
        "previous_response_id": None,
        "input": ["x"],
        "output": [],
        "instructions": "i",
        "tools": tools,
    }
    started = raw_bundle.only_event(bundle, "inference_started")
    assert started["inference_call_id"] == str(call_id(2))
    assert started["thread_id"] == THREAD


def test_exchange_is_noted_without_bodies(record: Recording) -> None:
    """Another endpoint of the family: what was asked and how it was answered, nothing more."""
    trace = record.begin_exchange(
        method="GET",
        path="/v1/responses/resp_1",
        query="stream=true&api-key=secret-value",
        headers=((b"Authorization", b"Bearer secret-value"),),
    )
    trace.request_piece(b"abc")
    trace.request_ended()
    record.clock.advance(3)
    trace.response_started(200, ((b"x-request-id", b"secret-value-1"), (b"set-cookie", b"a=b")))
    trace.response_piece(b"a body")
    trace.ended(TransportEnd.EOF, None, Waits())
    trace.ended(TransportEnd.SHUTDOWN, None, Waits())
    bundle = only_bundle(record.close())
    note = raw_bundle.only_event(bundle, "protocol_event_observed")
    assert note["event_type"] == "tailrace.exchange"
    assert raw_bundle.payload(bundle, note["event_payload"]) == {
        "method": "GET",
        "path": "/v1/responses/resp_1",
        "query": "stream=true&api-key=[redacted]",
        "connection_id": "c1",
        "http_status": 200,
        "upstream_request_id": "************-1",
        "upstream_request_id_header": "x-request-id",
        "outcome": {"transport": "eof", "reason": None},
        "duration_ms": 3.0,
        "bytes_up": 3,
        "bytes_down": 6,
        "response_headers": {"x-request-id": "************-1"},
    }


def test_metadata_only(tmp_path: Path) -> None:
    """`capture = "metadata"`: every fact of the call, no content of it, no capture."""
    with recording(tmp_path, keep_bodies=False) as record:
        prompt = {"model": "gpt-5.5", "stream": True, "input": "the prompt"}
        record.call(*STREAM, body=prompt)
        answer(record.ask(prompt), STREAM[:6], end=TransportEnd.CLIENT_CLOSED)
        refusal = wire.error_body("no") | {"prompt": "the prompt"}
        answer(record.ask(prompt), [orjson.dumps(refusal)], status=400, headers=JSON_HEAD)
        prewarm = wire.sse(wire.ev_completed(output=[wire.message_item("Hello")]))
        record.call(prewarm, body=prompt | {"generate": False})
        bundle = only_bundle(record.close())
    terminals = [e for e in raw_bundle.events(bundle) if e["type"] in raw_bundle.TERMINALS]
    assert [event["type"] for event in terminals] == [
        "inference_completed",
        "inference_cancelled",
        "inference_failed",
    ]
    for event in terminals:
        assert event["proxy"]["capture"] is None
        payload = raw_bundle.payload(
            bundle, event.get("response_payload") or event["partial_response_payload"]
        )
        assert payload["output_items"] == []
        assert payload["proxy"] == {"lost": "capture is metadata"}
    assert terminals[0]["proxy"]["timing"]["first_text"] is not None
    assert (bundle / "streams/1.cap").read_bytes() == b""
    written = b"".join(path.read_bytes() for path in bundle.rglob("*") if path.is_file())
    assert b"the prompt" not in written
    assert b"Hel" not in written
