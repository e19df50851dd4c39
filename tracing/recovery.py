"""Seals the bundles that a crash left: what was open ends as aborted, with what had come of it.

A bundle is dead when its lock is free and its end is missing. Only the lock tells: a process id may
be another process by now.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answer import partial_items, read_answer
from .appender import Appender
from .bundle_lock import bundle_lock
from .bundle_reader import NotABundle, RawEvent
from .bundle_writer import checksummed, event_line, payload_ref, write_file
from .call import CallEnded, Waits
from .capture import Kind, Piece, scan
from .dead_bundle import Found, is_plainly_ended, read_dead
from .end_record import response_payload, terminal_proxy, with_headers_of
from .events import EVENT_LOG_NAME, MANIFEST_NAME, PAYLOADS_NAME, STREAMS_NAME, PayloadKind
from .exchange_trace import is_stream_head
from .ids import new_id
from .observer import ResponseObserver
from .redaction import RawHeaders
from .request_ids import upstream_request_id
from .sse import event_type_of
from .strict_json import NotStrictJson, dumps, loads_lenient
from .terminal import Terminal, TerminalType, TransportEnd

ABORTED_TEXT = "proxy terminated"

EVENT_BYTES_MAX = 64 * 1024 * 1024
"""Events larger than this are not read back: a bound on memory."""

CapturedPieces = Sequence[tuple[int, Piece]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A bundle that was sealed, how many calls were open in it, and the bytes of its torn tail."""

    bundle: Path
    calls_aborted: int
    torn_bytes: int


def recover(trace_dir: Path) -> list[Sealed]:
    """Seal every dead bundle in ``trace_dir``. One that cannot be sealed is left as it is.

    Raises OSError where the directory cannot be listed; it need not be there.
    """
    return list(sealed_one_by_one(trace_dir))


def sealed_one_by_one(trace_dir: Path) -> Iterator[Sealed]:
    """Do the same, and give each bundle as soon as it is sealed. Raises OSError."""
    try:
        names = sorted(os.listdir(trace_dir))
    except FileNotFoundError:  # it is made when the first call comes
        return
    for name in names:
        if name.startswith("trace-") and (sealed := _seal_if_dead(trace_dir / name)) is not None:
            yield sealed


def _seal_if_dead(bundle: Path) -> Sealed | None:
    try:
        if _leads_elsewhere(bundle):
            return None
        with bundle_lock(bundle) as is_ours:
            if not is_ours or is_plainly_ended(bundle):
                return None
            found = read_dead(bundle)
            if found is None or (found.is_ended and found.torn is None):
                return None
            return _Sealing(bundle, found).run()
    except (OSError, NotABundle, ValueError):
        # ValueError: what is in it is not what we write.
        return None


def _leads_elsewhere(bundle: Path) -> bool:
    """Tell whether sealing would write through a link, to what may be anybody's. We make none."""
    names = (MANIFEST_NAME, EVENT_LOG_NAME, PAYLOADS_NAME, STREAMS_NAME)
    return any((bundle / name).is_symlink() for name in names)


