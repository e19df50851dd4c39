"""The page of two calls: which settings and items differ, and what broke the cache."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import BundleBuilder, message
from tests.support.running_page import RunningPage
from tests.viewer.page.markup import is_open, region, words
from viewer.page.differing import difference

DIFF = "/diff?a=trace-1/call-1&b=trace-1/call-2"


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle in the making, with a turn `t`."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    return builder


def compared(bundle: BundleBuilder, before: object, after: object) -> str:
    """The page of two calls that asked these bodies."""
    for call, body in (("call-1", before), ("call-2", after)):
        bundle.start(call, "t", body)
        bundle.complete(call, [message("assistant", "ok")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        return page.get(DIFF).text


def body(*items: object, **settings: object) -> dict[str, object]:
    """A request's body."""
    return {"model": "m", "input": list(items), **settings}


def test_settings_that_differ_are_told(bundle: BundleBuilder) -> None:
    """Each with what it was and what it became; a left-out one as such."""
    asked = message("user", "Hi")
    html = compared(
        bundle,
        body(asked, temperature=0.25, instructions="Be brief."),
        body(asked, instructions="Be <b>long</b>."),
    )
    text = words(html)
    assert "before: 0.25" in text
    assert "after: not there" in text
    assert "Be &lt;b&gt;long&lt;/b&gt;." in html
    assert "The prompt is another one from here on: the instructions changed" in text
    told = words(region(html, "instructions"))
    assert "9 characters before, 15 after" in told
    assert told.endswith("before: Be brief . + after: Be <b>long</b> .")
    assert "the same instructions" not in text


def test_same_call_twice_is_said_to_be_one(bundle: BundleBuilder) -> None:
    """The page says so in place of a comparison."""
    bundle.start("call-1", "t", body(message("user", "Hi")))
    bundle.complete("call-1", [message("assistant", "ok")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        text = words(page.get("/diff?a=trace-1/call-1&b=trace-1/call-1").text)
    assert "Both are the same call: there is nothing to compare." in text
    assert "does not continue" not in text
    assert "prompt cache" not in text


def test_what_cannot_be_read_is_not_compared(bundle: BundleBuilder) -> None:
    """Nothing is said to be gone, or the same, of a request that is not there."""
    bundle.start("call-1", "t", body(message("user", "Hi"), temperature=0.25))
    bundle.complete("call-1", [message("assistant", "ok")])
    bundle.files["payloads/1.json"] = b"{"
    bundle.start("call-2", "t", body(message("user", "Hi")))
    bundle.complete("call-2", [message("assistant", "ok")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        text = words(page.get(DIFF).text)
    assert "The request (payloads/1.json) cannot be read: it is no JSON." in text
    assert "Settings, instructions and items are not compared" in text
    assert "0.25" not in text
    assert "0 equal" not in text


def test_items_are_told_by_what_became_of_them(bundle: BundleBuilder) -> None:
    """Equal ones are folded and counted, a changed one shows where it changed."""
    same = [message("user", f"same {number}") for number in range(3)]
    html = compared(
        bundle,
        body(*same, message("user", "The cart is blue."), message("user", "gone soon")),
        body(*same, message("user", "The cart is green.")),
    )
    text = words(html)
    assert "3 equal, 1 changed, 0 added, 1 removed" in text
    assert not is_open(html, "equal-1")
    assert "The cart is <mark>blue</mark>." in html
    assert "The cart is <mark>green</mark>." in html
    assert "gone soon" in text


def test_hostile_text_is_text(bundle: BundleBuilder) -> None:
    """Neither a setting nor an item can act."""
    hostile = "<script>alert(1)</script>\x1b[31m\u202e"
    html = compared(
        bundle,
        body(message("user", hostile), user=hostile),
        body(message("user", f"{hostile}!"), message("user", hostile)),
    )
    assert "<script>alert" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html


@pytest.mark.parametrize(
    "query", ["", "?a=trace-1/call-1", "?a=trace-1/call-1&b=trace-1/none", "?a=x&b=y"]
)
def test_calls_that_are_not_there(bundle: BundleBuilder, query: str) -> None:
    """An address that names no two calls is told so."""
    bundle.start("call-1", "t", [message("user", "Hi")])
    bundle.write()
    with RunningPage(bundle.path.parent) as page:
        answer = page.get(f"/diff{query}")
    assert answer.status == 404
    assert "no such call" in answer.text


@given(st.text("abc", max_size=30), st.text("abc", max_size=30))
def test_difference_makes_both_texts(before: str, after: str) -> None:
    """What both have, and what each has of its own, put together are the two texts."""
    found = difference(before, after, 100)
    assert found.head + found.before + found.tail == before
    assert found.head + found.after + found.tail == after
    assert not (found.before and found.after and found.before[0] == found.after[0])


def test_difference_is_shortened_and_says_so() -> None:
    """Of long texts only the surroundings of the difference are given."""
    found = difference("x" * 1000 + "old" * 50 + "y" * 1000, "x" * 1000 + "y" * 1000, 20)
    assert found.head_left_out + len(found.head) == 1000
    assert found.tail_left_out + len(found.tail) == 1000
    assert len(found.before) + found.before_left_out == 150
    assert len(found.before) == 20
    assert (found.after, found.after_left_out) == ("", 0)


def test_equal_requests_say_so(bundle: BundleBuilder) -> None:
    """Settings, tools and instructions."""
    asked = body(message("user", "Hi"), instructions="Be brief.")
    html = compared(bundle, asked, asked)
    assert "Both requests have the same settings and tools, and the same instructions." in (
        words(html)
    )
    assert 'id="instructions"' not in html
