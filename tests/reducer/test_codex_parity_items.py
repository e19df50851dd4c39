"""Codex's keys in our state hold what Codex's reducer says: of conversation items."""

import pytest

from tests.reducer.items import (
    assistant,
    function_call,
    function_output,
    image,
    reasoning,
    user,
)
from tests.support.bundles import BundleBuilder, Json
from tests.support.parity import assert_parity

USAGE: Json = {
    "input_tokens": 10,
    "cached_input_tokens": 4,
    "output_tokens": 3,
    "reasoning_output_tokens": 0,
    "total_tokens": 13,
}


def test_growing_history(bundle: BundleBuilder) -> None:
    """Each request repeats the history and adds to it: what repeats keeps its items."""
    history: list[Json] = []
    for number in range(3):
        turn = f"t{number}"
        history.append(user(f"question {number}"))
        answer = assistant(f"answer {number}", id=f"msg_{number}")
        bundle.turn(turn)
        bundle.start(f"c{number}", turn, list(history))
        bundle.complete(
            f"c{number}",
            [answer],
            response_id=f"resp_{number}",
            upstream_request_id=f"req_{number}",
            usage=USAGE,
        )
        bundle.end_turn(turn)
        history.append(answer)
    bundle.end()
    state = assert_parity(bundle.write())
    assert len(state["conversation_items"]) == 6  # type: ignore[arg-type]  # parsed JSON


def test_edited_history(bundle: BundleBuilder) -> None:
    """A history that was reordered, shortened, doubled and rewritten reuses what it can."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a"), user("b"), user("b"), assistant("c", id="i1")])
    bundle.complete("c1", [assistant("d", id="i2"), assistant("d")])
    bundle.start("c2", "t", [user("b"), user("b"), user("a"), user("b")])
    bundle.start("c3", "t", [user("b", id="u1"), assistant("c"), assistant("d", id="i3")])
    bundle.start("c4", "t", [user("b", id="u2"), user("b"), user("rewritten", id="u1")])
    assert_parity(bundle.write())


def test_position_counts_among_equal_items(bundle: BundleBuilder) -> None:
    """Of equal items the one at the same place comes first."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a"), user("b"), user("a")])
    bundle.start("c2", "t", [user("c"), user("b"), user("a")])
    assert_parity(bundle.write())


def test_output_that_a_request_showed_before(bundle: BundleBuilder) -> None:
    """A client may repeat output before the end of its call is told: by its ids it is the same."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.start("c2", "t", [user("a"), assistant("A", id="i1"), assistant("B", id="i2")])
    bundle.complete("c1", [assistant("A", id="i1"), assistant("B"), assistant("C", id="i2")])
    bundle.complete("c2", [assistant("A", id="i1"), assistant("B")])
    assert_parity(bundle.write())


def test_chain_by_previous_response_id(bundle: BundleBuilder) -> None:
    """A request that names its parent shows what the parent did, then its own items."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")], response_id="r1")
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "r1"})
    bundle.complete("c2", [], response_id="r2")
    bundle.start("c3", "t", {"input": [], "previous_response_id": "r2"})
    bundle.complete("c3", [assistant("C")], response_id="r3")
    bundle.start("c4", "t", [user("a"), assistant("A"), user("b"), assistant("C"), user("d")])
    assert_parity(bundle.write())


def test_two_responses_with_one_id(bundle: BundleBuilder) -> None:
    """Of two calls with one response id the first by call id is the parent."""
    bundle.turn("t")
    bundle.start("z", "t", [user("a")])
    bundle.complete("z", [assistant("A")], response_id="r")
    bundle.start("b", "t", [user("b")])
    bundle.complete("b", [assistant("B")], response_id="r")
    bundle.start("m", "t", {"input": [user("c")], "previous_response_id": "r"})
    assert_parity(bundle.write())


