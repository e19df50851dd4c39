"""Addresses of calls: whatever a bundle calls one, its link leads to it."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.call_rows import call_row
from tests.support.running_page import RunningPage
from viewer.page.links import call_url, comparison_url


@pytest.mark.parametrize("name", [".", "..", "~", "~..", "a/b", "%2e", "call 1"])
def test_odd_names_are_found(tmp_path: Path, name: str) -> None:
    """A browser would take some of them for a way through directories."""
    bundle = BundleBuilder(tmp_path / "trace-1")
    bundle.turn("t")
    bundle.start(name, "t", [message("user", "Which one?")])
    bundle.complete(name, [])
    row = call_row(1, bundle.write(), trace_id="trace-1", call_id=name)
    paths = (call_url(row), call_url(row) + "/input", comparison_url(row, row))
    with RunningPage(tmp_path) as page:
        for path in paths:
            assert not {".", ".."} & set(path.split("?")[0].split("/"))
            answer = page.get(path)
            assert answer.status == 200
            assert "Which one?" in answer.text
