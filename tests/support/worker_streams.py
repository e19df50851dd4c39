"""`tailrace serve` with workers, and open streams that are known to be one worker's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reducer import reduce_bundle

from .differential import call
from .events import ev_created, ev_text_delta, sse, text_stream
from .raw_http import BodyReader, RawConnection, exchange, request_bytes
from .reduced import calls
from .script import Gate, stream_reply
from .scripted_upstream import ScriptedUpstream
from .serve_process import ServeProcess
from .waiting import wait_until
from .worker_processes import settled_workers, worker_of

STREAM = sse(*text_stream("Hel", "lo"))
BEGUN = sse(ev_created("resp_1"), ev_text_delta("Hel"))
HEALTH = request_bytes("GET", "http://127.0.0.1/-/healthz")
METRICS = request_bytes("GET", "http://127.0.0.1/-/metrics")
COMPLETED = 'tailrace_calls_total{terminal="completed"}'
CANCELLED = 'tailrace_calls_total{terminal="cancelled"}'
RESTARTS = "tailrace_worker_restarts_total"
OPEN = "tailrace_open_exchanges"


def serve_with_workers(upstream: ScriptedUpstream, tmp_path: Path, **settings: Any) -> ServeProcess:
    """The parent of two workers, unless told otherwise, before the scripted upstream."""
    settings = {"workers": 2} | settings
    return ServeProcess(f"{upstream.url}/v1", tmp_path / "traces", tmp_path, **settings)


def counted(port: int) -> dict[str, float]:
    """The samples of the metrics page of whichever worker answers."""
    answer = exchange(port, METRICS)
    assert answer.head.status == 200
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def wait_until_counted(port: int, name: str, wanted: float) -> None:
    """Wait until the count is so."""
    wait_until(lambda: counted(port).get(name) == wanted, f"{name} is {wanted}")


def is_refused(port: int) -> bool:
    """Whether nothing listens on the port any more."""
    try:
        RawConnection(port).close()
    except ConnectionRefusedError:
        return True
    return False


def statuses(bundle: Path) -> list[str]:
    """How the bundle's calls reduce to have ended, or that they run."""
    return [found["execution"]["status"] for found in calls(reduce_bundle(bundle))]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStream:
    """A stream whose first part has come, from the worker that has it; the gate holds the rest."""

    worker: int
    connection: RawConnection
    body: BodyReader
    gate: Gate


def open_stream(upstream: ScriptedUpstream, port: int, among: set[int]) -> OpenStream:
    """Begin a stream on a connection of its own."""
    gate = Gate()
    upstream.enqueue(stream_reply(BEGUN, gate, STREAM))
    connection = RawConnection(port)
    connection.send(call())
    body = BodyReader(connection, connection.read_head())
    assert body.read_until(BEGUN) == BEGUN
    return OpenStream(
        worker=worker_of(connection, among), connection=connection, body=body, gate=gate
    )


def stream_on_each(upstream: ScriptedUpstream, process: ServeProcess) -> dict[int, OpenStream]:
    """An open stream on each of the two workers; more than one on a worker is ended again."""
    among = settled_workers(process, 2)
    streams: dict[int, OpenStream] = {}
    while len(streams) < len(among):
        stream = open_stream(upstream, process.port, among)
        if stream.worker in streams:
            finish(stream)
        else:
            streams[stream.worker] = stream
    return streams


def finish(stream: OpenStream) -> None:
    """Let the stream end; it must be whole."""
    stream.gate.open()
    assert (stream.body.read_all(), stream.body.end) == (STREAM, "complete")
    stream.connection.close()
