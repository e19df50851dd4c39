"""Many `serve` processes in a short time: forks of one warm interpreter, and a kill for each.

Run as `python -m tests.support.serve_forks UPSTREAM_URL FLUSH_INTERVAL`. Each line of standard
input is a command, each of standard output an answer, both JSON:

    {"start": TRACE_DIR, "log": FILE}    {"pid": 1, "base_url": "http://127.0.0.1:1/v1"}
    {"kill": PID}                        {"killed_ns": 1, "flushed_ns": 1}
    {"stop": PID}                        {"exit_code": 0}

`flushed_ns` is when the recorder's last pass began that came to its end: whatever had come until
then is on the disk. All times are of the monotonic clock, which processes share.
"""

import io
import json
import mmap
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

from proxy.logs import configure_logs
from proxy.serve import serve
from proxy.settings import Settings
from tracing.recorder import ThreadedRecorder

_TIME = struct.Struct("<Q")


class _Answers(io.StringIO):
    """The start screen, of which the address is all that anyone waits for."""

    def flush(self) -> None:
        """Tell where we listen."""
        address = self.getvalue().partition(" listens on ")[2].split()[0]
        _answer({"pid": os.getpid(), "base_url": address})


def _answer(fields: dict[str, Any]) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def _note_passes(flushed: mmap.mmap) -> None:
    """Have the recorder write down when each pass began that came to its end."""
    real = ThreadedRecorder._record_waiting

    def record_waiting(self: ThreadedRecorder) -> bool:
        began_ns = time.monotonic_ns()
        is_done = real(self)
        if is_done:
            _TIME.pack_into(flushed, 0, began_ns)
        return is_done

    ThreadedRecorder._record_waiting = record_waiting  # type: ignore[method-assign]  # to note its times


def _serve(settings: Settings, log: Path, flushed: mmap.mmap) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _note_passes(flushed)
    with log.open("w") as stream:
        writer = configure_logs("info", stream=stream, is_terminal=False)
        serve(settings, _Answers())
        writer.flush()


class _Processes:
    """The forks that run, each with the memory in which its recorder notes its passes."""

    def __init__(self, upstream_url: str, flush_interval: float) -> None:
        self._upstream_url = upstream_url
        self._flush_interval = flush_interval
        self._running: dict[int, mmap.mmap] = {}

    def start(self, trace_dir: Path, log: Path) -> None:
        """Fork a proxy, which answers itself."""
        settings = Settings(
            listen="127.0.0.1:0",
            upstream=self._upstream_url,
            trace_dir=trace_dir,
            flush_interval=self._flush_interval,
        )
        flushed = mmap.mmap(-1, _TIME.size)
        pid = os.fork()
        if pid == 0:
            try:
                _serve(settings, log, flushed)
                os._exit(0)
            finally:
                os._exit(1)
        self._running[pid] = flushed

    def kill(self, pid: int) -> None:
        """Kill it, and answer when it is gone."""
        killed_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        (flushed_ns,) = _TIME.unpack_from(self._running.pop(pid))
        _answer({"killed_ns": killed_ns, "flushed_ns": flushed_ns})

    def stop(self, pid: int) -> None:
        """End it in order, and answer when it is gone."""
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        self._running.pop(pid)
        _answer({"exit_code": os.waitstatus_to_exitcode(status)})

    def kill_all(self) -> None:
        """Leave none behind."""
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)


def main(upstream_url: str, flush_interval: float) -> None:
    """Do as the lines of standard input say, until there are no more."""
    processes = _Processes(upstream_url, flush_interval)
    for line in sys.stdin:
        match json.loads(line):
            case {"start": str(trace_dir), "log": str(log)}:
                processes.start(Path(trace_dir), Path(log))
            case {"kill": int(pid)}:
                processes.kill(pid)
            case {"stop": int(pid)}:
                processes.stop(pid)
    processes.kill_all()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
