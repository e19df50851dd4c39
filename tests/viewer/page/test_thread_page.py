"""The page of a conversation: its turns, its branches and retries, and where it goes on."""

import re
from pathlib import Path

import pytest

from reducer.cache import CacheReport, Change, Effect, Possibility, Verdict
from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from tests.viewer.page.markup import region, words
from viewer.page.thread_page import REQUESTS_PAGE
from viewer.thread.cache_words import cache_miss

THREAD = "/thread/trace-1/call-0"


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle in the making, with a turn `t`."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    return builder


def ask(bundle: BundleBuilder, number: int, after: int | None, asked: str) -> None:
    """A call that continues another one by the id of its response, and its answer."""
    body = {"model": "m", "input": [message("user", asked)], "instructions": "Be brief."}
    if after is not None:
        body["previous_response_id"] = f"resp_{after}"
    usage = {
        "input_tokens": 2000,
        "cached_input_tokens": 1500,
        "output_tokens": 10,
        "reasoning_output_tokens": 0,
    }
    bundle.start(f"call-{number}", "t", body)
    answer = message("assistant", f"answer {number}")
    bundle.complete(f"call-{number}", [answer], response_id=f"resp_{number}", usage=usage)


def test_conversation_is_read_in_its_order(bundle: BundleBuilder) -> None:
    """What was asked and answered, once each, with what each call cost."""
    ask(bundle, 0, None, "first question")
    ask(bundle, 1, 0, "second question")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get(THREAD).text
        assert page.get("/thread/trace-1/call-1").text.count("<article") == html.count("<article")
    text = words(region(html, "requests"))
    places = [text.index(said) for said in ("first question", "answer 0", "second", "answer 1")]
    assert places == sorted(places)
    assert text.count("answer 0") == 1
    assert "in 2.0k cached 1.5k out 10" in text
    assert 'href="/call/trace-1/call-1">Request 2</a>' in html
    assert 'href="/diff?a=trace-1/call-0&amp;b=trace-1/call-1"' in html
    assert "4,000" in words(region(html, "headline"))


def test_fork_names_both_ways(bundle: BundleBuilder) -> None:
    """Where two calls continue one, the page says so there, and where each way begins."""
    ask(bundle, 0, None, "the beginning")
    ask(bundle, 1, 0, "one way")
    ask(bundle, 2, 1, "on it")
    ask(bundle, 3, 0, "another way")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get(THREAD).text
    _, first, *rest = re.split(r'(?=<article class="round)', html)
    assert "Forks here to request 2 one way , request 4 another way" in words(first)
    assert 'href="#request-1"' in first
    assert "Branch 2, leaves at request 1" in words("".join(rest))
    assert "2 branches" in words(html).lower() or "Branches 2" in words(html)


def test_retries_are_folded_into_one_request(bundle: BundleBuilder) -> None:
    """A call that failed and was sent again is one request with two attempts."""
    digest = {"bytes": 1, "sha256": "a" * 64}
    for number in range(2):
        proxy = {"transport": "http", "path": "/v1/responses", "retry_count": number}
        asked = [message("user", "Hi")]
        bundle.start(f"call-{number}", "t", asked, proxy={**proxy, "request": digest})
        if number == 0:
            bundle.fail("call-0", error="overloaded", proxy={"http_status": 503})
    bundle.complete("call-1", [message("assistant", "Hello")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        html = page.get(THREAD).text
    assert html.count('<article class="round') == 1
    assert "2 attempts" in words(html)
    assert 'href="/call/trace-1/call-0">503</a>' in html


def test_long_conversation_is_paged_through(bundle: BundleBuilder) -> None:
    """A window around the call that was asked for, and links to what is beside it."""
    count = 2 * REQUESTS_PAGE + 10
    for number in range(count):
        ask(bundle, number, number - 1 if number else None, f"question {number}.")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        middle = page.get(f"/thread/trace-1/call-{REQUESTS_PAGE + 5}").text
        assert middle.count('<article class="round') == REQUESTS_PAGE
        assert middle.count("is-asked") == 1
        assert f"question {REQUESTS_PAGE + 5}." in middle
        assert "question 0." not in region(middle, "requests")
        last = page.get(f"{THREAD}?start={count - 3}").text
        assert last.count('<article class="round') == 3
        assert 'rel="next"' not in last
        assert page.get(f"{THREAD}?start=999999").status == 404
        assert "question 0." in region(page.get(f"{THREAD}?start=0").text, "requests")


def test_news_is_a_region_of_its_own(bundle: BundleBuilder) -> None:
    """What is latest is looked up without reading the conversation anew."""
    ask(bundle, 0, None, "<b>first</b>")
    ask(bundle, 1, 0, "<b>latest</b>")
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        news = page.get(f"{THREAD}?fragment=news").text
    assert "2 calls" in words(news)
    assert "&lt;b&gt;latest&lt;/b&gt;" in news
    assert "answer" not in news


def report(**fields: object) -> CacheReport:
    """A report of a call that read nothing from the cache, but for these fields."""
    values: dict[str, object] = {
        "call": "b",
        "before": "a",
        "verdict": Verdict.NOT_CACHED,
        "input_tokens": 5000,
        "cached_tokens": 0,
        "before_input_tokens": 4000,
        "since_before_ms": 10,
        "is_compared": True,
        "changes": (),
        "first_new_item": None,
        "possible": (),
    }
    return CacheReport(**values | fields)  # type: ignore[arg-type]  # fields by name


def test_cache_miss_has_its_reason() -> None:
    """What changed, else what may be why; nothing where nothing was missed, or can be known."""
    change = Change(
        reason="tools_changed", effect=Effect.PROMPT, pointer="/tools", what="another order"
    )
    told = cache_miss(report(changes=(change,)))
    assert told is not None
    assert "the tools changed" in told
    assert "another order" in told
    expired = Possibility(cause="expired", what="9 minutes had passed.")
    assert "9 minutes" in (cache_miss(report(possible=(expired,))) or "")
    assert cache_miss(report(verdict=Verdict.TOO_SHORT, input_tokens=10)) is None
    assert cache_miss(report(verdict=Verdict.CACHED, cached_tokens=4992)) is None
    assert cache_miss(report(before=None, changes=(change,))) is None
