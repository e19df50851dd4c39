"""JSON as Codex reads and writes it: texts of numbers hold, and what it refuses is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reducer.exact_json import NotExactJson, canonical, compact, parse_exact, parse_payload, plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (" [1.50, -0, -0.0, 1E5, 1e-05] ", "[1.50,0,-0.0,1e+5,1e-05]"),
        ("1e999", "1e+999"),
        ("9" * 5000, "9" * 5000),
        ('{"b": 1.0, "a": 2}', '{"b":1.0,"a":2}'),
        ('"\\u00e9\\u2028\\u0001\\/"', '"é\u2028\\u0001/"'),
    ],
    ids=["numbers", "huge float", "huge int", "order", "escapes"],
)
def test_texts_hold(text: str, written: str) -> None:
    """Numbers keep their digits, objects their order, and only what must be is escaped."""
    assert compact(parse_exact(text)) == written


def test_canonical_sorts_keys_at_every_depth() -> None:
    """Hashes do not go by the order of keys."""
    assert (
        canonical(parse_exact('{"b":[{"d":1.0,"c":2}],"a":3}')) == '{"a":3,"b":[{"c":2,"d":1.0}]}'
    )


@pytest.mark.parametrize(
    "text",
    ["", "[", "[1,]", "01", "NaN", "[-Infinity]", '"\\ud83d"', "[" * 128 + "]" * 128, "\ufeff1"],
)
def test_what_codex_refuses_is_refused(text: str) -> None:
    """Syntax errors, numbers that are none, lone surrogates, more than 127 levels."""
    with pytest.raises(NotExactJson):
        parse_exact(text)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"[NaN, -Infinity]", [None, None]),
        (b'{"\\ud83d": "\\udead"}', {"\ufffd": "\ufffd"}),
        (b'"\xff"', "\ufffd"),
        (b"\xef\xbb\xbf[1]", [1]),
    ],
)
def test_payloads_are_read_with_what_codex_refuses_replaced(data: bytes, value: object) -> None:
    """A payload that only lenient parsers take is read, and the oddity told."""
    parsed, oddity = parse_payload(data)
    assert parsed == value
    assert oddity


def test_plain_numbers() -> None:
    """Numbers that no JSON writer takes are floats, or null beyond a double."""
    values = parse_exact("[1.5, 1e999, 18446744073709551615, 18446744073709551616]")
    assert plain(values) == [1.5, None, 2**64 - 1, float(2**64)]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_what_is_written_reads_back(value: object) -> None:
    """Parsing and writing change nothing of a value but the form of its text."""
    parsed = parse_exact(json.dumps(value))
    assert json.loads(compact(parsed)) == value
    assert json.loads(canonical(parsed)) == value
