"""What tracing alone costs, step by step, and what of it no implementation could do without.

One thread does it all, without a relay, an event loop or a second thread that wants the
interpreter: `python -m bench.steps`. What a whole proxy costs beyond this is what the relay and the
recorder cost each other: by caches more than by the interpreter's lock. The floor is the same bytes
hashed, checked, copied to fresh pages and put into two files, by the same interpreter and nothing
else.
"""

import gc
import hashlib
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tracing.call import CallEnded, CallStarted, Operation, RequestHead, Waits
from tracing.call_pieces import CallPieces
from tracing.exchange_trace import CallTrace
from tracing.ids import new_id
from tracing.journal import Journal, JournalSettings
from tracing.scope import Scope
from tracing.terminal import TransportEnd

from .http_load import REQUEST_HEAD
from .script import NAME, STAMP, Script, events, full_name, json_body, request_body

SCRIPTS = {
    "burst": Script(stream=True, deltas=200),
    "paced": Script(stream=True, deltas=200),
    "small": Script(),
}
"""What the scenarios of these names send: `paced` in pieces as they come, `burst` in one."""

FLUSH_CALLS = 100
"""How many calls are written at once: about what comes in `flush_interval`."""

STEPS = {
    CallStarted: "the request: read, redacted, its file and event",
    CallPieces: "the pieces: hashed, searched for secrets, appended",
    CallEnded: "the end: answer read, its file and event",
}
NOTED = "noted and scanned, beside the relay"
FLUSHED = "flushed"
FLOOR = "floor: the bytes hashed, checked and written, two files"
KEPT = 1 << 30
"""Bytes: more than anything here has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call's bytes."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    response_headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]


def call_of(scenario: str) -> Call:
    """The call that a scenario makes."""
    script = SCRIPTS[scenario]
    name = full_name("steps")
    body = request_body(script, name)
    lines = (REQUEST_HEAD % (80, len(body))).split(b"\r\n")[1:-2]
    sent = [event.replace(NAME, name).replace(STAMP, b"1" * len(STAMP)) for event in events(script)]
    pieces = sent if script.stream else [json_body(script)]
    kind = b"text/event-stream" if script.stream else b"application/json"
    return Call(
        headers=tuple((n, v) for n, _, v in (line.partition(b": ") for line in lines)),
        body=body,
        response_headers=((b"Content-Type", kind), (b"x-request-id", b"req_steps")),
        pieces=tuple(pieces) if scenario == "paced" else (b"".join(pieces),),
    )


class _Queue:
    """Holds what a trace hands over, until the recorder's part is measured."""

    event_bytes_max = decoded_bytes_max = request_bytes_max = message_bytes_max = KEPT
    keeps_bodies = True

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def put(self, operation: Operation) -> None:
        """Take an operation."""
        self.operations.append(operation)

    def reserve(self, size: int) -> bool:  # noqa: ARG002 - the protocol's signature
        """There is memory."""
        return True

    def has_room(self, size: int) -> bool:  # noqa: ARG002 - the same
        """There is memory for a call."""
        return True

    def hold(self, size: int) -> None:
        """Take memory."""

    def count_lost(self, what: str, amount: int) -> None:
        """Fail: a run that lost something is no result."""
        raise AssertionError(f"lost: {amount} {what}")


def steps(call: Call, count: int, directory: Path) -> dict[str, float]:
    """Measure the steps, in microseconds of CPU a call."""
    queue = _Queue()
    settings = JournalSettings(
        trace_dir=directory,
        provider_name="bench",
        producer={},
        keep_bodies=True,
        event_bytes_max=KEPT,
        decoded_bytes_max=KEPT,
        capture_bytes_max=KEPT,
        bundle_bytes_max=KEPT,
        bundle_age_max=3600.0,
    )
    journal = Journal(settings, lambda _: None, queue.count_lost)
    spent: Counter[str] = Counter()
    for _ in range(count // FLUSH_CALLS):
        begun = time.process_time_ns()
        for _ in range(FLUSH_CALLS):
            _note(call, queue)
        spent[NOTED] += time.process_time_ns() - begun
        for operation in queue.operations:
            begun = time.process_time_ns()
            journal.apply(operation)
            spent[STEPS[type(operation)]] += time.process_time_ns() - begun
        queue.operations.clear()
        begun = time.process_time_ns()
        journal.flush()
        spent[FLUSHED] += time.process_time_ns() - begun
    journal.close()
    order = [NOTED, *STEPS.values(), FLUSHED]
    return {step: spent[step] / (count // FLUSH_CALLS * FLUSH_CALLS) / 1000 for step in order}


def _note(call: Call, queue: _Queue) -> None:
    head = RequestHead(
        scope=Scope.CALL,
        method="POST",
        path="/v1/responses",
        query="",
        headers=call.headers,
        connection_id="c1",
    )
    trace = CallTrace(new_id(), head, queue)
    trace.request_piece(call.body)
    trace.request_ended()
    trace.response_started(200, call.response_headers)
    for piece in call.pieces:
        trace.response_piece(piece)
    trace.ended(TransportEnd.EOF, None, Waits())


def floor(call: Call, count: int, directory: Path) -> float:
    """Measure what nobody can do without, in microseconds of CPU a call."""
    stream = b"".join(call.pieces)
    payloads = directory / "payloads"
    payloads.mkdir()

    begun = time.process_time_ns()
    with (directory / "1.cap").open("wb", buffering=0) as capture:
        for number in range(count):
            for data in (call.body, stream):
                hashlib.sha256(data).hexdigest()
                zlib.crc32(data)
            capture.write(stream)
            (payloads / f"{number}.json").write_bytes(call.body)
            (payloads / f"{number}r.json").write_bytes(stream[-len(stream) // 50 :])
    return (time.process_time_ns() - begun) / count / 1000


def table(rows: Sequence[tuple[str, Sequence[float]]], scenarios: Sequence[str]) -> str:
    """The figures in Markdown."""
    lines = [["CPU µs a call", *scenarios], ["---"] * (len(scenarios) + 1)]
    lines += [[name, *(f"{figure:.0f}" for figure in figures)] for name, figures in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@click.command()
@click.option("--calls", default=2000, show_default=True, help="How many calls of each kind.")
def main(calls: int) -> None:
    """Measure the steps of tracing a call, and print a table."""
    if calls < FLUSH_CALLS:
        raise click.UsageError(f"--calls is at least {FLUSH_CALLS}")
    gc.freeze()
    columns = []
    for scenario in SCRIPTS:
        with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as directory:
            call = call_of(scenario)
            found = steps(call, calls, Path(directory) / "traces")
            total = {**found, "all of it": sum(found.values())}
            columns.append({**total, FLOOR: floor(call, calls, Path(directory))})
    rows = [(name, [column[name] for column in columns]) for name in columns[0]]
    click.echo(table(rows, list(SCRIPTS)))


if __name__ == "__main__":
    main()
