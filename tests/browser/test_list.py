"""The list of calls in a real browser: what it shows, finds and leaves out."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.sample_hostile import MODEL as HOSTILE_MODEL

from .watched_page import Watched


def rows(page: Page) -> Locator:
    """The calls in the list."""
    return page.locator("#list tbody tr")


def statuses(page: Page) -> set[str]:
    """What ends the list shows."""
    return {text.strip() for text in rows(page).locator(".status").all_inner_texts()}


def test_calls_are_listed_newest_first(watched: Watched) -> None:
    """Each row tells what was asked, what came, and the model; the last call stands first."""
    page = watched.open()
    expect(page).to_have_title(re.compile("Calls"))
    expect(page.get_by_role("heading", name=re.compile(r"^\d+ calls$"))).to_be_visible()
    first = rows(page).first
    expect(first).to_contain_text("Wait. Can we leave the floats")
    expect(first).to_contain_text("It would turn this test green")
    expect(first).to_contain_text("gpt-5.5")
    expect(first).to_contain_text("completed")


def test_list_is_paged(watched: Watched) -> None:
    """Older calls are a click away, and the way back leads to the same page."""
    page = watched.open()
    newest = rows(page).first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(rows(page).last).to_contain_text("List the migrations")
    page.get_by_role("link", name="Newest").click()
    assert rows(page).first.inner_text() == newest


def test_status_filters_when_it_is_chosen(watched: Watched) -> None:
    """A click on a status leaves its calls alone, and its chosen state is shown."""
    page = watched.open()
    page.get_by_label("cancelled").check()
    page.wait_for_url("**/?status=cancelled")
    expect(rows(page)).to_have_count(2)
    assert statuses(page) == {"cancelled"}
    expect(page.get_by_label("cancelled")).to_be_checked()


def test_filter_that_is_chosen_amid_an_update_holds(watched: Watched) -> None:
    """The list as it was, which is on its way, does not take the place of the one asked for."""
    held: list[Route] = []
    watched.page.add_init_script(
        "EventSource = class { constructor() { globalThis.updates = this } close() {} }"
    )
    watched.page.route(re.compile("fragment=list"), lambda route: held.append(route))
    page = watched.open()
    with page.expect_request(re.compile("fragment=list")):
        page.evaluate("updates.onmessage({ data: JSON.stringify({ version: 1, calls: null }) })")
    page.get_by_label("cancelled").check()
    page.wait_for_url("**/?status=cancelled")
    expect(rows(page)).to_have_count(2)
    with page.expect_response(re.compile("fragment=list")) as late:
        held[0].continue_()
    late.value.finished()
    page.evaluate("fetch('/static/icon.svg').then((later) => later.text())")
    assert statuses(page) == {"cancelled"}


@pytest.mark.parametrize(
    ("field", "choice", "wanted"),
    [
        ("Model", "gpt-5.5-codex", "gpt-5.5-codex"),
        ("Model", HOSTILE_MODEL, "<script>"),
        ("Tokens", "1k or more", "5000 rates as SQL"),
    ],
)
def test_choices_filter(watched: Watched, field: str, choice: str, wanted: str) -> None:
    """What is chosen in a field leaves the calls that it means, and no other."""
    page = watched.open()
    everything = page.get_by_role("heading", level=2).first.inner_text()
    page.get_by_role("combobox", name=field).select_option(label=choice)
    page.wait_for_url(re.compile(f"{field.lower()}="))
    expect(rows(page).last).to_contain_text(wanted)
    assert page.get_by_role("heading", level=2).first.inner_text() != everything
    page.get_by_role("link", name="Clear", exact=True).click()
    expect(page.get_by_role("heading", level=2).first).to_have_text(everything)


def test_slow_and_time_filters_that_exclude_all_say_so(watched: Watched) -> None:
    """Where no call is like that, the page says so and leads back."""
    page = watched.open("/?slow=2m")
    expect(page.get_by_text("No call is like that")).to_be_visible()
    expect(page.get_by_role("combobox", name="Took")).to_have_value("2m")
    page.get_by_role("link", name="Show all calls").click()
    expect(rows(page).first).to_be_visible()


def test_value_that_means_nothing_is_told(watched: Watched) -> None:
    """A hand-made address with a bad value gets the list, and a sentence about the value."""
    page = watched.open("/?slow=quick&since=%00")
    expect(page.locator(".notice-bad").first).to_contain_text("quick")
    expect(rows(page).first).to_be_visible()


def test_search_finds_text_of_requests_and_responses(watched: Watched) -> None:
    """A search leaves the calls that hold the text, with the place marked."""
    page = watched.open()
    page.get_by_role("searchbox").fill("half to even")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?text=half+to+even")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator("mark").first).to_have_text(re.compile("half"))


def test_strip_leads_to_a_call(watched: Watched) -> None:
    """A mark on the strip over time is a link to its call."""
    page = watched.open()
    page.locator("#strip a").last.click()
    page.wait_for_url("**/call/**")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_row_leads_to_its_call(watched: Watched) -> None:
    """A click on what was asked opens the call."""
    page = watched.open()
    rows(page).first.get_by_role("link", name="Wait. Can we").click()
    page.wait_for_url("**/call/**")
    expect(page.get_by_text("I advise against it").first).to_be_visible()
