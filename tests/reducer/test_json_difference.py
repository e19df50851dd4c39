"""Where two JSON values first differ, and how."""

import pytest

from reducer.json_difference import Difference, first_difference
from tests.support.bundles import Json

CASES: list[tuple[object, object, str, str]] = [
    ({"a": 1}, {"a": 2}, "/a", "1 became 2"),
    ({"a": 1}, {"a": "1"}, "/a", '1 became "1"'),
    ({"a": 1}, {"a": 1, "b/~": None}, "/b~1~0", "null is new"),
    ({"a": 1, "b": [2]}, {"a": 1}, "", "b: [2] is gone"),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "", "the keys stand in another order"),
    ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "/a/b/1", "2 became 3"),
    ([1, 2], [2, 1], "", "the same 2 stand in another order"),
    ([1], [1, 2], "/1", "2 is new"),
    ([1, 2], [1], "/1", "2 is gone"),
    ([1, 3], [1, 2, 3], "/1", "2 is new"),
    ([1, 2, 3], [1, 3], "/1", "2 is gone"),
    ("It is ten.", "It is two.", "", 'from character 7: "It is ten." became "It is two."'),
    ("a", "a and b", "", 'from character 1: "a" became "a and b"'),
    (
        "x" * 100 + "1" + "y" * 100,
        "x" * 100 + "2" + "y" * 100,
        "",
        f'from character 100: "…{"x" * 24}1{"y" * 23}…" became "…{"x" * 24}2{"y" * 23}…"',
    ),
    (
        "Keep to these rules of the shop. It is large and old.",
        "Keep to these rules of the inn. It is large and old.",
        "",
        (
            'from character 27: "…to these rules of the shop. It is large and…"'
            ' became "…to these rules of the inn. It is large and…"'
        ),
    ),
    ({"a": "x" * 99}, {"a": None}, "/a", f'"{"x" * 59}… became null'),
]


@pytest.mark.parametrize(("before", "after", "pointer", "what"), CASES)
def test_first_difference(before: object, after: object, pointer: str, what: str) -> None:
    """A pointer to it, and what became of what."""
    assert first_difference(before, after) == Difference(pointer=pointer, what=what)


@pytest.mark.parametrize("value", [None, 1, "a", [1, {"a": [2]}], {"a": {"b": None}}])
def test_same_value(value: object) -> None:
    """Nothing differs."""
    assert first_difference(value, value) is None


def test_objects_of_a_list_are_called_by_their_names() -> None:
    """A tool that was put before the others is told as that, not as a change of all of them."""
    tools: list[Json] = [{"type": "function", "name": name} for name in ("get_time", "search")]
    found = first_difference(tools[1:], tools, "/tools")
    assert found == Difference(pointer="/tools/0", what="function get_time is new")
