"""The page beside the proxy: a process of its own, so that nobody who looks slows the traffic down.

It ends with us, however we end: it holds the other end of a pipe. What becomes of it is told, and
is no reason to stop.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from .settings import Settings
from .settings_sources import variable_name

DELAY_SECONDS_MIN = 1.0
DELAY_SECONDS_MAX = 30.0
"""How long it is until one that ended is started anew: longer each time, until one gets to listen.
The port may be that of a page whose proxy was killed, which takes a moment to notice."""

STOP_SECONDS = 3.0
"""How long its end is waited for; it takes a second at most to close what is open."""

_ENTRY = Path(__file__).parents[1] / "tailrace.py"

_log = structlog.get_logger()


@contextmanager
def shown_page(settings: Settings, config: Path | None, screen: TextIO) -> Iterator[None]:
    """Show the page, if the settings want it, as long as the context is open.

    `config` is the file that the settings are from. ``screen`` gets the page's URL.
    """
    if not settings.view:
        yield
        return
    page = _PageThread(_command(settings, config), _environment(settings), screen)
    page.start()
    try:
        yield
    finally:
        page.stop()


def _command(settings: Settings, config: Path | None) -> list[str]:
    # By its file: as a module it would be looked for in the working directory first.
    command = [sys.executable, str(_ENTRY), "view", "--end-with-stdin"]
    command += ["--listen", settings.view_listen, "--trace-dir", str(settings.trace_dir)]
    return command if config is None else [*command, "--config", str(config)]


def _environment(settings: Settings) -> Mapping[str, str]:
    """What no other process may see (a command line is public), or has no flag."""
    return os.environ | {
        variable_name("view_token"): settings.view_token or "",
        variable_name("allowed_hosts"): ",".join(settings.allowed_hosts),
    }


class _PageThread(threading.Thread):
    """Starts the process, anew where it ends, and tells what it says."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], screen: TextIO
    ) -> None:
        super().__init__(name="tailrace-page", daemon=True)
        self._command = command
        self._environment = environment
        self._screen = screen
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._was_shown = False
        self._told = ""

    def stop(self) -> None:
        """End it; one that does not end in time is killed."""
        self._is_stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
        self.join(STOP_SECONDS)
        if process is not None and process.poll() is None:
            process.kill()

    def run(self) -> None:
        """Keep it running until it is stopped."""
        delay = DELAY_SECONDS_MIN
        while not self._is_stopping.is_set():
            self._was_shown = False
            try:
                self._run_once()
            except OSError as error:
                self._tell_end(f"it could not be started: {error.strerror}")
            delay = DELAY_SECONDS_MIN if self._was_shown else min(delay * 2, DELAY_SECONDS_MAX)
            self._is_stopping.wait(delay)

    def _run_once(self) -> None:
        with self._lock:
            if self._is_stopping.is_set():
                return
            self._process = process = subprocess.Popen(  # noqa: S603 - ourselves
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,  # Ctrl-C is for the proxy, which ends it
            )
        assert process.stdout is not None
        said = ""
        with process.stdout:
            for line in process.stdout:
                said = self._heard(line.strip()) or said
        code = process.wait()
        if not self._is_stopping.is_set():
            self._tell_end(said or f"it ended with exit code {code}")

    def _heard(self, line: str) -> str:
        """Show the URL; log all else, and return it."""
        if line.startswith("http://"):
            self._was_shown = True
            self._told = ""
            with contextlib.suppress(OSError, ValueError):  # nobody reads what is printed
                self._screen.write(f"The traces as a page: {line}\n\n")
                self._screen.flush()
            return ""
        if self._was_shown:
            _log.warning("the page gave a warning", said=line)
        return line.removeprefix("tailrace: ")

    def _tell_end(self, reason: str) -> None:
        if reason != self._told:  # once, however often it is tried
            self._told = reason
            _log.error("there is no page; the traffic goes on, and it is tried again", why=reason)
