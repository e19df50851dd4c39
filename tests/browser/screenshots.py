"""Makes the pictures of the documentation out of the sample traces.

Run as `python -m tests.browser.screenshots docs/screenshots`; it takes half a minute. With
pngquant on PATH the files are a third as large.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import Browser, expect, sync_playwright

from proxy.logs import configure_logs_without_thread
from tests.support.chromium import find_chromium
from tests.support.sample_traces import make_sample_traces
from tests.support.view_process import ViewProcess

from .sample_paths import SamplePaths
from .watched_page import BROWSER_OPTIONS, Watched

DESK = (1280, 860)
PHONE = (400, 860)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: which page, how wide, how light, and what of it is at the top."""

    name: str
    path: str
    size: tuple[int, int] = DESK
    scheme: Literal["light", "dark"] = "light"
    at: str = "body"


def shots(paths: SamplePaths) -> Iterator[Shot]:
    """Every view, in what it looks like when all is well and when it is not."""
    yield Shot(name="calls", path="/")
    yield Shot(name="calls-dark", path="/", scheme="dark")
    yield Shot(name="calls-phone", path="/", size=PHONE)
    yield Shot(name="calls-error-burst", path="/?model=gpt-4.1-nano", size=(1280, 600))
    yield Shot(name="calls-search", path="/?text=customers+see", size=(1280, 500))
    yield Shot(name="call", path=paths.call("fix 3"), size=(1280, 1000))
    yield Shot(name="call-dark", path=paths.call("fix 7"), scheme="dark")
    yield Shot(name="call-phone", path=paths.call("fix 3"), size=PHONE, at="#waterfall")
    yield Shot(name="call-events", path=paths.call("searching"), size=(1280, 600), at="#events")
    yield Shot(name="call-cancelled", path=paths.call("release notes"), size=(1280, 1010))
    yield Shot(name="call-failed", path=paths.failed("req_refused"))
    yield Shot(name="call-hostile", path=paths.call("hostile markup"), at="#request")
    yield Shot(name="thread", path=paths.thread("fix 1"), size=(1280, 1000))
    yield Shot(name="thread-dark", path=paths.thread("fix 8"), scheme="dark", at="#request-7")
    yield Shot(name="thread-phone", path=paths.thread("fix 1"), size=PHONE, at="#requests")
    yield Shot(name="comparison", path=paths.comparison("fix 3", "fix 4, other way"))
    yield Shot(name="not-found", path="/call/gone/gone", size=(1280, 400))


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Debian's chromium, with the letters as they are: no subpixel colours."""
    chromium = find_chromium()
    assert chromium is not None, "no chromium (TAILRACE_TEST_CHROMIUM, PATH)"
    with sync_playwright() as playwright:
        arguments = [*BROWSER_OPTIONS, "--font-render-hinting=none", "--disable-lcd-text"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


def take(browser: Browser, url: str, shot: Shot, file: Path) -> None:
    """Take one picture."""
    width, height = shot.size
    viewport = {"width": width, "height": height}
    with Watched(browser, url, viewport=viewport, color_scheme=shot.scheme) as watched:
        watched.expected.append("Failed to load resource")
        page = watched.open(shot.path)
        expect(page.locator("#live-state")).to_have_text("live")
        page.locator(shot.at).first.evaluate("(element) => element.scrollIntoView()")
        page.screenshot(path=file, animations="disabled")
    if shutil.which("pngquant"):
        options = ("--nofs", "--speed=1", "--strip", "--force", "--output", file)
        subprocess.run(["pngquant", "128", *options, file], check=True)


def main(directory: Path) -> None:
    """Make all pictures, in place of those that are there."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.png"):
        old.unlink()
    with TemporaryDirectory() as scratch, opened_browser() as browser:
        home = Path(scratch)
        with ViewProcess(Path("traces"), home) as view:
            empty = Shot(name="empty", path="/", size=(1280, 560))
            take(browser, view.url, empty, directory / "empty.png")
        make_sample_traces(home / "traces", pace=1)
        with ViewProcess(Path("traces"), home) as view:
            for shot in shots(SamplePaths(home / "traces")):
                take(browser, view.url, shot, directory / f"{shot.name}.png")


if __name__ == "__main__":
    configure_logs_without_thread("warning", stream=sys.stderr, is_terminal=False)
    main(Path(sys.argv[1]))
