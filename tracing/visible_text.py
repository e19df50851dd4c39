"""Text from the wire made safe to print: nothing in it can steer a terminal."""

_JOINERS = "\u200c\u200d"
"""Invisible, harmless, and needed to write Persian, Hindi or a family of emoji."""


def visible(text: str) -> str:
    """`text` with each control, bidirectional or other unprintable character as its escape.

    ESC becomes the four characters `\\x1b`; a line end becomes `\\n`, so the result is one line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else ascii(c)[1:-1] for c in text)
