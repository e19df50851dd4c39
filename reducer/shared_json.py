"""Parses payloads so that what one repeats of another is parsed and held once.

A client sends its conversation again with every request: what an array holds is matched by its
text, first of all with what followed the item before it the last time.
"""

import re
from collections.abc import Collection

from tracing.strict_json import DEPTH_MAX

from .exact_json import EXACT_DECODER, NotExactJson, check_exact, parse_exact, parse_payload

_SPACE = re.compile(r"[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r]*(?:,[ \t\n\r]*(?![\]}])|(?=[\]}]))")
"""A comma and what follows it, or what comes before a closing bracket."""


class SharedObject(dict[str, object]):
    """An object in an array: the same one wherever its text came.

    `reading` is what a reader made of it, for the reader's own use.
    """

    __slots__ = ("following", "reading", "text")

    def __init__(self, value: dict[str, object], text: str) -> None:
        super().__init__(value)
        self.text = text
        self.following: SharedObject | None = None
        self.reading: object = None


class SharingParser:
    """Parses payloads, and shares among them the objects in the arrays under some keys."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = keys
        self._known: dict[str, SharedObject] = {}
        self._first: SharedObject | None = None

    def parse(self, data: bytes) -> tuple[object, str | None]:
        """Parse a payload as `parse_payload` does. Raises NotExactJson."""
        try:
            return self._payload(data.decode()), None
        except (UnicodeDecodeError, NotExactJson):
            return parse_payload(data)

    def _payload(self, text: str) -> object:
        at = _end_of(_SPACE, text, 0)
        if not text.startswith("{", at):
            return parse_exact(text)
        found: dict[str, object] = {}
        at = _end_of(_SPACE, text, at + 1)
        while not text.startswith("}", at):
            key, at = _value(text, at, DEPTH_MAX)
            if not isinstance(key, str):
                raise NotExactJson("a key is no string")
            at = _end_of(_COLON, text, at)
            if key in self._keys and text.startswith("[", at):
                found[key], at = self._array(text, at)
            else:
                found[key], at = _value(text, at, DEPTH_MAX - 1)
            at = _end_of(_SEPARATOR, text, at)
        if _end_of(_SPACE, text, at + 1) != len(text):
            raise NotExactJson("text after the object")
        return found

    def _array(self, text: str, at: int) -> tuple[list[object], int]:
        """The array that begins at a place, and where it ends."""
        found: list[object] = []
        before: SharedObject | None = None
        at = _end_of(_SPACE, text, at + 1)
        while not text.startswith("]", at):
            expected = self._first if before is None else before.following
            item: object
            if expected is not None and text.startswith(expected.text, at):
                item, at = expected, at + len(expected.text)
            else:
                item, at = self._item(text, at)
                expected = item if isinstance(item, SharedObject) else None
                if before is None:
                    self._first = expected
                else:
                    before.following = expected
            found.append(item)
            before = expected
            at = _end_of(_SEPARATOR, text, at)
        return found, at + 1

    def _item(self, text: str, at: int) -> tuple[object, int]:
        value, end = _value(text, at, DEPTH_MAX - 2)
        if not isinstance(value, dict):
            return value, end
        written = text[at:end]
        known = self._known.get(written)
        if known is None:
            known = self._known[written] = SharedObject(value, written)
        return known, end


def _value(text: str, at: int, levels: int) -> tuple[object, int]:
    """The value at a place, and where it ends; it may have this many levels."""
    try:
        value, end = EXACT_DECODER.raw_decode(text, at)
    except NotExactJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotExactJson(str(error)) from None
    if isinstance(value, str | dict | list):
        check_exact(value, text[at:end], levels)
    return value, end


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise NotExactJson(f"unexpected text at character {at}")
    return found.end()
