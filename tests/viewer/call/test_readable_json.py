"""JSON as a person reads it: strings with lines of their own stand in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.call.readable_json import (
    IN_LINES_CHARACTERS_MAX,
    INDENTED_CHARACTERS_MAX,
    readable,
    readable_text,
)

PATCH = "*** Begin Patch\n-a\n+b\n*** End Patch\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1, "b": "one"}, '{\n  "a": 1,\n  "b": "one"\n}'),
        ({"b": "one\n"}, '{\n  "b": "one\\n"\n}'),
        (
            {"patch": PATCH, "dry": False},
            "patch:\n  *** Begin Patch\n  -a\n  +b\n  *** End Patch\ndry: false",
        ),
        (
            {"command": ["-lc", "cd x\nls"], "to": {"file": "a\nb", "n": [1]}},
            'command:\n  - "-lc"\n  -\n    cd x\n    ls\nto:\n  file:\n    a\n    b\n  n: [1]',
        ),
        ({"a b:": "1\n2", "x": "\n"}, '"a b:":\n  1\n  2\nx: "\\n"'),
        ({"a": {"b": {"c": {"d": "1\n2"}}}}, None),
    ],
)
def test_strings_stand_in_their_own_lines(value: object, text: str | None) -> None:
    """Under their names; what has none, or lies deep, stays JSON. As text the same is told."""
    as_json = json.dumps(value, indent=2)
    assert readable(value) == (as_json if text is None else text)
    assert readable_text(json.dumps(value)) == readable(value)


def test_long_digits_are_not_rounded() -> None:
    """A number that parsing might round leaves the text as it stands; in a string it does not."""
    number = '{"a": 12345678901234567890, "b": "1\\n2"}'
    assert readable_text(number) == number
    assert readable_text('{"a": "12345678901234567890\\n\\"2"}') == (
        'a:\n  12345678901234567890\n  "2'
    )


def test_long_texts() -> None:
    """A whole file is told line by line, JSON without lines is left as it is."""
    lines = "line\n" * (INDENTED_CHARACTERS_MAX // 4)
    assert readable({"file": lines}) == "file:\n" + "\n".join(["  line"] * lines.count("\n"))
    for text in (
        json.dumps({"file": "x" * INDENTED_CHARACTERS_MAX}),
        json.dumps({"file": "x\n" * IN_LINES_CHARACTERS_MAX}),
    ):
        assert readable_text(text) == text


@given(st.text(alphabet='{}[]"\\,:\n 1a') | st.text())
def test_any_text_can_be_read(text: str) -> None:
    """Whatever it is, it becomes a text that has an encoding or stays itself."""
    read = readable_text(text)
    assert read == text or read.encode()
