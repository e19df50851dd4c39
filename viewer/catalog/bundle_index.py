"""Writes into the catalog what the events of one bundle tell, in their order."""

import sqlite3
from collections.abc import Mapping

from reducer.exact_json import NotExactJson, parse_payload
from reducer.fields import object_of, text_of
from reducer.shared_json import SharedObject, SharingParser
from tracing.bundle_reader import BundleReader, DamagedPayload, PayloadRef, RawEvent

from .call_record import STATUS_OF_CALLS_IN_TURN, call_id_of, call_start, ended, kind_of, started
from .call_table import CallTable
from .event_log import Line
from .linking import LinkFacts
from .rows import CallKind
from .text_index import IS_NEW, NewTexts, TextIndex

SHARED_CHARS_MAX = 8 * 1024 * 1024
"""Of requests' items that are held so that what repeats them is known: a bound on memory. Beyond
it they are forgotten, and conversations that go on are parsed whole once more."""

PREWARM_NOTICE = "tailrace.prewarm"

_SHARED = ("input", "tools")
"""What requests repeat."""


class BundleIndex:
    """The part of the catalog that tells of one bundle. Transactions are the caller's."""

    def __init__(
        self, connection: sqlite3.Connection, bundle: int, reader: BundleReader, texts: NewTexts
    ) -> None:
        self.is_changed = False
        """Whether anything was written that a reader would notice; the caller sets it back."""
        self._version = 0
        self._texts = TextIndex(connection, bundle, texts)
        self._connection = connection
        self._bundle = bundle
        self._reader = reader
        self._calls = CallTable(connection, bundle)
        self._requests = SharingParser(_SHARED)
        self._shared_chars = 0
        self._links = LinkFacts(connection, bundle=bundle)
        self._handlers = {
            "rollout_started": self._take_trace_id,
            "recording_completed": self._note_end,
            "codex_turn_ended": self._end_turn,
            "protocol_event_observed": self._note_notice,
            "inference_started": self._start,
            "inference_completed": self._end,
            "inference_failed": self._end,
            "inference_cancelled": self._end,
            "compaction_request_started": self._start,
            "compaction_request_completed": self._end,
            "compaction_request_failed": self._end,
        }

    def take(self, line: Line, version: int) -> None:
        """Write what a line of the event log tells; rows that change get this version."""
        self._version = version
        if isinstance(line.event, RawEvent):
            handler = self._handlers.get(line.event.type)
            if handler is not None:
                handler(line.event, line)
            return
        self._connection.execute(
            "UPDATE bundles SET damaged_lines = damaged_lines + 1, damage = coalesce(damage, ?)"
            " WHERE id = ?",
            (f"the line at byte {line.offset} of its event log: {line.event}", self._bundle),
        )
        self.is_changed = True

    def _take_trace_id(self, event: RawEvent, _: Line) -> None:
        if trace_id := text_of(event.payload, "trace_id"):
            self._connection.execute(
                "UPDATE bundles SET trace_id = ? WHERE id = ?", (trace_id, self._bundle)
            )

    def _note_end(self, _event: RawEvent, _: Line) -> None:
        self._connection.execute("UPDATE bundles SET is_ended = 1 WHERE id = ?", (self._bundle,))

    def _end_turn(self, event: RawEvent, _: Line) -> None:
        turn_id = text_of(event.payload, "codex_turn_id")
        status = STATUS_OF_CALLS_IN_TURN.get(text_of(event.payload, "status") or "")
        if turn_id is not None and status is not None:
            at_unix_ms = event.wall_time_unix_ms
            for call in self._calls.end_turn(self._version, turn_id, status, at_unix_ms):
                self._links.note_end(call)
                self.is_changed = True

    def _note_notice(self, event: RawEvent, _: Line) -> None:
        if text_of(event.payload, "event_type") != PREWARM_NOTICE:
            return
        value = self._payload(PayloadRef.parse(event.payload.get("event_payload")))
        if value is not None:
            self._links.note_prewarm(value)

    def _start(self, event: RawEvent, line: Line) -> None:
        start = call_start(event)
        if start is None or self._calls.find(start.kind, start.call_id) is not None:
            return
        ref = PayloadRef.parse(event.payload.get("request_payload"))
        request = self._request(ref)
        columns = started(event, start, request or {})
        columns["start_offset"] = line.offset
        columns["request_path"] = None if ref is None else ref.path
        call = self._calls.add(self._version, columns)
        self.is_changed = True
        if request is not None:
            self._texts.add_request(call, request)
        if start.kind is CallKind.INFERENCE:
            self._links.note_request(call, event, request)

    def _end(self, event: RawEvent, line: Line) -> None:
        kind, call_id = kind_of(event), call_id_of(event)
        before = None if call_id is None else self._calls.find(kind, call_id)
        if before is None:
            return
        call = before["id"]
        assert isinstance(call, int)
        ref = _response_ref(event)
        response = self._payload(ref)
        columns = ended(event, before, response)
        if before["end_offset"] is None:
            columns["end_offset"] = line.offset
        if ref is not None:
            columns["response_path"] = ref.path
        self._calls.update(self._version, call, columns)
        self.is_changed = True
        if response is not None:
            self._texts.add_response(call, response)
        if event.type in {"inference_failed", "compaction_request_failed"}:
            self._texts.add_error(call, text_of(event.payload, "error") or "")
        if kind is CallKind.INFERENCE:
            self._links.note_response(call, event, response)

    def _request(self, ref: PayloadRef | None) -> Mapping[str, object] | None:
        """The parsed request; what it repeats of another one is parsed and held once."""
        data = self._bytes(ref)
        if data is None:
            return None
        if self._shared_chars > SHARED_CHARS_MAX:
            self._requests, self._shared_chars = SharingParser(_SHARED), 0
        try:
            value, _ = self._requests.parse(data)
        except NotExactJson:
            return None
        if not isinstance(value, dict):
            return None
        for key in _SHARED:
            items = value.get(key)
            for item in items if isinstance(items, list) else ():
                if type(item) is SharedObject and item.reading is None:
                    self._shared_chars += len(item.text)
                    item.reading = IS_NEW
        return value

    def _payload(self, ref: PayloadRef | None) -> dict[str, object] | None:
        data = self._bytes(ref)
        if data is None:
            return None
        try:
            value, _ = parse_payload(data)
        except NotExactJson:
            return None
        return value if isinstance(value, dict) else None

    def _bytes(self, ref: PayloadRef | None) -> bytes | None:
        data = None if ref is None else self._reader.payload_bytes(ref)
        if data is None or isinstance(data, DamagedPayload):
            return None
        return data


def _response_ref(event: RawEvent) -> PayloadRef | None:
    """The payload that an end names. Codex's failed compaction has no place for one."""
    is_completed = event.type.endswith("_completed")
    name = "response_payload" if is_completed else "partial_response_payload"
    ref = PayloadRef.parse(event.payload.get(name))
    if ref is None and event.type == "compaction_request_failed":
        ref = PayloadRef.parse(object_of(event.payload, "proxy").get("response_payload"))
    return ref
