"""The events and payloads of whole calls, object for object."""

import hashlib
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
    reference,
)
from tracing.call import CallSummary, Waits
from tracing.terminal import TransportEnd

BODY = b'{ "model": "gpt-5.5", "stream": true, "input": [] }'
CALL = str(call_id(1))
THREAD, TURN = f"thread:{CALL}", f"turn:{CALL}"
STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording with the usual settings."""
    with recording(tmp_path / "traces") as made:
        yield made


def sha256(data: bytes) -> str:
    """The hash as the bundle writes it."""
    return hashlib.sha256(data).hexdigest()


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


def started_proxy(body: bytes) -> dict[str, Any]:
    """What `proxy` says of the start of a call with this body, and no header of note."""
    return {
        "transport": "sse",
        "method": "POST",
        "path": "/v1/responses",
        "query": "",
        "connection_id": "c1",
        "stream_id": None,
        "client_call_id": None,
        "retry_count": 0,
        "request": {
            "bytes": len(body),
            "sha256": sha256(body),
            "kept_sha256": sha256(body),
            "content_encoding": None,
            "form": "wire",
            "redacted": [],
        },
        "client": {"user_agent": None, "client_request_id": None, "traceparent": None},
        "auth": {"present": False, "header": None},
    }


def completed_proxy(body: bytes) -> dict[str, Any]:
    """What `proxy` says of the end of the call that completes below."""
    return {
        "http_status": 200,
        "response_id": "resp_1",
        "upstream_request_id_header": "x-request-id",
        "response_status": "completed",
        "outcome": {"protocol": "completed", "transport": "eof", "reason": None},
        "timing": {
            "request_ended": 3.0,
            "upstream_headers": 13.0,
            "first_event": 18.0,
            "first_text": 38.0,
            "last_event": 63.0,
            "ended": 64.0,
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
    }


def completed_events(body: bytes) -> list[tuple[int, str | None, str | None, dict[str, Any]]]:
    """Time, thread, turn and payload of each event of the call that completes below."""
    start, end = STARTED_UNIX_MS, STARTED_UNIX_MS + 64
    ids = {"thread_id": THREAD, "codex_turn_id": TURN}
    rollout = {"trace_id": str(bundle_id(1)), "root_thread_id": THREAD}
    thread = {"thread_id": THREAD, "agent_path": "/root", "metadata_payload": None}
    started = {
        "inference_call_id": CALL,
        **ids,
        "model": "gpt-5.5",
        "provider_name": "api.openai.com",
        "request_payload": reference(1, "inference_request"),
        "proxy": started_proxy(BODY),
    }
    completed = {
        "inference_call_id": CALL,
        "response_id": "resp_1",
        "upstream_request_id": "req_1",
        "response_payload": reference(2, "inference_response"),
        "proxy": completed_proxy(body),
    }
    turn_ended = {"codex_turn_id": TURN, "status": "completed"}
    thread_ended = {"thread_id": THREAD, "status": "completed"}
    return [
        (start, None, None, {"type": "rollout_started", **rollout}),
        (start, THREAD, None, {"type": "thread_started", **thread}),
        (start, THREAD, TURN, {"type": "codex_turn_started", **ids}),
        (start, THREAD, TURN, {"type": "inference_started", **started}),
        (end, THREAD, TURN, {"type": "inference_completed", **completed}),
        (end, THREAD, TURN, {"type": "codex_turn_ended", **turn_ended}),
        (end, THREAD, None, {"type": "thread_ended", **thread_ended}),
        (end, None, None, {"type": "rollout_ended", "status": "completed"}),
        (end, None, None, {"type": "recording_completed"}),
    ]


def test_completed_call_whole(record: Recording) -> None:
    """Every event, envelope and payload of a streamed call, and nothing beside them."""
    trace = record.begin()
    record.clock.advance(3)
    trace.request_piece(BODY)
    trace.request_ended()
    record.clock.advance(10)
    trace.response_started(200, SSE_HEAD)
    for piece in STREAM:
        record.clock.advance(5)
        trace.response_piece(piece)
    record.clock.advance(1)
    trace.ended(TransportEnd.EOF, None, Waits(upstream_ns=2_000_000, client_ns=500_000))
    bundle = only_bundle(record.close())
    assert raw_bundle.lines(bundle) == [
        {
            "schema_version": 2,
            "seq": sequence,
            "wall_time_unix_ms": at_unix_ms,
            "rollout_id": THREAD,
            "thread_id": thread_id,
            "codex_turn_id": turn_id,
            "payload": payload,
        }
        for sequence, (at_unix_ms, thread_id, turn_id, payload) in enumerate(
            completed_events(b"".join(STREAM)), start=1
        )
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
    events = (
        wire.ev_created(),
        wire.ev_item_done(done),
        wire.ev_item_added(wire.message_item("", status="in_progress"), 1),
        wire.ev_part_added(output_index=1),
        wire.ev_text_delta("Hel", output_index=1),
        wire.ev_text_delta("lo", output_index=1),
    )
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
