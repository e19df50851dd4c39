"""The page of a call: how it ended, what was said, where it was cut, and what is one click away."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.events import ev_completed, ev_created, ev_text_delta, sse_pieces, text_stream
from tests.support.recording import SSE_HEAD, only_bundle, recording
from tests.support.running_page import RunningPage
from tests.viewer.call.streamed import ASKED, only_row, streamed
from tests.viewer.page.markup import is_open, region, words
from viewer.page.call_page import TEXT_PAGE
from viewer.page.call_parts import PAGE
from viewer.page.event_table import EVENTS_PAGE
from viewer.page.links import call_url

CALL = "/call/trace-1/call-1"
CUT = {
    "http_status": 200,
    "response_id": "resp_1",
    "outcome": {"protocol": "none", "transport": "client_closed", "reason": "client disconnected"},
    "timing": {"upstream_headers": 200.0, "first_event": 210.0, "ended": 1204.0},
}
HOSTILE = (
    "<script>alert(1)</script> \x1b[31mred \x00 \u202eevil\u202c \u200bhidden & 'quoted' \""
    " <img src=x>"
)


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle in the making, with a turn `t`."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    return builder


def shown(bundle: BundleBuilder, path: str = CALL) -> str:
    """The page at a path, of the bundle as it is."""
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        answer = page.get(path)
    assert answer.status == 200, answer.text
    return answer.text


def test_cancelled_call_is_told_in_words(bundle: BundleBuilder) -> None:
    """Who ended it, after how long and how far; and its partial text, with a line where it ends."""
    partial = message("assistant", "x" * 340, status="incomplete")
    bundle.start("call-1", "t", [message("user", "Go on.")], proxy={"transport": "sse"})
    bundle.cancel(
        "call-1",
        response_id="resp_1",
        upstream_request_id="req_1",
        partial_items=[{"output_index": 0, "item": partial}],
        proxy=CUT,
    )
    page = shown(bundle)
    headline = words(region(page, "headline"))
    assert "Cancelled: the client disconnected after 1.20 s, 340 characters in" in headline
    assert 'data-copy="resp_1"' in page
    assert 'data-copy="req_1"' in page
    response = words(region(page, "response"))
    assert response.index("x" * 340) < response.index("cut here: the client disconnected")


def test_text_of_a_model_is_text(bundle: BundleBuilder) -> None:
    """Markup in it does nothing, and what could not be seen is."""
    bundle.start("call-1", "t", {"model": HOSTILE, "input": HOSTILE, "instructions": HOSTILE})
    call = {"type": "function_call", "name": HOSTILE, "call_id": HOSTILE, "arguments": HOSTILE}
    bundle.complete("call-1", [message("assistant", HOSTILE), call], response_id=HOSTILE)
    page = shown(bundle)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert not any(c in page for c in "\x1b\x00\u202e\u202c\u200b")
    assert '<span class="esc">\\x1b</span>[31mred' in page
    assert '<span class="esc">\\u202e</span>evil' in page


def test_earlier_conversation_is_folded(bundle: BundleBuilder) -> None:
    """What the call before was shown is there, but closed; what is new is open."""
    asked = [message("user", "first"), message("assistant", "answer"), message("user", "second")]
    bundle.start("call-1", "t", asked)
    bundle.complete("call-1")
    page = shown(bundle)
    assert not is_open(page, "earlier")
    _, _, rest = region(page, "request").partition('id="earlier"')
    before, _, after = rest.partition("</details>")
    assert "first" in before
    assert "answer" in before
    assert "second" in after
    assert "second" not in before


def test_long_text_is_paged_through(bundle: BundleBuilder) -> None:
    """A page shows its beginning and says how much is left; the whole is elsewhere, in parts."""
    text = "".join(f"line {number}\n" for number in range(30_000))
    bundle.start("call-1", "t", [message("user", "Count.")])
    bundle.complete("call-1", [message("assistant", text)])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get(CALL).text
        assert len(html) < PAGE.text + 60_000
        assert "more characters" in words(html)
        assert f'href="{CALL}/text?of=output.0"' in html
        parts = -(-len(text) // TEXT_PAGE)
        found = [
            page.get(f"{CALL}/text?of=output.0&page={number}").text
            for number in range(1, parts + 1)
        ]
        assert "line 0\n" in found[0]
        assert "line 29999\n" in found[-1]
        assert 'rel="next"' not in found[-1]
        for place in ("output.1", "output.-1", "elsewhere", "output.\u0663"):
            assert page.get(f"{CALL}/text?of={place.encode()!r}").status == 404


def test_long_input_is_paged_through(bundle: BundleBuilder) -> None:
    """Of a long conversation the end is on the page, and all of it a click away."""
    asked = [message("user", f"item {number}.") for number in range(240)]
    bundle.start("call-1", "t", asked)
    bundle.complete("call-1")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get(CALL).text
        assert "item 239." in html
        assert "item 139." not in html
        assert "140 more before these" in words(html)
        assert "item 0." in page.get(f"{CALL}/input").text
        last = page.get(f"{CALL}/input?page=5").text
        assert "item 239." in last
        assert page.get(f"{CALL}/input?page=999999999").text == last


def test_raw_parts_cannot_act(bundle: BundleBuilder) -> None:
    """The payloads are given byte for byte, as what no browser runs; what is not there is told."""
    bundle.start("call-1", "t", [message("user", "<script>alert(1)</script>")])
    bundle.complete("call-1", [message("assistant", "Hi")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        for part, kept in (("request", "1"), ("response", "2")):
            answer = page.get(f"{CALL}/{part}.json")
            assert answer.text.encode() == bundle.files[f"payloads/{kept}.json"]
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
        curl = page.get(f"{CALL}/curl.txt")
        assert curl.headers["Content-Type"].startswith("text/plain")
        assert "$OPENAI_API_KEY" in curl.text
        packet = page.get(f"{CALL}/support.json").text
        assert '"ids"' in packet
        assert "alert" not in packet
        missing = page.get(f"{CALL}/stream.txt")
        assert missing.status == 404
        assert "Nothing was kept" in missing.text


def test_events_are_told_with_their_times(tmp_path: Path) -> None:
    """A page of them, each with when it came and how long after the one before; then the next."""
    deltas = [ev_text_delta(f"word{number} ") for number in range(EVENTS_PAGE + 10)]
    with recording(tmp_path) as record:
        streamed(record, ev_created("resp_1"), *deltas, ev_completed("resp_1"))
        row = only_row(only_bundle(record.close()))
    with RunningPage(tmp_path) as page:
        first = page.get(call_url(row)).text
        table = words(region(first, "events"))
        assert f"1 to 200 of {EVENTS_PAGE + 12}" in table
        assert "+10 ms response.output_text.delta" in table
        assert "word0" in table
        assert "word209" not in table
        rest = words(region(page.get(f"{call_url(row)}?from=200").text, "events"))
        assert "word209" in rest
        assert "201 2.11 s +10 ms" in rest
        assert page.get(f"{call_url(row)}?from=999999999").text.count("<tr>") == 13
        stream = page.get(f"{call_url(row)}/stream.txt")
        assert stream.headers["Content-Type"].startswith("text/plain")
        assert "event: response.created" in stream.text


def test_waterfall_can_be_heard(tmp_path: Path) -> None:
    """Each bar's name, length and beginning are text, for who cannot see the drawing."""
    with recording(tmp_path) as record:
        streamed(record, ev_created("resp_1"), ev_text_delta("Hi"), ev_completed("resp_1"))
        row = only_row(only_bundle(record.close()))
    with RunningPage(tmp_path) as page:
        chart = page.get(f"{call_url(row)}?fragment=waterfall").text
    assert chart.strip().startswith('<section class="panel waterfall" id="waterfall"')
    assert "Waiting for headers : 100 ms , from 0.0 ms on" in words(chart)


