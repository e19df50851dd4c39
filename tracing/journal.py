"""Turns what the hot path noted into events, payloads and captures of bundles.

It runs in the recorder's thread alone. Each operation is one step: it either raises OSError before
it changed anything that a second attempt would change again, or it is done.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, assert_never

from .apart import Apart, Content, NotRead
from .bundle_writer import BundleWriter
from .call import (
    CallEnded,
    CallStarted,
    CallSummary,
    ExchangeEnded,
    Operation,
    SocketEnded,
)
from .call_pieces import CallPieces
from .chains import Chains
from .end_record import end_record
from .events import PayloadKind
from .ids import new_id
from .json_masking import mask_text
from .notices import exchange_payload, prewarm_payload
from .open_call import OpenCall
from .request import RequestRecord, decoded_if_small, read_request, stub
from .strict_json import dumps
from .terminal import TerminalType

_TURN_STATUS = {
    TerminalType.COMPLETED: "completed",
    TerminalType.FAILED: "failed",
    TerminalType.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """What shapes the bundles. Sizes are bytes, the age is in seconds."""

    trace_dir: Path
    provider_name: str
    producer: Mapping[str, Any]
    keep_bodies: bool
    event_bytes_max: int
    decoded_bytes_max: int
    capture_bytes_max: int
    bundle_bytes_max: int
    bundle_age_max: float
    survives_power_loss: bool = False


@dataclass(slots=True, kw_only=True)
class _OpenBundle:
    writer: BundleWriter
    opened_at: float
    threads: dict[str, None] = field(default_factory=dict)
    """The threads that were started, in that order."""
    named_turns: dict[str, str] = field(default_factory=dict)
    open_calls: int = 0
    sockets: int = 0
    """WebSockets whose calls are in it, and will be."""
    ends_written: bool = False


class Journal:
    """The open bundles, and the calls that are open in them."""

    def __init__(
        self,
        settings: JournalSettings,
        on_call_ended: Callable[[CallSummary], None],
        count_lost: Callable[[str, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._on_call_ended = on_call_ended
        self._count_lost = count_lost
        self._clock = clock
        self._current: _OpenBundle | None = None
        self._retired: list[_OpenBundle] = []
        # By the id's number: an UUID is hashed in Python.
        self._calls: dict[int, tuple[OpenCall, _OpenBundle]] = {}
        self._sockets: dict[str, _OpenBundle] = {}
        self._chains = Chains()
        self._apart = Apart(count_lost)

    def apply(self, operation: Operation) -> None:
        """Record one operation. Raises OSError, and can then be called with it again."""
        match operation:
            case CallPieces():
                self._add_pieces(operation)
            case CallStarted():
                self._start(operation)
            case CallEnded():
                self._end(operation)
            case ExchangeEnded():
                self._note_exchange(operation)
            case SocketEnded():
                self._let_go_of_socket(operation.connection_id)
            case _:
                assert_never(operation)

    def note_loss(self, lost: Mapping[str, int]) -> bool:
        """Tell in the current bundle what could not be kept; False where no bundle is open."""
        if self._current is None:
            return False
        self._note(self._current, "tailrace.loss", dumps({"lost": dict(lost)}), _unix_ms())
        return True

    def flush(self) -> None:
        """Write what is buffered, and close the bundles that wait for nothing. Raises OSError."""
        for bundle in self._bundles():
            if bundle.writer.is_deleted():
                self._replace_deleted(bundle)
            else:
                bundle.writer.flush()
        with ExitStack() as closing:
            for bundle in [b for b in self._retired if not b.open_calls and not b.sockets]:
                self._finish(bundle)
                self._retired.remove(bundle)
                # Its error is told, and no reason to try again: nothing is left to be written.
                closing.callback(bundle.writer.close)

    def close(self) -> None:
        """End the bundles whose calls have all ended; the others are left for recovery."""
        self._apart.close()
        if self._current is not None:
            self._retired.append(self._current)
            self._current = None
        self.flush()

    def _start(self, started: CallStarted) -> None:
        request = self._read(started)
        call_id = str(started.call_id)
        identity = request.identity
        named_thread_id = mask_text(identity.thread_id or "", request.secrets)
        chained_thread_id = self._chains.thread_of(identity.previous_response_id)
        thread_id = named_thread_id or chained_thread_id or f"thread:{call_id}"
        turn_id = mask_text(identity.turn_id or "", request.secrets) or f"turn:{call_id}"
        socket = started.socket
        if socket is not None:
            model = self._chains.lane_model(started.head.connection_id, socket, request.model)
            request = replace(request, model=model)
        call = OpenCall(started=started, request=request, thread_id=thread_id, turn_id=turn_id)
        if socket is not None:
            call.add_response_secrets(socket.handshake_headers)
        self._begin_in_bundle(started.call_id.int, call, request.payload)

    def _read(self, started: CallStarted) -> RequestRecord:
        keep_body, bytes_max = self._settings.keep_bodies, self._settings.decoded_bytes_max
        size = started.body_bytes
        try:
            decoded = decoded_if_small(started, bytes_max)
            if decoded is None and started.socket is None:
                content = Content(call_id=str(started.call_id), what="request_bytes", size=size)
                return self._apart.run(
                    content, read_request, started, keep_body=keep_body, decoded_bytes_max=bytes_max
                )
            return read_request(
                started,
                keep_body=keep_body,
                decoded_bytes_max=bytes_max,
                decoded=decoded,
                prewarm_of=self._chains.prewarm_of,
            )
        except NotRead as error:
            lost = str(error)
        except MemoryError:
            lost = "there was not enough memory to read it"
            self._count_lost("request_bytes", size)
        started = replace(started, body=None, lost=lost)
        return read_request(started, keep_body=keep_body, decoded_bytes_max=bytes_max)

    def _begin_in_bundle(self, number: int, call: OpenCall, payload: bytes) -> None:
        bundle = self._bundle_for(call)
        if bundle.named_turns.get(call.turn_id, call.thread_id) != call.thread_id:
            # A turn belongs to one thread, in Codex's format: the second thread gets its own.
            call.turn_id = call.own_turn_id
        if not call.is_prewarm:
            reference = bundle.writer.add_payload(call.request_kind, payload)
            self._append_start(bundle, call, reference)
        bundle.open_calls += 1
        self._calls[number] = (call, bundle)

    def _bundle_for(self, call: OpenCall) -> _OpenBundle:
        """Return the current bundle, or that of the WebSocket's first call. Raises OSError."""
        if call.is_on_socket and call.head.connection_id in self._sockets:
            return self._sockets[call.head.connection_id]
        bundle = self._open_bundle(call.thread_id, call.arrived_unix_ns // 1_000_000)
        if call.is_on_socket:
            self._sockets[call.head.connection_id] = bundle
            bundle.sockets += 1
        return bundle

    def _let_go_of_socket(self, connection_id: str) -> None:
        bundle = self._sockets.pop(connection_id, None)
        if bundle is not None:
            bundle.sockets -= 1
        self._chains.let_go_of(connection_id)

    def _append_start(
        self, bundle: _OpenBundle, call: OpenCall, payload: Mapping[str, Any]
    ) -> None:
        at_unix_ms = call.arrived_unix_ns // 1_000_000
        self._start_thread(bundle, call.thread_id, at_unix_ms)
        if call.turn_id not in bundle.named_turns:
            if call.has_named_turn:
                bundle.named_turns[call.turn_id] = call.thread_id
            turn = {
                "type": "codex_turn_started",
                "codex_turn_id": call.turn_id,
                "thread_id": call.thread_id,
            }
            self._append(bundle, call, turn, at_unix_ms)
        event = call.start_event(self._settings.provider_name, payload)
        self._append(bundle, call, event, at_unix_ms)

    def _end(self, ended: CallEnded) -> None:
        if ended.call_id.int not in self._calls:
            # Its start could not be recorded, which was told then; so for its pieces.
            return
        call, bundle = self._calls[ended.call_id.int]
        call.add_response_secrets(ended.headers)
        if rest := call.finish_capture():
            call.add_offset(bundle.writer.capture.append(rest))
        record = end_record(
            call,
            ended,
            capture_name=bundle.writer.capture.name,
            read_pieces=bundle.writer.capture.read,
            event_bytes_max=self._settings.event_bytes_max,
            keep_bodies=self._settings.keep_bodies,
            apart=self._apart,
        )
        at_unix_ms = ended.ended_unix_ns // 1_000_000
        if call.is_prewarm:
            keep_bodies = self._settings.keep_bodies
            payload = prewarm_payload(call, record.answer, keep_bodies=keep_bodies)
            self._note(bundle, "tailrace.prewarm", payload, at_unix_ms, call)
            self._chains.remember_prewarm(record.answer, call.prewarm_body, call.secrets)
        else:
            reference = bundle.writer.add_payload(call.response_kind, record.payload)
            self._append(bundle, call, record.event_naming(reference), at_unix_ms)
            self._end_turn(bundle, call, record.terminal.type, at_unix_ms)
        self._chains.remember(record.answer.response_id, call.thread_id)
        bundle.open_calls -= 1
        del self._calls[ended.call_id.int]
        if not call.is_prewarm:
            self._on_call_ended(record.summary)

    def _end_turn(
        self, bundle: _OpenBundle, call: OpenCall, terminal: TerminalType, at_unix_ms: int
    ) -> None:
        if call.has_named_turn:
            return
        event = {
            "type": "codex_turn_ended",
            "codex_turn_id": call.turn_id,
            "status": _TURN_STATUS[terminal],
        }
        self._append(bundle, call, event, at_unix_ms)

    def _add_pieces(self, seen: CallPieces) -> None:
        pieces = seen.take()
        found = self._calls.get(seen.call_id.int)
        if found is None:
            return
        call, bundle = found
        room = self._settings.capture_bytes_max
        for record in call.capture_records(pieces, bytes_max=room):
            call.add_offset(bundle.writer.capture.append(record))

    def _note_exchange(self, ended: ExchangeEnded) -> None:
        at_unix_ms = ended.arrived_unix_ns // 1_000_000
        bundle = self._open_bundle(f"thread:{new_id()}", at_unix_ms)
        self._note(bundle, "tailrace.exchange", exchange_payload(ended), at_unix_ms)

    def _note(
        self,
        bundle: _OpenBundle,
        event_type: str,
        payload: bytes,
        at_unix_ms: int,
        call: OpenCall | None = None,
    ) -> None:
        """Write one of our own notices, in the one event that Codex's reducer keeps unread."""
        reference = bundle.writer.add_payload(PayloadKind.PROTOCOL_EVENT, payload)
        event = {
            "type": "protocol_event_observed",
            "event_type": event_type,
            "event_payload": reference,
        }
        thread_id = None
        if call is not None and call.thread_id in bundle.threads:
            thread_id = call.thread_id
        bundle.writer.append(event, at_unix_ms=at_unix_ms, thread_id=thread_id)

    def _append(
        self, bundle: _OpenBundle, call: OpenCall, event: Mapping[str, Any], at_unix_ms: int
    ) -> None:
        bundle.writer.append(
            event,
            at_unix_ms=at_unix_ms,
            thread_id=call.thread_id,
            turn_id=call.turn_id,
            secrets=call.secrets,
        )

    def _start_thread(self, bundle: _OpenBundle, thread_id: str, at_unix_ms: int) -> None:
        if thread_id in bundle.threads:
            return
        bundle.threads[thread_id] = None
        event = {
            "type": "thread_started",
            "thread_id": thread_id,
            "agent_path": "/root",
            "metadata_payload": None,
        }
        bundle.writer.append(event, at_unix_ms=at_unix_ms, thread_id=thread_id)

    def _open_bundle(self, root_thread_id: str, at_unix_ms: int) -> _OpenBundle:
        """Return the bundle that calls begin in now; make one if need be. Raises OSError."""
        settings = self._settings
        current = self._current
        if current is not None and (
            current.writer.size >= settings.bundle_bytes_max
            or self._clock() - current.opened_at >= settings.bundle_age_max
        ):
            self._retired.append(current)
            self._current = current = None
        if current is None:
            writer = BundleWriter(
                settings.trace_dir,
                new_id(),
                root_thread_id=root_thread_id,
                started_unix_ms=at_unix_ms,
                producer=settings.producer,
                survives_power_loss=settings.survives_power_loss,
            )
            self._current = current = _OpenBundle(writer=writer, opened_at=self._clock())
        return current

    def _bundles(self) -> list[_OpenBundle]:
        return self._retired + ([self._current] if self._current else [])

    def _finish(self, bundle: _OpenBundle) -> None:
        if not bundle.ends_written:
            bundle.ends_written = True
            self._append_ends(bundle, _unix_ms())
        bundle.writer.flush()

    def _append_ends(self, bundle: _OpenBundle, at_unix_ms: int) -> None:
        for turn_id, thread_id in bundle.named_turns.items():
            event: dict[str, Any] = {
                "type": "codex_turn_ended",
                "codex_turn_id": turn_id,
                "status": "completed",
            }
            bundle.writer.append(event, at_unix_ms=at_unix_ms, thread_id=thread_id, turn_id=turn_id)
        for thread_id in bundle.threads:
            event = {"type": "thread_ended", "thread_id": thread_id, "status": "completed"}
            bundle.writer.append(event, at_unix_ms=at_unix_ms, thread_id=thread_id)
        event = {"type": "rollout_ended", "status": "completed"}
        bundle.writer.append(event, at_unix_ms=at_unix_ms)
        bundle.writer.append({"type": "recording_completed"}, at_unix_ms=at_unix_ms)

    def _replace_deleted(self, bundle: _OpenBundle) -> None:
        """Go on in another bundle where somebody deleted this one. Raises OSError."""
        if self._current is bundle:
            # It is found there again where the disk refuses another bundle.
            self._retired.append(bundle)
            self._current = None
        self._sockets = {c: held for c, held in self._sockets.items() if held is not bundle}
        for number, (call, holder) in list(self._calls.items()):
            if holder is bundle:
                if lost_bytes := call.forget_capture():
                    self._count_lost("capture_bytes", lost_bytes)
                payload = stub("the bundle was deleted while in use")
                call.forget_request(payload)
                self._begin_in_bundle(number, call, payload)
                self._count_lost("request_bytes", call.bytes_up)
        self._retired.remove(bundle)
        # What the disk says of a deleted bundle concerns nobody.
        for let_go in (bundle.writer.flush, bundle.writer.close):
            with suppress(OSError):
                let_go()


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
