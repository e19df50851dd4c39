"""When two items are the same thing shown to the model, however they were written."""

import pytest

from reducer.item_key import is_of_model, item_key, opens_a_conversation, text_key
from tests.reducer.items import assistant, function_call, function_output, image, reasoning, user

SAME: list[tuple[object, object]] = [
    ({"role": "user", "content": "Hi"}, user("Hi")),
    (user("Hi"), user("Hi", id="msg_1", status="completed")),
    ({"role": "assistant", "content": "Hel" + "lo"}, assistant("Hello")),
    (
        assistant("Hello"),
        {
            "type": "message",
            "role": "assistant",
            "phase": "final_answer",
            "content": [
                {"type": "output_text", "text": "Hel", "annotations": [], "logprobs": []},
                {"type": "output_text", "text": "lo", "annotations": []},
            ],
        },
    ),
    (
        function_call("k", '{"a": 1, "b": 2}'),
        {**function_call("k", '{"b":2,"a":1}'), "id": "fc_1", "namespace": None},
    ),
    (
        function_output("k", "out"),
        {**function_output("k", [{"type": "input_text", "text": "out"}]), "id": None},
    ),
    (image("data:1"), {**image("data:1"), "id": "msg_1"}),
    (
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": None},
        {"type": "web_search_call"},
    ),
    ({"id": "msg_1"}, {"type": "item_reference", "id": "msg_1"}),
]

DIFFERENT: list[tuple[object, object]] = [
    (user("Hi"), user("hi")),
    (user("Hi"), assistant("Hi")),
    (user("Hi"), {"role": "developer", "content": "Hi"}),
    (image("data:1"), image("data:2")),
    (function_call("k", "{}"), function_call("l", "{}")),
    (function_call("k", '{"n":1.50}'), function_call("k", '{"n":2}')),
    (function_call("k", "{}", name="run"), function_call("k", "{}", name="walk")),
    (function_output("k", "a"), function_output("k", "b")),
    ({"type": "web_search_call"}, {"type": "file_search_call"}),
    ({"id": "msg_1"}, {"id": "msg_2"}),
    ("text", ["text"]),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_same_item_in_another_spelling(one: object, other: object) -> None:
    """Ids, states, nulls, annotations, phases and the form of a text count for nothing."""
    assert item_key(one) == item_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_item(one: object, other: object) -> None:
    """What the model is shown is another thing."""
    assert item_key(one) != item_key(other)


def test_string_input_is_the_users_message() -> None:
    """A string that stands for an input is what the client sends as a message the next time."""
    assert text_key("Hi") == item_key(user("Hi"))


def test_reasoning_is_passed_over() -> None:
    """Many clients do not send it back."""
    assert item_key(reasoning(encrypted="E")) is None


@pytest.mark.parametrize(
    "item",
    [
        None,
        1,
        {},
        {"type": 1},
        {"type": "function_call"},
        {"type": "function_call", "arguments": {"a": 1}},
        {"type": "message", "content": None},
        {"type": "message", "role": 1, "content": [None, {"type": "input_text"}]},
        {"type": "function_call_output", "output": {"a": 1}},
    ],
)
def test_any_json_has_a_key(item: object) -> None:
    """Odd items are told apart as well as they can be."""
    assert item_key(item) is not None
    assert item_key(item) == item_key(item)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (assistant("a"), True),
        (function_call("k", "{}"), True),
        ({"type": "web_search_call"}, True),
        (user("a"), False),
        ({"role": "user", "content": "a"}, False),
        (function_output("k", "a"), False),
        ({"type": "item_reference", "id": "msg_1"}, False),
        ("text", False),
    ],
)
def test_items_of_the_model(item: object, expected: bool) -> None:
    """What the model said is known by type and role."""
    assert is_of_model(item) is expected


def test_instructions_open_a_conversation() -> None:
    """Messages of the system and of developers are no part of what was said."""
    assert opens_a_conversation({"role": "developer", "content": "a"})
    assert opens_a_conversation({"type": "message", "role": "system", "content": "a"})
    assert not opens_a_conversation(user("a"))
    assert not opens_a_conversation("text")
