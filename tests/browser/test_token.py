"""A page that asks for a token, in a real browser: who has it once, has it while the page runs."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.view_process import ViewProcess

from .watched_page import Watched

TOKEN = "a-token-that-nobody-guesses-0123456789"


@pytest.fixture
def guarded_view(sample_traces: Path, tmp_path: Path) -> ViewProcess:
    """`tailrace view` with a token, not started."""
    return ViewProcess(sample_traces, tmp_path, view_token=TOKEN)


def test_printed_address_opens_the_page(browser: Browser, guarded_view: ViewProcess) -> None:
    """The token is taken out of the address, and links, scripts and updates work without it."""
    with guarded_view as view, Watched(browser, view.url) as watched:
        page = watched.page
        assert TOKEN in view.url
        page.goto(view.url)
        assert TOKEN not in page.url
        expect(page.locator("#live-state")).to_have_text("live")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator("#response")).to_be_visible()
        (cookie,) = watched.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


@pytest.mark.parametrize("path", ["/", "/?token=another", "/static/live.js", "/updates"])
def test_nobody_else_sees_anything(browser: Browser, guarded_view: ViewProcess, path: str) -> None:
    """Without the token there is a page that says what to do, and nothing of any call."""
    with guarded_view as view, Watched(browser, view.url.partition("?")[0]) as watched:
        watched.expected.append("Failed to load resource")
        answer = watched.page.goto(watched.url + path)
        assert answer is not None
        assert answer.status == 403
        expect(watched.page.locator("body")).to_contain_text("token")
        expect(watched.page.locator("body")).not_to_contain_text("gpt")
