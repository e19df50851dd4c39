"""Our own reading of calls: what stands under `proxy`, and chains that Codex does not follow."""

from pathlib import Path

import pytest

from tests.reducer.items import assistant, user
from tests.reducer.states import call_of, codes_of, state_of, texts_of
from tests.support.bundles import BundleBuilder, Json

PARTIAL: list[Json] = [{"output_index": 1, "item": assistant("hal", status="incomplete")}]


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with its root thread and a turn `t` begun."""
    builder = BundleBuilder(tmp_path)
    builder.turn("t")
    return builder


def continued(bundle: BundleBuilder, response_id: str, turn: str = "t") -> None:
    """Start a call `child` that continues a response with one message."""
    body = {"input": [user("more")], "previous_response_id": response_id}
    bundle.start("child", turn, body)


def test_cancelled_call_keeps_what_had_arrived(bundle: BundleBuilder) -> None:
    """Done items, items in progress, the response id, the request id and the reason all stay."""
    bundle.start("c", "t", [user("a")], proxy={"transport": "sse", "retry_count": 0})
    bundle.cancel(
        "c",
        reason="client went away",
        output_items=[assistant("done")],
        partial_items=PARTIAL,
        response_id="r",
        upstream_request_id="req",
        proxy={"http_status": 200, "response_id": "r", "timing": {"ended": 1.5}},
    )
    state = state_of(bundle.write())
    call = call_of(state, "c")
    assert call["execution"]["status"] == "cancelled"
    assert call["upstream_request_id"] == "req"
    assert call["response_id"] is None
    assert texts_of(state, call["response_item_ids"]) == ["done"]
    assert call["proxy"] == {
        "transport": "sse",
        "retry_count": 0,
        "http_status": 200,
        "response_id": "r",
        "timing": {"ended": 1.5},
        "partial_items": PARTIAL,
        "reason": "client went away",
    }
    assert state["diagnostics"] == []


def test_failed_call_keeps_its_error(bundle: BundleBuilder) -> None:
    """The error text, which Codex's state drops, is kept under proxy."""
    bundle.start("c", "t", [user("a")])
    bundle.fail("c", error="HTTP 429", upstream_request_id="req")
    proxy = call_of(state_of(bundle.write()), "c")["proxy"]
    assert proxy == {"error": "HTTP 429", "response_id": None}


def test_response_id_is_taken_from_the_response_payload(bundle: BundleBuilder) -> None:
    """Where no terminal names the response, its payload does."""
    bundle.start("c", "t", [user("a")])
    bundle.fail("c", response_id="r")
    assert call_of(state_of(bundle.write()), "c")["proxy"]["response_id"] == "r"


def test_late_terminal_keeps_the_turns_status_and_the_request_id(bundle: BundleBuilder) -> None:
    """A crash's seal aborts the call by its turn, and the terminal after it says what it knows."""
    bundle.start("c", "t", [user("a")], proxy={"transport": "sse"})
    bundle.end_turn("t", "aborted")
    bundle.fail(
        "c",
        error="proxy terminated",
        output_items=[assistant("done")],
        partial_items=PARTIAL,
        upstream_request_id="req",
    )
    call = call_of(state_of(bundle.write()), "c")
    assert call["execution"]["status"] == "aborted"
    assert call["execution"]["ended_seq"] == 5
    assert call["upstream_request_id"] == "req"
    assert call["proxy"]["error"] == "proxy terminated"
    assert call["proxy"]["partial_items"] == PARTIAL


def test_second_terminal_changes_nothing_under_proxy(bundle: BundleBuilder) -> None:
    """The first terminal is the call's end, whatever comes after it."""
    bundle.start("c", "t", [user("a")])
    bundle.cancel("c", reason="first", response_id="r", proxy={"events": 3})
    bundle.cancel("c", reason="second", response_id="other", proxy={"events": 4})
    state = state_of(bundle.write())
    proxy = call_of(state, "c")["proxy"]
    assert proxy == {"events": 3, "reason": "first", "response_id": "r"}
    assert codes_of(state) == ["second_terminal"]


def test_call_of_a_crash_is_running(bundle: BundleBuilder) -> None:
    """A call without a terminal has its request and its start's facts."""
    bundle.start("c", "t", [user("a")], proxy={"transport": "sse"})
    state = state_of(bundle.write())
    call = call_of(state, "c")
    assert call["execution"]["status"] == "running"
    assert call["proxy"] == {"transport": "sse"}
    assert texts_of(state, call["request_item_ids"]) == ["a"]


def test_chain_within_a_thread(bundle: BundleBuilder) -> None:
    """A call that continues a completed response says which call that was."""
    bundle.start("c", "t", [user("a")])
    bundle.complete("c", [assistant("A")], response_id="r")
    continued(bundle, "r")
    state = state_of(bundle.write())
    child = call_of(state, "child")
    assert child["proxy"]["continues"] == {"call": "c", "by": "previous_response_id"}
    assert texts_of(state, child["request_item_ids"]) == ["a", "A", "more"]
    assert state["diagnostics"] == []


def test_chain_from_a_cancelled_response(bundle: BundleBuilder) -> None:
    """A cancelled response can be continued: its id is known from the wire."""
    bundle.start("c", "t", [user("a")])
    bundle.cancel("c", output_items=[assistant("half")], response_id="r")
    continued(bundle, "r")
    state = state_of(bundle.write())
    child = call_of(state, "child")
    assert child["proxy"]["continues"] == {"call": "c", "by": "previous_response_id"}
    assert texts_of(state, child["request_item_ids"]) == ["a", "half", "more"]
    assert codes_of(state) == ["chain_outside_codex"]


