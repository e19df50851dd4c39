"""The page by keyboard alone: j and k, enter, /, esc, ?."""

import re

import pytest
from playwright.sync_api import Page, expect

from .sample_paths import SamplePaths
from .watched_page import Watched

TAB_STOPS = 24

# What has the focus, whether an outline shows it, and whether it is to be seen.
FOCUS = """() => {
    const element = document.activeElement;
    // A hidden checkbox shows its focus on the label that stands for it.
    const shown = [element, element.parentElement, element.nextElementSibling].filter(Boolean);
    const isOutlined = ({ outlineStyle, outlineWidth }) =>
        outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
    const outlined = shown.some(
        (e) => isOutlined(getComputedStyle(e)) || isOutlined(getComputedStyle(e, "::after")));
    const box = element.getBoundingClientRect();
    const isInView =
        box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return [element.outerHTML.slice(0, 200), outlined, isInView];
}"""


def focused_row(page: Page) -> int | None:
    """Which row of the list the focus is in, from 0."""
    place = page.evaluate(
        """() => [...document.querySelectorAll("[data-row]")]
            .findIndex((row) => row.contains(document.activeElement))"""
    )
    assert isinstance(place, int)
    return None if place < 0 else place


def test_j_and_k_move_and_enter_opens(watched: Watched) -> None:
    """j goes down, k up, neither beyond the ends; enter opens the call."""
    page = watched.open()
    page.keyboard.press("j")
    assert focused_row(page) == 0
    page.keyboard.press("k")
    assert focused_row(page) == 0
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert focused_row(page) == 2
    page.keyboard.press("Enter")
    page.wait_for_url("**/call/**")
    expect(page.get_by_text("Could the same happen elsewhere?").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#list")).to_be_visible()


def test_slash_searches_and_escape_leaves(watched: Watched) -> None:
    """/ goes to the search, where letters are letters; esc empties it, then leaves it."""
    page = watched.open()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("jk?/")
    expect(search).to_have_value("jk?/")
    page.keyboard.press("Escape")
    expect(search).to_have_value("")
    page.keyboard.press("Escape")
    expect(search).not_to_be_focused()


def test_escape_takes_a_filter_away(watched: Watched) -> None:
    """esc on a filtered list shows all calls again."""
    page = watched.open("/?status=cancelled")
    page.keyboard.press("Escape")
    page.wait_for_url(watched.url + "/")


def test_question_mark_shows_the_keys(watched: Watched) -> None:
    """? opens the list of keys and esc closes it; with a button for those without a keyboard."""
    page = watched.open()
    keys = page.get_by_role("dialog")
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(keys).to_be_visible()
    keys.get_by_role("button", name="Close").click()
    expect(keys).to_be_hidden()


def test_tab_comes_to_the_content_first(watched: Watched) -> None:
    """The first tab stop skips what stands on every page."""
    page = watched.open()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("name", ["calls", "call", "thread"])
def test_focus_is_always_seen(watched: Watched, paths: SamplePaths, name: str) -> None:
    """Wherever tab comes to, an outline shows it, and it is in view."""
    page = watched.open({"calls": "/"}.get(name) or getattr(paths, name)("fix 3"))
    seen = set()
    for _ in range(TAB_STOPS):
        page.keyboard.press("Tab")
        place, outline, is_in_view = page.evaluate(FOCUS)
        assert outline, place
        assert is_in_view, place
        seen.add(place)
    assert len(seen) > TAB_STOPS / 2


def test_choosing_keeps_the_focus_and_the_way_back(watched: Watched) -> None:
    """A choice by arrow key takes effect where one is; going back takes it away again."""
    page = watched.open()
    model = page.get_by_label("Model")
    model.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**/?model=*")
    expect(model).to_be_focused()
    chosen = model.input_value()
    expect(page.locator("#list tbody .c-model").first).to_have_text(chosen)
    expect(page.locator("#announcement")).to_have_text(re.compile(r"^\d+ calls$"))
    page.go_back()
    page.wait_for_url(re.compile(r"/$"))
    expect(model).to_have_value("")
