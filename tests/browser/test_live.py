"""The page while the proxy writes: calls come, grow and end before the eyes of who looks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.events import sse_pieces, text_stream
from tests.support.raw_http import RawConnection, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.sample_calls import KEY
from tests.support.script import Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.view_process import ViewProcess

from .watched_page import Watched

STREAM = sse_pieces(*text_stream("Once ", "upon ", "a ", "time.", response_id="resp_live"))
FIRST, SECOND, THIRD = 5, 6, 7
"""How many pieces have come when one delta has, and two, and three."""


@pytest.fixture
def live_proxy(upstream: ScriptedUpstream, trace_dir: Path) -> Iterator[RunningProxy]:
    """The proxy, which writes at once what it has."""
    with RunningProxy(f"{upstream.url}/v1", trace_dir, flush_interval=0.05) as proxy:
        yield proxy


@pytest.fixture
def live_view(trace_dir: Path, tmp_path: Path) -> Iterator[ViewProcess]:
    """`tailrace view` of what the proxy writes."""
    with ViewProcess(trace_dir, tmp_path) as view:
        yield view


def begin(proxy: RunningProxy, asked: str) -> RawConnection:
    """Begin a streamed call."""
    connection = RawConnection(proxy.port)
    body = b'{"model": "gpt-5.5", "stream": true, "input": "%b"}' % asked.encode()
    headers = ((b"Content-Type", b"application/json"), (b"Authorization", KEY.encode()))
    url = f"{proxy.base_url}/responses"
    connection.send(request_bytes("POST", url, headers=headers, body=body))
    return connection


def test_stream_grows_on_the_open_page(
    browser: Browser, upstream: ScriptedUpstream, live_proxy: RunningProxy, live_view: ViewProcess
) -> None:
    """From an empty directory on, without a reload: the call comes, each delta, and the end."""
    gates = [Gate(), Gate(), Gate()]
    upstream.enqueue(
        stream_reply(
            *STREAM[:FIRST], gates[0], *STREAM[FIRST:SECOND], gates[1], *STREAM[SECOND:], gates[2]
        )
    )
    with Watched(browser, live_view.url) as watched:
        page = watched.open()
        expect(page.get_by_role("heading", name="No calls yet").first).to_be_visible()
        with begin(live_proxy, "Tell me a story."):
            row = page.locator("#list tbody tr")
            expect(row).to_contain_text("Tell me a story.")
            expect(row).to_contain_text("running")
            expect(row.locator(".arriving")).to_have_text("Once")
            row.get_by_role("link", name="Tell me a story.").click()
            response = page.locator("#response .said")
            expect(response).to_have_text("Once")
            gates[0].open()
            expect(response).to_have_text("Once upon")
            gates[1].open()
            gates[2].open()
            expect(response).to_have_text("Once upon a time.")
            expect(page.get_by_role("heading", level=1)).to_contain_text("Completed")
            expect(page.locator("#events")).to_contain_text("response.completed")


def test_list_grows_where_it_is_and_keeps_what_is_typed(
    browser: Browser, upstream: ScriptedUpstream, live_proxy: RunningProxy, live_view: ViewProcess
) -> None:
    """A call that comes is shown at once; who types in the search meanwhile loses nothing."""
    upstream.otherwise(stream_reply(*STREAM))
    with Watched(browser, live_view.url) as watched:
        page = watched.open()
        with begin(live_proxy, "First"):
            rows = page.locator("#list tbody tr")
            expect(rows).to_have_count(1)
            expect(page.locator("#live-state")).to_have_text("live")  # so the keys are there too
            page.keyboard.press("/")
            page.keyboard.type("half a wo")
            with begin(live_proxy, "Second"):
                expect(rows).to_have_count(2)
                expect(rows.first).to_contain_text("Second")
            search = page.get_by_role("searchbox")
            expect(search).to_be_focused()
            expect(search).to_have_value("half a wo")


def test_client_that_leaves_is_shown_as_cancelled(
    browser: Browser, upstream: ScriptedUpstream, live_proxy: RunningProxy, live_view: ViewProcess
) -> None:
    """On the open page of a call the end comes when its client goes, with the mark of the cut."""
    upstream.enqueue(stream_reply(*STREAM[:SECOND], Gate(), *STREAM[SECOND:]))
    with Watched(browser, live_view.url) as watched:
        page = watched.open()
        with begin(live_proxy, "Stop soon."):
            page.get_by_role("link", name="Stop soon.").click()
            expect(page.locator("#response .said")).to_have_text("Once upon")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Cancelled")
        expect(page.locator("#response .said")).to_have_text("Once upon")
        expect(page.locator("#response .cut")).to_contain_text("cut here")


def test_updates_come_again_when_the_server_does(
    browser: Browser, upstream: ScriptedUpstream, live_proxy: RunningProxy, live_view: ViewProcess
) -> None:
    """The page says that it lost its server, and catches up when it is back."""
    upstream.otherwise(stream_reply(*STREAM))
    with Watched(browser, live_view.url) as watched:
        watched.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
        with begin(live_proxy, "Before"):
            page = watched.open()
            expect(page.locator("#list tbody tr")).to_have_count(1)
        expect(page.locator("#live-state")).to_have_text("live")
        assert live_view.stop() == 0
        expect(page.locator("#live-state")).to_have_text("no connection")
        with begin(live_proxy, "Meanwhile"):
            live_view.start()
            expect(page.locator("#live-state")).to_have_text("live")
            expect(page.locator("#list tbody tr")).to_have_count(2)
