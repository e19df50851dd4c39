"""Payloads are parsed as each would be alone, and what they repeat is held once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reducer.exact_json import NotExactJson, Number, parse_payload
from reducer.shared_json import SharedObject, SharingParser

Parsed = tuple[object, str | None] | None


def comparable(value: object) -> object:
    """A parsed value whose numbers compare by their text."""
    match value:
        case Number():
            return ("number", value.text)
        case dict():
            return {key: comparable(item) for key, item in value.items()}
        case list():
            return [comparable(item) for item in value]
        case _:
            return value


def alone(data: bytes) -> Parsed:
    """What a payload is without others before it; None where it is no JSON."""
    try:
        value, oddity = parse_payload(data)
    except NotExactJson:
        return None
    return comparable(value), oddity


def shared(parser: SharingParser, data: bytes) -> Parsed:
    """What a payload is after others."""
    try:
        value, oddity = parser.parse(data)
    except NotExactJson:
        return None
    return comparable(value), oddity


leaves = st.sampled_from([None, True, 1, 1.5, -0.0, 1e300, 10**30, "", "é", "a\\b", "\U0001f600"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=6,
)
bodies = st.fixed_dictionaries(
    {"input": st.lists(values, max_size=6)}, optional={"model": values, "tools": values}
)
dumps = st.sampled_from(
    [
        json.dumps,
        lambda body: json.dumps(body, ensure_ascii=False, indent=2),
        lambda body: json.dumps(body, separators=(",", ":")),
    ]
)


@given(
    st.lists(
        st.builds(lambda dump, body: dump(body), dumps, bodies).flatmap(
            lambda text: st.builds(
                lambda at, put, cut: (text[:at] + put + text[at + cut :]).encode(),
                st.integers(0, len(text)),
                st.sampled_from(["", "", "", "]", "}", ",", "{", '"', "NaN", "\\ud83d", " ", ":"]),
                st.sampled_from([0, 0, 0, 1, 5]),
            )
        ),
        max_size=5,
    )
)
def test_parses_as_if_alone(payloads: list[bytes]) -> None:
    """Whatever came before, a payload is what it is by itself, damaged ones too."""
    parser = SharingParser({"input"})
    for payload in payloads:
        assert shared(parser, payload) == alone(payload)


@pytest.mark.parametrize(
    "text",
    [
        '{"input": [1,]}',
        '{"input": [,1]}',
        '{"input": [1 2]}',
        '{"input": [1}',
        '{"input": []',
        '{"input" []}',
        "{5: []}",
        '{"input": []},',
        '{"input": [], }',
        '\ufeff{"input": []}',
        '{"input": [{"a": "\\udead"}]}',
        '{"\\udead": 1}',
        '{"input": [' + "[" * 126 + "]" * 126 + "]}",
        '{"input": [' + "[" * 125 + "]" * 125 + "]}",
        '{"input": ' + "[" * 127 + "]" * 127 + "}",
        '{"model": ' + "[" * 127 + "]" * 127 + "}",
        "[]",
        "",
        " ",
        '{"input": [{}], "input": [{"a": 1}]}',
    ],
)
def test_parses_odd_text_as_if_alone(text: str) -> None:
    """What one parser takes, or refuses, the other does too."""
    assert shared(SharingParser({"input"}), text.encode()) == alone(text.encode())


def test_repeated_items_are_one_object() -> None:
    """An item is held once, wherever it stands among others the next time."""
    parser = SharingParser({"input"})
    first, _ = parser.parse(b'{"input": [{"n": 1}, {"n": 2}, {"n": 3}]}')
    second, _ = parser.parse(b'{"x": 0, "input":[{"n": 0},{"n": 2} , {"n": 3}, {"n": 1}]}')
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    one, two, three = first["input"]
    assert all(isinstance(item, SharedObject) for item in first["input"])
    again = zip(second["input"][1:], (two, three, one), strict=True)
    assert all(item is old for item, old in again)
    assert second["input"][0] == {"n": 0}
