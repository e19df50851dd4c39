"""Codex's keys in our state hold what Codex's reducer says: of calls, turns and threads."""

from collections.abc import Callable

import pytest

from tests.reducer.items import (
    assistant,
    compaction,
    function_call,
    reasoning,
    user,
)
from tests.support.bundles import BundleBuilder, Json
from tests.support.parity import assert_parity, assert_refused_and_told

USAGE: Json = {
    "input_tokens": 10,
    "cached_input_tokens": 4,
    "output_tokens": 3,
    "reasoning_output_tokens": 0,
    "total_tokens": 13,
}


def test_cancelled_and_failed_calls(bundle: BundleBuilder) -> None:
    """Items that were done before the end are part of the conversation; the response id is not."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.cancel("c1", upstream_request_id="req_1")
    bundle.start("c2", "t", [user("a")])
    bundle.cancel("c2", output_items=[assistant("half")], response_id="r2", partial_items=[])
    bundle.start("c3", "t", [user("a"), assistant("half")])
    bundle.fail("c3", output_items=[assistant("half of c3")], upstream_request_id="req_3")
    bundle.start("c4", "t", [user("a")])
    bundle.fail("c4")
    bundle.end_turn("t", "failed")
    bundle.end("failed", recording_completed=False)
    assert_parity(bundle.write())


@pytest.mark.parametrize("status", ["running", "completed", "failed", "cancelled", "aborted"])
def test_turn_ends_under_running_calls(bundle: BundleBuilder, status: str) -> None:
    """A turn's end ends its running calls, and late terminals only add what they know."""
    bundle.turn("t")
    for call in ("late", "never", "early"):
        bundle.start(call, "t", [user(call)])
    bundle.complete("early", [assistant("early")], response_id="r")
    bundle.end_turn("t", status)
    bundle.cancel("late", output_items=[assistant("late")], upstream_request_id="req_late")
    bundle.turn("t2")
    bundle.start("next", "t2", [user("early"), assistant("early"), assistant("late")])
    assert_parity(bundle.write())


def test_late_terminal_of_the_latest_call(bundle: BundleBuilder) -> None:
    """What a cancelled call said late is matched by the next request."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.end_turn("t", "cancelled")
    bundle.complete("c1", [assistant("A")], response_id="r", upstream_request_id="x", usage=USAGE)
    bundle.turn("t2")
    bundle.start("c2", "t2", [user("a"), assistant("A"), user("b")])
    bundle.start("c3", "t2", {"input": [user("b")], "previous_response_id": "r"})
    assert_parity(bundle.write())


def test_overlapping_calls(bundle: BundleBuilder) -> None:
    """Calls that overlap in a thread: only the latest one's output is looked for."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.start("c2", "t", [user("a"), user("b")])
    bundle.complete("c2", [assistant("B")], response_id="r2")
    bundle.complete("c1", [assistant("A")], response_id="r1")
    bundle.start("c3", "t", [user("a"), assistant("A"), user("b"), assistant("B")])
    bundle.complete("c3", [], response_id="r3")
    assert_parity(bundle.write())


def test_second_terminals(bundle: BundleBuilder) -> None:
    """A second terminal keeps the status; its items, response id and request id count."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")], response_id="r", upstream_request_id="x", usage=USAGE)
    bundle.cancel("c1", upstream_request_id="y")
    bundle.start("c2", "t", [user("a"), assistant("A")])
    bundle.complete("c2", [assistant("B")], response_id="r2", upstream_request_id="x")
    bundle.complete("c2", [assistant("C")], response_id="r3")
    bundle.start("c3", "t", [user("a"), assistant("A"), assistant("B"), assistant("C")])
    assert_parity(bundle.write())


@pytest.mark.parametrize(
    "usage",
    [
        {**USAGE, "cache_write_input_tokens": 7},
        {**USAGE, "input_tokens": -1, "cache_write_input_tokens": -1},
        {**USAGE, "input_tokens": 2**63 - 1, "cache_write_input_tokens": "x"},
        {**USAGE, "input_tokens": 2**63},
        {**USAGE, "input_tokens": 1.0},
        {**USAGE, "input_tokens": True},
        {"input_tokens": 1, "output_tokens": 1},
        [1, 2],
    ],
    ids=str,
)
def test_usage(bundle: BundleBuilder, usage: object) -> None:
    """Usage is taken where all its counts are whole numbers."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [], usage=usage)
    assert_parity(bundle.write())


