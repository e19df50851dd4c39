"""Text made safe to print."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.visible_text import visible, visible_json


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


VALUES = st.recursive(
    st.text()
    | st.integers()
    | st.none()
    | st.sampled_from(["\x9b2J", "\u202e", "\x7f", "\U000e0001"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=VALUES, size=st.integers(1, 9), indent=st.sampled_from([None, 2]))
def test_json_means_the_same(value: object, size: int, indent: int | None) -> None:
    """However it is cut, nothing that steers is left of it but in escapes."""
    data = json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "replace")
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    shown = b"".join(visible_json(chunks)).decode()
    assert json.loads(shown) == json.loads(data)
    assert shown.translate(dict.fromkeys(map(ord, "\n\u200c\u200d"))).isprintable()
