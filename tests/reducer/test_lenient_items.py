"""What Codex's reducer refuses among a request's items is read as well as it can be."""

from pathlib import Path

import pytest

from tests.reducer.items import assistant, reasoning, user
from tests.reducer.states import State, call_of, codes_of, state_of, texts_of
from tests.support.bundles import BundleBuilder, Json


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle with its root thread and a turn `t` begun."""
    builder = BundleBuilder(tmp_path)
    builder.turn("t")
    return builder


def only_item(bundle: BundleBuilder, item: object) -> State:
    """The item of a request that holds nothing else."""
    bundle.start("c", "t", [item])
    state = state_of(bundle.write())
    found: State = state["conversation_items"]["conversation_item:1"]
    return found


def test_string_input_is_a_user_message(bundle: BundleBuilder) -> None:
    """The API takes a string for one user message; a later list with it is the same message."""
    bundle.start("c1", "t", {"input": "hi"})
    bundle.start("c2", "t", [user("hi"), user("more")])
    state = state_of(bundle.write())
    first = call_of(state, "c1")["request_item_ids"]
    assert texts_of(state, first) == ["hi"]
    assert call_of(state, "c2")["request_item_ids"][:1] == first
    assert codes_of(state) == ["input_not_array"]


def test_request_without_input(bundle: BundleBuilder) -> None:
    """A request may name a stored prompt and hold no input."""
    bundle.start("c", "t", {"prompt": {"id": "pmpt_1"}})
    state = state_of(bundle.write())
    assert call_of(state, "c")["request_item_ids"] == []
    assert codes_of(state) == ["input_missing"]


@pytest.mark.parametrize("content", ["hi", [{"type": "input_text", "text": "hi"}]])
def test_message_without_a_type(bundle: BundleBuilder, content: object) -> None:
    """The SDKs' short form of a message is a message."""
    item = only_item(bundle, {"role": "developer", "content": content})
    assert (item["role"], item["kind"]) == ("developer", "message")
    assert item["body"]["parts"] == [{"type": "text", "text": "hi"}]


def test_one_diagnostic_for_all_odd_items_of_a_request(bundle: BundleBuilder) -> None:
    """A long history of odd items does not drown the diagnostics."""
    bundle.start("c", "t", [{"role": "user", "content": str(number)} for number in range(50)])
    state = state_of(bundle.write())
    message = "raw_payload:1: an item has no type (50 items)"
    assert state["diagnostics"] == [{"seq": 4, "code": "untyped_item", "message": message}]


@pytest.mark.parametrize(
    ("item", "role", "kind"),
    [
        ({"type": "mcp_call", "id": "m"}, "assistant", "function_call"),
        ({"type": "computer_call_output", "call_id": "k"}, "tool", "function_call_output"),
        ({"type": "mcp_approval_response"}, "tool", "function_call_output"),
        ({"type": "mcp_list_tools", "tools": []}, "assistant", "message"),
        ({"type": "brand_new", "role": "system"}, "system", "message"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_unknown_item_types(bundle: BundleBuilder, item: Json, role: str, kind: str) -> None:
    """An item type that Codex does not know is placed by its name, and known again later."""
    bundle.start("c1", "t", [item])
    bundle.start("c2", "t", [item, user("more")])
    state = state_of(bundle.write())
    found = state["conversation_items"]["conversation_item:1"]
    assert (found["role"], found["kind"]) == (role, kind)
    assert len(state["conversation_items"]) == 2
    assert codes_of(state) == ["unknown_item", "unknown_item"]


def test_empty_reasoning(bundle: BundleBuilder) -> None:
    """What a reasoning model says by default, and its client repeats, is an item without parts."""
    said = {**reasoning(), "id": "rs_1"}
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [said, assistant("A")])
    bundle.start("c2", "t", [user("a"), said, assistant("A")])
    state = state_of(bundle.write())
    assert len(state["conversation_items"]) == 3
    assert state["conversation_items"]["conversation_item:2"]["body"] == {"parts": []}
    assert codes_of(state) == ["empty_reasoning", "empty_reasoning"]


def test_item_reference_stands_for_its_item(bundle: BundleBuilder) -> None:
    """A reference to an item of the thread is that item."""
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [assistant("A", id="msg_1")])
    bundle.start("c2", "t", [{"type": "item_reference", "id": "msg_1"}, {"id": "nowhere"}])
    state = state_of(bundle.write())
    said = call_of(state, "c1")["response_item_ids"]
    assert call_of(state, "c2")["request_item_ids"][:1] == said
    assert texts_of(state, said) == ["A"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "role": "critic", "content": []},
        {"type": "reasoning", "summary": [{"type": "odd", "text": "s"}], "encrypted_content": "E"},
        {"type": "reasoning", "summary": None, "encrypted_content": "E"},
        {"type": "reasoning", "summary": [], "content": "x", "encrypted_content": 5},
        {"type": "compaction"},
        {"type": "agent_message", "content": "x"},
    ],
    ids=str,
)
def test_odd_items_are_told(bundle: BundleBuilder, item: Json) -> None:
    """A known item type with fields that Codex refuses is an item all the same."""
    bundle.start("c", "t", [item])
    state = state_of(bundle.write())
    assert len(state["conversation_items"]) == 1
    assert "odd_item" in codes_of(state)


@pytest.mark.parametrize("item", [None, 5, "text", [], {}], ids=str)
def test_items_that_are_no_objects(bundle: BundleBuilder, item: object) -> None:
    """Anything in the place of an item is kept as a reference to its payload."""
    parts = only_item(bundle, item)["body"]["parts"]
    assert [part["type"] for part in parts] == ["payload_ref"]
