"""One browser for these tests, and the page of sample traces that are made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.chromium import require_chromium
from tests.support.sample_traces import make_sample_traces
from tests.support.view_process import ViewProcess
from viewer.catalog.catalog import Catalog

from .sample_paths import SamplePaths
from .watched_page import BROWSER_OPTIONS, Watched


# As long as this package runs and no longer: while playwright has its loop in this thread, no
# other test can run one.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's chromium; skipped where there is none."""
    chromium = require_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def sample_traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample traces, made and indexed once."""
    trace_dir = tmp_path_factory.mktemp("samples") / "traces"
    make_sample_traces(trace_dir)
    with Catalog.open(trace_dir) as catalog:
        catalog.refresh()  # so that the first page shows all of it
    return trace_dir


@pytest.fixture(scope="package")
def sample_view(
    sample_traces: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ViewProcess]:
    """`tailrace view` of the sample traces."""
    with ViewProcess(sample_traces, tmp_path_factory.mktemp("view")) as view:
        yield view


@pytest.fixture
def watched(browser: Browser, sample_view: ViewProcess) -> Iterator[Watched]:
    """A page in a context of its own; the test fails for what a page of ours must not do."""
    with Watched(browser, sample_view.url) as watched:
        yield watched


@pytest.fixture(scope="package")
def paths(sample_traces: Path) -> SamplePaths:
    """Where the calls of the sample traces are shown."""
    return SamplePaths(sample_traces)
