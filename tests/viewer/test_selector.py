"""What a selector names among the ids of several bundles."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import BundleBuilder, message
from tests.support.call_rows import call_row
from tests.support.catalog_rows import CatalogRows
from tests.support.events import sse_pieces, text_stream
from tests.support.recording import call_id, recording
from tests.viewer.terminal.shown import ASKED, show
from viewer.catalog.catalog import Catalog
from viewer.selector import (
    MATCHES_NAMED_MAX,
    MORE_OF_THE_ID,
    NoSuchSelection,
    Target,
    select,
    select_call,
    thread_named,
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Two bundles; the call of the second one is the latest."""
    traces = tmp_path_factory.mktemp("traces")
    for number, call in enumerate(("call-1a", "call-2b"), start=1):
        bundle = BundleBuilder(
            traces / f"trace-{number}", root_thread=f"thread:{call}", trace_id=str(number)
        )
        bundle.later_ms = number
        bundle.turn("t")
        bundle.start(call, "t", [message("user", "Hi")])
        request, response = f"req_trace-{number}", f"r_trace-{number}"
        bundle.cancel(call, upstream_request_id=request, proxy={"response_id": response})
        bundle.write()
    (traces / "not-a-bundle").mkdir()
    with Catalog.open(traces) as catalog:
        catalog.refresh()
        yield catalog


def target(catalog: Catalog, number: int, call: str | None) -> Target:
    """A target of the first or the second bundle."""
    thread = "thread:call-1a" if number == 1 else "thread:call-2b"
    bundle = catalog.trace_dir / f"trace-{number}"
    return Target(bundle=bundle, thread_id=thread, call_id=call)


@pytest.mark.parametrize(
    "selector", ["call-1a", "1a", "call-1", "r_trace-1", "trace-1", "req_trace-1"]
)
def test_any_id_of_a_call_or_a_part_names_it(catalog: Catalog, selector: str) -> None:
    """Its own, its response's, its upstream request's: whole, the beginning or the end."""
    assert select(selector, catalog) == target(catalog, 1, "call-1a")
    assert select_call(selector, catalog).call_id == "call-1a"


@pytest.mark.parametrize("selector", ["thread:call-1a", "thread:call-1"])
def test_thread_goes_by_its_id(catalog: Catalog, selector: str) -> None:
    """A thread that was made for a call is meant only where its own id is begun."""
    assert select(selector, catalog) == target(catalog, 1, None)
    assert thread_named(selector, catalog) == "thread:call-1a"


def test_thread_is_no_call(catalog: Catalog) -> None:
    """Who needs a call is told how to find those of the thread."""
    with pytest.raises(NoSuchSelection, match=r"is a thread.*ls --thread thread:call-1a"):
        select_call("thread:call-1", catalog)


def test_last_is_the_call_that_began_last(catalog: Catalog) -> None:
    """`last` needs no id."""
    assert select("last", catalog) == target(catalog, 2, "call-2b")


@pytest.mark.parametrize("selector", ["call-", "thread:", "r_"])
def test_several_matches_are_named(catalog: Catalog, selector: str) -> None:
    """Who gave too little of an id is told between which, a line for each."""
    with pytest.raises(NoSuchSelection, match="names 2 ") as told:
        select(selector, catalog)
    _, *listed, advice = told.value.lines
    assert ["call-1a" in line for line in sorted(listed)] == [True, False]
    assert ["call-2b" in line for line in sorted(listed)] == [False, True]
    assert "Give more" in advice


def test_many_matches_are_counted(tmp_path: Path) -> None:
    """The first are named, newest first, and how many more there are."""
    rows = CatalogRows(tmp_path)
    rows.add(*(call_row(number, call_id=f"c{number}") for number in range(1, 14)))
    with rows.catalog as catalog, pytest.raises(NoSuchSelection) as told:
        select("c", catalog)
    lines = told.value.lines
    assert lines[0] == f"'c' names 13 calls in {tmp_path}:"
    assert lines[1].startswith("  call c13  ")
    assert lines[MATCHES_NAMED_MAX].startswith("  call c4  ")
    assert lines[MATCHES_NAMED_MAX + 1 :] == ("  and 3 more", MORE_OF_THE_ID)


@pytest.mark.parametrize("selector", ["nowhere", "", "\ud800", "%", "*", "call-1a\0"])
def test_no_match_is_told(catalog: Catalog, selector: str) -> None:
    """An id that is nowhere is an error that repeats it, says where, and what shows the ids."""
    for find in (select, select_call):
        with pytest.raises(NoSuchSelection) as told:
            find(selector, catalog)
        assert repr(selector) in str(told.value)
        assert str(catalog.trace_dir) in str(told.value)
        assert "tailrace ls" in str(told.value)


def test_no_call_yet(tmp_path: Path) -> None:
    """`last` of nothing is nothing."""
    with CatalogRows(tmp_path).catalog as catalog, pytest.raises(NoSuchSelection, match="no call"):
        select("last", catalog)


