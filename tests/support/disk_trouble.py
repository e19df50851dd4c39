"""A proxy whose disk gets into trouble while calls go through it, and what comes of them."""

import errno
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson

from .captured_log import CapturedLog, captured_log
from .differential import Seen, arrived, assert_same_answer, call, seen
from .events import sse_pieces, text_stream
from .faulty_disk import FaultyDisk, faulty_disk
from .raw_bundle import events, payload
from .raw_http import BodyReader, Exchange, RawConnection, exchange, request_bytes
from .reduced import calls, only, reduced, said
from .running_proxy import RunningProxy
from .script import Gate, stream_reply
from .scripted_upstream import ScriptedUpstream
from .serve_process import ServeProcess
from .terminals import assert_one_terminal_each
from .waiting import wait_until

Trouble = Literal["full", "broken", "read-only", "no descriptors", "hangs"]
TROUBLES: tuple[Trouble, ...] = ("full", "broken", "read-only", "no descriptors", "hangs")

REFUSED = "the trace cannot be written"
RESUMED = "the trace is written again"
NOT_ALL = "not all could be recorded before the end"
"""Beginnings of the lines of log that tell of the disk."""

_PIECES = sse_pieces(*text_stream("Hel", "lo"))
BEGUN = b"".join(_PIECES[:5])
REST = b"".join(_PIECES[5:])
STREAM = BEGUN + REST
HELLO = [("assistant", "Hello")]
COMPLETED = "inference_completed"


class TroubledDisk:
    """The disk of a proxy that runs in this process, and the proxy's log."""

    def __init__(self, disk: FaultyDisk, log: CapturedLog, trouble: Trouble) -> None:
        self.trouble = trouble
        self._disk = disk
        self._log = log

    def begin(self) -> None:
        """The trouble begins."""
        match self.trouble:
            case "full":
                self._disk.refuse_all(error=errno.ENOSPC)
            case "broken":
                self._disk.refuse_all(error=errno.EIO)
            case "read-only":
                self._disk.refuse_all(error=errno.EROFS)
            case "no descriptors":
                self._disk.refuse_all("open", error=errno.EMFILE)
            case "hangs":
                self._disk.hang()

    def wait_until_felt(self) -> None:
        """Wait until something of the trace could not be written."""
        if self.trouble == "hangs":
            self._disk.wait_until_it_hangs()
        else:
            wait_until(lambda: self.logged(REFUSED) > 0, "a line of log that tells of the disk")

    def end(self) -> None:
        """The disk is as it should be again."""
        self._disk.accept_all()

    def logged(self, text: str) -> int:
        """How many lines of log hold this text."""
        return sum(text in line for line in self._log.text().splitlines())

    def assert_told_once(self) -> None:
        """One line when the disk refused, one when it took writes again, however many tries."""
        told = 0 if self.trouble == "hangs" else 1
        assert (self.logged(REFUSED), self.logged(RESUMED)) == (told, told)


@contextmanager
def troubled_disk(trouble: Trouble) -> Iterator[TroubledDisk]:
    """A disk that is sound yet."""
    with captured_log() as log, faulty_disk() as disk:
        yield TroubledDisk(disk, log, trouble)


def proxy_before(upstream: ScriptedUpstream, trace_dir: Path, **settings: Any) -> RunningProxy:
    """A proxy that writes as soon as there is something."""
    return RunningProxy(f"{upstream.url}/v1", trace_dir, flush_interval=0.001, **settings)


def one_call(upstream: ScriptedUpstream, proxy: RunningProxy | ServeProcess) -> None:
    """A call that says "Hello", with the same bytes both ways as without the proxy."""
    assert_same_answer(upstream, proxy, stream_reply(BEGUN, REST))


class OpenStream:
    """A call through a proxy that has said "Hel" and waits to be let say the rest."""

    def __init__(self, upstream: ScriptedUpstream, port: int) -> None:
        self._upstream = upstream
        self._gate = Gate()
        self._reply = stream_reply(BEGUN, self._gate, REST)
        self._number = len(upstream.requests)
        upstream.enqueue(self._reply)
        self._connection = RawConnection(port)
        self._connection.send(call())
        self._head = self._connection.read_head()
        self._body = BodyReader(self._connection, self._head)
        self._read = self._body.read_until(BEGUN)

    def finish(self) -> Seen:
        """Let the rest come: it is what a client gets that is connected to upstream itself."""
        self._gate.open()
        data = self._read + self._body.read_all()
        assert self._body.end is not None
        self._connection.close()
        proxied = Exchange(informational=(), head=self._head, body=data, end=self._body.end)
        self._upstream.enqueue(self._reply)
        direct_number = len(self._upstream.requests)
        direct = exchange(self._upstream.port, call())
        assert seen(proxied) == seen(direct)
        assert arrived(self._upstream.request(self._number)) == arrived(
            self._upstream.request(direct_number)
        )
        return seen(proxied)


def assert_all_say_hello(bundles: list[Path], count: int) -> None:
    """Every call is in the one bundle: completed, once, with all that it said, and its capture."""
    assert_one_terminal_each(only(bundles))
    state = reduced(bundles)
    assert [said(state, call) for call in calls(state)] == [HELLO] * count
    kept = [call["proxy"]["capture"] for call in calls(state)]
    assert [(c["bytes"], c["lost_bytes"]) for c in kept] == [(len(STREAM), 0)] * count
    assert state["recording_complete"] is True


def told_losses(bundle: Path) -> Mapping[str, int]:
    """What a bundle's notices say could not be kept, added up."""
    told = Counter[str]()
    for event in events(bundle):
        if event.get("event_type") == "tailrace.loss":
            told.update(payload(bundle, event["event_payload"])["lost"])
    return told


def written_events(trace_dir: Path) -> list[dict[str, Any]]:
    """The events in the logs of all bundles as they are now, those that are still written too."""
    logs = sorted(trace_dir.glob("trace-*/trace.jsonl"))
    lines = [line for log in logs for line in log.read_bytes().splitlines(keepends=True)]
    return [orjson.loads(line)["payload"] for line in lines if line.endswith(b"\n")]


def wait_until_written(trace_dir: Path, event_type: str, count: int) -> None:
    """Wait until so many events of a type are on disk, while the proxy runs."""
    wait_until(
        lambda: [e["type"] for e in written_events(trace_dir)].count(event_type) >= count,
        f"{count} x {event_type} on disk",
    )


def lost(proxy: RunningProxy | ServeProcess) -> Mapping[str, int]:
    """What the metrics page says could not be kept, by kind."""
    page = exchange(proxy.port, request_bytes("GET", "http://127.0.0.1/-/metrics")).body.decode()
    samples = [line for line in page.splitlines() if line.startswith("tailrace_lost_total{")]
    return {line.split('"')[1]: round(float(line.rpartition(" ")[2])) for line in samples}
