"""What may be shared of a call: enough for support, and nothing that anybody wrote."""

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.events import (
    Event,
    ev_created,
    sse_pieces,
    text_stream,
)
from tests.support.recording import (
    JSON_HEAD,
    SSE_HEAD,
    answer,
    only_bundle,
    recording,
)
from tests.viewer.call.rows import rows_of
from tests.viewer.terminal.shown import ASKED, HEADERS, shown
from tracing.call import Waits
from tracing.terminal import TransportEnd
from viewer.call.support import support_packet

marked = st.from_regex(re.compile(r"Zq[A-Z][a-z]{3}[ 0-9A-Z{}\"'<>]{0,6}qZ"), fullmatch=True)
"""A text that occurs nowhere but where the test puts it."""

contents = st.recursive(
    marked | st.integers(0, 9) | st.booleans(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(marked, children, max_size=3),
    max_leaves=6,
)
ITEM_KEYS = ("type", "role", "content", "name", "arguments", "output", "id", "call_id", "text")
items = st.lists(st.dictionaries(st.sampled_from(ITEM_KEYS) | marked, contents, max_size=5))
SETTING_KEYS = ("instructions", "tools", "metadata", "user", "temperature", "text", "reasoning")
bodies = st.fixed_dictionaries(
    {"input": items | marked},
    optional=dict.fromkeys(SETTING_KEYS, contents | items),
)


@settings(max_examples=40, deadline=None)
@given(bodies, items, contents)
def test_a_support_packet_holds_no_content(
    tmp_path_factory: pytest.TempPathFactory, body: Any, output: Any, error: Any
) -> None:
    """Not one text of a request, a response or an error is in it, wherever it stood."""
    trace_dir = tmp_path_factory.mktemp("traces")
    response = {"id": "resp_1", "status": "completed", "output": output, "error": error}
    completed: Event = {"type": "response.completed", "response": response}
    with recording(trace_dir) as record:
        record.call(*sse_pieces(completed), body={**body, "model": "gpt-5.5"})
        refusal = {"error": {"message": error, "code": error, "type": error}}
        answer(record.ask(body), [orjson.dumps(refusal)], status=400, headers=JSON_HEAD)
        answer(record.ask(body), sse_pieces(ev_created()), end=TransportEnd.CLIENT_CLOSED)
        rows = rows_of(only_bundle(record.close()))
    for row in rows:
        packet = orjson.dumps(support_packet(row))
        assert b"Zq" not in packet
        assert b"qZ" not in packet


def test_a_support_packet_has_what_upstream_needs(tmp_path: Path) -> None:
    """Both ids, times, rate limits, versions, and how much there was of what."""
    limits = ((b"x-ratelimit-remaining-requests", b"7"), (b"set-cookie", b"crumb=1"))
    asked = {**ASKED, "instructions": "Be brief.", "tools": [{"type": "function", "name": "f"}]}
    with recording(tmp_path) as record:
        trace = record.ask(asked, headers=HEADERS)
        answer(trace, sse_pieces(*text_stream("Hello")), headers=SSE_HEAD + limits)
        record.close()
    packet = json.loads(shown(tmp_path, "last", "--support"))
    assert packet["ids"]["upstream_request_id"] == "req_1"
    assert packet["ids"]["response_id"] == "resp_1"
    assert packet["call"]["client"] == "OpenAI/Python 3.54.0"
    assert packet["call"]["started_at"] == "2023-11-14T22:13:20.000Z"
    assert packet["response_headers"] == {
        "x-request-id": "req_1",
        "x-ratelimit-remaining-requests": "7",
    }
    assert packet["request"]["tools"] == {"function": 1}
    assert packet["request"]["items"]["string"]["count"] == 1
    assert packet["request"]["instructions_characters"] == len("Be brief.")
    assert packet["response"]["items"]["message assistant"]["count"] == 1


def test_a_support_packet_of_a_call_that_runs_has_its_times_so_far(tmp_path: Path) -> None:
    """Of a call that hangs: when the head came, the first event, the first text, the last event."""
    pieces = sse_pieces(*text_stream("A ", "channel."))
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        record.clock.advance(200)
        trace.response_started(200, SSE_HEAD)
        for piece in pieces[:5]:
            record.clock.advance(50)
            trace.response_piece(piece)
        record.journal.flush()
        packet = json.loads(shown(tmp_path, "last", "--support"))
        trace.ended(TransportEnd.CLIENT_CLOSED, None, Waits())
        record.close()
    told = {name: ms for name, ms in packet["timing_ms"].items() if ms is not None}
    assert told == {
        "upstream_headers": 200.0,
        "first_event": 250.0,
        "first_text": 450.0,
        "last_event": 450.0,
        "max_gap": 50.0,
    }
    assert packet["call"]["status"] == "running"
    assert packet["call"]["as_of"] > packet["call"]["started_at"]
    ended = json.loads(shown(tmp_path, "last", "--support"))
    assert ended["call"]["as_of"] is None
    assert {name: ended["timing_ms"][name] for name in told} == told
