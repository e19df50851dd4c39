"""Tool calls reduce as Codex's own reducer reduces them: their links, kinds and ends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reducer.items import assistant, function_call, function_output, user
from tests.support.parity import Json, assert_parity, assert_refused_and_told
from tests.support.runtime_bundles import (
    CHILD,
    CHILD_TURN,
    RuntimeBuilder,
    begun,
    invocation,
    said,
)

KINDS = [
    "exec_command",
    "write_stdin",
    "apply_patch",
    "mcp",
    "web",
    "image_generation",
    "spawn_agent",
    "assign_agent_task",
    "send_message",
    "wait_agent",
    "close_agent",
    "other",
]
SUMMARIES: list[Json] = [
    {"type": "generic", "label": "l"},
    {"type": "generic", "label": "l", "input_preview": "i", "output_preview": "o", "more": 1},
    {"type": "agent", "target_agent_path": "/a", "message_preview": "m"},
    {"type": "agent", "target_agent_path": "/a", "message_preview": "m", "task_name": "t"},
    {"type": "wait_agent"},
    {"type": "wait_agent", "target_agent_path": "/a", "timeout_ms": 2**64 - 1},
    {"type": "terminal", "operation_id": "elsewhere"},
]


@pytest.fixture
def bundle(tmp_path: Path) -> RuntimeBuilder:
    """A bundle whose root thread is in a turn."""
    return RuntimeBuilder(tmp_path / "bundle").with_turns()


def test_kinds_and_summaries(bundle: RuntimeBuilder) -> None:
    """Every kind and every form of a summary stands as Codex writes it, with what is left out."""
    for kind in KINDS:
        bundle.tool(kind, kind)
        bundle.end_tool(kind, {"any": "result"}, "failed")
    for number, summary in enumerate(SUMMARIES):
        bundle.tool(f"summary {number}", "web", summary=summary)
    state = assert_parity(bundle.write())
    calls = state["tool_calls"]
    assert isinstance(calls, dict)
    assert len(calls) == len(KINDS) + len(SUMMARIES)


def test_tool_is_linked_to_what_the_model_saw(bundle: RuntimeBuilder) -> None:
    """A tool knows its call and output, before and after it began, and the calls that asked."""
    call, output = function_call("k", "{}"), function_output("k", "o")
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [call, function_call("early", "{}")])
    bundle.tool("k", call="k", invocation=invocation("exec_command", {}))
    bundle.tool("late", call="late")
    bundle.end_tool("k", said("o"))
    bundle.start("c2", "t", [user("a"), call, output, function_output("late", "?")])
    bundle.complete("c2", [function_call("late", "{}")])
    bundle.tool("early", call="early")
    bundle.start("c3", "t", [user("a"), call, output, function_call("late", "{}")])
    assert_parity(bundle.write())


def test_tool_before_its_response_is_linked_once_seen_again(bundle: RuntimeBuilder) -> None:
    """Codex links a tool that ran before the end of its response only by a later request."""
    call = function_call("k", "{}")
    bundle.start("c1", "t", [user("a")])
    bundle.tool("k", call="k")
    bundle.complete("c1", [call])
    calls = assert_parity(bundle.write())["inference_calls"]
    assert isinstance(calls, dict)
    assert calls["c1"]["tool_call_ids_started_by_response"] == []
    bundle.start("c2", "t", [user("a"), call])
    bundle.complete("c2", [assistant("b")])
    bundle.start("c3", "t", [user("a"), call])
    calls = assert_parity(bundle.write())["inference_calls"]
    assert isinstance(calls, dict)
    assert calls["c1"]["tool_call_ids_started_by_response"] == ["k"]


def test_many_items_are_linked_in_their_order(bundle: RuntimeBuilder) -> None:
    """What was seen before a tool began is listed as it came: item 9 before item 10."""
    outputs = [function_output("k", str(number)) for number in range(12)]
    bundle.start("c1", "t", [function_call("k", "{}"), *outputs])
    bundle.tool("k", call="k")
    bundle.start("c2", "t", [function_call("k", "{}"), *outputs, function_output("k", "more")])
    assert_parity(bundle.write())


def test_other_threads_items(tmp_path: Path) -> None:
    """A tool is linked to another thread's items only as they are seen after its start."""
    bundle = RuntimeBuilder(tmp_path / "bundle").with_turns(child=True)
    bundle.start("c1", CHILD_TURN, [function_call("k", "{}")])
    bundle.tool("k", call="k")
    bundle.tool("l", call="l")
    bundle.start("c2", CHILD_TURN, [function_call("k", "{}"), function_call("l", "{}")])
    bundle.complete("c2", [function_output("l", "o")])
    assert_parity(bundle.write())


def test_runtime_tells_the_kind_and_more(bundle: RuntimeBuilder) -> None:
    """The runtime's word on the kind counts; its payloads are kept, each once."""
    bundle.tool("k", "other", invocation=invocation("shell", {}))
    bundle.begin("k", {"any": "thing"}, "apply_patch")
    bundle.begin("k", {"another": "thing"}, "mcp")
    bundle.finish("k", {"it": "ended"}, "failed")
    bundle.mcp_call("k", "mcp 1")
    bundle.end_tool("k", {"a": 1})
    bundle.end_tool("k", status="cancelled")
    bundle.tool("m", "other")
    bundle.begin("m", begun("7"), "exec_command")
    assert_parity(bundle.write())


def test_thread_of_a_tool_is_its_turns(bundle: RuntimeBuilder) -> None:
    """An event may name no thread, or no turn."""
    bundle.event(
        "tool_call_started",
        turn="t",
        tool_call_id="k",
        requester={"type": "model"},
        kind={"type": "web"},
        summary={"type": "generic", "label": "l"},
    )
    bundle.tool("m", "web", turn=None)
    assert_parity(bundle.write())


def _twice(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.tool("k")


def _call_id_twice(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", call="k")
    bundle.tool("m", call="k")


def _unknown_end(bundle: RuntimeBuilder) -> None:
    bundle.end_tool("nobody")


def _unknown_runtime(bundle: RuntimeBuilder) -> None:
    bundle.begin("nobody", {})


def _unknown_turn(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", turn="nowhere")


def _unknown_thread(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", thread=CHILD, turn=None)


def _unknown_kind(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "brand_new")


def _odd_summary(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", summary={"type": "wait_agent", "timeout_ms": -1})


def _odd_requester(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", requester={"type": "nobody"})


def _second_mcp_call(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "mcp")
    bundle.mcp_call("k", "1")
    bundle.mcp_call("k", "1")


def _missing_result(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.end_tool("k", {})
    bundle.files.clear()


def _unknown_payload_kind(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", invocation_payload=bundle.payload("brand_new", {}))


@pytest.mark.parametrize(
    "scenario",
    [
        _twice,
        _call_id_twice,
        _unknown_end,
        _unknown_runtime,
        _unknown_turn,
        _unknown_thread,
        _unknown_kind,
        _odd_summary,
        _odd_requester,
        _second_mcp_call,
        _missing_result,
        _unknown_payload_kind,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_what_codex_refuses_is_told(
    bundle: RuntimeBuilder, scenario: Callable[[RuntimeBuilder], None]
) -> None:
    """Where Codex's reducer gives up over a tool ours goes on, with a diagnostic."""
    scenario(bundle)
    assert_refused_and_told(bundle.write())
