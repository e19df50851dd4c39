"""The page of what is not as it should be: nothing, a damaged bundle, a dead one, one of Codex."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.sample_traces import add_codex_bundle, add_damaged_bundle, add_dead_bundle
from tests.support.view_process import ViewProcess

from .watched_page import Watched


@pytest.mark.parametrize("exists", [True, False])
def test_without_traces_the_page_says_how_to_begin(
    browser: Browser, tmp_path: Path, exists: bool
) -> None:
    """An empty directory, or none, is no error: the page says what to do."""
    trace_dir = tmp_path / "traces"
    if exists:
        trace_dir.mkdir()
    with ViewProcess(trace_dir, tmp_path) as view, Watched(browser, view.url) as watched:
        page = watched.open()
        expect(page.get_by_role("heading", name="No calls yet").first).to_be_visible()
        expect(page.locator("#main")).to_contain_text("tailrace serve")


def test_damaged_dead_and_foreign_bundles_are_shown(browser: Browser, tmp_path: Path) -> None:
    """What can be read is; what cannot is said on the page; every call opens."""
    trace_dir = tmp_path / "traces"
    trace_dir.mkdir()
    add_damaged_bundle(trace_dir)
    add_dead_bundle(trace_dir)
    add_codex_bundle(trace_dir)
    with ViewProcess(trace_dir, tmp_path) as view, Watched(browser, view.url) as watched:
        page = watched.open()
        rows = page.locator("#list tbody tr")
        expect(rows.filter(has_text="Make it faster.")).to_contain_text("cancelled")
        expect(rows.filter(has_text="lost")).to_have_count(1)
        expect(page.locator("#notices")).to_contain_text("cannot be read whole")
        links = [link.get_attribute("href") for link in page.locator("#list .row-link").all()]
        assert len(links) > 5
        for link in links:
            assert link is not None
            watched.open(link)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator("#events")).to_be_visible()
