"""What strict JSON takes and writes, against the list of what Rust's serde_json refuses."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.strict_json import (
    DEPTH_MAX,
    TOO_DEEP,
    NotStrictJson,
    dumps,
    loads_lenient,
    loads_strict,
)

# Surrogates, huge integers, NaN and infinities included: what a lenient parser may hand on.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text(st.characters())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    """Arrays and objects in turn, `levels` of them."""
    pairs = [(b'{"a":', b"}") if level % 2 else (b"[", b"]") for level in range(levels)]
    return b"".join(o for o, _ in pairs) + b"0" + b"".join(c for _, c in reversed(pairs))


@pytest.mark.parametrize(
    "data",
    [
        b'"\\ud83d"',
        b'{"\\ude00": 1}',
        b'"\\ude00\\ud83d"',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9" * 400,
        nested(129),
        nested(DEPTH_MAX + 1),
        nested(1024),
        nested(100_000),
        b"[" * 100_000,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b'"\x01"',
        b"01",
        b"1.",
        b"[1,]",
        b"{'a':1}",
        b"{a:1}",
        b"1 2",
        b"/**/1",
        b"[1\x0b]",
        b"",
        b" ",
    ],
)
def test_what_serde_json_refuses_is_refused(data: bytes) -> None:
    """Nothing passes as strict that would make Codex's reducer refuse a bundle."""
    with pytest.raises(NotStrictJson):
        loads_strict(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"-0", 0),
        (b"1e-999", 0.0),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", float(2**64)),
        (b' [1, "\\u0000"] ', [1, "\0"]),
        (b"[" + b"{}," * 500 + b"{}]", [{}] * 501),
    ],
)
def test_odd_but_strict_json_is_taken(data: bytes, value: object) -> None:
    """Duplicate keys, pairs of surrogates, NULs, huge integers and many containers are strict."""
    assert value == loads_strict(data)


def test_the_deepest_that_serde_json_takes_is_taken() -> None:
    """DEPTH_MAX levels pass, also beside many shallow ones; brackets in strings do not count."""
    deepest = nested(DEPTH_MAX)
    assert orjson.loads(deepest) == loads_strict(deepest)
    assert loads_strict(b'"' + b"[{" * 1000 + b'"') == "[{" * 1000


def test_an_error_does_not_repeat_the_content() -> None:
    """The message of a refusal may be logged, so it holds positions only."""
    with pytest.raises(NotStrictJson) as refusal:
        loads_strict(b'{"authorization": "sk-secret" oops')
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":"\\ud83d"}', {"a": "\ud83d"}),
        (b'"\xff"', "\N{REPLACEMENT CHARACTER}"),
        (b"[1e999]", [float("inf")]),
        (b'{"a": [1, 2.5, null, "x"]}', {"a": [1, 2.5, None, "x"]}),
    ],
)
def test_lenient_takes_what_events_may_hold(data: bytes, value: object) -> None:
    """A stream event is read even where a strict parser would give up."""
    assert value == loads_lenient(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[DONE]", b"[" * 100_000, b"9" * 5000, b"\xff"])
def test_lenient_refuses_with_one_error(data: bytes) -> None:
    """What no parser takes is NotStrictJson too, also where Python has limits of its own."""
    with pytest.raises(NotStrictJson):
        loads_lenient(data)


@given(st.binary())
def test_parsers_raise_only_their_error(data: bytes) -> None:
    """Whatever the bytes: a value or NotStrictJson, and strict takes no more than lenient."""
    try:
        value = loads_strict(data)
    except NotStrictJson:
        try:
            loads_lenient(data)
        except NotStrictJson:
            return
    else:
        assert value == loads_lenient(data)


@given(VALUES)
def test_dumps_is_always_strict(value: object) -> None:
    """What dumps writes, orjson and loads_strict take, whatever the value came from."""
    data = dumps(value)
    assert orjson.loads(data) == loads_strict(data)


@given(VALUES, st.integers(min_value=0, max_value=300))
def test_dumps_is_strict_at_any_depth(value: object, levels: int) -> None:
    """A value that is nested too deep is cut, not refused."""
    for _ in range(levels):
        value = [value]
    loads_strict(dumps(value))


def test_dumps_replaces_only_what_is_too_deep() -> None:
    """The containers of DEPTH_MAX levels stay; a short string says where the rest was."""
    value: Any = "leaf"
    for _ in range(DEPTH_MAX + 3):
        value = {"a": value}
    kept = loads_strict(dumps({"deep": value, "other": 1}))
    assert isinstance(kept, dict)
    assert kept["other"] == 1
    levels = 1
    inner = kept["deep"]
    while isinstance(inner, dict):
        inner = inner["a"]
        levels += 1
    assert (levels, inner) == (DEPTH_MAX, TOO_DEEP)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"a": "\ud83d"}, '{"a":"\N{REPLACEMENT CHARACTER}"}'),
        ({"\ude00": 1}, '{"\N{REPLACEMENT CHARACTER}":1}'),
        (["\ud83d" + "\ude00"], '["\N{GRINNING FACE}"]'),
        ("\ufeffa\ud800b", '"\ufeffa\N{REPLACEMENT CHARACTER}b"'),
        ([float("nan"), float("-inf"), 10**400], "[null,null,null]"),
        (
            [2**64 - 1, 2**64, -(2**63) - 1],
            "[18446744073709551615,1.8446744073709552e+19,-9.223372036854776e+18]",
        ),
        ((1, {"b": (2,)}), '[1,{"b":[2]}]'),
    ],
)
def test_dumps_repairs(value: object, data: str) -> None:
    """Each kind of value that strict JSON has no room for becomes what stands nearest."""
    assert dumps(value).decode() == data


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(-(2**63), 2**63),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_dumps_changes_nothing_that_is_strict(value: object) -> None:
    """Ordinary values come back as they were."""
    assert value == json.loads(dumps(value))


def test_dumps_refuses_what_is_no_json() -> None:
    """A mistake in our own code is no silent null."""
    with pytest.raises(TypeError):
        dumps({"a": b"bytes"})
