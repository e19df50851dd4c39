"""The file of a call or a thread, as a colleague opens it: alone, from a disk, without a server."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.sample_answers import id_of
from tests.support.serve_process import REPO_ROOT

from .sample_paths import SamplePaths
from .test_every_page import CHECKS, CIRCUMSTANCES
from .test_hostile_output import ACTIVE, FOREIGN
from .watched_page import Watched


def exported(selector: str, traces: Path, file: Path) -> str:
    """Write the file; its URL."""
    command = [sys.executable, "-m", "tailrace", "export", selector, "--format", "html"]
    places = ["--trace-dir", str(traces), "-o", str(file)]
    subprocess.run(
        [*command, *places], cwd=file.parent, env={"PYTHONPATH": str(REPO_ROOT)}, check=True
    )
    return file.as_uri()


def thread_of(traces: Path, paths: SamplePaths, name: str) -> str:
    """The thread's id of a call, as its bundle has it."""
    _, _, call_id = paths.key(name).partition("/")
    for log in traces.glob("trace-*/trace.jsonl"):
        for line in log.read_text().splitlines():
            if "inference_started" in line and call_id in line:
                return line.partition('"thread_id":"')[2].partition('"')[0]
    raise AssertionError(f"no such call: {name}")


def assert_stands_alone(page: Page, url: str) -> None:
    """It can be read by everybody, in light and dark, at every width, and loads nothing."""
    page.goto(url)
    for scheme, width in CIRCUMSTANCES:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CHECKS) == [], (scheme, width)
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("name", ["release notes", "hostile markup"])
def test_call_in_a_file(browser: Browser, sample_traces: Path, tmp_path: Path, name: str) -> None:
    """One file shows the call, whatever it said, and links to nothing that is not in it."""
    url = exported(id_of("resp", name), sample_traces, tmp_path / "call.html")
    with Watched(browser, "file://") as watched:
        page = watched.page
        assert_stands_alone(page, url)
        expect(page.locator("#response")).to_be_visible()
        assert page.evaluate(ACTIVE) == []
        assert [e for e in page.evaluate(FOREIGN) if not e.startswith("<style>")] == []
        hrefs = page.locator("a[href]").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert [href for href in hrefs if not href.startswith("#")] == []


def test_thread_in_a_file(
    browser: Browser, sample_traces: Path, paths: SamplePaths, tmp_path: Path
) -> None:
    """One file shows the whole conversation, with its branch."""
    thread = thread_of(sample_traces, paths, "fix 3")
    url = exported(thread, sample_traces, tmp_path / "thread.html")
    with Watched(browser, "file://") as watched:
        assert_stands_alone(watched.page, url)
        expect(watched.page.locator("article.round")).to_have_count(9)
        watched.page.locator(".fork").get_by_role("link", name="request 9").click()
        expect(watched.page.locator("#request-8")).to_be_in_viewport()
