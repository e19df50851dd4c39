"""What a browser may do with our answers: nothing that a page of a trace could want."""

import re
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder
from tests.support.running_page import RunningPage
from viewer.page.static_files import STATIC
from viewer.page.templating import TEMPLATES

PATHS = ("/", "/nowhere", "/static/tailrace.css", "/static/nothing.js", "/?status=failed&after=x")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_has_them(tmp_path: Path, path: str, method: str) -> None:
    """Pages, files, refusals and what is not there."""
    BundleBuilder(tmp_path / "trace-1").write()
    with RunningPage(tmp_path) as page:
        headers = page.get(path, method=method).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] in {"no-store", "no-cache"}
    assert "aiohttp" not in headers["Server"]


def test_head_opens_no_stream(tmp_path: Path) -> None:
    """A link checker that asks for the head alone is answered, and gone."""
    with RunningPage(tmp_path) as page:
        assert page.get("/updates", method="HEAD").status == 405


def test_unchanged_file_is_not_sent_again(tmp_path: Path) -> None:
    """A browser asks whether what it has is still right, and is told so in a line."""
    BundleBuilder(tmp_path / "trace-1").write()
    with RunningPage(tmp_path) as page:
        tag = page.get("/static/live.js").headers["ETag"]
        again = page.get("/static/live.js", If_None_Match=tag)
    assert (again.status, again.text) == (304, "")


def test_templates_need_no_exception_from_the_policy() -> None:
    """No style and no script stands in a page, and nothing comes from elsewhere."""
    # The file that is sent to a colleague holds its style: nothing serves it.
    for path in set(TEMPLATES.rglob("*.html")) - {TEMPLATES / "file.html"}:
        text = path.read_text()
        assert not re.search(r"\sstyle\s*=|\son[a-z]+\s*=|<style|javascript:", text), path.name
        assert not re.search(r"<script(?![^>]* src=\"/static/)", text), path.name
        assert not re.search(r"(?:src|action)=\"(?!/)", text), path.name
        assert "|safe" not in text, path.name
    for path in STATIC.iterdir():
        text = path.read_text()
        elsewhere = re.findall(r"https?://[^\"')\s]*|@import|innerHTML|eval\(", text)
        assert [e for e in elsewhere if e != "http://www.w3.org/2000/svg"] == [], path.name
