"""A journal driven by traces in the test's own thread: no relay, no queue, no clock of its own."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from tracing.call import CallSummary, Operation, RequestHead, Waits
from tracing.exchange_trace import CallTrace, ExchangeTrace
from tracing.journal import Journal, JournalSettings
from tracing.redaction import RawHeaders
from tracing.scope import Scope
from tracing.terminal import TransportEnd

MIB = 1024 * 1024
STARTED_UNIX_MS = 1_700_000_000_000
SSE_HEAD: RawHeaders = (
    (b"Content-Type", b"text/event-stream; charset=utf-8"),
    (b"x-request-id", b"req_1"),
)
JSON_HEAD: RawHeaders = ((b"Content-Type", b"application/json"), (b"x-request-id", b"req_1"))
BODY = {"model": "gpt-5.5", "stream": True, "input": [{"type": "message", "role": "user"}]}


class Clock:
    """Stands in for the `time` module, and stands still until it is told to go on."""

    def __init__(self) -> None:
        self.ms = 0

    def advance(self, ms: int) -> None:
        """Let this much time pass."""
        self.ms += ms

    def monotonic(self) -> float:
        """Seconds of a clock that began with the test."""
        return self.ms / 1000

    def monotonic_ns(self) -> int:
        """The same in nanoseconds."""
        return self.ms * 1_000_000

    def time_ns(self) -> int:
        """Nanoseconds since 1970."""
        return (STARTED_UNIX_MS + self.ms) * 1_000_000


def call_id(number: int) -> UUID:
    """The id of the test's call of this number."""
    return UUID(int=number)


def bundle_id(number: int) -> UUID:
    """The id of the test's bundle of this number."""
    return UUID(int=0xB0 << 120 | number)


def reference(number: int, kind: str) -> dict[str, Any]:
    """What an event says of a payload."""
    return {
        "raw_payload_id": f"raw_payload:{number}",
        "kind": {"type": kind},
        "path": f"payloads/{number}.json",
    }


def journal_settings(trace_dir: Path, **changes: Any) -> JournalSettings:
    """Settings with limits that nothing reaches, unless named."""
    return JournalSettings(
        **{
            "trace_dir": trace_dir,
            "provider_name": "api.openai.com",
            "producer": {"name": "tailrace", "version": "0"},
            "keep_bodies": True,
            "event_bytes_max": MIB,
            "decoded_bytes_max": MIB,
            "capture_bytes_max": MIB,
            "bundle_bytes_max": 64 * MIB,
            "bundle_age_max": 3600.0,
            **changes,
        }
    )


def request_head(
    *,
    scope: Scope = Scope.CALL,
    method: str = "POST",
    path: str = "/v1/responses",
    query: str = "",
    headers: RawHeaders = (),
) -> RequestHead:
    """The head of a request on connection c1."""
    return RequestHead(
        scope=scope, method=method, path=path, query=query, headers=headers, connection_id="c1"
    )


class Recording:
    """The queue of the traces, which applies to the journal at once whatever they put into it."""

    event_bytes_max = MIB
    decoded_bytes_max = MIB
    request_bytes_max = MIB
    message_bytes_max = MIB

    def __init__(self, trace_dir: Path, clock: Clock, **settings: Any) -> None:
        self.trace_dir = trace_dir
        self.clock = clock
        self.lost: Counter[str] = Counter()
        self.summaries: list[CallSummary] = []
        self.operations: list[Operation] = []
        self.has_memory = True
        self.survives_refusals = False
        shape = journal_settings(trace_dir, **settings)
        self.keeps_bodies = shape.keep_bodies
        self.journal = Journal(shape, self.summaries.append, self.count_lost, clock.monotonic)
        self._calls = 0

    def put(self, operation: Operation) -> None:
        """Take an operation from a trace."""
        self.operations.append(operation)
        self._until_taken(lambda: self.journal.apply(operation))

    def _until_taken(self, write: Callable[[], None]) -> None:
        """Write; where refusals are survived, as often as the disk refuses it."""
        while True:
            try:
                return write()
            except OSError:
                if not self.survives_refusals:
                    raise

    def reserve(self, size: int) -> bool:  # noqa: ARG002 - the protocol's signature
        """Whether there is memory: as the test says."""
        return self.has_memory

    def has_room(self, size: int) -> bool:  # noqa: ARG002 - the protocol's signature
        """Whether there is memory for a call: always."""
        return True

    def hold(self, size: int) -> None:
        """Take memory: there is enough."""

    def count_lost(self, what: str, amount: int) -> None:
        """Count what a trace could not keep."""
        self.lost[what] += amount

    def begin(self, **head: Any) -> CallTrace:
        """Begin the trace of the next call, by its request's head."""
        self._calls += 1
        return CallTrace(call_id(self._calls), request_head(**head), self)

    def begin_exchange(self, **head: Any) -> ExchangeTrace:
        """Begin the trace of an exchange that is no call."""
        return ExchangeTrace(request_head(scope=Scope.EXCHANGE, **head), self)

    def ask(self, body: Any = BODY, **head: Any) -> CallTrace:
        """Begin a call and send the whole of its request; `body` is bytes, or becomes JSON."""
        trace = self.begin(**head)
        trace.request_piece(body if isinstance(body, bytes) else orjson.dumps(body))
        trace.request_ended()
        return trace

    def call(self, *pieces: bytes, body: Any = BODY, **head: Any) -> None:
        """A whole call, answered by these pieces of a stream."""
        answer(self.ask(body, **head), pieces)

    def close(self) -> list[Path]:
        """Close the journal and return the bundles, oldest first."""
        self._until_taken(self.journal.close)
        return self.bundles()

    def crash(self) -> list[Path]:
        """Leave the bundles as a process that is killed does: what was flushed, and no lock."""
        self.journal.flush()
        for bundle in self.journal._bundles():
            bundle.writer.close()
        return self.bundles()

    def bundles(self) -> list[Path]:
        """The bundles on disk, oldest first."""
        return sorted(self.trace_dir.glob("trace-*"))


def answer(
    trace: CallTrace,
    pieces: Iterable[bytes],
    *,
    status: int = 200,
    headers: RawHeaders = SSE_HEAD,
    end: TransportEnd = TransportEnd.EOF,
    text: str | None = None,
    waits: Waits | None = None,
) -> None:
    """Answer a call with a head and these pieces, and end it."""
    trace.response_started(status, headers)
    for piece in pieces:
        trace.response_piece(piece)
    trace.ended(end, text, waits or Waits())


@contextmanager
def recording(trace_dir: Path, **settings: Any) -> Iterator[Recording]:
    """A recording by a clock and with bundle ids of the test's own."""
    clock = Clock()
    numbers = iter(range(1, 10_000))
    with pytest.MonkeyPatch.context() as patch:
        for module in ("call_pieces", "exchange_trace", "journal"):
            patch.setattr(f"tracing.{module}.time", clock)
        patch.setattr("tracing.journal.new_id", lambda: bundle_id(next(numbers)))
        record = Recording(trace_dir, clock, **settings)
        yield record
        # One that crashed would leave the process that reads large bodies.
        record.journal._apart.close()


def only_bundle(bundles: Sequence[Path]) -> Path:
    """The one bundle."""
    (bundle,) = bundles
    return bundle
