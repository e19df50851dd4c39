"""Links across bundles: what one run began, another may go on with."""

from itertools import permutations
from pathlib import Path

import pytest

from reducer.call_facts import CallKey
from reducer.conversation_trees import Conversations
from reducer.link_rules import Link, LinkKind
from reducer.trace_links import link_bundles
from tests.reducer.items import assistant, function_call, function_output, user
from tests.reducer.linked import Caller
from tests.support.bundles import Json

LATER_MS = 60_000


def two_runs(tmp_path: Path) -> tuple[Caller, Caller]:
    """Two bundles, the second one a minute younger."""
    first = Caller(tmp_path / "b1", trace_id="t1")
    return first, Caller(tmp_path / "b2", trace_id="t2", later_ms=LATER_MS)


def linked(first: Caller, second: Caller, call: str) -> tuple[CallKey, LinkKind] | None:
    """What a call of the second bundle continues, in whatever order the two are read."""
    paths = [first.bundle.write(), second.bundle.write()]
    found = [
        link_bundles(order).continues.get(CallKey("t2", call)) for order in permutations(paths)
    ]
    assert found[0] == found[1]
    return None if found[0] is None else (found[0].call, found[0].by)


def test_response_of_another_bundle_is_followed(tmp_path: Path) -> None:
    """A response id is known wherever the call was recorded, though not in the other's state."""
    first, second = two_runs(tmp_path)
    first.call("c1", "a", "A", response_id="r1")
    second.call("c2", {"input": [user("b")], "previous_response_id": "r1"})
    assert linked(first, second, "c2") == (CallKey("t1", "c1"), LinkKind.PREVIOUS_RESPONSE_ID)
    proxy = second.state()["inference_calls"]["c2"]["proxy"]
    assert "continues" not in proxy


def test_prewarm_of_another_bundle_is_followed(tmp_path: Path) -> None:
    """Through a prewarm that stands in another bundle than what it continued."""
    first, second = two_runs(tmp_path)
    first.call("c1", "a", "A", response_id="r1")
    prewarm = {"response_id": "w1", "previous_response_id": "r1", "input": [], "output": []}
    first.bundle.observed("tailrace.prewarm", prewarm)
    second.call("c2", {"input": [user("b")], "previous_response_id": "w1"})
    assert linked(first, second, "c2") == (CallKey("t1", "c1"), LinkKind.PREVIOUS_RESPONSE_ID)


def test_thread_goes_on_in_another_bundle(tmp_path: Path) -> None:
    """A session that is resumed after a restart of the proxy is the same thread."""
    first, second = two_runs(tmp_path)
    first.call("c1", "a", "A", thread="t")
    second.call("c2", [user("summary"), user("b")], thread="t")
    assert linked(first, second, "c2") == (CallKey("t1", "c1"), LinkKind.EXPLICIT)


def test_tool_loop_goes_on_in_another_bundle(tmp_path: Path) -> None:
    """A tool may take longer than the bundle was open."""
    first, second = two_runs(tmp_path)
    first.call("c1", "a", [function_call("k", "{}")])
    second.call("c2", [user("a"), function_call("k", "{}"), function_output("k", "x")])
    assert linked(first, second, "c2") == (CallKey("t1", "c1"), LinkKind.CALL_ID)


def test_growing_input_goes_on_in_another_bundle(tmp_path: Path) -> None:
    """A stateless client does not know of bundles."""
    first, second = two_runs(tmp_path)
    first.call("c1", "a", "A")
    second.call("c2", [user("a"), assistant("A"), user("b")])
    assert linked(first, second, "c2") == (CallKey("t1", "c1"), LinkKind.PREFIX)


def test_only_earlier_calls_are_continued(tmp_path: Path) -> None:
    """Bundles that name each other's responses make no circle."""
    first, second = two_runs(tmp_path)
    first.call("c1", {"input": [], "previous_response_id": "r2"}, "A", response_id="r1")
    second.call("c2", {"input": [], "previous_response_id": "r1"}, "B", response_id="r2")
    links = link_bundles([first.bundle.write(), second.bundle.write()])
    assert links.continues == {
        CallKey("t2", "c2"): Link(call=CallKey("t1", "c1"), by=LinkKind.PREVIOUS_RESPONSE_ID)
    }


def test_retry_after_a_restart_is_the_same_request(tmp_path: Path) -> None:
    """An SDK retries when the proxy went away, and meets another run of it."""
    sent: Json = {"path": "/", "retry_count": 0, "request": {"sha256": "s"}}
    first, second = two_runs(tmp_path)
    first.start("c1", "a", proxy=sent)
    second.call("c2", "a", "A", proxy={**sent, "retry_count": 1})
    links = link_bundles([second.bundle.write(), first.bundle.write()])
    assert links.retries[CallKey("t2", "c2")].first == CallKey("t1", "c1")


def test_workers_share_a_conversation(tmp_path: Path) -> None:
    """Two processes write at once; calls go to either, and are linked in the order of time."""
    first = Caller(tmp_path / "b1", trace_id="t1")
    second = Caller(tmp_path / "b2", trace_id="t2")
    history: list[object] = []
    for number in range(6):
        caller = (first, second)[number % 2]
        caller.bundle.later_ms = 1000 * number
        history.append(user(f"q{number}"))
        caller.call(f"c{number}", list(history), f"a{number}")
        history.append(assistant(f"a{number}"))
    conversations = Conversations(link_bundles([second.bundle.write(), first.bundle.write()]))
    (root,) = conversations.roots
    assert [request.key.call_id for _, request in conversations.tree(root.key)] == [
        f"c{number}" for number in range(6)
    ]


def test_clock_that_is_set_back_keeps_the_order_of_a_bundle(tmp_path: Path) -> None:
    """Within a bundle the order of the events counts, whatever time they tell."""
    caller = Caller(tmp_path / "b1", trace_id="t1")
    caller.call("c1", "a", "A")
    caller.bundle.later_ms = -LATER_MS
    caller.call("c2", [user("a"), assistant("A"), user("b")])
    links = link_bundles([caller.bundle.write()])
    assert [call.key.call_id for call in links.calls] == ["c1", "c2"]
    assert CallKey("t1", "c2") in links.continues


@pytest.mark.parametrize("older_first", [True, False])
def test_copy_of_a_bundle_counts_once(tmp_path: Path, older_first: bool) -> None:
    """Of a call that one copy saw end and the other did not, the end is known."""
    older, newer = (Caller(tmp_path / name, trace_id="t1") for name in ("b1", "b2"))
    older.start("c1", "a")
    newer.call("c1", "a", "A")
    paths = [older.bundle.write(), newer.bundle.write()]
    links = link_bundles(paths if older_first else paths[::-1])
    assert [(call.key, call.status) for call in links.calls] == [(CallKey("t1", "c1"), "completed")]
