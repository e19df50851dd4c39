"""What holds for every page: widths, contrast, names, what it loads, and life without scripts."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from tests.support.raw_http import exchange, request_bytes
from tests.support.view_process import ViewProcess

from .sample_paths import SamplePaths
from .watched_page import Watched

CHECKS = (Path(__file__).parent / "page_checks.js").read_text()

PAGES: dict[str, Callable[[SamplePaths], str]] = {
    "calls": lambda _: "/",
    "errors": lambda _: "/?status=failed&status=cancelled",
    "search": lambda _: "/?text=script",
    "nothing found": lambda _: "/?text=nowhere+to+be+found",
    "no such page": lambda _: "/nowhere",
    "call": lambda paths: paths.call("fix 3"),
    "cancelled call": lambda paths: paths.call("release notes"),
    "failed call": lambda paths: paths.failed("req_down"),
    "long call": lambda paths: paths.call("long"),
    "hostile call": lambda paths: paths.call("hostile markup"),
    "megabyte": lambda paths: paths.call("hostile megabyte"),
    "text": lambda paths: paths.call("long") + "/text?of=output.0",
    "input": lambda paths: paths.call("translation emoji") + "/input",
    "WebSocket call": lambda paths: paths.call("socket 1"),
    "thread": lambda paths: paths.thread("fix 3"),
    "thread of one": lambda paths: paths.thread("hostile markup"),
    "comparison": lambda paths: paths.comparison("fix 2", "fix 3"),
    "no comparison": lambda _: "/diff",
}
every_page = pytest.mark.parametrize("name", PAGES)

MISSING = {"no such page", "no comparison"}


CIRCUMSTANCES: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("dark", 1600),
    ("light", 400),
)
"""Colour schemes, and widths in pixels."""


@every_page
def test_page_can_be_read_by_everybody(watched: Watched, paths: SamplePaths, name: str) -> None:
    """Text has contrast, what takes a click a name; headings are in order; nothing runs out."""
    if name in MISSING:
        watched.expected.append("Failed to load resource")
    page = watched.open(PAGES[name](paths))
    expect(page.locator("#live-state")).to_have_text("live")
    for scheme, width in CIRCUMSTANCES:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CHECKS) == [], (scheme, width)


@every_page
def test_page_forbids_what_it_does_not_need(
    sample_view: ViewProcess, paths: SamplePaths, name: str
) -> None:
    """The policy allows no inline script or style and no other host; nothing is cached."""
    request = request_bytes("GET", sample_view.url.rstrip("/") + PAGES[name](paths))
    head = exchange(sample_view.port, request).head
    assert (head.status == 404) is (name in MISSING)
    (policy,) = head.values("content-security-policy")
    assert b"default-src 'none'" in policy
    assert b"frame-ancestors 'none'" in policy
    assert b"unsafe" not in policy
    assert b"http" not in policy
    assert head.values("x-content-type-options") == [b"nosniff"]
    assert head.values("cache-control") == [b"no-store"]


def test_page_works_without_scripts(
    browser: Browser, sample_view: ViewProcess, paths: SamplePaths
) -> None:
    """Filters, search, calls and threads are links and forms."""
    with Watched(browser, sample_view.url, java_script_enabled=False) as watched:
        page = watched.open()
        page.get_by_label("cancelled").check()
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("#list tbody tr")).to_have_count(2)
        page.get_by_role("link", name="Write the release notes").click()
        expect(page.locator("#response")).to_contain_text("Discounts are rounded half up")
        watched.open(paths.thread("fix 3"))
        expect(page.locator("#main")).to_contain_text("Keep the signature")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p style='color: #999; background: #aaa'>pale</p>", "contrast"),
        ("<div style='opacity: 0.3'><p>pale</p></div>", "contrast"),
        ("<svg aria-hidden='true'><text y='20' fill='#ddd'>pale</text></svg>", "contrast"),
        ("<button></button>", "has no name"),
        ("<div aria-hidden='true'><a href='/'>x</a></div>", "can be focused"),
        ("<h3>deep</h3>", "a heading of level 3 after level 1"),
        ("<h1>another</h1>", "2 times h1"),
        ("<p style='width: 3000px'>wide</p>", "wider than the window"),
        ("<p id='a'>x</p><p id='a'>y</p>", "two elements are #a"),
        ("<table><tr><th>x</th></tr></table>", "without a scope"),
    ],
)
def test_checks_find_what_they_are_for(browser: Browser, body: str, fault: str) -> None:
    """The check itself: on a page with one fault it tells that one."""
    with Watched(browser, "http://nowhere.invalid") as watched:
        watched.page.set_content(
            "<!doctype html><html lang='en'><title>x</title><body><header>x</header>"
            f"<main><h1>x</h1>{body}</main>"
        )
        (found,) = watched.page.evaluate(CHECKS)
        assert fault in found