def test_threads(bundle: BundleBuilder) -> None:
    """Roots, a spawned thread, one that ended and was resumed; the same items in each."""
    spawn: Json = {"parent_thread_id": "root", "depth": 1, "agent_role": "worker"}
    session_source: Json = {"subagent": {"thread_spawn": spawn}}
    metadata = {"nickname": "Ada", "model": "m2", "session_source": session_source}
    bundle.thread("other")
    bundle.thread("spawned", agent_path="/root/task/", metadata=metadata)
    grandchild: Json = {"parent_thread_id": "spawned", "task_name": "T", "agent_path": "/sp"}
    session_source = {"subagent": {"thread_spawn": grandchild}}
    texts = {"task_name": "U", "agent_role": "R", "agent_path": "/m"}
    bundle.thread("grandchild", metadata={**texts, "session_source": session_source})
    bundle.thread("rooted", metadata={"agent_path": "/elsewhere", "session_source": "cli"})
    for thread in ("root", "other", "spawned"):
        turn = f"turn of {thread}"
        bundle.turn(turn, thread=thread)
        bundle.start(f"call of {thread}", turn, [user("a", id="i")])
        bundle.complete(f"call of {thread}", [assistant("A", id="j")], response_id="r")
    bundle.event("thread_ended", thread_id="other", status="aborted")
    bundle.event("thread_ended", thread_id="spawned", status="completed")
    bundle.event("thread_resumed", thread_id="spawned")
    bundle.end()
    assert_parity(bundle.write())


def test_accepted_items(bundle: BundleBuilder) -> None:
    """Accepted output is history, whenever the acceptance came; other output is not yet."""
    bundle.event("history_item_accepted", thread="root", item_id="early")
    bundle.turn("t")
    bundle.start("c1", "t", [user("a", id="early")])
    bundle.complete("c1", [assistant("A", id="i1"), assistant("B", id="i2"), assistant("C")])
    for item_id in ("i2", "i2", "nowhere", "later"):
        bundle.event("history_item_accepted", thread="root", turn="t", item_id=item_id)
    bundle.start("c2", "t", [user("a"), assistant("A"), assistant("C", id="later")])
    assert_parity(bundle.write())


def test_compaction(bundle: BundleBuilder) -> None:
    """An installed history is what the next whole request is compared with."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")], response_id="r1")
    for request, kind in (("q2", "failed"), ("q1", "completed")):
        bundle.event(
            "compaction_request_started",
            thread="root",
            turn="t",
            compaction_id="k",
            compaction_request_id=request,
            thread_id="root",
            codex_turn_id="t",
            model="m",
            provider_name="p",
            request_payload=bundle.payload("compaction_request", {"input": []}),
        )
        if kind == "failed":
            bundle.event(
                "compaction_request_failed",
                compaction_id="k",
                compaction_request_id=request,
                error="broke",
            )
        else:
            bundle.event(
                "compaction_request_completed",
                compaction_id="k",
                compaction_request_id=request,
                response_payload=bundle.payload("compaction_response", {"output": []}),
            )
    old = [user("a"), assistant("A"), user("unseen")]
    _install(bundle, "k", old, [user("a"), compaction("E")])
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "r1"})
    bundle.start("c3", "t", [user("a"), compaction("E"), user("b")])
    bundle.complete("c3", [assistant("B")])
    bundle.start("c4", "t", [user("a"), compaction("E"), user("b"), assistant("B")])
    assert_parity(bundle.write())


def test_compaction_under_a_running_call(bundle: BundleBuilder) -> None:
    """What a call says after its history was replaced is no part of the old history."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    _install(bundle, "k1", [user("a")], [user("new")])
    bundle.complete("c1", [assistant("A")])
    _install(bundle, "k2", [user("a"), assistant("A")], [user("newer")])
    bundle.start("c2", "t", [user("newer"), user("new"), assistant("A")])
    assert_parity(bundle.write())


