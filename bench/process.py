"""Starts the processes of a benchmark, and reads what each has used, children included."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 15.0

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class CannotStartError(Exception):
    """A process did not say that it listens; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Process:
    """A child process, stopped at the end of the context; its stderr goes to a file."""

    popen: "subprocess.Popen[str]"
    log: Path

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        work_dir: Path,
        name: str,
        *,
        cores: Collection[int] | None = None,
    ) -> Self:
        """Start ``command`` in ``work_dir``, with none of our settings in its environment.

        With ``cores`` it runs on those only, whatever it starts too.
        """
        env = {key: value for key, value in os.environ.items() if not key.startswith("TAILRACE_")}
        log = work_dir / f"{name}.log"
        with log.open("wb") as stderr, _pinned(cores):
            popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=work_dir,
                env={**env, "PYTHONPATH": str(ROOT)},
            )
        return cls(popen, log)

    @classmethod
    def module(
        cls, module: str, *args: str, work_dir: Path, cores: Collection[int] | None = None
    ) -> Self:
        """Start a module of this checkout."""
        command = [sys.executable, "-m", module, *args]
        return cls.start(command, work_dir, module.rpartition(".")[2], cores=cores)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def read_line(self) -> str:
        """Return its next line. Raises CannotStartError if it ended instead."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise CannotStartError(f"{self.popen.args!r} ended: {self.log.read_text()[-1000:]}")
        return line.strip()

    def write_line(self, text: str = "") -> None:
        """Give it a line on its standard input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{text}\n")
        self.popen.stdin.flush()

    def read_port(self) -> int:
        """Return the port that its next line ends with, or names before a path."""
        line = self.read_line()
        found = re.search(r"[: ](\d+)(/\S*)?$", line)
        if found is None:
            raise CannotStartError(f"{self.popen.args!r} named no port: {line}")
        return int(found[1])

    def cpu_seconds(self) -> float:
        """User and system CPU that it and its children have used, in steps of a tick (10 ms)."""
        return sum(map(_cpu_seconds, _tree(self.popen.pid)))

    def resident_kib(self) -> int:
        """Resident memory of it and its children now, what they share counted for each."""
        return sum(_status_kib(pid, "VmRSS") for pid in _tree(self.popen.pid))

    def peak_kib(self) -> int:
        """The most that each of them had resident since `forget_peak`, added up."""
        return sum(_status_kib(pid, "VmHWM") for pid in _tree(self.popen.pid))

    def yield_to_others(self, *, wholly: bool) -> None:
        """Let others run first: wholly, only when no other wants to."""
        if wholly:
            os.sched_setscheduler(self.popen.pid, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, self.popen.pid, 10)

    def forget_peak(self) -> None:
        """Count their peaks from now on (proc(5), clear_refs)."""
        for pid in _tree(self.popen.pid):
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended while we looked
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def stop(self) -> None:
        """End it, kindly at first."""
        self.popen.terminate()
        try:
            self.popen.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.communicate()


def free_port() -> int:
    """Return a port of loopback that nothing listens on, for programs that want to be given one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_until_it_listens(process: Process, port: int) -> None:
    """Wait until a port accepts. Raises CannotStartError if the process ends instead."""
    while process.popen.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise CannotStartError(f"{process.popen.args!r} ended: {process.log.read_text()[-1000:]}")


@contextmanager
def _pinned(cores: Collection[int] | None) -> Iterator[None]:
    """Let what is started meanwhile inherit these cores: it has them from its first moment."""
    if cores is None:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _tree(pid: int) -> list[int]:
    """A process, its children and theirs, whichever of its threads started them."""
    try:
        children = [
            int(child)
            for thread in Path(f"/proc/{pid}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it ended while we looked: its CPU is its parent's now
    return [pid, *(below for child in children for below in _tree(child))]


def _cpu_seconds(pid: int) -> float:
    # The name, in brackets, may hold spaces (proc(5)); utime and stime are fields 14 and 15,
    # those of children that were waited for 16 and 17.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it ended while we looked
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND


def _status_kib(pid: int, key: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked
    value = status.partition(f"\n{key}:")[2].split(maxsplit=1)
    return int(value[0]) if value else 0  # a process that has ended has none


async def serve_forever(protocol: Callable[[], asyncio.Protocol]) -> None:
    """Serve a protocol on a free port of loopback, and print the port: a child's main part."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
