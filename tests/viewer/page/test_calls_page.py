"""The list of calls: which it shows, where it goes on, and that nothing in it is markup."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from viewer.page.calls_page import ROWS

USAGE = {
    "input_tokens": 12_345,
    "cached_input_tokens": 1_000,
    "output_tokens": 67,
    "reasoning_output_tokens": 0,
}


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle in the making, with a turn `t`."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    return builder


def calls_in(html: str) -> list[str]:
    """The ids of the calls in the list, in its order."""
    rows = re.findall(r'class="row-link" id="open-\d+" href="/call/trace-1/([^"]+)"', html)
    return [unquote(row) for row in rows]


def link(html: str, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'<a href="([^"]+)"[^>]*>{words}</a>', html)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_call_is_told_in_a_row(bundle: BundleBuilder) -> None:
    """What was asked and answered, by whom, how long it took, and what it cost."""
    bundle.start("call-1", "t", [message("user", "What is a tailrace?")])
    bundle.complete(
        "call-1",
        [message("assistant", "What flows off a mill.")],
        response_id="resp_1",
        usage=USAGE,
        proxy={"timing": {"first_event": 214.8, "ended": 1205.3}, "http_status": 200},
    )
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get("/").text
    text = re.sub(r"<[^>]+>|\s+", " ", html)
    for shown in ("What is a tailrace?", "What flows off a mill.", "215 ms", "1.21 s", "12.3k"):
        assert shown in text
    assert "1 call" in text
    assert calls_in(html) == ["call-1"]


def test_filters_are_in_the_address_and_in_the_form(bundle: BundleBuilder) -> None:
    """What was asked for is what is shown, and what the form says."""
    bundle.start("good", "t", [message("user", "zebra")])
    bundle.complete("good", usage=USAGE)
    bundle.start("bad", "t", [message("user", "giraffe")])
    bundle.fail("bad", proxy={"timing": {"ended": 5000.0}})
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        failed = page.get("/?status=failed").text
        assert calls_in(failed) == ["bad"]
        assert re.search(r'value="failed" checked', failed)
        assert calls_in(page.get("/?status=failed&status=completed").text) == ["bad", "good"]
        assert calls_in(page.get("/?text=zebra").text) == ["good"]
        assert "<mark>zebra</mark>" in page.get("/?text=zebra").text
        assert calls_in(page.get("/?slow=4s").text) == ["bad"]
        assert re.search(r'value="4s" selected', page.get("/?slow=4s").text)
        assert calls_in(page.get("/?tokens=12k").text) == ["good"]
        assert calls_in(page.get("/?model=m").text) == ["bad", "good"]
        assert calls_in(page.get("/?model=other").text) == []
        assert calls_in(page.get("/?since=1h").text) == []
        assert calls_in(page.get("/?thread=root").text) == ["bad", "good"]
        assert "thread root" in page.get("/?thread=root").text
        nothing = page.get("/?thread=nobody").text
        assert "No call is like that" in nothing


@pytest.mark.parametrize(
    "query", ["slow=soon", "since=once", "tokens=many", "slow=1e9", "since=%00", "tokens=-1"]
)
def test_value_that_means_nothing_is_told(bundle: BundleBuilder, query: str) -> None:
    """It excludes no call, and the page says so."""
    bundle.start("call-1", "t", [])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        answer = page.get(f"/?{query}")
    assert answer.status == 200
    assert '<p class="notice notice-bad">' in answer.text
    assert calls_in(answer.text) == ["call-1"]


def test_list_goes_on_by_page(bundle: BundleBuilder) -> None:
    """Older and newer lead through all calls, each once, whatever is asked for beside."""
    for number in range(2 * ROWS + 5):
        bundle.start(f"call-{number}", "t", [])
        bundle.cancel(f"call-{number}")
    bundle.write()
    newest_first = [f"call-{number}" for number in reversed(range(2 * ROWS + 5))]
    with RunningPage(bundle.path.parent) as page:
        first = page.get("/?status=cancelled").text
        second = page.get(link(first, "Older")).text
        third = page.get(link(second, "Older")).text
        assert calls_in(first) + calls_in(second) + calls_in(third) == newest_first
        assert ">Older</a>" not in third
        assert calls_in(page.get(link(third, "Newer")).text) == calls_in(second)
        back = page.get(link(second, "Newer")).text
        assert calls_in(back) == calls_in(first)
        assert ">Newer</a>" not in back
        assert link(third, "Newest") == "/?status=cancelled"


@pytest.mark.parametrize(
    "place", ["x", "1", "1.2.3", "9999999999999999999999.1", "\u0663.\u0661", "-1.5"]
)
def test_place_that_is_none_is_the_beginning(bundle: BundleBuilder, place: str) -> None:
    """An address that somebody mangled is answered."""
    bundle.start("call-1", "t", [])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        assert page.get(f"/?after={quote(place)}&before={quote(place)}").status == 200


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}{% raw %}",
        "\x1b[31m\x00\u202eevil",
        "' OR 1=1 --",
        "a" * 200_000,
    ],
)
def test_nothing_of_a_trace_is_markup(bundle: BundleBuilder, hostile: str) -> None:
    """Whatever a model, a client or a file's name says stands there as text."""
    bundle.start(hostile[:80], "t", {"model": hostile, "input": [message("user", hostile)]})
    bundle.fail(hostile[:80], error=hostile, proxy={"http_status": 500})
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        answer = page.get("/")
        searched = page.get(f"/?text={'%3Cscript%3E'}&model=%22%3E%3Cb%3E")
    assert answer.status == 200
    for text in (answer.text, searched.text):
        assert not re.search(r"<script>|<img|<b>\"|onerror=(?!alert\(1\)&gt;)", text)
        assert not re.search("[\x00\x1b\u202e]", text)
    assert len(answer.text) < 60_000
    assert "49" not in re.findall(r">\s*(49)\s*<", answer.text)


