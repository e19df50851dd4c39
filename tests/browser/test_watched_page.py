"""The watch itself: what a page must not do is noticed, and fails the test."""

import pytest
from playwright.sync_api import Browser

from .watched_page import Watched

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("script", "noted"),
    [
        ("console.error('bad')", "bad"),
        ("console.warn('odd')", "odd"),
        ("alert('boo')", "boo"),
        ("setTimeout(() => { throw new Error('thrown') })", "thrown"),
        ("new Image().src = 'http://attacker.invalid/x.png'", "attacker.invalid"),
        ("fetch('http://127.0.0.1:10/x').catch(() => {})", "127.0.0.1:10"),
    ],
)
def test_misdeed_fails_the_test(browser: Browser, script: str, noted: str) -> None:
    """A message on the console, a dialog, an exception, a request to another host."""

    def do_it() -> None:
        with Watched(browser, NOWHERE) as watched:
            watched.page.set_content(f"<script>{script}; document.title = 'done'</script>")
            watched.page.wait_for_function("document.title === 'done'")
            watched.page.evaluate("new Promise((resolve) => setTimeout(resolve))")

    with pytest.raises(AssertionError, match=noted):
        do_it()
