"""Items as a person reads them: each kind that the API has, and whatever else may stand there."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.call.entries import entries_of, partial_entries_of
from viewer.call.story import Entry, EntryKind
from viewer.call.tool_items import _CALLS, _OUTPUTS

PNG = "data:image/png;base64," + "iVBORw0K" * 300
BLOB = "QUJD" * 1000
"""3,000 bytes in base64."""

TYPES = (
    "message",
    "reasoning",
    "compaction",
    "item_reference",
    "agent_message",
    "function_call_output",
    "local_shell_call_output",
    "computer_call_output",
    "odd",
    *_CALLS,
    *_OUTPUTS,
)
KEYS = (
    "type",
    "role",
    "content",
    "summary",
    "arguments",
    "input",
    "output",
    "action",
    "actions",
    "operation",
    "outputs",
    "results",
    "queries",
    "tools",
    "text",
    "refusal",
    "annotations",
    "image_url",
    "file_data",
    "input_audio",
    "encrypted_content",
    "call_id",
    "id",
    "name",
    "approve",
    "error",
    "code",
    "command",
    "commands",
    "pending_safety_checks",
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(
        [*TYPES, "output_text", "input_image", "input_file", "input_audio", "\ud800"]
    ),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), children, max_size=6)
    ),
    max_leaves=12,
)
items = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6),
)


def only(item: object) -> Entry:
    """The entry of the one item."""
    (entry,) = entries_of([item], pointer="/input")
    return entry


@given(json_values | st.lists(items))
def test_any_json_becomes_entries_that_can_be_written(value: object) -> None:
    """Whatever JSON stands in place of items, each is told once, in text that has an encoding."""
    entries = entries_of(value, pointer="/input")
    if isinstance(value, list):
        assert [entry.pointer for entry in entries] == [f"/input/{i}" for i in range(len(value))]
    for entry in entries:
        for text in (entry.text, entry.who, entry.call_id or "", *entry.notes):
            text.encode()


@pytest.mark.parametrize(
    ("item", "kind", "who", "text"),
    [
        ({"role": "user", "content": "Hi"}, EntryKind.MESSAGE, "user", "Hi"),
        (
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            EntryKind.MESSAGE,
            "developer",
            "a\nb",
        ),
        (
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "short"}],
                "content": [{"type": "reasoning_text", "text": "long"}],
            },
            EntryKind.REASONING,
            "assistant",
            "short\n\nlong",
        ),
        (
            {"type": "function_call", "name": "get", "arguments": '{"a":1}'},
            EntryKind.TOOL_CALL,
            "get",
            '{\n  "a": 1\n}',
        ),
        (
            {"type": "function_call", "name": "get", "arguments": '{"a":'},
            EntryKind.TOOL_CALL,
            "get",
            '{"a":',
        ),
        (
            {"type": "function_call", "name": "get", "arguments": '{"id":12345678901234567890123}'},
            EntryKind.TOOL_CALL,
            "get",
            '{"id":12345678901234567890123}',
        ),
        (
            {"type": "custom_tool_call", "name": "exec", "input": "x = 1\ny"},
            EntryKind.TOOL_CALL,
            "exec",
            "x = 1\ny",
        ),
        (
            {"type": "local_shell_call", "action": {"type": "exec", "command": ["echo", "a b"]}},
            EntryKind.TOOL_CALL,
            "local_shell",
            "echo 'a b'",
        ),
        (
            {"type": "shell_call", "action": {"commands": ["ls", "pwd"]}},
            EntryKind.TOOL_CALL,
            "shell",
            "ls\npwd",
        ),
        (
            {
                "type": "apply_patch_call",
                "operation": {"type": "update_file", "path": "a.py", "diff": "-x\n+y"},
            },
            EntryKind.TOOL_CALL,
            "apply_patch",
            "update_file a.py\n-x\n+y",
        ),
        (
            {"type": "web_search_call", "action": {"type": "search", "query": "weather"}},
            EntryKind.TOOL_CALL,
            "web_search",
            "weather",
        ),
        (
            {"type": "file_search_call", "queries": ["q"], "results": [{"text": "found this"}]},
            EntryKind.TOOL_CALL,
            "file_search",
            "q\n\nfound this",
        ),
        (
            {"type": "computer_call", "action": {"type": "click", "x": 1, "y": 2}},
            EntryKind.TOOL_CALL,
            "computer",
            "click x=1 y=2",
        ),
        (
            {
                "type": "code_interpreter_call",
                "code": "1+1",
                "outputs": [{"type": "logs", "logs": "2"}],
            },
            EntryKind.TOOL_CALL,
            "code_interpreter",
            "1+1\n\n2",
        ),
        (
            {
                "type": "mcp_call",
                "server_label": "files",
                "name": "read",
                "arguments": "{}",
                "output": "text",
                "error": None,
            },
            EntryKind.TOOL_CALL,
            "files.read",
            "{}\n\ntext",
        ),
        (
            {"type": "mcp_list_tools", "server_label": "files", "tools": [{"name": "read"}]},
            EntryKind.TOOL_CALL,
            "mcp_list_tools",
            "read",
        ),
        (
            {"type": "mcp_approval_response", "approve": False, "reason": "no"},
            EntryKind.TOOL_OUTPUT,
            "mcp_approval_response",
            "refused: no",
        ),
        (
            {"type": "shell_call_output", "output": [{"stdout": "a\n", "stderr": "b"}]},
            EntryKind.TOOL_OUTPUT,
            "shell",
            "a\nb",
        ),
        ({"type": "item_reference", "id": "msg_1"}, EntryKind.OTHER, "item_reference", ""),
        ({"type": "moon_phase", "id": "x", "full": True}, EntryKind.OTHER, "moon_phase", None),
        (17, EntryKind.OTHER, "item", "17"),
    ],
)
def test_each_kind_is_read(item: Any, kind: EntryKind, who: str, text: str | None) -> None:
    """Every kind of item has its reading: who, and the text on its own lines."""
    entry = only(item)
    assert (entry.kind, entry.who) == (kind, who)
    assert entry.text == ('{\n  "full": true\n}' if text is None else text)


@pytest.mark.parametrize(
    ("part", "note"),
    [
        ({"type": "input_image", "image_url": PNG}, "image, image/png, 1,800 bytes"),
        ({"type": "input_image", "image_url": "https://a/b.png"}, "image at https://a/b.png"),
        ({"type": "input_image", "file_id": "file_1"}, "image file_1"),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": BLOB},
            "file a.pdf, 3,000 bytes",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": BLOB, "format": "mp3"}},
            "audio, mp3, 3,000 bytes",
        ),
        ({"type": "refusal", "refusal": "no"}, "a refusal"),
        (
            {
                "type": "output_text",
                "text": "",
                "annotations": [{"type": "url_citation", "title": "T", "url": "https://t"}],
            },
            "cites T at https://t",
        ),
    ],
)
def test_what_is_no_text_becomes_a_note(part: Any, note: str) -> None:
    """Images, files and audio are told by type and size and never dumped."""
    entry = only({"type": "message", "role": "user", "content": [part]})
    assert entry.notes == (note,)
    assert BLOB not in entry.text
    assert PNG not in entry.text


@pytest.mark.parametrize(
    "item",
    [
        {"type": "image_generation_call", "result": BLOB},
        {
            "type": "computer_call_output",
            "output": {"type": "computer_screenshot", "image_url": PNG},
        },
        {"type": "function_call_output", "output": [{"type": "input_image", "image_url": PNG}]},
        {"type": "function_call_output", "output": json.dumps({"png": BLOB})},
        {"type": "hologram", "data": {"deep": [BLOB]}},
        {"type": "code_interpreter_call", "code": "", "outputs": [{"type": "image", "url": PNG}]},
    ],
)
def test_blobs_are_left_out_wherever_they_stand(item: Any) -> None:
    """No megabyte of base64 is shown, in an item known or unknown."""
    entry = only(item)
    assert len(entry.text) + sum(map(len, entry.notes)) < 200
    assert "bytes" in entry.text + "".join(entry.notes)


def test_a_string_is_a_users_message() -> None:
    """`input` may be a string."""
    (entry,) = entries_of("Hi", pointer="/input")
    assert (entry.kind, entry.who, entry.text, entry.pointer) == (
        EntryKind.MESSAGE,
        "user",
        "Hi",
        "/input",
    )


def test_an_output_is_told_by_the_name_of_its_tool() -> None:
    """An output names only its call; the call stands before it."""
    call = {"type": "function_call", "name": "get_weather", "call_id": "c1", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    entries = entries_of([call, output], pointer="/input")
    assert [(entry.who, entry.call_id) for entry in entries] == [("get_weather", "c1")] * 2


def test_partial_items_are_marked() -> None:
    """An item that was in progress is read as far as it came, and says so."""
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text"}]}
    partial = [{"output_index": 3, "item": item}, {"output_index": 4}, 7]
    (entry,) = partial_entries_of(partial, pointer="/proxy/partial_items")
    assert entry.is_partial
    assert entry.pointer == "/proxy/partial_items/0/item"
    assert entry.text == ""


def test_encrypted_content_is_a_note() -> None:
    """What only upstream can read is told by its size."""
    entry = only({"type": "reasoning", "summary": [], "encrypted_content": "x" * 1234})
    assert entry.notes == ("encrypted, 1,234 characters",)
