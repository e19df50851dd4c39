"""How a call ended, in words."""

from typing import Any

import pytest

from tests.support.stories import row
from viewer.call.ending import cut_words, ending
from viewer.catalog.rows import Timing

NONE: dict[str, Any] = {"protocol": "none"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Completed after 1.20 s, 340 characters"),
        (
            {"status": "cancelled", **NONE, "transport_end": "client_closed"},
            "Cancelled: the client disconnected after 1.20 s, 340 characters in",
        ),
        (
            {"status": "cancelled", **NONE, "transport_end": "shutdown"},
            "Cancelled: the proxy was shut down after 1.20 s, 340 characters in",
        ),
        (
            {"status": "failed", "protocol": "error", "http_status": 429},
            "Failed: upstream answered 429 after 1.20 s, 340 characters in",
        ),
        (
            {"status": "failed", **NONE, "transport_end": "timeout"},
            "Failed: upstream fell silent after 1.20 s, 340 characters in",
        ),
        (
            {"status": "failed", "protocol": "incomplete"},
            "Incomplete: upstream stopped early after 1.20 s, 340 characters in",
        ),
        ({"status": "running", "is_live": True}, "Running, 340 characters so far"),
        (
            {"status": "running"},
            "Lost: its recorder died before the end was written, 340 characters in",
        ),
        ({"status": "aborted"}, "Aborted: the proxy died in the midst of it, 340 characters in"),
        (
            {"status": "failed", "protocol": None, "transport_end": None, "reason": "gone"},
            "Failed: gone after 1.20 s, 340 characters in",
        ),
    ],
)
def test_ending_says_who_and_when(fields: dict[str, Any], words: str) -> None:
    """One sentence tells how it ended, after how long, and how much had come."""
    assert ending(row(**fields), characters=340) == words


def test_call_without_answer_is_told_as_such() -> None:
    """Where no head came, upstream never answered; and nothing came is not counted."""
    call = row(
        status="failed",
        http_status=None,
        protocol="none",
        transport_end="upstream_error",
        timing=Timing(ended=30_000.0),
    )
    assert ending(call, characters=0) == "Failed: no answer from upstream after 30.0 s"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": "running", "is_live": True}, "still coming"),
        ({"status": "cancelled", **NONE, "transport_end": "client_closed"}, "client disconnected"),
        ({"status": "failed", "protocol": "incomplete"}, "upstream stopped early"),
        ({"status": "failed", **NONE, "transport_end": "eof"}, "connection to upstream ended"),
        ({"status": "aborted"}, "the proxy died"),
        ({"status": "cancelled", "protocol": None, "transport_end": None}, "cut here"),
    ],
)
def test_cut_says_what_cut_it(fields: dict[str, Any], words: str) -> None:
    """Where output ends in the midst of something, a few words say why."""
    assert cut_words(row(**fields)).endswith(words)
