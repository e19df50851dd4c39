"""A conversation in a real browser: turns, branches, tokens, and what changed between two calls."""

import re

from playwright.sync_api import expect

from tests.support.sample_session import ROUNDS

from .sample_paths import SamplePaths
from .watched_page import Watched


def test_conversation_is_told_in_order_from_any_of_its_calls(
    watched: Watched, paths: SamplePaths
) -> None:
    """Each request stands once, with what was new in it and what came, whichever call was asked."""
    told = []
    for name in ("fix 1", "fix 8", "fix 4, other way"):
        page = watched.open(paths.thread(name))
        requests = page.locator("#requests article.round")
        expect(requests).to_have_count(len(ROUNDS))
        expect(requests.first).to_contain_text("Nobody touched the cart")
        expect(requests.nth(1)).to_contain_text("1 failed, 11 passed")
        told.append(re.sub(" is-asked", "", page.locator("#requests").inner_text()))
    assert len(set(told)) == 1


def test_branch_is_walked(watched: Watched, paths: SamplePaths) -> None:
    """The fork says where it leads; its link leads there, and back to where it left."""
    page = watched.open(paths.thread("fix 3"))
    branches = page.get_by_role("navigation", name="Branches")
    expect(branches.get_by_role("listitem")).to_have_count(2)
    fork = page.locator(".fork")
    expect(fork).to_have_count(1)
    fork.get_by_role("link", name="request 9").click()
    expect(page.locator("#request-8")).to_be_in_viewport()
    expect(page.locator("#request-8")).to_contain_text("I advise against it")
    page.locator(".branch-head").get_by_role("link", name="request 3").click()
    expect(page.locator("#request-2")).to_be_in_viewport()


def test_tokens_and_cache_are_told_for_each_request(watched: Watched, paths: SamplePaths) -> None:
    """What went in, what of it was cached, and why it was not where it might have been."""
    page = watched.open(paths.thread("fix 8"))
    expect(page.locator("#request-7 .figures")).to_contain_text("2.9k")
    expect(page.locator("#request-8 .miss")).to_contain_text("instructions")


def test_requests_are_walked_by_keyboard(watched: Watched, paths: SamplePaths) -> None:
    """j goes from request to request, enter opens the call, esc comes back."""
    page = watched.open(paths.thread("fix 1"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#request-1").get_by_role("link", name="Request 2")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/call/**")
    page.keyboard.press("Escape")
    page.wait_for_url("**/thread/**")


def test_two_calls_are_compared(watched: Watched, paths: SamplePaths) -> None:
    """What changed between a call and the one that it continues, and what broke the cache."""
    page = watched.open(paths.thread("fix 3"))
    page.locator("#request-8").get_by_role("link", name="Compare").click()
    page.wait_for_url("**/diff?**")
    main = page.locator("#main")
    expect(main).to_contain_text("None of 2,548 input tokens was read from the cache")
    expect(main).not_to_contain_text("same settings, tools and instructions")
    expect(main).to_contain_text("It is 14:05:21 now.")
    expect(main).to_contain_text("Wait. Can we leave the floats")


def test_stateless_conversation_shows_what_is_new(watched: Watched, paths: SamplePaths) -> None:
    """Of a conversation that is sent whole each time, each request tells only what came to it."""
    page = watched.open(paths.thread("translation arabic"))
    expect(page.locator("#requests article.round")).to_have_count(3)
    expect(page.get_by_text("Now Hebrew, Chinese, Japanese and Korean.")).to_have_count(1)
