"""JSON as strict parsers take it: what is kept byte for byte, and what we write ourselves.

The yardstick is Rust's serde_json, which reads bundles in Codex. orjson is as strict in all but the
depth. Nothing here knows what the JSON means.
"""

import json
from typing import Any

import orjson

DEPTH_MAX = 127
"""Levels of arrays and objects. serde_json's recursion limit is 128, and the level that reaches it
is refused: codex-cli 0.169.0 reads a payload of 127 levels and refuses one of 128."""

TOO_DEEP = f"[deeper than {DEPTH_MAX} levels]"


class NotStrictJson(ValueError):
    """The bytes are no JSON for the parser asked; the message holds positions, never content."""


def loads_strict(data: bytes) -> object:
    """Parse what serde_json takes, and nothing else.

    Refused beyond plain syntax errors: lone surrogates, NaN and infinities, numbers beyond a
    double, a byte order mark, invalid UTF-8, more than DEPTH_MAX levels. Raises NotStrictJson.
    """
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotStrictJson(str(error)) from None
    if _may_be_too_deep(data) and _is_too_deep(value):
        raise NotStrictJson(f"more than {DEPTH_MAX} levels")
    return value


def loads_lenient(data: bytes | bytearray) -> object:
    """Parse what any reader of a stream event might take: also NaN, lone surrogates, bad UTF-8.

    The result may be deeper than DEPTH_MAX (about 1000 levels at most). Raises NotStrictJson.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(str(error)) from None


def dumps(value: object) -> bytes:
    """Compact JSON that loads_strict takes, whatever loads_lenient may have let into `value`.

    Lone surrogates become U+FFFD, a surrogate pair the character it stands for, NaN, infinities and
    integers beyond a double null, other integers beyond 64 bits floats, and what lies deeper than
    DEPTH_MAX a short string. Raises TypeError for what is no JSON at all (bytes, sets).
    """
    try:
        data = orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_cleaned(value, DEPTH_MAX))
    if _may_be_too_deep(data) and _is_too_deep(value):
        return orjson.dumps(_cleaned(value, DEPTH_MAX))
    return data


def _may_be_too_deep(data: bytes) -> bool:
    """A cheap test that spares most documents the walk: too few brackets cannot nest too deep."""
    return data.count(b"[") + data.count(b"{") > DEPTH_MAX


def _is_too_deep(value: object) -> bool:
    level: list[Any] = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(DEPTH_MAX):
        if not level:
            return False
        # One flat comprehension of `type is` tests: this runs over whole request bodies.
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list or type(child) is tuple
        ]
    return bool(level)


def _cleaned(value: object, levels_left: int) -> object:
    match value:
        case str():
            return _text_of(value)
        case dict() | list() | tuple() if levels_left == 0:
            return TOO_DEEP
        case dict():
            return {
                _text_of(key) if isinstance(key, str) else key: _cleaned(child, levels_left - 1)
                for key, child in value.items()
            }
        case list() | tuple():
            return [_cleaned(child, levels_left - 1) for child in value]
        case int() if not -(2**63) <= value < 2**64:
            return _as_float(value)
    return value


def _text_of(text: str) -> str:
    # Through UTF-16, a pair that was cut between two deltas becomes one character again.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _as_float(number: int) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None
