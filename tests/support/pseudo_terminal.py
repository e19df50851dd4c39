"""The command on a terminal of its own: what a person in front of it sees."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .script import GUARD_S
from .terminal_screen import TerminalScreen
from .waiting import wait_until

REPO_ROOT = Path(__file__).resolve().parents[2]
ROWS = 24


class PseudoTerminal:
    """`with PseudoTerminal(["ls"], cwd) as terminal:` runs a command of ours on a terminal.

    Leaving the block kills what still runs. What it writes to stderr is seen as well.
    """

    def __init__(self, arguments: Sequence[str | Path], cwd: Path, *, columns: int = 100) -> None:
        self.screen = TerminalScreen(columns)
        self._command = [sys.executable, "-m", "tailrace", *map(str, arguments)]
        self._cwd = cwd
        self._lock = threading.Lock()
        self._end = threading.Event()

    @property
    def lines(self) -> list[str]:
        """The lines that are seen now."""
        with self._lock:
            return self.screen.lines

    def wait_for(self, *texts: str) -> str:
        """Wait until a line holds all these texts, and give it."""

        def found() -> str | None:
            lines = self.lines
            return next((line for line in lines if all(text in line for text in texts)), None)

        wait_until(lambda: found() is not None or self._end.is_set(), f"a line with {texts}")
        line = found()
        assert line is not None, f"no line has {texts}: {self.lines}"
        return line

    def resize(self, columns: int) -> None:
        """Make the terminal wider or narrower, as its window is."""
        with self._lock:
            self.screen.resize(columns)
        self._set_size(columns)

    def interrupt(self) -> int:
        """Ctrl-C, then the exit code, once all was seen that it wrote."""
        os.write(self._master, b"\x03")
        return self.wait()

    def wait(self) -> int:
        """The exit code, once all was seen that it wrote."""
        code = self._process.wait(GUARD_S)
        assert self._end.wait(GUARD_S)
        return code

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        self._set_size(self.screen.columns)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT), "TERM": "xterm"}
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_take_terminal,  # so that Ctrl-C reaches it
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, name="pseudo-terminal", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(GUARD_S)
        self._reader.join(GUARD_S)
        os.close(self._master)

    def _set_size(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

    def _read(self) -> None:
        rest = b""
        try:
            while data := os.read(self._master, 65536):
                rest = self._show(rest + data)
        except OSError:  # nobody has the terminal open any more
            pass
        finally:
            self._end.set()

    def _show(self, data: bytes) -> bytes:
        """Show what is whole of it, and give the rest."""
        cut = len(data)
        escape = data.rfind(b"\x1b")
        if escape >= 0 and not data[escape:].strip(b"\x1b[0123456789;"):
            cut = escape
        text = data[:cut].decode(errors="ignore")
        incomplete = len(data[:cut]) - len(text.encode())
        if 0 < incomplete < 4:
            cut -= incomplete
        with self._lock:
            self.screen.write(data[:cut].decode().replace("\r\n", "\n"))
        return data[cut:]


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