def test_whole_id_comes_before_parts(tmp_path: Path) -> None:
    """An id that another one begins with can be named all the same."""
    rows = CatalogRows(tmp_path)
    rows.add(call_row(1, call_id="call"), call_row(2, call_id="call-2", thread_id="call-2-thread"))
    with rows.catalog as catalog:
        assert select_call("call", catalog).id == 1
        assert select_call("call-2", catalog).id == 2
        assert select("call-2-t", catalog).call_id is None


def test_attempts_are_told_apart(tmp_path: Path) -> None:
    """A client that repeats its own id when it tries again names several calls by it."""
    rows = CatalogRows(tmp_path)
    first = call_row(1, call_id="first", client_call_id="mine", status="failed")
    second = call_row(2, call_id="second", client_call_id="mine", status="completed", attempt=2)
    rows.add(first, second)
    with rows.catalog as catalog:
        for selector in ("mine", "min"):
            with pytest.raises(NoSuchSelection, match="client's id of 2 attempts") as told:
                select_call(selector, catalog)
            _, *listed, advice = told.value.lines
            assert ["call second  " in line and "completed" in line for line in listed] == [
                True,
                False,
            ]
            assert ["call first  " in line and "failed" in line for line in listed] == [False, True]
            assert "Name one" in advice


def test_one_id_in_several_bundles(tmp_path: Path) -> None:
    """Only the bundles tell them apart: more of the id would not help."""
    rows = CatalogRows(tmp_path)
    for number in (1, 2):
        rows.add(call_row(number, Path(f"trace-{number}"), call_id="same", thread_id="talk"))
    with rows.catalog as catalog:
        for selector in ("same", "talk"):
            with pytest.raises(NoSuchSelection, match="Only their bundles") as told:
                select(selector, catalog)
            bundles = {line.rpartition("/")[2] for line in told.value.lines[1:-1]}
            assert bundles == {"trace-1", "trace-2"}
        assert thread_named("tal", catalog) == "talk"


def test_copy_of_a_bundle_is_as_good(tmp_path: Path) -> None:
    """A call of it is one call, wherever it is read."""
    rows = CatalogRows(tmp_path)
    for number, bundle in ((1, "trace-1"), (2, "copy")):
        rows.add(call_row(number, Path(bundle), call_id="same", trace_id="1"))
    with rows.catalog as catalog:
        assert select_call("same", catalog).id == 2


def test_part_of_several_threads_names_none(catalog: Catalog) -> None:
    """A filter by thread needs one; who gave too little of an id is told between which."""
    with pytest.raises(NoSuchSelection, match="names 2 threads in ") as told:
        thread_named("thread", catalog)
    assert told.value.lines[1:3] == ("  thread:call-1a", "  thread:call-2b")
    for nothing in ("nowhere", ""):
        with pytest.raises(NoSuchSelection, match="no thread in"):
            thread_named(nothing, catalog)


def test_calls_to_choose_from_have_a_line_each(tmp_path: Path) -> None:
    """A selector of several is a failure that a person can read, and that steers no terminal."""
    with recording(tmp_path) as record:
        for model in ("gpt-5.5", "gpt\x1b[2J\n4"):
            record.call(*sse_pieces(*text_stream("Hello")), body={**ASKED, "model": model})
            record.clock.advance(1000)
        record.close()
    result = show(tmp_path, "0000")
    assert (result.exit_code, result.stdout) == (1, "")
    said, second, first, advice = result.stderr.splitlines()
    assert said == f"tailrace: '0000' names 2 calls in {tmp_path}:"
    assert re.fullmatch(rf"  call {call_id(2)}  [-0-9T:]+  completed  gpt\\x1b\[2J\\n4", second)
    assert first.startswith(f"  call {call_id(1)}  ")
    assert advice.startswith("Give more of the id")


IDS = st.text("ab", min_size=1, max_size=4)


@given(selector=IDS)
def test_parts_are_found_as_told(some_ids: CatalogRows, selector: str) -> None:
    """Exactly the calls of which an id is it, or begins or ends with it where none is it."""
    exact = {id_ for id_ in NAMES if id_ == selector}
    partly = {id_ for id_ in NAMES if id_.startswith(selector) or id_.endswith(selector)}
    expected = exact or partly
    if len(expected) == 1:
        assert {select_call(selector, some_ids.catalog).call_id} == expected
        return
    with pytest.raises(NoSuchSelection) as told:
        select_call(selector, some_ids.catalog)
    assert (f"names {len(expected)} calls in" in str(told.value)) is bool(expected)


NAMES = ("a", "ab", "abb", "baa", "bbbb", "aabab", "bab", "aabb")


@pytest.fixture(scope="module")
def some_ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogRows]:
    """Calls of which one id begins or ends as another."""
    rows = CatalogRows(tmp_path_factory.mktemp("ids"))
    for number, name in enumerate(NAMES, start=1):
        rows.add(call_row(number, call_id=name, thread_id=f"thread {number}."))
    with rows.catalog:
        yield rows
