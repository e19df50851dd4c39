"""What is searched for in an item, and what a list shows of a call."""

import json

import pytest
from hypothesis import given, settings

from tests.support.bundles import Json, message
from tests.support.odd_bundles import items, values
from viewer.catalog.item_texts import (
    INDEXED_CHARS_MAX,
    PREVIEW_CHARS_MAX,
    answered_in,
    asked_in,
    label_of,
    text_of_item,
    tools_in,
)

CALL: Json = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "read_file",
    "arguments": json.dumps({"path": "/etc/motd", "why": "line one\nline two", "limit": 5}),
}
REASONING: Json = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "thought"}],
    "encrypted_content": "gAAAAsecret",
}
SEARCH: Json = {"type": "web_search_call", "id": "ws_1", "action": {"query": "mill wheels"}}


@pytest.mark.parametrize(
    ("item", "label", "text"),
    [
        (message("user", "Hello there"), "user", "Hello there"),
        ({"role": "developer", "content": "Be brief"}, "developer", "Be brief"),
        (CALL, "function_call", "read_file\npath:\n/etc/motd\nwhy:\nline one\nline two\nlimit:"),
        ({**CALL, "arguments": "no JSON"}, "function_call", "read_file\nno JSON"),
        (
            {"type": "function_call_output", "call_id": "call_1", "output": "printed"},
            "function_call_output",
            "printed",
        ),
        (REASONING, "reasoning", "thought"),
        (SEARCH, "web_search_call", "mill wheels"),
        ({"type": "image_generation_call", "result": "iVBORw0"}, "image_generation_call", ""),
        (
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0"},
                    {"type": "input_image", "image_url": "https://example.org/mill.png"},
                    {"type": "input_file", "filename": "mill.pdf", "file_data": "JVBERi0"},
                ],
            },
            "user",
            "https://example.org/mill.png\nmill.pdf",
        ),
        ({"type": "brand_new", "text": "news"}, "brand_new", "news"),
        ("bare", "item", "bare"),
        (None, "item", ""),
        ({}, "item", ""),
        ({"type": 5, "role": [], "content": 7}, "item", ""),
    ],
)
def test_text_and_label(item: object, label: str, text: str) -> None:
    """What a person would read is found; ids, states and encoded bytes are not."""
    assert (label_of(item), text_of_item(item)) == (label, text)


def test_marks_of_hits_are_taken_out() -> None:
    """A text cannot pretend to be a hit, and nothing in it is more than a database holds."""
    assert text_of_item("a\ue000b\ue001c\0d\ud83de") == "a b c d e"


def test_text_is_bounded() -> None:
    """An item of any size adds a bounded text; all of its parts together are bounded."""
    assert len(text_of_item("x" * (INDEXED_CHARS_MAX + 1))) == INDEXED_CHARS_MAX
    parts = ["y" * 1000] * 1000
    assert len(text_of_item({"content": parts})) <= INDEXED_CHARS_MAX


def test_deep_arguments() -> None:
    """Arguments that nest deeper than a reader goes are taken as they are written."""
    written = '{"a":' * 900 + "1" + "}" * 900
    assert text_of_item({"arguments": written}) == written


@settings(max_examples=50)
@given(items())
def test_any_item(item: object) -> None:
    """Whatever stands where an item should be has a label and a text that a database takes."""
    assert label_of(item)
    text_of_item(item).encode()


@settings(max_examples=50)
@given(values)
def test_any_value(value: object) -> None:
    """A list shows something of any request and response."""
    for body in (
        {"input": value},
        {"output_items": value, "proxy": value},
        {"proxy": {"partial_items": value}},
    ):
        for shown in (asked_in(body), answered_in(body), *tools_in(body)):
            shown.encode()
            assert len(shown) <= PREVIEW_CHARS_MAX
            assert "\n" not in shown


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("Say it", "Say it"),
        ([message("user", "first"), message("user", "then\n\n  this")], "then this"),
        ([message("user", "go"), {"type": "function_call_output", "output": "done"}], "done"),
        ([message("user", "go"), REASONING | {"summary": []}], "go"),
        ("x" * 500, "x" * PREVIEW_CHARS_MAX),
        ([], ""),
        (None, ""),
    ],
)
def test_asked(asked: object, shown: str) -> None:
    """A list shows what the request ends with, on one line."""
    assert asked_in({"input": asked}) == shown


@pytest.mark.parametrize(
    ("said", "shown", "tools"),
    [
        ([REASONING, message("assistant", "Yes.")], "Yes.", []),
        ([CALL, message("assistant", "Yes.")], "Yes.", ["read_file"]),
        ([REASONING, SEARCH], "web_search_call", ["web_search_call"]),
        ([{**CALL, "arguments": '{"a": 1}'}], 'read_file {"a": 1}', ["read_file"]),
        ([], "", []),
    ],
)
def test_answered(said: list[object], shown: str, tools: list[str]) -> None:
    """A list shows the first thing that was said, or the first tool that was called."""
    assert answered_in({"output_items": said}) == shown
    assert tools_in({"output_items": said}) == tools
    partial = {"partial_items": [{"output_index": 0, "item": item} for item in said]}
    assert answered_in({"output_items": [], "proxy": partial}) == shown
    assert tools_in({"output_items": [], "proxy": partial}) == tools
