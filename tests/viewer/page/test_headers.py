"""What a browser may do with our answers: nothing that a page of a trace could want."""

import gzip
import http.client
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from tests.support.script import GUARD_S
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


def received(page: RunningPage, path: str, **fields: str) -> tuple[str | None, bytes]:
    """How an answer was encoded, and its bytes on the wire."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=GUARD_S)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.headers["Content-Encoding"], response.read()
    finally:
        connection.close()


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[RunningPage]:
    """A page with a call whose request is long."""
    bundle = BundleBuilder(tmp_path / "trace-1")
    bundle.turn("t")
    bundle.start("call-1", "t", [message("user", "And then? " * 1000)])
    bundle.complete("call-1", [message("assistant", "Then it ended.")])
    bundle.write()
    with RunningPage(tmp_path) as page:
        yield page


@pytest.mark.parametrize("path", ["/call/trace-1/call-1", "/call/trace-1/call-1/request.json"])
def test_large_answers_are_compressed(talkative: RunningPage, path: str) -> None:
    """Where whoever asks takes that; it is the same text then."""
    _, plain = received(talkative, path)
    encoding, packed = received(talkative, path, Accept_Encoding="gzip")
    assert encoding == "gzip"
    assert len(packed) < len(plain) / 2
    assert gzip.decompress(packed) == plain


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/call/trace-1/call-1", {"Accept_Encoding": "identity"}),
        ("/call/trace-1/call-1", {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}),
        ("/call/trace-1/call-1", {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"}),
        ("/static/tailrace.css", {}),
        ("/?fragment=notices", {}),
    ],
)
def test_what_is_not_compressed(
    talkative: RunningPage, path: str, fields: Mapping[str, str]
) -> None:
    """What another site had opened, so that its length tells nothing; what is small or kept."""
    encoding, body = received(talkative, path, **{"Accept_Encoding": "gzip", **fields})
    assert encoding is None
    assert body


def test_updates_are_not_compressed(talkative: RunningPage) -> None:
    """Each comes when it happens: none waits in a compressor for the next."""
    connection = http.client.HTTPConnection("127.0.0.1", talkative.port, timeout=GUARD_S)
    connection.request("GET", "/updates", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert response.headers["Content-Encoding"] is None
    assert response.readline().startswith(b"retry: ")
    response.close()
    connection.close()


def test_no_page_holds_the_token(tmp_path: Path) -> None:
    """It stands in a cookie alone: what is compressed, or saved, tells nobody how to get in."""
    bundle = BundleBuilder(tmp_path / "trace-1")
    bundle.turn("t")
    bundle.start("call-1", "t", [message("user", "Hi")])
    bundle.write()
    token = "a-token-of-sixteen-or-more"
    with RunningPage(tmp_path, token=token) as page:
        cookie = f"tailrace_page_{page.port}={token}"
        for path in ("/", "/call/trace-1/call-1", "/thread/trace-1/call-1", "/nowhere"):
            answer = page.get(path, Cookie=cookie)
            assert answer.status == (404 if path == "/nowhere" else 200)
            assert token not in answer.text


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
