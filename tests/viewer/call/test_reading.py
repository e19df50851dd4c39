"""One call, read from bundles that the recorder itself wrote, whole, live and cut off."""

from pathlib import Path

import orjson
import pytest

from tests.support.bundles import BundleBuilder
from tests.support.bundles import message as said_by
from tests.support.events import (
    ev_created,
    ev_failed,
    ev_item_added,
    ev_text_delta,
    function_call_item,
    function_call_stream,
    message_item,
    response_object,
    sse_pieces,
    text_stream,
)
from tests.support.recording import (
    JSON_HEAD,
    SSE_HEAD,
    STARTED_UNIX_MS,
    answer,
    only_bundle,
    recording,
)
from tests.support.socket_recording import Socket, closed, socket_recording
from tests.viewer.call.rows import rows_of
from tests.viewer.call.streamed import ASKED, only_row, streamed
from tracing.call import Waits
from tracing.recovery import recover
from tracing.terminal import TransportEnd
from viewer.call.reading import (
    raw_stream,
    read_story,
    stream_events,
)
from viewer.call.story import EntryKind, Phase, WaitedOn


def test_a_completed_stream_is_told_whole(tmp_path: Path) -> None:
    """Input, settings, output, times and events are those of the call."""
    with recording(tmp_path) as record:
        streamed(record, *text_stream("Hello ", "there"))
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    assert [(entry.who, entry.text) for entry in story.input] == [("user", "Hi")]
    assert [(entry.who, entry.text) for entry in story.output] == [("assistant", "Hello there")]
    settings = {setting.name: (setting.value, setting.pointer) for setting in story.settings}
    assert settings["temperature"] == ("0.5", "/temperature")
    assert "input" not in settings
    assert (story.error, story.missing) == (None, ())
    events, total = stream_events(row, start=0, limit=100)
    assert total == len(events) == len(text_stream("Hello ", "there")) == row.events
    assert [event.at_ms for event in events] == [110.0 + 10 * n for n in range(total)]
    assert [event.sequence_number for event in events] == list(range(total))
    assert events[-1].summary.startswith("resp_1, completed")
    deltas = [event.summary for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["Hello ", "there"]
    spans = [(span.phase, span.start_ms, span.end_ms) for span in story.waterfall.spans]
    assert spans[:2] == [(Phase.HEADERS, 0.0, 100.0), (Phase.FIRST_EVENT, 100.0, 110.0)]
    assert spans[-1] == (Phase.END, 100.0 + 10 * total, 110.0 + 10 * total)
    assert Phase.TEXT in {phase for phase, _, _ in spans}
    assert story.waterfall.chunks == len(story.waterfall.ticks) == total


def test_events_are_paged(tmp_path: Path) -> None:
    """A page begins where it is told to, and the total stays that of the call."""
    with recording(tmp_path) as record:
        streamed(record, *text_stream("a", "b", "c"))
        row = only_row(only_bundle(record.close()))
    everything, total = stream_events(row, start=0, limit=1000)
    assert stream_events(row, start=3, limit=2) == (everything[3:5], total)
    assert stream_events(row, start=total, limit=2) == ([], total)


def test_an_event_over_several_pieces_came_with_its_last(tmp_path: Path) -> None:
    """The time of an event is when it was whole."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        trace.response_started(200, SSE_HEAD)
        (piece,) = sse_pieces(ev_created())
        for part in (piece[:30], piece[30:-1], piece[-1:] + b": comment\n\n"):
            record.clock.advance(50)
            trace.response_piece(part)
        trace.ended(TransportEnd.EOF, None, Waits())
        row = only_row(only_bundle(record.close()))
    (event,), total = stream_events(row, start=0, limit=9)
    assert (event.at_ms, event.type, total) == (150.0, "response.created", 1)


def test_what_a_cancelled_call_was_cut_in_is_partial(tmp_path: Path) -> None:
    """The client left: what had come is told as far as it came, and marked."""
    with recording(tmp_path) as record:
        events = (
            ev_created(),
            ev_item_added(message_item("", status="in_progress")),
            ev_text_delta("Hel"),
        )
        streamed(record, *events, end=TransportEnd.CLIENT_CLOSED)
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    assert row.status == "cancelled"
    (entry,) = story.output
    assert (entry.text, entry.is_partial) == ("Hel", True)
    assert entry.pointer == "/proxy/partial_items/0/item"
    assert story.error == "client disconnected before the response ended"


def test_a_failed_call_tells_why(tmp_path: Path) -> None:
    """Upstream's own words stand in the place of a response."""
    with recording(tmp_path) as record:
        streamed(record, ev_created(), ev_failed(message="The model broke."))
        row = only_row(only_bundle(record.close()))
    assert read_story(row).error == "server_error: The model broke."


def test_an_http_error_is_told_with_its_body(tmp_path: Path) -> None:
    """A refusal has a body, which is one event and no stream."""
    body = {"error": {"message": "No such model", "code": "model_not_found"}}
    with recording(tmp_path) as record:
        answer(record.ask(ASKED), [orjson.dumps(body)], status=404, headers=JSON_HEAD)
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    assert story.error is not None
    assert orjson.loads(story.error) == body
    (event,), total = stream_events(row, start=0, limit=9)
    assert (event.type, event.summary, total) == ("error", "model_not_found: No such model", 1)


def test_a_json_response_is_one_event(tmp_path: Path) -> None:
    """A response without a stream came when its last byte did, whatever was asked for."""
    output = [said_by("assistant", "Hello")]
    body = orjson.dumps(response_object(output=output))
    with recording(tmp_path) as record:
        trace = record.ask({"model": "gpt-5.5", "input": "Hi"})
        record.clock.advance(100)
        trace.response_started(200, JSON_HEAD)
        for piece in (body[:50], body[50:]):
            record.clock.advance(10)
            trace.response_piece(piece)
        trace.ended(TransportEnd.EOF, None, Waits())
        row = only_row(only_bundle(record.close()))
    (event,), total = stream_events(row, start=0, limit=9)
    assert (event.type, event.at_ms, event.size, total) == ("response", 120.0, len(body), 1)
    story = read_story(row)
    assert [entry.text for entry in story.output] == ["Hello"]
    phases = [(span.phase, span.end_ms) for span in story.waterfall.spans]
    assert phases == [(Phase.HEADERS, 100.0), (Phase.OTHER, 120.0)]
    assert raw_stream(row) == body


def test_a_running_call_shows_what_came_so_far(tmp_path: Path) -> None:
    """There is no end that says where the capture is, and yet its text is told."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        record.call(*sse_pieces(*text_stream("of another call")))
        trace.response_started(200, SSE_HEAD)
        second = {"output_index": 1}
        begun = (event | second for event in text_stream("Hel", "lo", item_id="msg_2")[2:5])
        for piece in sse_pieces(*text_stream("first")[:-1], *begun):
            trace.response_piece(piece)
        record.journal.flush()
        (bundle,) = record.bundles()
        row, _ = rows_of(bundle, is_live=True)
        story = read_story(row)
        trace.ended(TransportEnd.EOF, None, Waits())
        record.close()
    assert row.status == "running"
    assert story.waterfall.is_running
    assert story.waterfall.duration_ms > STARTED_UNIX_MS / 1000
    assert story.error is None
    said = [(entry.text, entry.is_partial) for entry in story.output]
    assert said == [("first", False), ("Hel", True)]
    assert "of another call" not in str(story.output)


def test_a_call_whose_recorder_died_says_so(tmp_path: Path) -> None:
    """Its output is there as far as it was written, and nobody knows how it ended."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        record.clock.advance(20)
        trace.response_started(200, SSE_HEAD)
        for piece in sse_pieces(
            ev_created(),
            ev_item_added(message_item("", status="in_progress")),
            ev_text_delta("Hel"),
        ):
            trace.response_piece(piece)
        row = only_row(only_bundle(record.crash()))
    story = read_story(row)
    assert [(entry.text, entry.is_partial) for entry in story.output] == [("Hel", True)]
    assert any("nobody knows" in sentence for sentence in story.missing)
    assert not story.waterfall.is_running
    assert story.waterfall.duration_ms == 20.0


def test_a_call_that_a_crash_cut_is_told_from_its_seal(tmp_path: Path) -> None:
    """Sealing writes the end that the recorder could not: its text, its times, and that it died."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        record.clock.advance(20)
        trace.response_started(200, SSE_HEAD)
        record.clock.advance(30)
        for piece in sse_pieces(*text_stream("Hel", "lo")[:5]):
            trace.response_piece(piece)
        bundle = only_bundle(record.crash())
    recover(tmp_path)
    story = read_story(only_row(bundle))
    assert [(entry.text, entry.is_partial) for entry in story.output] == [("Hel", True)]
    assert story.error == "proxy terminated"
    assert story.missing == ()
    phases = [(span.phase, span.end_ms) for span in story.waterfall.spans]
    assert phases == [(Phase.HEADERS, 20.0), (Phase.FIRST_EVENT, 50.0)]


def test_calls_of_a_websocket_are_told_apart(tmp_path: Path) -> None:
    """Two lanes at once: each call has its own messages, timed from its own request."""
    with socket_recording(tmp_path) as record:
        socket = Socket(record)
        socket.create("one", stream_id="a")
        socket.create("two", stream_id="b")
        record.clock.advance(40)
        for event in text_stream("Left", response_id="resp_a"):
            socket.receive(event, stream_id="a")
        record.clock.advance(40)
        for event in text_stream("Right", response_id="resp_b"):
            socket.receive(event, stream_id="b")
        socket.end()
        left, right = rows_of(closed(record))
    for row, text, at_ms in ((left, "Left", 40.0), (right, "Right", 80.0)):
        story = read_story(row)
        assert [entry.text for entry in story.output] == [text]
        assert story.waterfall.spans[0].phase is Phase.HEADERS
        events, _ = stream_events(row, start=0, limit=1)
        assert [event.at_ms for event in events] == [at_ms]
        raw = raw_stream(row)
        assert raw is not None
        assert all(orjson.loads(line) for line in raw.splitlines())


def test_metadata_only_is_one_sentence(tmp_path: Path) -> None:
    """Where bodies were not to be kept, that is said once, and times are there all the same."""
    with recording(tmp_path, keep_bodies=False) as record:
        streamed(record, *text_stream("Hello"))
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    assert len(story.missing) == 1
    assert "metadata only" in story.missing[0]
    assert (story.input, story.output) == ((), ())
    assert stream_events(row, start=0, limit=9) == ([], 0)
    assert [span.phase for span in story.waterfall.spans][:2] == [Phase.HEADERS, Phase.FIRST_EVENT]


def test_what_was_lost_and_taken_out_is_told(tmp_path: Path) -> None:
    """Lost bytes of the stream, and secrets of the request, by their number."""
    asked = {**ASKED, "tools": [{"type": "mcp", "server_label": "s", "authorization": "secret-1"}]}
    with recording(tmp_path, capture_bytes_max=600) as record:
        record.call(*sse_pieces(*text_stream("Hello")), body=asked)
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    assert story.tools == ("mcp s",)
    assert any(sentence.startswith("1 secret was taken out") for sentence in story.missing)
    assert any("bytes were not kept" in sentence for sentence in story.missing)


def test_a_body_that_is_no_json_is_shown_as_text(tmp_path: Path) -> None:
    """What the client sent is evidence, whatever it is."""
    with recording(tmp_path) as record:
        record.call(*sse_pieces(ev_failed()), body=b"model=gpt&input=Hi")
        row = only_row(only_bundle(record.close()))
    story = read_story(row)
    (entry,) = story.input
    assert (entry.kind, entry.text) == (EntryKind.OTHER, "model=gpt&input=Hi")
    assert any("no JSON" in sentence for sentence in story.missing)


def test_a_client_that_takes_nothing_is_who_is_waited_for(tmp_path: Path) -> None:
    """A silence in which the client was blocked is the client's; any other one is upstream's."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        trace.response_started(200, SSE_HEAD)
        for pause_ms, piece in zip((10, 900, 10, 700, 10), [b": tick\n\n"] * 5, strict=True):
            record.clock.advance(pause_ms)
            trace.response_piece(piece)
        waits = Waits(client_ns=800_000_000, client_blocked_ns=((20_000_000, 820_000_000),))
        trace.ended(TransportEnd.EOF, None, waits)
        row = only_row(only_bundle(record.close()))
    gaps = [(gap.start_ms, gap.end_ms, gap.waited_on) for gap in read_story(row).waterfall.gaps]
    assert gaps == [
        (10.0, 910.0, WaitedOn.CLIENT),
        (920.0, 1620.0, WaitedOn.UPSTREAM),
    ]


@pytest.mark.parametrize("steps_ms", [-5000, 5000])
def test_a_clock_that_is_set_leaves_times_within_the_call(tmp_path: Path, steps_ms: int) -> None:
    """The wall clock is set amid the stream: what is told stays in order, from 0 to the end."""
    with recording(tmp_path) as record, pytest.MonkeyPatch.context() as patch:
        was = record.clock.time_ns
        trace = record.ask(ASKED)
        trace.response_started(200, SSE_HEAD)
        for number, piece in enumerate(sse_pieces(*text_stream("a", "b", "c"))):
            record.clock.advance(10)
            if number == 3:
                patch.setattr(record.clock, "time_ns", lambda: was() + steps_ms * 1_000_000)
            trace.response_piece(piece)
        trace.ended(TransportEnd.EOF, None, Waits())
        row = only_row(only_bundle(record.close()))
    fall = read_story(row).waterfall
    times = [time for span in fall.spans for time in (span.start_ms, span.end_ms)]
    assert times == sorted(times)
    assert list(fall.ticks) == sorted(fall.ticks)
    assert times[0] >= 0
    assert max(times[-1], fall.ticks[-1]) <= fall.duration_ms


def test_a_bundle_of_codex_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    """No keys of ours, no capture: the payloads and the two times are what there is."""
    builder = BundleBuilder(tmp_path / "trace-codex")
    builder.turn("t")
    builder.start("c", "t", [said_by("user", "Hi")])
    builder.complete("c", [said_by("assistant", "Hello")], response_id="resp_1")
    row = only_row(builder.write())
    story = read_story(row)
    assert [entry.text for entry in (*story.input, *story.output)] == ["Hi", "Hello"]
    assert (dict(story.start), dict(story.end), story.missing) == ({}, {}, ())
    assert story.waterfall.duration_ms == 10.0
    assert stream_events(row, start=0, limit=9) == ([], 0)
    assert raw_stream(row) is None


def test_a_function_call_is_a_stretch_of_its_own(tmp_path: Path) -> None:
    """The time in which a tool's arguments came goes by the tool's name."""
    with recording(tmp_path) as record:
        item = function_call_item("get_weather", {"city": "Oslo"})
        streamed(record, *function_call_stream(item))
        row = only_row(only_bundle(record.close()))
    tools = [span for span in read_story(row).waterfall.spans if span.phase is Phase.TOOL]
    assert [span.name for span in tools] == ["get_weather"]