def test_no_traces_yet(tmp_path: Path) -> None:
    """Where nothing is, the page says how to begin; the directory may come later."""
    with RunningPage(tmp_path / "traces") as page:
        empty = page.get("/")
        assert empty.status == 200
        assert "OPENAI_BASE_URL" in empty.text
        with page.updates() as stream:
            bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
            bundle.turn("t")
            bundle.start("call-1", "t", [])
            bundle.write()
            assert stream.next_change() is not None
        assert calls_in(page.get("/").text) == ["call-1"]


def test_damaged_bundle_is_told(bundle: BundleBuilder) -> None:
    """The calls of a damaged bundle are shown as far as they can be, with a notice."""
    bundle.start("call-1", "t", [])
    bundle.raw_line(b"\xff\xfe no event")
    bundle.start("call-2", "t", [])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get("/").text
    assert calls_in(html) == ["call-2", "call-1"]
    assert "trace-1 cannot be read whole" in html


@pytest.mark.parametrize("fragment", ["list", "strip", "notices"])
def test_region_comes_alone(bundle: BundleBuilder, fragment: str) -> None:
    """What changed is fetched again without the page around it."""
    bundle.start("call-1", "t", [])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        region = page.get(f"/?fragment={fragment}").text.strip()
        assert page.get("/").text.count(f'id="{fragment}"') == 1
    assert re.match(rf'<(section|div) id="{fragment}"', region)
    assert "<html" not in region


@pytest.mark.parametrize("fragment", ["nothing", "../base", "..%2Fbase", "%00", "list.html"])
def test_region_that_is_none_is_not_there(bundle: BundleBuilder, fragment: str) -> None:
    """No other file is shown in its place."""
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        assert page.get(f"/?fragment={fragment}").status == 404


def test_what_is_not_there(bundle: BundleBuilder) -> None:
    """A page of ours says so; no traceback, no listing of files."""
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        for path in ("/nowhere", "/static/", "/static/../app.py", "/static/%2e%2e/app.py", "/-/x"):
            answer = page.get(path)
            assert answer.status == 404
            assert "Traceback" not in answer.text


def test_strip_has_a_mark_for_each_call(bundle: BundleBuilder) -> None:
    """Calls over time stand above the list, each linked to its page."""
    for number in range(3):
        bundle.start(f"call-{number}", "t", [])
        bundle.later_ms += 60_000
        bundle.fail(f"call-{number}", proxy={"timing": {"ended": 1000.0 * (number + 1)}})
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        strip = page.get("/?fragment=strip").text
    assert re.findall(
        r'<a href="/call/trace-1/(call-\d)" tabindex="-1"><use href="#m-failed"', strip
    )
    assert "3 calls over time: 3 failed" in strip


def test_traces_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """Who named a file is not told to start a proxy."""
    traces = tmp_path / "traces"
    traces.write_text("")
    with RunningPage(traces) as page:
        html = page.get("/").text
    assert "The traces cannot be read" in html
    assert "Not a directory" in html
