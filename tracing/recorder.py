"""The recorder: a bounded queue from the traffic's side to a thread that writes the bundles.

What waits for the disk is bounded in bytes. Content may fill most of that; past it content is let
go and counted, while a call's start, terminal and end still go through. The rest is for those:
where that is full too, whole calls go untraced and are counted. A disk that refuses is tried again
until it takes writes; nothing that waits is given up meanwhile.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .call import (
    CallEnded,
    CallStarted,
    CallSummary,
    ExchangeEnded,
    Operation,
    RequestHead,
    SocketEnded,
)
from .call_pieces import CallPieces
from .exchange_trace import CallTrace, ExchangeTrace
from .guard import GuardedSocketTrace, GuardedTrace
from .ids import new_id
from .interface import NULL_SOCKET_TRACE, NULL_TRACE, SocketTrace, Trace
from .journal import Journal, JournalSettings
from .redaction import RawHeaders
from .scope import Scope
from .socket_trace import WebSocketTrace

CONTENT_SHARE = 0.75
"""How much of the memory that waits for the disk is for content. The rest is for calls alone."""

CALL_BYTES = 2048
"""What a call's start takes that waits for the disk, beside its content and its head; its end too,
with what was observed of it."""

RETRY_SECONDS = 0.5
"""How long the recorder waits before it tries a disk again that refused."""

_URGENT_BYTES = 1024 * 1024
"""So much that came since the last turn is recorded at once, instead of after the flush interval.
Less would take the pieces of many streams by twos and threes, and each turn of a call costs,
however many it brings."""

_BATCH_BYTES = 256 * 1024
"""So much is recorded before it is written, and its memory free again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderListeners:
    """Who is told when a call's terminal is recorded, and of the disk, by the recorder's thread.

    ``loss_began`` is told by either side, once until what was lost is told in a bundle.
    """

    call_ended: Callable[[CallSummary], None]
    disk_refused: Callable[[OSError], None]
    disk_resumed: Callable[[], None]
    loss_began: Callable[[str], None]
    loss_told: Callable[[Mapping[str, int]], None]
    failed: Callable[[Exception], None]