def test_attempts_are_linked(bundle: BundleBuilder) -> None:
    """A call that was tried again names its attempts, and which of them it is."""
    digest = {"bytes": 1, "sha256": "a" * 64}
    for number, call in enumerate(("call-1", "call-2")):
        proxy = {"transport": "http", "path": "/v1/responses", "retry_count": number}
        bundle.start(call, "t", [message("user", "Hi")], proxy={**proxy, "request": digest})
        if number == 0:
            bundle.fail(call, error="overloaded", proxy={"http_status": 503})
    bundle.complete("call-2", [message("assistant", "Hi")])
    page = shown(bundle)
    assert "1, this one" in words(page)
    assert 'href="/call/trace-1/call-2">2, no answer</a>' in page


def test_chain_is_linked(bundle: BundleBuilder) -> None:
    """From a call one gets to the one before, to those after, and to what differs."""
    bundle.start("call-1", "t", [message("user", "one")])
    bundle.complete("call-1", [message("assistant", "1")], response_id="resp_1")
    for call, asked in (("call-2", "two"), ("call-3", "other")):
        body = {
            "model": "m",
            "previous_response_id": "resp_1",
            "input": [message("user", asked)],
        }
        bundle.start(call, "t", body)
        bundle.complete(call, [message("assistant", asked)], response_id=f"resp_{call}")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        first = page.get(CALL).text
        assert 'href="/call/trace-1/call-2">two</a>' in first
        assert 'href="/call/trace-1/call-3">other</a>' in first
        second = page.get("/call/trace-1/call-2").text
        assert f'href="{CALL}">the call before</a>' in second
        assert 'href="/diff?a=trace-1/call-1&amp;b=trace-1/call-2"' in second


