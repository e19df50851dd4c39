"""Decides how a call ended, from the protocol's last word and how the transport ended.

This is the one place that decides it. The protocol's word wins: a client that leaves right after
``response.completed`` got a completed call.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

STREAM_CLOSED_EARLY = "stream closed before response.completed"
"""Codex's text for a stream that ends without a terminal event (codex-rs, sse/responses.rs)."""


class ProtocolWord(StrEnum):
    """The last thing that the API said about the response."""

    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    ERROR = "error"
    CANCELLED = "cancelled"
    NONE = "none"


class TransportEnd(StrEnum):
    """How the exchange of bytes ended."""

    EOF = "eof"
    UPSTREAM_ERROR = "upstream_error"
    CLIENT_CLOSED = "client_closed"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class TerminalType(StrEnum):
    """The terminal events of a call, of which it has exactly one."""

    COMPLETED = "inference_completed"
    FAILED = "inference_failed"
    CANCELLED = "inference_cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The decision. ``text`` is the error of a failed call, the reason of a cancelled one."""

    type: TerminalType
    text: str | None


def decide(
    word: ProtocolWord, word_text: str | None, end: TransportEnd, end_text: str | None
) -> Terminal:
    """Decide the terminal event of a call.

    ``word_text`` is what the API said of its word (an error's message), ``end_text`` what is known
    of the transport's end; either may be None.
    """
    match word:
        case ProtocolWord.COMPLETED:
            return Terminal(type=TerminalType.COMPLETED, text=None)
        case ProtocolWord.INCOMPLETE | ProtocolWord.FAILED | ProtocolWord.ERROR:
            return Terminal(type=TerminalType.FAILED, text=word_text or f"response {word}")
        case ProtocolWord.CANCELLED:
            return Terminal(type=TerminalType.CANCELLED, text=word_text or "response cancelled")
        case ProtocolWord.NONE:
            return _without_word(word_text, end, end_text)
        case _:
            assert_never(word)


def _without_word(word_text: str | None, end: TransportEnd, end_text: str | None) -> Terminal:
    match end:
        case TransportEnd.CLIENT_CLOSED:
            text = end_text or "client disconnected before the response ended"
            return Terminal(type=TerminalType.CANCELLED, text=text)
        case TransportEnd.SHUTDOWN:
            text = end_text or "proxy shut down before the response ended"
            return Terminal(type=TerminalType.CANCELLED, text=text)
        case TransportEnd.TIMEOUT:
            text = end_text or "idle timeout waiting for SSE"
            return Terminal(type=TerminalType.FAILED, text=text)
        case TransportEnd.EOF | TransportEnd.UPSTREAM_ERROR:
            text = end_text or word_text or STREAM_CLOSED_EARLY
            return Terminal(type=TerminalType.FAILED, text=text)
        case _:
            assert_never(end)
