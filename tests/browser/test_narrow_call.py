"""A call on a phone: what matters most of its events is seen without scrolling sideways."""

from playwright.sync_api import expect

from .sample_paths import SamplePaths
from .watched_page import Watched

HIDDEN_BESIDE = """() => {
    const region = document.querySelector("#events .scroller");
    return region.scrollWidth - region.clientWidth;
}"""


def test_events_say_what_they_say_on_a_phone(watched: Watched, paths: SamplePaths) -> None:
    """Time, type and text of each; its number and size are left to wider screens."""
    page = watched.open(paths.call("fix 4"))
    page.set_viewport_size({"width": 400, "height": 800})
    row = page.locator(".event-table tbody tr").nth(3)
    expect(row.locator("td:visible")).to_have_count(3)
    expect(row.locator(".says")).to_be_visible()
    expect(row).to_contain_text("response.function_call_arguments.delta")
    assert page.evaluate(HIDDEN_BESIDE) == 0
    page.set_viewport_size({"width": 1000, "height": 800})
    expect(row.locator("td:visible")).to_have_count(6)


def test_patch_stands_in_its_own_lines(watched: Watched, paths: SamplePaths) -> None:
    """What a tool is given within JSON is read as it is, in a face for code."""
    patch = watched.open(paths.call("fix 4")).locator("#response .said")
    told = patch.text_content() or ""
    assert told.startswith("patch:\n  *** Begin Patch\n  *** Update File: shop/cart.py\n")
    expect(patch).to_have_css("white-space-collapse", "preserve")


def test_tool_is_named_whose_call_is_in_another_request(
    watched: Watched, paths: SamplePaths
) -> None:
    """The request holds the output alone; the call before it tells the tool."""
    page = watched.open(paths.call("fix 8"))
    names = page.locator("#request .e-tool-output .who")
    expect(names).to_have_text(["shell"])