def test_chain_from_another_thread(bundle: BundleBuilder) -> None:
    """A thread of its own is linked to the one that it continues."""
    bundle.start("c", "t", [user("a")])
    bundle.complete("c", [assistant("A")], response_id="r")
    bundle.thread("other")
    bundle.turn("t2", thread="other")
    bundle.start("before", "t2", [user("x"), user("y"), user("z")])
    continued(bundle, "r", turn="t2")
    state = state_of(bundle.write())
    child = call_of(state, "child")
    assert child["proxy"]["continues"] == {"call": "c", "by": "previous_response_id"}
    assert texts_of(state, child["request_item_ids"]) == ["a", "A", "more"]
    own = state["threads"]["other"]["conversation_item_ids"]
    assert texts_of(state, own) == ["x", "y", "z", "more"]
    assert codes_of(state) == ["chain_outside_codex"]


def test_same_thread_is_looked_through_first(bundle: BundleBuilder) -> None:
    """Where two threads know a response, the child's own one is the parent."""
    bundle.thread("other")
    bundle.turn("t2", thread="other")
    for call, turn in (("mine", "t"), ("theirs", "t2")):
        bundle.start(call, turn, [user(call)])
        bundle.cancel(call, response_id="r")
    continued(bundle, "r")
    child = call_of(state_of(bundle.write()), "child")
    assert child["proxy"]["continues"]["call"] == "mine"


def test_transport_ids_never_make_a_chain(bundle: BundleBuilder) -> None:
    """A previous_response_id that equals a transport's id is of no call."""
    bundle.start("c", "t", [user("a")])
    bundle.complete("c", [assistant("A")], response_id="r", upstream_request_id="req")
    continued(bundle, "req")
    state = state_of(bundle.write())
    assert "continues" not in call_of(state, "child")["proxy"]
    assert codes_of(state) == ["unknown_previous_response"]
    assert texts_of(state, call_of(state, "child")["request_item_ids"]) == ["more"]


@pytest.mark.parametrize("request_input", ["sys", [user("sys")]])
def test_chain_from_a_prewarm(bundle: BundleBuilder, request_input: object) -> None:
    """A request that asked for no output is no call, but a response can be continued from it."""
    bundle.observed(
        "tailrace.prewarm",
        {"response_id": "r0", "input": request_input, "output": [assistant("ready")]},
    )
    continued(bundle, "r0")
    state = state_of(bundle.write())
    child = call_of(state, "child")
    assert child["proxy"] == {"continues_prewarm": "r0"}
    assert texts_of(state, child["request_item_ids"]) == ["sys", "ready", "more"]


def test_fork_of_a_response(bundle: BundleBuilder) -> None:
    """Two continuations of one response are two branches; Codex gives up on the second."""
    bundle.start("c", "t", [user("a")])
    bundle.complete("c", [assistant("A")], response_id="r")
    for call, text in (("left", "l"), ("right", "r")):
        bundle.start(call, "t", {"input": [user(text), user("x")], "previous_response_id": "r"})
        bundle.complete(call, [assistant(call)])
    state = state_of(bundle.write())
    for call, texts in (("left", ["a", "A", "l", "x"]), ("right", ["a", "A", "r", "x"])):
        assert texts_of(state, call_of(state, call)["request_item_ids"]) == texts
    left, right = (call_of(state, call)["request_item_ids"][2:] for call in ("left", "right"))
    assert not set(left) & set(right)
    assert codes_of(state) == ["forked_previous_response"]


def test_lost_request_does_not_forget_the_conversation(bundle: BundleBuilder) -> None:
    """A request whose payload is missing has no items, and the next one still finds its history."""
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")])
    bundle.start("c2", "t", [user("lost")])
    del bundle.files["payloads/3.json"]
    bundle.start("c3", "t", [user("a"), assistant("A")])
    state = state_of(bundle.write())
    assert call_of(state, "c2")["request_item_ids"] == []
    first = call_of(state, "c1")
    assert call_of(state, "c3")["request_item_ids"] == [
        *first["request_item_ids"],
        *first["response_item_ids"],
    ]
    assert codes_of(state) == ["unreadable_payload"]


def test_call_of_an_unknown_turn_and_thread(tmp_path: Path) -> None:
    """Where the starts of a call's thread and turn are lost, the call makes them."""
    bundle = BundleBuilder(tmp_path, begun=False)
    bundle.start("c", "t", [user("a")])
    state = state_of(bundle.write())
    assert call_of(state, "c")["codex_turn_id"] == "t"
    assert list(state["threads"]) == ["root"]
    assert state["codex_turns"]["t"]["thread_id"] == "root"
    assert codes_of(state) == ["unknown_thread", "unknown_turn"]


def test_diagnostics_name_the_event(bundle: BundleBuilder) -> None:
    """A diagnostic has the seq of the event that was being folded, its code and a message."""
    bundle.event("inference_cancelled", inference_call_id="nobody", reason="x")
    state = state_of(bundle.write())
    message = "call nobody ended but never started"
    assert state["diagnostics"] == [{"seq": 4, "code": "unknown_call", "message": message}]
