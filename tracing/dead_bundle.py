"""Reads a bundle that nobody writes any more: what was open in it, and where it breaks off."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from .bundle_reader import BundleReader, RawEvent, TornTail
from .events import END_OF_CALL, EVENT_LOG_NAME
from .strict_json import NotStrictJson, loads_strict

_LAST_LINE_BYTES_MAX = 4096
"""A clean end's last line has some two hundred bytes."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What a dead bundle holds, as far as sealing needs it."""

    rollout_id: str
    sequence: int = 0
    is_ended: bool = False
    torn: TornTail | None = None
    open_turns: dict[str, str] = field(default_factory=dict)
    open_calls: dict[str, RawEvent] = field(default_factory=dict)


def is_plainly_ended(bundle: Path) -> bool:
    """Whether the log ends with a whole line that is a clean end: the rest need not be read then.

    Raises OSError.
    """
    with (bundle / EVENT_LOG_NAME).open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(size - _LAST_LINE_BYTES_MAX, 0))
        end = log.read()
    if not end.endswith(b"\n"):
        return False
    try:
        event = loads_strict(end[:-1].rpartition(b"\n")[2])
    except NotStrictJson:
        return False
    match event:
        case {"payload": {"type": "recording_completed"}}:
            return True
        case _:
            return False


def read_dead(bundle: Path) -> Found | None:
    """Read a bundle of ours; None for one that another producer made."""
    reader = BundleReader(bundle)
    match reader.manifest:
        case {"producer": {"name": "tailrace"}, "rollout_id": str(rollout_id)}:
            found = Found(rollout_id=rollout_id)
        case _:
            return None
    for event in reader.events():
        match event:
            case RawEvent():
                found.sequence = max(found.sequence, event.seq)
                _fold(found, event)
            case TornTail():
                found.torn = event
            case _:
                pass
    return found


def _fold(found: Found, event: RawEvent) -> None:
    match event.payload:
        case {"type": "rollout_ended"}:
            found.is_ended = True
        case {
            "type": "codex_turn_started",
            "codex_turn_id": str(turn_id),
            "thread_id": str(thread),
        }:
            found.open_turns[turn_id] = thread
        case {"type": "codex_turn_ended", "codex_turn_id": str(turn_id)}:
            found.open_turns.pop(turn_id, None)
        case {"type": "inference_started", "inference_call_id": str(call_id)}:
            found.open_calls[call_id] = event
        case {"type": "compaction_request_started", "compaction_request_id": str(call_id)}:
            found.open_calls[call_id] = event
        case {"type": str(kind), "inference_call_id": str(call_id)} if kind in END_OF_CALL:
            found.open_calls.pop(call_id, None)
        case {"type": str(kind), "compaction_request_id": str(call_id)} if kind in END_OF_CALL:
            found.open_calls.pop(call_id, None)
        case _:
            pass
