"""Text from the wire made safe to print: nothing in it can steer a terminal."""

import codecs
import json
from collections.abc import Iterable, Iterator

_JOINERS = "\u200c\u200d"
"""Invisible, harmless, and needed to write Persian, Hindi or a family of emoji."""


def visible(text: str) -> str:
    """`text` with each control, bidirectional or other unprintable character as its escape.

    ESC becomes the four characters `\\x1b`; a line end becomes `\\n`, so the result is one line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else ascii(c)[1:-1] for c in text)


def visible_json(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """JSON in UTF-8, wherever it is cut, with such characters as escapes: the value is the same.

    JSON itself escapes the C0 controls alone, and between its values it has none but line ends.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        text = decoder.decode(chunk)
        yield (text if text.isprintable() else "".join(map(_json_escaped, text))).encode()


def _json_escaped(character: str) -> str:
    if character.isprintable() or character in _JOINERS or character in "\n\r\t":
        return character
    return json.dumps(character)[1:-1]
