"""Items in progress, rebuilt from the events of a stream."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.partial import PartialItems
from tracing.strict_json import dumps, loads_strict


def fed(*events: Mapping[str, object]) -> PartialItems:
    """PartialItems after these events."""
    items = PartialItems()
    for event in events:
        items.feed(event)
    return items


def added(item: Mapping[str, object], index: int = 0) -> dict[str, object]:
    """response.output_item.added"""
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def at(kind: str, **fields: object) -> dict[str, object]:
    """An event about the item at output index 0, its first part."""
    where = {"output_index": 0, "content_index": 0, "summary_index": 0, "command_index": 0}
    return {"type": f"response.{kind}", "item_id": "i_0", **where, **fields}


MESSAGE: dict[str, Any] = {
    "id": "i_0", "type": "message", "role": "assistant", "status": "in_progress", "content": []
}  # fmt: skip
REASONING: dict[str, Any] = {"id": "i_0", "type": "reasoning", "summary": []}
RAW_PART = {"type": "reasoning_text", "text": "x"}
TEXT_PART = {"type": "output_text", "text": "", "annotations": []}


def test_a_message_in_progress() -> None:
    """Text deltas join in their parts, a refusal beside them; the status says incomplete."""
    items = fed(
        added(MESSAGE),
        at("content_part.added", part=TEXT_PART),
        at("output_text.delta", delta="Hel", logprobs=[], obfuscation="x"),
        at("output_text.delta", delta="lo"),
        at("output_text.annotation.added", annotation={"type": "url_citation"}, annotation_index=0),
        at("content_part.added", part={"type": "refusal", "refusal": ""}, content_index=1),
        at("refusal.delta", delta="I ca", content_index=1),
        at("refusal.delta", delta="n't", content_index=1),
    )
    assert items.items() == [
        {
            "output_index": 0,
            "item": {
                **MESSAGE,
                "status": "incomplete",
                "content": [
                    {"type": "output_text", "text": "Hello",
                     "annotations": [{"type": "url_citation"}]},
                    {"type": "refusal", "refusal": "I can't"},
                ],
            },
        }
    ]  # fmt: skip
    assert items.done == []


def test_a_reasoning_item_in_progress() -> None:
    """Summary parts and reasoning text each grow in their own list."""
    items = fed(
        added(REASONING),
        at("reasoning_summary_part.added", part={"type": "summary_text", "text": ""}),
        at("reasoning_summary_text.delta", delta="Thinking"),
        at("reasoning_summary_text.done", text="Thought."),
        at("reasoning_summary_part.added", part={"type": "summary_text", "text": ""},
           summary_index=1),
        at("reasoning_summary_text.delta", delta="Then", summary_index=1),
        at("content_part.added", part={"type": "reasoning_text", "text": ""}),
        at("reasoning_text.delta", delta="raw"),
    )  # fmt: skip
    assert items.items()[0]["item"] == {
        "id": "i_0",
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": "Thought."},
            {"type": "summary_text", "text": "Then"},
        ],
        "content": [{"type": "reasoning_text", "text": "raw"}],
        "status": "incomplete",
    }


@pytest.mark.parametrize(
    ("kind", "item_type", "field"),
    [
        ("function_call_arguments", "function_call", "arguments"),
        ("custom_tool_call_input", "custom_tool_call", "input"),
        ("mcp_call_arguments", "mcp_call", "arguments"),
        ("code_interpreter_call_code", "code_interpreter_call", "code"),
    ],
)
def test_tool_inputs_in_progress(kind: str, item_type: str, field: str) -> None:
    """What a tool is called with grows by deltas, and `done` has the last word."""
    item = {"id": "i_0", "type": item_type, "call_id": "c", field: ""}
    deltas = [added(item), at(f"{kind}.delta", delta='{"a"'), at(f"{kind}.delta", delta=":1")]
    partial = fed(*deltas).items()[0]["item"]
    assert partial == {**item, field: '{"a":1', "status": "incomplete"}
    finished = fed(*deltas, at(f"{kind}.done", **{field: '{"a":1}'})).items()[0]["item"]
    assert finished[field] == '{"a":1}'


def test_shell_commands_and_their_output() -> None:
    """Commands stand in the call's action, output in entries of stdout and stderr."""
    call = {"id": "i_0", "type": "shell_call", "action": {"commands": ["ls"], "timeout_ms": 5}}
    output = {"id": "i_1", "type": "shell_call_output", "output": []}
    done = {"stdout": "all", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
    items = fed(
        added(call),
        at("shell_call_command.added", command_index=1, command="ca"),
        at("shell_call_command.delta", command_index=1, delta="t x"),
        at("shell_call_command.done", command_index=2, command="pwd"),
        added(output, 1),
        at("shell_call_output_content.delta", output_index=1, delta={"stdout": "a", "stderr": "b"}),
        at("shell_call_output_content.delta", output_index=1, delta={"stdout": "c"}),
        at("shell_call_output_content.done", output_index=1, command_index=1, output=[done]),
    ).items()
    assert [entry["item"] for entry in items] == [
        {**call, "action": {"commands": ["ls", "cat x", "pwd"], "timeout_ms": 5},
         "status": "incomplete"},
        {**output, "output": [{"stdout": "ac", "stderr": "b"}, done], "status": "incomplete"},
    ]  # fmt: skip


def test_an_image_in_progress() -> None:
    """The latest partial image is what there is of the result."""
    item = {"id": "i_0", "type": "image_generation_call", "result": None}
    events = [at("image_generation_call.partial_image", partial_image_b64=b64) for b64 in "AB"]
    assert fed(added(item), *events).items()[0]["item"]["result"] == "B"


def test_done_items_are_no_longer_partial() -> None:
    """`done` keeps the items in the order of their events; what comes later changes nothing."""
    first, second = {**MESSAGE, "id": "a"}, {**MESSAGE, "id": "b"}
    items = fed(
        added(first, 0),
        added(second, 1),
        {"type": "response.output_item.done", "output_index": 1, "item": second},
        {"type": "response.output_item.done", "item": first},
        at("output_text.delta", delta="late", output_index=1),
        added(second, 1),
    )
    assert items.done == [second, first]
    assert items.items() == []


def test_open_items_come_by_output_index() -> None:
    """Interleaved items keep apart, and are listed in the order of the output."""
    items = fed(
        added({**MESSAGE, "id": "b"}, 1),
        added(MESSAGE, 0),
        at("output_text.delta", delta="one", output_index=1),
        at("output_text.delta", delta="zero"),
        {"type": "response.output_text.delta", "item_id": "b", "content_index": 0, "delta": "!"},
    ).items()
    texts = [(entry["output_index"], entry["item"]["content"][0]["text"]) for entry in items]
    assert texts == [(0, "zero"), (1, "one!")]


@pytest.mark.parametrize(
    ("event", "item"),
    [
        (at("output_text.delta", delta="x"),
         {"type": "message", "role": "assistant",
          "content": [{"type": "output_text", "text": "x", "annotations": []}]}),
        (at("reasoning_summary_text.delta", delta="x"),
         {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]}),
        (at("reasoning_text.delta", delta="x"),
         {"type": "reasoning", "summary": [], "content": [RAW_PART]}),
        (at("content_part.added", part=RAW_PART),
         {"type": "reasoning", "summary": [], "content": [RAW_PART]}),
        (at("function_call_arguments.delta", delta="x"),
         {"type": "function_call", "arguments": "x"}),
        (at("shell_call_command.delta", delta="x"),
         {"type": "shell_call", "action": {"commands": ["x"]}}),
    ],
)  # fmt: skip
def test_an_item_whose_beginning_was_lost(
    event: dict[str, object], item: dict[str, object]
) -> None:
    """Deltas alone still make an item of the right type."""
    assert fed(event).items()[0]["item"] == {"id": "i_0", **item, "status": "incomplete"}