def test_retried_child_of_one_response(bundle: BundleBuilder) -> None:
    """The same continuation sent again is the same items."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A")], response_id="r1")
    for call in ("c2", "c3"):
        bundle.start(call, "t", {"input": [user("b")], "previous_response_id": "r1"})
        bundle.complete(call, [assistant("B")])
    assert_parity(bundle.write())


def test_reasoning(bundle: BundleBuilder) -> None:
    """Reasoning is known by its encrypted content, and readable text is merged into it."""
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    said = reasoning(summary="S", encrypted="E1")
    bundle.complete("c1", [said, reasoning(text="T", encrypted="E2"), reasoning(summary="only")])
    again = [
        user("a"),
        reasoning(text="late text", encrypted="E1"),
        {**reasoning(summary="late summary", encrypted="E2"), "id": "rs_2", "content": None},
        reasoning(summary="only"),
        reasoning(summary="other"),
    ]
    bundle.start("c2", "t", again)
    bundle.start("c3", "t", [user("a"), reasoning(summary="ignored", text="x", encrypted="E1")])
    assert_parity(bundle.write())


@pytest.mark.parametrize(
    "arguments",
    [
        '{"b":1,"a":[1.50,1E5,1e-05,-0,-0.0,123456789012345678901234567890]}',
        '{"a":1,"a":2,"b":"\\u007f\\u0001\\ud83d\\ude00\\/"}',
        '{"long":"' + "é" * 200 + '"}',
        '{"longer":"' + "é" * 200 + '"}',
        "not json",
        "",
        '["\\ud83d"]',
        "[NaN]",
        "[" * 127 + "]" * 127,
        "[" * 128 + "]" * 128,
        {"already": ["parsed", 1.0]},
        None,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_function_arguments(bundle: BundleBuilder, arguments: object) -> None:
    """Arguments are summarised from their own text: digits, key order and escapes hold."""
    bundle.turn("t")
    bundle.start("c1", "t", [function_call("k", arguments)])
    bundle.complete("c1", [])
    bundle.start("c2", "t", [function_call("k", arguments), function_output("k", "ok")])
    assert_parity(bundle.write())


def test_tools(bundle: BundleBuilder) -> None:
    """Function, custom and hosted tools, with every form of output; a changed output is new."""
    search = {"type": "web_search_call", "id": "ws", "action": {"z": 1, "a": {"query": "q"}}}
    calls = [
        function_call("k1", "{}"),
        {"type": "custom_tool_call", "call_id": "k2", "name": "apply_patch", "input": "*** x"},
        {"type": "custom_tool_call", "call_id": "k3", "name": "exec", "input": "1 + 1"},
        {"type": "custom_tool_call", "call_id": "k4", "name": "exec"},
        {"type": "local_shell_call", "call_id": "k5", "action": {"command": ["ls"]}},
        {"type": "image_generation_call", "id": "ig", "result": "aGk="},
        {"type": "function_call", "name": "no_arguments"},
        search,
    ]
    outputs = [
        function_output("k1", [{"type": "input_text", "text": "x"}, {"type": "input_image"}]),
        {"type": "custom_tool_call_output", "call_id": "k2", "output": "done"},
        {"type": "mcp_tool_call_output", "call_id": "k3", "output": {"ok": True}},
        {"type": "tool_search_output", "call_id": "k4", "tools": []},
        function_output("k5", {"z": 1}),
        function_output("k6", None),
        {"type": "function_call_output", "call_id": "k7"},
        function_output("k8", []),
    ]
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", calls)
    bundle.start("c2", "t", [user("a"), *calls, *outputs])
    changed = {"type": "custom_tool_call_output", "call_id": "k2", "output": "truncated"}
    bundle.start(
        "c3", "t", [user("a"), *calls, changed, *outputs[2:], {"type": "additional_tools"}]
    )
    assert_parity(bundle.write())


def test_phases(bundle: BundleBuilder) -> None:
    """A message's phase is its channel; a client that drops it sends another message."""
    said = [assistant("x", phase=phase) for phase in ("commentary", "final_answer", "summary", "?")]
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", said)
    bundle.start("c2", "t", [user("a"), *said[:2], assistant("x")])
    assert_parity(bundle.write())


def test_images_and_other_content(bundle: BundleBuilder) -> None:
    """Content that stays in its payload is known again by its hash; a string content is not."""
    odd_parts = [
        {"image_url": "u", "type": "input_image"},
        {"type": "input_file", "file_id": "f", "n": [{"b": 1.50, "a": 2e5}]},
        {"type": "refusal", "refusal": "no"},
        {"text": "no type"},
        {"type": "text"},
        "string",
        None,
    ]
    odd = {"type": "message", "role": "user", "content": odd_parts}
    forms: list[Json] = [
        {"type": "message", "role": "developer", "content": "plain"},
        {"type": "message", "role": "system", "content": []},
        {"type": "message", "role": "tool"},
    ]
    bundle.turn("t")
    bundle.start("c1", "t", [image("data:1"), odd, *forms])
    bundle.start("c2", "t", [image("data:1"), odd, *forms, image("data:2")])
    assert_parity(bundle.write())


def test_agent_messages(bundle: BundleBuilder) -> None:
    """Messages between agents are told apart by author and recipient."""
    content = [
        {"type": "input_text", "text": "do it"},
        {"type": "encrypted_content", "encrypted_content": "E"},
    ]
    sent = {"type": "agent_message", "author": "/a", "recipient": "/b", "content": content}
    bundle.turn("t")
    bundle.start("c1", "t", [sent, {**sent, "author": "/c"}])
    bundle.start("c2", "t", [{**sent, "author": "/c"}, sent, {**sent, "recipient": "/d"}])
    assert_parity(bundle.write())
