"""`tailrace serve` as a process, for what a thread cannot show: signals and exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from .script import GUARD_S

REPO_ROOT = Path(__file__).resolve().parents[2]
LISTENS_ON = " listens on "


class ServeProcess:
    """`with ServeProcess(upstream_url, trace_dir) as process:` has read where it listens.

    What it writes goes to files in `directory`; leaving the block kills what still runs.
    """

    def __init__(
        self,
        upstream_url: str,
        trace_dir: Path,
        directory: Path,
        *,
        listen: str = "127.0.0.1:0",
        **settings: object,
    ) -> None:
        self.base_url = ""
        self.trace_dir = trace_dir
        self.log_path = directory / "serve.log"
        self._directory = directory
        self._environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)} | {
            f"TAILRACE_{name.upper()}": str(value) for name, value in settings.items()
        }
        self._command = [
            *(sys.executable, "-m", "tailrace", "serve", "--listen", listen),
            *("--upstream", upstream_url, "--trace-dir", str(trace_dir)),
        ]

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.base_url).port
        assert port is not None
        return port

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def read_until(self, text: str) -> str:
        """The next line that it prints with this text in it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if text in line:
                return line.strip()
        raise AssertionError(f"never printed: {text!r}; {self.log_path.read_text()}")

    def bundles(self) -> list[Path]:
        """The bundles written so far, oldest first."""
        return sorted(self.trace_dir.glob("trace-*"))

    def terminate(self) -> int:
        """SIGTERM, then the exit code."""
        return self._signal(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as a crash, then the exit code."""
        return self._signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the signal and wait for nothing."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        return self._process.wait(GUARD_S)

    def __enter__(self) -> Self:
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if LISTENS_ON not in line:
            self._end()
            raise AssertionError(f"serve did not start: {line!r} {self.log_path.read_text()}")
        self.base_url = line.partition(LISTENS_ON)[2].strip()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _signal(self, number: signal.Signals) -> int:
        self._process.send_signal(number)
        return self._process.wait(GUARD_S)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(GUARD_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