class _Sealing:
    """Appends the ends that a crash prevented.

    Turns end first, so that Codex's reducer takes their open calls for aborted; then the calls,
    with what had come of them; then the rollout.
    """

    def __init__(self, bundle: Path, found: Found) -> None:
        self._bundle = bundle
        self._found = found
        self._at_unix_ms = time.time_ns() // 1_000_000
        self._sequence = found.sequence
        self._payloads = _last_payload_number(bundle)

    def run(self) -> Sealed:
        """Seal the bundle. Raises OSError; it can then be sealed later."""
        torn_bytes = self._move_torn_tail()
        if self._found.is_ended:
            return Sealed(bundle=self._bundle, calls_aborted=0, torn_bytes=torn_bytes)
        captured = _captured(self._bundle, self._found.open_calls)
        lines = [
            self._line(
                {"type": "codex_turn_ended", "codex_turn_id": turn_id, "status": "aborted"},
                thread_id,
                turn_id,
            )
            for turn_id, thread_id in self._found.open_turns.items()
        ]
        for call_id, started in self._found.open_calls.items():
            event = self._abort(call_id, started, captured.get(call_id, ()))
            lines.append(self._line(event, started.thread_id, started.codex_turn_id))
        lines.append(self._line({"type": "rollout_ended", "status": "aborted"}, None, None))
        self._append(b"".join(lines))
        return Sealed(
            bundle=self._bundle,
            calls_aborted=len(self._found.open_calls),
            torn_bytes=torn_bytes,
        )

    def _move_torn_tail(self) -> int:
        """Keep a line that was cut off beside the log, which is then of whole lines again."""
        torn = self._found.torn
        if torn is None:
            return 0
        log = self._bundle / EVENT_LOG_NAME
        with log.open("rb") as lines:
            lines.seek(torn.offset)
            tail = lines.read()
        kept = self._bundle / f"torn-{torn.offset}.bin"
        # An earlier sealing that was cut off leaves its own torn line where it moved this one from.
        if not kept.exists() or tail.startswith(kept.read_bytes()):
            kept.unlink(missing_ok=True)
            write_file(kept, tail)
        os.truncate(log, torn.offset)
        return len(tail)

    def _append(self, lines: bytes) -> None:
        log = Appender(self._bundle / EVENT_LOG_NAME, exists=True)
        try:
            if log.size and log.read(log.size - 1, 1) != b"\n":
                log.append(b"\n")
            log.append(lines)
            log.flush()
        finally:
            log.close()

    def _line(self, event: Mapping[str, Any], thread_id: str | None, turn_id: str | None) -> bytes:
        self._sequence += 1
        line = event_line(
            event,
            sequence=self._sequence,
            at_unix_ms=self._at_unix_ms,
            rollout_id=self._found.rollout_id,
            thread_id=thread_id,
            turn_id=turn_id,
        )
        return checksummed(line)

    def _abort(
        self, call_id: str, started: RawEvent, captured: CapturedPieces
    ) -> Mapping[str, Any]:
        if started.type == "compaction_request_started":
            return {
                "type": "compaction_request_failed",
                "compaction_id": started.payload.get("compaction_id"),
                "compaction_request_id": call_id,
                "error": ABORTED_TEXT,
            }
        ended = _ended(started, captured)
        seen = None if ended.observer is None else ended.observer.seen()
        answer = read_answer(seen, ended.http_status, is_whole=False)
        ended = with_headers_of(answer, ended)
        terminal = Terminal(type=TerminalType.FAILED, text=ABORTED_TEXT)
        request_id, _ = upstream_request_id(ended.headers)
        bodies = [piece.data for _, piece in captured if piece.kind is not Kind.HEAD]
        is_stream = seen is not None and seen.is_stream
        pieces = (piece for _, piece in captured)
        partial = partial_items(pieces, EVENT_BYTES_MAX) if is_stream else []
        payload = response_payload(answer, ended.headers, partial, seen, keep_bodies=True)
        capture: dict[str, Any] = {
            "file": f"{STREAMS_NAME}/1.cap",
            "offset": captured[0][0] if captured else None,
            "bytes": sum(map(len, bodies)),
            "sha256": hashlib.sha256(b"".join(bodies)).hexdigest(),
            "wire_sha256": None,
            "lost_bytes": 0,
            "redacted": [],
        }
        return {
            "type": terminal.type,
            "inference_call_id": call_id,
            "upstream_request_id": request_id,
            "error": terminal.text,
            "partial_response_payload": self._add_payload(dumps(payload)),
            "proxy": terminal_proxy(
                ended, answer, terminal, bytes_up=_bytes_up(started), capture=capture
            ),
        }

    def _add_payload(self, data: bytes) -> Mapping[str, Any]:
        self._payloads += 1
        (self._bundle / PAYLOADS_NAME).mkdir(mode=0o700, exist_ok=True)
        write_file(self._bundle / PAYLOADS_NAME / f"{self._payloads}.json", data)
        return payload_ref(PayloadKind.INFERENCE_RESPONSE, self._payloads, data)


def _last_payload_number(bundle: Path) -> int:
    names = (path.stem for path in (bundle / PAYLOADS_NAME).glob("*.json"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def _captured(bundle: Path, calls: Mapping[str, RawEvent]) -> Mapping[str, list[tuple[int, Piece]]]:
    """Return what was captured of the open calls, by call."""
    captured: dict[str, list[tuple[int, Piece]]] = {}
    segment = bundle / STREAMS_NAME / "1.cap"
    if segment.exists():
        for offset, piece in scan(segment):
            if str(piece.call) in calls:
                captured.setdefault(str(piece.call), []).append((offset, piece))
    return captured


def _ended(started: RawEvent, captured: CapturedPieces) -> CallEnded:
    """Tell of the call as its trace would have, had it ended with its last captured piece."""
    status: int | None = None
    headers: RawHeaders = ()
    headers_ns: int | None = None
    observer: ResponseObserver | None = None
    arrived_ns = ended_ns = started.wall_time_unix_ms * 1_000_000
    for _, piece in captured:
        ended_ns = piece.at_unix_ns
        match piece.kind:
            case Kind.HEAD:
                headers_ns = piece.at_unix_ns
                status, headers = _read_head(piece.data)
                observer = _observer(is_stream=is_stream_head(status, headers))
            case Kind.BODY:
                observer = observer or _observer(is_stream=True)
                observer.piece(piece.data, piece.at_unix_ns)
            case Kind.MESSAGE:
                observer = observer or _observer(is_stream=True)
                observer.message(event_type_of(piece.data), piece.data, piece.at_unix_ns)
    if observer is not None:
        observer.finish()
    return CallEnded(
        call_id=new_id(),  # it names nothing here: the bundle has the call's own
        http_status=status,
        headers=headers,
        headers_ns=headers_ns,
        observer=observer,
        end=TransportEnd.SHUTDOWN,
        end_text=ABORTED_TEXT,
        waits=Waits(),
        arrived_ns=arrived_ns,
        ended_ns=ended_ns,
        ended_unix_ns=ended_ns,
        bytes_down=observer.bytes_down if observer else 0,
        lost_bytes=0,
        wire_sha256=None,
        decode_error=None,
        held_bytes=0,
    )


def _observer(*, is_stream: bool) -> ResponseObserver:
    return ResponseObserver(
        is_stream=is_stream, event_bytes_max=EVENT_BYTES_MAX, reserve=lambda _: True
    )


def _read_head(data: bytes) -> tuple[int | None, RawHeaders]:
    try:
        head = loads_lenient(data)
    except NotStrictJson:
        return None, ()
    match head:
        case {"status": int(status), "headers": dict(headers)}:
            return status, tuple((k.encode(), str(v).encode()) for k, v in headers.items())
        case _:
            return None, ()


def _bytes_up(started: RawEvent) -> int:
    match started.payload:
        case {"proxy": {"request": {"bytes": int(size)}}}:
            return size
        case _:
            return 0
