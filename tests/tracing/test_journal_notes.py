"""Compactions, prewarms, other exchanges, and what is kept where only metadata is."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import (
    JSON_HEAD,
    Recording,
    answer,
    call_id,
    only_bundle,
    recording,
    reference,
)
from tracing.call import Waits
from tracing.scope import Scope
from tracing.terminal import TransportEnd

BODY = b'{"model": "gpt-5.5", "input": []}'
CALL = str(call_id(1))
THREAD, TURN = f"thread:{CALL}", f"turn:{CALL}"
STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording with the usual settings."""
    with recording(tmp_path / "traces") as made:
        yield made


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
