"""What an exported bundle is made of: pieces of its files, in the order of their writing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from tracing.bundle_reader import RawEvent
from tracing.events import EVENT_LOG_NAME, MANIFEST_NAME, PAYLOADS_NAME, SCHEMA_VERSION

from .fold import Fold
from .records import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a bundle is exported: a call, a thread, or all of it where neither is named."""

    thread_id: str | None = None
    call_id: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self.thread_id is None and self.call_id is None

    def has_thread(self, thread_id: str | None) -> bool:
        """Whether what is of a thread, and of none of its calls, belongs to it."""
        return self.is_all or (self.thread_id is not None and thread_id == self.thread_id)

    def has_call(self, call: Call) -> bool:
        """Whether a call belongs to it."""
        return self.has_thread(call.thread_id) or call.inference_call_id == self.call_id


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be appended to a file of the bundle."""

    name: str
    data: bytes


Pieces = Iterator[Piece]


def manifest_piece(fold: Fold, root_thread_id: str) -> Piece:
    """The manifest of the exported bundle."""
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "trace_id": fold.trace_id,
        "rollout_id": fold.rollout_id,
        "root_thread_id": root_thread_id,
        "started_at_unix_ms": fold.started_at_unix_ms,
        "raw_event_log": EVENT_LOG_NAME,
        "payloads_dir": PAYLOADS_NAME,
    }
    return Piece(MANIFEST_NAME, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


def event_piece(
    fold: Fold,
    event: RawEvent,
    seq: int,
    thread_id: str | None,
    turn_id: str | None,
    payload: Mapping[str, object],
) -> Piece:
    """A line of the event log, at the time of an event of the bundle."""
    line = {
        "schema_version": SCHEMA_VERSION,
        "seq": seq,
        "wall_time_unix_ms": event.wall_time_unix_ms,
        "rollout_id": fold.rollout_id,
        "thread_id": thread_id,
        "codex_turn_id": turn_id,
        "payload": payload,
    }
    return Piece(EVENT_LOG_NAME, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
