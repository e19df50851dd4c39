"""The one decision of how a call ended: the whole table of it."""

import itertools

import pytest

from tracing.terminal import ProtocolWord as Word
from tracing.terminal import Terminal, TerminalType, TransportEnd, decide

COMPLETED, FAILED, CANCELLED = TerminalType.COMPLETED, TerminalType.FAILED, TerminalType.CANCELLED
LEFT = "client disconnected before the response ended"
EARLY = "stream closed before response.completed"

# Without a word of the protocol, the transport's end decides.
WITHOUT_A_WORD = {
    TransportEnd.EOF: (FAILED, EARLY),
    TransportEnd.UPSTREAM_ERROR: (FAILED, EARLY),
    TransportEnd.TIMEOUT: (FAILED, "idle timeout waiting for SSE"),
    TransportEnd.CLIENT_CLOSED: (CANCELLED, LEFT),
    TransportEnd.SHUTDOWN: (CANCELLED, "proxy shut down before the response ended"),
}
BY_THE_WORD = {
    Word.COMPLETED: (COMPLETED, None),
    Word.INCOMPLETE: (FAILED, "response incomplete"),
    Word.FAILED: (FAILED, "response failed"),
    Word.ERROR: (FAILED, "response error"),
    Word.CANCELLED: (CANCELLED, "response cancelled"),
}


@pytest.mark.parametrize(("word", "end"), [*itertools.product(Word, TransportEnd)])
def test_table(word: Word, end: TransportEnd) -> None:
    """The protocol's word wins over every end; where there is none, the end decides."""
    terminal_type, text = BY_THE_WORD.get(word) or WITHOUT_A_WORD[end]
    assert decide(word, None, end, None) == Terminal(type=terminal_type, text=text)


@pytest.mark.parametrize(("word", "end"), [*itertools.product(Word, TransportEnd)])
def test_texts(word: Word, end: TransportEnd) -> None:
    """What is known of a word, or else of the end, is the text; a completed call has none."""
    text = decide(word, "of the word", end, "of the end").text
    expected = {Word.COMPLETED: None, Word.NONE: "of the end"}.get(word, "of the word")
    assert text == expected


@pytest.mark.parametrize("end", [TransportEnd.EOF, TransportEnd.UPSTREAM_ERROR])
def test_text_of_an_answer_that_says_nothing(end: TransportEnd) -> None:
    """Where upstream ended an answer without a word, what is known of the answer is told."""
    terminal = decide(Word.NONE, "http 200: the answer is no response object", end, None)
    assert terminal.text == "http 200: the answer is no response object"
