"""One call in a real browser: how it ended, what was said, when, and what lies a click behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Response, expect

from tests.support.events import ev_text_delta, message_item
from tests.support.running_proxy import RunningProxy
from tests.support.sample_answers import Answer, Pace, Saying
from tests.support.sample_calls import SampleCalls
from tests.support.sample_traces import NOTES, RELEASE_NOTES
from tests.support.script import stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.view_process import ViewProcess

from .sample_paths import SamplePaths
from .watched_page import Watched

HUGE_EVENTS = 50_000
HUGE_DELTA = "0123456789abcdef " * 10
HUGE = Answer(name="huge", parts=[Saying("")])

ELEMENTS_MAX = 6_000
BYTES_MAX = 1_000_000
"""What the page of a call may weigh, however large the call is."""


def test_completed_call_tells_its_story(watched: Watched, paths: SamplePaths) -> None:
    """Its end, both ids, the tool's output that went in, reasoning and text that came out."""
    page = watched.open(paths.call("fix 3"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
    expect(page.locator("#request")).to_contain_text("What a customer is about to buy")
    expect(page.locator("#response")).to_contain_text("Checking the arithmetic")
    expect(page.locator("#response")).to_contain_text("rounds half to even")
    facts = page.locator("#headline")
    expect(facts).to_contain_text("2,094")
    expect(facts).to_contain_text("1,664")
    expect(page.locator("#waterfall")).to_contain_text("Reasoning")


def test_both_ids_can_be_copied(
    browser: Browser, sample_view: ViewProcess, paths: SamplePaths
) -> None:
    """A button beside each id puts it on the clipboard, and says so to a screen reader."""
    answer_id = Answer(name="fix 3", parts=[])
    with Watched(browser, sample_view.url) as watched:
        watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = watched.open(paths.call("fix 3"))
        for label, wanted in (
            ("response", answer_id.response_id),
            ("request", answer_id.request_id),
        ):
            page.get_by_role("button", name=f"Copy the {label} id").click()
            expect(page.get_by_role("status")).to_have_text("Copied")
            assert page.evaluate("navigator.clipboard.readText()") == wanted


def test_cancelled_call_shows_its_partial_text_and_where_it_was_cut(
    watched: Watched, paths: SamplePaths
) -> None:
    """What had come by then is there, to the last delta, and a mark says that it was cut."""
    page = watched.open(paths.call("release notes"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cancelled")
    text = page.locator("#response .said").inner_text()
    assert NOTES.startswith(text.strip())
    assert 100 < len(text.strip()) < len(NOTES)
    expect(page.locator("#response .cut")).to_contain_text("cut here")
    expect(page.locator("#headline")).to_contain_text(RELEASE_NOTES.request_id)


def test_call_cancelled_amid_a_tool_call_shows_its_arguments_so_far(
    watched: Watched, paths: SamplePaths
) -> None:
    """The reasoning is whole, the tool call is not, and says so."""
    page = watched.open(paths.call("searching"))
    response = page.locator("#response")
    expect(response).to_contain_text("Narrowing it down")
    expect(response).to_contain_text('{"comm')
    expect(response).not_to_contain_text("_test.py")
    expect(response.locator(".cut")).to_have_count(1)


def test_refused_call_shows_what_upstream_said(watched: Watched, paths: SamplePaths) -> None:
    """The status and upstream's own error are there, with its request id for the support."""
    page = watched.open(paths.failed("req_refused"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("400")
    expect(page.locator("#response")).to_contain_text("Unsupported parameter: 'temperature'")
    expect(page.locator("#headline")).to_contain_text("req_refused")


def test_attempts_lead_to_each_other(watched: Watched, paths: SamplePaths) -> None:
    """A call that was tried again names both attempts."""
    page = watched.open(paths.failed("req_limited"))
    page.locator(".attempts").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
    expect(page.locator(".attempts")).to_contain_text("429")


def test_raw_evidence_is_one_click_away(watched: Watched, paths: SamplePaths) -> None:
    """The JSON of request and response and the stream are served as data, never as a page."""
    page = watched.open(paths.call("fix 3"))
    panels = {
        ("#request", "Raw JSON"): ('"previous_response_id"', "application/json"),
        ("#response", "Raw JSON"): ('"output_items"', "application/json"),
        ("#response", "Raw stream"): ("event: response.completed", "text/plain"),
    }
    for (panel, link), (wanted, kind) in panels.items():
        target = page.locator(panel).get_by_role("link", name=link).get_attribute("href")
        answer = page.request.get(f"{watched.url}{target}")
        assert wanted in answer.text()
        assert answer.headers["content-type"].startswith(kind)
        assert "sandbox" in answer.headers["content-security-policy"]


def test_event_opens_to_its_data(watched: Watched, paths: SamplePaths) -> None:
    """Each event stands in the table with its time and opens to what it held, as it came."""
    page = watched.open(paths.call("fix 6"))
    event = page.locator("#event-0")
    expect(event.locator("pre")).to_be_hidden()
    event.locator("summary").click()
    expect(event.locator("pre")).to_contain_text('"response.created"')


def test_events_are_paged(watched: Watched, paths: SamplePaths) -> None:
    """Of a long stream one page is shown, and the others are links away."""
    page = watched.open(paths.call("long"))
    events = page.locator("#events")
    expect(events).to_contain_text("of 5,006")
    events.get_by_role("link", name="Last").first.click()
    expect(events).to_contain_text("response.completed")
    events.get_by_role("link", name="Previous").first.click()
    expect(events).not_to_contain_text("response.completed")


@pytest.fixture(scope="module")
def huge_view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ViewProcess, Path]]:
    """The view of one call of 50,000 events and more than 10 MB."""
    trace_dir = tmp_path_factory.mktemp("huge") / "traces"
    text = HUGE_DELTA * HUGE_EVENTS
    item_id = str(HUGE.items()[0]["id"])
    added, part, *_ = HUGE.part_events(0)
    done = {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": message_item(text, item_id),
    }
    delta = ev_text_delta(HUGE_DELTA, item_id)
    events = [*HUGE.begun(), added, part, *([delta] * HUGE_EVENTS), done, HUGE.completed()]
    with ScriptedUpstream() as upstream:
        proxy = RunningProxy(f"{upstream.url}/v1", trace_dir)
        with proxy, SampleCalls(upstream, proxy, Pace(0)) as calls:
            upstream.enqueue(stream_reply(*calls.pieces(events, together=200)))
            calls.raw({"model": "gpt-5.5", "stream": True, "input": "y" * 2_000_000})
    with ViewProcess(trace_dir, tmp_path_factory.mktemp("view")) as view:
        yield view, trace_dir


@pytest.mark.parametrize("query", ["", "?from=49900"])
def test_huge_call_makes_a_small_page(
    browser: Browser, huge_view: tuple[ViewProcess, Path], query: str
) -> None:
    """Of 50,000 events, 10 MB of text and 2 MB of question, a page holds what one looks at."""
    view, trace_dir = huge_view
    sizes: list[int] = []

    def measure(response: Response) -> None:
        if response.headers.get("content-type", "").startswith("text/html"):
            sizes.append(int(response.headers["content-length"]))

    with Watched(browser, view.url) as watched:
        expect(watched.open().locator("#list tbody tr")).to_have_count(1)  # all is read
        watched.page.on("response", measure)
        page = watched.open(SamplePaths(trace_dir).call("huge") + query)
        expect(page.locator("#events")).to_contain_text("of 50,006")
        assert page.evaluate("document.querySelectorAll('*').length") < ELEMENTS_MAX
    assert 0 < sum(sizes) < BYTES_MAX
