"""What a selector names among the ids of several bundles."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from viewer.selector import NoSuchSelection, Target, entries_under, select


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Two bundles; the call of the second one is the latest."""
    for name, call in (("trace-1", "call-1a"), ("trace-2", "call-2b")):
        bundle = BundleBuilder(tmp_path / name, root_thread=f"thread:{call}")
        if name == "trace-2":
            bundle.thread("another")
        bundle.turn("t")
        bundle.start(call, "t", [message("user", "Hi")])
        bundle.cancel(call, upstream_request_id=f"req_{name}", proxy={"response_id": f"r_{name}"})
        bundle.write()
    (tmp_path / "not-a-bundle").mkdir()
    return tmp_path


def target(traces: Path, number: int, call: str | None) -> Target:
    """A target of the first or the second bundle."""
    thread = "thread:call-1a" if number == 1 else "thread:call-2b"
    return Target(bundle=traces / f"trace-{number}", thread_id=thread, call_id=call)


@pytest.mark.parametrize(
    "selector", ["call-1a", "1a", "call-1", "r_trace-1", "trace-1", "req_trace-1"]
)
def test_any_id_of_a_call_or_a_part_names_it(traces: Path, selector: str) -> None:
    """Its own, its response's, its upstream request's: whole, the beginning or the end."""
    assert select(selector, entries_under(traces)) == target(traces, 1, "call-1a")


@pytest.mark.parametrize("selector", ["thread:call-1a", "thread:call-1"])
def test_thread_goes_by_its_id(traces: Path, selector: str) -> None:
    """A thread that was made for a call is meant only where its own id is begun."""
    assert select(selector, entries_under(traces)) == target(traces, 1, None)


def test_last_is_the_call_that_began_last(traces: Path) -> None:
    """`last` needs no id."""
    assert select("last", entries_under(traces)) == target(traces, 2, "call-2b")


@pytest.mark.parametrize("selector", ["call-", "thread:", "r_"])
def test_several_matches_are_named(traces: Path, selector: str) -> None:
    """Who gave too little of an id is told between which."""
    with pytest.raises(NoSuchSelection, match=r"names 2: .*trace-1.*trace-2.*Give more"):
        select(selector, entries_under(traces))


@pytest.mark.parametrize("selector", ["nowhere", ""])
def test_no_match_is_told(traces: Path, selector: str) -> None:
    """An id that is nowhere is an error that repeats it."""
    with pytest.raises(NoSuchSelection, match=f"'{selector}'"):
        select(selector, entries_under(traces))


def test_no_call_yet(tmp_path: Path) -> None:
    """`last` of nothing is nothing, also where there is no directory."""
    with pytest.raises(NoSuchSelection, match="no call yet"):
        select("last", entries_under(tmp_path / "missing"))


def test_whole_id_comes_before_parts(tmp_path: Path) -> None:
    """An id that another one begins with can be named all the same."""
    bundle = BundleBuilder(tmp_path / "trace-1")
    bundle.turn("t")
    bundle.start("call", "t", [])
    bundle.start("call-2", "t", [])
    bundle.write()
    assert select("call", entries_under(tmp_path)).call_id == "call"