def test_what_was_returned_and_what_was_fed_stay_as_they_are() -> None:
    """Neither the events nor an earlier answer change as more events come."""
    part = {"type": "output_text", "text": "", "annotations": [{"n": 0}]}
    item = {**MESSAGE, "content": [part]}
    items = fed(
        added(item),
        at("content_part.added", part=part),
        at("output_text.delta", delta="a"),
    )
    before = items.items()
    items.feed(at("output_text.delta", delta="b"))
    items.feed(at("output_text.annotation.added", annotation={"n": 1}))
    assert before[0]["item"]["content"] == [{**part, "text": "a"}]
    assert part == {"type": "output_text", "text": "", "annotations": [{"n": 0}]}
    assert items.items()[0]["item"]["content"] == [
        {"type": "output_text", "text": "ab", "annotations": [{"n": 0}, {"n": 1}]}
    ]


def test_an_absurd_index_costs_nothing() -> None:
    """Parts are listed in their order, gaps are not filled."""
    item = fed(
        added(MESSAGE),
        at("output_text.delta", delta="far", content_index=10**12),
        at("output_text.delta", delta="near"),
    ).items()[0]["item"]
    assert [part["text"] for part in item["content"]] == ["near", "far"]


@pytest.mark.parametrize("index", [-1, True, 1.0, "0", None])
def test_what_is_no_index_places_nothing(index: object) -> None:
    """An output index is a natural number; without one, only the item's id places an event."""
    items = fed(
        {**added({**MESSAGE, "id": "x"}), "output_index": index},
        at("output_text.delta", delta="x", output_index=index),
        at("output_text.delta", delta="x", output_index=2, content_index=index),
    )
    assert items.items() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(st.characters(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "type", "content", "text", "a"]), inner)
    ),
    max_leaves=4,
)
KINDS = [
    *(f"output_item.{step}" for step in ("added", "done")),
    *(f"{kind}.{step}" for step in ("added", "delta", "done") for kind in (
        "content_part", "reasoning_summary_part", "output_text", "output_text.annotation",
        "refusal", "reasoning_text", "reasoning_summary_text", "function_call_arguments",
        "code_interpreter_call_code", "shell_call_command", "shell_call_output_content")),
    "image_generation_call.partial_image", "completed", "unheard_of",
]  # fmt: skip
PARTS = st.sampled_from([TEXT_PART, {"type": "reasoning_text"}]) | JSON
ITEMS = (
    st.fixed_dictionaries(
        {"type": st.sampled_from(["message", "shell_call"])},
        optional=dict.fromkeys(["id", "content", "summary", "action", "output", "arguments"], JSON),
    )
    | JSON
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS).map("response.".__add__)},
    optional={
        **{
            f"{name}_index": st.integers(0, 2) | JSON
            for name in ("output", "content", "summary", "command")
        },
        **{
            name: st.text(max_size=2) | JSON
            for name in ("delta", "text", "refusal", "arguments", "code", "command", "item_id")
        },
        "item": ITEMS,
        "part": PARTS,
        "annotation": JSON,
        "output": st.lists(JSON) | JSON,
        "partial_image_b64": JSON,
    },
)


@given(st.lists(EVENTS | st.dictionaries(st.text(), JSON), max_size=12))
def test_any_events_are_taken(events: list[dict[str, object]]) -> None:
    """Whatever the events, nothing raises, and what comes out is JSON that says incomplete."""
    items = fed(*events)
    for entry in items.items():
        assert entry["item"]["status"] == "incomplete"
        assert entry["output_index"] >= 0
    loads_strict(dumps(items.items()))
    loads_strict(dumps(items.done))


@given(st.lists(st.text(max_size=5)))
def test_deltas_join_to_the_text(deltas: list[str]) -> None:
    """However a text is cut into deltas, the item has all of it."""
    part = at("content_part.added", part=TEXT_PART)
    items = fed(added(MESSAGE), part, *(at("output_text.delta", delta=delta) for delta in deltas))
    assert items.items()[0]["item"]["content"][0]["text"] == "".join(deltas)