class ThreadedRecorder:
    """Records in a thread of its own; see ``interface.Recorder`` and ``exchange_trace.Queue``."""

    def __init__(
        self,
        settings: JournalSettings,
        listeners: RecorderListeners,
        *,
        flush_interval: float,
        pending_bytes_max: int,
        request_bytes_max: int,
        message_bytes_max: int,
    ) -> None:
        """Start the thread. ``flush_interval`` is in seconds."""
        self.event_bytes_max = settings.event_bytes_max
        self.decoded_bytes_max = settings.decoded_bytes_max
        self.request_bytes_max = request_bytes_max
        self.message_bytes_max = message_bytes_max
        self.keeps_bodies = settings.keep_bodies
        self._listeners = listeners
        self._flush_interval = flush_interval
        self._pending_bytes_max = pending_bytes_max
        self._content_bytes_max = int(pending_bytes_max * CONTENT_SHARE)
        self._journal = Journal(settings, listeners.call_ended, self._count_lost_here)
        self._operations: deque[Operation] = deque()
        # Each is written by one side only, so that neither needs a lock.
        self._reserved_bytes = 0
        self._released_bytes = 0
        self._urgent_from_bytes = self._urgent_from()
        self._lost: Counter[str] = Counter()
        self._lost_here: Counter[str] = Counter()
        """What the recorder's thread lost."""
        self._is_losing = False
        self._told_lost: Counter[str] = Counter()
        self._applied_bytes = 0
        self._is_refused = False
        self._has_failed = False
        self._is_closed = False
        self._work = threading.Event()
        self._hurry = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tailrace-recorder", daemon=True)
        self._thread.start()

    def begin(self, head: RequestHead) -> Trace:
        """Begin the trace of an exchange."""
        match head.scope:
            case Scope.NOTHING:
                return NULL_TRACE
            case Scope.EXCHANGE | Scope.CALL | Scope.COMPACTION:
                held_bytes = CALL_BYTES + head.size
                if not self.has_room(held_bytes):
                    self.count_lost("calls", 1)
                    return NULL_TRACE
                trace: Trace = (
                    ExchangeTrace(head, self, held_bytes)
                    if head.scope is Scope.EXCHANGE
                    else CallTrace(new_id(), head, self, held_bytes)
                )
                return GuardedTrace(trace, self._trace_failed)

    def begin_socket(self, head: RequestHead, status: int, headers: RawHeaders) -> SocketTrace:
        """Begin the trace of a WebSocket, with the handshake's answer."""
        if head.scope is not Scope.CALL:
            return NULL_SOCKET_TRACE
        trace = WebSocketTrace(head, status, headers, self, CALL_BYTES)
        return GuardedSocketTrace(trace, self._trace_failed)

    def _trace_failed(self, error: Exception) -> None:
        self.count_lost("calls", 1)
        self._listeners.failed(error)

    def lost(self) -> dict[str, int]:
        """Return what could not be kept so far, by kind."""
        return dict(self._all_lost())

    def close(self, timeout: float) -> bool:
        """Record what waits and stop, within ``timeout`` seconds; False where that failed."""
        self._stop.set()
        self._hurry.set()
        self._work.set()
        self._thread.join(timeout)
        return self._is_closed

    def put(self, operation: Operation) -> None:
        """Hand an operation over to the thread."""
        self._operations.append(operation)
        if not self._work.is_set():
            self._work.set()

    def reserve(self, size: int) -> bool:
        """Ask for ``size`` bytes of the memory that waits for the disk, for content."""
        # Not by ``_waiting_bytes``: it is asked for each piece.
        waiting = self._reserved_bytes - self._released_bytes + size
        if waiting > self._content_bytes_max:
            return False
        self._reserved_bytes += size
        if waiting > self._urgent_from_bytes and not self._hurry.is_set():
            self._hurry.set()
        return True

    def has_room(self, size: int) -> bool:
        """Tell whether there are ``size`` bytes left of that memory for a call."""
        return self._waiting_bytes() + size <= self._pending_bytes_max

    def hold(self, size: int) -> None:
        """Take ``size`` bytes of that memory for what is handed over in any case."""
        self._reserved_bytes += size

    def _waiting_bytes(self) -> int:
        return self._reserved_bytes - self._released_bytes

    def _urgent_from(self) -> int:
        # What is held as a turn ends, calls that are open hold: a turn more would free none of it.
        held = self._waiting_bytes()
        return held + min(_URGENT_BYTES, (self._content_bytes_max - held) // 2)

    def count_lost(self, what: str, amount: int) -> None:
        """Count what could not be kept on the traffic's side."""
        self._lost[what] += amount
        self._note_losing(what)

    def _count_lost_here(self, what: str, amount: int) -> None:
        self._lost_here[what] += amount
        self._note_losing(what)

    def _note_losing(self, what: str) -> None:
        if not self._is_losing:
            self._is_losing = True
            self._listeners.loss_began(what)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._work.wait()
            self._hurry.wait(self._flush_interval)
            self._hurry.clear()
            self._work.clear()
            while not self._record_waiting() and not self._stop.wait(RETRY_SECONDS):
                pass
        if self._record_waiting():
            self._close_journal()

    def _record_waiting(self) -> bool:
        """Record what waits; False where the disk refused, which leaves the rest waiting."""
        try:
            self._journal.flush()
            self._release()
            while self._operations:
                self._apply(self._operations[0])
                self._applied_bytes += _held_bytes(self._operations.popleft())
                if self._applied_bytes > _BATCH_BYTES:
                    self._journal.flush()
                    self._release()
            self._tell_loss()
            self._journal.flush()
            self._release()
        except OSError as error:
            if not self._is_refused:
                self._is_refused = True
                self._listeners.disk_refused(error)
            return False
        except Exception as error:  # noqa: BLE001 - a bug of ours may not end the thread
            if not self._has_failed:
                self._has_failed = True
                self._listeners.failed(error)
            return False
        self._has_failed = False
        if self._is_refused:
            self._is_refused = False
            self._listeners.disk_resumed()
        return True

    def _apply(self, operation: Operation) -> None:
        try:
            self._journal.apply(operation)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours may cost one record, not all
            self._count_lost_here("operations", 1)
            if isinstance(operation, CallPieces):
                # What was not taken would keep its call out of the queue.
                operation.take()
            self._listeners.failed(error)

    def _release(self) -> None:
        self._released_bytes += self._applied_bytes
        self._applied_bytes = 0
        self._urgent_from_bytes = self._urgent_from()

    def _all_lost(self) -> Counter[str]:
        # Copies first: the other side may count meanwhile.
        lost = Counter(self._lost)
        lost.update(dict(self._lost_here))
        return lost

    def _tell_loss(self) -> None:
        lost = self._all_lost()
        if lost != self._told_lost and self._journal.note_loss(lost - self._told_lost):
            self._is_losing = False
            self._listeners.loss_told(lost - self._told_lost)
            self._told_lost = lost

    def _close_journal(self) -> None:
        try:
            self._journal.close()
            self._is_closed = True
        except OSError as error:
            self._listeners.disk_refused(error)
        except Exception as error:  # noqa: BLE001 - told, as any bug of ours
            self._listeners.failed(error)


def _held_bytes(operation: Operation) -> int:
    """What an operation had reserved, to be given back when it is written."""
    match operation:
        case CallPieces():
            return operation.taken_bytes()
        case CallStarted():
            return operation.kept_bytes
        case CallEnded():
            content = operation.observer.kept_bytes if operation.observer else 0
            return operation.held_bytes + content
        case ExchangeEnded():
            return operation.held_bytes
        case SocketEnded():
            return 0
