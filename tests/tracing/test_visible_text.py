"""Text made safe to print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.visible_text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\ud800", "\\ud800"),
        ("früh 早 👩\u200d🚀", "früh 早 👩\u200d🚀"),
    ],
)
def test_what_steers_a_terminal_becomes_an_escape(text: str, shown: str) -> None:
    """Controls, bidirectional overrides and lone surrogates; other writing stays as it is."""
    assert visible(text) == shown


@given(st.text())
def test_the_result_is_one_printable_line(text: str) -> None:
    """Whatever the text was."""
    assert visible(text).replace("\u200c", "").replace("\u200d", "").isprintable()
