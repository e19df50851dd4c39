"""`tailrace view` as a process, as a reader starts it."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from .script import GUARD_S
from .serve_process import REPO_ROOT


class ViewProcess:
    """`with ViewProcess(trace_dir) as view:` has read where it listens; leaving ends it.

    It may be stopped and started again, on the same port. Its log is in `log_path`.
    """

    def __init__(
        self, trace_dir: Path, directory: Path, *, listen: str = "127.0.0.1:0", **settings: str
    ) -> None:
        self.url = ""
        self.log_path = directory / "view.log"
        self._trace_dir = trace_dir
        self._directory = directory
        self._environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)} | {
            f"TAILRACE_{name.upper()}": value for name, value in settings.items()
        }
        self._listen = listen
        self._process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(GUARD_S)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tailrace", "view", "--listen", self._listen),
                    *("--trace-dir", str(self._trace_dir)),
                ],
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if "http://" not in line:
            self.stop()
            raise AssertionError(f"view did not start: {line!r} {self.log_path.read_text()}")
        self.url = line[line.index("http://") :].strip()
        self._listen = f"127.0.0.1:{self.port}"

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(GUARD_S)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