def test_running_call_grows(tmp_path: Path) -> None:
    """What came so far is shown, marked as still coming, and the regions that grow are live."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED)
        trace.response_started(200, SSE_HEAD)
        record.clock.advance(10)
        for piece in sse_pieces(*text_stream("Half", " an")[:-3]):
            trace.response_piece(piece)
        record.journal.flush()
        row = only_row(only_bundle(record.bundles()), is_live=True)
        with RunningPage(tmp_path) as page:
            html = page.get(call_url(row)).text
            response = page.get(f"{call_url(row)}?fragment=response").text
    assert "Running, 7 characters so far" in words(region(html, "headline"))
    assert "Half an still coming" in words(response)
    for part in ("headline", "waterfall", "response", "events"):
        assert f'data-live="{row.trace_id}/{row.call_id}"' in region(html, part)


def test_lost_call_is_told_as_such(bundle: BundleBuilder) -> None:
    """What a crash left does not run, and its page does not wait for more."""
    bundle.start("call-1", "t", [message("user", "Hi")])
    page = shown(bundle)
    assert "Lost: its recorder died" in words(region(page, "headline"))
    assert "data-live" not in region(page, "response")


def test_call_that_is_not_there(bundle: BundleBuilder) -> None:
    """A bundle that was pruned, or a wrong address, is no failure of ours."""
    bundle.start("call-1", "t", [message("user", "Hi")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        for path in ("/call/trace-1/other", "/call/other/call-1", f"{CALL}?fragment=nothing"):
            assert page.get(path).status == 404
        assert "no such call" in page.get("/call/trace-1/other").text


def test_missing_payload_is_told(bundle: BundleBuilder) -> None:
    """What could not be kept stands in a box of its own, and the rest is shown."""
    bundle.start("call-1", "t", [message("user", "Hi")])
    bundle.complete("call-1", [message("assistant", "Hello")])
    del bundle.files["payloads/1.json"]
    page = shown(bundle)
    assert "What is missing" in words(region(page, "missing"))
    assert "Hello" in page
