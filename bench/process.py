"""Starts the processes of a benchmark, and reads what CPU each has used, children included."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
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
    def start(cls, command: Sequence[str], work_dir: Path, name: str) -> Self:
        """Start ``command`` in ``work_dir``, with none of our settings in its environment."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("TAILRACE_")}
        log = work_dir / f"{name}.log"
        with log.open("wb") as stderr:
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
    def module(cls, module: str, *args: str, work_dir: Path) -> Self:
        """Start a module of this checkout."""
        return cls.start([sys.executable, "-m", module, *args], work_dir, module.rpartition(".")[2])

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

    def write_line(self) -> None:
        """Give it an empty line on its standard input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
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
        return _cpu_seconds(self.popen.pid)

    def stop(self) -> None:
        """End it, kindly at first."""
        self.popen.terminate()
        try:
            self.popen.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.communicate()


def _cpu_seconds(pid: int) -> float:
    # The name, in brackets, may hold spaces (proc(5)); utime and stime are fields 14 and 15,
    # those of children that were waited for 16 and 17.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_cpu_seconds(int(child)) for child in children)


async def serve_forever(protocol: Callable[[], asyncio.Protocol]) -> None:
    """Serve a protocol on a free port of loopback, and print the port: a child's main part."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
