"""JSON as a person reads it: indented, and without what only a program could read."""

import base64
import binascii
import re
from collections.abc import Iterator

import orjson

from tracing.strict_json import NotStrictJson, dumps, loads_strict

INDENTED_CHARACTERS_MAX = 64 * 1024
"""Longer JSON is left as it stands: 127 levels of it could grow to a hundred times its length."""

IN_LINES_CHARACTERS_MAX = 1024 * 1024
"""So much JSON is still told line by line: a tool may be given a whole file."""

IN_LINES_DEPTH_MAX = 3
"""What lies deeper stays JSON, on a line of its own."""

BLOB_CHARACTERS_MIN = 1024
"""A string as long as this, of nothing but base64, is an image or a key, and no text."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]*\Z")
_LONG_DIGITS = re.compile(rb"\d{16}")
"""A number that parsing may round."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NAME = re.compile(r"[\w.-]+\Z")
_DATA_URL = re.compile(r"data:([^;,]{0,100})[^,]{0,200},")


def indented(value: object) -> str:
    """Any JSON value, on lines of its own; what is no text within it gives way to its size."""
    data = dumps(_without_blobs(orjson.loads(dumps(value))))
    if len(data) > INDENTED_CHARACTERS_MAX:
        return data.decode()
    return orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).decode()


def readable(value: object) -> str:
    """Any JSON value; strings of it that have lines of their own stand in them, by their names.

    A patch, a script or a file is given to a tool as a member of an object, and as JSON it would
    be one endless line.
    """
    if not _has_lines(value):
        return indented(value)
    return "\n".join(_lines(_without_blobs(orjson.loads(dumps(value))), IN_LINES_DEPTH_MAX))


def readable_text(text: str) -> str:
    """A text; where it is an array or an object in JSON, as a person reads that."""
    if len(text) > IN_LINES_CHARACTERS_MAX or not text.lstrip().startswith(("{", "[")):
        return text
    data = text.encode(errors="replace")
    if _LONG_DIGITS.search(_STRING.sub(b"", data)):
        return text
    try:
        value = loads_strict(data)
    except NotStrictJson:
        return text
    if len(text) > INDENTED_CHARACTERS_MAX and not _has_lines(value):
        return text
    return readable(value)


def _has_lines(value: object, depth: int = IN_LINES_DEPTH_MAX) -> bool:
    """Whether a string within has more than one line."""
    match value:
        case str():
            return "\n" in value.rstrip("\n")
        case dict() if depth:
            return any(_has_lines(child, depth - 1) for child in value.values())
        case list() if depth:
            return any(_has_lines(child, depth - 1) for child in value)
    return False


def _lines(value: object, depth: int) -> Iterator[str]:
    match value:
        case str():
            yield from value.removesuffix("\n").split("\n")
        case dict():
            for key, child in value.items():
                # A name that could be taken for something else is told as JSON has it.
                name = key if _NAME.match(key) else dumps(key).decode()
                yield from _member(f"{name}:", child, depth - 1)
        case list():
            for child in value:
                yield from _member("-", child, depth - 1)


def _member(name: str, value: object, depth: int) -> Iterator[str]:
    if _has_lines(value, depth):
        yield name
        yield from (f"  {line}" for line in _lines(value, depth))
    else:
        yield f"{name} {dumps(value).decode()}"


def indented_bytes(data: bytes) -> bytes:
    """A JSON document, indented; as it stands where a number of it might be rounded by that."""
    try:
        value = loads_strict(data)
    except NotStrictJson:
        return data
    if _LONG_DIGITS.search(data):
        return data
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def blob_note(what: str, blob: str) -> str:
    """A note that stands for a data URL or base64: what it is, of which type and size."""
    match = _DATA_URL.match(blob)
    encoded = blob[match.end() :] if match else blob
    kind = f", {match[1]}" if match and match[1] else ""
    return f"{what}{kind}, {_decoded_size(encoded):,} bytes"


def is_data_url(text: str) -> bool:
    """Whether a URL holds what it stands for."""
    return text.startswith("data:")


def _decoded_size(encoded: str) -> int:
    """How many bytes base64 stands for; of what is none, how many it has."""
    digits = encoded.rstrip("=\n")
    try:
        base64.b64decode(digits[-4:] + "=" * (-len(digits[-4:]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return len(encoded)
    return len(digits) * 3 // 4


def _without_blobs(value: object) -> object:
    match value:
        case dict():
            return {key: _without_blobs(child) for key, child in value.items()}
        case list():
            return [_without_blobs(child) for child in value]
        case str() if len(value) >= BLOB_CHARACTERS_MIN and (
            is_data_url(value) or _BASE64.match(value)
        ):
            return f"[{blob_note('left out', value)}]"
    return value