def _install(bundle: BundleBuilder, compaction_id: str, old: list[Json], new: list[Json]) -> None:
    checkpoint = {"input_history": old, "replacement_history": new}
    bundle.event(
        "compaction_installed",
        thread="root",
        turn="t",
        compaction_id=compaction_id,
        checkpoint_payload=bundle.payload("compaction_checkpoint", checkpoint),
    )


def test_our_own_additions_do_not_disturb_codex(bundle: BundleBuilder) -> None:
    """`proxy` keys in events and payloads, our notices and a crash's open call are accepted."""
    bundle.observed("tailrace.loss", {"lost": {"captures": 1}})
    bundle.observed("tailrace.prewarm", {"response_id": "r0", "input": [], "output": []})
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")], proxy={"transport": "sse", "timing": {"ended": 1.5}})
    bundle.cancel(
        "c1",
        output_items=[],
        response_id="r1",
        partial_items=[{"output_index": 0, "item": assistant("hal")}],
        proxy={"timing": {"ended": 2.25, "first_text": None}},
    )
    bundle.start("open", "t", [user("a")])
    bundle.manifest["producer"] = {"name": "tailrace", "pid": 1}
    assert_parity(bundle.write())


def _string_input(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", {"input": "hi"})


def _no_input(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", {"prompt": {"id": "pmpt_1"}})


def _untyped_message(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", [{"role": "user", "content": "hi"}])


def _unknown_item(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", [{"type": "mcp_list_tools", "id": "mcpl_1", "tools": []}])


def _empty_reasoning(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", [reasoning()])


def _unknown_parent(bundle: BundleBuilder) -> None:
    bundle.start("c", "t", {"input": [], "previous_response_id": "nowhere"})


def _fork(bundle: BundleBuilder) -> None:
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")], response_id="r1")
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "r1"})
    bundle.start("c3", "t", {"input": [user("c")], "previous_response_id": "r1"})


def _chain_from_cancelled(bundle: BundleBuilder) -> None:
    bundle.start("c1", "t", [user("a")])
    bundle.cancel("c1", output_items=[], response_id="r1")
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "r1"})


def _reused_call_id(bundle: BundleBuilder) -> None:
    bundle.start("c1", "t", [function_call("k", "{}")])
    bundle.start("c2", "t", [function_call("k", '{"other": 1}')])


def _missing_payload(bundle: BundleBuilder) -> None:
    bundle.observed("tailrace.exchange", {})
    bundle.files.clear()


def _torn_tail(bundle: BundleBuilder) -> None:
    bundle.raw_line(b'{"schema_version": 2, "se')


def _seq_gap(bundle: BundleBuilder) -> None:
    del bundle.lines[-1]
    bundle.end()


def _duplicate_turn(bundle: BundleBuilder) -> None:
    bundle.turn("t")


def _unknown_event(bundle: BundleBuilder) -> None:
    bundle.event("brand_new_event")


@pytest.mark.parametrize(
    "scenario",
    [
        _string_input,
        _no_input,
        _untyped_message,
        _unknown_item,
        _empty_reasoning,
        _unknown_parent,
        _fork,
        _chain_from_cancelled,
        _reused_call_id,
        _missing_payload,
        _torn_tail,
        _seq_gap,
        _duplicate_turn,
        _unknown_event,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_what_codex_refuses_is_told(
    bundle: BundleBuilder, scenario: Callable[[BundleBuilder], None]
) -> None:
    """Where Codex's reducer gives up ours goes on, with a diagnostic."""
    bundle.turn("t")
    scenario(bundle)
    assert_refused_and_told(bundle.write())
